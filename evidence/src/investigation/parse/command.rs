//! From the `[[command]]` tables of an investigation to [`PlannedCommand`]s.

use regex_lite::RegexBuilder;
use schemars::JsonSchema;
use serde::Deserialize;

use super::check::{FileChecker, MAX_TIMEOUT_MS};
use super::spanned::Spanned;
use crate::document::Reader;
use crate::investigation::{
    ARTEFACTS, CommandValue, CommandValueKind, OUTPUT_OF_COMMAND, PlannedCommand, split_placeholder,
};
use crate::path::is_name;

/// Commands look things up; what takes longer than this does something else.
const TIMEOUT_MS: u64 = 2_000;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct RawCommand {
    name: Spanned<String>,
    run: Spanned<Vec<Spanned<String>>>,
    on: Option<Spanned<String>>,
    timeout_ms: Option<Spanned<u64>>,
    max_output: Option<Spanned<u32>>,
    #[serde(default)]
    values: Vec<RawWanted>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct RawWanted {
    name: Spanned<String>,
    pattern: Spanned<String>,
    #[serde(default)]
    kind: CommandValueKind,
}

impl FileChecker {
    pub(super) fn commands(&mut self, list: Vec<RawCommand>) -> Vec<PlannedCommand> {
        let mut commands: Vec<PlannedCommand> = Vec::new();
        for raw in list {
            let name = raw.name.get_ref();
            if !is_name(name) {
                let message = format!("command `{name}` does not match [a-z_][a-z0-9_]*");
                self.error(raw.name.span(), message);
            }
            if let Some(first) = commands.iter().find(|c| c.name == *name) {
                let first = self.line_of(first.span.start);
                let message = format!("command `{name}` is already defined in line {first}");
                self.error(raw.name.span(), message);
                continue;
            }
            commands.push(self.command(raw));
        }
        commands
    }

    fn command(&mut self, raw: RawCommand) -> PlannedCommand {
        let (on, guests_only) = self.machine(raw.on.as_ref());
        if on == Reader::Builder {
            self.refuse_foreign_paths(raw.run.get_ref());
        }
        self.check_words(&raw.run, on);
        if let Some(timeout) = &raw.timeout_ms
            && !(1..=MAX_TIMEOUT_MS).contains(timeout.get_ref())
        {
            let message = format!("timeout-ms must be between 1 and {MAX_TIMEOUT_MS}");
            self.error(timeout.span(), message);
        }
        let max_output = self.max_output(raw.max_output);
        PlannedCommand {
            span: raw.name.span(),
            name: raw.name.into_inner(),
            run: raw
                .run
                .into_inner()
                .into_iter()
                .map(Spanned::into_inner)
                .collect(),
            on,
            guests_only,
            timeout_ms: raw.timeout_ms.map_or(TIMEOUT_MS, Spanned::into_inner),
            max_output: max_output.unwrap_or(OUTPUT_OF_COMMAND),
            values: self.command_values(raw.values),
        }
    }

    /// Reads on which machine a command runs, by default on the captured one, and whether only if that is a guest.
    fn machine(&mut self, on: Option<&Spanned<String>>) -> (Reader, bool) {
        match on.map(|on| (on.get_ref().as_str(), on.span())) {
            None | Some(("machine", _)) => (Reader::Machine, false),
            Some(("guest", _)) => (Reader::Machine, true),
            Some(("builder", _)) => (Reader::Builder, false),
            Some((other, span)) => {
                let message = format!(
                    "a command runs on the captured \"machine\", only in a \"guest\", or on the \"builder\", not on \"{other}\""
                );
                self.error(span, message);
                (Reader::Machine, false)
            }
        }
    }

    /// Check the words of a command: the program, and the names of the kernel's files.
    fn check_words(&mut self, run: &Spanned<Vec<Spanned<String>>>, on: Reader) {
        let mut given = 0;
        for word in run.get_ref() {
            match split_placeholder(word.get_ref()) {
                Some(_) if on == Reader::Machine => {
                    let message = format!("`{}` is a file of the builder", word.get_ref());
                    self.error(word.span(), message).help = Some("add `on = \"builder\"`".into());
                }
                Some(_) => given += 1,
                None if word.get_ref().contains(['{', '}']) && on == Reader::Builder => {
                    let names: Vec<String> = ARTEFACTS.iter().map(|n| format!("{{{n}}}")).collect();
                    let message = format!("`{}` stands for no file", word.get_ref());
                    self.error(word.span(), message).help =
                        Some(format!("there is {}", names.join(", ")));
                }
                None => {}
            }
        }
        match run.get_ref().first() {
            None => {
                self.error(run.span(), "the command is empty");
            }
            Some(first)
                if first.get_ref().is_empty() || split_placeholder(first.get_ref()).is_some() =>
            {
                self.error(first.span(), "the first word has to name a program");
            }
            // Evidence is about the kernel that was captured, never about the machine that builds.
            Some(_) if on == Reader::Builder && given == 0 => {
                self.error(
                    run.span(),
                    "a command on the builder looks into a file of the captured kernel",
                )
                .help = Some("name one of {vmlinux}, {system_map} and {config} in it".into());
            }
            Some(_) => {}
        }
    }

    /// The values to take out of a command's output.
    fn command_values(&mut self, raw: Vec<RawWanted>) -> Vec<CommandValue> {
        let mut values: Vec<CommandValue> = Vec::new();
        for wanted in raw {
            let twin = values.iter().any(|v| v.name == *wanted.name.get_ref());
            if twin || !is_name(wanted.name.get_ref()) {
                let why = if twin {
                    "is already defined for this command"
                } else {
                    "does not match [a-z_][a-z0-9_]*"
                };
                let message = format!("value `{}` {why}", wanted.name.get_ref());
                self.error(wanted.name.span(), message);
            }
            let mut pattern = RegexBuilder::new(wanted.pattern.get_ref());
            match pattern.multi_line(true).build() {
                Ok(pattern) if pattern.captures_len() > 2 => {
                    let message =
                        "a pattern has at most one group, the value: write the others as `(?:…)`";
                    self.error(wanted.pattern.span(), message);
                }
                Ok(pattern) => values.push(CommandValue {
                    name: wanted.name.into_inner(),
                    pattern,
                    kind: wanted.kind,
                }),
                Err(error) => {
                    let message = format!("the pattern cannot be understood: {error}");
                    self.error(wanted.pattern.span(), message);
                }
            }
        }
        values
    }
}

impl FileChecker {
    /// Refuse words of a command on the builder that name files other than those of the captured kernel. What such a command
    /// prints is evidence of the captured kernel, and is published as it is for a guest.
    fn refuse_foreign_paths(&mut self, run: &[Spanned<String>]) {
        // The program itself may be named by its path.
        for word in run.iter().skip(1) {
            if let Some(folder) = find_machine_folder(word.get_ref()) {
                let message = format!(
                    "`{folder}` is a folder of the builder, and a command on the builder looks into files of the captured \
                     kernel alone"
                );
                self.error(word.span(), message).help = Some(
                    "what it says of the builder would be published as if it were of that kernel: leave the path out"
                        .into(),
                );
            }
        }
    }
}

/// Folders that say something of the machine on which a command runs, or of its owner.
const ELSEWHERE: &[&str] = &[
    "/proc/", "/sys/", "/etc/", "/dev/", "/home/", "/root/", "/run/", "/tmp/", "/var/", "/boot/",
    "/opt/", "/srv/", "/mnt/", "/media/", "../", "~/",
];

/// The first of these folders that a word names. A slash inside of a longer name, as in `s/proc/x/`, begins no path.
fn find_machine_folder(word: &str) -> Option<&'static str> {
    let begins = |at: usize| {
        let before = word[..at].chars().next_back();
        before.is_none_or(|c| !c.is_ascii_alphanumeric() && !"/.)]}_~".contains(c))
    };
    let names = |folder: &str| {
        let mut places = word.match_indices(folder);
        places.any(|(at, _)| begins(at) && !word[at..].starts_with("/dev/null"))
    };
    ELSEWHERE.iter().find(|folder| names(folder)).copied()
}

#[cfg(test)]
mod tests {
    use crate::document::Reader;
    use crate::investigation::{CommandValueKind, parse};

    const EXPERIMENT: &str = r#"
[[experiment]]
name = "e"
workload = { syscall = "pause" }
[[experiment.probe]]
function = "f"
"#;

    /// Check that commands arrive as they are written, and that a run of one is told from a run of another.
    #[test]
    fn commands() {
        let text = format!(
            r#"
[[command]]
name = "release"
run = ["uname", "-r"]
[[command]]
name = "static_text"
run = ["grep", "-w", "_text", "{{system_map}}"]
on = "builder"
timeout-ms = 500
values = [{{ name = "address", pattern = '^([0-9a-f]+) T _text$', kind = "address" }}, {{ name = "line", pattern = ".+" }}]
[[command]]
name = "spoils"
run = ["rm", "-r", "/data"]
on = "guest"
{EXPERIMENT}"#
        );
        let parsed = parse("c.toml", &text).unwrap_or_else(|errors| panic!("{errors:?}"));
        let [release, text, spoils] = parsed.commands.as_slice() else {
            panic!("{:?}", parsed.commands)
        };
        assert_eq!((spoils.on, spoils.guests_only), (Reader::Machine, true));
        assert!(!release.guests_only && !text.guests_only);
        assert_eq!((release.on, release.timeout_ms), (Reader::Machine, 2_000));
        assert_eq!((text.on, text.timeout_ms), (Reader::Builder, 500));
        let kinds: Vec<CommandValueKind> = text.values.iter().map(|v| v.kind).collect();
        assert_eq!(kinds, [CommandValueKind::Address, CommandValueKind::Text]);
        let argv = |words: &[&str]| -> Vec<String> { words.iter().map(|w| (*w).into()).collect() };
        let run = ["grep", "-w", "_text", "System.map-6.1.0"];
        assert!(text.matches(Reader::Builder, &argv(&run)));
        assert!(!text.matches(Reader::Machine, &argv(&run)));
        assert!(!text.matches(
            Reader::Builder,
            &argv(&["grep", "-w", "_stext", "System.map"])
        ));
        assert!(!text.matches(Reader::Builder, &argv(&run[..3])));
        assert!(!release.matches(Reader::Machine, &argv(&["uname", "-a"])));
        assert!(parsed.command("release").is_some() && parsed.command("e").is_none());
    }

    /// Check what is said of commands that make no sense, each with its line.
    #[test]
    fn refused() {
        let text = format!(
            r#"
[[command]]
name = "Release"
run = ["uname", "-r"]
on = "host"
[[command]]
name = "twice"
run = []
[[command]]
name = "twice"
run = ["true"]
[[command]]
name = "leaky"
run = ["hostname"]
on = "builder"
[[command]]
name = "astray"
run = ["nm", "{{vmlinux}}"]
timeout-ms = 0
[[command]]
name = "unknown"
run = ["nm", "{{vmlinuz}}", "{{vmlinux}}"]
on = "builder"
values = [{{ name = "x", pattern = "(" }}, {{ name = "y", pattern = "(a)(b)" }}, {{ name = "Z", pattern = "a" }}]
[[command]]
name = "executes"
run = ["{{vmlinux}}"]
on = "builder"
[[command]]
name = "elsewhere"
run = ["grep", "-w", "_text", "/proc/kallsyms", "{{system_map}}"]
on = "builder"
[[command]]
name = "shell"
run = ["/bin/sh", "-c", "nm {{vmlinux}} 2>/dev/null | sed 's/proc/x/'; cat '/etc/machine-id' ../x"]
on = "builder"
{EXPERIMENT}"#
        );
        let problems = parse("c.toml", &text).unwrap_err();
        let lines: Vec<String> = problems
            .iter()
            .map(|p| format!("{}: {}", p.line_column().unwrap().0, p.message))
            .collect();
        insta::assert_snapshot!(lines.join("\n"), @r#"
        3: command `Release` does not match [a-z_][a-z0-9_]*
        5: a command runs on the captured "machine", only in a "guest", or on the "builder", not on "host"
        8: the command is empty
        10: command `twice` is already defined in line 7
        14: a command on the builder looks into a file of the captured kernel
        18: `{vmlinux}` is a file of the builder
        19: timeout-ms must be between 1 and 60000
        22: `{vmlinuz}` stands for no file
        24: the pattern cannot be understood: found open group without closing ')'
        24: a pattern has at most one group, the value: write the others as `(?:…)`
        24: value `Z` does not match [a-z_][a-z0-9_]*
        27: the first word has to name a program
        31: `/proc/` is a folder of the builder, and a command on the builder looks into files of the captured kernel alone
        35: `/etc/` is a folder of the builder, and a command on the builder looks into files of the captured kernel alone
        "#);
    }
}

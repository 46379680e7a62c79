//! The preparation of a guest that an investigation asks for: folders, and commands that run before anything is captured.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::Context as _;
use qed_evidence::diagnostic::Diagnostic;
use qed_evidence::investigation::{Investigation, Setup};
use qed_evidence::observation::missing_program::{not_found_lines, not_runnable_lines};

use super::init::{Refusal, report_progress};

/// The largest part of a failed command's output that is quoted, in lines and in bytes: its end.
const QUOTED_LINES: usize = 12;
const QUOTED_BYTES: usize = 2000;
/// The longest part of a command that a message repeats, in characters. Its place shows all of it.
const SHOWN: usize = 80;

/// Make the folders in which workloads start, and run the commands of `[guest] setup`, one after the other.
///
/// # Errors
/// When a command cannot be run or fails: a capture after that would not match the investigation. The error is a [`Refusal`] with the
/// command's place then.
pub(super) fn set_up(investigation: &Investigation) -> anyhow::Result<()> {
    for setup in &investigation.setup {
        report_progress(&format!("preparing: {}", setup.text()));
        if let Err(failure) = run(setup) {
            return Err(Refusal::new(&[failure.diagnostic(investigation, setup)]).into());
        }
    }
    for experiment in &investigation.experiments {
        if let Some(cwd) = &experiment.workload.around.cwd {
            let folder = Path::new("/").join(cwd);
            fs::create_dir_all(&folder)
                .with_context(|| format!("failed to make the folder {}", folder.display()))?;
        }
    }
    Ok(())
}

/// A command of `setup` that did not succeed.
struct SetupFailure {
    /// How it ended: `exit status: 3`.
    end: String,
    /// What it printed, standard error last.
    output: String,
}

impl SetupFailure {
    fn diagnostic(&self, investigation: &Investigation, setup: &Setup) -> Diagnostic {
        let Self { end, output } = self;
        let line = shorten(&setup.text());
        let message = format!("the guest cannot be prepared: `{line}` of `setup` ended with {end}");
        let problem = Diagnostic::error(&investigation.source, setup.span.clone(), message);
        let mut help = match quote_end(output) {
            quoted if quoted.is_empty() => "it printed nothing".to_owned(),
            quoted => format!("the end of what it printed:\n{quoted}"),
        };
        let not_there = not_found_lines(output).into_iter();
        if not_there.chain(not_runnable_lines(output)).next().is_some() {
            help +=
                "\na program that a line for `sh` runs has to be listed in `programs` of `[guest]`";
        }
        problem.help(help)
    }
}

fn run(setup: &Setup) -> Result<(), SetupFailure> {
    let Some((program, arguments)) = setup.words.split_first() else {
        return Err(SetupFailure {
            end: "no program".into(),
            output: String::new(),
        });
    };
    // A path begins at the root, where the guest has what lies beside the investigation.
    let path = match program.contains('/') {
        true => Path::new("/").join(program),
        false => program.into(),
    };
    let output = Command::new(path)
        .args(arguments)
        .current_dir("/")
        .output()
        .map_err(|error| SetupFailure {
            end: format!("an error, because it cannot be run: {error}"),
            output: String::new(),
        })?;
    if output.status.success() {
        return Ok(());
    }
    let printed = [output.stdout, output.stderr].concat();
    Err(SetupFailure {
        end: output.status.to_string(),
        output: String::from_utf8_lossy(&printed).into_owned(),
    })
}

/// The first line of a command, cut where it is long.
fn shorten(line: &str) -> String {
    let first = line.trim().lines().next().unwrap_or_default();
    let short: String = first.chars().take(SHOWN).collect();
    match short.len() < line.trim().len() {
        true => format!("{short} …"),
        false => short,
    }
}

/// The last lines of an output, without what would move the cursor of a terminal.
fn quote_end(output: &str) -> String {
    let mut quoted: Vec<String> = Vec::new();
    let mut room = QUOTED_BYTES;
    for line in output.trim_end().lines().rev() {
        let line: String = line.chars().filter(|c| !c.is_control()).collect();
        if quoted.len() == QUOTED_LINES || line.len() > room {
            quoted.push("…".into());
            break;
        }
        room -= line.len();
        quoted.push(line);
    }
    quoted.reverse();
    quoted.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use qed_evidence::investigation::parse;

    /// The message about the only command of an investigation, `None` if it succeeds.
    fn message(command: &str) -> Option<String> {
        let text = format!(
            "[guest]\nsetup = [\n  {command},\n]\n[[experiment]]\nname = \"e\"\nworkload = {{ syscall = \"getpid\" }}\n\
             [[experiment.probe]]\nfunction = \"f\"\n"
        );
        let investigation = parse("i.toml", &text).unwrap();
        let error = set_up(&investigation).err()?;
        assert!(error.is::<Refusal>());
        Some(format!("{error:#}"))
    }

    /// Check that a command that succeeds is silent, and that one which fails or is not there is told as its author wrote it, with
    /// its place, its status and the end of what it printed, of both outputs.
    #[test]
    fn commands() {
        assert_eq!(message("\"true\""), None);
        let told = message("\"echo out; echo no >&2; exit 3\"").unwrap();
        for part in [
            "error: the guest cannot be prepared: `echo out; echo no >&2; exit 3` of `setup` ended with exit status: 3\n",
            "--> i.toml:3:3",
            "out",
            "no",
        ] {
            assert!(told.contains(part), "{part}: {told}");
        }
        assert!(!told.contains("`programs`"), "{told}");
        let told = message("[\"/no-such\", \"x\"]").unwrap();
        assert!(
            told.contains(
                "`/no-such x` of `setup` ended with an error, because it cannot be run: No such"
            ),
            "{told}"
        );
        let told = message("[\"false\"]").unwrap();
        assert!(
            told.contains("`false` of `setup` ended with exit status: 1\n"),
            "{told}"
        );
        assert!(told.contains("it printed nothing"), "{told}");
        let told = message("\"kill -9 $$\"").unwrap();
        assert!(told.contains("ended with signal: 9 (SIGKILL)"), "{told}");
        let told = message("\"qed-no-such-program\"").unwrap();
        assert!(
            told.contains("exit status: 127") && told.contains("has to be listed in `programs`"),
            "{told}"
        );
    }

    /// Check that of a long output only the end is quoted, and nothing that a terminal would obey.
    #[test]
    fn long_output() {
        let lines: Vec<String> = (0..100).map(|nth| format!("line {nth}\u{1b}[2J")).collect();
        let quoted = quote_end(&lines.join("\n"));
        assert!(
            quoted.starts_with("…\nline 88[2J\n") && quoted.ends_with("line 99[2J"),
            "{quoted}"
        );
        assert_eq!(quote_end(&"x".repeat(3000)), "…");
        assert_eq!(shorten(&"é".repeat(100)), format!("{} …", "é".repeat(80)));
        assert_eq!(shorten("a\nb"), "a …");
    }
}

//! The surroundings of a workload, and the preparation of a guest.

use std::mem::take;
use std::path::{Component, Path};

use super::check::FileChecker;
use super::raw::{RawGivenFile, RawGuest, RawSetup, RawStdin, RawWorkload};
use super::spanned::Spanned;
use crate::investigation::{GivenFile, Setup, SpannedName, Stdin, Surroundings};

/// Folders of a guest whose files the kernel makes up, or that the collector needs for itself.
const TAKEN: [&str; 5] = ["/proc", "/sys", "/dev", "/qed", "/init"];

impl FileChecker {
    /// Take what a workload finds around it out of its table.
    pub(super) fn surroundings(&mut self, raw: &mut RawWorkload) -> Surroundings {
        let files = take(&mut raw.files);
        let files: Vec<GivenFile> = files
            .into_iter()
            .filter_map(|file| self.given_file(file))
            .collect();
        for (index, file) in files.iter().enumerate() {
            if files[..index].iter().any(|other| other.to == file.to) {
                let message = format!("two files would be put at `{}`", file.to);
                self.error(file.span.clone(), message);
            }
        }
        if raw.syscall.is_some() {
            self.refuse_programs(raw);
        }
        for (key, value) in &raw.env {
            let name = key.get_ref();
            if name.is_empty() || name.contains(['=', '\0']) || value.get_ref().contains('\0') {
                let message = format!("`{name}` cannot be the name of an environment variable");
                self.error(key.span(), message);
            }
        }
        let cwd = raw.cwd.take().map(|cwd| {
            if cwd.get_ref().is_empty() || cwd.get_ref().contains('\0') {
                self.error(cwd.span(), "`cwd` has to name a folder");
            }
            cwd.into_inner()
        });
        let programs = take(&mut raw.programs)
            .into_iter()
            .map(spanned_name)
            .collect();
        let env = take(&mut raw.env).into_iter();
        Surroundings {
            files,
            programs,
            env: env
                .map(|(key, value)| (key.into_inner(), value.into_inner()))
                .collect(),
            cwd,
            stdin: raw.stdin.take().and_then(|stdin| self.stdin(stdin)),
        }
    }

    /// Refuse programs and an environment: a system call runs no program.
    fn refuse_programs(&mut self, raw: &RawWorkload) {
        let env = raw.env.keys().next().map(|key| (key.span(), "`env`"));
        let programs = raw.programs.first().map(|name| (name.span(), "`programs`"));
        for (span, key) in env.into_iter().chain(programs) {
            let message = format!("{key} is for a `command`: a system call runs no program");
            self.error(span, message);
        }
    }

    fn given_file(&mut self, raw: Spanned<RawGivenFile>) -> Option<GivenFile> {
        let span = raw.span();
        let RawGivenFile { from, to, mode } = raw.into_inner();
        let to = match to {
            Some(to) => to,
            // The guest's root folder stands for the investigation's.
            None => Path::new("/").join(&from).to_string_lossy().into_owned(),
        };
        let proper = to.strip_prefix('/').is_some_and(|rest| {
            !rest.contains('\0') && rest.split('/').all(|part| !matches!(part, "" | "." | ".."))
        });
        if from.is_empty() || from.contains('\0') || !proper {
            let message = format!(
                "a guest cannot be given `{from}` at `{to}`: that has to be a whole path without `.`, `..` or empty parts"
            );
            self.error(span, message).help =
                Some("write { from = \"FILE\", to = \"/PATH/IN/THE/GUEST\" }".into());
            return None;
        }
        if TAKEN.iter().any(|taken| Path::new(&to).starts_with(taken)) {
            let message = format!("a guest cannot be given a file at `{to}`: that place is taken");
            self.error(span, message);
            return None;
        }
        let mode = match mode {
            None => None,
            Some(mode) => Some(self.mode(&mode)?),
        };
        Some(GivenFile {
            from,
            to,
            mode,
            span,
        })
    }

    fn mode(&mut self, mode: &Spanned<String>) -> Option<u32> {
        let octal = |text: &String| u32::from_str_radix(text, 8).ok();
        let digits = mode.get_ref().bytes().all(|byte| byte.is_ascii_digit());
        let found = octal(mode.get_ref()).filter(|bits| digits && *bits <= 0o7777);
        if found.is_none() {
            let message = format!(
                "`mode` is permissions in octal, such as \"0644\", not \"{}\"",
                mode.get_ref()
            );
            self.error(mode.span(), message);
        }
        found
    }

    fn stdin(&mut self, raw: Spanned<RawStdin>) -> Option<Stdin> {
        let span = raw.span();
        match raw.into_inner() {
            RawStdin {
                text: Some(text),
                file: None,
            } => Some(Stdin::Text(text)),
            RawStdin {
                text: None,
                file: Some(name),
            } => {
                let climbs = |part| part == Component::ParentDir;
                if name.is_empty() || Path::new(&name).components().any(climbs) {
                    let message = format!("`{name}` does not name a file below the investigation");
                    self.error(span, message);
                    return None;
                }
                Some(Stdin::File(SpannedName { name, span }))
            }
            _ => {
                let message = "`stdin` is { text = \"TEXT\" } or { file = \"FILE\" }";
                self.error(span, message);
                None
            }
        }
    }

    /// The command lines of `[guest]`, and the programs that they run by themselves.
    pub(super) fn setup(&mut self, guest: Option<RawGuest>) -> (Vec<Setup>, Vec<SpannedName>) {
        let Some(RawGuest { setup, programs }) = guest else {
            return (Vec::new(), Vec::new());
        };
        let lines = setup.into_iter().map(|line| {
            let span = line.span();
            let words = match line.into_inner() {
                RawSetup::Line(line) => vec!["sh".into(), "-c".into(), line],
                RawSetup::Words(words) => words,
            };
            if words.first().is_none_or(String::is_empty)
                || words.iter().any(|word| word.contains('\0'))
            {
                self.error(span.clone(), "a command of `setup` has to name a program");
            }
            Setup { words, span }
        });
        (
            lines.collect(),
            programs.into_iter().map(spanned_name).collect(),
        )
    }
}

fn spanned_name(word: Spanned<String>) -> SpannedName {
    let span = word.span();
    SpannedName {
        name: word.into_inner(),
        span,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::investigation::parse;

    fn around(table: &str) -> Result<Surroundings, String> {
        let text = format!(
            "[[experiment]]\nname = \"e\"\nworkload = {{ command = [\"c\"], {table} }}\n[[experiment.probe]]\n\
             function = \"f\"\n"
        );
        match parse("i.toml", &text) {
            Ok(mut found) => Ok(found.experiments.remove(0).workload.around),
            Err(problems) => Err(problems.into_iter().map(|p| p.message).collect()),
        }
    }

    /// Check that everything that can stand around a workload is read, with the place of a file in the guest if none is
    /// said.
    #[test]
    fn all_keys() {
        let found = around(
            "files = [{ from = \"a/b\" }, { from = \"/c\", to = \"/d\", mode = \"0600\" }], programs = [\"ls\"], \
             env = { A = \"1\" }, cwd = \"/tmp\", stdin = { text = \"x\" }",
        )
        .unwrap();
        let files: Vec<_> = found
            .files
            .iter()
            .map(|f| (f.from.as_str(), f.to.as_str(), f.mode))
            .collect();
        assert_eq!(files, [("a/b", "/a/b", None), ("/c", "/d", Some(0o600))]);
        assert_eq!(found.programs[0].name, "ls");
        assert_eq!(found.env["A"], "1");
        assert_eq!(found.cwd.as_deref(), Some("/tmp"));
        assert_eq!(found.stdin, Some(Stdin::Text("x".into())));
        let found = around("stdin = { file = \"in\" }").unwrap();
        assert!(matches!(found.stdin, Some(Stdin::File(one)) if one.name == "in"));
    }

    /// Check that what a guest cannot have is refused with the reason.
    #[test]
    fn refusals() {
        for (table, why) in [
            ("files = [{ from = \"../a\" }]", "without `.`"),
            ("files = [{ from = \"a\", to = \"b\" }]", "whole path"),
            ("files = [{ from = \"a\", to = \"/proc/x\" }]", "taken"),
            ("files = [{ from = \"a\", to = \"/init\" }]", "taken"),
            ("files = [{ from = \"a\", mode = \"rwx\" }]", "octal"),
            ("files = [{ from = \"a\", mode = \"0999\" }]", "octal"),
            ("files = [{ from = \"a\", mode = \"17777\" }]", "octal"),
            (
                "files = [{ from = \"a\" }, { from = \"b\", to = \"/a\" }]",
                "two files",
            ),
            ("env = { \"A=B\" = \"1\" }", "environment variable"),
            ("cwd = \"\"", "folder"),
            ("stdin = { }", "`stdin` is"),
            ("stdin = { text = \"a\", file = \"b\" }", "`stdin` is"),
            ("stdin = { file = \"../b\" }", "below the investigation"),
            ("fles = []", "unknown field"),
        ] {
            let found = around(table).unwrap_err();
            assert!(found.contains(why), "{table}: {found}");
        }
        let call = "[[experiment]]\nname = \"e\"\nworkload = { syscall = \"getpid\", env = { A = \"1\" }, \
                    programs = [\"ls\"] }\n[[experiment.probe]]\nfunction = \"f\"\n";
        assert_eq!(parse("i.toml", call).unwrap_err().len(), 2);
    }

    /// Check that a guest's preparation is read as a line for the shell or as words, and that nothing is none.
    #[test]
    fn setup() {
        let with = |lines: &str| {
            let text = format!(
                "[guest]\nsetup = [{lines}]\n[[experiment]]\nname = \"e\"\nworkload = {{ syscall = \"getpid\" }}\n\
                 [[experiment.probe]]\nfunction = \"f\"\n"
            );
            parse("i.toml", &text).map(|found| found.setup)
        };
        let found = with("\"mkdir /a\", [\"mkdir\", \"/b\"]").unwrap();
        assert_eq!(found[0].words, ["sh", "-c", "mkdir /a"]);
        assert_eq!(found[1].words, ["mkdir", "/b"]);
        assert!(with("[]").is_err() && with("[\"\"]").is_err());
    }
}

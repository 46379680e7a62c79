//! Warnings about the commands of an investigation: those that were not run, and values that their outputs do not have, each with
//! its place.

use qed_evidence::Evidence;
use qed_evidence::diagnostic::Diagnostic;
use qed_evidence::document::{CommandRun, MachineKind, Reader};
use qed_evidence::investigation::{Investigation, PlannedCommand};
use qed_evidence::observation::format_one_line;
use qed_evidence::value::Datum;

use crate::assemble::is_withheld_output;
use crate::session::NOT_STARTED;
use crate::session::raw::RawCommand;
use qed_evidence::observation::missing_program::not_found_lines;

/// The way to give a guest the programs of a command.
const PROGRAMS_ADVICE: &str = "a guest has only the program that `run` begins with: name the others in `programs` of `[guest]`";

/// The warnings about the commands in `evidence`. Those of the builder are told by their values alone: without the program they say
/// nothing of the machine.
pub(super) fn command_warnings(investigation: &Investigation, evidence: &Evidence) -> Vec<String> {
    let planned = investigation.commands.iter();
    planned
        .filter_map(|planned| Some((planned, evidence.commands.get(&planned.name)?)))
        .flat_map(|(planned, found)| warnings_of(planned, found, evidence.machine.kind))
        .map(|(planned, message, advice)| warning_text(investigation, planned, message, advice))
        .collect()
}

type Warning<'p> = (&'p PlannedCommand, String, Option<&'static str>);

fn warnings_of<'p>(
    planned: &'p PlannedCommand,
    found: &CommandRun,
    kind: MachineKind,
) -> Vec<Warning<'p>> {
    let name = &planned.name;
    if let Datum::Missing(why) = &found.exit {
        if found.by == Reader::Builder {
            return Vec::new();
        }
        let advice = why.reason().starts_with(NOT_STARTED).then_some(match kind {
            MachineKind::Guest => {
                "a guest takes the program from this machine: install it here, or write its whole path"
            }
            MachineKind::Host => "install it, or write its whole path",
        });
        return vec![(planned, format!("command `{name}`: {why}"), advice)];
    }
    let missing = planned.values.iter().filter_map(|value| {
        let Datum::Missing(why) = found.values.get(&value.name)? else {
            return None;
        };
        let advice = why.reason().ends_with("in more than one place").then_some(
            "let the pattern have more of the line, and a group around the value: `^Pid:\\\\s+(\\\\d+)`",
        );
        let told = !is_withheld_output(why.reason());
        told.then(|| {
            let message = format!("command `{name}` has no value `{}`: {why}", value.name);
            (planned, message, advice)
        })
    });
    missing.collect()
}

/// Warnings about commands whose shells did not find programs. The evidence does not have what they said there.
pub(super) fn missing_program_warnings(
    investigation: &Investigation,
    kind: MachineKind,
    run: &[RawCommand],
) -> Vec<String> {
    let planned = investigation.commands.iter();
    let planned = planned.filter(|planned| planned.on == Reader::Machine);
    let told = planned.zip(run).filter_map(|(planned, run)| {
        let printed = String::from_utf8_lossy(&run.stderr);
        let lines = not_found_lines(&printed);
        if lines.is_empty() {
            return None;
        }
        let name = &planned.name;
        Some(match kind {
            MachineKind::Guest => {
                let message = format!("command `{name}` said `{}`", lines.join("`, `"));
                warning_text(investigation, planned, message, Some(PROGRAMS_ADVICE))
            }
            // This may appear in the public log of a publication, which must not contain output of a live machine.
            MachineKind::Host => {
                let message = format!("command `{name}` said that a program was not found");
                warning_text(investigation, planned, message, None)
            }
        })
    });
    told.collect()
}

fn warning_text(
    investigation: &Investigation,
    planned: &PlannedCommand,
    message: String,
    advice: Option<&str>,
) -> String {
    let mut note = Diagnostic::error(&investigation.source, planned.span.clone(), message);
    note.help = advice.map(str::to_owned);
    format_one_line(&note)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use qed_evidence::investigation::parse;
    use qed_evidence::value::Value;

    const TEXT: &str = "[[command]]\nname = \"c\"\nrun = [\"sh\", \"-c\", \"x\"]\nvalues = [{ name = \"v\", pattern = \"a\" }]\n\
                        [[experiment]]\nname = \"e\"\nworkload = { syscall = \"getpid\" }\n[[experiment.probe]]\nfunction = \"f\"\n";

    fn warnings(by: Reader, exit: Datum, value: Datum) -> Vec<String> {
        let on = match by {
            Reader::Machine => "machine",
            Reader::Builder => "builder",
        };
        let text = TEXT.replacen("run =", &format!("on = \"{on}\"\nrun ="), 1);
        // A command on the builder looks into a file of the kernel.
        let text = match by {
            Reader::Machine => text,
            Reader::Builder => text.replacen("\"x\"]", "\"x\", \"{config}\"]", 1),
        };
        let investigation = parse("i.toml", &text).unwrap_or_else(|e| panic!("{e:?}"));
        let evidence = include_bytes!("../../../evidence/testdata/two-experiments.json");
        let mut evidence = qed_evidence::reader::read(evidence).unwrap();
        let command = CommandRun {
            by,
            argv: vec!["sh".into(), "-c".into(), "x".into()],
            files: Vec::new(),
            exit,
            output: Datum::unavailable("none"),
            values: BTreeMap::from([("v".to_owned(), value)]),
        };
        evidence.commands = [("c".to_owned(), command)].into();
        command_warnings(&investigation, &evidence)
    }

    /// Check that a command of the captured machine that was not run is told with its place and advice, and one of the builder not.
    #[test]
    fn not_run() {
        let why = || Datum::unavailable(format!("{NOT_STARTED}: No such file or directory"));
        assert_eq!(
            warnings(Reader::Machine, why(), why()),
            [
                "command `c`: it could not be started: No such file or directory (i.toml:2:8); a guest takes the program from this \
                 machine: install it here, or write its whole path"
            ]
        );
        assert_eq!(warnings(Reader::Builder, why(), why()), [""; 0]);
    }

    /// Check that a value that the output does not have, or has twice, is told with the place of its command, and one that is not
    /// written down is not.
    #[test]
    fn values() {
        let missing = |why: &str| {
            let reports = warnings(
                Reader::Machine,
                Value::int(0).into(),
                Datum::unavailable(why),
            );
            reports.concat()
        };
        let twice = missing("its output matches `a` in more than one place");
        assert!(
            twice.starts_with("command `c` has no value `v`: its output matches `a` in more than")
                && twice.contains("(i.toml:2:8); let the pattern have more of the line"),
            "{twice}"
        );
        assert!(missing("nothing in its output matches `a`").ends_with("(i.toml:2:8)"));
        assert_eq!(
            missing("not written down: this machine lives on, and what a command prints"),
            ""
        );
    }

    /// Check that each line of a shell that did not find a program is quoted of a guest, and none of a live machine.
    #[test]
    fn programs_that_are_not_there() {
        let text = TEXT.replacen("run =", "on = \"machine\"\nrun =", 1);
        let investigation = parse("i.toml", &text).unwrap_or_else(|e| panic!("{e:?}"));
        let run = |stderr: &str| {
            [RawCommand {
                argv: vec!["sh".into()],
                ended: Ok(0),
                stdout: Vec::new(),
                printed: Some(0),
                stderr: stderr.into(),
            }]
        };
        let missing = run("sh: 1: ls: not found\nsh: 1: sort: not found\n");
        let of_guest = missing_program_warnings(&investigation, MachineKind::Guest, &missing);
        assert_eq!(
            of_guest.concat(),
            format!(
                "command `c` said `sh: 1: ls: not found`, `sh: 1: sort: not found` (i.toml:2:8); {PROGRAMS_ADVICE}"
            )
        );
        let of_host = missing_program_warnings(&investigation, MachineKind::Host, &missing);
        assert!(!of_host.concat().contains("sort") && of_host.len() == 1);
        let other = run("a note\n");
        assert!(missing_program_warnings(&investigation, MachineKind::Guest, &other).is_empty());
    }
}

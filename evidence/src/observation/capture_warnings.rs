//! Warnings about captures, for the user who runs one and for whoever builds a book from its evidence.

use std::sync::Arc;

use super::missing_program::{not_found_lines, not_runnable_lines, not_there_lines};
use crate::diagnostic::Diagnostic;
use crate::document::{Evidence, Experiment, MachineKind};
use crate::investigation::Investigation;
use crate::value::{Datum, Value};

/// The reason why a process has no status that was killed.
pub const TIMED_OUT: &str = "the process did not end in time and was killed";

/// What notes say of returns that happened unseen.
pub const NOT_SEEN: &str = "not seen";

/// Something that went wrong in a capture.
#[derive(Debug, PartialEq, Eq)]
pub struct CaptureWarning {
    /// The experiment, and what went wrong with it.
    pub text: String,
    /// The experiment.
    pub experiment: Option<String>,
    /// A program was missing, so that the workload was not what the investigation says: the capture has failed.
    pub missing_program: bool,
}

/// Experiments that ran and went wrong, each with its reason. Those that did not run, and probes and reads that the machine's kernel
/// does not have, are reported by [`notes`](super::notes), with their places.
pub fn capture_warnings(evidence: &Evidence) -> Vec<CaptureWarning> {
    let kind = evidence.machine.kind;
    let of = |(name, experiment): (&String, &Experiment)| {
        Some(CaptureWarning {
            text: format!(
                "experiment `{name}`: {}",
                experiment_failure(experiment, kind)?
            ),
            experiment: Some(name.clone()),
            missing_program: lacks_program(experiment),
        })
    };
    evidence.experiments.iter().filter_map(of).collect()
}

/// The same of all machines, at the places of the experiments in the investigation. What several machines have is told once.
pub fn capture_notes(investigation: &Investigation, machines: &[&Evidence]) -> Vec<Diagnostic> {
    let mut told: Vec<(CaptureWarning, Vec<&str>)> = Vec::new();
    for evidence in machines {
        let name = evidence.machine.name.as_str();
        for warning in capture_warnings(evidence) {
            match told.iter_mut().find(|(known, _)| *known == warning) {
                Some((_, on)) => on.push(name),
                None => told.push((warning, vec![name])),
            }
        }
    }
    let notes = told.into_iter().map(|(warning, on)| {
        let message = format!("{}: {}", on.join(", "), warning.text);
        let name = warning.experiment.as_deref();
        match name.and_then(|name| investigation.experiment(name)) {
            Some(planned) => {
                let source = Arc::clone(&investigation.source);
                Diagnostic::error(&source, planned.span.clone(), message).warning()
            }
            None => Diagnostic::error_without_place(message).warning(),
        }
    });
    notes.collect()
}

/// The failure of an experiment, if it failed.
fn experiment_failure(experiment: &Experiment, kind: MachineKind) -> Option<String> {
    Some(match &experiment.unavailable {
        // The notes say it, with the place.
        Some(_) => return None,
        None => match (experiment.broken_reason(), &experiment.outcome.exit) {
            (Some(why), _) if experiment.quality.lost > 0 => {
                format!("{why}; its values are errors: capture again")
            }
            (Some(why), _) => {
                let failed = command_failure(experiment, kind).map(|why| format!("; {why}"));
                let (failed, advice) = (failed.unwrap_or_default(), unseen_advice(experiment));
                format!("{why}{failed}; its values are errors{advice}")
            }
            (None, Datum::Missing(why)) if why.reason() == TIMED_OUT => {
                format!("{TIMED_OUT}; give it a longer `timeout-ms` if it needs that")
            }
            _ => {
                command_failure(experiment, kind).or_else(|| missed_returns_warning(experiment))?
            }
        },
    })
}

/// Returns that were not seen: silence proves nothing in such an experiment.
fn missed_returns_warning(experiment: &Experiment) -> Option<String> {
    let quality = &experiment.quality;
    let about_returns = |note: &&String| note.contains(NOT_SEEN);
    let notes = quality.notes.iter().filter(about_returns);
    let notes: Vec<&str> = notes.map(String::as_str).collect();
    (quality.missed > 0).then(|| {
        format!(
            "{}, so silence and counts prove nothing in it",
            notes.join("; ")
        )
    })
}

/// Advice for an experiment in which no probe saw anything: another capture would not help.
fn unseen_advice(experiment: &Experiment) -> String {
    let attached = experiment
        .probes
        .iter()
        .filter(|(_, probe)| probe.backend.is_some());
    let names: Vec<String> = attached.map(|(name, _)| format!("`{name}`")).collect();
    let next = match experiment.call {
        Some(_) => {
            "the call does not come by there, or ends before it does: look at what it returned, and add a probe on \
             `tracepoint = \"sys_exit\"`, which sees each call"
        }
        None => {
            "a process belongs to the workload once its program is executed, so the execution itself is not seen, and those \
             that it starts only with `follow = true`"
        }
    };
    format!(". Attached: {}; {next}", names.join(", "))
}

/// The exit status of a shell, and of ours, for a program that may not be run, and for one that is not there.
const NOT_RUNNABLE: i128 = 126;
const NOT_THERE: i128 = 127;

/// The way to give a guest a program.
const PROGRAMS_ADVICE: &str =
    "a guest has only what `command` begins with, what `programs` names, and `files`";

/// The exit status of a command and what it printed on standard error. A call has no status of its own.
fn exit_status(experiment: &Experiment) -> Option<(i128, &str)> {
    if experiment.call.is_some() {
        return None;
    }
    let status = experiment.outcome.exit.value()?.as_integer()?;
    let report = match experiment.outcome.stderr.as_ref().and_then(Datum::value) {
        Some(Value::Text { value } | Value::CutText { value, .. }) => value.trim(),
        _ => "",
    };
    Some((status, report))
}

/// The lines on standard error that say that a program is not there or may not be executed, as the status says.
fn missing_program_lines(status: i128, report: &str) -> Vec<&str> {
    match status {
        NOT_THERE => not_there_lines(report),
        NOT_RUNNABLE => not_runnable_lines(report),
        // A shell goes on after a program that it did not find, and ends with the status of another one.
        _ => not_found_lines(report),
    }
}

/// True of a command that ended because a program was not there or may not be executed, as is said on its standard error. A command
/// that ends with the same status and does not say so may mean it.
fn lacks_program(experiment: &Experiment) -> bool {
    exit_status(experiment).is_some_and(|(status, report)| {
        matches!(status, NOT_THERE | NOT_RUNNABLE)
            && !missing_program_lines(status, report).is_empty()
    })
}

/// A line of output, cut where it is too long for a message.
fn shorten(line: &str) -> String {
    const MOST: usize = 300;
    match line.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}… (all of it is in `outcome.stderr`)", &line[..end]),
        None => line.to_owned(),
    }
}

/// A command that ended as if a program had not been there, that said so of one of several, or that complained and failed.
fn command_failure(experiment: &Experiment, kind: MachineKind) -> Option<String> {
    let (status, report) = exit_status(experiment)?;
    let lines = missing_program_lines(status, report);
    let advice = match status {
        NOT_THERE => format!("; a program that it runs is not there: {PROGRAMS_ADVICE}"),
        NOT_RUNNABLE => "; a program that it runs may not be executed".into(),
        _ if !lines.is_empty() => format!(
            "; a program that it runs is not there, and what it printed is without it: {PROGRAMS_ADVICE}"
        ),
        0 => return None,
        _ if report.is_empty() => return None,
        _ => String::new(),
    };
    // This may appear in the public log of a publication, which must not contain output of a live machine.
    let said = match kind {
        MachineKind::Guest if lines.is_empty() => {
            shorten(report.lines().next_back().unwrap_or_default())
        }
        MachineKind::Guest => lines.join("; "),
        MachineKind::Host if report.is_empty() => String::new(),
        MachineKind::Host => "`outcome.stderr` in the evidence says why".into(),
    };
    let colon = if said.is_empty() { "" } else { ": " };
    Some(format!(
        "its command ended with status {status}{colon}{said}{advice}"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::Address;

    fn texts(evidence: &Evidence) -> Vec<String> {
        let warnings = capture_warnings(evidence).into_iter();
        warnings.map(|warning| warning.text).collect()
    }

    /// Check that an experiment that went wrong is told and what a machine cannot show is not.
    #[test]
    fn of_experiments_that_went_wrong() {
        let text = include_bytes!("../../testdata/two-experiments.json");
        let mut evidence = crate::reader::read(text).unwrap();
        assert_eq!(texts(&evidence), [""; 0]);
        let names: Vec<String> = evidence.experiments.keys().cloned().collect();
        let [first, second] = &names[..] else {
            panic!("{names:?}")
        };
        let at = |evidence: &mut Evidence, name: &str, why: &str| {
            evidence.experiments.get_mut(name).unwrap().unavailable = Some(why.into());
        };
        at(
            &mut evidence,
            first,
            "not run, because probe `x` cannot act",
        );
        at(&mut evidence, second, "not run: no such file");
        assert_eq!(texts(&evidence), [""; 0]);
        let second = evidence.experiments.get_mut(second).unwrap();
        (second.unavailable, second.quality.lost) = (None, 1);
        let report = texts(&evidence).concat();
        assert!(report.contains("lost 1 of"), "{report}");
        second_timed_out(&mut evidence, &names[1]);
        let report = texts(&evidence).concat();
        assert!(report.contains("timeout-ms"), "{report}");
    }

    /// Check that all machines with the same failure share one warning, which stands at the experiment.
    #[test]
    fn notes_have_places() {
        let mut evidence = crate::testing::evidence();
        let investigation = crate::testing::investigation();
        assert_eq!(capture_notes(&investigation, &[&evidence]), []);
        let experiment = evidence.experiments.get_mut("create").unwrap();
        experiment.call = None;
        experiment.outcome.exit = Value::int(127).into();
        experiment.outcome.stderr = Some(Value::text("sh: nosuch: not found\n").into());
        let mut other = evidence.clone();
        other.machine.name = "guest:other".into();
        let notes = capture_notes(&investigation, &[&evidence, &other]);
        let [note] = &notes[..] else {
            panic!("{notes:?}")
        };
        let start = format!(
            "{}, guest:other: experiment `create`: ",
            evidence.machine.name
        );
        assert!(note.message.starts_with(&start), "{}", note.message);
        assert!(
            note.message.contains("status 127: sh: nosuch: not found"),
            "{}",
            note.message
        );
        let planned = investigation.experiment("create").unwrap();
        assert_eq!(note.place.as_ref().unwrap().1, planned.span);
    }

    /// Check that returns that were not seen are told, with what the evidence says of them.
    #[test]
    fn missed_returns() {
        let text = include_bytes!("../../testdata/two-experiments.json");
        let mut evidence = crate::reader::read(text).unwrap();
        let quality = &mut evidence.experiments.values_mut().next().unwrap().quality;
        quality.missed = 2;
        quality.notes = vec![
            "2 returns of f were not seen".into(),
            "3 hits of g are left out".into(),
        ];
        let report = texts(&evidence).concat();
        assert!(
            report.ends_with(
                "2 returns of f were not seen, so silence and counts prove nothing in it"
            ),
            "{report}"
        );
    }

    /// Check that an experiment without an event is told with what its workload came to, what was attached, and what to try
    /// instead of another capture.
    #[test]
    fn no_event() {
        let text = include_bytes!("../../testdata/two-experiments.json");
        let mut evidence = crate::reader::read(text).unwrap();
        let experiment = evidence.experiments.values_mut().next().unwrap();
        experiment.quality.events = 0;
        experiment.outcome.returned = Value::Errno {
            value: -2,
            name: "ENOENT".into(),
        }
        .into();
        experiment.call = Some(crate::document::CallSite {
            function: Address(0),
            instruction: Address(0),
            code: Vec::new(),
        });
        let report = texts(&evidence).concat();
        assert!(
            report.contains("ENOENT") && report.contains("sys_exit"),
            "{report}"
        );
        assert!(
            report.contains(". Attached: `") && !report.contains("capture again"),
            "{report}"
        );
        let experiment = evidence.experiments.values_mut().next().unwrap();
        experiment.call = None;
        experiment.outcome.returned = Datum::unavailable("a command has no return value");
        experiment.outcome.exit = Value::int(127).into();
        let report = texts(&evidence).concat();
        for word in [
            "though the workload's command ran, and ended with status 127",
            "`programs`",
            "follow",
        ] {
            assert!(report.contains(word), "{word}: {report}");
        }
    }

    /// Check that a command which did not find a program is told with what it said, one that failed and complained, too,
    /// and one that ended with another status on purpose is not.
    #[test]
    fn commands_that_failed() {
        let text = include_bytes!("../../testdata/two-experiments.json");
        let evidence = crate::reader::read(text).unwrap();
        let report = |status: i32, stderr: &str, is_call: bool| {
            let mut evidence = evidence.clone();
            let experiment = evidence.experiments.values_mut().next().unwrap();
            if !is_call {
                experiment.call = None;
            } else {
                experiment.call = Some(crate::document::CallSite {
                    function: Address(0),
                    instruction: Address(0),
                    code: Vec::new(),
                });
            }
            experiment.outcome.exit = Value::int(status).into();
            experiment.outcome.stderr = Some(Value::text(stderr).into());
            texts(&evidence).concat()
        };
        let missing = report(127, "sh: 1: ls: not found\n", false);
        assert!(
            missing.contains("status 127: sh: 1: ls: not found; a program"),
            "{missing}"
        );
        assert!(report(127, "", false).contains("`programs`"));
        assert!(report(126, "", false).contains("may not be executed"));
        assert!(report(2, "Can't locate strict.pm", false).contains("status 2: Can't locate"));
        let long = report(7, &"ä".repeat(70_000), false);
        assert!(
            long.chars().count() < 500 && long.contains("ä… (all of it is in `outcome.stderr`)"),
            "{long}"
        );
        let mut host = evidence.clone();
        host.machine.kind = MachineKind::Host;
        let experiment = host.experiments.values_mut().next().unwrap();
        experiment.call = None;
        experiment.outcome.exit = Value::int(2).into();
        experiment.outcome.stderr = Some(Value::text("/home/somebody: no such folder").into());
        let reported = texts(&host).concat();
        assert!(
            reported.contains("status 2: `outcome.stderr`") && !reported.contains("somebody"),
            "{reported}"
        );
        let lost = report(
            0,
            "sh: 1: date: not found\nx\nsh: 1: sort: not found\n",
            false,
        );
        for part in [
            "status 0: sh: 1: date: not found; sh: 1: sort: not found; a program",
            "`programs`",
        ] {
            assert!(lost.contains(part), "{lost}");
        }
        for quiet in [
            report(0, "cat: x: No such file or directory", false),
            report(5, "", false),
            report(0, "a note", false),
            report(127, "", true),
        ] {
            assert_eq!(quiet, "");
        }
    }

    /// Check that a capture counts as failed where a shell, `env` or this program says that a program is not there or may not be
    /// executed, and not where a command ends with the same status by itself.
    #[test]
    fn missing_programs() {
        let text = include_bytes!("../../testdata/two-experiments.json");
        let evidence = crate::reader::read(text).unwrap();
        let fails = |status: i32, stderr: &str| {
            let mut evidence = evidence.clone();
            let experiment = evidence.experiments.values_mut().next().unwrap();
            experiment.call = None;
            experiment.outcome.exit = Value::int(status).into();
            experiment.outcome.stderr = Some(Value::text(stderr).into());
            let warnings = capture_warnings(&evidence);
            warnings.iter().any(|warning| warning.missing_program)
        };
        for (status, stderr) in [
            (127, "sh: 1: ls: not found\n"),
            (127, "bash: line 1: ls: command not found\nand more\n"),
            (127, "env: 'ls': No such file or directory\n"),
            (
                127,
                "cannot execute ls: No such file or directory (os error 2)",
            ),
            (126, "sh: 1: ./x: Permission denied\n"),
            (
                126,
                "bash: ./x: cannot execute binary file: Exec format error\n",
            ),
        ] {
            assert!(fails(status, stderr), "{status} {stderr}");
        }
        for (status, stderr) in [
            (127, ""),
            (127, "nothing of that kind"),
            (126, "sh: 1: ls: not found"),
            (1, "cat: x: No such file or directory"),
            (0, "sh: 1: ls: not found"),
        ] {
            assert!(!fails(status, stderr), "{status} {stderr}");
        }
    }

    fn second_timed_out(evidence: &mut Evidence, name: &str) {
        let experiment = evidence.experiments.get_mut(name).unwrap();
        experiment.quality.lost = 0;
        experiment.outcome.exit = Datum::unavailable(TIMED_OUT);
    }
}

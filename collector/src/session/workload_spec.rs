//! From an experiment to what its process is told. Pure.

use std::ops::Range;
use std::path::Path;
use std::time::Duration;

use qed_evidence::diagnostic::Diagnostic;
use qed_evidence::document::Target;
use qed_evidence::investigation::{
    Action, Argument, Experiment, Investigation, Stdin, Surroundings,
};

use crate::workload::{Arg, Around, Input, WorkloadKind, WorkloadSpec, names, names::UnknownName};

/// Names in an investigation that mean nothing on this architecture, each with its place and the nearest
/// name that does.
pub fn unknown_names(investigation: &Investigation) -> Vec<Diagnostic> {
    let mut problems = Vec::new();
    let mut note = |span: &Range<usize>, error: UnknownName| {
        let mut problem = Diagnostic::error(
            &investigation.source,
            span.clone(),
            format!("{} `{}` is not known", error.what, error.name),
        );
        let is_constant = error.what == "constant";
        problem.help = error
            .nearest
            .map(|near| format!("did you mean `{near}`?"))
            .or_else(|| is_constant.then(|| help_on(&error.name)));
        problems.push(problem);
    };
    for experiment in &investigation.experiments {
        if let Action::Syscall {
            name, span, args, ..
        } = &experiment.workload.action
        {
            if let Err(error) = names::syscall(name) {
                note(span, error);
            }
            for arg in args {
                if let Argument::Constant { text, span } = arg
                    && let Err(error) = names::constant(text)
                {
                    note(span, error);
                }
            }
        }
        for (name, _) in &experiment.workload.limits {
            if let Err(error) = names::resource(name) {
                note(&experiment.span, error);
            }
        }
        for probe in &experiment.probes {
            if let (Some(name), Target::Tracepoint(_)) = (&probe.syscall, &probe.target)
                && let Err(error) = names::syscall(name)
            {
                note(&probe.span, error);
            }
            if let Some(signal) = &probe.signal
                && let Err(error) = names::signal(&signal.name)
            {
                note(&probe.span, error);
            }
        }
    }
    // What an experiment inherits is written once.
    qed_evidence::diagnostic::sort(&mut problems);
    problems.dedup();
    problems
}

/// Advice about a word that is no known constant: it is one that is not known here, or was meant as a text.
fn help_on(word: &str) -> String {
    let of_constant = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
    match !word.is_empty() && word.chars().all(of_constant) {
        true => "only constants of the C library's headers have names here: write its number, as `5` or `\"0x5\"`".into(),
        false => "a text is written { text = \"TEXT\" }".into(),
    }
}

/// The workload of an experiment, with the numbers that names stand for. `folder` is where its paths begin.
pub fn workload_spec(
    experiment: &Experiment,
    folder: Option<&Path>,
) -> anyhow::Result<WorkloadSpec> {
    let kind = match &experiment.workload.action {
        Action::Command(command) => WorkloadKind::Command(command.clone()),
        Action::Syscall { name, args, .. } => WorkloadKind::Syscall {
            number: names::syscall(name)?,
            name: name.clone(),
            args: args
                .iter()
                .map(|arg| {
                    Ok(match arg {
                        Argument::Int(value) => Arg::Int(*value),
                        Argument::Constant { text, .. } => Arg::Int(names::constant(text)?),
                        Argument::Text(text) => Arg::Str(text.clone()),
                        Argument::Buffer { name, size, .. } => Arg::Buffer {
                            size: *size,
                            name: name.clone(),
                        },
                    })
                })
                .collect::<anyhow::Result<_>>()?,
        },
    };
    Ok(WorkloadSpec {
        kind,
        limits: experiment
            .workload
            .limits
            .iter()
            .map(|(name, value)| Ok((names::resource(name)?, *value)))
            .collect::<anyhow::Result<_>>()?,
        drop_capabilities: experiment.workload.drop_capabilities,
        warm_up: experiment.warm_up,
        threads: experiment.workload.threads,
        max_output: experiment.max_output as usize,
        timeout: Duration::from_millis(experiment.timeout_ms),
        around: around(&experiment.workload.around, folder),
    })
}

/// What a workload finds around it, as its process is told. `folder` is where paths begin.
fn around(asked: &Surroundings, folder: Option<&Path>) -> Around {
    Around {
        folder: folder.map(Path::to_owned),
        cwd: asked.cwd.clone(),
        env: asked.env.clone().into_iter().collect(),
        stdin: asked.stdin.as_ref().map(|stdin| match stdin {
            Stdin::Text(text) => Input::Text(text.clone()),
            Stdin::File(file) => Input::File(file.name.clone()),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use qed_evidence::investigation::parse;

    /// Check that a constant that is not known and a text in its place get the advice that fits each.
    #[test]
    fn advice() {
        for (word, advice) in [
            ("BPF_MAP_CREATE", "write its number"),
            ("ZZZ9", "write its number"),
            ("/etc/passwd", "a text is written"),
            ("hello", "a text is written"),
        ] {
            let text = format!(
                "[[experiment]]\nname = \"e\"\nworkload = {{ syscall = \"bpf\", args = [\"{word}\"] }}\n\
                 [[experiment.probe]]\nfunction = \"f\"\n"
            );
            let investigation = parse("i.toml", &text).unwrap();
            let problems = unknown_names(&investigation);
            let help = problems[0].help.as_deref().unwrap();
            assert!(help.contains(advice), "{word}: {help}");
        }
    }
}

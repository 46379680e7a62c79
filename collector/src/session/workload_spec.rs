//! Conversion of an experiment to the instructions for its process. Pure.

use std::ops::Range;
use std::path::Path;
use std::time::Duration;

use qed_evidence::diagnostic::Diagnostic;
use qed_evidence::document::Target;
use qed_evidence::investigation::{
    Action, Argument, Experiment, Investigation, Stdin, Surroundings,
};

use crate::workload::{
    Input, WorkloadEnvironment, WorkloadKind, WorkloadSpec, names, names::UnknownName,
};

/// Names in an investigation that mean nothing on this architecture, each with its place and the nearest
/// name that does.
pub fn find_unknown_names(investigation: &Investigation) -> Vec<Diagnostic> {
    let mut problems = Vec::new();
    let mut note = |span: &Range<usize>, error: UnknownName| {
        let mut problem = Diagnostic::error(
            &investigation.source,
            span.clone(),
            format!("{} `{}` is not known", error.what, error.name),
        );
        // What looks like a constant and resembles none is left to the plan.
        let is_constant = error.what == "constant";
        problem.help = error
            .nearest
            .map(|near| format!("did you mean `{near}`?"))
            .or_else(|| is_constant.then(|| "a text is written { text = \"TEXT\" }".into()));
        problems.push(problem);
    };
    for experiment in &investigation.experiments {
        let workload = &experiment.workload;
        let last = match &workload.action {
            Action::Syscall { name, span, .. } => Some((name, span)),
            Action::Command(_) => None,
        };
        let earlier = workload
            .earlier_calls()
            .map(|call| (&call.name, &call.span));
        for (name, span) in earlier.chain(last) {
            if let Err(error) = names::syscall_number(name) {
                note(span, error);
            }
        }
        // Constants in structures may be the kernel's own, or addresses: the plan knows.
        for arg in workload.plain_arguments() {
            if let Argument::Constant { text, span } = arg
                && let Err(error) = names::constant_value(text)
                && !may_be_kernel_constant(&error)
            {
                note(span, error);
            }
        }
        for (name, _) in &experiment.workload.limits {
            if let Err(error) = names::resource_number(name) {
                note(&experiment.span, error);
            }
        }
        for probe in &experiment.probes {
            if let (Some(name), Target::Tracepoint(_)) = (&probe.syscall, &probe.target)
                && let Err(error) = names::syscall_number(name)
            {
                note(&probe.span, error);
            }
            if let Some(signal) = &probe.signal
                && let Err(error) = names::signal_number(&signal.name)
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

/// True of a name that looks like a constant, but not like a known one with a letter that is wrong: enumerations of the kernel
/// may have it, which the plan asks. `KCMP_FILE` resembles `O_TMPFILE`, and kernels have it.
fn may_be_kernel_constant(error: &UnknownName) -> bool {
    let mut known = names::constant_names();
    let is_misspelt = known.any(|name| strsim::osa_distance(name, &error.name) <= 1);
    looks_like_constant(&error.name) && !is_misspelt
}

fn looks_like_constant(word: &str) -> bool {
    let of_constant = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
    word.starts_with(|c: char| c.is_ascii_uppercase() || c == '_') && word.chars().all(of_constant)
}

/// The workload of an experiment, as it was `planned`. `folder` is where its paths begin.
pub fn workload_spec(
    experiment: &Experiment,
    planned: &WorkloadKind,
    folder: Option<&Path>,
) -> Result<WorkloadSpec, UnknownName> {
    Ok(WorkloadSpec {
        kind: planned.clone(),
        limits: experiment
            .workload
            .limits
            .iter()
            .map(|(name, value)| Ok((names::resource_number(name)?, *value)))
            .collect::<Result<_, UnknownName>>()?,
        drop_capabilities: experiment.workload.drop_capabilities,
        warm_up: experiment.warm_up,
        threads: experiment.workload.threads,
        max_output: experiment.max_output as usize,
        timeout: Duration::from_millis(experiment.timeout_ms),
        around: workload_environment(&experiment.workload.around, folder),
    })
}

/// The surroundings of a workload, as its process gets them. `folder` is where paths begin.
fn workload_environment(requested: &Surroundings, folder: Option<&Path>) -> WorkloadEnvironment {
    WorkloadEnvironment {
        folder: folder.map(Path::to_owned),
        cwd: requested.cwd.clone(),
        env: requested.env.clone().into_iter().collect(),
        stdin: requested.stdin.as_ref().map(|stdin| match stdin {
            Stdin::Text(text) => Input::Text(text.clone()),
            Stdin::File(file) => Input::File(file.name.clone()),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use qed_evidence::investigation::parse;

    /// Check that a misspelt constant and a text in its place get the advice that fits each, and that what a kernel may
    /// have is left to the plan.
    #[test]
    fn advice() {
        for (word, advice) in [
            ("SOCK_STREM", Some("did you mean `SOCK_STREAM`")),
            ("/etc/passwd", Some("a text is written")),
            ("hello", Some("a text is written")),
            ("0x", Some("a text is written")),
            ("AF_INTE", Some("did you mean `AF_INET`")),
            ("O_RDWR|O_CLOEXC", Some("did you mean `O_CLOEXEC`")),
            // Kernels have these, which resemble others.
            ("KCMP_FILE", None),
            ("IPPROTO_ETHERNET", None),
            ("TCP_NLA_BUSY", None),
            ("BPF_MAP_CREATE", None),
            ("ZZZ9", None),
        ] {
            let text = format!(
                "[[experiment]]\nname = \"e\"\nworkload = {{ syscall = \"bpf\", args = [\"{word}\"] }}\n\
                 [[experiment.probe]]\nfunction = \"f\"\n"
            );
            let investigation = parse("i.toml", &text).unwrap();
            let problems = find_unknown_names(&investigation);
            match advice {
                Some(advice) => {
                    let help = problems[0].help.as_deref().unwrap();
                    assert!(help.contains(advice), "{word}: {help}");
                }
                None => assert_eq!(problems, [], "{word}"),
            }
        }
    }
}

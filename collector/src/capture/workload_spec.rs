//! From an experiment to what its process is told. Pure.

use std::time::Duration;

use qed_evidence::investigation::{Action, Argument, Experiment};

use crate::workload::{Arg, WorkloadKind, WorkloadSpec, names};

/// The workload of an experiment, with the numbers that names stand for.
pub fn workload_spec(experiment: &Experiment) -> anyhow::Result<WorkloadSpec> {
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
        timeout: Duration::from_millis(experiment.timeout_ms),
    })
}

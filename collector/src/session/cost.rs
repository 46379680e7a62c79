//! The time that a call takes without probes.

use qed_evidence::investigation::Experiment;

use super::attempt::measure_call_time;
use super::boundary::SessionMachine;
use crate::reason::Reason;
use crate::workload::WorkloadSpec;

/// The median time of each call whose cost is wanted, before anything is attached.
pub(super) async fn measure_bare_time<M: SessionMachine>(
    machine: &mut M,
    experiments: &[Experiment],
    specs: &[Result<WorkloadSpec, Reason>],
    progress: &dyn Fn(&str),
) -> Vec<Option<u64>> {
    let mut bare = Vec::new();
    for (experiment, spec) in experiments.iter().zip(specs) {
        bare.push(match spec {
            Ok(spec) if experiment.cost => {
                let bare_ns = measure_call_time(machine, spec, |_| Ok(())).await;
                progress("timed the call without probes");
                report_failure(bare_ns, &experiment.name, progress)
            }
            _ => None,
        });
    }
    bare
}

/// Report a failure to the progress alone, because the rest of the capture is none the worse; else the measured time.
pub(super) fn report_failure(
    measured: anyhow::Result<u64>,
    name: &str,
    progress: &dyn Fn(&str),
) -> Option<u64> {
    measured
        .map_err(|error| {
            progress(&format!(
                "{name}: what the probes cost was not measured: {error:#}"
            ));
        })
        .ok()
}

//! The time that a call takes without probes.

use qed_evidence::investigation::Experiment;

use super::attempt::measure_call_time;
use super::boundary::SessionMachine;
use crate::reason::Reason;
use crate::workload::WorkloadSpec;

/// The median time of the bare call of each experiment that was timed with its probes, in nanoseconds, while nothing is attached. These
/// calls come last, because each may change what the next one finds. `left_over`: why the kernel's code is not as it was.
pub(super) async fn measure_bare_calls<M: SessionMachine>(
    machine: &mut M,
    (experiments, specs): (&[Experiment], &[Result<WorkloadSpec, Reason>]),
    probed: &[Option<u64>],
    left_over: Option<&str>,
    progress: &dyn Fn(&str),
) -> Vec<Option<u64>> {
    let mut bare = vec![None; experiments.len()];
    for (number, experiment) in experiments.iter().enumerate() {
        let (Some(_), Ok(spec)) = (probed[number], &specs[number]) else {
            continue;
        };
        let bare_ns = match left_over {
            Some(reason) => Err(anyhow::anyhow!("{reason}")),
            None => measure_call_time(machine, spec, |_| Ok(())).await,
        };
        progress("timed the call without probes");
        bare[number] = report_failure(bare_ns, &experiment.name, progress);
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

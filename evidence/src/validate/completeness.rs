//! Checks of an experiment's count of missed returns, and of the time that its events took.

use std::collections::BTreeMap;

use super::finding::Finding;
use crate::document::instances::Instances;
use crate::document::pointer::escape;
use crate::document::{Experiment, Hit, Probe, Target};
use crate::investigation::{Action, Experiment as PlannedExperiment};

/// Check that returns that were watched for and not seen are counted, but for functions that never return.
pub(super) fn check_missed_returns(
    at: &str,
    requested: &PlannedExperiment,
    found: &Experiment,
    instances: &BTreeMap<String, Instances>,
) -> Option<Finding> {
    // A call that did not return because the process was killed or ended in it is not missed.
    found.outcome.exit.value()?;
    let is_call = matches!(requested.workload.action, Action::Syscall { .. });
    if is_call && found.outcome.returned.value().is_none() {
        return None;
    }
    let unseen = |(name, probe): (&String, &Probe)| -> u64 {
        let never_returns = match &probe.target {
            Target::Function(function) => (instances.get(function))
                .is_some_and(|instances| instances.never_returns == Some(true)),
            _ => false,
        };
        if never_returns
            || !requested
                .probe(name)
                .is_some_and(|requested| requested.watch_return)
        {
            return 0;
        }
        let hits = probe.hits.iter();
        let open = hits.filter(|hit| hit.order.is_some() && hit.return_order.is_none());
        open.count() as u64
    };
    let counted: u64 = found.probes.iter().map(unseen).sum();
    let missed = found.quality.missed;
    (counted > missed).then(|| {
        let reason = format!("{counted} calls have no return, and {missed} are counted as missed");
        (format!("{at}/quality/missed"), reason)
    })
}

/// The time that an experiment may take beyond the limits of its steps, in nanoseconds.
const SLACK_NS: u64 = 60_000_000_000;

/// Check that events occur while the experiment runs: the workload has its time limit to prepare, to run and to end, and its objects have
/// their own limit to be freed.
pub(super) fn check_event_times(
    at: &str,
    requested: &PlannedExperiment,
    found: &Experiment,
) -> Option<Finding> {
    let limit_ms = requested.timeout_ms.saturating_mul(4);
    let limit_ms = limit_ms.saturating_add(requested.grace_ms);
    let limit = limit_ms.saturating_mul(1_000_000).saturating_add(SLACK_NS);
    found.probes.iter().find_map(|(name, probe)| {
        let late = |hit: &Hit| hit.time_ns.max(hit.return_time_ns) > Some(limit);
        let index = probe.hits.iter().position(late)?;
        let reason = format!(
            "the experiment was over by then: it takes {} ms at most",
            limit / 1_000_000
        );
        Some((format!("{at}/probes/{}/hits/{index}", escape(name)), reason))
    })
}

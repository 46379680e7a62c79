//! Check of the processes whose events were recorded against the number of processes in the document.

use std::collections::BTreeSet;

use super::finding::Finding;
use crate::document::Experiment;
use crate::document::pointer::escape;
use crate::investigation::Experiment as PlannedExperiment;

/// Check that descendants are followed only where the investigation asks for it, and that those that were seen were followed.
pub(super) fn check_followed_processes(
    at: &str,
    requested: &PlannedExperiment,
    found: &Experiment,
) -> Option<Finding> {
    let descendants = found.quality.descendants.as_ref()?;
    if !requested.follow && descendants.followed > 0 {
        let reason = "the investigation does not follow what the workload starts".into();
        return Some((format!("{at}/quality/descendants/followed"), reason));
    }
    let mut seen = BTreeSet::new();
    for (name, probe) in &found.probes {
        // What frees counts in whatever task.
        let own = requested
            .probe(name)
            .is_some_and(|requested| !requested.any_task && requested.frees.is_none());
        if !own {
            continue;
        }
        for (index, hit) in probe.hits.iter().enumerate() {
            seen.insert(hit.task.pid);
            let others = seen.len().saturating_sub(1) as u64;
            if others > descendants.followed {
                let reason = format!(
                    "process {} is another one than those before, and {} that the workload started were followed",
                    hit.task.pid, descendants.followed
                );
                let at = format!("{at}/probes/{}/hits/{index}/task", escape(name));
                return Some((at, reason));
            }
        }
    }
    None
}

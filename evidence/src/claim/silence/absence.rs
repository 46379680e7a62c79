//! Reasons why the silence of one probe proves nothing.

use super::lookup::{find_planned_probe, has_fired};
use super::short::undercount_reasons;
use crate::path_index::resolve::{Catalog, Indexed};

/// The reasons why a probe's silence is not evidence: a hit could have gone unseen. (If the probe did fire, the claim is false.)
pub(super) fn unproven_absence_reasons(
    name: &str,
    catalog: &Catalog<'_>,
    machine: &Indexed<'_>,
) -> Vec<String> {
    let Some((experiment, plan)) = find_planned_probe(name, catalog) else {
        return Vec::new(); // The evaluation of the call reports an unknown probe.
    };
    let mut reasons = missed_return_reasons(experiment, machine);
    if has_fired(machine, experiment, plan) {
        return reasons;
    }
    reasons.extend(undercount_reasons(experiment, plan, catalog, machine));
    let seen_elsewhere = catalog.investigation.experiments.iter().any(|other| {
        other.name != experiment
            && other
                .probes
                .iter()
                .any(|p| p.has_same_target(plan) && has_fired(machine, &other.name, p))
    });
    if !seen_elsewhere {
        let probe = &plan.name;
        reasons.push(format!(
            "nothing shows that `{probe}` would have been seen: it fired in no other experiment on this machine; \
             add one that makes it fire"
        ));
    }
    reasons
}

/// A return that went unseen may be that of a call whose entry is not watched.
fn missed_return_reasons(experiment: &str, machine: &Indexed<'_>) -> Vec<String> {
    let seen = machine.evidence.experiments.get(experiment);
    let missed = seen.map_or(0, |seen| seen.quality.missed);
    let reason = || format!("experiment `{experiment}` missed {missed} returns");
    (missed > 0).then(reason).into_iter().collect()
}

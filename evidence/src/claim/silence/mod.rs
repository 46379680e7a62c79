//! Reasons why silence and counts prove nothing: all that claims about `never`, `fired`, `hits` and `freed` rest on.

use crate::document::Probe;
use crate::investigation::Probe as Planned;
use crate::path::SECTIONS;
use crate::resolve::{Catalog, Indexed};
use crate::value::Value;

use super::expression::ReadPath;
use super::functions::{Function, Reads};
use super::node::{Node, NodeKind};

mod experiment;
mod instances;

/// Why a count of nothing is not evidence that there was nothing. It is what [`conditions`] says of the functions that
/// read the same counts, so that no claim gets around them by reading the leaf itself.
pub(super) fn says_nothing(
    read: &ReadPath,
    value: &Value,
    catalog: &Catalog<'_>,
    machine: &Indexed<'_>,
) -> Option<String> {
    let names: Vec<&str> = read.path.split('.').collect();
    let zero = value.as_integer() == Some(0);
    let reasons = match names[..] {
        [experiment, probe, "hits"] if zero && !SECTIONS.contains(&experiment) => {
            absence(&format!("{experiment}.{probe}"), catalog, machine)
        }
        [experiment, "objects", leaf] if !read.by_function => {
            let mut reasons = watched(experiment, catalog, machine);
            let ledger = machine.evidence.experiments.get(experiment);
            let nothing = ledger
                .and_then(|experiment| experiment.objects.as_ref())
                .is_some_and(|ledger| ledger.allocations.is_empty());
            if leaf == "leaked" && nothing {
                reasons.push(
                    "nothing was allocated, so nothing shows that a leak would be seen".into(),
                );
            }
            reasons
        }
        _ => Vec::new(),
    };
    (!reasons.is_empty()).then(|| reasons.join("; "))
}

/// Why the evidence cannot bear what the function says, beyond the values it reads.
pub(super) fn conditions(
    function: &Function,
    args: &[Node],
    catalog: &Catalog<'_>,
    machine: &Indexed<'_>,
) -> Vec<String> {
    let names = args.iter().filter_map(|arg| match &arg.kind {
        NodeKind::Path(path) => Some(path.as_str()),
        _ => None,
    });
    names
        .flat_map(|name| match function.reads {
            Reads::Absence => absence(name, catalog, machine),
            Reads::Ledger => watched(name, catalog, machine),
            _ => Vec::new(),
        })
        .collect()
}

/// That a probe did not fire says something only if it would have been seen. (One that did fire was seen: the
/// claim is false.)
fn absence(name: &str, catalog: &Catalog<'_>, machine: &Indexed<'_>) -> Vec<String> {
    let Some((experiment, probe)) = name.split_once('.') else {
        return Vec::new();
    };
    let Some(plan) = catalog
        .investigation
        .experiment(experiment)
        .and_then(|e| e.probe(probe))
    else {
        return Vec::new(); // `find` has complained.
    };
    let mut reasons = missed_returns(experiment, machine);
    reasons.extend(short(experiment, probe, machine));
    let seen_elsewhere = catalog.investigation.experiments.iter().any(|other| {
        other.name != experiment
            && other
                .probes
                .iter()
                .any(|p| p.watches_the_same(plan) && fired(machine, &other.name, p))
    });
    if !seen_elsewhere && !fired(machine, experiment, plan) {
        reasons.push(format!(
            "nothing shows that `{probe}` would have been seen: it fired in no other experiment on this machine; \
             add one that makes it fire"
        ));
    }
    reasons
}

/// Why the hits of one probe may be fewer than there were: what was not watched, and what may have gone on unseen.
fn short(experiment: &str, probe: &str, machine: &Indexed<'_>) -> Vec<String> {
    let mut reasons = experiment::reasons(experiment, machine);
    reasons.extend(instances::reasons(experiment, probe, machine));
    reasons
}

/// A return that went unseen may be that of a call whose entry is not watched.
fn missed_returns(experiment: &str, machine: &Indexed<'_>) -> Vec<String> {
    let seen = machine.evidence.experiments.get(experiment);
    let missed = seen.map_or(0, |seen| seen.quality.missed);
    let reason = || format!("experiment `{experiment}` missed {missed} returns");
    (missed > 0).then(reason).into_iter().collect()
}

/// Whether the probe as it is planned fired in this experiment.
fn fired(machine: &Indexed<'_>, experiment: &str, plan: &Planned) -> bool {
    let Some(experiment) = machine.evidence.experiments.get(experiment) else {
        return false;
    };
    let fired = |probe: &Probe| {
        probe.unavailable.is_none() && !probe.hits.is_empty() && probe.target == plan.target
    };
    experiment.broken().is_none()
        && experiment.unavailable.is_none()
        && experiment.probes.get(&plan.name).is_some_and(fired)
}

/// A ledger says something only if all probes that watch allocations and frees were attached.
fn watched(name: &str, catalog: &Catalog<'_>, machine: &Indexed<'_>) -> Vec<String> {
    let experiment = name.split('.').next().unwrap_or(name);
    let (Some(plan), Some(seen)) = (
        catalog.investigation.experiment(experiment),
        machine.evidence.experiments.get(experiment),
    ) else {
        return Vec::new();
    };
    plan.probes
        .iter()
        .filter(|probe| probe.allocates.is_some() || probe.frees.is_some())
        .filter_map(|probe| {
            let reason = match seen.probes.get(&probe.name) {
                None => "the evidence does not hold it".to_owned(),
                Some(seen) => seen.unavailable.clone()?,
            };
            Some(format!(
                "`{experiment}.{}` did not watch: {reason}",
                probe.name
            ))
        })
        .collect()
}

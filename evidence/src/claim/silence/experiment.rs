//! Reasons that apply to a whole experiment: activity that none of its probes could see.

use crate::claim::ast::{Node, NodeKind};
use crate::claim::builtins::{Function, Reads};
use crate::document::{Experiment, Graph};
use crate::investigation::Probe as PlannedProbe;
use crate::observation;
use crate::path::{SECTIONS, hit_number};
use crate::path_index::resolve::{Catalog, Indexed};

/// The reason why the hits of a probe may be fewer than there were.
pub(super) fn reasons(
    experiment: &str,
    planned: &PlannedProbe,
    catalog: &Catalog<'_>,
    machine: &Indexed<'_>,
) -> Vec<String> {
    let plan = catalog.investigation.experiment(experiment);
    let seen = machine.evidence.experiments.get(experiment);
    let (Some(plan), Some(seen)) = (plan, seen) else {
        return Vec::new();
    };
    let mut reasons = observation::missed_hit_reasons(plan, seen, planned);
    reasons.extend(earlier_run_reason(seen, planned, machine));
    reasons
}

/// The reason why the run may have found what an earlier run of the same workload left on the machine, and gone another way for that: a
/// folder that is made once, a cache that is filled. The tree of the one earlier run shows that it went the same way, if the function ran
/// there as often as it was hit.
fn earlier_run_reason(
    seen: &Experiment,
    planned: &PlannedProbe,
    machine: &Indexed<'_>,
) -> Option<String> {
    let earlier = match seen.quality.attempts {
        Some(1) => return None,
        Some(runs) => runs.saturating_sub(1),
        None => {
            return Some(
                "this evidence does not say whether the workload had run on this machine before: capture again".into(),
            );
        }
    };
    let graph = seen.graph.as_ref();
    let traced = graph.filter(|graph| earlier == 1 && graph.unavailable.is_none());
    let same_in_tree = |graph: &Graph| {
        let probe = seen.probes.get(&planned.name)?;
        let function = probe.target.function()?;
        let inlined = machine.evidence.instances.get(function)?.inlined.as_ref()?;
        Some(inlined.is_empty() && graph.count(function) == probe.hits.len())
    };
    if traced.and_then(same_in_tree) == Some(true) {
        return None;
    }
    Some(format!(
        "the run that the probes watched was not the workload's first one on this machine, but number {}, and may have found what the \
         first one left behind: in a guest it is the first",
        earlier + 1
    ))
}

/// The reasons why the hits of a probe may not be those of the workload's call.
pub(super) fn foreign_hit_reasons(
    experiment: &str,
    planned: &PlannedProbe,
    machine: &Indexed<'_>,
) -> Vec<String> {
    let seen = machine.evidence.experiments.get(experiment);
    seen.map_or_else(Vec::new, |seen| {
        observation::foreign_hit_reasons(seen, planned)
    })
}

/// The reasons why a leaf proves nothing that says how complete the experiment is, or the order of its events.
pub(super) fn leaf_reasons(names: &[&str], machine: &Indexed<'_>) -> Vec<String> {
    let Some(seen) = names
        .first()
        .filter(|name| !SECTIONS.contains(name))
        .and_then(|name| machine.evidence.experiments.get(*name))
    else {
        return Vec::new();
    };
    match names {
        [_, "quality", "lost" | "missed" | "events"] => {
            let skipped =
                |(name, probe): (&String, _)| observation::skipped_hits_reason(name, probe);
            let skipped = seen.probes.iter().filter_map(skipped);
            let mut reasons: Vec<String> = skipped.collect();
            if names[2] == "events" {
                reasons.extend(observation::deferred_work_reason(seen));
                reasons.extend(observation::foreign_event_reasons(seen));
            }
            reasons
        }
        [_, "quality", "descendants"] => {
            let uncounted = seen
                .quality
                .descendants
                .filter(|one| one.followed < one.started);
            let reason = "children of processes that the probes do not follow are not counted: `follow = true` counts them";
            uncounted.map(|_| reason.into()).into_iter().collect()
        }
        [_, _, "order" | "return_order"] | [_, _, _, "order" | "return_order"] => {
            observation::unmarked_reason(seen).into_iter().collect()
        }
        _ => Vec::new(),
    }
}

/// The reasons why a function of a claim cannot be computed from its arguments: an order of events that may not be the
/// workload's, or a stack in which the place of an interrupt is not known.
pub(super) fn function_reasons(
    function: &Function,
    args: &[Node],
    machine: &Indexed<'_>,
) -> Vec<String> {
    let paths = args.iter().filter_map(|arg| match &arg.kind {
        NodeKind::Path(path) => Some(path.segments().collect::<Vec<_>>()),
        _ => None,
    });
    let mut reasons: Vec<String> = Vec::new();
    for names in paths {
        let seen = names
            .first()
            .and_then(|name| machine.evidence.experiments.get(*name));
        let Some(seen) = seen else { continue };
        if matches!(function.reads, Reads::Leaves(_)) {
            reasons.extend(observation::unmarked_reason(seen));
        }
        if function.name == "calls" && names.last() == Some(&"stack") {
            let hits = names
                .get(1)
                .and_then(|name| Some(&seen.probes.get(*name)?.hits));
            let nth = names.get(2).and_then(|name| hit_number(name)).unwrap_or(1);
            let hit = hits.and_then(|hits| hits.get(nth - 1));
            if hit.is_some_and(|hit| hit.context.is_none()) {
                reasons.push(
                    "it is not known where on the stack an interrupt or a fault came between"
                        .into(),
                );
            }
        }
    }
    reasons.dedup();
    reasons
}

//! Reasons why silence and counts prove nothing: the preconditions of claims with `never`, `fired`, `hits` and `freed`.

use std::ops::Range;

use crate::document::value::Value;
use crate::path::SECTIONS;
use crate::path_index::resolve::{Catalog, Indexed, probe_leaves};

use super::ast::{Node, NodeKind};
use super::builtins::{Function, Reads};
use super::parse::ReadPath;

mod bounds;
mod experiment;
mod grounds;
mod hooks;
mod instances;
mod ledger;
mod lookup;
mod short;
mod stacks;

use bounds::{Demand, counts_in};
pub(super) use grounds::grounds;
pub(super) use ledger::unseen_free;
use lookup::{fired, planned};
use short::why_undercounted;

/// The reason why a count of 0 does not prove that there was nothing. It is the one that [`conditions`] gives for the functions
/// that read the same counts, so that no claim evades them by reading the leaf itself.
pub(super) fn says_nothing(
    read: &ReadPath,
    value: &Value,
    catalog: &Catalog<'_>,
    machine: &Indexed<'_>,
) -> Vec<String> {
    let names: Vec<&str> = read.path.split('.').collect();
    let zero = value.as_integer() == Some(0);
    match names[..] {
        [experiment, probe, "hits"] if zero && !SECTIONS.contains(&experiment) => {
            why_absence_is_unproven(&format!("{experiment}.{probe}"), catalog, machine)
        }
        // `short_counts` decides whether there may have been more, because it knows the demand on the count.
        [experiment, probe, "hits"] if !SECTIONS.contains(&experiment) => {
            let plan = catalog.investigation.experiment(experiment);
            let planned = plan.and_then(|plan| plan.probe(probe));
            planned.map_or_else(Vec::new, |planned| {
                experiment::why_hits_may_be_foreign(experiment, planned, machine)
            })
        }
        [experiment, "objects", leaf] if !read.by_function => {
            ledger::count(experiment, leaf, catalog, machine)
        }
        ["boots", ..] => fewer_boots(catalog, machine).into_iter().collect(),
        _ => {
            let mut reasons = experiment::of_leaf(&names, machine);
            reasons.extend(which_hit(&names, catalog, machine));
            reasons
        }
    }
}

/// The reason why the evidence cannot bear what the function says, beyond the values it reads.
pub(super) fn conditions(
    node: &Node,
    (function, args): (&Function, &[Node]),
    catalog: &Catalog<'_>,
    machine: &Indexed<'_>,
) -> Vec<String> {
    if let Some(reason) = stacks::reason(node, (function, args), catalog, machine) {
        return vec![reason];
    }
    let names = args.iter().filter_map(|arg| match &arg.kind {
        NodeKind::Path(path) => Some(path.as_str()),
        _ => None,
    });
    let whole = experiment::of_function(function, args, machine);
    let of_names = names.flat_map(|name| match function.reads {
        Reads::Absence => why_absence_is_unproven(name, catalog, machine),
        Reads::Ledger => ledger::watched(name, catalog, machine),
        _ => Vec::new(),
    });
    of_names.chain(whole).collect()
}

/// The reason why counts of hits that are not zero may be other than they were, and where they stand. A claim that a
/// count is at least so many, which were seen, needs no more than those.
pub(super) fn short_counts(
    root: &Node,
    catalog: &Catalog<'_>,
    machine: &Indexed<'_>,
) -> Vec<(Range<usize>, String)> {
    let mut reasons = Vec::new();
    for (path, range, demand) in counts_in(root) {
        let Some((experiment, planned)) = planned(&path, catalog) else {
            continue; // `find` has complained.
        };
        let seen = machine.evidence.experiments.get(experiment);
        let probe = seen.and_then(|seen| seen.probes.get(&planned.name));
        let hits = probe.map_or(0, |probe| probe.hits.len());
        if hits == 0 {
            continue; // `says_nothing` knows.
        }
        let mut found = match demand {
            // The hits that were seen suffice for this claim.
            Demand::AtLeast(least) if least <= hits as i128 => {
                experiment::why_hits_may_be_foreign(experiment, planned, machine)
            }
            _ => why_undercounted(experiment, planned, catalog, machine),
        };
        found.extend(instances::counted_twice(experiment, planned, machine));
        reasons.extend(found.into_iter().map(|reason| (range.clone(), reason)));
    }
    reasons
}

/// Why a probe's silence is not evidence: a hit could have gone unseen. (If the probe did fire, the claim is false.)
fn why_absence_is_unproven(
    name: &str,
    catalog: &Catalog<'_>,
    machine: &Indexed<'_>,
) -> Vec<String> {
    let Some((experiment, plan)) = planned(name, catalog) else {
        return Vec::new(); // `find` has complained.
    };
    let mut reasons = missed_returns(experiment, machine);
    if fired(machine, experiment, plan) {
        return reasons;
    }
    reasons.extend(why_undercounted(experiment, plan, catalog, machine));
    let seen_elsewhere = catalog.investigation.experiments.iter().any(|other| {
        other.name != experiment
            && other
                .probes
                .iter()
                .any(|p| p.watches_the_same(plan) && fired(machine, &other.name, p))
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

/// The reason why what boots have in common may not be so: some of those that were wanted are not there, and one of
/// them could differ.
fn fewer_boots(catalog: &Catalog<'_>, machine: &Indexed<'_>) -> Option<String> {
    let (wanted, seen) = (catalog.investigation.boots, machine.evidence.boots.len());
    (seen < wanted as usize).then(|| {
        format!("the evidence has {seen} of the {wanted} boots that the investigation asks for: capture again")
    })
}

/// The reason why it is not known which of its probe's hits a path leads to: some that the probe should have had are
/// not recorded, and each of them may have come before.
fn which_hit(names: &[&str], catalog: &Catalog<'_>, machine: &Indexed<'_>) -> Vec<String> {
    let [experiment, probe, leaf, ..] = *names else {
        return Vec::new();
    };
    let of_hit = leaf != "members" && probe_leaves().all(|name| name != leaf);
    let name = format!("{experiment}.{probe}");
    let Some((experiment, requested)) = planned(&name, catalog).filter(|_| of_hit) else {
        return Vec::new();
    };
    let seen = machine.evidence.experiments.get(experiment);
    let Some(seen) = seen.and_then(|seen| seen.probes.get(probe)) else {
        return Vec::new(); // Its leaves are missing, which says so.
    };
    // Without a number it is the only one, and none that is left out may have come after it either.
    let number = leaf.strip_prefix("hit").and_then(|n| n.parse().ok());
    let left_out = || instances::left_out(requested, seen, number);
    crate::observation::skipped(probe, seen)
        .or_else(left_out)
        .map(|reason| format!("it is not known which hit of `{probe}` this is: {reason}"))
        .into_iter()
        .collect()
}

/// A return that went unseen may be that of a call whose entry is not watched.
fn missed_returns(experiment: &str, machine: &Indexed<'_>) -> Vec<String> {
    let seen = machine.evidence.experiments.get(experiment);
    let missed = seen.map_or(0, |seen| seen.quality.missed);
    let reason = || format!("experiment `{experiment}` missed {missed} returns");
    (missed > 0).then(reason).into_iter().collect()
}

//! Reasons why silence and counts prove nothing: the preconditions of claims with `never`, `fired`, `hits` and `freed`.

use std::ops::Range;

use crate::document::value::Value;
use crate::path::{SECTIONS, split_path};
use crate::path_index::resolve::{Catalog, Indexed, probe_leaves};

use super::ast::{Node, NodeKind, call_reads};
use super::builtins::{Function, Reads};
use super::parse::ReadPath;

mod absence;
mod bounds;
mod excuses;
mod experiment;
mod grounds;
mod hooks;
mod instances;
mod ledger;
mod lookup;
mod short;
mod stacks;
mod trees;

use absence::unproven_absence_reasons;
use bounds::{Demand, find_counts};
pub(super) use grounds::grounds;
pub(super) use ledger::find_unseen_free;
use lookup::find_planned_probe;
use short::undercount_reasons;
pub(super) use trees::find_denied_caller;

/// The reasons why a count of 0 does not prove that there was nothing: those that [`unproven_call_reasons`] gives for functions
/// that read the same counts, so that no claim evades them by reading the leaf itself.
pub(super) fn zero_count_reasons(
    read: &ReadPath,
    value: &Value,
    catalog: &Catalog<'_>,
    machine: &Indexed<'_>,
) -> Vec<String> {
    let names: Vec<&str> = split_path(&read.path).collect();
    let zero = value.as_integer() == Some(0);
    match names[..] {
        [experiment, probe, "hits"] if zero && !SECTIONS.contains(&experiment) => {
            unproven_absence_reasons(&format!("{experiment}.{probe}"), catalog, machine)
        }
        // `short_count_reasons` decides whether there may have been more, because it knows the demand on the count.
        [experiment, probe, "hits"] if !SECTIONS.contains(&experiment) => {
            let plan = catalog.investigation.experiment(experiment);
            let planned = plan.and_then(|plan| plan.probe(probe));
            planned.map_or_else(Vec::new, |planned| {
                experiment::foreign_hit_reasons(experiment, planned, machine)
            })
        }
        [experiment, "objects", leaf] if !read.by_function => {
            ledger::count_reasons(experiment, (leaf, value), catalog, machine)
        }
        ["boots", ..] => missing_boots_reason(catalog, machine).into_iter().collect(),
        _ => {
            let mut reasons = experiment::leaf_reasons(&names, machine);
            reasons.extend(ambiguous_hit_reasons(&names, catalog, machine));
            reasons
        }
    }
}

/// The reasons why the evidence cannot bear what the function says, beyond the values it reads.
pub(super) fn unproven_call_reasons(
    node: &Node,
    (function, args): (&Function, &[Node]),
    catalog: &Catalog<'_>,
    machine: &Indexed<'_>,
) -> Vec<String> {
    if let Some(reason) = stacks::absence_on_stack_reason(node, (function, args), catalog, machine)
    {
        return vec![reason];
    }
    let names = args.iter().filter_map(|arg| match &arg.kind {
        NodeKind::Path(path) => Some(path.as_str()),
        _ => None,
    });
    let whole = experiment::function_reasons(function, args, machine);
    let of_names = names.flat_map(|name| match function.reads {
        Reads::Absence => unproven_absence_reasons(name, catalog, machine),
        Reads::Ledger => ledger::incomplete_ledger_reasons(name, catalog, machine),
        _ => Vec::new(),
    });
    let of_trees = match function.reads {
        Reads::Runs | Reads::AllRuns => call_reads(function, args),
        _ => Vec::new(),
    };
    let of_trees = of_trees
        .iter()
        .filter_map(|key| trees::unwatched_run_reason(function, key, catalog, machine));
    of_names.chain(whole).chain(of_trees).collect()
}

/// The reasons why counts of hits that are not zero may be other than they were, and where they stand. A claim that a
/// count is at least so many, which were seen, needs no more than those.
pub(super) fn short_count_reasons(
    root: &Node,
    catalog: &Catalog<'_>,
    machine: &Indexed<'_>,
) -> Vec<(Range<usize>, String)> {
    let mut reasons = Vec::new();
    for (path, range, demand) in find_counts(root) {
        let Some((experiment, planned)) = find_planned_probe(&path, catalog) else {
            continue; // The evaluation of the call reports an unknown probe.
        };
        let seen = machine.evidence.experiments.get(experiment);
        let probe = seen.and_then(|seen| seen.probes.get(&planned.name));
        let hits = probe.map_or(0, |probe| probe.hits.len());
        if hits == 0 {
            continue; // `zero_count_reasons` knows.
        }
        let mut found = match demand {
            // The hits that were seen suffice for this claim.
            Demand::AtLeast(least) if least <= hits as i128 => {
                experiment::foreign_hit_reasons(experiment, planned, machine)
            }
            _ => undercount_reasons(experiment, planned, catalog, machine),
        };
        found.extend(instances::double_count_reason(experiment, planned, machine));
        reasons.extend(found.into_iter().map(|reason| (range.clone(), reason)));
    }
    reasons
}

/// The reason why what boots have in common may not be so: some of those that were wanted are not there, and one of
/// them could differ.
fn missing_boots_reason(catalog: &Catalog<'_>, machine: &Indexed<'_>) -> Option<String> {
    let (wanted, seen) = (catalog.investigation.boots, machine.evidence.boots.len());
    (seen < wanted as usize).then(|| {
        format!("the evidence has {seen} of the {wanted} boots that the investigation asks for: capture again")
    })
}

/// The reasons why it is not known which of its probe's hits a path leads to: some that the probe should have had are
/// not recorded, and each of them may have come before.
fn ambiguous_hit_reasons(
    names: &[&str],
    catalog: &Catalog<'_>,
    machine: &Indexed<'_>,
) -> Vec<String> {
    let [experiment, probe, leaf, ..] = *names else {
        return Vec::new();
    };
    let of_hit = leaf != "members" && probe_leaves().all(|name| name != leaf);
    let plan = catalog.investigation.experiment(experiment);
    let Some(requested) = plan.and_then(|plan| plan.probe(probe)).filter(|_| of_hit) else {
        return Vec::new();
    };
    let seen = machine.evidence.experiments.get(experiment);
    let Some(seen) = seen.and_then(|seen| seen.probes.get(probe)) else {
        return Vec::new(); // Its leaves are missing, which says so.
    };
    // Without a number it is the only one, and none that is left out may have come after it either.
    let number = leaf.strip_prefix("hit").and_then(|n| n.parse().ok());
    let left_out = || instances::left_out_hit_reason(requested, seen, number);
    crate::observation::skipped_hits_reason(probe, seen)
        .or_else(left_out)
        .map(|reason| format!("it is not known which hit of `{probe}` this is: {reason}"))
        .into_iter()
        .collect()
}

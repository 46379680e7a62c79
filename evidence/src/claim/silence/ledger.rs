//! Reasons why a ledger proves nothing: an allocation or a free may have gone unseen.

use std::ops::Range;

use crate::claim::ast::{Binary, Node, NodeKind};
use crate::claim::builtins::{NOTHING_ALLOCATED, Reads};
use crate::document::value::Value;
use crate::document::{Allocation, Experiment, Target};
use crate::investigation::{Experiment as PlannedExperiment, Probe as PlannedProbe};
use crate::path_index::resolve::{Catalog, Indexed};

use super::absence::unproven_absence_reasons;
use super::{excuses, experiment, instances};

/// The reasons why a count of a ledger, `EXPERIMENT.objects.LEAF`, proves nothing.
pub(super) fn count_reasons(
    name: &str,
    (leaf, count): (&str, &Value),
    catalog: &Catalog<'_>,
    machine: &Indexed<'_>,
) -> Vec<String> {
    let mut reasons = incomplete_ledger_reasons(name, catalog, machine);
    let Some(seen) = machine.evidence.experiments.get(name) else {
        return reasons;
    };
    let nothing = (seen.objects.as_ref()).is_some_and(|ledger| ledger.allocations.is_empty());
    if nothing {
        reasons.extend(unproven_allocation_reasons(name, catalog, machine));
        if leaf == "leaked" {
            reasons.push(NOTHING_ALLOCATED.into());
        }
    }
    // That nothing leaked is true of two rows of one object as of one.
    if leaf != "leaked" || count.as_integer() != Some(0) {
        reasons.extend(overlapping_rows_reason(name, seen, &|_, _| true));
    }
    reasons
}

/// The reasons why probes that saw no allocation may not have seen one that there was.
fn unproven_allocation_reasons(
    name: &str,
    catalog: &Catalog<'_>,
    machine: &Indexed<'_>,
) -> Vec<String> {
    let plan = catalog.investigation.experiment(name);
    let probes = plan.into_iter().flat_map(|plan| &plan.probes);
    let allocating = probes.filter(|probe| probe.allocates.is_some());
    allocating
        .flat_map(|probe| {
            unproven_absence_reasons(&format!("{name}.{}", probe.name), catalog, machine)
        })
        .collect()
}

/// The reason why rows of a ledger do not say how many objects there were: two are of one place at one time, as where a function and the
/// one that it calls are both said to allocate the object, where one of them returns a pointer to a member of it, or where a free was not
/// seen. `tells`: two such rows matter.
fn overlapping_rows_reason(
    name: &str,
    seen: &Experiment,
    tells: &dyn Fn(&Allocation, &Allocation) -> bool,
) -> Option<String> {
    let mut live: Vec<&Allocation> = Vec::new();
    for row in &seen.objects.as_ref()?.allocations {
        live.retain(|earlier| {
            let freed = earlier.freed.as_ref();
            freed.is_none_or(|free| free.order > row.order)
        });
        for earlier in live.iter().filter(|earlier| tells(earlier, row)) {
            if let Some(doubt) = same_object_doubt(name, earlier, row) {
                return Some(doubt);
            }
        }
        live.push(row);
    }
    None
}

/// The reason why two rows that lived at one time may be one object.
fn same_object_doubt(name: &str, earlier: &Allocation, row: &Allocation) -> Option<String> {
    let (first, second) = (&earlier.probe, &row.probe);
    if earlier.address == row.address {
        return Some(format!(
            "`{name}.{first}` and then `{name}.{second}` saw an allocation of one address, and no free between: they are one object, or \
             a free was not seen"
        ));
    }
    // Pseudonyms are equal as the addresses are, and their distance says nothing.
    if earlier.address.is_pseudonym() || row.address.is_pseudonym() {
        return Some(format!(
            "the addresses of what `{name}.{first}` and then `{name}.{second}` saw allocated are withheld, so that it is not known whether \
             the one lies inside of the other"
        ));
    }
    let lies_inside = |outer: &Allocation, inner: &Allocation| {
        let distance = inner.address.0.wrapping_sub(outer.address.0);
        outer.size.is_some_and(|size| distance < size)
    };
    if lies_inside(earlier, row) || lies_inside(row, earlier) {
        return Some(format!(
            "`{name}.{first}` and then `{name}.{second}` saw an allocation of one place, the one inside of the other: they are one object, \
             or a free was not seen"
        ));
    }
    let unknown = earlier.size.is_none() || row.size.is_none();
    (first != second && unknown).then(|| {
        format!(
            "what `{name}.{first}` and `{name}.{second}` saw allocated may be one object, of which one of them has a pointer to a member: \
             functions do not tell the size of what they return; let one probe watch allocations"
        )
    })
}

/// The first part of a claim that depends on an object that was not freed, although nothing shows that its free would have been
/// seen, or that is not excused, although an excuse may hold. A claim that all objects were freed, or at least a number of them, only needs the frees that were seen. `holds`: the
/// whole claim is true.
pub(in crate::claim) fn find_unseen_free(
    root: &Node,
    holds: bool,
    catalog: &Catalog<'_>,
    machine: &Indexed<'_>,
) -> Option<(Range<usize>, String)> {
    let mut found = None;
    visit(root, holds, &mut |node, name, counted| {
        if found.is_none() {
            let reason = unseen_free_reason(name, counted, catalog, machine)
                .or_else(|| undecided_excuse_reason(name, counted, catalog, machine));
            found = reason.map(|reason| (node.range.clone(), reason));
        }
    });
    found
}

/// The objects that a part of a claim is about.
#[derive(Clone, Copy, PartialEq, Eq)]
enum CountedObjects {
    Freed,
    /// Those that are neither freed nor excused.
    Leaked,
    Excused,
}

/// Call `rests` on each part that may be true because an object was not freed, with the part, the experiment or probe, and the
/// objects that it counts. `true_helps`: the whole expression cannot become false by this node becoming true.
fn visit<'n>(
    node: &'n Node,
    true_helps: bool,
    rests: &mut dyn FnMut(&'n Node, &'n str, CountedObjects),
) {
    if let Some((name, counted)) = counted_objects(node) {
        rests(node, name, counted);
        return;
    }
    match &node.kind {
        NodeKind::Literal(_) | NodeKind::Path(_) | NodeKind::Constant(_) => {}
        NodeKind::Unary(_, operand) => visit(operand, false, rests),
        NodeKind::Binary(Binary::And | Binary::Or, operands) => {
            operands
                .iter()
                .for_each(|one| visit(one, true_helps, rests));
        }
        NodeKind::Binary(operator, operands) => {
            if !(true_helps && stays_true_with_more_frees(*operator, operands)) {
                operands.iter().for_each(|one| visit(one, false, rests));
            }
        }
        NodeKind::Conditional(parts) => parts.iter().for_each(|one| visit(one, false, rests)),
        NodeKind::Call(function, args) if function.reads == Reads::Ledger => {
            if !true_helps {
                let names = args.iter().filter_map(|arg| match &arg.kind {
                    NodeKind::Path(path) => Some(path.as_str()),
                    _ => None,
                });
                names.for_each(|name| rests(node, name, CountedObjects::Leaked));
            }
        }
        NodeKind::Call(_, args) => args.iter().for_each(|one| visit(one, false, rests)),
    }
}

/// The experiment whose objects a node counts.
fn counted_objects(node: &Node) -> Option<(&str, CountedObjects)> {
    let NodeKind::Path(path) = &node.kind else {
        return None;
    };
    match path.as_str().split_once('.')? {
        (name, "objects.freed") => Some((name, CountedObjects::Freed)),
        (name, "objects.leaked") => Some((name, CountedObjects::Leaked)),
        (name, "objects.excused") => Some((name, CountedObjects::Excused)),
        _ => None,
    }
}

/// True of a comparison with a number that stays true if more objects were freed, or are excused, than was seen.
fn stays_true_with_more_frees(operator: Binary, [left, right]: &[Node; 2]) -> bool {
    let is_number = |node: &Node| matches!(node.kind, NodeKind::Literal(_));
    let (counted, operator) = match (counted_objects(left), counted_objects(right)) {
        (Some((_, counted)), None) if is_number(right) => (counted, operator),
        (None, Some((_, counted))) if is_number(left) => (counted, operator.swap_operands()),
        _ => return false,
    };
    match counted {
        CountedObjects::Freed | CountedObjects::Excused => {
            matches!(operator, Binary::Greater | Binary::GreaterEqual)
        }
        CountedObjects::Leaked => matches!(operator, Binary::Less | Binary::LessEqual),
    }
}

/// The reason why an object may have been freed although no free of it was seen: on this machine no probe like those of the
/// experiment ever saw one freed that was allocated like it. There are more ways to free an object than most probes watch.
fn unseen_free_reason(
    name: &str,
    counted: CountedObjects,
    catalog: &Catalog<'_>,
    machine: &Indexed<'_>,
) -> Option<String> {
    let (name, probe) = name
        .split_once('.')
        .map_or((name, None), |(e, p)| (e, Some(p)));
    let plan = catalog.investigation.experiment(name)?;
    let ledger = machine.evidence.experiments.get(name)?.objects.as_ref()?;
    let mut retained = ledger.allocations.iter().filter(|one| match counted {
        CountedObjects::Excused => false,
        CountedObjects::Freed => one.freed.is_none(),
        CountedObjects::Leaked => one.freed.is_none() && one.excused.is_none(),
    });
    if plan.grace_ms < LEAST_GRACE_MS && retained.clone().next().is_some() {
        return Some(format!(
            "the free of an object may still have been to come: `{name}` waits {} ms for frees, and {LEAST_GRACE_MS} are needed \
             (`grace-ms`)",
            plan.grace_ms
        ));
    }
    let unseen = retained.find(|one| {
        probe.is_none_or(|probe| probe == one.probe) && !is_seen_freed(one, plan, catalog, machine)
    })?;
    let cache =
        (unseen.cache.as_ref()).map_or(String::new(), |cache| format!(" of the cache `{cache}`"));
    Some(format!(
        "nothing shows that the free of an object{cache} that `{name}.{}` allocated would have been seen: no such object was seen freed \
         on this machine by the probes that `{name}` has for it",
        unseen.probe
    ))
}

/// The reason why an object of a ledger that is not excused may be: a function of an excuse may have been on the stack of its
/// allocation.
fn undecided_excuse_reason(
    name: &str,
    counted: CountedObjects,
    catalog: &Catalog<'_>,
    machine: &Indexed<'_>,
) -> Option<String> {
    if counted == CountedObjects::Freed {
        return None;
    }
    let (name, probe) = name
        .split_once('.')
        .map_or((name, None), |(e, p)| (e, Some(p)));
    let plan = catalog.investigation.experiment(name)?;
    let seen = machine.evidence.experiments.get(name)?;
    let rows = seen.objects.as_ref()?.allocations.iter();
    let mut counted_rows = rows.filter(|one| {
        one.excused.is_none()
            && (counted == CountedObjects::Excused || one.freed.is_none())
            && probe.is_none_or(|probe| probe == one.probe)
    });
    counted_rows.find_map(|row| {
        plan.excuses.iter().find_map(|excuse| {
            let doubt = excuses::undecided_reason(row, &excuse.within, seen, machine)?;
            Some(format!(
                "the excuse within `{}` may hold for an object that `{name}.{}` allocated: {doubt}",
                excuse.within, row.probe
            ))
        })
    })
}

/// True if an object that was allocated like this one was seen freed on this machine, by a probe like one of the experiment's.
fn is_seen_freed(
    object: &Allocation,
    plan: &PlannedExperiment,
    catalog: &Catalog<'_>,
    machine: &Indexed<'_>,
) -> bool {
    let Some(allocator) = plan.probe(&object.probe) else {
        return false;
    };
    if allocator.allocates_many_types() && object.cache.is_none() {
        return false;
    }
    let frees = |by: &PlannedProbe| {
        let mut probes = plan.probes.iter().filter(|probe| probe.frees.is_some());
        probes.any(|probe| probe.has_same_target(by) && probe.frees == by.frees)
    };
    catalog.investigation.experiments.iter().any(|other| {
        let ledger = machine.evidence.experiments.get(&other.name);
        let sound =
            ledger.filter(|seen| seen.broken_reason().is_none() && seen.unavailable.is_none());
        let objects = sound.and_then(|seen| seen.objects.as_ref());
        objects.is_some_and(|ledger| {
            ledger.allocations.iter().any(|one| {
                let by = one.freed.as_ref().and_then(|free| other.probe(&free.probe));
                let from = other.probe(&one.probe);
                one.cache == object.cache
                    && from.is_some_and(|from| {
                        from.has_same_target(allocator) && from.allocates == allocator.allocates
                    })
                    && by.is_some_and(frees)
            })
        })
    })
}

/// Milliseconds that an experiment has to wait for frees, so that an object that was not freed is not one whose free was still to come:
/// the kernel defers frees, by RCU and by work of its own. It is the default of `grace-ms`.
const LEAST_GRACE_MS: u64 = 500;

/// The reason why an object that a function returns may be missing in the ledger: the return was not seen.
fn unseen_return_reason(planned: &PlannedProbe, seen: &Experiment) -> Option<String> {
    let returned = |object: &Option<String>| object.as_deref() == Some("return");
    if !matches!(planned.target, Target::Function(_))
        || !(returned(&planned.allocates) || returned(&planned.frees))
    {
        return None;
    }
    let hits = &seen.probes.get(&planned.name)?.hits;
    let open = hits.iter().filter(|hit| hit.return_order.is_none());
    let name = &planned.name;
    match open.count() {
        0 => None,
        count => Some(format!(
            "of {count} calls of `{name}` the return was not seen, which gives the object"
        )),
    }
}

/// A ledger says something only if all probes that watch allocations and frees were attached, and saw all of them.
pub(super) fn incomplete_ledger_reasons(
    name: &str,
    catalog: &Catalog<'_>,
    machine: &Indexed<'_>,
) -> Vec<String> {
    let experiment = name.split('.').next().unwrap_or(name);
    let (Some(plan), Some(seen)) = (
        catalog.investigation.experiment(experiment),
        machine.evidence.experiments.get(experiment),
    ) else {
        return Vec::new();
    };
    let mut reasons: Vec<String> = Vec::new();
    let watchers = plan.probes.iter();
    for probe in watchers.filter(|probe| probe.allocates.is_some() || probe.frees.is_some()) {
        let absent = match seen.probes.get(&probe.name) {
            None => Some("the evidence does not hold it"),
            Some(seen) => seen.unavailable.as_deref(),
        };
        reasons.extend(unseen_return_reason(probe, seen));
        match absent {
            Some(reason) => reasons.push(format!(
                "`{experiment}.{}` did not watch: {reason}",
                probe.name
            )),
            None => {
                reasons.extend(experiment::reasons(experiment, probe, catalog, machine));
                reasons.extend(instances::reasons(experiment, probe, catalog, machine));
            }
        }
    }
    reasons.extend(crate::observation::unmarked_reason(seen));
    // Whose the free is, of two rows of one place, the ledger does not say.
    let doubt = overlapping_rows_reason(experiment, seen, &|one, other| {
        one.freed.is_some() != other.freed.is_some()
    });
    reasons.extend(doubt);
    reasons.sort();
    reasons.dedup();
    reasons
}

//! Checks of an experiment's ledger against the probes that the investigation gives it.

use super::finding::Finding;
use super::stacks::is_on_stack;
use crate::document::pointer::escape;
use crate::document::value::{Address, Datum, Value};
use crate::document::withheld::withheld_reason;
use crate::document::{Allocation, Context, Experiment, Hit, Ledger};
use crate::investigation::Experiment as PlannedExperiment;

/// Check that the ledger has a row for each object that a probe of it saw, and excuses what the investigation does.
pub(super) fn check_objects(
    at: &str,
    requested: &PlannedExperiment,
    found: &Experiment,
) -> Option<Finding> {
    let rows = found.objects.as_ref();
    for (name, probe) in &found.probes {
        let Some(requested) = requested.probe(name) else {
            continue;
        };
        for (index, hit) in probe.hits.iter().enumerate() {
            let at = format!("{at}/probes/{}/hits/{index}", escape(name));
            // What an interrupt allocates on top of the task is not the call's.
            let in_task = hit.context == Some(Context::Task);
            let (argument, frees) = match (&requested.allocates, &requested.frees) {
                (Some(argument), _) => (argument, false),
                (None, Some(argument)) => (argument, true),
                (None, None) => continue,
            };
            let Some(object) = object_address(hit, argument) else {
                continue;
            };
            let row = rows.and_then(|rows| find_row(rows, name, hit, frees));
            match row {
                Some(row) if row.address == object => {}
                Some(row) => {
                    let reason =
                        format!("the ledger says that this is {}, not {object}", row.address);
                    return Some((at, reason));
                }
                None if object.0 != 0 && (frees || in_task) => {
                    let what = if frees { "freed" } else { "allocated" };
                    let reason = format!("the ledger does not say that {object} was {what} here");
                    return Some((at, reason));
                }
                None => {}
            }
        }
    }
    let mut rows = rows?.allocations.iter().enumerate();
    rows.find_map(|(index, row)| {
        let at = format!("{at}/objects/allocations/{index}");
        check_allocation(&at, requested, row)
    })
}

/// The object that an allocation or a free is about, where that is known.
fn object_address(hit: &Hit, argument: &str) -> Option<Address> {
    let datum = match argument {
        "return" => hit.return_value.as_ref(),
        name => hit.args.get(name),
    };
    match datum.and_then(Datum::value) {
        Some(Value::Address { value, .. }) => Some(*value),
        _ => None,
    }
}

/// The row of the ledger that a hit is the allocation or the free of.
fn find_row<'a>(ledger: &'a Ledger, probe: &str, hit: &Hit, frees: bool) -> Option<&'a Allocation> {
    let is = |name: &str, order: u64| {
        name == probe && (hit.order == Some(order) || hit.return_order == Some(order))
    };
    ledger.allocations.iter().find(|row| match &row.freed {
        _ if !frees => is(&row.probe, row.order),
        Some(freed) => is(&freed.probe, freed.order),
        None => false,
    })
}

fn check_allocation(at: &str, requested: &PlannedExperiment, row: &Allocation) -> Option<Finding> {
    let allocates = requested
        .probe(&row.probe)
        .is_some_and(|probe| probe.allocates.is_some());
    if !allocates {
        let reason = format!("`{}` watches no allocation", row.probe);
        return Some((format!("{at}/probe"), reason));
    }
    if let Some(freed) = &row.freed
        && requested
            .probe(&freed.probe)
            .is_none_or(|probe| probe.frees.is_none())
    {
        let reason = format!("`{}` watches no free", freed.probe);
        return Some((format!("{at}/freed/probe"), reason));
    }
    let excused = row
        .excused
        .as_ref()
        .filter(|text| withheld_reason(text).is_none())?;
    let excuse = requested
        .excuses
        .iter()
        .find(|excuse| excuse.text() == *excused);
    let reason = match excuse {
        None => "the investigation has no such excuse".into(),
        Some(excuse) if row.stack.is_empty() || is_on_stack(&row.stack, &excuse.within) => {
            return None;
        }
        Some(excuse) => format!("`{}` is not on its stack", excuse.within),
    };
    Some((format!("{at}/excused"), reason))
}

//! Reasons why an excuse of the investigation may hold for an object although its function was not seen on the stack of the allocation.

use crate::document::value::{Frame, Value};
use crate::document::{Allocation, Experiment};
use crate::instances::Instances;
use crate::path_index::resolve::Indexed;

/// The reason why it is not known whether `function` was running when the object of this row was allocated.
pub(super) fn undecided_reason(
    row: &Allocation,
    function: &str,
    seen: &Experiment,
    machine: &Indexed<'_>,
) -> Option<String> {
    let Some(instances) = machine.evidence.instances.get(function) else {
        return Some("the evidence does not list its copies: capture again".into());
    };
    if row.stack.is_empty() || !is_whole_stack(row, seen) {
        return Some("the stack of the allocation was not recorded, or not to its end".into());
    }
    // What an interrupt came upon did not call.
    let running = row.stack.split_inclusive(|frame| frame.interrupts).next();
    let running = running.unwrap_or_default();
    running
        .iter()
        .find_map(|frame| hiding_frame_reason(frame, function, instances))
        .or_else(|| match instances.leaves_by_jump {
            Some(false) => None,
            _ => Some("it may have been left by a jump to a function that is on the stack".into()),
        })
}

/// The reason why a frame may be one of the function's.
fn hiding_frame_reason(frame: &Frame, function: &str, instances: &Instances) -> Option<String> {
    let symbol = frame.symbol.as_deref();
    let shown = symbol.unwrap_or("a function without a symbol");
    let is_name = |symbol: &str| {
        let mut names = instances.copies.iter().flat_map(|copy| copy.names());
        names.any(|name| name == symbol)
    };
    if symbol.is_some_and(is_name) {
        return Some(format!(
            "`{shown}`, which is on the stack, is another name of `{function}`"
        ));
    }
    if frame.site.is_some() {
        return None;
    }
    let begins = frame
        .offset
        .map(|offset| frame.address.0.wrapping_sub(offset));
    let holders = instances.inlined.as_ref();
    let may_hold = match (holders, begins) {
        (Some(holders), Some(begins)) => holders
            .iter()
            .any(|copy| copy.address.is_none_or(|address| address.0 == begins)),
        _ => true,
    };
    may_hold.then(|| format!("it may be inlined into `{shown}`, of which no source line is known"))
}

/// True if the stack of a row is known to be whole: the hit that the row is of has it, and it is not cut.
fn is_whole_stack(row: &Allocation, seen: &Experiment) -> bool {
    let hits = seen.probes.get(&row.probe).map(|probe| probe.hits.iter());
    let mut hits = hits.into_iter().flatten();
    let is_of_row = |order: Option<u64>, returned: Option<u64>| {
        order == Some(row.order) || returned == Some(row.order)
    };
    let hit = hits.find(|hit| is_of_row(hit.order, hit.return_order));
    let stack = hit
        .and_then(|hit| hit.stack.as_ref())
        .and_then(|stack| stack.value());
    matches!(stack, Some(Value::Stack { value }) if value.len() == row.stack.len())
}

//! Check of stacks: all that were taken during a call end with the frames of that call.

use super::events::{EventPlace, EventSide, Events, calls, thread};
use super::finding::Finding;
use crate::document::value::{Frame, Value};
use crate::document::{Experiment, Ledger, Target};

/// Check that the stacks of allocations and frees are those of their events, and that what was on the stack when a call was entered is
/// on every stack below it until it returns.
pub(super) fn check_stacks<'a>(
    at: &str,
    experiment: &'a Experiment,
    mut events: Events<'a>,
) -> Option<Finding> {
    if let Some(found) = experiment
        .objects
        .as_ref()
        .and_then(|ledger| check_ledger_stacks(at, ledger, &mut events))
    {
        return Some(found);
    }
    calls(experiment)
        .iter()
        .flat_map(|(thread, calls)| calls.iter().map(move |call| (thread, call)))
        .find_map(|(of, call)| {
            let outer = match call.hit.stack.as_ref()?.value()? {
                Value::Stack { value } => value.get(1..)?,
                _ => return None,
            };
            let inside = events.range(call.entered + 1..call.returned);
            inside
                .filter(|(_, event)| thread(event.task, event.cpu) == *of)
                .find_map(|(order, event)| {
                    let hook = matches!(event.probe.target, Target::Lsm(_));
                    let reason = stack_mismatch_reason(outer, event.stack?, hook)?;
                    let other = call.place.text(at);
                    let reason = format!(
                        "event {order} comes while the call at `{other}` is made, and {reason}"
                    );
                    Some((format!("{}/stack", event.place.text(at)), reason))
                })
        })
}

/// The reason why a stack cannot have been taken during a call, if so: one that was ends with that call's own frames, below
/// a frame of the called function.
///
/// A program at a hook runs in place of the function that stands for the hook. On Debian's 6.1 to 6.18 that function calls
/// it and is on its stack; from 6.19 on it is left by a jump, and is not (`CONFIG_DYNAMIC_FTRACE_WITH_JMP`).
fn stack_mismatch_reason(outer: &[Frame], stack: &[Frame], hook: bool) -> Option<&'static str> {
    let (last, end) = (outer.last()?, stack.last()?);
    // One of them was given up earlier: nothing can be said.
    if last.address != end.address {
        return None;
    }
    let same = |(a, b): (&Frame, &Frame)| a.address == b.address;
    let deep = stack.len() > outer.len() || hook && stack.len() == outer.len();
    let holds = deep && stack.iter().rev().zip(outer.iter().rev()).all(same);
    (!holds).then_some("its stack does not end as that call's does")
}

/// Put the stacks of the ledger to their events.
fn check_ledger_stacks<'a>(
    at: &str,
    ledger: &'a Ledger,
    events: &mut Events<'a>,
) -> Option<Finding> {
    let mut one = |order: u64, stack: &'a [Frame], place: EventPlace<'a>| {
        let event = events.get_mut(&order).filter(|_| !stack.is_empty())?;
        match event.stack {
            Some(other) if other != stack => {
                let reason = format!(
                    "the stack is another one than that of event {order} at `{}`",
                    event.place.text(at)
                );
                Some((format!("{}/stack", place.text(at)), reason))
            }
            // That of a return is taken in the caller already.
            _ if event.side == EventSide::Return => None,
            _ => {
                event.stack = Some(stack);
                event.place = place;
                None
            }
        }
    };
    ledger
        .allocations
        .iter()
        .enumerate()
        .find_map(|(index, allocation)| {
            let freed = allocation.freed.as_ref();
            one(
                allocation.order,
                &allocation.stack,
                EventPlace::Allocation(index),
            )
            .or_else(|| {
                let freed = freed?;
                one(freed.order, &freed.stack, EventPlace::Free(index))
            })
        })
}

/// True if a function, or a clone of it, is on the running part of a stack: as a frame of its own, or inlined into one.
pub(super) fn is_on_stack(stack: &[Frame], function: &str) -> bool {
    let is = |name: &str| {
        name.strip_prefix(function)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    };
    // What was interrupted did not call.
    let mut running = stack.split_inclusive(|frame| frame.interrupts);
    let running = running.next().unwrap_or_default();
    running.iter().any(|frame| {
        frame.symbol.as_deref().is_some_and(is)
            || frame.site.as_ref().is_some_and(|site| {
                let inlined = site.inlined_into.iter();
                is(&site.function) || inlined.into_iter().any(|outer| is(&outer.function))
            })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::value::Address;

    fn frames(addresses: &[u64]) -> Vec<Frame> {
        let frame = |&address| Frame {
            address: Address(address),
            symbol: None,
            offset: None,
            site: None,
            interrupts: false,
        };
        addresses.iter().map(frame).collect()
    }

    /// Check that a stack inside of a call has a frame more than the call's caller, but for one of a hook, and ends as it.
    #[test]
    fn inside_of_a_call() {
        let outer = frames(&[2, 1]);
        let holds =
            |stack: &[u64], hook| stack_mismatch_reason(&outer, &frames(stack), hook).is_none();
        assert!(holds(&[3, 2, 1], false) && holds(&[3, 2, 1], true));
        assert!(!holds(&[2, 1], false) && holds(&[2, 1], true));
        for hook in [false, true] {
            assert!(!holds(&[1], hook), "a caller is missing");
            assert!(
                !holds(&[9, 1], hook) && !holds(&[2, 9, 1], hook),
                "another caller"
            );
            assert!(holds(&[9], hook), "given up early");
        }
    }
}

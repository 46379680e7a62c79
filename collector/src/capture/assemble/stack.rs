//! Kernel stacks with names and lines.

use qed_collector_ebpf::Event;
use qed_evidence::value::{Address, Datum, Frame, Value};

use super::Names;

/// Frames between a tracepoint and the program that watches it: they are the watcher's own.
const PLUMBING: &[&str] = &[
    "bpf_prog_",
    "bpf_trace_run",
    "__bpf_trace_",
    "__traceiter_",
    "bpf_trampoline_",
];

/// The frames of an event, the innermost first; empty if the kernel could give none.
pub fn frames(event: &Event, names: &dyn Names) -> Vec<Frame> {
    let mut frames: Vec<Frame> = event
        .frames()
        .iter()
        .enumerate()
        .map(|(depth, &address)| {
            let resolved = names.symbol(address);
            Frame {
                address: Address(address),
                offset: resolved.as_ref().map(|(_, offset)| *offset),
                symbol: resolved.map(|(name, _)| name),
                // The innermost frame of a probe is the probed instruction, which calls nothing.
                site: (depth > 0).then(|| names.call_site(address).ok()).flatten(),
            }
        })
        .collect();
    let plumbing = frames
        .iter()
        .take_while(|frame| match &frame.symbol {
            Some(symbol) => PLUMBING.iter().any(|prefix| symbol.starts_with(prefix)),
            // The program's own code, where kallsyms does not name it.
            None => true,
        })
        .count();
    if plumbing < frames.len() {
        frames.drain(..plumbing);
    }
    frames
}

/// Whether `function` is on the stack, as a frame of its own or inlined into one.
pub fn holds(frames: &[Frame], function: &str) -> bool {
    frames.iter().any(|frame| {
        frame
            .symbol
            .as_deref()
            .is_some_and(|symbol| same_function(symbol, function))
            || frame.site.as_ref().is_some_and(|site| {
                site.function == function
                    || site.inlined_into.iter().any(|f| f.function == function)
            })
    })
}

/// `foo.isra.0` and `foo.constprop.0` are clones of `foo` that the compiler made.
fn same_function(symbol: &str, function: &str) -> bool {
    symbol == function
        || symbol
            .strip_prefix(function)
            .is_some_and(|suffix| suffix.starts_with('.'))
}

/// The place that the probed call returns to, by name, and the source line of the call.
pub fn caller(frames: &[Frame], names: &dyn Names) -> (Datum, Datum) {
    let Some(frame) = frames.get(1) else {
        let none = "the kernel gave no stack at this hit";
        return (Datum::unavailable(none), Datum::unavailable(none));
    };
    let caller = match (&frame.symbol, frame.offset) {
        (Some(name), Some(offset)) => Value::Symbol {
            name: name.clone(),
            offset,
            address: frame.address,
        }
        .into(),
        _ => Datum::unavailable("the return address has no symbol"),
    };
    let site = match names.call_site(frame.address.0) {
        Ok(value) => Value::Location { value }.into(),
        Err(reason) => Datum::unavailable(reason),
    };
    (caller, site)
}

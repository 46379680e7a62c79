//! The part of an experiment's events that belongs to the workload's own call.

use qed_collector_ebpf::Event;

use super::seen::Seen;
use crate::plan::PlannedProbe;

/// Bytes of the instruction that makes a system call.
const SYSCALL_LENGTH: u64 = 2;

/// The part of the events that belongs to the workload's own call.
///
/// The process does other things before it (reading the signal to start) and after it (reporting what came
/// back), system calls of the same number among them; the markers, which are the call's own `sys_enter` and `sys_exit`,
/// made by the one instruction that makes it, cut those off. Where the process ended in it, what follows the call is the
/// kernel cleaning up after it, and belongs to the experiment.
pub(super) struct Window {
    pub(super) first: usize,
    pub(super) last: usize,
    /// As many calls went in and came out as the workload makes.
    pub(super) whole: bool,
    /// As many came out, also where that does not matter.
    all_out: bool,
}

impl Window {
    /// True if all hits of the probe are there, because it sees what the markers see.
    pub(super) fn proves(&self, planned: &PlannedProbe, seen: &Seen<'_>) -> bool {
        let (Some((enter, exit)), Ok(source)) = (seen.markers, &planned.source) else {
            return false;
        };
        self.whole && (source.usage == enter || source.usage == exit && self.all_out)
    }
}

/// Find the call between its markers; `None`: it was not seen going in, or there are no markers.
pub(super) fn window(seen: &Seen<'_>) -> Option<Window> {
    let (enter, exit) = seen.markers?;
    let behind = seen.call.map(|call| call.instruction + SYSCALL_LENGTH);
    let marks = |usage: usize| {
        let is = move |event: &Event| {
            event.probe as usize == usage
                && event.tgid == seen.pid
                && behind.is_none_or(|behind| event.return_slot == behind)
        };
        let events = seen.events.iter().enumerate();
        events.filter(move |(_, event)| is(event)).map(|(at, _)| at)
    };
    let first = marks(enter).next()?;
    let calls = seen.asked.workload.threads.max(1) as usize;
    let open = seen.ended_inside || seen.asked.until_exit;
    let last = marks(exit).next_back().filter(|_| !open);
    let all_out = marks(exit).count() == calls;
    Some(Window {
        first,
        last: last.unwrap_or(usize::MAX),
        whole: behind.is_some() && marks(enter).count() == calls && (open || all_out),
        all_out,
    })
}

//! The part of an experiment's events that belongs to the workload's own call.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use qed_collector_ebpf::Event;
use qed_evidence::document::Target;

use super::seen::RawObservation;
use crate::plan::PlannedProbe;

/// Bytes of the instruction that makes a system call.
const SYSCALL_LENGTH: u64 = 2;

/// The part of the events that belongs to the workload's own call.
///
/// The process does other things before it (reading the signal to start) and after it (reporting what came
/// back), system calls of the same number among them; the markers, which are the call's own `sys_enter` and `sys_exit`,
/// made by the one instruction that makes it, cut those off. What a call puts off until the task goes back to user space
/// (task work, signals) comes behind its `sys_exit`, so the call lasts until the task's next one goes in, which it makes
/// at once. Where the process ended in it, what follows the call is the kernel cleaning up after it, and belongs to the
/// experiment.
pub(super) struct Window {
    pub(super) first: usize,
    pub(super) last: usize,
    /// As many calls went in and came out as the workload makes.
    pub(super) whole: bool,
    /// It lasts until each task was back in user space, or was no more.
    pub(super) until_user_space: bool,
    /// As many came out, also where that does not matter.
    all_out: bool,
    /// The part of each thread, if several make the call.
    threads: BTreeMap<u32, RangeInclusive<usize>>,
    /// The workload's process, which is its first thread as well.
    pid: u32,
}

impl Window {
    /// True if all hits of the probe are there, because it sees what the markers see.
    pub(super) fn proves(&self, planned: &PlannedProbe, seen: &RawObservation<'_>) -> bool {
        let (Some(markers), Ok(source)) = (seen.markers, &planned.source) else {
            return false;
        };
        self.whole
            && (source.usage == markers.enter || source.usage == markers.exit && self.all_out)
    }

    /// True if the event of this number belongs to the call.
    pub(super) fn holds(&self, index: usize, event: &Event) -> bool {
        (self.first..=self.last).contains(&index) && !self.beside(index, event)
    }

    /// True if the event is of the workload's process and of none of the threads that make the call, or of one outside of
    /// its own call.
    fn beside(&self, index: usize, event: &Event) -> bool {
        if event.tgid != self.pid || self.threads.is_empty() {
            return false;
        }
        match self.threads.get(&event.tid) {
            Some(part) => !part.contains(&index),
            // The thread that waits for the others. Any other is one that the call has started.
            None => event.tid == self.pid,
        }
    }
}

/// Find the call between its markers; `None`: it was not seen going in, or there are no markers.
pub(super) fn window(seen: &RawObservation<'_>) -> Option<Window> {
    let markers = seen.markers?;
    let behind = seen.call.map(|call| call.instruction + SYSCALL_LENGTH);
    let behind_next = seen.call.map(|call| call.back + SYSCALL_LENGTH);
    let marks = |usage: usize, behind: Option<u64>| {
        let is = move |event: &Event| {
            event.probe as usize == usage
                && event.tgid == seen.pid
                && behind.is_none_or(|behind| event.return_slot == behind)
        };
        let events = seen.events.iter().enumerate();
        events.filter(move |(_, event)| is(event)).map(|(at, _)| at)
    };
    let enters: Vec<usize> = marks(markers.enter, behind)
        .map(|at| entering(seen, at))
        .collect();
    let exits: Vec<usize> = marks(markers.exit, behind).collect();
    // Without the instruction's address it could be any of them.
    let backs: Vec<usize> = (markers.back.filter(|_| behind_next.is_some()).into_iter())
        .flat_map(|usage| marks(usage, behind_next))
        // What enters there is the next call.
        .map(|at| entering(seen, at).saturating_sub(1))
        .collect();
    let calls = seen.asked.workload.threads.max(1) as usize;
    let open = seen.ended_inside || seen.asked.until_exit;
    let all_out = exits.len() == calls;
    let all_back = backs.len() == calls;
    let ends = if all_back { &backs } else { &exits };
    let last = ends.iter().max().copied().filter(|_| !open);
    let tid = |at: &usize| seen.events[*at].tid;
    let threads = (enters.iter().filter(|_| calls > 1 && !open)).map(|&first| {
        let end = ends.iter().find(|&end| tid(end) == tid(&first));
        (tid(&first), first..=end.copied().unwrap_or(usize::MAX))
    });
    Some(Window {
        first: *enters.first()?,
        last: last.unwrap_or(usize::MAX),
        whole: behind.is_some() && enters.len() == calls && (open || all_out),
        until_user_space: open || all_back,
        all_out,
        threads: threads.collect(),
        pid: seen.pid,
    })
}

/// The first event of the same entering of a system call as the one of this number: a probe of the investigation may see
/// it before the marker does.
fn entering(seen: &RawObservation<'_>, at: usize) -> usize {
    let marker = &seen.events[at];
    let sees_it = |event: &Event| {
        let mut probes = seen.planned.probes.iter();
        event.args[..2] == marker.args[..2]
            && probes.any(|probe| {
                probe.target == Target::Tracepoint("sys_enter".into())
                    && probe.sources().any(|s| s.usage == event.probe as usize)
            })
    };
    let before = seen.events[..at].iter().enumerate().rev();
    let own = before.filter(|(_, event)| event.tid == marker.tid);
    let same = own.take_while(|(_, event)| sees_it(event));
    same.last().map_or(at, |(first, _)| first)
}

//! The part of an experiment's events that belongs to the workload's own calls.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use qed_collector_ebpf::Event;
use qed_evidence::document::Target;

use super::observations::RawObservation;
use crate::plan::{Markers, PlannedProbe};

/// The parts of the events that belong to the workload's own calls.
///
/// The process does other things before its call (reading the signal to start), between several, and after the last
/// (reporting what came back), system calls of the same number among them; the markers, which are the call's own `sys_enter`
/// and `sys_exit`, made by the one instruction that makes it, cut those off. What a call puts off until the task goes back to
/// user space (task work, signals) comes behind its `sys_exit`, so the call lasts until the task's next one goes in, which it
/// makes at once. Where the process ended in a call, what follows is the kernel cleaning up after it, and belongs to the
/// experiment.
pub(super) struct Window {
    pub(super) first: usize,
    /// Calls that follow each other; what threads do at once is one.
    parts: Vec<RangeInclusive<usize>>,
    /// As many calls went in and came out as the workload makes, in the order in which it makes them.
    pub(super) whole: bool,
    /// True if it lasts until each task was back in user space after each call, or was no more.
    pub(super) until_user_space: bool,
    /// The exit of every call was seen, even if the process may end inside of it.
    all_returned: bool,
    /// The part of each thread, if several make the call.
    threads: BTreeMap<u32, RangeInclusive<usize>>,
    /// The workload's process, which is its first thread as well.
    pid: u32,
}

impl Window {
    /// True if all hits of the probe are there, because it sees what the markers see.
    pub(super) fn sees_all_hits_of(
        &self,
        planned: &PlannedProbe,
        seen: &RawObservation<'_>,
    ) -> bool {
        let (Some(markers), Ok(source)) = (seen.markers, &planned.source) else {
            return false;
        };
        let mut calls = markers.calls.iter();
        self.whole
            && calls.any(|call| {
                source.usage == call.enter || source.usage == call.exit && self.all_returned
            })
    }

    /// True if the event of this number belongs to one of the calls.
    pub(super) fn holds(&self, index: usize, event: &Event) -> bool {
        self.parts.iter().any(|part| part.contains(&index)) && !self.is_beside_call(index, event)
    }

    /// True if the event is of the workload's process, but not of a thread that makes the call, or is of such a thread outside
    /// its own call.
    fn is_beside_call(&self, index: usize, event: &Event) -> bool {
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

/// Find the calls between their markers; `None`: no entry was seen, or there are no markers.
pub(super) fn find_window(seen: &RawObservation<'_>) -> Option<Window> {
    let markers = seen.markers?;
    let marks = Marks::find(seen, markers);
    match markers.calls.len() {
        1 => one_call_window(seen, &marks),
        _ => sequence_window(seen, markers, &marks),
    }
}

/// The events that are markers, by their places.
struct Marks {
    /// The events at which a call begins, each with the probe use that saw it.
    enters: Vec<(usize, usize)>,
    /// The events at which a call ends, each with the probe use that saw it.
    exits: Vec<(usize, usize)>,
    /// For each call, the last event before the next system call.
    user_space_returns: Vec<usize>,
    /// True if the address of the workload's own instruction is known, and only its events were taken.
    own: bool,
}

impl Marks {
    fn find(seen: &RawObservation<'_>, markers: &Markers) -> Self {
        let length = seen.arch.syscall_length();
        let behind = seen.call.map(|call| call.instruction + length);
        let behind_next = seen.call.map(|call| call.marking_instruction + length);
        let marks = |is_one: &dyn Fn(usize) -> bool, behind: Option<u64>| -> Vec<(usize, usize)> {
            let is = |event: &Event| {
                is_one(event.probe as usize)
                    && event.tgid == seen.pid
                    && behind.is_none_or(|behind| event.return_slot == behind)
            };
            let events = seen.events.iter().enumerate();
            events
                .filter(|(_, event)| is(event))
                .map(|(at, event)| (at, event.probe as usize))
                .collect()
        };
        let calls = &markers.calls;
        let enters = marks(
            &|usage| calls.iter().any(|call| call.enter == usage),
            behind,
        );
        // Without the instruction's address it could be any of them.
        let next_call = markers.next_call.filter(|_| behind_next.is_some());
        let user_space_returns = marks(&|usage| Some(usage) == next_call, behind_next);
        Self {
            enters: (enters.into_iter())
                .map(|(at, usage)| (entry_start(seen, at), usage))
                .collect(),
            exits: marks(&|usage| calls.iter().any(|call| call.exit == usage), behind),
            // What enters there is the next call.
            user_space_returns: (user_space_returns.into_iter())
                .map(|(at, _)| entry_start(seen, at).saturating_sub(1))
                .collect(),
            own: behind.is_some(),
        }
    }
}

/// The window of one call, which several threads may make at once.
fn one_call_window(seen: &RawObservation<'_>, marks: &Marks) -> Option<Window> {
    let enters: Vec<usize> = marks.enters.iter().map(|(at, _)| *at).collect();
    let exits: Vec<usize> = marks.exits.iter().map(|(at, _)| *at).collect();
    let calls = seen.requested.workload.threads.max(1) as usize;
    let open = seen.ended_inside || seen.requested.until_exit;
    let all_returned = exits.len() == calls;
    let all_back = marks.user_space_returns.len() == calls;
    let ends = if all_back {
        &marks.user_space_returns
    } else {
        &exits
    };
    let last = ends.iter().max().copied().filter(|_| !open);
    let tid = |at: &usize| seen.events[*at].tid;
    let threads = (enters.iter().filter(|_| calls > 1 && !open)).map(|&first| {
        let end = ends.iter().find(|&end| tid(end) == tid(&first));
        (tid(&first), first..=end.copied().unwrap_or(usize::MAX))
    });
    let first = *enters.first()?;
    Some(Window {
        first,
        parts: vec![first..=last.unwrap_or(usize::MAX)],
        whole: marks.own && enters.len() == calls && (open || all_returned) && !seen.replaced,
        until_user_space: (open || all_back) && !seen.replaced,
        all_returned,
        threads: threads.collect(),
        pid: seen.pid,
    })
}

/// The window of several calls, one after the other. Each lasts from where it goes in to where the task is back in user space; what the
/// process does until the next one goes in belongs to none.
fn sequence_window(seen: &RawObservation<'_>, markers: &Markers, marks: &Marks) -> Option<Window> {
    let first = marks.enters.first()?.0;
    let open = seen.ended_inside || seen.requested.until_exit;
    let mut parts = Vec::new();
    let (mut in_order, mut out, mut until_user_space) = (true, 0, 0);
    for (nth, &(begin, usage)) in marks.enters.iter().enumerate() {
        let next = marks.enters.get(nth + 1).map(|(at, _)| *at);
        let until = next.unwrap_or(usize::MAX);
        let call = markers.calls.get(nth);
        in_order &= call.is_some_and(|call| call.enter == usage);
        let exits: Vec<&(usize, usize)> = (marks.exits.iter())
            .filter(|(at, _)| (begin..until).contains(at))
            .collect();
        let own_exit = match (exits.as_slice(), call) {
            ([(at, usage)], Some(call)) if *usage == call.exit => Some(*at),
            _ => None,
        };
        let own_back = match own_exit {
            Some(exit) => {
                (marks.user_space_returns.iter().copied()).find(|at| (exit..until).contains(at))
            }
            None => None,
        };
        out += usize::from(own_exit.is_some());
        until_user_space += usize::from(own_back.is_some());
        // What ends the process, or lasts as long as it, comes last.
        let end = match next {
            None if open => None,
            _ => own_back.or(own_exit).or(next.map(|next| next - 1)),
        };
        parts.push(begin..=end.unwrap_or(usize::MAX));
    }
    let calls = markers.calls.len();
    // The last call need not return.
    let needed = calls - usize::from(open);
    let all_in = marks.own && in_order && marks.enters.len() == calls;
    Some(Window {
        first,
        parts,
        whole: all_in && out >= needed && marks.exits.len() == out && !seen.replaced,
        until_user_space: all_in && until_user_space >= needed && !seen.replaced,
        all_returned: out == calls,
        threads: BTreeMap::new(),
        pid: seen.pid,
    })
}

/// The first event of the system call entry to which the event of this index belongs: a probe of the investigation may see the
/// entry before the marker does.
fn entry_start(seen: &RawObservation<'_>, at: usize) -> usize {
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

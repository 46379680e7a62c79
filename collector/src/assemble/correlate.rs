//! Correlation of events to hits: the events that belong to the experiment, the probe of each, and the return that ends each
//! call.

use std::collections::{BTreeMap, BTreeSet};

use qed_collector_ebpf::{Event, side};
use qed_evidence::document::{Context, Ledger, Probe, Target};
use qed_evidence::instances::Within;
use qed_evidence::investigation::Action;
use qed_evidence::value::Frame;

use super::exec_context::{EntryMechanism, execution_context};
use super::hit::{ProbeEvent, task_name};
use super::ledger::{LedgerBuilder, LedgerEvent};
use super::names::Names;
use super::observations::RawObservation;
use super::own_work::{KeptProbes, OwnWork, compare, counts_any_task, shares_place};
use super::probe_facts::empty_probe;
use super::stack::{
    Presence, Stack, frames_after_return, function_presence, has_nmi, is_raised_by_program,
    running_frames,
};
use super::window::{Window, find_window};
use crate::plan::expr::{DecodedValue, decode};
use crate::plan::{EventSource, PlannedProbe, loads};
use crate::probe::kprobe_list;

/// Hits and ledger of one experiment.
#[derive(Default)]
pub struct AssembledProbes {
    pub probes: BTreeMap<String, Probe>,
    pub ledger: Option<Ledger>,
    pub accepted: u64,
    pub lost: u64,
    pub missed: u64,
    /// No event from outside the workload is included.
    pub marked: bool,
    /// Everything up to the workload's next look at user space is among it; `None`: it did not run.
    pub until_user_space: Option<bool>,
    pub notes: Vec<String>,
}

/// Make hits and a ledger of the events of one experiment, without those of the collector's own processes.
pub fn assemble(seen: &RawObservation<'_>) -> AssembledProbes {
    let is_own = |event: &Event| !event.is_of_workload() && seen.own.contains(&event.tgid);
    let all = assemble_keeping(seen, KeptProbes::All);
    if !seen.events.iter().any(|event| is_own(event)) {
        return all;
    }
    let rest = assemble_keeping(seen, KeptProbes::These(&BTreeSet::new()));
    let (kept, notes) = compare(&all.probes, &rest.probes, &|a, b| shares_place(seen, a, b));
    let mut out = match kept.is_empty() {
        true => rest,
        false => assemble_keeping(seen, KeptProbes::These(&kept)),
    };
    out.notes.extend(notes);
    out
}

/// The same, with events of the collector's own processes for the probes that are named by `kept`.
fn assemble_keeping(seen: &RawObservation<'_>, kept: KeptProbes<'_>) -> AssembledProbes {
    let probes = &seen.planned.probes;
    let mut out = AssembledProbes {
        probes: probes
            .iter()
            .map(|p| (p.name.clone(), empty_probe(p, seen)))
            .collect(),
        marked: seen.marked,
        ..AssembledProbes::default()
    };
    if seen.not_run.is_some() {
        // An empty ledger would say that nothing leaked.
        return out;
    }
    let window = find_window(seen);
    out.note_marks(seen, window.as_ref());
    let command = matches!(seen.requested.workload.action, Action::Command(_));
    out.until_user_space = Some(command || window.as_ref().is_some_and(|w| w.until_user_space));
    let first = window.as_ref().map_or(0, |w| w.first);
    let mut correlation = Correlation {
        seen,
        start_ns: seen.events.get(first).map_or(0, |event| event.time_ns),
        raises: (seen.requested.probes.iter()).any(|probe| probe.signal.is_some()),
        book: LedgerBuilder::default(),
        own: OwnWork::new(seen, kept),
        out,
    };
    for (index, event) in seen.events.iter().enumerate() {
        let takers = candidate_probes(seen, window.as_ref(), index, event);
        correlation.add_event(event, takers);
    }
    let Correlation { book, mut out, .. } = correlation;
    for planned in probes {
        out.conclude_probe(planned, seen, window.as_ref());
    }
    out.ledger = (probes.iter().any(|p| p.allocates)).then(|| book.finish());
    out
}

impl AssembledProbes {
    /// Note what does not mark where the call begins and ends.
    fn note_marks(&mut self, seen: &RawObservation<'_>, window: Option<&Window>) {
        if seen.markers.is_some() && seen.marked && window.is_none() {
            // It was watched, and the workload made its call: what else is missing is not known.
            self.lost += 1;
            self.notes
                .push("the workload's system call was not seen going in".into());
        }
        if seen.replaced && self.marked {
            self.marked = false;
            self.notes.push(
                "events outside of the call are counted: it replaced the program of the process, and what the new one did until it \
                 ended is not told apart from the call; let a command run the program instead"
                    .into(),
            );
        }
        if seen.markers.is_some() && self.marked && !window.is_some_and(|w| w.whole) {
            self.marked = false;
            self.notes.push(
                "events outside of the call may be counted, because it was not seen going in and coming out as often as it was made"
                    .into(),
            );
        }
    }

    /// Conclude what can be said of a probe once all of its hits are there.
    fn conclude_probe(
        &mut self,
        planned: &PlannedProbe,
        seen: &RawObservation<'_>,
        window: Option<&Window>,
    ) {
        let Some(probe) = self.probes.get_mut(&planned.name) else {
            return;
        };
        if self.marked && window.is_some_and(|w| w.sees_all_hits_of(planned, seen)) {
            // Whosever the skipped hits were, they were not the call's.
            probe.skipped = probe.skipped.map(|_| 0);
        }
        let unseen = probe
            .hits
            .iter()
            .filter(|hit| hit.order.is_some() && hit.return_order.is_none())
            .count() as u64;
        let returns = match &planned.target {
            Target::Function(name) => !seen.never_return.contains(name),
            _ => true,
        };
        if watches_return(planned, seen) && returns && unseen > 0 && !seen.ended_inside {
            self.missed += unseen;
            let (unseen, were) = match unseen {
                1 => ("1 return".to_owned(), "was"),
                many => (format!("{many} returns"), "were"),
            };
            self.notes.push(format!(
                "{unseen} of {} {were} {NOT_SEEN}; a function that never returns needs `return = false`",
                planned.name
            ));
        }
    }
}

/// The words in a note about returns that were missed.
pub use qed_evidence::observation::NOT_SEEN;

/// The probes that an event may be a hit of.
fn candidate_probes<'a>(
    seen: &RawObservation<'a>,
    window: Option<&Window>,
    index: usize,
    event: &Event,
) -> Vec<&'a PlannedProbe> {
    let inside = window.is_none_or(|w| w.holds(index, event));
    let after = window.is_some_and(|w| index > w.first) && !inside;
    let of_workload = event.is_of_workload();
    seen.planned
        .probes
        .iter()
        .filter(|p| p.sources().any(|s| s.usage == event.probe as usize))
        // Frees come late and from anyone; all else has to happen in the call.
        .filter(|p| inside || (after && (p.frees || !of_workload)))
        // Another probe at this place may want everybody's.
        .filter(|p| of_workload || p.frees || counts_any_task(p, seen))
        // Another one may want the return.
        .filter(|p| event.side != side::RETURN || watches_return(p, seen) || !has_twin(p, seen))
        .collect()
}

/// True if another probe of the experiment sees the events of this one, and watches the return.
fn has_twin(planned: &PlannedProbe, seen: &RawObservation<'_>) -> bool {
    let own: Vec<usize> = planned.sources().map(|source| source.usage).collect();
    seen.planned.probes.iter().any(|other| {
        other.name != planned.name
            && watches_return(other, seen)
            && other.sources().any(|source| own.contains(&source.usage))
    })
}

/// Events that become hits, one after the other.
struct Correlation<'a> {
    seen: &'a RawObservation<'a>,
    /// The time of the first event of the call.
    start_ns: u64,
    /// A probe of the experiment raises a signal.
    raises: bool,
    book: LedgerBuilder,
    own: OwnWork<'a>,
    out: AssembledProbes,
}

impl Correlation<'_> {
    /// Add one event, as a hit of each of `takers` whose condition it meets.
    fn add_event(&mut self, event: &Event, takers: Vec<&PlannedProbe>) {
        if takers.is_empty() {
            return;
        }
        let stack = Stack::from_event(event, self.seen.names);
        // The stack may be deeper than the stored part.
        let cut = stack.replaced || event.frames().len() >= self.seen.max_frames;
        let frames = match event.side {
            side::RETURN => frames_after_return(&stack.frames, self.seen.names),
            _ => stack.frames.clone(),
        };
        let takers: Vec<&PlannedProbe> = takers
            .into_iter()
            .filter(|p| {
                let context = execution_context(
                    event.preempt_count,
                    entry_mechanism(p, event, &stack.frames, self.seen),
                );
                !self.own.excludes(p, event, context)
            })
            .filter(|p| {
                let probe = self.out.probes.get_mut(&p.name);
                probe.is_none_or(|probe| {
                    let hits = probe.hits.len();
                    let condition = probe.within.as_mut();
                    condition.is_none_or(|within| {
                        let amid = p.offset != 0 || p.instruction.is_some();
                        let stack = (frames.as_slice(), (cut, amid));
                        meets_condition(within, hits, stack, event, self.seen.names)
                    })
                })
            })
            .collect();
        let mut counted = false;
        for planned in takers {
            counted |= self.record_hit(event, planned, &stack, cut);
        }
        self.out.accepted += u64::from(counted);
    }

    /// Record a hit, unless it is the free of an object that was allocated outside the call. Return true if it was recorded.
    fn record_hit(
        &mut self,
        event: &Event,
        planned: &PlannedProbe,
        stack: &Stack,
        cut: bool,
    ) -> bool {
        let seen = self.seen;
        let order = self.out.accepted + 1;
        let time_ns = event.time_ns.saturating_sub(self.start_ns);
        let frames = &stack.frames;
        let Some(probe) = self.out.probes.get_mut(&planned.name) else {
            return false;
        };
        let way = entry_mechanism(planned, event, frames, seen);
        let context = match execution_context(event.preempt_count, way) {
            Some(Context::Hardirq) if self.raises && is_raised_by_program(frames) => {
                Some(Context::Act)
            }
            other => other,
        };
        // What an interrupt allocates on top of the task is not the call's.
        let booked = planned.frees
            || planned.allocates && context.is_none_or(|context| context == Context::Task);
        if booked && is_object_address(event.object) {
            let entry = LedgerEvent {
                address: event.object,
                probe: planned.name.clone(),
                order,
                time_ns,
                stack: frames.clone(),
            };
            if planned.allocates {
                let (cache, size) = allocation_details(event, planned);
                self.book
                    .record_allocation(entry, cache, size, &seen.requested.excuses);
            } else if !self
                .book
                .record_free(entry, event.is_of_workload(), task_name(event))
            {
                // Its allocation was outside the call, so its free does not belong to the call.
                return false;
            }
        }
        let moment = ProbeEvent {
            event,
            planned,
            stack: frames,
            // Both say together what ran on top of what.
            context: context.filter(|_| seen.names.is_interrupt_entry(0).is_some()),
            cut,
            replaced: stack.replaced,
            tells_compat: seen.tells_compat,
            order,
            time_ns,
            names: seen.names,
        };
        moment.record(probe);
        true
    }
}

/// The way that may have led to the probe's program. Inside a function, and at an entry that the function tracer cannot use, it
/// is a breakpoint, until the kernel replaces that by a jump. A real NMI is then visible on the stack.
fn entry_mechanism(
    planned: &PlannedProbe,
    event: &Event,
    stack: &[Frame],
    seen: &RawObservation<'_>,
) -> EntryMechanism {
    let hit = |source: &&EventSource| source.usage == event.probe as usize;
    let Some(source) = planned.sources().find(hit) else {
        return EntryMechanism::Direct;
    };
    let function = matches!(planned.target, Target::Function(_) | Target::Address(_));
    let listed = seen.listed.get(source.attach);
    if !function || matches!(listed, Some(Ok(text)) if text.contains(kprobe_list::BY_TRACER)) {
        return EntryMechanism::Direct;
    }
    match stack {
        [] => EntryMechanism::Unknown,
        _ if has_nmi(stack) => EntryMechanism::Direct,
        _ => EntryMechanism::Breakpoint,
    }
}

/// True if a hit meets the condition of its probe, which has had this many hits; hits for which this is not known are counted.
fn meets_condition(
    condition: &mut Within,
    hits: usize,
    (stack, known): (&[Frame], (bool, bool)),
    event: &Event,
    names: &dyn Names,
) -> bool {
    match function_presence(running_frames(stack), known, &condition.function, names) {
        Presence::Yes => true,
        Presence::No => false,
        Presence::Unknown(why) => {
            // Of a call the entry is what counts.
            if event.side == side::ENTRY {
                condition.undecided += 1;
                condition.settled.get_or_insert(hits as u64);
                condition.why.get_or_insert_with(|| {
                    match names.existence_doubt(&condition.function) {
                        Some(doubt) => format!("{why}; {doubt}"),
                        None => why,
                    }
                });
            }
            false
        }
    }
}

/// True if it is an object: neither NULL nor an error in the place of a pointer (`MAX_ERRNO`,
/// <https://elixir.bootlin.com/linux/v6.12/source/include/linux/err.h#L18>).
fn is_object_address(address: u64) -> bool {
    address != 0 && address <= u64::MAX - 4095
}

fn watches_return(planned: &PlannedProbe, seen: &RawObservation<'_>) -> bool {
    seen.requested
        .probe(&planned.name)
        .is_some_and(|probe| probe.watch_return)
}

/// Cache and size of an allocation, from the tracepoint's own arguments and reads, where they say it:
/// a read called `cache`, an argument `bytes_alloc`, or a read called `size`.
fn allocation_details(event: &Event, planned: &PlannedProbe) -> (Option<String>, Option<u64>) {
    let read = |name: &str| {
        let read = planned
            .entry
            .iter()
            .chain(&planned.exit)
            .find(|read| read.name == name && read.list.is_none())?;
        Some(decode(&loads(&read.slots, event)?, &read.decode))
    };
    let cache = match read("cache") {
        Some(DecodedValue::Text { text, cut: None }) => Some(text),
        Some(DecodedValue::Text { text, cut: Some(_) }) => Some(format!("{text}…")),
        _ => None,
    };
    let argument = planned
        .parameters
        .iter()
        .find(|p| p.name == "bytes_alloc")
        .and_then(|p| event.args.get(*p.register.as_ref().ok()?).copied());
    let size = argument.or(match read("size") {
        Some(DecodedValue::Int { value, .. }) => u64::try_from(value).ok(),
        _ => None,
    });
    (cache, size)
}

//! Checks of the events of one experiment: each has one place in the order, and all statements about one event agree.

use std::collections::BTreeMap;

use super::caller::check_caller;
use super::finding::{Finding, number};
use super::hit_error::HitError;
use crate::document::pointer::escape;
use crate::document::value::{Address, Datum, Frame, Value};
use crate::document::{Backend, Experiment, Hit, Probe, Target, Task};

/// The cause of an event: the entry of a function (or a tracepoint, or a hook), or its return.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum EventSide {
    Entry,
    Return,
}

/// One event, as stated by one hit.
#[derive(Clone, Debug)]
pub(super) struct StatedEvent<'a> {
    pub side: EventSide,
    pub probe: &'a Probe,
    /// The copy of a function that was hit.
    copy: Option<Address>,
    /// Nanoseconds since the experiment began, where they are known.
    pub time_ns: Option<u64>,
    pub task: &'a Task,
    pub cpu: u32,
    /// The kernel stack, where it is known.
    pub stack: Option<&'a [Frame]>,
    /// The place that states it.
    pub place: EventPlace<'a>,
}

/// A place in an experiment. Its text is only made where somebody wants to read it.
#[derive(Clone, Copy, Debug)]
pub(super) enum EventPlace<'a> {
    /// A hit of a probe, by its number from 0.
    Hit(&'a str, usize),
    /// A row of the ledger.
    Allocation(usize),
    /// The free in a row of the ledger.
    Free(usize),
}

impl EventPlace<'_> {
    /// The JSON pointer; `at` is that of the experiment.
    pub fn text(self, at: &str) -> String {
        match self {
            EventPlace::Hit(probe, index) => format!("{at}/probes/{}/hits/{index}", escape(probe)),
            EventPlace::Allocation(index) => format!("{at}/objects/allocations/{index}"),
            EventPlace::Free(index) => format!("{at}/objects/allocations/{index}/freed"),
        }
    }
}

/// The events of an experiment by their order.
pub(super) type Events<'a> = BTreeMap<u64, StatedEvent<'a>>;

/// Check the events of an experiment; give them back if nothing is wrong with them.
pub(super) fn collect_events<'a>(
    at: &str,
    experiment: &'a Experiment,
) -> Result<Events<'a>, Finding> {
    let mut events = Events::new();
    for (name, probe) in &experiment.probes {
        check_attachment(probe).map_err(|(leaf, reason)| {
            let at = format!("{at}/probes/{}/{leaf}", escape(name));
            (at, reason)
        })?;
        let mut last = 0;
        for (index, hit) in probe.hits.iter().enumerate() {
            let place = EventPlace::Hit(name, index);
            let taken = collect_hit_events(
                place,
                hit,
                probe,
                experiment.quality.events,
                last,
                &mut events,
            );
            taken.map_err(|wrong| match wrong {
                HitContradiction::Hit(error) => (place.text(at), error.to_string()),
                HitContradiction::Otherwise(order, other) => {
                    let other = other.text(at);
                    let reason = format!("`{other}` says something else of event {order}");
                    (place.text(at), reason)
                }
            })?;
            last = hit.order.or(hit.return_order).unwrap_or(last);
        }
    }
    check_complete(at, experiment.quality.events, &events)?;
    check_time_order(at, &events)?;
    check_tasks(at, &events)?;
    if experiment.quality.missed == 0 {
        check_nesting(experiment, at)?;
    }
    Ok(events)
}

/// Check that a probe is attached by the back-end that watches such a target, and that the kernel did not refuse it then.
fn check_attachment(probe: &Probe) -> Result<(), (&'static str, String)> {
    let refused = probe.attach_errno.as_ref().and_then(number);
    match (probe.backend, refused) {
        (Some(_), Some(errno)) if errno != 0 => {
            let reason = "the probe is attached, and the kernel refused it".into();
            return Err(("attach_errno", reason));
        }
        (None, Some(0)) => {
            let reason = "the probe is unavailable, and the kernel did not refuse it".into();
            return Err(("attach_errno", reason));
        }
        _ => {}
    }
    if let Some(Datum::Value(Value::Address { value, .. })) = &probe.address
        && !probe.watched.is_empty()
        && !probe.watched.contains(value)
    {
        let reason = "the probe's function is none of the copies that it watched".into();
        return Err(("address", reason));
    }
    let (watches, fitting) = match probe.target {
        Target::Function(_) => ("a function", Backend::Kprobe),
        Target::Address(_) => ("an address", Backend::Kprobe),
        Target::Tracepoint(_) => ("a tracepoint", Backend::Tracepoint),
        Target::Lsm(_) => ("an LSM hook", Backend::Lsm),
    };
    match probe.backend.filter(|backend| *backend != fitting) {
        None => Ok(()),
        Some(_) => {
            let reason = format!("the probe watches {watches}, which this back-end cannot");
            Err(("backend", reason))
        }
    }
}

impl StatedEvent<'_> {
    /// True if one event can have been seen by both: two names of one address are one place.
    fn may_be(&self, other: &StatedEvent<'_>) -> bool {
        let same = self.probe.target == other.probe.target;
        self.side == other.side && (same || self.copy.is_some() && self.copy == other.copy)
    }
}

/// The contradiction of a hit.
enum HitContradiction<'a> {
    Hit(HitError),
    /// The event of this order is another one at this place.
    Otherwise(u64, EventPlace<'a>),
}

impl From<HitError> for HitContradiction<'_> {
    fn from(error: HitError) -> Self {
        HitContradiction::Hit(error)
    }
}

/// Collect the events of one hit.
fn collect_hit_events<'a>(
    place: EventPlace<'a>,
    hit: &'a Hit,
    probe: &'a Probe,
    count: u64,
    last: u64,
    events: &mut Events<'a>,
) -> Result<(), HitContradiction<'a>> {
    let first = hit.order.or(hit.return_order);
    if first.is_none() {
        return Err(HitError::NoOrder.into());
    }
    let stack = match hit.stack.as_ref().and_then(Datum::value) {
        Some(Value::Stack { value } | Value::CutStack { value, .. }) => Some(value.as_slice()),
        _ => None,
    };
    let sides = [
        (EventSide::Entry, hit.order, hit.time_ns),
        (EventSide::Return, hit.return_order, hit.return_time_ns),
    ];
    for (side, order, time_ns) in sides {
        let Some(order) = order else {
            if time_ns.is_some() {
                return Err(HitError::TimeWithoutOrder.into());
            }
            continue;
        };
        if order == 0 || order > count {
            return Err(HitError::Beyond { order, count }.into());
        }
        let event = StatedEvent {
            side,
            probe,
            copy: hit.copy(probe),
            time_ns,
            task: &hit.task,
            cpu: hit.cpu,
            // The stack is that of the entry.
            stack: stack.filter(|_| side == EventSide::Entry),
            place,
        };
        let Some(other) = events.get_mut(&order) else {
            events.insert(order, event);
            continue;
        };
        // Probes with different conditions on the same place see the same event.
        if !other.may_be(&event) {
            return Err(HitError::Taken(order).into());
        }
        let differs = (other.task, other.cpu) != (event.task, event.cpu)
            || matches!((other.time_ns, time_ns), (Some(a), Some(b)) if a != b)
            || matches!((other.stack, event.stack), (Some(a), Some(b)) if a != b);
        if differs {
            return Err(HitContradiction::Otherwise(order, other.place));
        }
        other.time_ns = other.time_ns.or(event.time_ns);
        other.stack = other.stack.or(event.stack);
    }
    if first <= Some(last) {
        return Err(HitError::OutOfOrder.into());
    }
    if let (Some(entered), Some(returned)) = (hit.order, hit.return_order)
        && returned <= entered
    {
        return Err(HitError::ReturnsFirst.into());
    }
    check_shape(hit, probe)?;
    check_call_site(hit, probe)?;
    Ok(check_caller(hit, stack)?)
}

/// Check that a hit states no more than its probe can have seen.
fn check_shape(hit: &Hit, probe: &Probe) -> Result<(), HitError> {
    let returns = hit.return_order.is_some();
    let function = matches!(probe.target, Target::Function(_) | Target::Address(_));
    if returns && !function {
        return Err(HitError::NoReturn);
    }
    if !function && (hit.caller.is_some() || hit.site.is_some()) {
        return Err(HitError::NoCaller);
    }
    let unknown = hit
        .args
        .keys()
        .find(|name| probe.parameters.iter().all(|p| p.name != **name));
    match unknown {
        Some(name) if !probe.parameters.is_empty() => Err(HitError::NoParameter(name.clone())),
        _ => check_types(hit, probe),
    }
}

/// Check that what a hit brought back is of the types that the kernel gives its function's parameters and what it
/// returns.
fn check_types(hit: &Hit, probe: &Probe) -> Result<(), HitError> {
    let other = |datum: &Datum, declared: &str| match datum.value() {
        Some(Value::Address { type_name, .. } | Value::Int { type_name, .. }) => {
            type_name.clone().filter(|own| own != declared)
        }
        _ => None,
    };
    let returned = hit.return_value.as_ref().zip(probe.returns.as_ref());
    if let Some((datum, declared)) = returned
        && let Some(own) = other(datum, declared)
    {
        return Err(HitError::ReturnType {
            declared: declared.clone(),
            own,
        });
    }
    let wrong = hit.args.iter().find_map(|(name, datum)| {
        let declared = probe.parameters.iter().find(|p| p.name == *name)?;
        Some((
            name,
            &declared.type_name,
            other(datum, &declared.type_name)?,
        ))
    });
    match wrong {
        Some((name, declared, own)) => Err(HitError::ArgumentType {
            name: name.clone(),
            declared: declared.clone(),
            own,
        }),
        None => Ok(()),
    }
}

/// Check that the caller stands before the place that the call returns to, and that a hit is of a copy that was
/// watched.
fn check_call_site(hit: &Hit, probe: &Probe) -> Result<(), HitError> {
    if let (Some(caller), Some(returns_to)) = (&hit.caller, &hit.returns_to)
        && caller.value().is_some()
        && caller != returns_to
    {
        return Err(HitError::OtherCaller);
    }
    let Some(copy) = hit.instance.as_ref().and_then(Datum::value) else {
        return Ok(());
    };
    match copy {
        Value::Symbol { address, .. } if probe.watched.contains(address) => Ok(()),
        _ => Err(HitError::OtherCopy),
    }
}

/// Check that every event was recorded in some hit: one that is missing was taken out.
fn check_complete(at: &str, count: u64, events: &Events<'_>) -> Result<(), Finding> {
    if events.len() as u64 == count {
        return Ok(());
    }
    let missing = (1..=count).find(|order| !events.contains_key(order));
    let reason = format!(
        "no probe has a hit of event {}, and the experiment counts {count}",
        missing.unwrap_or(count)
    );
    Err((format!("{at}/quality/events"), reason))
}

/// Check that time does not run backwards along the order of events.
fn check_time_order(at: &str, events: &Events<'_>) -> Result<(), Finding> {
    let mut last: Option<(u64, EventPlace<'_>)> = None;
    for (order, event) in events {
        let Some(time) = event.time_ns else {
            continue;
        };
        if let Some((before, place)) = last.filter(|(before, _)| time < *before) {
            let place = place.text(at);
            let reason = format!(
                "event {order} has an earlier time than the one before it ({before} ns, at `{place}`)"
            );
            return Err((event.place.text(at), reason));
        }
        last = Some((time, event.place));
    }
    Ok(())
}

/// Check that a thread belongs to one process.
fn check_tasks(at: &str, events: &Events<'_>) -> Result<(), Finding> {
    let mut processes: BTreeMap<i32, i32> = BTreeMap::new();
    for event in events.values() {
        let Task { pid, tid, .. } = event.task;
        // The idle tasks of all processors have the same number.
        if *tid == 0 {
            continue;
        }
        let known = *processes.entry(*tid).or_insert(*pid);
        if known != *pid {
            let reason = format!("thread {tid} belongs to process {known}, not to {pid}");
            return Err((event.place.text(at), reason));
        }
    }
    Ok(())
}

/// A call of a function, seen from its entry to its return.
pub(super) struct CompletedCall<'a> {
    pub entered: u64,
    pub returned: u64,
    pub hit: &'a Hit,
    pub place: EventPlace<'a>,
}

/// The thread that made a call; of idle tasks, which share a number, the processor too.
pub(super) fn thread(task: &Task, cpu: u32) -> (i32, i32, Option<u32>) {
    (task.pid, task.tid, (task.tid == 0).then_some(cpu))
}

/// The calls of an experiment that were seen whole, by thread, in the order of their entries.
pub(super) fn calls(
    experiment: &Experiment,
) -> BTreeMap<(i32, i32, Option<u32>), Vec<CompletedCall<'_>>> {
    let mut calls: BTreeMap<_, Vec<CompletedCall<'_>>> = BTreeMap::new();
    for (name, probe) in &experiment.probes {
        for (index, hit) in probe.hits.iter().enumerate() {
            if let (Some(entered), Some(returned)) = (hit.order, hit.return_order) {
                calls
                    .entry(thread(&hit.task, hit.cpu))
                    .or_default()
                    .push(CompletedCall {
                        entered,
                        returned,
                        hit,
                        place: EventPlace::Hit(name, index),
                    });
            }
        }
    }
    for list in calls.values_mut() {
        list.sort_by_key(|call| call.entered);
    }
    calls
}

/// Check that a thread leaves its calls in the reverse order of entering them.
fn check_nesting(experiment: &Experiment, at: &str) -> Result<(), Finding> {
    for list in calls(experiment).values() {
        let mut open: Vec<u64> = Vec::new();
        for call in list {
            while open.last().is_some_and(|end| *end < call.entered) {
                open.pop();
            }
            if let Some(end) = open.last().filter(|end| **end < call.returned) {
                let reason = format!(
                    "the call returns (event {}) after the one that it was made from (event {end})",
                    call.returned
                );
                return Err((call.place.text(at), reason));
            }
            open.push(call.returned);
        }
    }
    Ok(())
}

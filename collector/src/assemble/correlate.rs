//! From events to hits: which events belong to the experiment, which probe each one is of, and which
//! return ends which call.

use std::collections::BTreeMap;

use qed_collector_ebpf::{Event, MAX_READ_BYTES, side};
use qed_evidence::document::{
    Backend, Context, Hit, Instruction, Ledger, Member, Members, Parameter, Probe, Reads, Target,
    Task,
};
use qed_evidence::instances::Within;
use qed_evidence::investigation::Experiment;
use qed_evidence::value::{Address, Bytes, Cut, Datum, Frame, Value};

use super::exec_context::{Way, context};
use super::ledger::{Book, Entry};
use super::names::Names;
use super::stack::{Says, Stack, calling, nmi, raised_by_program, running, within};
use super::values::{Role, argument_role, datum, errno};
use crate::plan::expr::{Decode, Decoded, decode};
use crate::plan::{PlannedExperiment, PlannedProbe, PlannedRead, Source};
use crate::probe::kprobe_list;
use crate::session::raw::Declined;
use crate::workload::CallSite;

/// Bytes of the instruction that makes a system call.
const SYSCALL_LENGTH: u64 = 2;

/// What was seen in one experiment.
pub struct Seen<'a> {
    pub planned: &'a PlannedExperiment,
    pub asked: &'a Experiment,
    pub events: &'a [Box<Event>],
    pub markers: Option<(usize, usize)>,
    /// All that marks where the workload begins and ends was attached.
    pub marked: bool,
    /// Where the workload makes its system call.
    pub call: Option<&'a CallSite>,
    /// Per attachment: what the kernel skipped.
    pub skipped: &'a [Option<u64>],
    pub pid: u32,
    pub killed: bool,
    pub refusals: &'a [Option<Declined>],
    /// Per attachment: its entries in the kernel's list of probes, or why they are not known.
    pub listed: &'a [Result<String, String>],
    /// Why the workload did not run, if so: then nothing was watched.
    pub not_run: Option<&'a str>,
    /// The most frames of a stack that the captured kernel can have given.
    pub max_frames: usize,
    pub names: &'a dyn Names,
}

/// What was made of it.
pub struct Assembled {
    pub probes: BTreeMap<String, Probe>,
    pub ledger: Option<Ledger>,
    pub accepted: u64,
    pub lost: u64,
    pub missed: u64,
    /// Nothing from outside of the workload is among it.
    pub marked: bool,
    pub notes: Vec<String>,
}

/// The part of the events that belongs to the workload's own call.
///
/// The process does other things before it (reading the signal to start) and after it (reporting what came
/// back), system calls of the same number among them; the markers, which are the call's own `sys_enter` and `sys_exit`,
/// made by the one instruction that makes it, cut those off. Where the process was killed, what follows the call is the
/// kernel cleaning up after it, and belongs to the experiment.
struct Window {
    first: usize,
    last: usize,
    /// As many calls went in and came out as the workload makes.
    whole: bool,
    /// As many came out, also where that does not matter.
    all_out: bool,
}

impl Window {
    /// Whether all hits of the probe are there, because it sees what the markers see.
    fn proves(&self, planned: &PlannedProbe, seen: &Seen<'_>) -> bool {
        let (Some((enter, exit)), Ok(source)) = (seen.markers, &planned.source) else {
            return false;
        };
        self.whole && (source.usage == enter || source.usage == exit && self.all_out)
    }
}

fn window(seen: &Seen<'_>) -> Option<Window> {
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
    let open = seen.killed || seen.asked.until_exit;
    let last = marks(exit).next_back().filter(|_| !open);
    let all_out = marks(exit).count() == calls;
    Some(Window {
        first,
        last: last.unwrap_or(usize::MAX),
        whole: behind.is_some() && marks(enter).count() == calls && (open || all_out),
        all_out,
    })
}

/// Makes hits and a ledger of the events of one experiment.
pub fn assemble(seen: &Seen<'_>) -> Assembled {
    let mut probes: BTreeMap<String, Probe> = seen
        .planned
        .probes
        .iter()
        .map(|p| (p.name.clone(), empty(p, seen)))
        .collect();
    let mut out = Assembled {
        probes: BTreeMap::new(),
        ledger: None,
        accepted: 0,
        lost: 0,
        missed: 0,
        marked: seen.marked,
        notes: Vec::new(),
    };
    if seen.not_run.is_some() {
        // An empty ledger would say that nothing leaked.
        out.probes = probes;
        return out;
    }
    let window = window(seen);
    if seen.markers.is_some() && seen.marked && window.is_none() {
        // It was watched, and the workload made its call: what else is missing is not known.
        out.lost += 1;
        out.notes
            .push("the workload's system call was not seen going in".into());
    }
    if seen.markers.is_some() && out.marked && !window.as_ref().is_some_and(|w| w.whole) {
        out.marked = false;
        out.notes.push(
            "events outside of the call may be counted, because it was not seen going in and coming out as often as it was made"
                .into(),
        );
    }
    let wants_ledger = seen.planned.probes.iter().any(|p| p.allocates);
    let mut book = Book::default();
    let raises = (seen.asked.probes.iter()).any(|probe| probe.signal.is_some());
    let start = seen
        .events
        .get(window.as_ref().map_or(0, |w| w.first))
        .map_or(0, |event| event.time_ns);
    for (index, event) in seen.events.iter().enumerate() {
        let inside = (window.as_ref()).is_none_or(|w| (w.first..=w.last).contains(&index));
        let after = window.as_ref().is_some_and(|w| index > w.last);
        let of_workload = event.in_target != 0;
        let takers: Vec<&PlannedProbe> = seen
            .planned
            .probes
            .iter()
            .filter(|p| p.sources().any(|s| s.usage == event.probe as usize))
            // Frees come late and from anyone; all else has to happen in the call.
            .filter(|p| inside || (after && (p.frees || !of_workload)))
            // Another probe at this place may want everybody's.
            .filter(|p| of_workload || p.frees || anybodys(p, seen))
            .collect();
        if takers.is_empty() {
            continue;
        }
        let Stack {
            frames: stack,
            replaced,
        } = Stack::of(event, seen.names);
        // The stack may be deeper than what is kept of it.
        let cut = replaced || event.frames().len() >= seen.max_frames;
        let takers: Vec<&PlannedProbe> = takers
            .into_iter()
            .filter(|p| {
                let condition = probes.get_mut(&p.name).and_then(|p| p.within.as_mut());
                condition.is_none_or(|within| meets(within, (&stack, cut), event, seen.names))
            })
            .collect();
        if takers.is_empty() {
            continue;
        }
        let order = out.accepted + 1;
        let time_ns = event.time_ns.saturating_sub(start);
        let mut counted = false;
        for planned in takers {
            let Some(probe) = probes.get_mut(&planned.name) else {
                continue;
            };
            let way = way(planned, event, &stack, seen);
            let context = match context(event.preempt_count, way) {
                Some(Context::Hardirq) if raises && raised_by_program(&stack) => Some(Context::Act),
                other => other,
            };
            // What an interrupt allocates on top of the task is not the call's.
            let booked = planned.frees
                || planned.allocates && context.is_none_or(|context| context == Context::Task);
            if booked && is_object(event.object) {
                let entry = Entry {
                    address: event.object,
                    probe: planned.name.clone(),
                    order,
                    time_ns,
                    stack: stack.clone(),
                };
                if planned.allocates {
                    let (cache, size) = described(event, planned);
                    book.allocate(entry, cache, size, &seen.asked.excuses);
                } else if !book.free(entry, of_workload, task_name(event)) {
                    // Its allocation was outside of the call, so its free is no business of ours.
                    continue;
                }
            }
            counted = true;
            let moment = Moment {
                event,
                planned,
                stack: &stack,
                // Both say together what ran on top of what.
                context: context.filter(|_| seen.names.interrupts(0).is_some()),
                cut,
                replaced,
                order,
                time_ns,
                names: seen.names,
            };
            moment.record(probe);
        }
        out.accepted += u64::from(counted);
    }
    for planned in &seen.planned.probes {
        let Some(probe) = probes.get_mut(&planned.name) else {
            continue;
        };
        if out.marked && window.as_ref().is_some_and(|w| w.proves(planned, seen)) {
            // Whosever the skipped hits were, they were not the call's.
            probe.skipped = probe.skipped.map(|_| 0);
        }
        let unseen = probe
            .hits
            .iter()
            .filter(|hit| hit.order.is_some() && hit.return_order.is_none())
            .count() as u64;
        if watches_return(planned, seen) && unseen > 0 && !seen.killed {
            out.missed += unseen;
            out.notes.push(format!(
                "{unseen} returns of {} were not seen",
                planned.name
            ));
        }
    }
    out.probes = probes;
    out.ledger = wants_ledger.then(|| book.close());
    out
}

/// Whether a probe wants hits whoever runs.
fn anybodys(planned: &PlannedProbe, seen: &Seen<'_>) -> bool {
    let asked = seen.asked.probe(&planned.name);
    asked.is_some_and(|probe| probe.any_task)
}

/// What may have led to the probe's program: a breakpoint does inside of a function, and at an entry that the function
/// tracer cannot use, until the kernel replaces it by a jump. An NMI on the way then stands on the stack.
fn way(planned: &PlannedProbe, event: &Event, stack: &[Frame], seen: &Seen<'_>) -> Way {
    let hit = |source: &&Source| source.usage == event.probe as usize;
    let Some(source) = planned.sources().find(hit) else {
        return Way::Direct;
    };
    let function = matches!(planned.target, Target::Function(_) | Target::Address(_));
    let listed = seen.listed.get(source.attach);
    if !function || matches!(listed, Some(Ok(text)) if text.contains(kprobe_list::BY_TRACER)) {
        return Way::Direct;
    }
    match stack {
        [] => Way::Unknown,
        _ if nmi(stack) => Way::Direct,
        _ => Way::Breakpoint,
    }
}

/// What the kernel skipped of a probe, of all copies that it watches; `None`: of one of them it is not known.
fn skipped(planned: &PlannedProbe, seen: &Seen<'_>) -> Option<u64> {
    let refused = |source: &&Source| matches!(seen.refusals.get(source.attach), Some(Some(_)));
    let mut attached = planned.sources().filter(|s| !refused(s)).peekable();
    attached.peek()?;
    attached.try_fold(0_u64, |sum, source| {
        Some(sum.saturating_add((*seen.skipped.get(source.attach)?)?))
    })
}

/// Whether a hit meets the condition of its probe; what is not known is counted.
fn meets(
    condition: &mut Within,
    (stack, cut): (&[Frame], bool),
    event: &Event,
    names: &dyn Names,
) -> bool {
    match within(running(stack), cut, &condition.function, names) {
        Says::Yes => true,
        Says::No => false,
        Says::Unknown(why) => {
            // Of a call the entry is what counts.
            if event.side == side::ENTRY {
                condition.undecided += 1;
                condition.why.get_or_insert(why);
            }
            false
        }
    }
}

/// Whether it is an object: neither NULL nor an error in the place of a pointer (`MAX_ERRNO`,
/// <https://elixir.bootlin.com/linux/v6.12/source/include/linux/err.h#L18>).
fn is_object(address: u64) -> bool {
    address != 0 && address <= u64::MAX - 4095
}

fn watches_return(planned: &PlannedProbe, seen: &Seen<'_>) -> bool {
    seen.asked
        .probe(&planned.name)
        .is_some_and(|probe| probe.watch_return)
}

/// A probe before its first hit.
fn empty(planned: &PlannedProbe, seen: &Seen<'_>) -> Probe {
    let refused = |source: &Source| seen.refusals.get(source.attach).and_then(Option::as_ref);
    // Of several copies it is enough that one can be watched: which were is told.
    let declined = match &planned.source {
        Ok(source) if planned.sources().all(|source| refused(source).is_some()) => refused(source),
        _ => None,
    };
    let refusal = match &planned.source {
        Err(reason) => Some(reason.clone()),
        Ok(_) => declined.map(|declined| declined.reason.clone()),
    }
    .or_else(|| seen.not_run.map(str::to_owned));
    let address = planned
        .source
        .as_ref()
        .ok()
        .map(|s| s.address)
        .filter(|a| *a != 0);
    let is_function = matches!(planned.target, Target::Function(_));
    let unknown = planned
        .within
        .as_deref()
        .and_then(|function| seen.names.known(function).err());
    let refusal = refusal.or_else(|| Some(format!("`within`: {}", unknown?)));
    let sources = planned
        .sources()
        .filter(|_| is_function && refusal.is_none());
    let watched = sources.filter(|source| refused(source).is_none());
    let skipped = match &refusal {
        None => skipped(planned, seen),
        Some(_) => None,
    };
    Probe {
        watched: watched.map(|source| Address(source.address)).collect(),
        file: planned.file.clone(),
        within: planned.within.clone().map(|function| Within {
            function,
            undecided: 0,
            why: None,
        }),
        target: planned.target.clone(),
        optional: planned.optional,
        backend: refusal.is_none().then_some(match planned.target {
            Target::Function(_) | Target::Address(_) => Backend::Kprobe,
            Target::Tracepoint(_) => Backend::Tracepoint,
            Target::Lsm(_) => Backend::Lsm,
        }),
        unavailable: refusal,
        attach_errno: declined.and_then(|declined| Some(errno(declined.errno?).into())),
        parameters: planned
            .parameters
            .iter()
            .map(|p| Parameter {
                name: p.name.clone(),
                type_name: p.type_name.clone(),
            })
            .collect(),
        returns: planned.returns.as_ref().map(|r| r.type_name.clone()),
        address: address.map(|address| {
            Datum::Value(Value::Address {
                value: Address(address),
                type_name: None,
                symbol: None,
            })
        }),
        definition: address.filter(|_| is_function).map(|address| {
            match seen.names.definition(address) {
                Ok(value) => Value::Location { value }.into(),
                Err(reason) => Datum::unavailable(reason),
            }
        }),
        instruction: planned.instruction.as_ref().map(|one| Instruction {
            offset: planned.offset,
            bytes: Bytes(one.bytes.clone()),
            text: one.text.clone(),
        }),
        listed: listed(planned, seen),
        refused_reads: Reads {
            entry: planned.refused.entry.clone(),
            exit: planned.refused.exit.clone(),
        },
        members: Members {
            entry: members(&planned.entry),
            exit: members(&planned.exit),
        },
        public: seen
            .asked
            .probe(&planned.name)
            .map_or_else(Vec::new, |asked| asked.public.clone()),
        skipped,
        hits: Vec::new(),
    }
}

/// What the kernel's list of probes said about a function's probe; `None` for other probes and for one that is not
/// there.
fn listed(planned: &PlannedProbe, seen: &Seen<'_>) -> Option<Datum> {
    let source = planned.source.as_ref().ok()?;
    if source.address == 0
        || seen
            .refusals
            .get(source.attach)
            .cloned()
            .flatten()
            .is_some()
    {
        return None;
    }
    Some(match seen.listed.get(source.attach)? {
        Ok(text) => Value::text(text).into(),
        Err(reason) => Datum::unavailable(reason.clone()),
    })
}

/// The members that reads take.
fn members(reads: &[PlannedRead]) -> BTreeMap<String, Member> {
    let taken = reads.iter().filter_map(|read| {
        let member = read.member.clone()?;
        let member = Member {
            structure: member.structure,
            name: member.name,
            offset: member.offset,
        };
        Some((read.name.clone(), member))
    });
    taken.collect()
}

fn task_name(event: &Event) -> String {
    let end = event
        .comm
        .iter()
        .position(|b| *b == 0)
        .unwrap_or(event.comm.len());
    String::from_utf8_lossy(&event.comm[..end]).into_owned()
}

/// Cache and size of an allocation, from the tracepoint's own arguments and reads, where they say it:
/// a read called `cache`, an argument `bytes_alloc`, or a read called `size`.
fn described(event: &Event, planned: &PlannedProbe) -> (Option<String>, Option<u64>) {
    let read = |name: &str| {
        let read = planned
            .entry
            .iter()
            .chain(&planned.exit)
            .find(|read| read.name == name)?;
        Some(decode(&read.loaded(event)?, &read.decode))
    };
    let cache = match read("cache") {
        Some(Decoded::Text { text, cut: None }) => Some(text),
        Some(Decoded::Text { text, cut: Some(_) }) => Some(format!("{text}…")),
        _ => None,
    };
    let argument = planned
        .parameters
        .iter()
        .find(|p| p.name == "bytes_alloc")
        .and_then(|p| event.args.get(*p.register.as_ref().ok()?).copied());
    let size = argument.or(match read("size") {
        Some(Decoded::Int { value, .. }) => u64::try_from(value).ok(),
        _ => None,
    });
    (cache, size)
}

/// One event, for one probe.
struct Moment<'a> {
    event: &'a Event,
    planned: &'a PlannedProbe,
    stack: &'a [Frame],
    context: Option<Context>,
    /// The stack may be deeper than that.
    cut: bool,
    /// It ends where another tool has replaced a return address.
    replaced: bool,
    order: u64,
    time_ns: u64,
    names: &'a dyn Names,
}

impl Moment<'_> {
    fn record(&self, probe: &mut Probe) {
        if self.event.side == side::RETURN {
            let open = probe.hits.iter().rposition(|hit| {
                hit.task.tid == self.event.tid as i32
                    && hit.order.is_some()
                    && hit.return_order.is_none()
            });
            match open {
                Some(index) => self.returned(&mut probe.hits[index]),
                None => {
                    let mut hit = self.hit();
                    self.arguments(&mut hit);
                    self.returned(&mut hit);
                    probe.hits.push(hit);
                }
            }
            return;
        }
        let mut hit = self.hit();
        hit.order = Some(self.order);
        hit.time_ns = Some(self.time_ns);
        self.arguments(&mut hit);
        hit.entry = self.reads(&self.planned.entry);
        if !matches!(self.planned.target, Target::Function(_)) {
            hit.exit = self.reads(&self.planned.exit);
        }
        if matches!(self.planned.target, Target::Function(_)) {
            let begins = self.event.site.wrapping_sub(self.planned.offset);
            let calling = calling(self.stack, self.replaced, begins, self.names);
            hit.returns_to = Some(calling.returns_to);
            hit.caller = Some(calling.caller);
            hit.site = Some(calling.site);
        }
        if self.planned.stack && !self.planned.allocates && !self.planned.frees {
            hit.stack = Some(match (self.stack.to_vec(), self.cut) {
                (value, _) if value.is_empty() => {
                    Datum::unavailable("the kernel gave no stack at this hit")
                }
                (value, false) => Value::Stack { value }.into(),
                (value, true) => Value::CutStack {
                    value,
                    cut: Cut::default(),
                }
                .into(),
            });
        }
        probe.hits.push(hit);
    }

    fn hit(&self) -> Hit {
        Hit {
            order: None,
            time_ns: None,
            return_order: None,
            return_time_ns: None,
            task: Task {
                pid: self.event.tgid as i32,
                tid: self.event.tid as i32,
                name: task_name(self.event),
            },
            cpu: self.event.cpu,
            context: self.context,
            args: BTreeMap::new(),
            entry: BTreeMap::new(),
            exit: BTreeMap::new(),
            return_value: None,
            instance: self.instance(),
            returns_to: None,
            caller: None,
            site: None,
            stack: None,
        }
    }

    /// Which of several copies it was.
    fn instance(&self) -> Option<Datum> {
        if self.planned.others.is_empty() {
            return None;
        }
        let address = self.event.site;
        Some(match self.names.symbol(address) {
            Some((name, offset)) => Value::Symbol {
                name,
                offset,
                address: Address(address),
            }
            .into(),
            None => Datum::unavailable("the copy's address has no symbol"),
        })
    }

    fn arguments(&self, hit: &mut Hit) {
        let known = self.event.side == side::ENTRY || self.event.args_known != 0;
        for parameter in &self.planned.parameters {
            let datum = match (&parameter.register, &parameter.decode) {
                _ if !known => Datum::unavailable("the call was not seen going in"),
                (Err(reason), _) => Datum::unavailable(reason.clone()),
                (Ok(_), None) => Datum::unavailable("its type is not known"),
                (Ok(register), Some(how)) => match self.event.args.get(*register) {
                    Some(value) => datum(
                        in_register(*value, how),
                        argument_role(&parameter.name, parameter.names.as_deref()),
                        self.names,
                    ),
                    None => Datum::unavailable("only the first six arguments are kept"),
                },
            };
            hit.args.insert(parameter.name.clone(), datum);
        }
    }

    fn returned(&self, hit: &mut Hit) {
        hit.return_order = Some(self.order);
        hit.return_time_ns = Some(self.time_ns);
        hit.exit = self.reads(&self.planned.exit);
        hit.return_value = self
            .planned
            .returns
            .as_ref()
            .map(|returns| match &returns.decode {
                Ok(how) => datum(
                    in_register(self.event.return_value, how),
                    Role::Return,
                    self.names,
                ),
                Err(reason) => Datum::unavailable(reason.clone()),
            });
    }

    fn reads(&self, reads: &[PlannedRead]) -> BTreeMap<String, Datum> {
        reads
            .iter()
            .map(|read| (read.name.clone(), self.read(read)))
            .collect()
    }
}

impl Moment<'_> {
    fn read(&self, read: &PlannedRead) -> Datum {
        let Some(loaded) = read.loaded(self.event) else {
            return Datum::unavailable("the event has no room for this read");
        };
        if let Some(elements) = &read.elements
            && let Some(reason) = elements.refuse(self.event)
        {
            return Datum::unavailable(reason);
        }
        let role = match &read.names {
            Some(set) => Role::Constant(set),
            None => Role::Read(read.kind),
        };
        datum(decode(&loaded, &read.decode), role, self.names)
    }
}

/// A value that came in a register, of which only the low bytes may count.
fn in_register(value: u64, how: &Decode) -> Decoded {
    let mut bytes = [0; MAX_READ_BYTES];
    bytes[..8].copy_from_slice(&value.to_le_bytes());
    decode(&[(&bytes, 0)], how)
}

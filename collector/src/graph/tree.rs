//! The records of one task as the trees of its system calls.
//!
//! A call is what the task ran from its event `sys_enter` until the next `sys_enter`, whose system call follows at once. It
//! does not end at `sys_exit`, because work that the kernel defers until the task returns to user space runs after that.
//! Functions that are open at one of these events are those that report it, and belong to tracing.

use super::error::GraphError;
use super::layout::{Layout, RecordField};
use super::pages::{TimedRecord, read_records};
use super::raw::RawGraph;

/// Bits of `common_flags`: in a hard interrupt, serving a soft one, in a non-maskable one.
/// <https://elixir.bootlin.com/linux/v6.12/source/include/linux/trace_events.h#L200>
const INTERRUPT: u64 = 0x08 | 0x10 | 0x40;

/// One system call of the task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TracedCall {
    /// Its number.
    pub number: i64,
    /// Its six arguments.
    pub args: [u64; 6],
    /// The value that it returned; `None`: it did not return while it was watched.
    pub returned: Option<i64>,
    /// Time from its entry to its return in nanoseconds, tracing included; 0 if it did not return.
    pub duration_ns: u64,
    /// Number of the frames that began before `sys_exit`; the others ran on the way back to user space.
    pub before_exit: usize,
    /// The way back to user space was seen to its end.
    pub until_user_space: bool,
    /// The functions, callers before what they call, in the order in which they began.
    pub frames: Vec<Frame>,
}

/// One run of a function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// An address inside the function: that of its call of the tracer.
    pub address: u64,
    /// Number of functions of the tree that were open when it began.
    pub depth: u32,
    /// Time from the entry of the call, in nanoseconds.
    pub start_ns: u64,
    /// Time until it returned, in nanoseconds; `None`: it did not return.
    pub duration_ns: Option<u64>,
    /// The argument registers at its entry, where the kernel records them; else empty.
    pub registers: Vec<u64>,
    /// The value of the register that holds what functions return, where the kernel records it.
    pub returned: Option<u64>,
    /// True if it belongs to an interrupt that came while the call ran, or to a preemption by one, and not to the call.
    pub interrupt: bool,
}

/// Read the system calls of the task, in order.
///
/// # Errors
/// When a record was lost, or records contradict each other.
pub fn read_calls(raw: &RawGraph) -> Result<Vec<TracedCall>, GraphError> {
    let layout = Layout::from_formats(&raw.formats)?;
    let mut all = Vec::new();
    for cpu in &raw.cpus {
        all.extend(read_records(cpu, &layout)?);
    }
    // One task runs on one processor at a time: by the time, its records are in order. Each processor's own are already.
    all.sort_by_key(|record| record.time_ns);
    let mut task = Task::new(&layout);
    let mut number = 0;
    for record in all {
        if field_value(layout.tid, &record, number)? == u64::from(raw.tid) {
            task.add(number, &record)?;
            number += 1;
        }
    }
    Ok(task.finish())
}

/// The first of `calls` with this number and these arguments; `None` among them is one whose value is not known before.
///
/// # Errors
/// When there is none.
pub fn find_matching(
    calls: Vec<TracedCall>,
    number: i64,
    args: &[Option<i64>],
) -> Result<TracedCall, GraphError> {
    let mut calls = calls.into_iter();
    next_matching(&mut calls, number, args)
}

/// Of `calls` the first one with each of these numbers and arguments, in this order, each behind the one before it.
///
/// # Errors
/// When there is none for one of them.
pub fn find_in_order(
    calls: Vec<TracedCall>,
    wanted: &[(i64, Vec<Option<i64>>)],
) -> Result<Vec<TracedCall>, GraphError> {
    let mut calls = calls.into_iter();
    let each = wanted.iter();
    each.map(|(number, args)| next_matching(&mut calls, *number, args))
        .collect()
}

fn next_matching(
    calls: &mut impl Iterator<Item = TracedCall>,
    number: i64,
    args: &[Option<i64>],
) -> Result<TracedCall, GraphError> {
    let fits = |call: &TracedCall| {
        let mut pairs = args.iter().zip(call.args);
        call.number == number
            && pairs.all(|(known, seen)| known.is_none_or(|known| known as u64 == seen))
    };
    let call = calls.find(fits).ok_or(GraphError::NoCall { number })?;
    match call.returned.is_some() && !call.until_user_space {
        true => Err(GraphError::NoEnd),
        false => Ok(call),
    }
}

/// The value of a field of the record with this number among those of the task.
fn field_value(
    field: RecordField,
    record: &TimedRecord<'_>,
    number: usize,
) -> Result<u64, GraphError> {
    field
        .read(record.bytes)
        .ok_or(GraphError::Short { record: number })
}

/// A function that has begun and not returned.
#[derive(Clone, Copy)]
struct OpenFunction {
    function: u64,
    depth: u64,
    /// Its place among the frames of the call; `None`: it is not of the call.
    frame: Option<usize>,
    interrupt: bool,
    /// True if it occurred while the tracer recorded another function, and is recorded one level below that.
    within_tracer: bool,
    /// The event at which a call began came from a function that this one had called, and so the call is made by this one: on arm64
    /// the tracer sees what enters the kernel.
    makes_call: bool,
    /// The kernel has counted it out, and what comes before the record of its return is an interrupt's.
    counted_out: bool,
    time_ns: u64,
}

/// The task, record by record.
struct Task<'l> {
    layout: &'l Layout,
    open: Vec<OpenFunction>,
    /// Depth of the function that returned last, if nothing has begun at its depth since.
    returning: Option<u64>,
    /// Depth of a function that an interrupt came before the entry of: it has to begin before its caller returns.
    entering: Option<u64>,
    /// Calls that were too deep, as the task's counter stood at first.
    overrun: Option<u64>,
    /// The call in progress, and its start time.
    call: Option<(TracedCall, u64)>,
    done: Vec<TracedCall>,
}

impl<'l> Task<'l> {
    fn new(layout: &'l Layout) -> Self {
        Self {
            layout,
            open: Vec::new(),
            returning: None,
            entering: None,
            overrun: None,
            call: None,
            done: Vec::new(),
        }
    }

    fn add(&mut self, number: usize, record: &TimedRecord<'_>) -> Result<(), GraphError> {
        let kind = field_value(self.layout.kind, record, number)?;
        match kind {
            _ if kind == self.layout.entry.id => self.entry(number, record),
            _ if kind == self.layout.exit.id => self.exit(number, record),
            _ if kind == self.layout.enter.id => self.enter(number, record),
            _ if kind == self.layout.leave.id => self.leave(number, record),
            _ => Ok(()),
        }
    }

    fn entry(&mut self, number: usize, record: &TimedRecord<'_>) -> Result<(), GraphError> {
        let fields = &self.layout.entry;
        let function = field_value(fields.function, record, number)?;
        let depth = field_value(fields.depth, record, number)?;
        let outer = self.open.last().copied();
        let mut interrupt =
            outer.is_some_and(|outer| outer.interrupt) || self.is_in_interrupt(number, record)?;
        // What was open before the trace began is not known, nor how deep it is.
        let mut within_tracer = false;
        if let Some(outer) = outer {
            let expected = outer.depth + 1;
            within_tracer = depth == expected + 1 && !outer.counted_out;
            if within_tracer {
                // The kernel has counted a function in and not yet recorded its entry, or recorded its return and not yet counted
                // it out: nothing but an interrupt comes there.
                interrupt = true;
                if self.returning != Some(expected) {
                    self.entering = Some(expected);
                }
            } else if depth == outer.depth {
                // Older kernels count a function that returns out first, with interrupts enabled, and record it then
                // (`ftrace_pop_return_trace` in <https://elixir.bootlin.com/linux/v6.1/source/kernel/trace/fgraph.c>). Until
                // that record, nothing but interrupts may come: else the return was lost.
                interrupt = true;
                if let Some(outer) = self.open.last_mut() {
                    outer.counted_out = true;
                }
            } else if depth != expected || outer.counted_out {
                return Err(GraphError::Depth {
                    record: number,
                    depth,
                    expected,
                });
            } else {
                self.returning = None;
                self.entering = self.entering.filter(|entering| *entering != depth);
            }
        }
        let base = self.open.iter().filter(|open| open.frame.is_some()).count();
        let time_ns = record.time_ns;
        let inside = outer.is_none_or(|outer| outer.frame.is_some() || outer.makes_call);
        let frame = self.call.as_mut().filter(|_| inside).map(|(call, began)| {
            call.frames.push(Frame {
                address: function,
                depth: base as u32,
                start_ns: time_ns.saturating_sub(*began),
                duration_ns: None,
                registers: fields.registers(record.bytes),
                returned: None,
                interrupt,
            });
            call.frames.len() - 1
        });
        self.open.push(OpenFunction {
            function,
            depth,
            frame,
            interrupt,
            within_tracer,
            makes_call: false,
            counted_out: false,
            time_ns,
        });
        Ok(())
    }

    fn exit(&mut self, number: usize, record: &TimedRecord<'_>) -> Result<(), GraphError> {
        let fields = self.layout.exit;
        let depth = field_value(fields.depth, record, number)?;
        self.count_overrun(field_value(fields.overrun, record, number)?)?;
        let Some(open) = self.open.pop() else {
            // It began before the trace, or before the tracer saw this task.
            self.returning = Some(depth);
            return match &self.call {
                Some((call, _)) if !call.frames.is_empty() => {
                    Err(GraphError::Unpaired { record: number })
                }
                _ => Ok(()),
            };
        };
        let function = field_value(fields.function, record, number)?;
        if function != open.function || depth != open.depth {
            return Err(GraphError::Unpaired { record: number });
        }
        if self.entering == Some(depth + 1) {
            // It called a function whose entry was never recorded.
            return Err(GraphError::Unpaired { record: number });
        }
        if !open.within_tracer {
            self.returning = Some(depth);
        } else if self.entering != Some(depth - 1) {
            // Behind it, the other function still returns.
            self.returning = Some(depth - 1);
        }
        let interrupt = self.is_in_interrupt(number, record)?;
        let times = match fields.times {
            Some((began, ended)) => {
                field_value(ended, record, number)?.checked_sub(field_value(began, record, number)?)
            }
            None => None,
        };
        let returned = fields
            .returned
            .map(|field| field_value(field, record, number));
        let returned = returned.transpose()?;
        if let (Some(frame), Some((call, _))) = (open.frame, &mut self.call) {
            let duration = times.unwrap_or(record.time_ns.saturating_sub(open.time_ns));
            call.frames[frame].duration_ns = Some(duration);
            call.frames[frame].returned = returned;
            if interrupt && !call.frames[frame].interrupt {
                // It has counted the interrupt in, and began before that.
                for frame in &mut call.frames[frame..] {
                    frame.interrupt = true;
                }
            }
        }
        Ok(())
    }

    /// The kernel counts per task what its tracer could not follow, and never sets it back.
    fn count_overrun(&mut self, now: u64) -> Result<(), GraphError> {
        let before = *self.overrun.get_or_insert(now);
        match now.checked_sub(before) {
            Some(0) => Ok(()),
            count => Err(GraphError::Overrun {
                count: count.unwrap_or(now),
            }),
        }
    }

    fn is_in_interrupt(&self, number: usize, record: &TimedRecord<'_>) -> Result<bool, GraphError> {
        Ok(field_value(self.layout.flags, record, number)? & INTERRUPT != 0)
    }

    /// Refuse an event of a system call below a function that was taken to be returning.
    fn check_none_counted_out(&self, number: usize) -> Result<(), GraphError> {
        match self.open.iter().any(|open| open.counted_out) {
            true => Err(GraphError::Unpaired { record: number }),
            false => Ok(()),
        }
    }

    fn enter(&mut self, number: usize, record: &TimedRecord<'_>) -> Result<(), GraphError> {
        let fields = &self.layout.enter;
        self.check_none_counted_out(number)?;
        if let Some((call, _)) = &mut self.call {
            call.until_user_space = call.returned.is_some();
            if call.until_user_space {
                self.leave_out_open();
            }
        }
        // One that did not return is over when the next one begins, too.
        self.close();
        let mut args = [0; 6];
        for (arg, field) in args.iter_mut().zip(fields.argument_fields()) {
            *arg = field_value(field, record, number)?;
        }
        let call = TracedCall {
            number: field_value(fields.number, record, number)? as i64,
            args,
            returned: None,
            duration_ns: 0,
            before_exit: 0,
            until_user_space: false,
            frames: Vec::new(),
        };
        self.call = Some((call, record.time_ns));
        // The innermost reports the event, and what it calls belongs to tracing.
        let reporter = self.open.len().saturating_sub(1);
        for (at, open) in self.open.iter_mut().enumerate() {
            open.makes_call = at < reporter;
        }
        Ok(())
    }

    fn leave(&mut self, number: usize, record: &TimedRecord<'_>) -> Result<(), GraphError> {
        let fields = &self.layout.leave;
        self.check_none_counted_out(number)?;
        let syscall = field_value(fields.number, record, number)? as i64;
        let returned = field_value(fields.value, record, number)? as i64;
        let Some((call, began)) = &mut self.call else {
            return Ok(());
        };
        if call.number != syscall || call.returned.is_some() {
            return Ok(());
        }
        call.returned = Some(returned);
        call.duration_ns = record.time_ns.saturating_sub(*began);
        let frames = self.leave_out_open();
        if let Some((call, _)) = &mut self.call {
            call.before_exit = frames;
        }
        Ok(())
    }

    /// Take the outermost function that is open out of the call, and all that it called: it is the way to an event. Gives back the
    /// number of frames that are left.
    fn leave_out_open(&mut self) -> usize {
        let Some((call, _)) = &mut self.call else {
            return 0;
        };
        if let Some(first) = self.open.iter().find_map(|open| open.frame) {
            call.frames.truncate(first);
        }
        for open in &mut self.open {
            open.frame = None;
        }
        call.frames.len()
    }

    /// End the call in progress.
    fn close(&mut self) {
        if let Some((mut call, _)) = self.call.take() {
            if call.returned.is_none() {
                call.before_exit = call.frames.len();
            }
            self.done.push(call);
        }
        for open in &mut self.open {
            open.frame = None;
        }
    }

    fn finish(mut self) -> Vec<TracedCall> {
        self.close();
        self.done
    }
}

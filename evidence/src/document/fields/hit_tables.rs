//! The tables of experiments.

use super::model::Form::{Caller, Moment, Offset, Order, Pid, Returned, Time};
use super::model::Publish::{
    Below, Declared, Empty, Frames, InContext, Kind, Nothing, Phrase, Pseudonyms, Public, Sentence,
    Value,
};
use super::model::rows::{
    BY_VALUE, INLINE, INVARIANT, PER_BOOT, PER_KERNEL, PER_RUN, UNLISTED, at_least, counted, form,
    formed, given, map, may_be_empty, named, one_of, within,
};
use super::model::{FieldWithholdReason, Publish};
use super::visitor::structures;
use crate::document::instances::Within;
use crate::document::{
    Allocation, Backend, CallSite, Cost, Descendants, Experiment, Free, Graph, Hit, Instruction,
    Ledger, Member, Members, Outcome, Parameter, Probe, Quality, Reads, Task, Width,
};

const BUFFER: Publish = Publish::Withheld(FieldWithholdReason::Buffer);

const BACKENDS: &[&str] = &[
    Backend::Kprobe.name(),
    Backend::Tracepoint.name(),
    Backend::Lsm.name(),
];

/// The highest error number that a system call returns
/// (<https://elixir.bootlin.com/linux/v6.12/source/include/linux/err.h#L18>).
pub(crate) const MAX_ERRNO: i128 = 4095;

/// The last real-time signal (<https://man7.org/linux/man-pages/man7/signal.7.html>).
const LAST_SIGNAL: i128 = 64;

/// The largest number of a task (<https://elixir.bootlin.com/linux/v6.12/source/include/linux/threads.h#L34>).
const PID_MAX_LIMIT: i128 = 4 * 1024 * 1024;

structures! {
    // Paths of the fields below begin with the key, or with the name of a probe.
    Experiment {
        // The investigation's own words.
        workload: given(INVARIANT), Public;
        files: UNLISTED, Nothing;
        unavailable: UNLISTED, Sentence;
        call: UNLISTED, Below;
        outcome: UNLISTED, Below;
        quality: UNLISTED, Below;
        objects: UNLISTED, Below;
        cost: UNLISTED, Below;
        // The functions that ran on a live machine include those of its own modules and security programs.
        graph: UNLISTED, Nothing;
        probes: UNLISTED, Below;
    }
    Graph {
        unavailable: UNLISTED, Nothing;
        lost: UNLISTED, Nothing;
        functions: UNLISTED, Nothing;
        calls: UNLISTED, Nothing;
        runs: UNLISTED, Nothing;
        before_exit: UNLISTED, Nothing;
        returned: UNLISTED, Nothing;
        traceable: UNLISTED, Nothing;
    }
    // The workload's code. Its addresses are of this run's process.
    CallSite {
        function: UNLISTED, Pseudonyms;
        instruction: UNLISTED, Pseudonyms;
        // The collector's own code: it is the same on every machine.
        code: UNLISTED, Below;
        + "function": PER_RUN;
        + "instruction": PER_RUN;
        + "after": PER_RUN;
        + "code": INVARIANT;
        + "text": INVARIANT;
    }
    Instruction {
        offset: UNLISTED, Public;
        bytes: UNLISTED, Public;
        text: UNLISTED, Public;
        + "address": PER_RUN;
        + "bytes": INVARIANT;
        + "text": INVARIANT;
    }
    Outcome {
        returned: form(Returned, may_be_empty(INVARIANT)), Kind;
        // As user space sees them.
        errno: within(0, MAX_ERRNO, INVARIANT), Kind;
        // A number of eight bits that a program chose to end with.
        exit: within(0, 255, INVARIANT), Value;
        signal: within(1, LAST_SIGNAL, INVARIANT), Kind;
        stdout: may_be_empty(PER_RUN), Empty;
        stderr: may_be_empty(PER_RUN), Empty;
        results: map(form(Returned, may_be_empty(INVARIANT))), Kind;
        // As large as the investigation says.
        buffers: map(formed(may_be_empty(PER_RUN))), BUFFER;
    }
    Quality {
        // An experiment that saw none is an error.
        events: at_least(1, counted(PER_KERNEL)), Public;
        lost: counted(INVARIANT), Public;
        missed: counted(INVARIANT), Public;
        descendants: UNLISTED, Below;
        threads_running: UNLISTED, Public;
        marked: UNLISTED, Public;
        until_user_space: UNLISTED, Public;
        compat_calls: UNLISTED, Public;
        attempts: at_least(1, counted(PER_RUN)), Public;
        notes: UNLISTED, Sentence;
        + "attached": counted(PER_KERNEL);
        + "planned": at_least(1, counted(given(INVARIANT)));
        + "descendants": counted(INVARIANT);
    }
    Descendants {
        started: UNLISTED, Public;
        followed: UNLISTED, Public;
        running: UNLISTED, Public;
    }
    Ledger {
        waited_ns: form(Time, named("waited", PER_RUN)), Public;
        allocations: UNLISTED, Below;
        + "allocated": counted(PER_KERNEL);
        + "freed": counted(PER_KERNEL);
        + "excused": counted(PER_RUN);
        + "leaked": counted(INVARIANT);
    }
    // The ledger repeats what hits say. What a hit does not tell any more, it does not tell either.
    Allocation {
        address: UNLISTED, Pseudonyms;
        probe: UNLISTED, Public;
        cache: UNLISTED, InContext;
        size: UNLISTED, InContext;
        order: UNLISTED, Public;
        time_ns: UNLISTED, Public;
        stack: UNLISTED, Frames;
        freed: UNLISTED, Below;
        // The investigation's own words.
        excused: UNLISTED, Public;
    }
    Free {
        probe: UNLISTED, Public;
        order: UNLISTED, Public;
        time_ns: UNLISTED, Public;
        same_task: UNLISTED, Public;
        task: UNLISTED, InContext;
        stack: UNLISTED, Frames;
    }
    Cost {
        bare_ns: form(Time, PER_RUN), Public;
        probed_ns: form(Time, PER_RUN), Public;
        iterations: at_least(1, counted(INVARIANT)), Public;
        + "added_ns": form(Time, PER_RUN);
    }
    Probe {
        target: UNLISTED, Public;
        optional: UNLISTED, Public;
        backend: one_of(BACKENDS, PER_KERNEL), Public;
        unavailable: UNLISTED, Sentence;
        attach_errno: UNLISTED, Kind;
        parameters: UNLISTED, Below;
        returns: UNLISTED, Public;
        address: PER_BOOT, Pseudonyms;
        watched: UNLISTED, Pseudonyms;
        // The investigation's own words.
        file: UNLISTED, Public;
        within: UNLISTED, Below;
        definition: PER_KERNEL, Kind;
        // Its calls can lead to places of this boot.
        instruction: UNLISTED, Nothing;
        listed: may_be_empty(PER_KERNEL), Phrase;
        refused_reads: UNLISTED, Below;
        members: UNLISTED, Below;
        widths: UNLISTED, Below;
        public: UNLISTED, Public;
        retyped: UNLISTED, Public;
        skipped: counted(PER_RUN), Public;
        hits: UNLISTED, Below;
        + "attach_errno": within(0, MAX_ERRNO, PER_KERNEL);
        + "hits": counted(INVARIANT);
        + "offset": at_least(0, PER_KERNEL);
        + "instruction": PER_KERNEL;
        + "code": PER_KERNEL;
    }
    Within {
        function: UNLISTED, Public;
        // Counts of hits.
        undecided: UNLISTED, Public;
        settled: UNLISTED, Public;
        why: UNLISTED, Sentence;
    }
    Parameter {
        name: UNLISTED, Public;
        type_name("type"): UNLISTED, Public;
    }
    Reads {
        entry: UNLISTED, Sentence;
        exit: UNLISTED, Sentence;
    }
    Members {
        entry: UNLISTED, Below;
        exit: UNLISTED, Below;
    }
    Member {
        structure: PER_KERNEL, Public;
        name: INVARIANT, Public;
        offset: at_least(0, form(Offset, PER_KERNEL)), Public;
        type_name("type"): named("type", PER_KERNEL), Public;
        bits: PER_KERNEL, Public;
    }
    Width {
        bits: UNLISTED, Public;
        signed: UNLISTED, Public;
    }
    Hit {
        // Before it came the probe's hits that are numbered lower: `claim::invariants` bounds it.
        order: form(Order, PER_KERNEL), Public;
        time_ns: form(Moment, PER_RUN), Public;
        return_order: form(Order, PER_KERNEL), Public;
        return_time_ns: form(Moment, PER_RUN), Public;
        task: INLINE, Below;
        cpu: at_least(0, counted(PER_RUN)), Public;
        context: may_be_empty(PER_KERNEL), Public;
        args: map(may_be_empty(BY_VALUE)), Declared;
        entry: map(may_be_empty(BY_VALUE)), Declared;
        exit: map(may_be_empty(BY_VALUE)), Declared;
        return_value("return"): may_be_empty(BY_VALUE), Declared;
        instance: PER_KERNEL, Kind;
        returns_to: PER_KERNEL, Kind;
        caller: form(Caller, PER_KERNEL), Kind;
        site: form(Caller, PER_KERNEL), Kind;
        stack: PER_KERNEL, Frames;
        + "duration_ns": form(Time, PER_RUN);
    }
    Task {
        pid: within(0, PID_MAX_LIMIT, form(Pid, PER_RUN)), Public;
        tid: within(0, PID_MAX_LIMIT, form(Pid, PER_RUN)), Public;
        // Of a free that waited for a grace period: whichever task ran on that CPU then.
        name: named("task", may_be_empty(PER_RUN)), InContext;
    }
}

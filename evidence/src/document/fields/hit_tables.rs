//! The tables of experiments.

use super::model::Drift;
use super::model::Form::{Caller, Offset, Pid, Time};
use super::model::Publish::{
    Below, Declared, Empty, Frames, InContext, Kind, Nothing, Phrase, Pseudonyms, Public, Sentence,
    Value,
};
use super::model::rows::{
    BY_VALUE, INLINE, INVARIANT, PER_BOOT, PER_KERNEL, PER_RUN, UNLISTED, form, map, named,
};
use super::model::{Publish, Withheld};
use super::visitor::structures;
use crate::document::instances::Within;
use crate::document::{
    Allocation, CallSite, Cost, Descendants, Experiment, Free, Graph, Hit, Instruction, Ledger,
    Member, Members, Outcome, Parameter, Probe, Quality, Reads, Task, Width,
};

const BUFFER: Publish = Publish::Withheld(Withheld::Buffer);

structures! {
    // Paths of the fields below begin with the key, or with the name of a probe.
    Experiment {
        // The investigation's own words.
        workload: INVARIANT, Public;
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
        traceable: UNLISTED, Nothing;
    }
    // The workload's code. Its addresses are of this run's process.
    CallSite {
        function: UNLISTED, Pseudonyms;
        instruction: UNLISTED, Pseudonyms;
        // The collector's own code: it is the same on every machine.
        code: UNLISTED, Below;
        + "function": Drift::PerRun;
        + "instruction": Drift::PerRun;
        + "after": Drift::PerRun;
        + "code": Drift::Invariant;
        + "text": Drift::Invariant;
    }
    Instruction {
        offset: UNLISTED, Public;
        bytes: UNLISTED, Public;
        text: UNLISTED, Public;
        + "address": Drift::PerRun;
        + "bytes": Drift::Invariant;
        + "text": Drift::Invariant;
    }
    Outcome {
        returned: INVARIANT, Kind;
        errno: INVARIANT, Kind;
        // A number of eight bits that a program chose to end with.
        exit: INVARIANT, Value;
        signal: INVARIANT, Kind;
        stdout: PER_RUN, Empty;
        stderr: PER_RUN, Empty;
        results: map(INVARIANT), Kind;
        buffers: map(PER_RUN), BUFFER;
    }
    Quality {
        events: PER_KERNEL, Public;
        lost: INVARIANT, Public;
        missed: INVARIANT, Public;
        descendants: UNLISTED, Below;
        marked: UNLISTED, Public;
        until_user_space: UNLISTED, Public;
        compat_calls: UNLISTED, Public;
        attempts: PER_RUN, Public;
        notes: UNLISTED, Sentence;
        + "attached": Drift::PerKernel;
        + "planned": Drift::Invariant;
        + "descendants": Drift::Invariant;
    }
    Descendants {
        started: UNLISTED, Public;
        followed: UNLISTED, Public;
        running: UNLISTED, Public;
    }
    Ledger {
        waited_ns: form(Time, named("waited", PER_RUN)), Public;
        allocations: UNLISTED, Below;
        + "allocated": Drift::PerKernel;
        + "freed": Drift::PerKernel;
        + "excused": Drift::PerRun;
        + "leaked": Drift::Invariant;
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
        iterations: INVARIANT, Public;
        + "added_ns": Drift::PerRun;
    }
    Probe {
        target: UNLISTED, Public;
        optional: UNLISTED, Public;
        backend: PER_KERNEL, Public;
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
        listed: PER_KERNEL, Phrase;
        refused_reads: UNLISTED, Below;
        members: UNLISTED, Below;
        widths: UNLISTED, Below;
        public: UNLISTED, Public;
        retyped: UNLISTED, Public;
        skipped: PER_RUN, Public;
        hits: UNLISTED, Below;
        + "attach_errno": Drift::PerKernel;
        + "hits": Drift::Invariant;
        + "offset": Drift::PerKernel;
        + "instruction": Drift::PerKernel;
        + "code": Drift::PerKernel;
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
        offset: form(Offset, PER_KERNEL), Public;
        type_name("type"): named("type", PER_KERNEL), Public;
        bits: PER_KERNEL, Public;
    }
    Width {
        bits: UNLISTED, Public;
        signed: UNLISTED, Public;
    }
    Hit {
        order: PER_KERNEL, Public;
        time_ns: form(Time, PER_RUN), Public;
        return_order: PER_KERNEL, Public;
        return_time_ns: form(Time, PER_RUN), Public;
        task: INLINE, Below;
        cpu: PER_RUN, Public;
        context: PER_KERNEL, Public;
        args: map(BY_VALUE), Declared;
        entry: map(BY_VALUE), Declared;
        exit: map(BY_VALUE), Declared;
        return_value("return"): BY_VALUE, Declared;
        instance: PER_KERNEL, Kind;
        returns_to: PER_KERNEL, Kind;
        caller: form(Caller, PER_KERNEL), Kind;
        site: form(Caller, PER_KERNEL), Kind;
        stack: PER_KERNEL, Frames;
        + "duration_ns": Drift::PerRun;
    }
    Task {
        pid: form(Pid, PER_RUN), Public;
        tid: form(Pid, PER_RUN), Public;
        // Of a free that waited for a grace period: whichever task ran on that CPU then.
        name: named("task", PER_RUN), InContext;
    }
}

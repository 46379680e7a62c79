//! What of an experiment of a live machine may be published.

use crate::document::instances::Within;
use crate::document::value::{Datum, Frame, Value};
use crate::document::{
    Allocation, CallSite, Cost, Experiment, Free, Hit, Instruction, Ledger, Outcome, Probe,
    ProgramFile, Quality, Reads, Task,
};

use super::keep::{keep_if, optional_reason, reason, refuse};
use super::kind::{TEXT, by_kind, is_source};
use super::phrase::Known;
use super::tasks::{self, first_pid};

const OUTPUT: &str = "withheld: what a workload prints may tell who or where this live machine is";
const BUFFER: &str =
    "withheld: what a system call writes into a buffer may tell who or where this live machine is";

/// Withholds which files ran: the digest of a file tells who has the same one, and what it holds to whoever can guess it.
pub(super) fn program(files: &mut Vec<ProgramFile>) {
    files.clear();
}

pub(super) fn experiment(experiment: &mut Experiment, known: &Known<'_>) {
    let own = first_pid(experiment);
    let Experiment {
        // The investigation's own words.
        workload,
        files,
        unavailable,
        call,
        outcome,
        quality,
        objects,
        cost,
        probes,
    } = experiment;
    program(files);
    optional_reason(unavailable, known);
    if let Some(CallSite {
        // Both become pseudonyms.
        function: _,
        instruction: _,
        code,
    }) = call
    {
        // The collector's own code: it is the same on every machine.
        for Instruction {
            offset: _,
            bytes: _,
            text: _,
        } in code
        {}
    }
    self::outcome(outcome, known);
    let Quality {
        events: _,
        lost: _,
        missed: _,
        // Counts and a yes or no of the collector's.
        descendants: _,
        marked: _,
        compat_calls: _,
        attempts: _,
        notes,
    } = quality;
    for note in notes {
        *note = reason(note, known);
    }
    if let Some(Cost {
        bare_ns: _,
        probed_ns: _,
        iterations: _,
    }) = cost
    {}
    for probe in probes.values_mut() {
        self::probe(probe, own, workload, known);
    }
    if let Some(Ledger {
        waited_ns: _,
        allocations,
    }) = objects
    {
        for allocation in allocations {
            let hit = probes.get(&allocation.probe).and_then(|probe| {
                probe
                    .hits
                    .iter()
                    .find(|h| [h.order, h.return_order].contains(&Some(allocation.order)))
            });
            self::allocation(allocation, hit, workload, known);
        }
    }
}

fn outcome(outcome: &mut Outcome, known: &Known<'_>) {
    let Outcome {
        returned,
        errno,
        exit,
        signal,
        stdout,
        buffers,
    } = outcome;
    keep_if(returned, known, |value| by_kind(value, false, known));
    keep_if(errno, known, |value| by_kind(value, false, known));
    keep_if(signal, known, |value| by_kind(value, false, known));
    // A number of eight bits that a program chose to end with.
    keep_if(exit, known, |_| Ok(()));
    keep_if(stdout, known, |value| match value {
        Value::Text { value } if value.is_empty() => Ok(()),
        _ => Err(OUTPUT.to_owned()),
    });
    for datum in buffers.values_mut() {
        refuse(datum, BUFFER, known);
    }
}

/// The ledger repeats what hits say. What a hit does not tell any more, it does not tell either.
fn allocation(allocation: &mut Allocation, hit: Option<&Hit>, workload: &str, known: &Known<'_>) {
    let Allocation {
        address: _,
        probe: _,
        cache,
        size,
        order: _,
        time_ns: _,
        stack,
        freed,
        // The investigation's own words.
        excused: _,
    } = allocation;
    let told = |holds: &dyn Fn(&Value) -> bool| {
        hit.into_iter()
            .flat_map(|hit| {
                hit.args
                    .values()
                    .chain(hit.entry.values())
                    .chain(hit.exit.values())
            })
            .filter_map(Datum::value)
            .any(holds)
    };
    if let Some(text) = cache
        && !told(&|value| matches!(value, Value::Text { value } if value == text))
    {
        *cache = None;
    }
    if let Some(bytes) = size
        && !told(&|value| value.as_integer() == Some(i128::from(*bytes)))
    {
        *size = None;
    }
    stack.iter_mut().for_each(frame);
    if let Some(Free {
        probe: _,
        order: _,
        time_ns: _,
        same_task,
        task,
        stack,
    }) = freed
    {
        *task = tasks::freeing(task, *same_task, workload, known);
        stack.iter_mut().for_each(frame);
    }
}

fn frame(frame: &mut Frame) {
    let Frame {
        address: _,
        // From the kernel's own table.
        symbol: _,
        offset: _,
        site,
        interrupts: _,
    } = frame;
    if site.as_ref().is_some_and(|site| !is_source(site)) {
        *site = None;
    }
}

fn probe(probe: &mut Probe, own: Option<i32>, workload: &str, known: &Known<'_>) {
    let Probe {
        target: _,
        optional: _,
        backend: _,
        unavailable,
        attach_errno,
        parameters: _,
        returns: _,
        address: _,
        watched: _,
        // The investigation's own words.
        file: _,
        within,
        definition,
        // Taken out with the addresses: its calls can lead to places of this boot.
        instruction: _,
        listed,
        refused_reads,
        members: _,
        public,
        skipped: _,
        hits,
    } = probe;
    optional_reason(unavailable, known);
    if let Some(Within {
        function: _,
        // Counts of hits.
        undecided: _,
        settled: _,
        why,
    }) = within
    {
        optional_reason(why, known);
    }
    for datum in [attach_errno, definition].into_iter().flatten() {
        keep_if(datum, known, |value| by_kind(value, false, known));
    }
    if let Some(datum) = listed {
        keep_if(datum, known, |value| match value {
            Value::Text { value } if known.phrase(value) == *value => Ok(()),
            _ => Err(TEXT.to_owned()),
        });
    }
    let Reads { entry, exit } = refused_reads;
    for why in entry.values_mut().chain(exit.values_mut()) {
        *why = reason(why, known);
    }
    for hit in hits {
        self::hit(hit, public, known);
        let Task { pid, tid: _, name } = &mut hit.task;
        *name = tasks::hitting(name, Some(*pid) == own, workload, known);
    }
}

fn hit(hit: &mut Hit, public: &[String], known: &Known<'_>) {
    let Hit {
        order: _,
        time_ns: _,
        return_order: _,
        return_time_ns: _,
        // Its name is looked at where the workload is known.
        task: _,
        cpu: _,
        context: _,
        args,
        entry,
        exit,
        return_value,
        instance,
        returns_to,
        caller,
        site,
        stack,
    } = hit;
    let declared = |group: &str, name: &str| {
        let mut names = public.iter().filter_map(|path| path.strip_prefix(group));
        names.any(|rest| rest.strip_prefix('.') == Some(name))
    };
    for (group, data) in [("args", args), ("entry", entry), ("exit", exit)] {
        for (name, datum) in data {
            let declared = declared(group, name);
            keep_if(datum, known, |value| by_kind(value, declared, known));
        }
    }
    if let Some(datum) = return_value {
        let declared = public.iter().any(|path| path == "return");
        keep_if(datum, known, |value| by_kind(value, declared, known));
    }
    for datum in [instance, returns_to, caller, site].into_iter().flatten() {
        keep_if(datum, known, |value| by_kind(value, false, known));
    }
    match stack {
        Some(Datum::Value(Value::Stack { value } | Value::CutStack { value, .. })) => {
            value.iter_mut().for_each(frame);
        }
        Some(datum) => keep_if(datum, known, |value| by_kind(value, false, known)),
        None => {}
    }
}

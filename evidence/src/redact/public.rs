//! What of a live machine's evidence may be published: all that is known to be harmless, and nothing else.
//!
//! Each structure of the document is taken apart whole, without `..`: a field that is added to the document does not
//! compile here until somebody has said what it is. `_` says that the field is public as it stands, because only the
//! collector, the investigation or the kernel's own tables can have written it: names of functions, types and probes,
//! counts, orders, times, process ids. Everything else goes through a function that keeps what is known to be harmless
//! and gives the reason in the place of the rest.
//!
//! Addresses are left to the pseudonyms that come afterwards.

use std::collections::BTreeSet;

use crate::document::instances::{InlinedCopy, Instances, OwnCopy, Within};
use crate::document::value::{Datum, Frame, Value};
use crate::document::{
    Allocation, Boot, CallSite, Command, Cost, Evidence, Experiment, Free, Hit, Instruction, Kaslr,
    Kernel, Ledger, Machine, Outcome, Probe, ProgramFile, Quality, Reading, Reads, Run,
    SymbolPlaces, Task,
};

use super::kind::{TEXT, by_kind, is_listed, is_setting, is_source, is_source_file};
use super::phrase::{Known, is_hex, is_list};
use super::reason::{BOOT, SLIDE};
use super::tasks::{self, first_pid};
use crate::document::withheld::withheld;

/// Why something of a live machine is not told.
const OUTPUT: &str = "withheld: what a workload prints may tell who or where this live machine is";
const BUFFER: &str =
    "withheld: what a system call writes into a buffer may tell who or where this live machine is";
const COMMAND: &str = "withheld: a command printed it on this live machine";
const SETTING: &str =
    "withheld: a text in the configuration of a live machine's kernel may name its owner";

/// Takes out of the evidence of a live machine what is not known to be harmless.
/// A number that is one of the `parts` of an address is withheld, whatever it is said to mean.
pub(super) fn withhold(evidence: &mut Evidence, parts: &BTreeSet<u64>) {
    let known = Known::of(evidence, parts);
    let Evidence {
        schema: _,
        run,
        machine,
        kernel,
        kaslr,
        boots,
        commands,
        instances,
        // Symbols, enumerators and their types, from the kernel's own tables.
        names: _,
        experiments,
    } = evidence;
    self::run(run);
    self::machine(machine, &known);
    self::kernel(kernel, &known);
    self::kaslr(kaslr, &kernel.release, &known);
    for Boot {
        boot_id,
        time: _,
        slide,
        text,
        physical,
    } in boots
    {
        *boot_id = BOOT.into();
        for datum in [slide, text, physical] {
            refuse(datum, SLIDE, &known);
        }
    }
    for command in commands.values_mut() {
        self::command(command, &known);
    }
    for one in instances.values_mut() {
        self::instances(one, &known);
    }
    for experiment in experiments.values_mut() {
        self::experiment(experiment, &known);
    }
}

/// The copies of a function: names from the kernel's own tables, and places in its source.
fn instances(instances: &mut Instances, known: &Known<'_>) {
    let Instances {
        copies,
        inlined,
        count: _,
        leaves_by_jump: _,
        unknown,
    } = instances;
    let not_source = |place: &String| !is_source_file(place);
    for OwnCopy {
        symbol: _,
        address: _,
        file,
        aliases: _,
    } in copies
    {
        file.take_if(|file| not_source(file));
    }
    for InlinedCopy {
        holder: _,
        address: _,
        file,
        site,
    } in inlined.iter_mut().flatten()
    {
        file.take_if(|file| not_source(file));
        site.take_if(|site| not_source(site));
    }
    optional_reason(unknown, known);
}

/// Withholds a value, whatever it is; a reason loses what is not known.
fn refuse(datum: &mut Datum, reason: &str, known: &Known<'_>) {
    keep_if(datum, known, |_| Err(reason.to_owned()));
}

/// Keeps a value for which `harmless` has no reason against; a reason loses what is not known.
fn keep_if(
    datum: &mut Datum,
    known: &Known<'_>,
    harmless: impl FnOnce(&Value) -> Result<(), String>,
) {
    let reason = match datum {
        Datum::Value(value) => match harmless(value) {
            Ok(()) => return,
            Err(reason) => reason,
        },
        Datum::Unavailable(why) => reason(&why.unavailable, known),
    };
    *datum = Datum::unavailable(reason);
}

/// A reason, without what is not known.
fn reason(text: &str, known: &Known<'_>) -> String {
    match withheld(text) {
        Some(_) => text.to_owned(),
        None => known.phrase(text),
    }
}

fn optional_reason(text: &mut Option<String>, known: &Known<'_>) {
    if let Some(text) = text {
        *text = reason(text, known);
    }
}

fn run(run: &mut Run) {
    let Run {
        id: _,
        time: _,
        investigation,
        investigation_digest: _,
        collector: _,
        object_digest: _,
        marks_cuts: _,
    } = run;
    // Its name and no folder, whoever wrote it.
    if let Some((_, name)) = investigation.rsplit_once('/') {
        *investigation = name.to_owned();
    }
}

fn machine(machine: &mut Machine, known: &Known<'_>) {
    let Machine {
        // `host`: the reader of evidence refuses every other word.
        name: _,
        kind: _,
        ephemeral: _,
        boot_id,
        cpu_model: _,
        cpus: _,
        accelerator,
    } = machine;
    *boot_id = BOOT.into();
    optional_reason(accelerator, known);
}

fn kernel(kernel: &mut Kernel, known: &Known<'_>) {
    let Kernel {
        release: _,
        version: _,
        package: _,
        build_id,
        // Of a guest's.
        image_digest: _,
        btf_digest: _,
        config,
        lockdown,
        lsm,
        command_line,
        debuginfo,
    } = kernel;
    let shaped = |fits: fn(&str) -> bool| {
        move |value: &Value| match value {
            Value::Text { value } if fits(value) => Ok(()),
            _ => Err(TEXT.to_owned()),
        }
    };
    keep_if(build_id, known, shaped(is_hex));
    for option in config.values_mut() {
        keep_if(option, known, |value| match value {
            Value::Text { value } if is_setting(value) => Ok(()),
            _ => Err(SETTING.to_owned()),
        });
    }
    keep_if(lockdown, known, shaped(is_list));
    keep_if(lsm, known, shaped(is_list));
    *command_line = None;
    // A file's name, and the build that it is of.
    keep_if(debuginfo, known, |value| match value {
        Value::Text { value } if known.phrase(value) == *value => Ok(()),
        _ => Err(TEXT.to_owned()),
    });
}

fn kaslr(kaslr: &mut Kaslr, release: &str, known: &Known<'_>) {
    let Kaslr {
        status,
        slide,
        agree,
        sources,
        symbols,
        checked,
        differing,
        physical_start,
        physical_align,
        live_physical_start,
        readings,
    } = kaslr;
    for datum in [slide, live_physical_start]
        .into_iter()
        .chain(sources.values_mut())
    {
        refuse(datum, SLIDE, known);
    }
    for SymbolPlaces {
        live,
        static_address,
        slide,
    } in symbols.values_mut()
    {
        for datum in [live, static_address, slide] {
            refuse(datum, SLIDE, known);
        }
    }
    // A word of the collector's, a yes or no, counts of symbols, and what the configuration says.
    for datum in [
        status,
        agree,
        checked,
        differing,
        physical_start,
        physical_align,
    ] {
        keep_if(datum, known, |_| Ok(()));
    }
    for Reading {
        by: _,
        file,
        key,
        line,
        text,
    } in readings
    {
        if !file.starts_with("/proc/") && !file.starts_with("/boot/") {
            // Of a file on the building machine only its name.
            *file = file.rsplit('/').next().unwrap_or_default().to_owned();
        }
        keep_if(text, known, |value| match value {
            Value::Text { value } if value == release || is_listed(value, key) => Ok(()),
            _ => Err(SLIDE.to_owned()),
        });
        // Where `/proc/iomem` has the kernel's code depends on how much memory is below it.
        line.take_if(|_| text.value().is_none());
    }
}

fn command(command: &mut Command, known: &Known<'_>) {
    let Command {
        by: _,
        // The investigation's own words, with the names of the kernel's files.
        argv: _,
        files,
        exit,
        output,
        values,
    } = command;
    program(files);
    // A number of eight bits that a program chose to end with.
    keep_if(exit, known, |_| Ok(()));
    for datum in values.values_mut().chain([output]) {
        keep_if(datum, known, |value| match value {
            Value::Address { .. } => Ok(()),
            Value::Text { value } if known.text(value.trim_end()) => Ok(()),
            _ => Err(COMMAND.to_owned()),
        });
    }
}

/// Withholds which files ran: the digest of a file tells who has the same one, and what it holds to whoever can guess it.
fn program(files: &mut Vec<ProgramFile>) {
    files.clear();
}

fn experiment(experiment: &mut Experiment, known: &Known<'_>) {
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

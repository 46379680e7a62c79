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

use crate::document::instances::{InlinedCopy, Instances, OwnCopy};
use crate::document::value::Value;
use crate::document::{
    Boot, Command, Evidence, Kaslr, Kernel, Machine, Reading, Run, SymbolPlaces,
};

use super::keep::{keep_if, optional_reason, refuse};
use super::kind::{TEXT, is_listed, is_setting, is_source_file};
use super::phrase::{Known, is_hex, is_list};
use super::public_experiment::{self, program};
use super::reason::{BOOT, SLIDE};

/// Why something of a live machine is not told.
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
        public_experiment::experiment(experiment, &known);
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

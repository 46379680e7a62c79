//! The tables of the document, but for experiments.

use super::model::Drift;
use super::model::Publish::{
    Below, FileName, Hex, InContext, List, Nothing, Phrase, Printed, Pseudonyms, Public, Sentence,
    Setting, SourceFile, Value,
};
use super::model::rows::{BY_READER, INVARIANT, PER_BOOT, PER_KERNEL, PER_RUN, UNLISTED, map};
use super::model::{Publish, Withheld};
use super::visitor::structures;
use crate::document::instances::{InlinedCopy, Instances, OwnCopy};
use crate::document::{
    Boot, Command, Evidence, Kaslr, Kernel, Machine, ProgramFile, Reading, Run, SymbolPlaces,
};

const BOOT: Publish = Publish::Withheld(Withheld::Boot);
const SLIDE: Publish = Publish::Withheld(Withheld::Slide);

structures! {
    // Paths of the fields below begin with the key, or with the name of an experiment.
    Evidence {
        schema: UNLISTED, Public;
        run: UNLISTED, Below;
        machine: UNLISTED, Below;
        kernel: UNLISTED, Below;
        kaslr: UNLISTED, Below;
        boots: UNLISTED, Below;
        commands: UNLISTED, Below;
        instances: UNLISTED, Below;
        facts: UNLISTED, Below;
        // Symbols, enumerators and their types, from the kernel's own tables.
        names: UNLISTED, Public;
        experiments: UNLISTED, Below;
    }
    Run {
        id: PER_RUN, Public;
        time: PER_RUN, Public;
        // Its file name without the folder, whichever program wrote it.
        investigation: INVARIANT, FileName;
        investigation_digest: INVARIANT, Public;
        collector: INVARIANT, Public;
        object_digest: INVARIANT, Public;
        marks_cuts: UNLISTED, Public;
    }
    Machine {
        // `host`: the reader of evidence refuses every other word.
        name: INVARIANT, Public;
        kind: INVARIANT, Public;
        ephemeral: INVARIANT, Public;
        boot_id: PER_BOOT, BOOT;
        cpu_model: PER_BOOT, Public;
        cpus: PER_BOOT, Public;
        accelerator: PER_BOOT, Sentence;
    }
    Kernel {
        release: PER_KERNEL, Public;
        version: PER_KERNEL, Public;
        package: PER_KERNEL, Public;
        build_id: PER_KERNEL, Hex;
        // Of a guest's.
        image_digest: PER_KERNEL, Public;
        btf_digest: PER_KERNEL, Public;
        config: map(PER_KERNEL), Setting;
        modules: map(PER_KERNEL), Hex;
        lockdown: PER_BOOT, List;
        lsm: PER_BOOT, List;
        command_line: PER_BOOT, Nothing;
        // A file's name, and the build that it is of.
        debuginfo: PER_BOOT, Phrase;
    }
    Kaslr {
        // A word of the collector's.
        status: INVARIANT, Value;
        slide: PER_BOOT, SLIDE;
        agree: INVARIANT, Value;
        sources: map(PER_BOOT), SLIDE;
        symbols: map(PER_BOOT), Below;
        // Counts of symbols, and what the configuration says.
        checked: PER_KERNEL, Value;
        differing: INVARIANT, Value;
        physical_start: PER_KERNEL, Value;
        physical_align: PER_KERNEL, Value;
        live_physical_start: PER_BOOT, SLIDE;
        readings: UNLISTED, Below;
    }
    SymbolPlaces {
        live: PER_BOOT, SLIDE;
        static_address("static"): PER_KERNEL, SLIDE;
        slide: PER_BOOT, SLIDE;
    }
    Reading {
        by: UNLISTED, Public;
        file: UNLISTED, InContext;
        key: UNLISTED, Public;
        line: UNLISTED, InContext;
        text: UNLISTED, InContext;
    }
    Boot {
        boot_id: PER_RUN, BOOT;
        time: PER_RUN, Public;
        slide: PER_RUN, SLIDE;
        text: PER_RUN, SLIDE;
        physical: PER_RUN, SLIDE;
        // Of all boots together.
        + "count": Drift::Invariant;
        + "distinct": Drift::PerRun;
        + "distinct_physical": Drift::PerRun;
        + "lowest": Drift::PerRun;
        + "highest": Drift::PerRun;
        + "divisor": Drift::PerRun;
        + "differing": Drift::Invariant;
    }
    Command {
        by: UNLISTED, Public;
        // The investigation's own words, with the names of the kernel's files.
        argv: UNLISTED, Public;
        files: UNLISTED, Nothing;
        // A number of eight bits that a program chose to end with.
        exit: INVARIANT, Value;
        output: BY_READER, Printed;
        values: map(BY_READER), Printed;
        + "run": Drift::PerKernel;
    }
    // The digest of a file reveals who has the same file, and confirms a guess at its content.
    ProgramFile {
        role: UNLISTED, Nothing;
        name: UNLISTED, Nothing;
        sha256: UNLISTED, Nothing;
    }
    // Names from the kernel's own tables, and places in its source.
    Instances {
        copies: UNLISTED, Below;
        inlined: UNLISTED, Below;
        count: UNLISTED, Public;
        leaves_by_jump: UNLISTED, Public;
        never_returns: UNLISTED, Public;
        unknown: UNLISTED, Sentence;
    }
    OwnCopy {
        symbol: UNLISTED, Public;
        address: UNLISTED, Pseudonyms;
        file: UNLISTED, SourceFile;
        aliases: UNLISTED, Public;
    }
    InlinedCopy {
        holder: UNLISTED, Public;
        address: UNLISTED, Pseudonyms;
        file: UNLISTED, SourceFile;
        site: UNLISTED, SourceFile;
    }
}

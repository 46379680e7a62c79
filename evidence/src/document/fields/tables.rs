//! The tables of the document, but for experiments.

use super::model::Publish::{
    Below, FileName, Hex, InContext, List, Nothing, Phrase, Printed, Pseudonyms, Public, Sentence,
    Setting, SourceFile, Value,
};
use super::model::rows::{
    BY_READER, INVARIANT, PER_BOOT, PER_KERNEL, PER_RUN, UNLISTED, at_least, counted, formed,
    given, map, may_be_empty, one_of, optional, within,
};
use super::model::{FieldWithholdReason, Publish};
use super::visitor::structures;
use crate::document::instances::{InlinedCopy, Instances, OwnCopy};
use crate::document::{
    ARCHITECTURES, Boot, CommandRun, DISABLED, Evidence, Kaslr, Kernel, Machine, MachineKind,
    ProgramFile, RANDOMIZED, Reading, Run, SymbolPlaces,
};

const BOOT: Publish = Publish::Withheld(FieldWithholdReason::Boot);
const SLIDE: Publish = Publish::Withheld(FieldWithholdReason::Slide);

const MACHINE_KINDS: &[&str] = &[MachineKind::Host.name(), MachineKind::Guest.name()];

/// The modes of lockdown (<https://elixir.bootlin.com/linux/v6.12/source/security/security.c>, `lockdown_reasons`).
const LOCKDOWN: &[&str] = &["none", "integrity", "confidentiality"];

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
        id: formed(PER_RUN), Public;
        time: formed(PER_RUN), Public;
        // Its file name without the folder, whichever program wrote it.
        investigation: given(INVARIANT), FileName;
        investigation_digest: formed(INVARIANT), Public;
        collector: INVARIANT, Public;
        object_digest: formed(INVARIANT), Public;
        marks_cuts: UNLISTED, Public;
    }
    Machine {
        // `host`: the reader of evidence refuses every other word.
        name: INVARIANT, Public;
        kind: one_of(MACHINE_KINDS, INVARIANT), Public;
        ephemeral: INVARIANT, Public;
        boot_id: formed(PER_BOOT), BOOT;
        cpu_model: PER_BOOT, Public;
        cpus: at_least(1, counted(PER_BOOT)), Public;
        accelerator: PER_BOOT, Sentence;
        // Two captures of one boot can differ in it.
        resumed: optional(formed(PER_RUN)), Public;
    }
    Kernel {
        release: PER_KERNEL, Public;
        version: PER_KERNEL, Public;
        arch: one_of(ARCHITECTURES, PER_KERNEL), Public;
        package: PER_KERNEL, Public;
        build_id: formed(PER_KERNEL), Hex;
        // Of a guest's.
        image_digest: formed(PER_KERNEL), Public;
        btf_digest: formed(PER_KERNEL), Public;
        config: map(may_be_empty(PER_KERNEL)), Setting;
        modules: map(PER_KERNEL), Hex;
        lockdown: one_of(LOCKDOWN, PER_BOOT), List;
        lsm: may_be_empty(PER_BOOT), List;
        command_line: may_be_empty(PER_BOOT), Nothing;
        // A file's name, and the build that it is of.
        debuginfo: PER_BOOT, Phrase;
    }
    Kaslr {
        // A word of the collector's.
        status: one_of(&[RANDOMIZED, DISABLED], INVARIANT), Value;
        slide: PER_BOOT, SLIDE;
        agree: INVARIANT, Value;
        sources: map(PER_BOOT), SLIDE;
        symbols: map(PER_BOOT), Below;
        // Counts of symbols, and what the configuration says.
        checked: counted(PER_KERNEL), Value;
        differing: counted(INVARIANT), Value;
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
        boot_id: formed(PER_RUN), BOOT;
        time: formed(PER_RUN), Public;
        slide: PER_RUN, SLIDE;
        text: PER_RUN, SLIDE;
        physical: PER_RUN, SLIDE;
        // Of all boots together.
        + "count": at_least(1, counted(INVARIANT));
        + "distinct": at_least(1, counted(PER_RUN));
        + "distinct_physical": at_least(1, counted(PER_RUN));
        + "lowest": PER_RUN;
        + "highest": PER_RUN;
        + "divisor": PER_RUN;
        + "differing": counted(INVARIANT);
    }
    CommandRun {
        by: UNLISTED, Public;
        // The investigation's own words, with the names of the kernel's files.
        argv: UNLISTED, Public;
        files: UNLISTED, Nothing;
        // A number of eight bits that a program chose to end with.
        exit: within(0, 255, INVARIANT), Value;
        output: may_be_empty(BY_READER), Printed;
        values: map(may_be_empty(BY_READER)), Printed;
        + "run": given(PER_KERNEL);
    }
    // The digest of a file reveals who has the same file, and confirms a guess at its content.
    ProgramFile {
        role: UNLISTED, Nothing;
        name: UNLISTED, Nothing;
        sha256: UNLISTED, Nothing;
        mode: UNLISTED, Nothing;
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

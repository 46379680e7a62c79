//! Names of leaves that are available whatever was captured, from the tables of the document.

use crate::document::fields::Structure;
use crate::document::{
    Boot, CallSite, CommandRun, Cost, Hit, Instruction, Kaslr, Kernel, Ledger, Machine, Member,
    Outcome, Probe, Quality, Run, SymbolPlaces, Task,
};

/// Names of the values of one hit that are not in `args`, `entry` or `exit`.
pub fn hit_leaves() -> impl Iterator<Item = &'static str> + Clone {
    Hit::leaf_names().chain(Task::leaf_names())
}

/// Names of the values of a probe as a whole.
pub fn probe_leaves() -> impl Iterator<Item = &'static str> + Clone {
    Probe::leaf_names()
}

/// Names of the values of a member that a read takes.
pub fn member_leaves() -> impl Iterator<Item = &'static str> + Clone {
    Member::leaf_names()
}

/// Names of the values of a symbol.
pub(super) fn symbol_leaves() -> impl Iterator<Item = &'static str> + Clone {
    SymbolPlaces::leaf_names()
}

/// Names of the values of an instruction of the workload.
pub(super) fn instruction_leaves() -> impl Iterator<Item = &'static str> + Clone {
    Instruction::leaf_names()
}

/// Names of the values of a command, but for those that the investigation names.
pub(super) fn command_leaves() -> impl Iterator<Item = &'static str> + Clone {
    CommandRun::leaf_names()
}

/// Leaves of the fixed sections that every capture plans.
pub(super) fn fixed_leaves() -> impl Iterator<Item = (&'static str, &'static str)> {
    let section = |name: &'static str| move |leaf: &'static str| (name, leaf);
    Run::leaf_names()
        .map(section("run"))
        .chain(Machine::leaf_names().map(section("machine")))
        .chain(Kernel::leaf_names().map(section("kernel")))
        .chain(Kaslr::leaf_names().map(section("kaslr")))
        .chain(Boot::COMPUTED.iter().map(|sum| ("boots", sum.name)))
}

/// The parts of an outcome whose values have names that the investigation gives.
pub(super) const OUTCOME_MAPS: [&str; 2] = ["buffers", "results"];

/// Names of the values in a section of an experiment.
pub(super) fn outcome_leaves(section: &str) -> Vec<&'static str> {
    match section {
        "outcome" => Outcome::leaf_names().chain(OUTCOME_MAPS).collect(),
        "quality" => Quality::leaf_names().collect(),
        "objects" => Ledger::leaf_names().collect(),
        "call" => CallSite::leaf_names().collect(),
        "cost" => Cost::leaf_names().collect(),
        _ => Vec::new(),
    }
}

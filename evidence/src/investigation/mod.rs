//! Investigations: the experiments to run, and the probes of each.

mod argument;
mod command;
mod model;
mod parse;
mod place;
mod probe;
mod refusal;
mod surroundings;

pub use argument::{
    Argument, BufferElements, EarlierCall, FilledStructure, MemberValue, Returns, bytes_text,
};
pub(crate) use command::occurs_in;
pub use command::{
    ARTEFACTS, CommandValue, CommandValueKind, NotFound, OUTPUT_OF_COMMAND, PlannedCommand,
    split_placeholder,
};
pub use model::{
    Action, Experiment, FactNames, Investigation, LeakExemption, MAX_OUTPUT, OUTPUT_OF_WORKLOAD,
    Setup, Workload,
};
pub use parse::{parse, schema};
pub use place::{ProbeAddress, ProbeAddressError};
pub use probe::{
    KeyPlaces, LIST_COUNT, MAX_LIST, MAX_READ, ONE_LOAD, OTHER_ARCH, OtherPath, Position, Probe,
    Read, ReadKind, Signal, element_name, other_arch_reason,
};
pub use surroundings::{GivenFile, SpannedName, Stdin, Surroundings};

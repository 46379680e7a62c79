//! The evidence document: everything that one capture saw on one machine.

mod code;
mod command;
mod de;
mod evidence;
mod experiment;
pub mod facts;
pub mod fields;
mod graph;
pub mod instances;
mod kaslr;
mod ledger;
pub mod machine;
mod missing;
pub mod names;
pub mod pointer;
mod probe;
mod scalar;
pub mod value;
pub mod value_check;
mod value_de;
pub mod visit;
pub mod withheld;

pub use code::{CallSite, Instruction};
pub use command::{CommandRun, FileRole, ProgramFile, Reader};
pub use evidence::{
    ARCHITECTURES, Boot, Evidence, Kernel, Machine, MachineKind, Run, SCHEMA_VERSION,
    architecture_words,
};
pub use experiment::{Cost, Descendants, Experiment, Outcome, Quality};
pub use facts::{EnumeratorFacts, Facts, FieldFacts, MemberFacts, TypeFacts};
pub use graph::{Graph, GraphCall, is_nameless};
pub use kaslr::{DISABLED, Kaslr, RANDOMIZED, Reading, SymbolPlaces};
pub use ledger::{Allocation, Free, Ledger};
pub use missing::Missing;
pub use probe::{
    Backend, Context, Hit, Member, Members, Parameter, Probe, Reads, Target, Task, UnwatchedCause,
    Width, location_value,
};

pub(crate) use probe::count_value;

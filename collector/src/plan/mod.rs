//! From an investigation and a kernel's BTF to what the eBPF programs are told. Pure: it opens nothing.
//!
//! What this kernel cannot do is planned as unavailable, with the reason, and the rest goes on. Only what
//! is wrong on every kernel, such as a read path that does not parse, is an error of the investigation.

mod attachments;
mod error;
pub mod expr;
mod layout;
mod offer;
mod paths;
mod place;
mod planner;
mod probe;
mod reads;
mod setup;
mod structure;
mod types;
mod workload;

pub use types::{
    PlannedElements, PlannedExperiment, PlannedInstruction, PlannedParameter, PlannedProbe,
    PlannedRead, PlannedReturn, Refused, Source,
};

pub use error::NO_SUCH;
pub use layout::fd_walk;
pub use offer::{CopiesInFile, TargetKernel};
pub use paths::wrong_paths;
pub use setup::{CallMarkers, Markers, Plan, plan};
pub use workload::workload_alone;

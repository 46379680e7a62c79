//! Planning: from an investigation and a kernel's BTF to the configuration of the eBPF programs. Pure: no file is opened.
//!
//! A probe or a read that this kernel does not support is planned as unavailable, with the reason, and the rest goes on. Only a
//! mistake on every kernel, such as a read path that does not parse, is an error of the investigation.

mod argument_counts;
mod attachments;
mod error;
pub mod expr;
mod layout;
mod lists;
mod loads;
mod number_names;
mod paths;
mod place;
mod planner;
mod print_fmt;
mod probe;
mod reads;
mod return_slot;
mod setup;
mod structure;
mod target_kernel;
mod types;
mod workload;

pub use lists::ListLength;
pub use types::{
    EventSource, FewArguments, NumberNames, PlannedElement, PlannedElements, PlannedExperiment,
    PlannedInstruction, PlannedLength, PlannedList, PlannedParameter, PlannedProbe, PlannedRead,
    PlannedReturn, RefusedReads, loads,
};

pub use error::NO_SUCH;
pub use layout::find_fd_walk;
pub use paths::find_wrong_paths;
pub use setup::{CallMarkers, Markers, Plan, plan};
pub use target_kernel::{CopiesInFile, TargetKernel, TracepointFormats};
pub use workload::plan_workload_alone;

//! The workload in a process of its own: a second instance of this program, started with a hidden argument. It waits at a gate
//! until the probes watch it, makes the watched system call (or executes a command), and keeps its objects open until every
//! reader has finished.
//!
//! Only descriptors 0, 1 and 2 are open in it, so the first descriptor that it gets is 3. They are the pipes to the
//! collector; a call that closes or changes them (`close_range(0, ~0, 0)`) finds copies there.

mod captured;
mod child;
mod fd_conflicts;
mod invoke;
mod keeper;
mod link;
pub mod names;
mod operands;
mod protocol;
mod runner;
mod spec;
mod surroundings;
mod threads;

pub use child::{HIDDEN_ARGUMENT, child_main, is_child};
pub use invoke::MARKING_SYSCALL;
pub use runner::{CallSite, RunningWorkload, WorkloadError, WorkloadState};
pub use spec::{
    Arg, Exit, Input, Memory, Patch, SyscallInvocation, WorkloadEnvironment, WorkloadKind,
    WorkloadOutcome, WorkloadSpec,
};

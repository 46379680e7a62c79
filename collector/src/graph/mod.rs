//! The kernel's function-graph tracer: from the bytes of its ring buffer to the tree of the functions that one call ran
//! through.
//!
//! Binary records and not the tracer's text: they hold addresses (so a name that several functions share stays one function),
//! nanoseconds, the context (interrupt or task) of every record, and say by themselves where something was lost.
//!
//! | module | content |
//! | --- | --- |
//! | [`raw`] | what a run brings back, as plain data |
//! | [`layout`] | where the fields of a record stand, from tracefs's `format` files |
//! | [`pages`] | the ring buffer's pages as records with times |
//! | [`preemption`] | the scheduler's work against the task's will, which is not the call's |
//! | [`tree`] | the records of one task as the trees of its system calls |
//!
//! All of it is pure. Tracefs is driven by `session::tracer`.

mod error;
mod layout;
mod pages;
mod preemption;
pub mod raw;
#[cfg(test)]
mod tests;
mod tree;

pub use error::GraphError;
pub use preemption::mark_preemption;
pub use tree::{Call, Frame, calls, matching};

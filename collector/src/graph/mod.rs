//! Parser for the kernel's function-graph tracer: it turns the bytes of the ring buffer into the tree of the functions that one
//! call ran through.
//!
//! It reads binary records and not the tracer's text: they hold addresses (so functions that share a name are told apart),
//! nanoseconds and the context (interrupt or task) of every record, and they mark where something was lost.
//!
//! | module | content |
//! | --- | --- |
//! | [`raw`] | what a run brings back, as plain data |
//! | [`layout`] | where the fields of a record stand, from tracefs's `format` files |
//! | [`pages`] | the ring buffer's pages as records with times |
//! | [`preemption`] | the scheduler's work against the task's will, which is not the call's |
//! | [`tree`] | the records of one task as the trees of its system calls |
//!
//! All of it is pure; `session::tracer` reads and writes tracefs.

mod error;
mod layout;
mod pages;
mod preemption;
pub mod raw;
#[cfg(test)]
mod tests;
mod tree;

pub use error::{GraphError, PageFault};
pub use preemption::mark_preemption;
pub use tree::{Frame, TracedCall, find_in_order, find_matching, read_calls};

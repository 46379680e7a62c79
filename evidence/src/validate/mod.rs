//! Reading documents, and what a document must not say differently in two places.

mod caller;
mod completeness;
mod contradiction;
mod events;
mod finding;
mod gate;
mod hit_error;
mod ledger;
mod lockdown;
mod names;
mod outcome;
mod places;
mod planned;
mod processes;
pub mod reader;
mod stacks;
#[cfg(test)]
mod tests;
mod widths;

pub use finding::Finding;
pub use planned::against;

//! Reading of documents, and checks that a document does not contradict itself.

mod arch;
mod caller;
mod completeness;
mod contradiction;
mod events;
mod finding;
mod gate;
mod hit_error;
mod kinds;
mod ledger;
mod lists;
mod lockdown;
mod names;
mod outcome;
mod places;
mod planned;
mod planned_ledger;
mod processes;
pub mod reader;
mod stacks;
#[cfg(test)]
mod tests;
pub(crate) mod traced_run;
mod widths;

pub use finding::Finding;
pub use planned::find_contradiction;
pub use traced_run::run_difference;

//! Paths of a document: the index of all leaves, and look-ups in it.

pub mod boot_stats;
mod captured_words;
mod catalog;
mod drift;
mod fact_paths;
mod index;
mod leaf_names;
mod leaves;
mod limits;
mod list;
mod planned;
mod probe_leaves;
mod refusals;
pub mod resolve;
mod resolved;

pub(crate) use captured_words::CapturedWords;
pub use drift::Drift;
pub use index::{leaf_words, leaves};
pub use leaves::{Leaf, Leaves};

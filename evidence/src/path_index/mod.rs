//! Paths of a document: every leaf under its path, and from a path to its value.

pub mod boot_stats;
mod drift;
mod index;
pub mod resolve;

pub use drift::Drift;
pub use index::{Leaf, Leaves, leaves, words};

//! Drift: the differences between two captures, sorted by when each of them may change.

mod changes;
mod render;
#[cfg(test)]
mod tests;

pub use changes::{Change, ChangeKind, Report, diff};
pub use render::{markdown, text};

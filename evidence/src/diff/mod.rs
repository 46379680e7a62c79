//! Drift: what differs between two captures, told by when it may.

mod changes;
mod render;
#[cfg(test)]
mod tests;

pub use changes::{Change, Report, What, diff};
pub use render::{markdown, text};

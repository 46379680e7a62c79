//! The blind spots of a capture.

pub mod copies;
mod limits;
mod public;
#[cfg(test)]
mod tests;

pub(crate) use limits::*;
pub use public::unknown_public;

//! The blind spots of a capture.

pub mod copies;
mod limits;
mod notes;
mod public;
#[cfg(test)]
mod tests;

pub(crate) use limits::*;
pub use notes::{in_one_line, may_be_text, notes, text_instead};

//! The blind spots of a capture.

mod arguments;
mod builder_paths;
pub mod copies;
mod limits;
mod notes;
mod probe_facts;
#[cfg(test)]
mod tests;

pub(crate) use limits::*;
pub use notes::{Moment, in_one_line, may_be_text, notes, notes_of, text_instead};
pub use probe_facts::{SeenExperiment, SeenExperiments, SeenProbe};

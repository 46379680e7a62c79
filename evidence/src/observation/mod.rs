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
pub use notes::{Moment, format_one_line, may_be_text, notes, notes_of, text_cast_advice};
pub use probe_facts::{SeenExperiment, SeenExperiments, SeenProbe};

//! The blind spots of a capture.

mod arguments;
mod builder_paths;
mod capture_warnings;
pub mod copies;
mod limits;
pub mod missing_program;
mod notes;
mod probe_facts;
#[cfg(test)]
mod tests;

pub use capture_warnings::{CaptureWarning, NOT_SEEN, TIMED_OUT, capture_notes, capture_warnings};
pub(crate) use limits::*;
pub use notes::{
    Moment, format_one_line, may_be_text, notes, notes_beside, notes_of, text_cast_advice,
};
pub use probe_facts::{SeenExperiment, SeenExperiments, SeenProbe};

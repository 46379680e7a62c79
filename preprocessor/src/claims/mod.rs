//! The claims of a book and their verdicts.

pub mod judged;
pub mod verdicts;

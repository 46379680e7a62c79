//! The claims of a book and their verdicts.

pub mod bisect;
pub mod collect;
pub mod complaints;
pub mod gaps;
pub mod history;
pub mod judged;
pub mod parse;
pub mod sweep;
pub mod sweep_failures;
pub mod timeline;
pub mod verdicts;

//! Helpers that know nothing of books or evidence.

pub mod digest;
pub mod files;
pub mod parallel;
pub mod report;
pub mod state;
pub mod table;

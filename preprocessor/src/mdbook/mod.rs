//! The preprocessor as mdBook runs it, and loading a book the way mdBook does.

pub mod build;
pub mod check;
#[cfg(feature = "commands")]
pub mod load;
pub mod preprocess;
pub mod protocol;
pub mod settings;
pub mod warning_dedup;

//! Typed evidence of kernel captures: the document, its values, the paths that name them, the
//! investigations that ask for them, and the claims that are judged by them.
//!
//! This crate has no privileges and does no I/O: it takes text and returns data. `docs/architecture.md` describes its layers;
//! `tests/layers.rs` enforces them.

// The limit is in clippy.toml. Tables of cases in tests may be as long as they are.
#![cfg_attr(not(test), warn(clippy::too_many_lines))]

pub mod build_id;
pub mod claim;
pub mod constants;
pub mod diagnostic;
pub mod diff;
pub mod document;
pub mod freshness;
pub mod investigation;
pub mod lock;
pub mod observation;
pub mod path;
pub mod path_index;
pub mod redact;
pub mod schema;
pub mod secrets;
pub mod sweep;
#[cfg(test)]
mod testing;
pub mod validate;

pub use document::Evidence;
pub use document::value::{self, Datum, Value};
pub use document::{instances, machine, names};
pub use path::Path;
pub use path_index::resolve;
pub use validate::reader;

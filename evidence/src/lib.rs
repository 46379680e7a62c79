//! Typed evidence of kernel captures: the document, its values, the paths that name them, the
//! investigations that ask for them, and the claims that are judged by them.
//!
//! This crate has no privileges and does no I/O: it takes text and gives data back.

pub mod boots;
pub mod build_id;
pub mod claim;
pub mod consistent;
pub mod constants;
pub mod diagnostic;
pub mod document;
pub mod drift;
pub mod instances;
pub mod investigation;
pub mod leaves;
pub mod machine;
pub mod names;
mod observed;
pub mod path;
pub mod reader;
pub mod redact;
pub mod resolve;
pub mod schema;
pub mod secrets;
pub mod stale;
mod strict;
#[cfg(test)]
mod testing;
pub mod value;
mod walk;

pub use document::Evidence;
pub use path::Path;
pub use value::{Datum, Value};

//! The fields of the document, one row for each: its key, its path, when it may change, and which part of it is published from
//! a live machine.
//!
//! The tables are the only source of all four. From them come the checks that look at every value ([`visit`](super::visit)),
//! the index of paths (`path_index`) and redaction (`redact`). A field without a row does not compile.
//!
//! - `model`: what a row says
//! - `visitor`: going through a document by its tables
//! - `tables`, `hit_tables`, `fact_tables`: the tables

mod fact_tables;
mod hit_tables;
mod model;
mod tables;
mod visitor;

#[cfg(test)]
pub(crate) use fact_tables::STRUCTURES as FACT_STRUCTURES;
#[cfg(test)]
pub(crate) use hit_tables::STRUCTURES as EXPERIMENT_STRUCTURES;
pub use model::Drift;
pub(crate) use model::{Changes, Field, Form, PathRule, Publish, Withheld, drift};
#[cfg(test)]
pub(crate) use tables::STRUCTURES;
pub(crate) use visitor::{Structure, Visit, VisitMut};

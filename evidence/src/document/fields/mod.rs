//! The fields of the document, one row for each: its key, its path, when it may change, which values it can have, and which part
//! of it is published from a live machine.
//!
//! The tables are the only source of all of them. From them come the checks that look at every value ([`visit`](super::visit)),
//! the index of paths (`path_index`), the units and the negative control of claims (`claim`) and redaction (`redact`). A field without a row does not compile.
//!
//! - `model`: what a row says
//! - `visitor`: going through a document by its tables
//! - `tables`, `hit_tables`, `fact_tables`: the tables
//! - `lookup`: the row of a leaf, by its path

mod fact_tables;
mod hit_tables;
mod lookup;
mod model;
mod tables;
mod visitor;

#[cfg(test)]
pub(crate) use fact_tables::{COMPUTED as FACT_COMPUTED, STRUCTURES as FACT_STRUCTURES};
pub(crate) use hit_tables::MAX_ERRNO;
#[cfg(test)]
pub(crate) use hit_tables::{COMPUTED as EXPERIMENT_COMPUTED, STRUCTURES as EXPERIMENT_STRUCTURES};
pub(crate) use lookup::{key_of, leaf_rule, ledger_rule};
pub use model::Drift;
pub(crate) use model::{
    Bounds, Changes, Field, FieldWithholdReason, Form, LeafRule, PathRule, Publish, drift, key,
};
#[cfg(test)]
pub(crate) use tables::{COMPUTED, STRUCTURES};
pub(crate) use visitor::{Structure, Visit, VisitMut};

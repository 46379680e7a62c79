//! Outcomes of looking up a path.

use std::borrow::Cow;

use crate::document::Missing;
use crate::document::value::Value;

use super::drift::Drift;

/// The outcome of looking up a planned path on one machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Resolved<'a> {
    /// A value.
    Value(Cow<'a, Value>, Drift),
    /// No value on this machine, and the reason: the claim is UNVERIFIED.
    Missing(Missing),
    /// The capture itself is not sound here (lost events): the claim is an ERROR.
    Broken(String),
}

/// The reason why a path names nothing that could ever have a value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct PathError {
    /// The problem.
    pub message: String,
    /// Index of the segment that is wrong.
    pub segment: usize,
    /// The whole path that was probably meant.
    pub nearest: Option<String>,
}

//! The result of looking up a value that an expression reads.

use crate::document::value::Value;

/// The answer of one machine to one read.
pub(super) enum ReadResult {
    Value(Value),
    /// UNVERIFIED, and each reason why.
    Missing(Vec<String>),
    /// ERROR, and why.
    Broken(String),
}

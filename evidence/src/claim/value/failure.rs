//! The reasons why an evaluation has no result.

/// The reason why an expression has no value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::claim) enum Failure {
    /// Values of different kinds met: a mistake of the claim, whatever the values are.
    Kinds {
        message: String,
        help: Option<String>,
    },
    /// The operation has no result for these values: overflow, division by zero.
    Value(String),
    /// The evidence does not say.
    Missing(String),
}

impl Failure {
    /// Values of different kinds met.
    pub fn kinds(message: String, help: Option<String>) -> Self {
        Failure::Kinds { message, help }
    }

    /// These values have no result.
    pub fn value(message: impl Into<String>) -> Self {
        Failure::Value(message.into())
    }
}

//! The reason for a value that is missing, as the evidence states it.

use std::error::Error;
use std::fmt;
use std::ops::Deref;

use serde::{Deserialize, Serialize};

/// The reason why a value is missing: a phrase for the reader of the evidence, which it becomes a part of.
///
/// Errors of libraries are types of their own; one that ends up as a missing value is made a reason by
/// [`Reason::from_error`] where that is decided. It implements no [`Error`], so that it is not mistaken for one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Reason(String);

impl Reason {
    /// The message of an error.
    #[must_use]
    pub fn from_error(error: impl Error) -> Self {
        Self(error.to_string())
    }
}

impl Deref for Reason {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<String> for Reason {
    fn from(phrase: String) -> Self {
        Self(phrase)
    }
}

impl From<&str> for Reason {
    fn from(phrase: &str) -> Self {
        Self(phrase.to_owned())
    }
}

impl From<Reason> for String {
    fn from(reason: Reason) -> Self {
        reason.0
    }
}

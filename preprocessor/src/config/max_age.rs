//! The age from which evidence is stale.
//!
//! Own code: `humantime` and `jiff` also take months and years, which have no fixed length, sums, and spaces; a book has one number and one
//! unit, and the message names them.

use serde::Deserialize;
use thiserror::Error;

/// An age, in seconds: `90m`, `36h`, `7d`, `2w`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct MaxAge {
    /// As written.
    pub text: String,
    /// In seconds.
    pub seconds: i64,
}

/// A text that is not an age.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("`{0}` is not an age; write a number and a unit: 90m, 36h, 7d or 2w")]
pub struct MaxAgeError(String);

impl TryFrom<String> for MaxAge {
    type Error = MaxAgeError;

    fn try_from(text: String) -> Result<Self, MaxAgeError> {
        let bad = || MaxAgeError(text.clone());
        let unit = match text.bytes().last() {
            Some(b's') => 1,
            Some(b'm') => 60,
            Some(b'h') => 3_600,
            Some(b'd') => 86_400,
            Some(b'w') => 604_800,
            _ => return Err(bad()),
        };
        let number: u32 = text[..text.len() - 1].parse().map_err(|_| bad())?;
        Ok(MaxAge {
            seconds: i64::from(number) * unit,
            text,
        })
    }
}

//! The reason why a value is missing.

use std::fmt;

use schemars::JsonSchema;
use serde::Serialize;

use super::withheld::{WITHHELD, withheld_reason};

/// The reason why a value is missing, a phrase that can follow "because". In JSON: `{"unavailable": …}` or
/// `{"withheld": …}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Missing {
    /// Planned and not delivered.
    Unavailable(String),
    /// Measured, but not published of a live machine.
    Withheld(String),
}

impl Missing {
    /// The keys under which JSON has the reason.
    pub(crate) const KEYS: [&str; 2] = ["unavailable", "withheld"];

    /// The reason, without what kind of reason it is.
    pub fn reason(&self) -> &str {
        match self {
            Missing::Unavailable(reason) | Missing::Withheld(reason) => reason,
        }
    }

    /// The reason of a value that was withheld; `None` of another one.
    pub fn withheld_reason(&self) -> Option<&str> {
        match self {
            Missing::Withheld(reason) => Some(reason),
            Missing::Unavailable(_) => None,
        }
    }

    /// The reason in a text of a document. One that was withheld says so in front.
    pub fn from_text(text: &str) -> Self {
        match withheld_reason(text) {
            Some(reason) => Missing::Withheld(reason.to_owned()),
            None => Missing::Unavailable(text.to_owned()),
        }
    }
}

impl fmt::Display for Missing {
    /// The reason as a text of a document has it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Missing::Unavailable(reason) => f.write_str(reason),
            Missing::Withheld(reason) => write!(f, "{WITHHELD}{reason}"),
        }
    }
}

impl From<String> for Missing {
    fn from(reason: String) -> Self {
        Missing::Unavailable(reason)
    }
}

impl From<&str> for Missing {
    fn from(reason: &str) -> Self {
        Missing::Unavailable(reason.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::value::Datum;

    fn read(json: &str) -> Result<Datum, serde_json::Error> {
        serde_json::from_str(json)
    }

    /// Check that both kinds come back from JSON, and that the form of earlier evidence is read as what it means.
    #[test]
    fn json() {
        for (json, datum) in [
            (
                r#"{"unavailable":"no kcore"}"#,
                Datum::unavailable("no kcore"),
            ),
            (r#"{"withheld":"a slide"}"#, Datum::withheld("a slide")),
        ] {
            assert_eq!(serde_json::to_string(&datum).unwrap(), json);
            assert_eq!(read(json).unwrap(), datum);
        }
        let earlier = read(r#"{"unavailable":"withheld: a slide"}"#).unwrap();
        assert_eq!(earlier, Datum::withheld("a slide"));
        for bad in [
            r#"{"unavailable":"x","withheld":"y"}"#,
            r#"{"withheld":"x","withheld":"y"}"#,
            r#"{"withheld":"x","name":"y"}"#,
            r#"{"kind":"fd","value":3,"withheld":"x"}"#,
        ] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }

    /// Check that only what redaction withheld is told apart.
    #[test]
    fn kinds() {
        assert_eq!(
            Missing::from_text("withheld: x").withheld_reason(),
            Some("x")
        );
        assert_eq!(
            Missing::from_text("it was withheld: x").withheld_reason(),
            None
        );
        assert_eq!(Missing::from_text("withheld: x").to_string(), "withheld: x");
    }
}

//! Strict reading of evidence: a document that does not match this schema exactly is refused, with the place and the reason.

use thiserror::Error;

use crate::document::pointer::escape;
use crate::document::value::Datum;
use crate::document::visit::{VisitedItem, walk};
use crate::document::{Evidence, SCHEMA_VERSION};

/// The largest evidence file that is read, in bytes. A capture of the flagship book is below 2 MB; the smallest
/// JSON of the largest record grows some twentyfold in memory, which stays bearable with this bound.
pub const MAX_BYTES: usize = 16 << 20;

/// The reason why a document was refused.
#[derive(Debug, Error)]
pub enum ReadError {
    /// Larger than [`MAX_BYTES`].
    #[error(
        "the document has {0} bytes, more than the {MAX_BYTES} that are read; it is not evidence of one capture"
    )]
    TooLarge(usize),
    /// Not UTF-8.
    #[error("the document is not UTF-8: {0}")]
    Encoding(#[from] std::str::Utf8Error),
    /// Not JSON, cut short, or not of the schema.
    #[error("{}{reason}", format_place(pointer))]
    Form {
        /// JSON pointer (RFC 6901) of what was refused; empty for the document itself.
        pointer: String,
        /// The reason, with line and column.
        reason: serde_json::Error,
    },
    /// Of the schema, and contradicting itself.
    #[error("at `{pointer}`: {reason}")]
    Contradiction {
        /// JSON pointer (RFC 6901) of what was refused.
        pointer: String,
        /// The reason.
        reason: String,
    },
    /// Of another schema version.
    #[error(
        "the document has schema version {found}, this program reads version {SCHEMA_VERSION}; capture again with the collector of the same release"
    )]
    Version {
        /// The version that it has.
        found: u64,
    },
}

/// Read one document.
pub fn read(bytes: &[u8]) -> Result<Evidence, ReadError> {
    if bytes.len() > MAX_BYTES {
        return Err(ReadError::TooLarge(bytes.len()));
    }
    let text = std::str::from_utf8(bytes)?;
    // A valid document takes one pass; only a refused one is read again, to find the place and the reason.
    let Ok(evidence) = serde_json::from_str::<Evidence>(text) else {
        return Err(find_read_error(text));
    };
    if evidence.schema != SCHEMA_VERSION {
        return Err(ReadError::Version {
            found: evidence.schema.into(),
        });
    }
    find_first_contradiction(&evidence).map_or(Ok(evidence), Err)
}

/// The reason why a document, which is known to be unreadable, cannot be read.
fn find_read_error(text: &str) -> ReadError {
    #[derive(serde::Deserialize)]
    struct Version {
        schema: u64,
    }
    if let Ok(Version { schema }) = serde_json::from_str(text)
        && schema != u64::from(SCHEMA_VERSION)
    {
        return ReadError::Version { found: schema };
    }
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let error = match serde_path_to_error::deserialize::<_, Evidence>(&mut deserializer) {
        Err(error) => error,
        Ok(_) => {
            // The document is whole and something comes after it.
            let reason = deserializer.end().err().unwrap_or_else(|| {
                serde::de::Error::custom("the document is refused, but not a second time")
            });
            return ReadError::Form {
                pointer: String::new(),
                reason,
            };
        }
    };
    ReadError::Form {
        pointer: json_pointer(error.path()),
        reason: error.into_inner(),
    }
}

/// The beginning of a message, with the place of the error; empty where that is the document itself.
fn format_place(pointer: &str) -> String {
    match pointer {
        "" => String::new(),
        pointer => format!("at `{pointer}`: "),
    }
}

fn json_pointer(path: &serde_path_to_error::Path) -> String {
    use serde_path_to_error::Segment;
    let mut pointer = String::new();
    for segment in path {
        match segment {
            Segment::Seq { index } => pointer += &format!("/{index}"),
            Segment::Map { key } => pointer += &format!("/{}", escape(key)),
            Segment::Enum { .. } | Segment::Unknown => {}
        }
    }
    pointer
}

/// The first contradiction that the types allow.
fn find_first_contradiction(evidence: &Evidence) -> Option<ReadError> {
    for (name, experiment) in &evidence.experiments {
        let at =
            |pointer: String, reason: String| Some(ReadError::Contradiction { pointer, reason });
        let here = || format!("/experiments/{}", escape(name));
        if let Some(reason) = crate::path::refuse_experiment_name(name) {
            return at(here(), reason);
        }
        for (name, probe) in &experiment.probes {
            let here = || format!("{}/probes/{}", here(), escape(name));
            if let Some(reason) = crate::path::refuse_probe_name(name) {
                return at(here(), reason);
            }
            match (&probe.unavailable, probe.backend) {
                (Some(_), Some(_)) => {
                    return at(
                        here(),
                        "a probe is attached by a back-end or unavailable, not both".into(),
                    );
                }
                (None, None) => {
                    return at(
                        here(),
                        "a probe that is not unavailable says its back-end".into(),
                    );
                }
                (Some(_), None) if !probe.hits.is_empty() => {
                    return at(here(), "an unavailable probe has no hits".into());
                }
                _ => {}
            }
        }
    }
    if let Some((index, error)) = evidence.names.first_misplaced_symbol() {
        let reason = error.to_string();
        let pointer = format!("/names/symbols/{index}");
        return Some(ReadError::Contradiction { pointer, reason });
    }
    let misnamed = walk(evidence, &mut |at, found| {
        let reason = match found {
            VisitedItem::Datum(Datum::Value(value)) => evidence.names.check(value),
            VisitedItem::Datum(Datum::Missing(_)) => return None,
            VisitedItem::Frame(frame) => {
                let symbol = frame.symbol.as_deref();
                evidence
                    .names
                    .check_frame(frame.address, symbol, frame.offset)
            }
        }
        .err()?;
        Some((at.text(), reason.to_string()))
    });
    let (pointer, reason) =
        misnamed.or_else(|| super::contradiction::find_self_contradiction(evidence))?;
    Some(ReadError::Contradiction { pointer, reason })
}

/// Write one document, with one leaf per line, so that two of them can be compared with common tools.
pub fn write(evidence: &Evidence) -> Result<String, serde_json::Error> {
    let mut text = serde_json::to_string_pretty(evidence)?;
    text.push('\n');
    Ok(text)
}

#[cfg(test)]
mod tests;

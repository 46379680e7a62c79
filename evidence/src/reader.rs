//! Reading evidence strictly: what is not exactly of this schema is refused, with the place and the reason.

use thiserror::Error;

use crate::document::{Evidence, SCHEMA_VERSION};

/// The largest evidence file that is read, in bytes. A capture of the flagship book is below 2 MB.
pub const MAX_BYTES: usize = 64 << 20;

/// Why a document was refused.
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
    #[error("{0}")]
    Form(#[from] serde_json::Error),
    /// Of another schema version.
    #[error(
        "the document has schema version {found}, this program reads version {SCHEMA_VERSION}; capture again with the collector of the same release"
    )]
    Version {
        /// The version that it has.
        found: u64,
    },
}

/// Reads one document.
pub fn read(bytes: &[u8]) -> Result<Evidence, ReadError> {
    if bytes.len() > MAX_BYTES {
        return Err(ReadError::TooLarge(bytes.len()));
    }
    let text = std::str::from_utf8(bytes)?;
    #[derive(serde::Deserialize)]
    struct Version {
        schema: u64,
    }
    let Version { schema } = serde_json::from_str(text)?;
    if schema != u64::from(SCHEMA_VERSION) {
        return Err(ReadError::Version { found: schema });
    }
    Ok(serde_json::from_str(text)?)
}

/// Writes one document, with one leaf per line, so that two of them can be compared with common tools.
pub fn write(evidence: &Evidence) -> Result<String, serde_json::Error> {
    let mut text = serde_json::to_string_pretty(evidence)?;
    text.push('\n');
    Ok(text)
}

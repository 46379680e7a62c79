//! Reasons why a site cannot be verified.

use qed_evidence::redact::RedactError;
use thiserror::Error;

/// The reasons why a site cannot be checked at all.
#[derive(Debug, Error)]
pub enum VerifyError {
    /// The raw evidence cannot be redacted.
    #[error(transparent)]
    Redact(#[from] RedactError),
    /// No evidence, neither in the site nor locally.
    #[error("there is no evidence to compare the site with")]
    NoEvidence,
    /// The error of a site inside the site.
    #[error("{folder}: {error}")]
    Inside {
        /// Its folder.
        folder: String,
        /// The reason.
        error: Box<VerifyError>,
    },
}

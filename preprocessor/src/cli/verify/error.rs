//! Reasons why a site cannot be verified.

use qed_evidence::redact::RedactError;
use thiserror::Error;

/// A site of which nothing can be said.
#[derive(Debug, Error)]
pub enum VerifyError {
    /// The raw evidence cannot be redacted.
    #[error(transparent)]
    Redact(#[from] RedactError),
    /// There is no evidence, neither in the site nor at hand.
    #[error("there is no evidence to compare the site with")]
    NoEvidence,
    /// A site inside of the site.
    #[error("{folder}: {error}")]
    Inside {
        /// Its folder.
        folder: String,
        /// The reason.
        error: Box<VerifyError>,
    },
}

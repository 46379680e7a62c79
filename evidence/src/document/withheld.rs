//! Markers in place of texts that redaction removed from a document. Removed values are [`Missing`](super::Missing).

/// The beginning of what stands in the place of a text that is not told.
pub const WITHHELD: &str = "withheld: ";

/// The reason why a text was withheld, a phrase that can follow "because"; `None` if this is another text.
pub fn withheld(reason: &str) -> Option<&str> {
    reason.strip_prefix(WITHHELD)
}

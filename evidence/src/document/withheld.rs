//! Markers in place of texts that redaction removed from a document. Removed values are [`Missing`](super::Missing).

/// The beginning of the text that replaces a withheld text.
pub const WITHHELD: &str = "withheld: ";

/// The reason why a text was withheld, a phrase that can follow "because"; `None` if this is another text.
pub fn withheld_reason(reason: &str) -> Option<&str> {
    reason.strip_prefix(WITHHELD)
}

//! Values that redaction took out of a document: their text, or the reason of their absence, says so.

/// What the reason of a value begins with that was measured and is not told.
pub const WITHHELD: &str = "withheld: ";

/// The reason of a value that was withheld, a phrase that can follow "because"; `None` if this is another reason.
pub fn withheld(reason: &str) -> Option<&str> {
    reason.strip_prefix(WITHHELD)
}

//! The folders of evidence in a book, and which of them a document came from.

/// Where captures put their evidence, relative to the book's root.
pub const CAPTURED: &str = ".qed/evidence";

/// Where recorded evidence is kept, relative to the book's root.
pub const RECORDED: &str = "recorded";

/// Where the history of captures is that was published last, relative to the book's root.
pub const HISTORY: &str = ".qed/history.json";

/// Where evidence came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Captured for this checkout.
    Captured,
    /// Recorded earlier, by somebody, and committed.
    Recorded,
}

/// Keeps what must not be watched: a change there must not build the book again.
pub const STATE: &str = ".qed/state";

/// Where it is kept, relative to the book's root: below what mdBook must not watch.
pub const CACHE_FOLDER: &str = ".qed/state/derived";

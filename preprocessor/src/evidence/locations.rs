//! The folders of evidence in a book, and the origin of a document among them.

/// The folder of captured evidence, relative to the book's root.
pub const CAPTURED: &str = ".qed/evidence";

/// The folder of a sweep's evidence, relative to the book's root.
pub const SWEPT: &str = ".qed/evidence/sweep";

/// The folder of recorded evidence, relative to the book's root.
pub const RECORDED: &str = "recorded";

/// The record of a sweep, relative to the book's root.
pub const SWEEP: &str = "recorded/sweep.json";

/// The history of captures that was published last, relative to the book's root.
pub const HISTORY: &str = ".qed/history.json";

/// The origin of evidence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Captured for this checkout.
    Captured,
    /// Recorded earlier, by somebody, and committed.
    Recorded,
}

/// Keeps what must not be watched: a change there must not build the book again.
pub const STATE: &str = ".qed/state";

/// The folder of the cache, relative to the book's root: below what mdBook must not watch.
pub const CACHE_FOLDER: &str = ".qed/state/derived";

/// The manifest of a published site, in its folder.
pub const SITE_MANIFEST: &str = "qed/manifest.json";

//! Reasons not to publish a site.

use std::path::PathBuf;

use thiserror::Error;

use crate::publish::source::ChapterError;
use crate::util::files::FilesError;

/// A site that is not published.
#[derive(Debug, Error)]
pub enum PublishError {
    /// The folder of the pages cannot be read.
    #[error("nothing was published: {0}")]
    Pages(FilesError),
    /// The folder has no page.
    #[error(
        "there is no page in {}; build the book first, and name the folder that holds its pages",
        .0.display()
    )]
    NoPage(PathBuf),
    /// The folder has pages, but not those of the book's chapters.
    #[error(
        "the pages of the book's chapters are not there; build the book first, and name the folder that holds its pages"
    )]
    OtherPages,
    /// `book.toml` names no investigation.
    #[error("the book names no investigation")]
    NoInvestigation,
    /// The investigation's file cannot be read.
    #[error("the investigation cannot be read: {0}")]
    InvestigationFile(std::io::Error),
    /// The investigation is not one.
    #[error("the investigation cannot be read")]
    Investigation,
    /// A chapter has a path that no site publishes.
    #[error("nothing was published: {0}")]
    Chapter(ChapterError),
    /// The book cannot be rendered with its other preprocessors.
    #[error("{0}")]
    Rendered(String),
    /// A document cannot be written as JSON.
    #[error(transparent)]
    Json(#[from] serde_json::Error),
    /// The files of an earlier run cannot be removed.
    #[error("{} cannot be replaced: {error}", .path.display())]
    Replace {
        /// The folder.
        path: PathBuf,
        /// The reason.
        error: std::io::Error,
    },
    /// A file cannot be written.
    #[error("{} cannot be written: {error}", .path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// The reason.
        error: std::io::Error,
    },
    /// The site cannot be read again after it was written.
    #[error(transparent)]
    Files(#[from] FilesError),
}

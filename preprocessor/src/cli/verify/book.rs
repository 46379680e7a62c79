//! Comparison of a local book with the sources that a site publishes.

use std::path::{Path, PathBuf};

use qed_evidence::diagnostic::Diagnostic;
use thiserror::Error;

use crate::config::Addresses;
use crate::publish::reproduce::compare_with_book;
use crate::publish::source::{BookSource, ChapterError};
use crate::util::parallel::Parallelism;

/// The reasons why a local book cannot be compared with the sources of a site.
#[derive(Debug, Error)]
#[error("the book in {} cannot be compared: {reason}", .root.display())]
pub struct ComparisonError {
    /// The book's folder.
    pub root: PathBuf,
    /// The reason.
    pub reason: BookProblem,
}

/// The problem of a book that is compared with a site.
#[derive(Debug, Error)]
pub enum BookProblem {
    /// The book cannot be loaded.
    #[error("{}", .0.message)]
    Load(Box<Diagnostic>),
    /// The book's templates cannot be used; all complaints about them.
    #[error("{}", .0.first().map_or("", |problem| problem.message.as_str()))]
    Templates(Vec<Diagnostic>),
    /// The book's investigation cannot be read.
    #[error(transparent)]
    Investigation(#[from] std::io::Error),
    /// A chapter has a path that no site publishes.
    #[error(transparent)]
    Chapter(#[from] ChapterError),
}

/// The differences between the book in `root` and the sources of a site, its investigation, and its manifest's setting of
/// `addresses`.
pub fn compare_with_sources(
    root: &Path,
    source: &BookSource,
    investigation: &[u8],
    addresses: Option<Addresses>,
) -> Result<Vec<String>, ComparisonError> {
    let problem = |reason| ComparisonError {
        root: root.to_owned(),
        reason,
    };
    let book = crate::mdbook::load::load(root, Parallelism::default())
        .map_err(|error| problem(BookProblem::Load(Box::new(error))))?;
    let templates = crate::templates::Templates::load(&book.paths.root, &book.paths.theme)
        .map_err(|errors| problem(BookProblem::Templates(errors)))?;
    let file = book
        .config
        .investigation
        .as_deref()
        .unwrap_or(Path::new(""));
    let own =
        crate::util::files::read_file(&root.join(file)).map_err(|error| problem(error.into()))?;
    let texts = (&own[..], investigation);
    compare_with_book(source, &book, &templates, texts, addresses)
        .map_err(|error| problem(error.into()))
}

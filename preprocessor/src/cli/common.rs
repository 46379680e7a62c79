//! The commands beside the preprocessor itself.

use std::mem::ManuallyDrop;
use std::path::{Path, PathBuf};

use qed_evidence::diagnostic::{Diagnostic, nearest};

use crate::evidence::book_data::BookData;
use crate::evidence::cache::DerivedCache;
use crate::evidence::loader;
use crate::mdbook::load;
use crate::templates::BUILT_IN;
use crate::util::parallel::Parallelism;
use crate::util::report;
pub use crate::util::table::format_table;

/// All good.
pub const GOOD: u8 = 0;
/// A verdict is FAIL or ERROR, drift was found, or a site does not verify.
pub const FAILED: u8 = 1;
/// Bad usage or bad input.
pub const BAD_INPUT: u8 = 2;
/// This machine cannot do what was asked.
pub const CANNOT: u8 = 3;

/// Output format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// A table.
    Text,
    /// One JSON document.
    Json,
}

/// Say why a command cannot do its work.
pub fn report_bad_input(problems: &[Diagnostic]) -> u8 {
    report::print_diagnostics(problems);
    BAD_INPUT
}

/// Print a result. A reader that has gone away is ignored.
pub fn print(text: &str) {
    use std::io::Write;
    let _ = std::io::stdout().lock().write_all(text.as_bytes());
}

/// A result as a JSON document for people and programs.
pub fn to_pretty_json(document: &impl serde::Serialize) -> String {
    let mut text = serde_json::to_string_pretty(document)
        .unwrap_or_else(|error| format!("{{\"error\": \"{error}\"}}"));
    text.push('\n');
    text
}

/// A kind of document that has a schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Document {
    /// Evidence, as a capture writes it.
    Evidence,
    /// An investigation.
    Investigation,
    /// `book.toml` with its table `[preprocessor.qed]`.
    Book,
}

/// The JSON Schema of a kind of document, as it is published.
pub fn schema_text(of: Document) -> String {
    let schema = match of {
        Document::Evidence => qed_evidence::schema::schema(),
        Document::Investigation => qed_evidence::investigation::schema(),
        Document::Book => crate::config::schema::schema(),
    };
    format!("{schema:#}\n")
}

/// Print the JSON Schema of a kind of document.
pub fn print_schema(of: Document) -> u8 {
    print(&schema_text(of));
    GOOD
}

/// Print one built-in template, or the names of all.
pub fn print_template(name: Option<&str>) -> u8 {
    let names = || BUILT_IN.iter().map(|(name, _)| *name);
    let Some(name) = name else {
        for name in names() {
            print(&format!("{name}\n"));
        }
        return GOOD;
    };
    match BUILT_IN.iter().find(|(known, _)| *known == name) {
        Some((_, text)) => {
            print(text);
            GOOD
        }
        None => {
            let problem = Diagnostic::error_without_place(format!("there is no template `{name}`"));
            report_bad_input(&[match nearest(name, names()) {
                Some(near) => problem.help(format!("did you mean `{near}`?")),
                None => problem.help("`mdbook-qed template` lists all"),
            }])
        }
    }
}

/// The folder of a book that is named by its folder or by its book.toml; for `.`, this folder or the nearest one above it that holds a
/// book.
pub fn find_book_folder(given: PathBuf) -> PathBuf {
    if given.file_name().is_some_and(|name| name == "book.toml") && given.is_file() {
        let parent = given.parent().unwrap_or(Path::new(""));
        return match parent.as_os_str().is_empty() {
            true => PathBuf::from("."),
            false => parent.to_owned(),
        };
    }
    if given != Path::new(".") || given.join("book.toml").is_file() {
        return given;
    }
    let here = std::env::current_dir().unwrap_or_default();
    let above = here.ancestors().skip(1).enumerate();
    let mut with_book = above.filter(|(_, folder)| folder.join("book.toml").is_file());
    match with_book.next() {
        Some((levels, _)) => std::iter::repeat_n("..", levels + 1).collect(),
        None => given,
    }
}

/// Do `work` on the book in `root` and its evidence, as they are: nothing is captured. What cannot be loaded is said
/// here. Return the exit status.
pub fn with_book(
    root: &Path,
    parallelism: Parallelism,
    work: impl FnOnce(&load::LoadedBook, &BookData<'_>) -> u8,
) -> u8 {
    try_with_book(root, parallelism, work).unwrap_or_else(|problems| report_bad_input(&problems))
}

/// Does the same. The error is what cannot be loaded.
pub fn try_with_book(
    root: &Path,
    parallelism: Parallelism,
    work: impl FnOnce(&load::LoadedBook, &BookData<'_>) -> u8,
) -> Result<u8, Vec<Diagnostic>> {
    let book = load::load(root, parallelism).map_err(|problem| vec![problem])?;
    let here = crate::evidence::freshness::LocalMachine::read();
    // Of earlier builds only digests of unchanged files are taken.
    let (ahead, cache) = (loader::Ahead::new(), DerivedCache::default());
    let evidence_set = loader::load(&book.paths, &book.config, &here, ahead, cache)?;
    // The program ends with this: taking megabytes of evidence apart again would be for nothing.
    let evidence_set = ManuallyDrop::new(evidence_set);
    let book_data = ManuallyDrop::new(BookData::new(&book.config, &evidence_set));
    Ok(work(&book, &book_data))
}

/// The top of the repository of Git that holds `dir`, and the way from there to `dir`.
pub fn find_repository(dir: &Path) -> Option<(PathBuf, PathBuf)> {
    let dir = std::path::absolute(dir).ok()?;
    let top = dir
        .ancestors()
        .find(|folder| folder.join(".git").exists())?;
    let inside = dir.strip_prefix(top).ok()?.to_owned();
    Some((top.to_owned(), inside))
}

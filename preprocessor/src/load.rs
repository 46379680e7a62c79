//! Loading a book from disk the way mdBook does, up to the point where this preprocessor would run.

use std::cell::RefCell;
use std::path::Path;
use std::rc::Rc;

use mdbook_driver::MDBook;
use mdbook_preprocessor::book::Book;
use mdbook_preprocessor::{Preprocessor, PreprocessorContext, errors::Result};
use mdbook_renderer::{RenderContext, Renderer};
use qed_evidence::diagnostic::Diagnostic;

use crate::book::{Place, parse};
use crate::chapter::Chapter;
use crate::config::{self, Config};
use crate::protocol::{Markdown, chapters, theme};

/// Stands in for this preprocessor and keeps the book as it came.
struct Keep(Rc<RefCell<Book>>);

impl Preprocessor for Keep {
    fn name(&self) -> &str {
        "qed"
    }

    fn run(&self, _: &PreprocessorContext, book: Book) -> Result<Book> {
        *self.0.borrow_mut() = book.clone();
        Ok(book)
    }
}

/// For preprocessors that ask what they work for.
struct Html;

impl Renderer for Html {
    fn name(&self) -> &str {
        "html"
    }

    fn render(&self, _: &RenderContext) -> Result<()> {
        Ok(())
    }
}

/// A book on disk.
pub struct Loaded {
    /// Where it is.
    pub place: Place,
    /// Its settings.
    pub config: Config,
    /// Its chapters.
    pub chapters: Vec<Chapter>,
}

fn read_config(text: &str) -> std::result::Result<mdbook_driver::config::Config, Diagnostic> {
    let mut config: mdbook_driver::config::Config = text.parse().map_err(|error| plain(&error))?;
    config.update_from_env().map_err(|error| plain(&error))?;
    Ok(config)
}

fn table(root: &Path, book: &MDBook, text: &str) -> std::result::Result<Config, Diagnostic> {
    let table = book
        .config
        .get::<serde_json::Value>("preprocessor.qed")
        .map_err(|error| plain(&error))?
        .unwrap_or_default();
    config::read_in(root, &table, Some(text))
}

fn plain(error: &mdbook_preprocessor::errors::Error) -> Diagnostic {
    let message = format!("the book cannot be loaded: {error:#}");
    Diagnostic::error_without_place(message.trim_end())
}

/// Loads the book in `root`; other preprocessors that come first are run.
pub fn load(root: &Path) -> std::result::Result<Loaded, Diagnostic> {
    let path = root.join("book.toml");
    let text = std::fs::read_to_string(&path).map_err(|error| {
        Diagnostic::error_without_place(format!(
            "no book here: {} cannot be read: {error}",
            path.display()
        ))
        .help("name the folder that holds book.toml")
    })?;
    let mut config = read_config(&text)?;
    // Looking at a book must not write into it.
    config.build.create_missing = false;
    let mut book = MDBook::load_with_config(root, config).map_err(|error| plain(&error))?;
    let settings = table(root, &book, &text)?;
    let kept = Rc::new(RefCell::new(Book::default()));
    book.with_preprocessor(Keep(Rc::clone(&kept)));
    book.preprocess_book(&Html).map_err(|error| plain(&error))?;
    let html = book
        .config
        .get::<serde_json::Value>("output.html")
        .ok()
        .flatten();
    let mut kept = kept.borrow_mut();
    let texts = chapters(&mut kept);
    Ok(Loaded {
        chapters: parse(&texts, Markdown::read(html.as_ref())),
        place: Place {
            root: root.to_owned(),
            src: book.config.book.src.clone(),
            theme: theme(html.as_ref()),
        },
        config: settings,
    })
}

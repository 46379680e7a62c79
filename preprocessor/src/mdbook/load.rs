//! Loading a book from disk the way mdBook does, up to the point where this preprocessor would run.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use mdbook_driver::MDBook;
use mdbook_driver::builtin_preprocessors::LinkPreprocessor;
use mdbook_preprocessor::book::Book;
use mdbook_preprocessor::{Preprocessor, PreprocessorContext, errors::Result};
use mdbook_renderer::{RenderContext, Renderer};
use qed_evidence::diagnostic::Diagnostic;

use crate::config::{self, BookPaths, Config};
use crate::markdown::chapter::Chapter;
use crate::markdown::dialect::Markdown;
use crate::mdbook::protocol::{chapters_mut, theme_folder};
use crate::mdbook::settings::Settings;
use crate::render::book::parse_all;
use crate::util::parallel::Parallelism;

/// Stands in for this preprocessor: keeps the book as it came, and fills it with the texts that it is given, if any.
struct CapturingPreprocessor {
    came: Rc<RefCell<Book>>,
    filled: Vec<String>,
}

impl Preprocessor for CapturingPreprocessor {
    fn name(&self) -> &str {
        "qed"
    }

    fn run(&self, _: &PreprocessorContext, mut book: Book) -> Result<Book> {
        *self.came.borrow_mut() = book.clone();
        for ((_, text), filled) in chapters_mut(&mut book).into_iter().zip(&self.filled) {
            text.clone_from(filled);
        }
        Ok(book)
    }
}

/// For preprocessors that ask what they work for.
struct HtmlRenderer;

impl Renderer for HtmlRenderer {
    fn name(&self) -> &str {
        "html"
    }

    fn render(&self, _: &RenderContext) -> Result<()> {
        Ok(())
    }
}

/// A book on disk.
pub struct LoadedBook {
    /// Its folders.
    pub paths: BookPaths,
    /// Its settings.
    pub config: Config,
    /// Its chapters.
    pub chapters: Vec<Chapter>,
    /// The same as they came, with all that is not a chapter.
    pub book: Book,
    /// Settings of mdBook that its pages depend on.
    pub settings: Settings,
    /// Titles of pages that are not made of the chapter's name, by the chapter's path.
    pub titles: BTreeMap<PathBuf, String>,
    /// Other preprocessors than mdBook's own could change what this one wrote.
    has_others: bool,
    /// The flags of its Markdown.
    pub markdown: Markdown,
    /// The context of the book, as mdBook passes it to preprocessors.
    context: PreprocessorContext,
}

impl LoadedBook {
    /// Put another text of its author in the place of the chapter in this file, named relative to `src`. What the text
    /// includes is read from disk; other preprocessors than mdBook's own are not run.
    ///
    /// # Errors
    /// Files to include that cannot be read.
    pub fn replace(&mut self, name: &str, text: &str) -> std::result::Result<(), Diagnostic> {
        let Some(at) = self.chapters.iter().position(|c| c.source.name == name) else {
            return Ok(());
        };
        let expanded = match text.contains("{{#") && self.expands_links() {
            true => self.expand(name, text)?,
            false => text.to_owned(),
        };
        if self.chapters[at].source.text != expanded {
            self.chapters[at] = Chapter::parse(name, &expanded, self.markdown);
        }
        Ok(())
    }

    /// True if mdBook draws in what chapters include.
    fn expands_links(&self) -> bool {
        let config = &self.context.config;
        let named = config.get::<serde_json::Value>("preprocessor.links");
        config.build.use_default_preprocessors || matches!(named, Ok(Some(_)))
    }

    /// The text of one chapter with what it includes.
    fn expand(&self, name: &str, text: &str) -> std::result::Result<String, Diagnostic> {
        let one = mdbook_preprocessor::book::Chapter::new(name, text.to_owned(), name, Vec::new());
        let mut book = Book::new();
        book.push_item(one);
        let mut book = LinkPreprocessor::new()
            .run(&self.context, book)
            .map_err(|error| to_diagnostic(&error))?;
        let expanded = chapters_mut(&mut book).into_iter().next();
        Ok(expanded.map_or_else(String::new, |(_, text)| text.clone()))
    }

    /// The book as it is rendered when its chapters are filled with `filled`; `None` if no other preprocessor changes it.
    pub fn apply_other_preprocessors(
        &self,
        filled: &[String],
    ) -> std::result::Result<Option<Book>, Diagnostic> {
        if !self.has_others {
            return Ok(None);
        }
        let (mut book, _) = open_book(&self.paths.root)?;
        let came = Rc::new(RefCell::new(Book::default()));
        book.with_preprocessor(CapturingPreprocessor {
            came: Rc::clone(&came),
            filled: filled.to_vec(),
        });
        let (rendered, _) = book
            .preprocess_book(&HtmlRenderer)
            .map_err(|error| to_diagnostic(&error))?;
        let mut unchanged = self.book.clone();
        for ((_, text), filled) in chapters_mut(&mut unchanged).into_iter().zip(filled) {
            text.clone_from(filled);
        }
        Ok((rendered != unchanged).then_some(rendered))
    }
}

fn read_config(text: &str) -> std::result::Result<mdbook_driver::config::Config, Diagnostic> {
    let mut config: mdbook_driver::config::Config =
        text.parse().map_err(|error| to_diagnostic(&error))?;
    config
        .update_from_env()
        .map_err(|error| to_diagnostic(&error))?;
    Ok(config)
}

fn read_qed_config(
    root: &Path,
    book: &MDBook,
    text: &str,
) -> std::result::Result<Config, Diagnostic> {
    let table = book
        .config
        .get::<serde_json::Value>("preprocessor.qed")
        .map_err(|error| to_diagnostic(&error))?
        .unwrap_or_default();
    config::reader::read_from_root(root, &table, Some(text))
}

fn to_diagnostic(error: &mdbook_preprocessor::errors::Error) -> Diagnostic {
    let message = format!("the book cannot be loaded: {error:#}");
    Diagnostic::error_without_place(message.trim_end())
}

/// Open the book in `root`; its book.toml comes along.
fn open_book(root: &Path) -> std::result::Result<(MDBook, String), Diagnostic> {
    let path = root.join("book.toml");
    let text = crate::util::files::read_text(&path).map_err(|error| {
        Diagnostic::error_without_place(format!(
            "no book here: {} cannot be read: {error}",
            path.display()
        ))
        .help("name the folder that holds book.toml")
    })?;
    let mut config = read_config(&text)?;
    // Looking at a book must not write into it.
    config.build.create_missing = false;
    let book = MDBook::load_with_config(root, config).map_err(|error| to_diagnostic(&error))?;
    Ok((book, text))
}

/// Load the book in `root`; other preprocessors that come first are run.
pub fn load(root: &Path, parallelism: Parallelism) -> std::result::Result<LoadedBook, Diagnostic> {
    let (mut book, text) = open_book(root)?;
    let mut config = read_qed_config(root, &book, &text)?;
    config.parallelism = parallelism;
    let retained = Rc::new(RefCell::new(Book::default()));
    book.with_preprocessor(CapturingPreprocessor {
        came: Rc::clone(&retained),
        filled: Vec::new(),
    });
    let (_, context) = book
        .preprocess_book(&HtmlRenderer)
        .map_err(|error| to_diagnostic(&error))?;
    let titles = context.chapter_titles.take().into_iter().collect();
    let value = |name| book.config.get::<serde_json::Value>(name).ok().flatten();
    let html = value("output.html");
    let others = book.config.preprocessors::<serde_json::Value>();
    let others = others.map_err(|error| to_diagnostic(&error))?;
    let has_others = others
        .keys()
        .any(|name| !["qed", "links", "index"].contains(&name.as_str()));
    let about = serde_json::to_value(&book.config.book).unwrap_or_default();
    let edition = serde_json::to_value(book.config.rust.edition).unwrap_or_default();
    let edition = edition.as_str().map(str::to_owned);
    let settings = Settings::new(&about, &html.clone().unwrap_or_default(), edition);
    let mut retained = retained.take();
    let came = retained.clone();
    let texts = chapters_mut(&mut retained);
    let markdown = Markdown::read(html.as_ref());
    Ok(LoadedBook {
        chapters: parse_all(&texts, markdown, parallelism),
        markdown,
        context,
        book: came,
        settings,
        titles,
        has_others,
        paths: BookPaths {
            root: root.to_owned(),
            src: book.config.book.src.clone(),
            theme: theme_folder(html.as_ref()),
        },
        config,
    })
}

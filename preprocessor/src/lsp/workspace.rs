//! The files of the book that an editor works on.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use qed_evidence::diagnostic::Diagnostic;
use qed_evidence::investigation::{Investigation, parse};

use crate::config::BookPaths;
use crate::lsp::files::{Documents, canonical_path};
use crate::markdown::chapter::Chapter;
use crate::markdown::dialect::Markdown;
use crate::markdown::source_map;
use crate::mdbook::load::LoadedBook;

/// The folders of a book that could not be loaded, as far as its settings tell them.
pub fn broken_book_paths(root: &Path) -> BookPaths {
    let text = crate::util::files::read_text(&root.join("book.toml")).unwrap_or_default();
    let settings: toml::Table = text.parse().unwrap_or_default();
    let src = settings
        .get("book")
        .and_then(|book| book.get("src")?.as_str());
    BookPaths {
        root: root.to_owned(),
        src: src.unwrap_or("src").into(),
        theme: "theme".into(),
    }
}

/// The files of a book.
#[derive(Clone, Debug)]
pub struct Workspace {
    /// Its folders. The root is absolute.
    pub paths: BookPaths,
    /// Its investigation, relative to the root, if it names one.
    pub investigation: Option<PathBuf>,
    markdown: Markdown,
    /// The files of its chapters, relative to the root.
    chapters: Vec<PathBuf>,
}

impl Workspace {
    /// The files of a loaded book.
    pub fn new(book: &LoadedBook) -> Self {
        let names = book.chapters.iter().map(|chapter| &chapter.source.name);
        Workspace {
            chapters: names.map(|name| book.paths.src.join(name)).collect(),
            markdown: book.markdown,
            investigation: book.config.investigation.clone(),
            paths: book.paths.clone(),
        }
    }

    /// Read the author's files, relative to the root: as they are open, else from disk.
    pub fn reader<'d>(&'d self, documents: &'d Documents) -> impl Fn(&Path) -> Option<String> + 'd {
        |path| documents.text(&self.paths.root.join(path))
    }

    /// The whole path of the investigation.
    pub fn investigation_file(&self) -> Option<PathBuf> {
        let name = self.investigation.as_ref()?;
        Some(canonical_path(&self.paths.root.join(name)))
    }

    /// The investigation as its author has it now.
    ///
    /// # Errors
    /// All that is wrong with it.
    pub fn read_investigation(
        &self,
        documents: &Documents,
    ) -> Result<Investigation, Vec<Diagnostic>> {
        let Some(name) = &self.investigation else {
            let problem = Diagnostic::error_without_place("book.toml names no investigation")
                .help("add investigation = \"investigations/NAME.toml\" to [preprocessor.qed]");
            return Err(vec![problem]);
        };
        let Some(text) = self.reader(documents)(name) else {
            let message = format!("the investigation `{}` cannot be read", name.display());
            let problem = Diagnostic::error_without_place(message).help(
                "write it, or mend `investigation` in [preprocessor.qed] of book.toml: a path from the book's folder",
            );
            return Err(vec![problem]);
        };
        parse(&name.to_string_lossy(), &text)
    }

    /// One file of chapters by its whole path, as its author has it now.
    pub fn chapter(&self, file: &Path, documents: &Documents) -> Option<Chapter> {
        let name = file.strip_prefix(&self.paths.root).ok()?;
        if name.extension()? != "md" {
            return None;
        }
        let text = documents.text(file)?;
        Some(Chapter::parse(
            &name.to_string_lossy(),
            &text,
            self.markdown,
        ))
    }

    /// All files of chapters by their whole paths, included ones among them, as their author has them now.
    pub fn chapters(&self, documents: &Documents) -> Vec<(PathBuf, Chapter)> {
        let read = self.reader(documents);
        let files = self
            .chapters
            .iter()
            .flat_map(|chapter| source_map::author_files(chapter, &read));
        let files: BTreeSet<PathBuf> = files.map(|(file, _)| self.paths.root.join(file)).collect();
        files
            .into_iter()
            .filter_map(|file| Some((file.clone(), self.chapter(&file, documents)?)))
            .collect()
    }
}

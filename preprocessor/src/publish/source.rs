//! The published sources of a site: the chapters of its book as this preprocessor received them, the templates, and the
//! settings that the pages depend on.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

use mdbook_preprocessor::book::{Book, Chapter};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::config::OnMissing;
use crate::evidence::sweep_record::SweepState;
use crate::mdbook::settings::Settings;
use crate::publish::manifest::FOLDER;
use crate::util::files::SiteFile;

/// The file with everything but the chapters' texts and the templates.
pub const BOOK: &str = "qed/source/book.json";
/// The folder of the chapters' texts, each under the path of its chapter.
pub const CHAPTERS: &str = "qed/source/chapters/";
/// The folder of the book's own templates.
pub const TEMPLATES: &str = "qed/source/templates/";

/// The version of this form.
const VERSION: u32 = 1;

/// Statements of the pages about a machine's evidence that the evidence does not contain: on the word of who published it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EvidenceState {
    /// It was recorded earlier, and not captured for this book.
    pub recorded: bool,
    /// Claims were judged on it before it was redacted.
    pub judged_before: bool,
    /// The reasons for being out of date when the book was built; empty if it was not.
    pub stale: Vec<String>,
    /// The parts that could not be compared then, with the reason.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub not_compared: Vec<String>,
    /// Its age then, in seconds, as exactly as the pages say it; nothing if its time cannot be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub age_s: Option<i64>,
}

/// The book without its texts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BookRecord {
    /// Version of this form.
    pub version: u32,
    /// Version of the program that published it.
    pub program: String,
    /// The folder of the pages in the site; empty if that is the site itself.
    pub pages: String,
    /// Settings of mdBook.
    pub settings: Settings,
    /// The machines of the book, in its order.
    pub machines: Vec<String>,
    /// The setting for evidence that is out of date.
    #[serde(default)]
    pub on_stale: OnMissing,
    /// The book's word that its chapters may have scripts, style sheets and the like.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub active_html: bool,
    /// The statements of the pages about each machine's evidence.
    pub states: BTreeMap<String, EvidenceState>,
    /// The statements of the pages about the record of a sweep.
    #[serde(default, skip_serializing_if = "SweepState::is_good")]
    pub sweep: SweepState,
    /// Titles of pages that are not made of the chapter's name, by the chapter's path.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub titles: BTreeMap<PathBuf, String>,
    /// The chapters as this preprocessor got them, without their texts.
    pub book: Book,
    /// The whole book as it was rendered, where other preprocessors changed it after this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rendered: Option<Book>,
}

/// Everything that is published of a book.
#[derive(Clone, Debug, PartialEq)]
pub struct BookSource {
    /// The book, its chapters without their texts.
    pub about: BookRecord,
    /// The text of each chapter, by its path.
    pub chapters: BTreeMap<String, String>,
    /// Name and text of the book's own templates.
    pub templates: BTreeMap<String, String>,
}

impl BookRecord {
    /// The form of this version.
    pub fn new(pages: String, settings: Settings, machines: Vec<String>, book: Book) -> Self {
        BookRecord {
            version: VERSION,
            program: env!("CARGO_PKG_VERSION").into(),
            pages,
            settings,
            machines,
            on_stale: OnMissing::default(),
            active_html: false,
            states: BTreeMap::new(),
            sweep: SweepState::default(),
            titles: BTreeMap::new(),
            book,
            rendered: None,
        }
    }
}

/// True if a path leads nowhere but below the folder that it is put into.
pub fn is_plain_relative(path: &Path) -> bool {
    let mut parts = path.components().peekable();
    parts.peek().is_some() && parts.all(|part| matches!(part, Component::Normal(_)))
}

/// A chapter whose path a site cannot publish it under.
#[derive(Debug, Error)]
pub enum ChapterError {
    /// The path leads out of the book.
    #[error("the chapter `{chapter}` has the path `{}`, which leads out of the book", .path.display())]
    Outside {
        /// The chapter's name.
        chapter: String,
        /// Its path.
        path: PathBuf,
    },
    /// Two chapters with different texts have it.
    #[error("two chapters have the path `{0}`")]
    SamePath(String),
}

/// A published book whose chapters cannot be given their texts.
#[derive(Debug, Error)]
pub enum TextsError {
    /// The text of the chapter with this path is not there.
    #[error("{CHAPTERS}{0}: it is missing")]
    Missing(String),
    /// A chapter has a path that no site publishes.
    #[error("{BOOK}: {0}")]
    Chapter(ChapterError),
}

/// The path of a chapter as a name with `/`; an error if it leads out of the book.
fn chapter_name(chapter: &Chapter) -> Result<String, ChapterError> {
    let path = chapter.path.as_deref().unwrap_or(Path::new(""));
    match path.to_str() {
        Some(name) if is_plain_relative(path) => Ok(name.to_owned()),
        _ => Err(ChapterError::Outside {
            chapter: chapter.name.clone(),
            path: path.to_owned(),
        }),
    }
}

/// Takes the texts out of a book; by the paths of their chapters.
pub fn take_texts(book: &mut Book) -> Result<BTreeMap<String, String>, ChapterError> {
    let mut texts: BTreeMap<String, String> = BTreeMap::new();
    let mut problem = None;
    book.for_each_chapter_mut(|chapter| {
        let text = std::mem::take(&mut chapter.content);
        match chapter_name(chapter) {
            Ok(name) => match texts.get(&name) {
                Some(known) if *known != text => {
                    problem = Some(ChapterError::SamePath(name));
                }
                _ => {
                    texts.insert(name, text);
                }
            },
            Err(why) => problem = Some(why),
        }
    });
    problem.map_or(Ok(texts), Err)
}

/// Gives each chapter its text back.
pub fn put_texts(book: &mut Book, texts: &BTreeMap<String, String>) -> Result<(), TextsError> {
    let mut problem = None;
    book.for_each_chapter_mut(|chapter| match chapter_name(chapter) {
        Ok(name) => match texts.get(&name) {
            Some(text) => chapter.content.clone_from(text),
            None => problem = Some(TextsError::Missing(name)),
        },
        Err(error) => problem = Some(TextsError::Chapter(error)),
    });
    problem.map_or(Ok(()), Err)
}

/// A fault of the published sources of a book.
#[derive(Debug, Error)]
pub enum SourceError {
    /// A file that is not text.
    #[error("{0}: it is not text")]
    NotText(String),
    /// The book is in a form that this program does not know.
    #[error("{BOOK}: it has version {0}, this program reads version {VERSION}")]
    Version(u32),
    /// The book is not what is published.
    #[error("{BOOK}: it cannot be read: {0}")]
    Unreadable(serde_json::Error),
    /// A file that no site has.
    #[error("{0}: no such file belongs into a site")]
    Strange(String),
    /// There are chapters, but no book.
    #[error("{BOOK}: it is missing")]
    NoBook,
    /// Settings that could change what the pages show.
    #[error("{BOOK}: it has settings that no site publishes")]
    Settings,
    /// The chapters cannot be given their texts.
    #[error(transparent)]
    Texts(#[from] TextsError),
    /// A chapter has a path that no site publishes.
    #[error("{BOOK}: {0}")]
    Chapter(#[from] ChapterError),
    /// A text without its chapter.
    #[error("{CHAPTERS}{0}: {BOOK} has no such chapter")]
    NoChapter(String),
}

impl BookSource {
    /// The files of the site that hold it.
    pub fn files(&self) -> serde_json::Result<Vec<(String, Vec<u8>)>> {
        let mut text = serde_json::to_string_pretty(&self.about)?;
        text.push('\n');
        let mut out = vec![(BOOK.to_owned(), text.into_bytes())];
        let texts = |folder: &'static str, texts: &BTreeMap<String, String>| {
            let file = move |(name, text): (&String, &String)| {
                (format!("{folder}{name}"), text.clone().into_bytes())
            };
            texts.iter().map(file).collect::<Vec<_>>()
        };
        out.extend(texts(CHAPTERS, &self.chapters));
        out.extend(texts(TEMPLATES, &self.templates));
        Ok(out)
    }

    /// Reads it from the files of a site. Nothing if the site publishes none; the errors are all faults
    /// that were found.
    pub fn read(files: &[SiteFile]) -> Result<Option<Self>, Vec<SourceError>> {
        let below = format!("{FOLDER}/source/");
        let mut about = None;
        let (mut chapters, mut templates) = (BTreeMap::new(), BTreeMap::new());
        let mut wrong = Vec::new();
        for file in files.iter().filter(|file| file.name.starts_with(&below)) {
            let name = &file.name;
            let Ok(text) = std::str::from_utf8(&file.bytes) else {
                wrong.push(SourceError::NotText(name.clone()));
                continue;
            };
            if name == BOOK {
                match serde_json::from_str::<BookRecord>(text) {
                    Ok(read) if read.version != VERSION => {
                        wrong.push(SourceError::Version(read.version));
                    }
                    Ok(read) => about = Some(read),
                    Err(error) => wrong.push(SourceError::Unreadable(error)),
                }
            } else if let Some(chapter) = name.strip_prefix(CHAPTERS) {
                chapters.insert(chapter.to_owned(), text.to_owned());
            } else if let Some(template) = name.strip_prefix(TEMPLATES) {
                templates.insert(template.to_owned(), text.to_owned());
            } else {
                wrong.push(SourceError::Strange(name.clone()));
            }
        }
        if !wrong.is_empty() {
            return Err(wrong);
        }
        let Some(mut about) = about else {
            return match chapters.is_empty() {
                true => Ok(None),
                false => Err(vec![SourceError::NoBook]),
            };
        };
        let published = about.settings.clone();
        about.settings = about.settings.into_publishable();
        if about.settings != published {
            return Err(vec![SourceError::Settings]);
        }
        let source = BookSource {
            about,
            chapters,
            templates,
        };
        source.check_paths()?;
        Ok(Some(source))
    }

    /// True if every chapter has its text, and every text its chapter.
    fn check_paths(&self) -> Result<(), Vec<SourceError>> {
        let mut book = self.about.book.clone();
        put_texts(&mut book, &self.chapters).map_err(|error| vec![error.into()])?;
        let texts = take_texts(&mut book).map_err(|error| vec![error.into()])?;
        if let Some(mut rendered) = self.about.rendered.clone() {
            take_texts(&mut rendered).map_err(|error| vec![error.into()])?;
        }
        let strange = self
            .chapters
            .keys()
            .filter(|name| !texts.contains_key(*name));
        let wrong: Vec<SourceError> = strange
            .map(|name| SourceError::NoChapter(name.clone()))
            .collect();
        if wrong.is_empty() { Ok(()) } else { Err(wrong) }
    }

    /// The book with its texts.
    pub fn book(&self) -> Result<Book, TextsError> {
        let mut book = self.about.book.clone();
        put_texts(&mut book, &self.chapters)?;
        Ok(book)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn source() -> BookSource {
        let mut book = Book::default();
        let mut outer = Chapter::new("Outer", "o".into(), "outer.md", vec![]);
        let inner = Chapter::new("Inner", "i".into(), "a/inner.md", vec!["Outer".into()]);
        outer.sub_items.push(inner.into());
        book.push_item(outer);
        book.push_item(Chapter::new_draft("Draft", vec![]));
        let chapters = take_texts(&mut book).unwrap();
        let html = json!({"theme": "/home/me/theme", "print": {"enable": true}, "additional-css": ["a.css"]});
        let table = json!({"title": "T", "authors": ["me"], "src": "src"});
        let settings = Settings::new(&table, &html, None);
        BookSource {
            about: BookRecord::new(String::new(), settings, vec!["host".into()], book),
            chapters,
            templates: BTreeMap::from([("table.hbs".to_owned(), "<p>".to_owned())]),
        }
    }

    fn files(source: &BookSource) -> Vec<SiteFile> {
        let file = |(name, bytes)| SiteFile { name, bytes };
        source.files().unwrap().into_iter().map(file).collect()
    }

    /// Check that what is published is read back as it was, and that neither authors nor places of the builder are in it.
    #[test]
    fn round_trip() {
        let source = source();
        let files = files(&source);
        assert_eq!(BookSource::read(&files).unwrap().unwrap(), source);
        let names: Vec<&str> = files.iter().map(|file| file.name.as_str()).collect();
        assert_eq!(
            names[1..],
            [
                "qed/source/chapters/a/inner.md",
                "qed/source/chapters/outer.md",
                "qed/source/templates/table.hbs"
            ]
        );
        let text = String::from_utf8_lossy(&files[0].bytes);
        assert!(
            !text.contains("authors") && !text.contains("/home"),
            "{text}"
        );
        assert_eq!(source.book().unwrap().chapters().count(), 2);
        assert_eq!(BookSource::read(&[]).unwrap(), None);
    }

    /// Check that a site can neither make this program write elsewhere nor use settings that were never published, and
    /// that a text without its chapter, and a chapter without its text, are told.
    #[test]
    fn refuses() {
        for (from, to, said) in [
            ("\"a/inner.md\"", "\"../inner.md\"", "leads out of the book"),
            (
                "\"a/inner.md\"",
                "\"/etc/inner.md\"",
                "leads out of the book",
            ),
            (
                "\"a/inner.md\"",
                "\"b/inner.md\"",
                "b/inner.md: it is missing",
            ),
            (
                "\"print\"",
                "\"theme\": \"/etc\", \"print\"",
                "no site publishes",
            ),
            ("\"version\": 1", "\"version\": 9", "it has version 9"),
            (
                "\"version\": 1",
                "\"version\": 1, \"x\": 2",
                "unknown field",
            ),
        ] {
            let mut files = files(&source());
            let text = String::from_utf8_lossy(&files[0].bytes);
            assert!(text.contains(from), "{from}: {text}");
            files[0].bytes = text.replacen(from, to, 9).into_bytes();
            let wrong = BookSource::read(&files).unwrap_err();
            assert!(wrong[0].to_string().contains(said), "{to}: {wrong:?}");
        }
        let mut more = files(&source());
        more.push(SiteFile {
            name: format!("{CHAPTERS}new.md"),
            bytes: vec![],
        });
        let wrong = BookSource::read(&more).unwrap_err();
        assert!(
            wrong[0].to_string().contains("no such chapter"),
            "{wrong:?}"
        );
        more.pop();
        more.remove(0);
        let wrong = BookSource::read(&more).unwrap_err();
        assert_eq!(wrong.len(), 1);
        assert_eq!(wrong[0].to_string(), "qed/source/book.json: it is missing");
    }
}

//! Changes on disk: a new capture, another branch, a file that another program wrote.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use qed_evidence::lock::FILE as LOCK_FILE;

use crate::config::{BookPaths, Config, evidence_file_name};
use crate::evidence::locations::{CAPTURED, HISTORY, RECORDED, SWEEP};
use crate::evidence::verdict_files::VERDICTS_EXTENSION;

/// The state of files: when each was written, and how long it is; nothing of one that is not there.
type FileStates = BTreeMap<PathBuf, Option<(SystemTime, u64)>>;

/// The part of a book that has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BookChange {
    /// Settings, investigation or evidence.
    Book,
    /// Only chapters.
    Chapters,
}

/// The files that a book is made of.
#[derive(Debug)]
pub struct Watch {
    paths: Option<BookPaths>,
    book: FileStates,
    chapters: FileStates,
}

impl Watch {
    /// Watch the book that could be loaded from `root`.
    pub fn new(paths: &BookPaths, config: &Config) -> Self {
        let root = &paths.root;
        let mut files: Vec<PathBuf> = [HISTORY, SWEEP, "book.toml", LOCK_FILE]
            .map(PathBuf::from)
            .into();
        files.extend(config.investigation.clone());
        for machine in &config.machines {
            for folder in [CAPTURED, RECORDED] {
                let file = Path::new(folder).join(evidence_file_name(machine));
                files.push(file.with_extension(VERDICTS_EXTENSION));
                files.push(file);
            }
        }
        let files = files.into_iter().map(|file| root.join(file));
        Watch {
            book: files
                .map(|file| (file.clone(), file_state(&file)))
                .collect(),
            chapters: chapter_states(paths),
            paths: Some(paths.clone()),
        }
    }

    /// Watch the settings and the chapters of a book that could not be loaded.
    pub fn for_broken_book(paths: &BookPaths) -> Self {
        let file = paths.root.join("book.toml");
        Watch {
            book: BTreeMap::from([(file.clone(), file_state(&file))]),
            chapters: chapter_states(paths),
            paths: Some(paths.clone()),
        }
    }

    /// Watch nothing.
    pub fn nothing() -> Self {
        Watch {
            paths: None,
            book: FileStates::new(),
            chapters: FileStates::new(),
        }
    }

    /// The part that has changed since this was asked last.
    pub fn take_change(&mut self) -> Option<BookChange> {
        let paths = self.paths.as_ref()?;
        let book: FileStates = self
            .book
            .keys()
            .map(|file| (file.clone(), file_state(file)))
            .collect();
        let chapters = chapter_states(paths);
        let change = match (book != self.book, chapters != self.chapters) {
            (true, _) => Some(BookChange::Book),
            (false, true) => Some(BookChange::Chapters),
            (false, false) => None,
        };
        (self.book, self.chapters) = (book, chapters);
        change
    }
}

fn file_state(file: &Path) -> Option<(SystemTime, u64)> {
    let about = std::fs::metadata(file).ok()?;
    Some((about.modified().ok()?, about.len()))
}

/// The files of chapters, those in folders among them.
fn chapter_states(paths: &BookPaths) -> FileStates {
    let mut found = FileStates::new();
    let mut queue = vec![paths.root.join(&paths.src)];
    while let Some(folder) = queue.pop() {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = entry.path();
            let Ok(kind) = entry.file_type() else {
                continue;
            };
            if kind.is_dir() {
                queue.push(path);
            } else if path.extension().is_some_and(|ending| ending == "md") {
                found.insert(path.clone(), file_state(&path));
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Check that a new capture and another chapter are noticed, once each, and told apart.
    #[test]
    fn changes() {
        let folder = tempfile::tempdir().unwrap();
        let paths = BookPaths {
            root: folder.path().to_owned(),
            src: "src".into(),
            theme: "theme".into(),
        };
        let mut config = Config::lenient();
        config.machines = vec!["guest:test".into()];
        std::fs::create_dir_all(folder.path().join("src/a")).unwrap();
        let mut watch = Watch::new(&paths, &config);
        assert_eq!(watch.take_change(), None);
        std::fs::write(folder.path().join("src/a/b.md"), "c").unwrap();
        assert_eq!(watch.take_change(), Some(BookChange::Chapters));
        assert_eq!(watch.take_change(), None);
        std::fs::create_dir_all(folder.path().join(CAPTURED)).unwrap();
        std::fs::write(folder.path().join(CAPTURED).join("guest-test.json"), "c").unwrap();
        assert_eq!(watch.take_change(), Some(BookChange::Book));
        assert_eq!(watch.take_change(), None);
    }
}

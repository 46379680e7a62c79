//! Storage of evidence: written atomically, readable only by its owner, one writer at a time.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use qed_programs::atomic::{PRIVATE, UNFINISHED, write_atomically};

/// Evidence that could not be written.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another capture is at work in the same folder.
    #[error(
        "another capture is writing to {folder}: wait until it is done, or write elsewhere with -o"
    )]
    Busy {
        /// The folder.
        folder: PathBuf,
    },
    /// The file system refused.
    #[error("failed to {doing} {path}: {source}; the evidence there before is untouched")]
    Io {
        /// The operation.
        doing: &'static str,
        /// To what.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
}

fn io_error(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> StoreError {
    move |source| StoreError::Io {
        doing,
        path: path.to_owned(),
        source,
    }
}

/// The right to write evidence into one folder; given back when dropped, also when the process is killed.
#[derive(Debug)]
pub struct Store {
    folder: PathBuf,
    _lock: File,
}

impl Store {
    /// Makes the folder, with a `.gitignore` of its own, and takes the lock. Fails at once if another process holds it.
    ///
    /// The `.gitignore` is inside the folder, because mdBook's watcher obeys that of the book's root: files that are ignored
    /// there are not watched, and new evidence would not show up.
    pub fn open(folder: &Path) -> Result<Self, StoreError> {
        fs::create_dir_all(folder).map_err(io_error("create the folder", folder))?;
        if folder
            .parent()
            .is_some_and(|parent| parent.file_name().is_some_and(|name| name == ".qed"))
        {
            let ignore = folder.with_file_name(".gitignore");
            if !ignore.exists() {
                fs::write(&ignore, "*\n").map_err(io_error("write", &ignore))?;
            }
        }
        let path = folder.join(".lock");
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(&path)
            .map_err(io_error("open the lock", &path))?;
        match lock.try_lock() {
            Ok(()) => {
                remove_temporary_files(folder);
                Ok(Store {
                    folder: folder.to_owned(),
                    _lock: lock,
                })
            }
            Err(TryLockError::WouldBlock) => Err(StoreError::Busy {
                folder: folder.to_owned(),
            }),
            Err(TryLockError::Error(source)) => Err(io_error("lock", &path)(source)),
        }
    }

    /// Replace the file `name` in one step.
    pub fn write(&self, name: &str, text: &str) -> Result<PathBuf, StoreError> {
        let path = self.folder.join(name);
        write_atomically(&path, PRIVATE, |file| {
            file.write_all(text.as_bytes())?;
            file.sync_all()
        })
        .map_err(io_error("write", &path))?;
        Ok(path)
    }
}

/// The prefix of temporary files of collectors before [`UNFINISHED`] was.
const FORMERLY_UNFINISHED: &str = ".evidence-";

/// Remove temporary files of a capture that was killed. The caller has the lock, so no other process is writing now.
fn remove_temporary_files(folder: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if [UNFINISHED, FORMERLY_UNFINISHED]
            .iter()
            .any(|prefix| name.starts_with(prefix))
        {
            // A file that cannot be removed only wastes space: it is not read as evidence.
            let _ = fs::remove_file(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    /// Check that evidence is private, replaces the old one whole, and that a second writer is refused.
    #[test]
    fn writes_once() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join(".qed/evidence");
        let store = Store::open(&target).unwrap();
        assert!(matches!(Store::open(&target), Err(StoreError::Busy { .. })));
        store.write("host.json", "one").unwrap();
        let path = store.write("host.json", "two").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "two");
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );
        assert_eq!(
            fs::read_to_string(folder.path().join(".qed/.gitignore")).unwrap(),
            "*\n"
        );
        drop(store);
        // What a killed capture was writing goes, and nothing else does.
        fs::write(target.join(format!("{UNFINISHED}abc")), "ha").unwrap();
        // The process that another test starts has the lock, too, until it executes its program.
        let mut opened = Store::open(&target);
        for _ in 0..1000 {
            if !matches!(opened, Err(StoreError::Busy { .. })) {
                break;
            }
            std::thread::sleep(std::time::Duration::from_millis(10));
            opened = Store::open(&target);
        }
        opened.unwrap();
        let mut left: Vec<_> = fs::read_dir(&target)
            .unwrap()
            .flatten()
            .map(|entry| entry.file_name().into_string().unwrap())
            .collect();
        left.sort();
        assert_eq!(left, [".lock", "host.json"]);
    }
}

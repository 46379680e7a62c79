//! Digests of files that were read before, for as long as they are the same files.
//!
//! One rule decides: a digest stands for a file as long as device, inode, size, time of modification and time of change are
//! those that it had when it was read. Whoever sets the time of modification back cannot set the time of change back. A file
//! that changed within the last [`SETTLING`] before it was read is not kept, because a second change could have the same
//! times; nor is one that changed while it was read. All is forgotten with the next boot. Beyond this rule are a clock that
//! was set back, and a file that somebody wrote to for longer than that through one mapping of it. A system that does not tell all of
//! these keeps nothing.
//!
//! The answer of `ldd` about a program is kept with it, if nothing but the loader's cache decides about it: [`LibraryClosure`].

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{Read, Result, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::atomic::{PRIVATE, folder_of, write_atomically};
use crate::error::ProgramError;
use crate::file::{cache_folder, digest_of};
use crate::loader;
use crate::platform::{Stamp, boot_id};
use crate::source::{FileContent, FileSource, run_ldd, script_line};

/// The time that a file has to be unchanged for before it is read.
pub const SETTLING: Duration = Duration::from_secs(2);

/// The form of the cache's file. Another form is not read.
const FORMAT: u32 = 1;

/// The largest number of entries.
const MAX_ENTRIES: usize = 1024;

/// The search for the digest alone, among the texts of an entry.
const DIGEST: &str = "sha256";

/// The largest file of a cache that is read, in bytes.
const MAX_BYTES: u64 = 8 << 20;

impl Stamp {
    /// True if the file had been unchanged for long enough at the time `now`.
    fn is_settled(&self, now: SystemTime) -> bool {
        let Ok(now) = now.duration_since(SystemTime::UNIX_EPOCH) else {
            return false;
        };
        let limit = i128::from(now.as_secs()) - i128::from(SETTLING.as_secs());
        // Whole seconds: one that began within the time does not count as over.
        [self.modified, self.changed]
            .iter()
            .all(|(seconds, _)| i128::from(*seconds) < limit)
    }
}

/// The content of a file as its digest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileDigest {
    size: u64,
    sha256: String,
    script_line: Option<String>,
}

impl FileDigest {
    fn from_bytes(bytes: &[u8]) -> Self {
        FileDigest {
            size: bytes.len() as u64,
            sha256: hex::encode(Sha256::digest(bytes)),
            script_line: script_line(bytes),
        }
    }
}

impl FileContent for FileDigest {
    fn size(&self) -> u64 {
        self.size
    }

    fn sha256(&self) -> String {
        self.sha256.clone()
    }

    fn script_line(&self) -> Option<String> {
        self.script_line.clone()
    }
}

/// The libraries of a program, with the state of everything that decided about them: the loader's cache, each library, and
/// the program, under which this stands. It is kept only where nothing else decides: see [`loader::is_decided_by_cache`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct LibraryClosure {
    loader_cache: Stamp,
    libraries: Vec<(String, Stamp)>,
}

impl LibraryClosure {
    fn holds(&self, environment: &loader::Environment) -> bool {
        Stamp::from_path(&environment.cache) == Some(self.loader_cache)
            && self
                .libraries
                .iter()
                .all(|(path, stamp)| Stamp::from_path(Path::new(path)) == Some(*stamp))
    }

    fn paths(&self) -> Vec<String> {
        self.libraries
            .iter()
            .map(|(path, _)| path.clone())
            .collect()
    }
}

/// One file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Entry {
    stamp: Stamp,
    digest: Option<FileDigest>,
    closure: Option<LibraryClosure>,
    /// Texts that were searched for in it, by the name of the search.
    texts: BTreeMap<String, String>,
}

impl Entry {
    fn new(stamp: Stamp) -> Self {
        Entry {
            stamp,
            digest: None,
            closure: None,
            texts: BTreeMap::new(),
        }
    }
}

/// The file of a cache.
#[derive(Debug, Default, Serialize, Deserialize)]
struct StoredCache {
    format: u32,
    boot: String,
    entries: BTreeMap<String, Entry>,
}

#[derive(Debug, Default)]
struct State {
    entries: BTreeMap<String, Entry>,
    /// Names of the entries that were asked for.
    used: BTreeSet<String>,
    is_changed: bool,
}

/// Digests of files, and the libraries of programs. The default keeps them for as long as it lives.
#[derive(Debug, Default)]
pub struct DigestCache {
    /// The file, and the boot that it is of.
    location: Option<(PathBuf, String)>,
    environment: loader::Environment,
    state: Mutex<State>,
}

impl DigestCache {
    /// The cache in `file` for the boot `boot`; an empty one where there is none that can be used.
    pub fn open(file: PathBuf, boot: String) -> Self {
        let entries = load(&file)
            .filter(|stored| stored.format == FORMAT && stored.boot == boot)
            .map(|stored| stored.entries);
        DigestCache {
            location: Some((file, boot)),
            environment: loader::Environment::from_process(),
            state: Mutex::new(State {
                entries: entries.unwrap_or_default(),
                ..State::default()
            }),
        }
    }

    /// The cache of this user: `digests.json` in [`cache_folder`]. Where there is no such folder, or the boot is not known,
    /// nothing is kept on disk.
    pub fn for_user() -> Self {
        match cache_folder().zip(boot_id()) {
            Some((folder, boot)) => DigestCache::open(folder.join("digests.json"), boot),
            None => DigestCache {
                environment: loader::Environment::from_process(),
                ..DigestCache::default()
            },
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A panic of another thread leaves nothing half done here.
        self.state
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// The entry of a file, if it is still the same one.
    fn entry(&self, path: &Path) -> Option<Entry> {
        let name = path.to_str()?;
        let mut state = self.state();
        let entry = state.entries.get(name)?.clone();
        state.used.insert(name.to_owned());
        drop(state);
        (Stamp::from_path(path) == Some(entry.stamp)).then_some(entry)
    }

    /// Puts something into the entry of the file that had this stamp.
    fn put(&self, path: &Path, stamp: Stamp, put: impl FnOnce(&mut Entry)) {
        let Some(name) = path.to_str() else {
            return;
        };
        let mut state = self.state();
        let entry = state.entries.entry(name.to_owned());
        let entry = entry.or_insert_with(|| Entry::new(stamp));
        if entry.stamp != stamp {
            *entry = Entry::new(stamp);
        }
        put(entry);
        state.used.insert(name.to_owned());
        state.is_changed = true;
    }

    /// The result of `look` on the bytes of a file, which `put` keeps in its entry.
    fn read_and_cache<T>(
        &self,
        path: &Path,
        look: impl FnOnce(&[u8]) -> T,
        put: impl FnOnce(&mut Entry, &T),
    ) -> Result<T> {
        let whole = |file: &mut File| {
            let mut bytes = Vec::new();
            file.read_to_end(&mut bytes)?;
            Ok(look(&bytes))
        };
        self.open_and_cache(path, whole, put)
    }

    /// The result of `look` on an opened file, which `put` keeps in its entry.
    fn open_and_cache<T>(
        &self,
        path: &Path,
        look: impl FnOnce(&mut File) -> Result<T>,
        put: impl FnOnce(&mut Entry, &T),
    ) -> Result<T> {
        let now = SystemTime::now();
        let mut file = File::open(path)?;
        let before = file.metadata()?;
        let found = look(&mut file)?;
        if let Some(stamp) = Stamp::from_metadata(&before)
            && before.is_file()
            && stamp.is_settled(now)
            && Stamp::from_metadata(&file.metadata()?) == Some(stamp)
        {
            self.put(path, stamp, |entry| put(entry, &found));
        }
        Ok(found)
    }

    /// SHA-256 of a file, hex. The file is never in memory as a whole.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn sha256(&self, path: &Path) -> Result<String> {
        let entry = self.entry(path);
        let known = entry.and_then(|mut entry| {
            let whole = entry.digest.map(|digest| digest.sha256);
            whole.or_else(|| entry.texts.remove(DIGEST))
        });
        match known {
            Some(digest) => Ok(digest),
            None => self.open_and_cache(path, digest_of, |entry, found| {
                entry.texts.insert(DIGEST.to_owned(), found.clone());
            }),
        }
    }

    /// The text that `search` finds in a file; `name` stands for the search.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn find_text(
        &self,
        name: &str,
        path: &Path,
        search: impl FnOnce(&[u8]) -> Option<String>,
    ) -> Result<Option<String>> {
        if let Some(found) = self.entry(path).and_then(|e| e.texts.get(name).cloned()) {
            return Ok(Some(found));
        }
        self.read_and_cache(path, search, |entry, found| {
            if let Some(found) = found {
                entry.texts.insert(name.to_owned(), found.clone());
            }
        })
    }

    /// Write what was found since the cache was opened. If that cannot be, it is found again next time.
    pub fn save(&self) {
        let Some((file, boot)) = &self.location else {
            return;
        };
        let mut state = self.state();
        if !std::mem::take(&mut state.is_changed) {
            return;
        }
        if state.entries.len() > MAX_ENTRIES {
            let State { entries, used, .. } = &mut *state;
            entries.retain(|name, _| used.contains(name));
            while entries.len() > MAX_ENTRIES {
                entries.pop_first();
            }
        }
        let stored = StoredCache {
            format: FORMAT,
            boot: boot.clone(),
            entries: std::mem::take(&mut state.entries),
        };
        let _ = store(file, &stored);
        state.entries = stored.entries;
    }
}

impl FileSource for DigestCache {
    type Content = FileDigest;

    fn read(&self, path: &Path) -> Result<FileDigest> {
        match self.entry(path).and_then(|entry| entry.digest) {
            Some(digest) => Ok(digest),
            None => self.read_and_cache(path, FileDigest::from_bytes, |entry, found| {
                entry.digest = Some(found.clone());
            }),
        }
    }

    fn libraries(&self, program: &Path) -> std::result::Result<Vec<String>, ProgramError> {
        if !self.environment.is_plain() {
            return run_ldd(program);
        }
        let kept = self.entry(program).and_then(|entry| entry.closure);
        if let Some(closure) = kept.filter(|closure| closure.holds(&self.environment)) {
            return Ok(closure.paths());
        }
        let (now, before) = (SystemTime::now(), Stamp::from_path(program));
        let cache_before = Stamp::from_path(&self.environment.cache);
        let libraries = run_ldd(program)?;
        let with_stamps = libraries
            .iter()
            .map(|path| Some((path.clone(), Stamp::from_path(Path::new(path))?)))
            .collect::<Option<Vec<_>>>();
        if let (Some(stamp), Some(loader_cache), Some(with_stamps)) =
            (before, cache_before, with_stamps)
        {
            let mut stamps = with_stamps.iter().map(|(_, stamp)| stamp);
            if stamp.is_settled(now)
                && loader_cache.is_settled(now)
                && stamps.all(|stamp| stamp.is_settled(now))
                && loader::is_decided_by_cache(program, &libraries, &self.environment)
                && Stamp::from_path(program) == Some(stamp)
                && Stamp::from_path(&self.environment.cache) == Some(loader_cache)
            {
                let closure = LibraryClosure {
                    loader_cache,
                    libraries: with_stamps,
                };
                self.put(program, stamp, |entry| entry.closure = Some(closure));
            }
        }
        Ok(libraries)
    }
}

/// The content of a cache's file.
fn load(file: &Path) -> Option<StoredCache> {
    let mut bytes = Vec::new();
    let file = File::open(file).ok()?;
    file.take(MAX_BYTES).read_to_end(&mut bytes).ok()?;
    serde_json::from_slice(&bytes).ok()
}

/// Writes a cache's file whole or not at all; it is its owner's alone.
fn store(file: &Path, stored: &StoredCache) -> Result<()> {
    std::fs::create_dir_all(folder_of(file))?;
    let bytes = serde_json::to_vec(stored)?;
    write_atomically(file, PRIVATE, |new| new.write_all(&bytes))
}

#[cfg(test)]
mod tests;

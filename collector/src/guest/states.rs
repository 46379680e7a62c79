//! Saved guests in the user's cache: what they are of, whether they are whole, and which of them stay.
//!
//! ```text
//! $XDG_CACHE_HOME/qed/guests/KEY.guest
//! ```
//! One file holds one guest: a page with a header in JSON, then what QEMU wrote. It appears by one rename, so that two builds that
//! save the same guest do not disturb each other, and one that reads it keeps what it opened. QEMU does not notice a flipped byte in
//! what it wrote; so a digest of all of it, and of what the header says, is kept in the header, and nothing is resumed that differs
//! from it. It is XXH64, like that of a guest's answer: it guards against damage, and who may write to the cache may also replace the
//! collector.
//!
//! A guest that is being saved has a name that begins with `.unfinished-`, and its file is locked: one that can be locked was left by a
//! collector that was interrupted.

use std::fs::{self, File};
use std::hash::Hasher as _;
use std::io::{self, Seek as _, SeekFrom};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use jiff::Timestamp;
use qed_programs::atomic::UNFINISHED;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use twox_hash::XxHash64;

use super::cache::Cache;

/// The form of the file, and of what a saved guest waits for. Another one is not resumed.
const FORMAT: u32 = 2;

/// Bytes before QEMU's.
const HEADER: u64 = 4096;

/// The largest number of saved guests. Each takes 85 to 136 MB, and costs a boot to be made again.
const MOST: usize = 6;

/// The end of a saved guest's name.
const SUFFIX: &str = "guest";

/// Everything that decides whether a saved guest can be resumed in the place of one that would be booted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateKey {
    /// SHA-256 of all of it, hex.
    digest: String,
    /// The kernel, for people.
    kernel: String,
}

impl StateKey {
    /// The key of a guest of the kernel `kernel` for which all of `parts` hold.
    #[must_use]
    pub fn new<'p>(kernel: &str, parts: impl IntoIterator<Item = &'p str>) -> Self {
        let mut hash = Sha256::new();
        hash.update(FORMAT.to_le_bytes());
        hash.update(env!("CARGO_PKG_VERSION"));
        for part in parts {
            // With its length: parts that are cut elsewhere make another key.
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        }
        Self {
            digest: hex::encode(hash.finalize()),
            kernel: kernel.to_owned(),
        }
    }
}

/// What is known of a saved guest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StateHeader {
    format: u32,
    key: String,
    /// The kernel, for people.
    pub kernel: String,
    /// When it was booted, UTC, RFC 3339.
    pub booted: String,
    bytes: u64,
    /// XXH64 of the three texts above and of what QEMU wrote, hex.
    xxh64: String,
}

impl StateHeader {
    fn texts(&self) -> [&str; 3] {
        [&self.key, &self.kernel, &self.booted]
    }
}

/// A saved guest that cannot be resumed.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// It cannot be read.
    #[error("the saved guest cannot be read: {0}")]
    Io(#[from] io::Error),
    /// The header is not one.
    #[error("the saved guest is damaged: its header cannot be understood")]
    Header,
    /// It is another machine's.
    #[error("the saved guest is one of another kernel, collector or QEMU")]
    Other,
    /// It was cut.
    #[error("the saved guest is damaged: it has {found} bytes in the place of {expected}")]
    Length {
        /// Bytes of the file.
        found: u64,
        /// Bytes that were written.
        expected: u64,
    },
    /// This machine's clock was set back since, and evidence would say that the guest was captured in before it was booted.
    #[error("the saved guest was booted at {0}, which is in the future")]
    Future(Timestamp),
    /// It was changed.
    #[error("the saved guest is damaged: its digest differs from the one that was kept with it")]
    Digest,
}

/// The saved guests of a cache.
#[derive(Clone, Debug)]
pub struct States {
    folder: PathBuf,
}

impl States {
    /// Those of this cache.
    #[must_use]
    pub fn of(cache: &Cache) -> Self {
        Self {
            folder: cache.root().join("guests"),
        }
    }

    /// Find a saved guest, and keep it from being the next to go. Only its header is read.
    ///
    /// # Errors
    /// When there is one that cannot be resumed.
    pub fn find(&self, key: &StateKey) -> Result<Option<SavedGuest>, StateError> {
        let mut file = match File::open(self.path(key)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            opened => opened?,
        };
        let header = read_header(&file)?;
        if header.format != FORMAT || header.key != key.digest {
            return Err(StateError::Other);
        }
        let expected = HEADER.checked_add(header.bytes);
        let (found, expected) = (file.metadata()?.len(), expected.ok_or(StateError::Header)?);
        let booted: Timestamp = header.booted.parse().map_err(|_| StateError::Header)?;
        if booted > Timestamp::now() {
            return Err(StateError::Future(booted));
        }
        if found != expected {
            return Err(StateError::Length { found, expected });
        }
        file.seek(SeekFrom::Start(HEADER))?;
        // Without it an older one stays.
        let _ = file.set_modified(SystemTime::now());
        Ok(Some(SavedGuest { file, header }))
    }

    /// Begin to save a guest. What interrupted collectors left is removed first.
    ///
    /// # Errors
    /// When no file can be made, or it cannot be locked.
    pub fn begin(&self, key: StateKey) -> io::Result<UnfinishedState> {
        fs::create_dir_all(&self.folder)?;
        for left in self.abandoned() {
            // What cannot be removed is only lost space.
            let _ = fs::remove_file(left.path);
        }
        let mut builder = tempfile::Builder::new();
        builder.prefix(UNFINISHED);
        let mut file = loop {
            let file = builder.tempfile_in(&self.folder)?;
            file.as_file().lock()?;
            // Until then another collector could take it for abandoned.
            if file.path().exists() {
                break file;
            }
        };
        file.as_file_mut().seek(SeekFrom::Start(HEADER))?;
        Ok(UnfinishedState {
            states: self.clone(),
            file,
            key,
        })
    }

    /// Remove a saved guest that turned out to be of no use.
    pub fn remove(&self, key: &StateKey) {
        // What stays is refused again, with the same reason.
        let _ = fs::remove_file(self.path(key));
    }

    /// All saved guests, with their sizes in bytes; the least recently used first.
    #[must_use]
    pub fn list(&self) -> Vec<(PathBuf, u64, Option<StateHeader>)> {
        let mut found = Vec::new();
        for path in self.files(|path| path.extension().is_some_and(|end| end == SUFFIX)) {
            let Ok(metadata) = path.metadata() else {
                continue;
            };
            let header = File::open(&path).ok().and_then(|f| read_header(&f).ok());
            found.push((metadata.modified().ok(), path, metadata.len(), header));
        }
        found.sort_by(|a, b| (a.0, &a.1).cmp(&(b.0, &b.1)));
        let without_time = |(_, path, size, header)| (path, size, header);
        found.into_iter().map(without_time).collect()
    }

    /// What collectors left that were interrupted while they saved a guest.
    #[must_use]
    pub fn abandoned(&self) -> Vec<AbandonedState> {
        let unfinished = self.files(|path| {
            let name = path.file_name().unwrap_or_default();
            name.to_string_lossy().starts_with(UNFINISHED)
        });
        let left = unfinished.into_iter().filter_map(|path| {
            let lock = File::open(&path).ok()?;
            lock.try_lock().ok()?;
            let bytes = lock.metadata().ok()?.len();
            Some(AbandonedState {
                path,
                bytes,
                _lock: lock,
            })
        });
        left.collect()
    }

    /// Remove the least recently used beyond [`MOST`].
    fn evict(&self) {
        let all = self.list();
        let goes = all.len().saturating_sub(MOST);
        for (path, ..) in all.into_iter().take(goes) {
            // What cannot be removed is only lost space.
            let _ = fs::remove_file(path);
        }
    }

    fn files(&self, which: impl Fn(&Path) -> bool) -> Vec<PathBuf> {
        let entries = fs::read_dir(&self.folder).into_iter().flatten().flatten();
        let paths = entries.map(|entry| entry.path());
        paths.filter(|path| which(path)).collect()
    }

    fn path(&self, key: &StateKey) -> PathBuf {
        self.folder.join(format!("{}.{SUFFIX}", &key.digest[..32]))
    }
}

/// The unfinished file of a collector that was interrupted. It stays so as long as this exists.
#[derive(Debug)]
pub struct AbandonedState {
    /// The file.
    pub path: PathBuf,
    /// Its size in bytes.
    pub bytes: u64,
    /// Keeps a collector from taking the file for its own, which made it and has not locked it yet.
    _lock: File,
}

/// A saved guest, of which only the header was looked at.
#[derive(Debug)]
pub struct SavedGuest {
    file: File,
    /// What is known of it.
    pub header: StateHeader,
}

impl SavedGuest {
    /// The file, at the position at which QEMU's part begins.
    #[must_use]
    pub fn file(&self) -> &File {
        &self.file
    }

    /// A check of the whole that can run in a thread of its own; it moves no position in the file.
    ///
    /// # Errors
    /// When the file cannot be shared with it.
    pub fn check(&self) -> io::Result<impl FnOnce() -> Result<(), StateError> + Send + use<>> {
        let (file, header) = (self.file.try_clone()?, self.header.clone());
        Ok(
            move || match digest(&file, header.texts())? == (header.bytes, header.xxh64.clone()) {
                true => Ok(()),
                false => Err(StateError::Digest),
            },
        )
    }
}

/// A guest that is being saved.
#[derive(Debug)]
pub struct UnfinishedState {
    states: States,
    file: tempfile::NamedTempFile,
    key: StateKey,
}

impl UnfinishedState {
    /// The file for QEMU, at the position at which it has to begin.
    #[must_use]
    pub fn file(&self) -> &File {
        self.file.as_file()
    }

    /// Give it its name; `booted` is when the guest was started. The oldest saved guests go, if there are too many.
    ///
    /// # Errors
    /// When it cannot be read back, finished or renamed.
    pub fn publish(self, booted: &str) -> io::Result<()> {
        let mut header = StateHeader {
            format: FORMAT,
            key: self.key.digest.clone(),
            kernel: self.key.kernel.clone(),
            booted: booted.to_owned(),
            bytes: 0,
            xxh64: String::new(),
        };
        (header.bytes, header.xxh64) = digest(self.file(), header.texts())?;
        let text = serde_json::to_vec(&header)?;
        if text.len() as u64 > HEADER {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        self.file().write_all_at(&text, 0)?;
        self.file.persist(self.states.path(&self.key))?;
        self.states.evict();
        Ok(())
    }
}

fn read_header(file: &File) -> Result<StateHeader, StateError> {
    let mut page = [0; HEADER as usize];
    file.read_exact_at(&mut page, 0)
        .map_err(|_| StateError::Header)?;
    let end = page.iter().position(|&byte| byte == 0);
    serde_json::from_slice(&page[..end.unwrap_or(page.len())]).map_err(|_| StateError::Header)
}

/// The length of what is behind the header, and XXH64, hex, of these texts of the header and of it.
fn digest(file: &File, texts: [&str; 3]) -> io::Result<(u64, String)> {
    let (mut hash, mut bytes) = (XxHash64::with_seed(0), 0);
    for text in texts {
        hash.write(&(text.len() as u64).to_le_bytes());
        hash.write(text.as_bytes());
    }
    let mut buffer = vec![0; 1 << 20];
    loop {
        match file.read_at(&mut buffer, HEADER + bytes)? {
            0 => return Ok((bytes, format!("{:016x}", hash.finish()))),
            read => {
                hash.write(&buffer[..read]);
                bytes += read as u64;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::time::Duration;

    use super::*;

    fn states() -> (tempfile::TempDir, States) {
        let folder = tempfile::tempdir().unwrap();
        let states = States::of(&Cache::new(folder.path().to_owned()));
        (folder, states)
    }

    fn save(states: &States, key: &StateKey, content: &str) {
        let unfinished = states.begin(key.clone()).unwrap();
        unfinished.file().write_all(content.as_bytes()).unwrap();
        unfinished.publish("2020-11-30T10:00:00Z").unwrap();
    }

    fn check(states: &States, key: &StateKey) -> Result<(), StateError> {
        let saved = states.find(key)?.expect("a saved guest");
        saved.check()?()
    }

    /// Check that each part makes another key, also where the parts run together.
    #[test]
    fn keys() {
        let key = |parts: &[&str]| StateKey::new("k", parts.iter().copied());
        let all = [
            key(&["a", "b"]),
            key(&["ab"]),
            key(&["a", "c"]),
            key(&["b", "a"]),
            key(&["a"]),
            key(&["a", "b", ""]),
        ];
        for (index, one) in all.iter().enumerate() {
            assert!(!all[..index].contains(one), "{index}");
        }
        assert_eq!(key(&["a", "b"]), all[0]);
    }

    /// Check that what was saved is found whole, from where QEMU began to write, and only under its own key; and that the later of two
    /// that save the same guest wins.
    #[test]
    fn saved() {
        let (_folder, states) = states();
        let key = StateKey::new("6.1", ["a"]);
        assert!(states.find(&key).unwrap().is_none());
        let first = states.begin(key.clone()).unwrap();
        first.file().write_all(b"first").unwrap();
        save(&states, &key, "second, longer");
        let opened = states.find(&key).unwrap().unwrap();
        first.publish("2020-11-30T10:00:01Z").unwrap();
        // Who had it open still has the whole.
        opened.check().unwrap()().unwrap();
        let mut text = String::new();
        io::Read::read_to_string(&mut states.find(&key).unwrap().unwrap().file, &mut text).unwrap();
        assert_eq!(text, "first");
        check(&states, &key).unwrap();
        assert!(states.find(&StateKey::new("6.1", ["b"])).unwrap().is_none());
        let listed = states.list();
        let header = listed[0].2.as_ref().unwrap();
        assert_eq!((listed.len(), header.kernel.as_str()), (1, "6.1"));
        assert_eq!(header.booted, "2020-11-30T10:00:01Z");
    }

    /// Check that a flipped bit, a cut file, a broken header and the file of another key are told apart, and none is resumed.
    #[test]
    fn damaged() {
        let (_folder, states) = states();
        let (key, other) = (StateKey::new("6.1", ["a"]), StateKey::new("6.1", ["b"]));
        let write = |at: u64, bytes: &[u8]| {
            save(&states, &key, &"state ".repeat(1000));
            let file = File::options().write(true).open(states.path(&key)).unwrap();
            file.write_all_at(bytes, at).unwrap();
            file
        };
        write(HEADER + 5999, b"!");
        assert!(matches!(check(&states, &key), Err(StateError::Digest)));
        write(0, b"").set_len(HEADER + 5999).unwrap();
        assert!(matches!(
            states.find(&key),
            Err(StateError::Length {
                found: 10_095,
                expected: 10_096
            })
        ));
        write(0, b"").set_len(100).unwrap();
        assert!(matches!(states.find(&key), Err(StateError::Header)));
        write(0, b"x");
        assert!(matches!(states.find(&key), Err(StateError::Header)));
        save(&states, &key, "state");
        fs::rename(states.path(&key), states.path(&other)).unwrap();
        assert!(matches!(states.find(&other), Err(StateError::Other)));
        states.remove(&other);
        assert!(states.find(&other).unwrap().is_none());
    }

    /// Check that a header which says otherwise than when the guest was saved is told, and never resumed: another boot, another kernel,
    /// a length beyond all files, a boot in the future and one at no time.
    #[test]
    fn damaged_header() {
        let (_folder, states) = states();
        let key = StateKey::new("6.1", ["a"]);
        let edited = |from: &str, to: &str| {
            save(&states, &key, "state");
            let path = states.path(&key);
            let mut bytes = fs::read(&path).unwrap();
            let end = bytes.iter().position(|byte| *byte == 0).unwrap();
            let text = String::from_utf8(bytes[..end].to_vec()).unwrap();
            let text = text.replace(from, to);
            bytes[..HEADER as usize].fill(0);
            bytes[..text.len()].copy_from_slice(text.as_bytes());
            fs::write(&path, &bytes).unwrap();
            check(&states, &key)
        };
        edited("none of it", "").unwrap();
        for (from, to) in [
            ("2020-11-30", "2020-11-20"),
            ("2020-11-30", "2021-11-30"),
            ("\"6.1\"", "\"6.7\""),
        ] {
            assert!(
                matches!(edited(from, to), Err(StateError::Digest)),
                "{from}: {to}"
            );
        }
        for (from, to) in [
            ("\"bytes\":5", "\"bytes\":18446744073709551615"),
            ("2020-11-30T10:00:00Z", "2020-11-40T10:00:00Z"),
            ("2020-11-30T10:00:00Z", "yesterday"),
        ] {
            assert!(
                matches!(edited(from, to), Err(StateError::Header)),
                "{from}: {to}"
            );
        }
        let future = edited("2020-11-30", "3020-11-30");
        assert!(matches!(future, Err(StateError::Future(_))), "{future:?}");
    }

    /// Check that what an interrupted collector left goes when the next guest is saved, and what another one is writing stays.
    #[test]
    fn abandoned() {
        let (_folder, states) = states();
        let [first, second] = ["a", "b"].map(|part| StateKey::new("k", [part]));
        let begun = states.begin(first.clone()).unwrap();
        let left = states.folder.join(format!("{UNFINISHED}left"));
        fs::write(&left, "12345").unwrap();
        let found = |found: Vec<AbandonedState>| -> Vec<(PathBuf, u64)> {
            found.into_iter().map(|one| (one.path, one.bytes)).collect()
        };
        assert_eq!(found(states.abandoned()), [(left.clone(), 5)]);
        // To look for them takes nothing away.
        assert_eq!(found(states.abandoned()).len(), 1);
        save(&states, &second, "s");
        assert!(!left.exists());
        begun.file().write_all(b"state").unwrap();
        begun.publish("2020-11-30T10:00:00Z").unwrap();
        check(&states, &first).unwrap();
        check(&states, &second).unwrap();
        assert!(states.abandoned().is_empty());
        assert_eq!(states.files(|_| true).len(), 2);
    }

    /// Check that the least recently used go first.
    #[test]
    fn evicted() {
        let (_folder, states) = states();
        let keys: Vec<StateKey> = (0..=MOST)
            .map(|n| StateKey::new("k", [n.to_string().as_str()]))
            .collect();
        let at = |path: &Path, minutes: u64| {
            let time = SystemTime::now() - Duration::from_secs(60 * minutes);
            let file = File::options().write(true).open(path).unwrap();
            file.set_modified(time).unwrap();
        };
        for (key, age) in keys[..MOST].iter().zip(10..) {
            save(&states, key, "s");
            at(&states.path(key), age);
        }
        // The oldest of them is used again.
        states.find(&keys[MOST - 1]).unwrap().unwrap();
        save(&states, &keys[MOST], "s");
        let there: Vec<bool> = keys.iter().map(|key| states.path(key).exists()).collect();
        let mut expected = vec![true; MOST + 1];
        expected[MOST - 2] = false;
        assert_eq!(there, expected);
    }
}

//! A cache of results that depend on evidence alone: under `mdbook serve` the same evidence is redacted, serialised and
//! compressed again and again.
//!
//! An entry is stored under the digest of everything that it was made from, this program included, so a hit is exactly what
//! would be made again. Verdicts are never cached: every build judges the claims anew.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use qed_programs::platform::Stamp;
use sha2::{Digest, Sha256};

use crate::evidence::locations::CACHE_FOLDER;
use crate::util::state;

/// The largest number of entries: those of a few captures of a few machines. The oldest are evicted.
const MAX_FILES: usize = 32;

/// The largest entry, in bytes.
const MAX_BYTES: u64 = 64 << 20;

/// SHA-256.
pub type Sha256Digest = [u8; 32];

/// The digest of these bytes.
fn sha256(bytes: &[u8]) -> Sha256Digest {
    Sha256::digest(bytes).into()
}

/// The cache of one book. The default keeps nothing.
#[derive(Debug, Default)]
pub struct DerivedCache {
    location: Option<(PathBuf, Sha256Digest)>,
}

impl DerivedCache {
    /// For the book in `root`. A book without captures gets no folder for it.
    pub fn for_book(root: &Path) -> Self {
        let captured = root.join(crate::evidence::locations::CAPTURED).is_dir();
        let program = if captured { program_identity() } else { None };
        DerivedCache {
            location: program.map(|program| (root.join(CACHE_FOLDER), program)),
        }
    }

    /// The digest of these bytes, if anything is kept under it.
    pub fn key_of(&self, bytes: &[u8]) -> Option<Sha256Digest> {
        self.location.as_ref().map(|_| sha256(bytes))
    }

    /// The file of what is made from `inputs`, and their digest.
    fn entry_file(&self, inputs: &[&[u8]]) -> Option<(PathBuf, Sha256Digest)> {
        let (folder, program) = self.location.as_ref()?;
        let mut digest = Sha256::new();
        digest.update(program);
        for input in inputs {
            digest.update((input.len() as u64).to_le_bytes());
            digest.update(input);
        }
        let key: Sha256Digest = digest.finalize().into();
        Some((folder.join(hex::encode(key)), key))
    }

    /// The result of an earlier build from `inputs`. An entry that cannot be read, or was damaged, is not there.
    pub fn get(&self, inputs: &[&[u8]]) -> Option<Vec<u8>> {
        let (file, key) = self.entry_file(inputs)?;
        let file = File::open(file).ok()?;
        let mut found = crate::util::files::buffer_for(&file, MAX_BYTES);
        file.take(MAX_BYTES).read_to_end(&mut found).ok()?;
        let bytes = found.split_off(found.len().min(key.len()));
        (found == checksum(&key, &bytes)).then_some(bytes)
    }

    /// Keep what was made from `inputs`. If that cannot be, it is made again next time.
    pub fn put(&self, inputs: &[&[u8]], bytes: &[u8]) {
        if let Some((file, key)) = self.entry_file(inputs) {
            let _ = state::write(&file, &[&checksum(&key, bytes), bytes]);
            let _ = file.parent().map_or(Ok(()), evict_oldest);
        }
    }
}

/// The digest that precedes the bytes: it covers the key, so that a file under another name is not mistaken for this one.
fn checksum(key: &Sha256Digest, bytes: &[u8]) -> Sha256Digest {
    let digest = Sha256::new().chain_update(key).chain_update(bytes);
    digest.finalize().into()
}

/// The identity of this program, different for each build of the same version. It is not a digest of its bytes, which would
/// take longer to read than the cached results take to make. `None` where its file cannot be told from another one by anything else.
fn program_identity() -> Option<Sha256Digest> {
    let own = Stamp::from_path(&std::env::current_exe().ok()?)?;
    let build = format!("{} {own:?}", env!("CARGO_PKG_VERSION"));
    Some(sha256(build.as_bytes()))
}

/// Delete the oldest files, and with them the temporary files of interrupted builds.
fn evict_oldest(folder: &Path) -> std::io::Result<()> {
    let mut files: Vec<(SystemTime, PathBuf)> = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_name() != ".gitignore" {
            files.push((entry.metadata()?.modified()?, entry.path()));
        }
    }
    files.sort();
    let surplus = files.len().saturating_sub(MAX_FILES);
    for (_, file) in &files[..surplus] {
        std::fs::remove_file(file)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn cache() -> (tempfile::TempDir, DerivedCache) {
        let book = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(book.path().join(crate::evidence::locations::CAPTURED)).unwrap();
        let cache = DerivedCache::for_book(book.path());
        (book, cache)
    }

    fn files(book: &Path) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(book.join(CACHE_FOLDER)).unwrap();
        let paths = entries.map(|entry| entry.unwrap().path());
        paths.filter(|p| !p.ends_with(".gitignore")).collect()
    }

    /// Check that what was kept comes back for exactly the same inputs, in a file that is the owner's alone, and for
    /// another build of the program not at all.
    #[test]
    fn comes_back() {
        let (book, mut cache) = cache();
        assert_eq!(cache.get(&[b"a", b"b"]), None);
        cache.put(&[b"a", b"b"], b"made");
        assert_eq!(cache.get(&[b"a", b"b"]).as_deref(), Some(&b"made"[..]));
        assert_eq!(cache.get(&[b"ab", b""]), None);
        assert_eq!(cache.get(&[b"a"]), None);
        let files = files(book.path());
        assert_eq!(files.len(), 1);
        let mode = std::fs::metadata(&files[0]).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        cache.location.as_mut().unwrap().1[0] ^= 1;
        assert_eq!(cache.get(&[b"a", b"b"]), None);
    }

    /// Check that a file that was changed, cut short, emptied or moved to another name is not believed.
    #[test]
    fn damaged() {
        let (book, cache) = cache();
        cache.put(&[b"a"], b"made");
        cache.put(&[b"b"], b"other");
        let (a, _) = cache.entry_file(&[b"a"]).unwrap();
        let (b, _) = cache.entry_file(&[b"b"]).unwrap();
        let whole = std::fs::read(&a).unwrap();
        for at in 0..whole.len() {
            let mut changed = whole.clone();
            changed[at] ^= 1;
            std::fs::write(&a, changed).unwrap();
            assert_eq!(cache.get(&[b"a"]), None, "byte {at}");
            std::fs::write(&a, &whole[..at]).unwrap();
            assert_eq!(cache.get(&[b"a"]), None, "{at} bytes");
        }
        std::fs::copy(&b, &a).unwrap();
        assert_eq!(cache.get(&[b"a"]), None);
        assert_eq!(cache.get(&[b"b"]).as_deref(), Some(&b"other"[..]));
        drop(book);
    }

    /// Check that no more is kept than there is room for, and that the newest stays.
    #[test]
    fn bounded() {
        let (book, cache) = cache();
        let folder = book.path().join(CACHE_FOLDER);
        std::fs::create_dir_all(&folder).unwrap();
        for number in 0..2 * MAX_FILES {
            let file = File::create(folder.join(format!("old-{number}"))).unwrap();
            let long_ago = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(number as u64);
            file.set_modified(long_ago).unwrap();
        }
        cache.put(&[b"a"], b"made");
        assert_eq!(files(book.path()).len(), MAX_FILES);
        assert_eq!(cache.get(&[b"a"]).as_deref(), Some(&b"made"[..]));
    }

    /// Check that a book without captures, and one whose folder cannot be written, keep nothing and go on.
    #[test]
    fn keeps_nothing() {
        let book = tempfile::tempdir().unwrap();
        let none = DerivedCache::for_book(book.path());
        none.put(&[b"a"], b"made");
        assert_eq!(none.get(&[b"a"]), None);
        assert!(!book.path().join(".qed").exists());
        let (book, cache) = cache();
        std::fs::write(book.path().join(".qed/state"), "a file").unwrap();
        cache.put(&[b"a"], b"made");
        assert_eq!(cache.get(&[b"a"]), None);
    }
}

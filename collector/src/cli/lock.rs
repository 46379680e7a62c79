//! The lock file of a book: loading, and look-ups of kernels in it.

use std::path::Path;

use qed_evidence::lock::{FILE, Lock};

use super::failure::Failure;
use crate::guest::cache::Cache;
use crate::guest::{KernelImage, KernelSource, ProgressFn, fetch, pinned};

/// Read a lock file.
///
/// # Errors
/// When it cannot be read, or is none.
pub fn read_lock(path: &Path) -> Result<Lock, Failure> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| Failure::input(format!("failed to read {}: {error}", path.display())))?;
    Lock::parse(&text).map_err(|problem| Failure::input(format!("{}: {problem}", path.display())))
}

/// The lock file beside the `book.toml` in `root`, if there is one.
///
/// # Errors
/// When it cannot be read, or is none.
pub fn read_lock_beside(root: &Path) -> Result<Option<Lock>, Failure> {
    let path = root.join(FILE);
    match path.try_exists() {
        Ok(false) => Ok(None),
        _ => read_lock(&path).map(Some),
    }
}

/// The kernel of a guest: the pinned one, or without a lock file the newest that its name can mean.
///
/// # Errors
/// When it is unavailable, or the lock does not name the guest.
pub fn find_kernel(
    lock: Option<&Lock>,
    name: &str,
    source: &KernelSource,
    cache: &Cache,
    refresh: bool,
    say: ProgressFn<'_>,
) -> Result<KernelImage, Failure> {
    let Some(lock) = lock else {
        return Ok(fetch::find_kernel(source, cache, refresh, say)?);
    };
    if refresh {
        return Err(Failure::input(format!(
            "--refresh asks for newer kernels, and {FILE} pins them: run `qed-collector kernels update`, which says what moves"
        )));
    }
    let pin = lock.get(name).ok_or_else(|| {
        Failure::input(format!(
            "{FILE} does not name {name}: run `qed-collector kernels update --book BOOK` to pin it, too"
        ))
    })?;
    Ok(pinned::find_pinned_kernel(name, source, pin, cache, say)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Check that a lock is respected: a guest that it does not name, and a wish for newer kernels, are refused.
    #[test]
    fn respected() {
        let cache = Cache::new("/nonexistent".into());
        let source = KernelSource::Debian("6.1".parse().unwrap());
        let ask = |refresh| {
            find_kernel(
                Some(&Lock::default()),
                "guest:debian-6.1",
                &source,
                &cache,
                refresh,
                &|_| {},
            )
            .unwrap_err()
        };
        assert!(
            ask(false)
                .message
                .contains("does not name guest:debian-6.1")
        );
        assert!(ask(true).message.contains("--refresh"));
        assert_eq!(ask(false).status, 2);
    }
}

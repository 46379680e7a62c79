//! `qed-collector kernels prune`: removes cached kernels that nobody needs, and saved guests.

use std::path::{Path, PathBuf};

use qed_evidence::lock::{FILE, Lock, Pin};

use super::failure::Failure;
use super::lock;
use super::output::print;
use super::progress::Progress;
use super::target;
use crate::arch::Arch;
use crate::guest::apt::Apt;
use crate::guest::archive::{self, Package};
use crate::guest::cache::{Cache, Sidecar};
use crate::guest::states::States;

/// A package that a lock file pins.
struct PinnedPackage {
    package: Package,
    /// The lock file.
    file: PathBuf,
}

/// The packages that the lock files of these books pin, and of the one around this folder, if there is one.
fn pinned_packages(books: &[PathBuf]) -> Result<Vec<PinnedPackage>, Failure> {
    let mut roots: Vec<PathBuf> = Vec::new();
    for book in books.iter().chain(&target::find_nearest_book()) {
        let root = match book.is_dir() {
            true => book.as_path(),
            false => book.parent().unwrap_or(Path::new("")),
        };
        // One that is misspelt would pin nothing.
        if !root.join("book.toml").is_file() || !book.exists() {
            return Err(Failure::input(format!(
                "there is no book in {}; name its folder with --book, so that the kernels that it pins stay",
                book.display()
            )));
        }
        if !roots.iter().any(|known| known == root) {
            roots.push(root.to_owned());
        }
    }
    let mut pinned = Vec::new();
    for root in roots {
        let file = root.join(FILE);
        // A lock file that cannot be read may pin anything.
        for pin in lock::read_lock_beside(&root)?.iter().flat_map(Lock::pins) {
            let Pin::Packages(packages) = pin else {
                continue;
            };
            let parts = std::iter::once(&packages.image).chain(&packages.debug_info);
            pinned.extend(parts.map(|part| PinnedPackage {
                package: Package {
                    name: part.package.clone(),
                    version: part.version.clone(),
                },
                file: file.clone(),
            }));
        }
    }
    Ok(pinned)
}

/// Remove what is in the way: saved guests, and superseded kernels, or with `all` everything, but not what the lock files of `books` pin.
///
/// # Errors
/// When a lock file cannot be read, or a folder not be removed.
pub fn prune(all: bool, dry_run: bool, books: &[PathBuf], cache: &Cache) -> Result<(), Failure> {
    let pinned = pinned_packages(books)?;
    let progress = Progress::new("kernels");
    let _lock = cache.lock(&|text| progress.show_step(text))?;
    drop(progress);
    let packages = cache.packages();
    let mut bytes = 0;
    // Without --all a download can still go on.
    let unfinished = all
        .then(|| Arch::ALL.map(|arch| Apt::new(cache.root(), arch).download_folder()))
        .into_iter()
        .flatten();
    let mut goes = Vec::new();
    for (folder, package) in removable_packages(&packages, all) {
        match pinned.iter().find(|pinned| pinned.package == *package) {
            None => goes.extend([folder.to_owned(), cache.modules_folder(package)]),
            Some(by) => print(&format!(
                "kept {}, which {} pins\n",
                folder.display(),
                by.file.display()
            ))?,
        }
    }
    let folders = goes.into_iter().chain(unfinished);
    for folder in folders.filter(|folder| folder.is_dir()) {
        let size = folder_size(&folder);
        bytes += size;
        let verb = if dry_run { "would remove" } else { "removed" };
        if !dry_run {
            std::fs::remove_dir_all(&folder).map_err(|error| {
                Failure::machine(format!("failed to remove {}: {error}", folder.display()))
            })?;
        }
        print(&format!(
            "{verb} {} ({} MB)\n",
            folder.display(),
            size.div_ceil(1_000_000)
        ))?;
    }
    bytes += saved_guests(dry_run, cache)?;
    print(&format!("{} MB in all\n", bytes.div_ceil(1_000_000)))
}

/// Remove all saved guests, each of which costs one boot to be made again, and what is left of those that were not finished. Gives back
/// their bytes.
fn saved_guests(dry_run: bool, cache: &Cache) -> Result<u64, Failure> {
    let states = States::of(cache);
    let mut bytes = 0;
    let mut remove = |path: &Path, size: u64, what: &str| {
        if !dry_run {
            std::fs::remove_file(path).map_err(|error| {
                Failure::machine(format!("failed to remove {}: {error}", path.display()))
            })?;
        }
        bytes += size;
        print(&format!(
            "{} {}, {what} ({} MB)\n",
            if dry_run { "would remove" } else { "removed" },
            path.display(),
            size.div_ceil(1_000_000)
        ))
    };
    for (path, size, header) in states.list() {
        let of = header.map_or(String::new(), |header| format!(" of {}", header.kernel));
        remove(&path, size, &format!("a saved guest{of}"))?;
    }
    for left in states.abandoned() {
        remove(
            &left.path,
            left.bytes,
            "the rest of a guest that was not saved",
        )?;
    }
    Ok(bytes)
}

/// Bytes of the files in a folder; 0 if there is none.
pub fn folder_size(folder: &Path) -> u64 {
    let files = std::fs::read_dir(folder).into_iter().flatten().flatten();
    files
        .filter_map(|file| Some(file.metadata().ok()?.len()))
        .sum()
}

/// The packages to remove, with their folders: all but those of the newest kernel of each series.
fn removable_packages(packages: &[(PathBuf, Sidecar)], all: bool) -> Vec<(&Path, &Package)> {
    let version = |sidecar: &Sidecar| archive::parse_upstream_version(&sidecar.package.version);
    let superseded = |sidecar: &Sidecar| {
        packages.iter().any(|(_, other)| {
            archive::holds_image(&other.package)
                && match (version(other), version(sidecar)) {
                    (Some(other), Some(this)) => other.0 == this.0 && other.1 > this.1,
                    _ => false,
                }
        })
    };
    let goes = packages
        .iter()
        .filter(|(_, sidecar)| all || superseded(sidecar));
    goes.map(|(folder, sidecar)| (folder.as_path(), &sidecar.package))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cached(release: &str, debug: bool) -> (PathBuf, Sidecar) {
        let suffix = if debug { "-dbg" } else { "" };
        let release = format!("{release}+deb13-cloud-amd64");
        let package = Package {
            name: format!("linux-image-{release}{suffix}"),
            version: release.split('+').next().unwrap().to_owned() + "-1",
        };
        let sidecar = Sidecar {
            release,
            deb_sha256: String::new(),
            base_sha256: None,
            fetched: String::new(),
            package,
        };
        let folder = format!("/{}", sidecar.package.folder());
        (PathBuf::from(folder), sidecar)
    }

    /// Check that saved guests and what is left of unfinished ones are counted, and removed unless it is a dry run.
    #[test]
    fn prunes_guests() {
        let folder = tempfile::tempdir().unwrap();
        let guests = folder.path().join("guests");
        std::fs::create_dir(&guests).unwrap();
        for name in ["a.guest", ".unfinished-b"] {
            std::fs::write(guests.join(name), "12345").unwrap();
        }
        let cache = Cache::new(folder.path().to_owned());
        let left = || std::fs::read_dir(&guests).unwrap().count();
        assert_eq!(saved_guests(true, &cache).unwrap(), 10);
        assert_eq!(left(), 2);
        assert_eq!(saved_guests(false, &cache).unwrap(), 10);
        assert_eq!(left(), 0);
    }

    /// Check that the newest kernel of each series and its debug information stay.
    #[test]
    fn prunes() {
        let packages = [
            cached("6.12.3", false),
            cached("6.12.3", true),
            cached("6.12.9", false),
            cached("6.12.9", true),
            cached("6.16.1", false),
        ];
        let folders = |all| -> Vec<PathBuf> {
            let goes = removable_packages(&packages, all).into_iter();
            goes.map(|(folder, _)| folder.to_owned()).collect()
        };
        assert_eq!(
            folders(false),
            [packages[0].0.clone(), packages[1].0.clone()]
        );
        assert_eq!(folders(true).len(), 5);
    }
}

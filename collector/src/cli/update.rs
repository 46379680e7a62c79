//! `qed-collector kernels update`: updates the lock file of a book to the kernels that are served now.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::io::Write as _;
use std::path::Path;

use qed_evidence::lock::{FILE, Lock, Pin};
use qed_programs::atomic::{PUBLIC, write_atomically};

use super::failure::Failure;
use super::investigation::read_investigation;
use super::output::print;
use super::progress::Progress;
use super::target::{Book, TargetMachine, read_book};
use crate::arch::Arch;
use crate::guest::cache::Cache;
use crate::guest::{KernelSource, archive, fetch, pinned};

/// Pins the guests of a book to the kernels that are served now, and prints the changes.
///
/// # Errors
/// When the archive cannot be asked or serves one of them no more. Then nothing is changed.
pub fn update(path: &Path, only: &[String], dry_run: bool, cache: &Cache) -> Result<(), Failure> {
    let Book {
        machines,
        root,
        lock: old,
        investigation,
        ..
    } = read_book(path)?;
    let modules = read_investigation(&investigation)?
        .modules()
        .next()
        .is_some();
    let guests: Vec<(&str, &KernelSource)> = machines
        .iter()
        .filter_map(|target| match target {
            TargetMachine::Host => None,
            TargetMachine::Guest(name, source) => Some((name.as_str(), source)),
        })
        .collect();
    let names: Vec<&str> = guests.iter().map(|(name, _)| *name).collect();
    if names.is_empty() {
        return Err(Failure::input(
            "the book has no guests, and the host's own kernel cannot be pinned",
        ));
    }
    if let Some(unknown) = only.iter().find(|name| !names.contains(&name.as_str())) {
        return Err(Failure::input(format!(
            "unknown guest `{unknown}`: the book has {}",
            names.join(", ")
        )));
    }
    let old = old.unwrap_or_default();
    let wanted = |name: &str| only.is_empty() || only.iter().any(|one| one == name);
    let new = updated_lock(&old, &guests, &wanted, modules, cache)?;
    let moves = old.describe_changes(&new);
    let file = root.join(FILE);
    if !dry_run && (!moves.is_empty() || !file.exists()) {
        write_file(&file, &new.text())?;
    }
    let verb = if dry_run { "would move: " } else { "" };
    for line in &moves {
        print(&format!("{verb}{line}\n"))?;
    }
    if moves.is_empty() {
        print(&format!(
            "nothing moved: {} is up to date\n",
            file.display()
        ))?;
    }
    Ok(())
}

/// The lock with the guests in `wanted` pinned to the kernels that are available now, with their modules if `modules`. Guests that
/// the book does not name are removed.
fn updated_lock(
    old: &Lock,
    guests: &[(&str, &KernelSource)],
    wanted: &dyn Fn(&str) -> bool,
    modules: bool,
    cache: &Cache,
) -> Result<Lock, Failure> {
    let mut new = old.clone();
    let names: Vec<&str> = guests.iter().map(|(name, _)| *name).collect();
    new.retain_machines(&names);
    let mut served = BTreeMap::new();
    let mut problems = Vec::new();
    for (name, source) in guests.iter().filter(|(name, _)| wanted(name)) {
        match source {
            KernelSource::Path(path) => match qed_programs::digest(path) {
                Ok(sha256) => new.set(name, Pin::Image { sha256 }),
                Err(error) => problems.push(format!(
                    "the image {} of {name} cannot be read: {error}",
                    path.display()
                )),
            },
            KernelSource::Debian(selector) => {
                let arch = selector.arch;
                let kernels = match served.entry(arch) {
                    Entry::Occupied(known) => known.into_mut(),
                    Entry::Vacant(place) => place.insert(fetch_served_kernels(arch, cache)?),
                };
                match archive::select(kernels, *selector) {
                    Some(kernel) => new.set(name, pinned::new_pin(kernel, modules)),
                    None => problems.push(archive::not_served_reason(kernels, *selector)),
                }
            }
        }
    }
    match problems.is_empty() {
        true => Ok(new),
        false => Err(Failure::machine(format!(
            "{FILE} was not changed: {}. Correct `machines` in book.toml, or name only the machines that are to move",
            problems.join("; ")
        ))),
    }
}

/// The kernels of an architecture that the archive serves now.
fn fetch_served_kernels(arch: Arch, cache: &Cache) -> Result<Vec<archive::ServedKernel>, Failure> {
    let progress = Progress::new("kernels");
    let say = |text: &str| progress.show_step(text);
    let lock = cache.lock(&say)?;
    let (kernels, note) = fetch::ask_served_kernels(arch, cache, true, &lock, &say)?;
    match note {
        None => Ok(kernels),
        // With a suite missing, a pin would move back.
        Some(note) => Err(Failure::machine(format!(
            "{FILE} was not changed, because {note}"
        ))),
    }
}

/// Writes a file in one step, with the rights that files have.
fn write_file(path: &Path, text: &str) -> Result<(), Failure> {
    write_atomically(path, PUBLIC, |file| file.write_all(text.as_bytes()))
        .map_err(|error| Failure::machine(format!("failed to write {}: {error}", path.display())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::lock::read_lock_beside;

    /// Check that images are pinned without a network, that only the named guests are updated, that guests which the book no
    /// longer has are removed, and that an unreadable image changes nothing.
    #[test]
    fn images_move() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        for name in ["a", "b"] {
            std::fs::write(at(name), name).unwrap();
        }
        std::fs::write(
            at("book.toml"),
            "[preprocessor.qed]\ninvestigation = \"i.toml\"\nmachines = [\"host\", { guest = \"a\", name = \"a\" }, { guest = \"b\", name = \"b\" }]\n",
        )
        .unwrap();
        std::fs::write(
            at("i.toml"),
            "[[experiment]]\nname = \"a\"\nworkload = { syscall = \"getpid\", args = [] }\n\
             [[experiment.probe]]\nfunction = \"ksys_read\"\n",
        )
        .unwrap();
        let cache = Cache::new(at("cache"));
        let lock = || read_lock_beside(folder.path()).unwrap();
        let go = |only: &[&str], dry_run| {
            let only: Vec<String> = only.iter().map(|name| (*name).to_owned()).collect();
            update(folder.path(), &only, dry_run, &cache)
        };
        go(&[], true).unwrap();
        assert_eq!(lock(), None);
        go(&[], false).unwrap();
        let first = lock().unwrap();
        assert!(first.get("guest:a").is_some() && first.get("guest:b").is_some());
        for name in ["a", "b"] {
            std::fs::write(at(name), "new").unwrap();
        }
        go(&["guest:a"], false).unwrap();
        let second = lock().unwrap();
        assert_ne!(second.get("guest:a"), first.get("guest:a"));
        assert_eq!(second.get("guest:b"), first.get("guest:b"));
        assert!(
            go(&["guest:c"], false)
                .unwrap_err()
                .message
                .contains("guest:a, guest:b")
        );
        std::fs::remove_file(at("b")).unwrap();
        assert!(
            go(&[], false)
                .unwrap_err()
                .message
                .contains("was not changed")
        );
        assert_eq!(lock(), Some(second));
        std::fs::write(
            at("book.toml"),
            "[preprocessor.qed]\ninvestigation = \"i.toml\"\nmachines = [{ guest = \"a\", name = \"a\" }]\n",
        )
        .unwrap();
        go(&[], false).unwrap();
        assert_eq!(lock().unwrap().get("guest:b"), None);
    }
}

//! The sources that an object was compiled from, as one digest.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use sha2::{Digest as _, Sha256};

/// Our own sources of the object, from the top of the checkout: the files that are compiled, and the way they are.
const SOURCES: &[&str] = &[
    "collector-ebpf/Cargo.toml",
    "collector-ebpf/src",
    "collector/build/compile.rs",
];
/// The beginning of the names of the packages that are compiled with them.
const PACKAGES: &str = "aya-ebpf";

/// SHA-256 of the names and contents of all sources, and of the packages in Cargo.lock, in lower-case hexadecimal. `None` in the
/// published package, which does not have them.
///
/// # Errors
/// A source that cannot be read.
pub fn digest(root: &Path) -> io::Result<Option<String>> {
    if !root.join(SOURCES[1]).is_dir() {
        return Ok(None);
    }
    let mut files = Vec::new();
    for source in SOURCES {
        collect(&root.join(source), &mut files)?;
    }
    let mut hash = hash_files(root, files)?;
    for package in packages(&fs::read_to_string(root.join("Cargo.lock"))?) {
        hash.update(package);
    }
    Ok(Some(hex::encode(hash.finalize())))
}

/// A hash of the names, from `root`, and contents of files.
///
/// # Errors
/// A file that cannot be read.
pub fn hash_files(root: &Path, mut files: Vec<PathBuf>) -> io::Result<Sha256> {
    files.sort();
    let mut hash = Sha256::new();
    for file in files {
        let name = file.strip_prefix(root).unwrap_or(&file);
        let content = fs::read(&file)?;
        hash.update(format!("{} {}\n", name.display(), content.len()));
        hash.update(content);
    }
    Ok(hash)
}

/// Names, versions and checksums of the packages in the text of a Cargo.lock. Their dependencies are left out: these are named
/// differently where another part of the workspace needs a second version.
fn packages(lock: &str) -> Vec<String> {
    let tables = lock.split("[[package]]\n").skip(1);
    let ours = tables.filter(|table| table.starts_with(&format!("name = \"{PACKAGES}")));
    ours.map(|table| {
        let lines = table
            .lines()
            .take_while(|line| !line.starts_with("dependencies"));
        let lines = lines.filter(|line| !line.is_empty());
        lines.map(|line| format!("{line}\n")).collect()
    })
    .collect()
}

/// Add the files at or below `path`.
///
/// # Errors
/// A folder that cannot be read.
pub fn collect(path: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    if !path.is_dir() {
        files.push(path.to_owned());
        return Ok(());
    }
    for entry in fs::read_dir(path)? {
        collect(&entry?.path(), files)?;
    }
    Ok(())
}

//! The sources that an object was compiled from, as one digest.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use sha2::{Digest as _, Sha256};

/// Everything below these that the object depends on, from the top of the checkout: what is compiled, and how.
const SOURCES: &[&str] = &[
    "collector-ebpf/Cargo.toml",
    "collector-ebpf/src",
    "collector/build/compile.rs",
];

/// SHA-256 of the names and contents of all sources, in lower-case hexadecimal. Nothing where they are not at hand: in the
/// published package.
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
    files.sort();
    let mut hash = Sha256::new();
    for file in files {
        let name = file.strip_prefix(root).unwrap_or(&file);
        let content = fs::read(&file)?;
        hash.update(format!("{} {}\n", name.display(), content.len()));
        hash.update(content);
    }
    Ok(Some(hex::encode(hash.finalize())))
}

fn collect(path: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    if !path.is_dir() {
        files.push(path.to_owned());
        return Ok(());
    }
    for entry in fs::read_dir(path)? {
        collect(&entry?.path(), files)?;
    }
    Ok(())
}

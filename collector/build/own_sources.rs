//! The crate's own sources, as one digest.

use std::{io, path::Path};

use sha2::Digest as _;

use super::sources::{collect, hash_files};

/// SHA-256 of the sources that decide what a collector and its guests send each other: this crate's, and in a checkout those of the
/// crates whose types are sent.
///
/// # Errors
/// A source that cannot be read.
pub fn digest(crate_folder: &Path) -> io::Result<String> {
    let mut files = Vec::new();
    for folder in ["src", "../evidence/src", "../programs/src"] {
        let folder = crate_folder.join(folder);
        if folder.is_dir() {
            println!("cargo:rerun-if-changed={}", folder.display());
            collect(&folder, &mut files)?;
        }
    }
    Ok(hex::encode(hash_files(crate_folder, files)?.finalize()))
}

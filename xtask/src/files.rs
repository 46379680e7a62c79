//! Writing files, with their paths in the errors.

use std::path::{Path, PathBuf};

/// A file or folder that cannot be written.
#[derive(Debug, thiserror::Error)]
#[error("failed to write {}: {error}", .path.display())]
pub struct WriteError {
    path: PathBuf,
    error: std::io::Error,
}

impl WriteError {
    /// Turn an error of the system into one about `path`.
    pub fn for_path(path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        |error| Self {
            path: path.to_owned(),
            error,
        }
    }
}

/// Make a folder, and those above it.
pub fn create(folder: &Path) -> Result<(), WriteError> {
    std::fs::create_dir_all(folder).map_err(WriteError::for_path(folder))
}

/// Write a file.
pub fn write(path: &Path, content: impl AsRef<[u8]>) -> Result<(), WriteError> {
    std::fs::write(path, content).map_err(WriteError::for_path(path))
}

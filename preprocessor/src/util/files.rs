//! Files: all of a folder, and one that is written whole or not at all.

use std::path::{Path, PathBuf};

/// A file of a site.
#[derive(Debug)]
pub struct File {
    /// Its path in the site, with `/`.
    pub name: String,
    /// Its content.
    pub bytes: Vec<u8>,
}

/// A folder of which not all files can be read.
#[derive(Debug, thiserror::Error)]
pub enum FilesError {
    /// A file or folder cannot be read.
    #[error("{} cannot be read: {error}", .path.display())]
    Unreadable {
        /// The file or folder.
        path: PathBuf,
        /// The reason.
        error: std::io::Error,
    },
    /// It holds something else, such as a link.
    #[error("{} is neither a file nor a folder", .0.display())]
    Special(PathBuf),
}

/// All files below `root`, by name. What is neither a file nor a folder (a link) is refused: it would lead out of what
/// is checked.
pub fn read(root: &Path) -> Result<Vec<File>, FilesError> {
    let mut out = Vec::new();
    let mut queue = vec![root.to_owned()];
    while let Some(folder) = queue.pop() {
        let unreadable = |error| FilesError::Unreadable {
            path: folder.clone(),
            error,
        };
        for entry in std::fs::read_dir(&folder).map_err(unreadable)? {
            let entry = entry.map_err(unreadable)?;
            let path = entry.path();
            let kind = entry.file_type().map_err(unreadable)?;
            if kind.is_dir() {
                queue.push(path);
                continue;
            }
            if !kind.is_file() {
                return Err(FilesError::Special(path));
            }
            let bytes = std::fs::read(&path).map_err(|error| FilesError::Unreadable {
                path: path.clone(),
                error,
            })?;
            let below = path.strip_prefix(root).unwrap_or(&path);
            let names: Vec<String> = below
                .components()
                .map(|part| part.as_os_str().to_string_lossy().into_owned())
                .collect();
            out.push(File {
                name: names.join("/"),
                bytes,
            });
        }
    }
    out.sort_unstable_by(|a, b| a.name.cmp(&b.name));
    Ok(out)
}

/// An empty buffer for a file of which no more than `most` bytes are read: it need not grow.
pub fn buffer_for(file: &std::fs::File, most: u64) -> Vec<u8> {
    let length = file.metadata().map_or(0, |about| about.len());
    Vec::with_capacity(usize::try_from(length.min(most)).unwrap_or(0) + 1)
}

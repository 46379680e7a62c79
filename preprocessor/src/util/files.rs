//! Files: all of a folder, and one that is written whole or not at all.

use std::path::{Path, PathBuf};

/// A file of a site.
#[derive(Debug)]
pub struct SiteFile {
    /// Its path in the site, with `/`.
    pub name: String,
    /// Its content.
    pub bytes: Vec<u8>,
}

/// The error for a folder in which not all files can be read.
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
    /// Something else, such as a link.
    #[error("{} is neither a file nor a folder", .0.display())]
    Special(PathBuf),
}

/// All files below `root`, by name. Anything that is neither a file nor a folder (such as a link) is refused: it could lead out
/// of the checked folder.
pub fn read(root: &Path) -> Result<Vec<SiteFile>, FilesError> {
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
            out.push(SiteFile {
                name: names.join("/"),
                bytes,
            });
        }
    }
    out.sort_unstable_by(|a, b| a.name.cmp(&b.name));
    Ok(out)
}

/// Open a file to be read. A pipe, a socket or a device is refused: reading one can wait for ever, or never end.
pub fn open(path: &Path) -> std::io::Result<std::fs::File> {
    // Before it is opened: opening a pipe waits for its writer.
    if std::fs::metadata(path).is_ok_and(|about| !about.is_file() && !about.is_dir()) {
        return Err(std::io::Error::other("it is not a regular file"));
    }
    std::fs::File::open(path)
}

/// The content of a file that [`open`] opens.
pub fn read_file(path: &Path) -> std::io::Result<Vec<u8>> {
    use std::io::Read;
    let mut file = open(path)?;
    let mut bytes = buffer_for(&file, u64::from(u32::MAX));
    file.read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The text in a file that [`open`] opens.
pub fn read_text(path: &Path) -> std::io::Result<String> {
    String::from_utf8(read_file(path)?)
        .map_err(|_| std::io::Error::new(std::io::ErrorKind::InvalidData, "it is not UTF-8"))
}

/// An empty buffer for a file of which no more than `most` bytes are read: it need not grow.
pub fn buffer_for(file: &std::fs::File, most: u64) -> Vec<u8> {
    let length = file.metadata().map_or(0, |about| about.len());
    Vec::with_capacity(usize::try_from(length.min(most)).unwrap_or(0) + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Check that a pipe is refused instead of waited for, that a missing file is told as such, and that a file is read.
    #[test]
    fn regular_files_only() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        let made = std::process::Command::new("mkfifo").arg(&pipe).status();
        if made.is_ok_and(|status| status.success()) {
            let message = read_file(&pipe).unwrap_err().to_string();
            assert_eq!(message, "it is not a regular file");
        } else {
            qed_layers::note_skipped("there is no mkfifo here");
        }
        let missing = read_text(&folder.path().join("a")).unwrap_err();
        assert_eq!(missing.kind(), std::io::ErrorKind::NotFound);
        std::fs::write(folder.path().join("a"), "b").unwrap();
        assert_eq!(read_text(&folder.path().join("a")).unwrap(), "b");
    }
}

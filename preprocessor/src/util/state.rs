//! Files below `.qed`: each is written whole or not at all, and nobody else may read it.

use std::io::{Result, Write};
use std::path::Path;

use qed_programs::atomic::{PRIVATE, folder_of, write_atomically};

/// Creates a folder of `.qed`, which git leaves out.
///
/// # Errors
/// A folder or a file that cannot be written.
pub fn create_folder(folder: &Path) -> Result<()> {
    std::fs::create_dir_all(folder)?;
    let ignore = folder.join(".gitignore");
    if !ignore.exists() {
        std::fs::write(ignore, "*\n")?;
    }
    Ok(())
}

/// Writes `pieces`, one behind the other, to the file `path`, and creates its folder. Several programs may do so at the same
/// time: the last one wins, and no reader sees a part of a file.
///
/// # Errors
/// A folder or a file that cannot be written; then the file is what it was.
pub fn write(path: &Path, pieces: &[&[u8]]) -> Result<()> {
    create_folder(folder_of(path))?;
    write_atomically(path, PRIVATE, |new| {
        pieces.iter().try_for_each(|piece| new.write_all(piece))
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    /// Check that a file is replaced whole, is the owner's alone, and that nothing is left beside it, also if it cannot be
    /// written.
    #[test]
    fn whole_or_not_at_all() {
        let root = tempfile::tempdir().unwrap();
        let file = root.path().join("state/warnings.json");
        write(&file, &[b"long text, ", b"long text"]).unwrap();
        write(&file, &[b"a", b"b"]).unwrap();
        assert_eq!(std::fs::read(&file).unwrap(), b"ab");
        let mode = std::fs::metadata(&file).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let taken = root.path().join("state/taken");
        std::fs::create_dir(&taken).unwrap();
        std::fs::write(taken.join("file"), "").unwrap();
        assert!(write(&taken, &[b"a"]).is_err());
        let entries = std::fs::read_dir(root.path().join("state")).unwrap();
        let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(names, [".gitignore", "taken", "warnings.json"]);
    }
}

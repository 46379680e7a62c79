//! Files that are written whole or not at all. It is here because the collector and the preprocessor both depend on this crate,
//! and has nothing to do with programs: caches, evidence, state and locks of both are written so.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::Result;
use std::path::{Path, PathBuf};

use crate::platform;

/// The permissions of a file that nobody but its owner may read.
pub const PRIVATE: u32 = 0o600;

/// The permissions of a file that everybody may read.
pub const PUBLIC: u32 = 0o644;

/// The prefix of the name of a file that is not whole yet. One that is still there when nobody writes was left by a program that
/// was killed.
pub const UNFINISHED: &str = ".unfinished-";

/// The prefix of the name of a folder that is being replaced.
const REPLACED: &str = ".qed-replaced-";

/// Replace the file `path` by one with what `fill` writes, in one step: whoever reads it, and whoever finds it after an
/// interruption, has the old content or the new one. Several programs may do so at the same time; the last one wins. Its
/// permissions are `mode`, less what the mask of the process takes away, whatever those of the old one were; on a system without
/// such numbers, those that its folder gives it. The folder must exist.
///
/// A file that has to survive a power failure is synchronized by `fill`; most are caches, for which that would be slow.
///
/// # Errors
/// If `fill` fails, or the file cannot be written or renamed; then the file is what it was, and nothing is left beside it.
pub fn write_atomically(
    path: &Path,
    mode: u32,
    fill: impl FnOnce(&mut File) -> Result<()>,
) -> Result<()> {
    let permissions = platform::permissions(mode);
    let mut builder = tempfile::Builder::new();
    builder.prefix(UNFINISHED);
    if let Some(permissions) = permissions {
        builder.permissions(permissions);
    }
    let mut new = builder.tempfile_in(folder_of(path))?;
    fill(new.as_file_mut())?;
    new.persist(path)?;
    Ok(())
}

/// The folder that a file is in: the current one if its path names none.
pub fn folder_of(path: &Path) -> &Path {
    let folder = path.parent();
    folder
        .filter(|folder| !folder.as_os_str().is_empty())
        .unwrap_or(Path::new("."))
}

/// Give the folder `new` the name `folder`. What had that name is set aside before and removed afterwards, so that an
/// interruption loses neither: [`recover`] then finishes the replacement, and so does the next one. Until then `folder` may not be
/// there. The folder `stays` inside the old one is kept, in the new one.
///
/// # Errors
/// If something cannot be renamed or removed. If it is `new`, the old folder has its name back unless that fails, too.
pub fn replace_folder(new: &Path, folder: &Path, stays: Option<&OsStr>) -> Result<()> {
    recover(folder, stays)?;
    let aside = aside_path(folder);
    let exists = folder.exists();
    if exists {
        fs::rename(folder, &aside)?;
    }
    if let Err(error) = fs::rename(new, folder) {
        if exists {
            // The first error says what is wrong.
            let _ = fs::rename(&aside, folder);
        }
        return Err(error);
    }
    recover(folder, stays)
}

/// Put in order what an interrupted [`replace_folder`] has left: the old folder gets its name back if there is no new one; else
/// what stays of it is moved, and the rest removed.
///
/// # Errors
/// If something cannot be renamed or removed.
pub fn recover(folder: &Path, stays: Option<&OsStr>) -> Result<()> {
    let aside = aside_path(folder);
    if !aside.exists() {
        return Ok(());
    }
    if !folder.exists() {
        return fs::rename(&aside, folder);
    }
    if let Some(stays) = stays
        && aside.join(stays).exists()
        && !folder.join(stays).exists()
    {
        fs::rename(aside.join(stays), folder.join(stays))?;
    }
    fs::remove_dir_all(&aside)
}

/// The place of a folder that is being replaced: beside it, under a name that nobody gives to a copy of his own.
fn aside_path(folder: &Path) -> PathBuf {
    let mut name = OsStr::new(REPLACED).to_owned();
    name.push(folder.file_name().unwrap_or_default());
    folder_of(folder).join(name)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        let mut names: Vec<String> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    /// Check that a write which is interrupted midway leaves the old file, and nothing beside it; and that a folder in the place
    /// of the file stays.
    #[test]
    fn interrupted() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("a.json");
        write_atomically(&path, PUBLIC, |file| file.write_all(b"old")).unwrap();
        let interrupted = write_atomically(&path, PUBLIC, |file| {
            file.write_all(b"ne")?;
            Err(std::io::Error::other("interrupted"))
        });
        assert_eq!(interrupted.unwrap_err().to_string(), "interrupted");
        assert_eq!(fs::read(&path).unwrap(), b"old");
        let taken = root.path().join("taken");
        fs::create_dir(&taken).unwrap();
        assert!(write_atomically(&taken, PUBLIC, |file| file.write_all(b"new")).is_err());
        assert_eq!(names(root.path()), ["a.json", "taken"]);
        write_atomically(&path, PUBLIC, |file| file.write_all(b"new")).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
    }

    /// Check that a file has exactly the permissions that were asked for, also in the place of one with others.
    #[test]
    #[cfg(unix)]
    fn permissions() {
        let mode = |path: &Path| {
            let permissions = fs::metadata(path).unwrap().permissions();
            std::os::unix::fs::PermissionsExt::mode(&permissions) & 0o777
        };
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("a");
        for wanted in [PUBLIC, PRIVATE, PUBLIC] {
            write_atomically(&path, wanted, |file| file.write_all(b"x")).unwrap();
            assert_eq!(mode(&path), wanted);
        }
    }

    /// Check that a folder that does not exist is named in the error, and is not created.
    #[test]
    fn without_folder() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("none/a");
        let error = write_atomically(&path, PRIVATE, |_| Ok(())).unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::NotFound);
        let text = error.to_string();
        assert!(
            text.contains("No such file or directory") && text.contains("none"),
            "{text}"
        );
        assert!(!root.path().join("none").exists());
        assert_eq!(folder_of(Path::new("a")), Path::new("."));
    }

    fn filled(folder: &Path, text: &str) {
        fs::create_dir(folder).unwrap();
        fs::write(folder.join("file"), text).unwrap();
    }

    /// Check that a folder is replaced whole but for what stays, that the old one is there if the new one cannot be, and that each
    /// state in which an interruption can leave the two is put in order.
    #[test]
    fn folders() {
        let root = tempfile::tempdir().unwrap();
        let (folder, new) = (
            root.path().join("evidence"),
            root.path().join("evidence.new"),
        );
        let old = root.path().join(".qed-replaced-evidence");
        let stays = Some(OsStr::new("sweep"));
        let is = |text: &str| {
            assert_eq!(fs::read_to_string(folder.join("file")).unwrap(), text);
            assert_eq!(names(&folder), ["file", "sweep"]);
            assert_eq!(names(root.path()), ["evidence"]);
        };
        filled(&new, "1");
        replace_folder(&new, &folder, stays).unwrap();
        fs::create_dir(folder.join("sweep")).unwrap();
        is("1");
        filled(&new, "2");
        replace_folder(&new, &folder, stays).unwrap();
        is("2");
        assert!(replace_folder(&new, &folder, stays).is_err());
        is("2");
        // Interrupted behind the first step.
        fs::rename(&folder, &old).unwrap();
        recover(&folder, stays).unwrap();
        is("2");
        // Interrupted behind the second one, and at the next attempt.
        fs::rename(&folder, &old).unwrap();
        filled(&folder, "3");
        filled(&new, "4");
        replace_folder(&new, &folder, stays).unwrap();
        is("4");
        filled(&new, "5");
        replace_folder(&new, &folder, None).unwrap();
        assert_eq!(names(&folder), ["file"]);
        // A copy that somebody made is none of this.
        filled(&root.path().join("evidence.old"), "own");
        recover(&folder, None).unwrap();
        assert_eq!(names(root.path()), ["evidence", "evidence.old"]);
    }
}

//! Names, permissions and digests of single files, and the folder of caches.

use std::fs;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::platform::is_executable;

/// Permissions of what may be run.
pub(crate) const RUNNABLE: u32 = 0o755;

/// The last part of a path: folders of a machine do not belong into evidence.
pub(crate) fn file_name(path: &Path) -> String {
    path.file_name()
        .map_or_else(String::new, |name| name.to_string_lossy().into_owned())
}

/// Permissions for a copy of a file: those of a program if it is one.
pub(crate) fn mode_of(path: &Path) -> u32 {
    let runnable = fs::metadata(path).is_ok_and(|about| is_executable(&about));
    if runnable { RUNNABLE } else { 0o644 }
}

/// True if a file belongs to the machine and not to an author: it lies where packages put theirs.
pub fn is_of_system(path: &Path) -> bool {
    const FOLDERS: [&str; 8] = [
        "/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/nix", "/gnu",
    ];
    let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    FOLDERS.iter().any(|folder| path.starts_with(folder)) && !path.starts_with("/usr/local")
}

/// SHA-256 of a file, hex.
///
/// # Errors
/// If it cannot be read.
pub fn digest(path: &Path) -> std::io::Result<String> {
    digest_of(&mut fs::File::open(path)?)
}

/// SHA-256 of the rest of an opened file, hex. It is never in memory as a whole.
pub(crate) fn digest_of(file: &mut fs::File) -> std::io::Result<String> {
    let mut hash = Sha256::new();
    std::io::copy(file, &mut hash)?;
    Ok(hex::encode(hash.finalize()))
}

/// The folder of this user's caches: `$XDG_CACHE_HOME/qed`, else `~/.cache/qed`; `None` where neither variable is an absolute
/// path.
pub fn cache_folder() -> Option<PathBuf> {
    let absolute = |name| {
        std::env::var_os(name)
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
    };
    let base = absolute("XDG_CACHE_HOME").or_else(|| Some(absolute("HOME")?.join(".cache")))?;
    Some(base.join("qed"))
}

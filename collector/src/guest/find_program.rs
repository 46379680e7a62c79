//! Look-up of a program on the host.
//!
//! Own code: the crate `which` does the same and more (Windows, globs, shells' `~`).

use std::path::PathBuf;

/// Find a program as a shell does.
#[must_use]
pub fn find_in_path(program: &str) -> Option<PathBuf> {
    use nix::unistd::{AccessFlags, access};
    let path = std::env::var_os("PATH")?;
    let candidates = std::env::split_paths(&path).map(|folder| folder.join(program));
    candidates
        .into_iter()
        .find(|c| c.is_file() && access(c, AccessFlags::X_OK).is_ok())
}

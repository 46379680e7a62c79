//! The surroundings of a workload: its folder, its input, and the place of its program.

use std::fs::File;
use std::io::{self, Seek as _, Write as _};
use std::os::fd::AsRawFd as _;
use std::path::{Path, PathBuf};

use nix::sys::memfd::{MFdFlags, memfd_create};

use super::spec::{Input, WorkloadEnvironment};

/// A folder or an input that is not there.
#[derive(Debug, thiserror::Error)]
pub(super) enum SurroundingsError {
    /// A folder in which it cannot start.
    #[error("it cannot start in the folder {}: {error}", folder.display())]
    Folder { folder: PathBuf, error: io::Error },
    /// An input that it cannot be given.
    #[error("it cannot be given its `stdin`: {0}")]
    Input(io::Error),
}

impl WorkloadEnvironment {
    /// The path by which a program is executed: a relative one begins at the folder, wherever the workload starts.
    pub(super) fn program_path(&self, name: &str) -> PathBuf {
        match &self.folder {
            Some(folder) if name.contains('/') => folder.join(name),
            _ => PathBuf::from(name),
        }
    }
}

/// Open the input, and go to the folder.
///
/// # Errors
/// When one is not there.
pub(super) fn enter(around: &WorkloadEnvironment) -> Result<Option<File>, SurroundingsError> {
    let folder = around.folder.as_deref().unwrap_or(Path::new("."));
    let input = around.stdin.as_ref().map(|stdin| match stdin {
        Input::Text(text) => memory_file(text),
        Input::File(name) => File::open(folder.join(name)),
    });
    let input = input.transpose().map_err(SurroundingsError::Input)?;
    let start = around.cwd.as_ref().map(|cwd| folder.join(cwd));
    if let Some(start) = start.or_else(|| around.folder.clone()) {
        std::env::set_current_dir(&start).map_err(|error| SurroundingsError::Folder {
            folder: start,
            error,
        })?;
    }
    Ok(input)
}

/// A file without a name that holds a text.
fn memory_file(text: &str) -> io::Result<File> {
    let mut file = File::from(memfd_create(c"stdin", MFdFlags::MFD_CLOEXEC)?);
    file.write_all(text.as_bytes())?;
    file.rewind()?;
    Ok(file)
}

/// Make this file, or nothing, descriptor 0, which is not used for anything else from then on.
pub(super) fn set_stdin(input: Option<File>) -> io::Result<()> {
    let file = match input {
        Some(file) => file,
        None => File::open("/dev/null")?,
    };
    // SAFETY: no Rust value owns descriptor 0, and the caller gives it up.
    match unsafe { libc::dup2(file.as_raw_fd(), 0) } {
        0.. => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

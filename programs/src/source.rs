//! The reading of a program's files: whole, for a guest that is given them, or as digests, for a comparison.

use std::io::Result;
use std::path::Path;
use std::process::Command;

use sha2::{Digest, Sha256};

use crate::{ProgramError, listed_by_ldd};

/// The most of a script's first line that is looked at, in bytes; the kernel looks at 256 of them (`BINPRM_BUF_SIZE`,
/// <https://elixir.bootlin.com/linux/v6.12/source/include/uapi/linux/binfmts.h#L18>).
const MAX_SCRIPT_LINE: usize = 4096;

/// The content of a file, or what is known of it.
pub trait Content {
    /// Its size in bytes.
    fn size(&self) -> u64;
    /// Its SHA-256, hex.
    fn sha256(&self) -> String;
    /// The first line of a script behind its `#!`; `None` if it is no script.
    fn script_line(&self) -> Option<String>;
}

impl Content for Vec<u8> {
    fn size(&self) -> u64 {
        self.len() as u64
    }

    fn sha256(&self) -> String {
        hex::encode(Sha256::digest(self))
    }

    fn script_line(&self) -> Option<String> {
        script_line(self)
    }
}

/// The first line behind `#!`, if `content` begins with that.
pub(crate) fn script_line(content: &[u8]) -> Option<String> {
    let rest = content.strip_prefix(b"#!")?;
    let line = rest.split(|byte| *byte == b'\n').next()?;
    let line = &line[..line.len().min(MAX_SCRIPT_LINE)];
    Some(String::from_utf8_lossy(line).into_owned())
}

/// A way to read files, and to find the libraries of programs.
pub trait Source {
    /// A file, as this source reads it.
    type Content: Content;

    /// Read a file.
    ///
    /// # Errors
    /// If it cannot be read.
    fn read(&self, path: &Path) -> Result<Self::Content>;

    /// Paths that the loader would load for a program; none for a static one.
    ///
    /// # Errors
    /// When `ldd` cannot be started, or a library is missing.
    fn libraries(&self, program: &Path) -> std::result::Result<Vec<String>, ProgramError>;
}

/// The source of whole files.
#[derive(Clone, Copy, Debug)]
pub struct WholeFiles;

impl Source for WholeFiles {
    type Content = Vec<u8>;

    fn read(&self, path: &Path) -> Result<Vec<u8>> {
        std::fs::read(path)
    }

    fn libraries(&self, program: &Path) -> std::result::Result<Vec<String>, ProgramError> {
        ask_ldd(program)
    }
}

/// Run `ldd`.
///
/// # Errors
/// When it cannot be started, or a library is missing.
pub(crate) fn ask_ldd(program: &Path) -> std::result::Result<Vec<String>, ProgramError> {
    let output = Command::new("ldd")
        .arg(program)
        .env("LC_ALL", "C")
        .output()
        .map_err(|error| ProgramError::Ldd(error.to_string()))?;
    listed_by_ldd(&String::from_utf8_lossy(&output.stdout))
}

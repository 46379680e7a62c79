//! The reading of a program's files: whole, for a guest that is given them, or as digests, for a comparison.

use std::io::Result;
use std::path::Path;
use std::process::Command;

use sha2::{Digest, Sha256};

use crate::error::ProgramError;

/// The most of a script's first line that is looked at, in bytes; the kernel looks at 256 of them (`BINPRM_BUF_SIZE`,
/// <https://elixir.bootlin.com/linux/v6.12/source/include/uapi/linux/binfmts.h#L18>).
const MAX_SCRIPT_LINE: usize = 4096;

/// The content of a file, or its digest.
pub trait FileContent {
    /// Its size in bytes.
    fn size(&self) -> u64;
    /// Its SHA-256, hex.
    fn sha256(&self) -> String;
    /// The first line of a script after its `#!`; `None` if it is not a script.
    fn script_line(&self) -> Option<String>;
}

impl FileContent for Vec<u8> {
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

/// The first line after `#!`, if `content` begins with that.
pub(crate) fn script_line(content: &[u8]) -> Option<String> {
    let rest = content.strip_prefix(b"#!")?;
    let line = rest.split(|byte| *byte == b'\n').next()?;
    let line = &line[..line.len().min(MAX_SCRIPT_LINE)];
    Some(String::from_utf8_lossy(line).into_owned())
}

/// A way to read files, and to find the libraries of programs.
pub trait FileSource {
    /// A file, as this source reads it.
    type Content: FileContent;

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

impl FileSource for WholeFiles {
    type Content = Vec<u8>;

    fn read(&self, path: &Path) -> Result<Vec<u8>> {
        std::fs::read(path)
    }

    fn libraries(&self, program: &Path) -> std::result::Result<Vec<String>, ProgramError> {
        run_ldd(program)
    }
}

/// Run `ldd`.
///
/// # Errors
/// When it cannot be started, or a library is missing.
pub(crate) fn run_ldd(program: &Path) -> std::result::Result<Vec<String>, ProgramError> {
    let output = Command::new("ldd")
        .arg(program)
        .env("LC_ALL", "C")
        .output()
        .map_err(|error| ProgramError::Ldd(error.to_string()))?;
    parse_ldd_output(&String::from_utf8_lossy(&output.stdout))
}

/// The files that `ldd` names:
///
/// ```text
///         linux-vdso.so.1 (0x00007ffd)
///         libc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x00007f0a)
///         /lib64/ld-linux-x86-64.so.2 (0x00007f0b)
/// ```
fn parse_ldd_output(text: &str) -> std::result::Result<Vec<String>, ProgramError> {
    let mut paths = Vec::new();
    for line in text.lines().map(str::trim) {
        if let Some((name, _)) = line.split_once(" => not found") {
            return Err(ProgramError::NoLibrary(name.to_owned()));
        }
        let words = line.split_whitespace();
        paths.extend(
            words
                .filter(|word| word.starts_with('/'))
                .map(str::to_owned),
        );
    }
    Ok(paths)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Check that libraries are read from what ldd prints, and that one that is missing is named.
    #[test]
    fn ldd() {
        let text = "\tlinux-vdso.so.1 (0x00007ffd)\n\tlibc.so.6 => /lib/x/libc.so.6 (0x00007f0a)\n\t/lib64/ld.so.2 (0x1)\n";
        assert_eq!(
            parse_ldd_output(text).unwrap(),
            ["/lib/x/libc.so.6", "/lib64/ld.so.2"]
        );
        assert_eq!(
            parse_ldd_output("\tnot a dynamic executable\n").unwrap(),
            [""; 0]
        );
        let missing = parse_ldd_output("\tlibx.so.1 => not found\n").unwrap_err();
        assert!(missing.to_string().contains("libx.so.1"), "{missing}");
    }
}

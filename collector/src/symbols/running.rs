//! The running kernel's own tables: the thin layer that opens them.

use std::fs;
use std::io::{self, Read};
use std::path::Path;

use thiserror::Error;

use super::build_id::{BuildId, NoteError};
use super::kallsyms::{Kallsyms, KallsymsError};

/// An unreadable table of the running kernel.
#[derive(Debug, Error)]
pub enum RunningError {
    /// The file could not be read.
    #[error("failed to read {path}: {source}")]
    Read {
        /// The file.
        path: &'static str,
        /// The system's error.
        source: io::Error,
    },
    /// Its content could not be used.
    #[error("{0}")]
    Kallsyms(#[from] KallsymsError),
    /// Its notes could not be used.
    #[error("failed to read the build id from /sys/kernel/notes: {0}")]
    Notes(#[from] NoteError),
}

const KALLSYMS: &str = "/proc/kallsyms";
const NOTES: &str = "/sys/kernel/notes";

/// Read and parse `/proc/kallsyms`, once and whole.
pub fn read_kallsyms() -> Result<Kallsyms, RunningError> {
    let kptr_restrict = fs::read_to_string("/proc/sys/kernel/kptr_restrict").ok();
    Ok(Kallsyms::parse(
        read_kallsyms_text()?,
        kptr_restrict.as_deref(),
    )?)
}

/// The live address of `name`, read no further than its line.
pub fn first_address(name: &str) -> Result<u64, RunningError> {
    let read_error = |source| RunningError::Read {
        path: KALLSYMS,
        source,
    };
    let file = fs::File::open(KALLSYMS).map_err(read_error)?;
    for line in io::BufRead::lines(io::BufReader::new(file)) {
        let line = line.map_err(read_error)?;
        let mut words = line.split_ascii_whitespace();
        if let (Some(address), Some(_), Some(found)) = (words.next(), words.next(), words.next())
            && found == name
        {
            let invalid = |e| read_error(io::Error::new(io::ErrorKind::InvalidData, e));
            return match u64::from_str_radix(address, 16).map_err(invalid)? {
                0 => Err(read_error(io::Error::other(
                    "its addresses are hidden from this process",
                ))),
                address => Ok(address),
            };
        }
    }
    Err(read_error(io::Error::new(
        io::ErrorKind::NotFound,
        format!("it has no `{name}`"),
    )))
}

/// The text of `/proc/kallsyms`.
///
/// The kernel formats it anew for each reader, a page per read: 140 to 240 ms in an emulated guest, so keep the result.
pub fn read_kallsyms_text() -> Result<String, RunningError> {
    let read_error = |source| RunningError::Read {
        path: KALLSYMS,
        source,
    };
    // The file's size reads as 0; 8 MiB holds a 6.12 kernel's table without growing.
    let mut text = Vec::with_capacity(8 << 20);
    fs::File::open(KALLSYMS)
        .and_then(|mut file| file.read_to_end(&mut text))
        .map_err(read_error)?;
    String::from_utf8(text).map_err(|error| {
        read_error(io::Error::new(
            io::ErrorKind::InvalidData,
            error.utf8_error(),
        ))
    })
}

/// The running kernel's build id.
pub fn read_build_id() -> Result<BuildId, RunningError> {
    let notes = fs::read(Path::new(NOTES)).map_err(|source| RunningError::Read {
        path: NOTES,
        source,
    })?;
    Ok(BuildId::from_notes(&notes)?)
}

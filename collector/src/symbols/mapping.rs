//! Memory-mapped files; no other module maps a file.

use std::fs::File;
use std::io;
use std::ops::Deref;
use std::path::Path;

/// A file mapped for reading. Only the pages that are accessed are read: a 590 MB vmlinux costs a few MB.
#[derive(Debug)]
pub struct Mapping(memmap2::Mmap);

impl Mapping {
    /// Map the whole file. Fails where the file cannot be opened or is not a regular file (sysfs, proc, a device).
    pub fn open(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        if !file.metadata()?.is_file() {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "not a regular file",
            ));
        }
        // SAFETY: the mapping is private and read-only. Debug info and kernel images are installed by renaming whole
        // files and not written in place, so the bytes stay as they are while they are mapped.
        Ok(Self(unsafe { memmap2::Mmap::map(&file)? }))
    }
}

impl Deref for Mapping {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

//! Kernel memory from `/proc/kcore`: an ELF core whose segments are the kernel's address space.
//!
//! Own code: the program headers of an ELF file as large as the address space, and reads at offsets. `object` reads a file that is not in
//! memory through a cache that keeps all that was read.

use std::io::{self, Read, Seek, SeekFrom};

use thiserror::Error;

/// The most segments that are read; a machine with much scattered memory has a few dozen.
const MAX_SEGMENTS: u64 = 4096;
const SEGMENT: usize = 56;
const PT_LOAD: u64 = 1;

/// Memory could not be read from the core.
#[derive(Debug, Error)]
pub enum KcoreError {
    /// The file could not be read.
    #[error("failed to read /proc/kcore: {0}; {help}", help = remedy(.0))]
    Read(#[from] io::Error),
    /// Not the file that was expected.
    #[error("/proc/kcore is not a 64-bit core of the expected form")]
    NotACore,
    /// No segment holds the address.
    #[error("/proc/kcore does not hold the address")]
    NotThere,
}

/// The way to a `/proc/kcore` that can be read.
pub fn remedy(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::NotFound => "this kernel is built without CONFIG_PROC_KCORE",
        _ => "it needs root with CAP_SYS_RAWIO, and lockdown may refuse it to anyone",
    }
}

/// Read `size` bytes at `address`.
pub fn read_memory(
    core: &mut (impl Read + Seek),
    address: u64,
    size: usize,
) -> Result<Vec<u8>, KcoreError> {
    let mut header = [0; 64];
    core.seek(SeekFrom::Start(0))?;
    core.read_exact(&mut header)?;
    let (table, each, count) = (
        read_number(&header, 32, 8),
        read_number(&header, 54, 2),
        read_number(&header, 56, 2),
    );
    if !header.starts_with(b"\x7fELF\x02\x01") || each != SEGMENT as u64 || count > MAX_SEGMENTS {
        return Err(KcoreError::NotACore);
    }
    let mut segments = vec![0; count as usize * SEGMENT];
    core.seek(SeekFrom::Start(table))?;
    core.read_exact(&mut segments)?;
    let last = address
        .checked_add(size as u64)
        .ok_or(KcoreError::NotThere)?;
    let at = segments
        .chunks_exact(SEGMENT)
        .filter(|segment| read_number(segment, 0, 4) == PT_LOAD)
        .find_map(|segment| {
            let (offset, start, length) = (
                read_number(segment, 8, 8),
                read_number(segment, 16, 8),
                read_number(segment, 32, 8),
            );
            let end = start.checked_add(length)?;
            (start <= address && last <= end).then(|| offset.checked_add(address - start))?
        })
        .ok_or(KcoreError::NotThere)?;
    core.seek(SeekFrom::Start(at))?;
    let mut bytes = vec![0; size];
    core.read_exact(&mut bytes)?;
    Ok(bytes)
}

/// A little-endian number of `size` bytes.
fn read_number(bytes: &[u8], at: usize, size: usize) -> u64 {
    let part = bytes.get(at..at + size).unwrap_or_default();
    part.iter()
        .rev()
        .fold(0, |value, &byte| value << 8 | u64::from(byte))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::io::Cursor;

    /// A core with one segment: four bytes at 0xffff_ffff_8100_0000.
    fn core() -> Vec<u8> {
        let mut core = b"\x7fELF\x02\x01\x01".to_vec();
        core.resize(32, 0);
        core.extend(64_u64.to_le_bytes());
        core.resize(54, 0);
        core.extend([56, 0, 1, 0]);
        core.resize(64, 0);
        for word in [1_u64, 120, 0xffff_ffff_8100_0000, 0, 4, 4, 0] {
            core.extend(word.to_le_bytes());
        }
        core.extend([0xde, 0xad, 0xbe, 0xef]);
        core
    }

    /// Check that memory inside a segment is read, and that what is not wholly inside one is not.
    #[test]
    fn reads_inside_segments_only() {
        let read = |at, size| read_memory(&mut Cursor::new(core()), at, size);
        assert_eq!(read(0xffff_ffff_8100_0001, 2).unwrap(), [0xad, 0xbe]);
        for (at, size) in [
            (0xffff_ffff_8100_0002, 4),
            (0xffff_ffff_80ff_ffff, 2),
            (u64::MAX, 2),
        ] {
            assert!(matches!(read(at, size), Err(KcoreError::NotThere)));
        }
        assert!(matches!(
            super::read_memory(&mut Cursor::new(vec![0; 200]), 0, 1),
            Err(KcoreError::NotACore)
        ));
    }

    proptest! {
        /// Check that no damaged core makes the reader panic.
        #[test]
        fn never_panics(at in 0_usize..120, byte in any::<u8>(), address in any::<u64>()) {
            let mut damaged = core();
            damaged[at] = byte;
            let _ = read_memory(&mut Cursor::new(damaged), address, 4);
        }
    }
}

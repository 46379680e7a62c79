//! VMCOREINFO, the note that the kernel keeps in memory for crash dumps; it states the kernel's offset and its build id.
//!
//! Own code: lines of `KEY=value` behind the header of an ELF note, of which two are needed.

use std::io::{self, Read, Seek, SeekFrom};
use std::ops::Range;

use thiserror::Error;

use crate::symbols::build_id::{BuildId, NoteError, Notes};

/// Unreadable VMCOREINFO.
#[derive(Debug, Error)]
pub enum VmcoreinfoError {
    /// The file could not be read.
    #[error("failed to read the notes of /proc/kcore: {0}")]
    Read(#[from] io::Error),
    /// Not a 64-bit little-endian ELF core, or without a note segment of plausible size.
    #[error("failed to read the notes of /proc/kcore: {0}")]
    NotACore(&'static str),
    /// The notes are damaged.
    #[error(transparent)]
    Notes(#[from] NoteError),
    /// No note is VMCOREINFO.
    #[error(
        "the notes hold no VMCOREINFO (a kernel without CONFIG_VMCORE_INFO / CONFIG_CRASH_CORE?)"
    )]
    Missing,
    /// A line of it is damaged.
    #[error("failed to parse VMCOREINFO: {0:?}")]
    Malformed(String),
}

/// The contents of VMCOREINFO, as far as they matter here. Kernel documentation of its fields:
/// <https://elixir.bootlin.com/linux/v6.1/source/Documentation/admin-guide/kdump/vmcoreinfo.rst>.
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
pub struct Vmcoreinfo {
    /// `OSRELEASE`.
    pub release: Option<String>,
    /// `BUILD-ID`, since Linux 5.9.
    pub build_id: Option<BuildId>,
    /// `KERNELOFFSET`: how far the image was moved, in bytes.
    pub kernel_offset: Option<u64>,
    /// `SYMBOL(name)`: live addresses.
    pub symbols: Vec<(String, u64)>,
}

impl Vmcoreinfo {
    /// Parse its text, lines of `KEY=VALUE`.
    pub fn parse(text: &str) -> Result<Self, VmcoreinfoError> {
        let mut info = Self::default();
        for line in text.lines() {
            let bad = || VmcoreinfoError::Malformed(line.chars().take(120).collect());
            let Some((key, value)) = line.split_once('=') else {
                continue;
            };
            let hex = || match value.bytes().all(|byte| byte.is_ascii_hexdigit()) {
                true => u64::from_str_radix(value, 16).map_err(|_| bad()),
                false => Err(bad()),
            };
            match key {
                "OSRELEASE" => info.release = Some(value.to_owned()),
                "BUILD-ID" => info.build_id = Some(value.parse().map_err(|_| bad())?),
                "KERNELOFFSET" => info.kernel_offset = Some(hex()?),
                _ => {
                    if let Some(name) = key
                        .strip_prefix("SYMBOL(")
                        .and_then(|k| k.strip_suffix(')'))
                    {
                        info.symbols.push((name.to_owned(), hex()?));
                    }
                }
            }
        }
        Ok(info)
    }

    /// Find and parse it among the notes of a core.
    pub fn from_notes(notes: &[u8]) -> Result<Self, VmcoreinfoError> {
        for note in Notes::new(notes) {
            let note = note?;
            if note.name == b"VMCOREINFO" {
                let text = std::str::from_utf8(note.desc)
                    .map_err(|_| VmcoreinfoError::Malformed("not text".to_owned()))?;
                return Self::parse(text.trim_end_matches('\0'));
            }
        }
        Err(VmcoreinfoError::Missing)
    }

    /// Read the note segment of a core such as `/proc/kcore` (needs CAP_SYS_RAWIO): about 12 KiB.
    pub fn read_core(mut core: impl Read + Seek) -> Result<Self, VmcoreinfoError> {
        let mut header = [0; 64];
        core.read_exact(&mut header)?;
        let table = parse_program_headers(&header)?;
        core.seek(SeekFrom::Start(table.start))?;
        let mut segments = vec![0; (table.end - table.start) as usize];
        core.read_exact(&mut segments)?;
        let range = find_note_segment(&segments).ok_or(VmcoreinfoError::NotACore(
            "no note segment of at most 1 MiB",
        ))?;
        core.seek(SeekFrom::Start(range.start))?;
        let mut notes = vec![0; (range.end - range.start) as usize];
        core.read_exact(&mut notes)?;
        Self::from_notes(&notes)
    }
}

const PROGRAM_HEADER: u64 = 56;
const PT_NOTE: u64 = 4;
const MAX_NOTES: u64 = 1 << 20;

fn read_number(data: &[u8], at: usize, len: usize) -> u64 {
    data.get(at..at + len).map_or(0, |bytes| {
        bytes
            .iter()
            .rev()
            .fold(0, |value, &byte| value << 8 | u64::from(byte))
    })
}

fn parse_program_headers(header: &[u8; 64]) -> Result<Range<u64>, VmcoreinfoError> {
    if !header.starts_with(b"\x7fELF\x02\x01") {
        return Err(VmcoreinfoError::NotACore(
            "not a 64-bit little-endian ELF file",
        ));
    }
    let (offset, size, count) = (
        read_number(header, 32, 8),
        read_number(header, 54, 2),
        read_number(header, 56, 2),
    );
    let end = offset.checked_add(PROGRAM_HEADER * count);
    match end {
        Some(end) if size == PROGRAM_HEADER && count > 0 => Ok(offset..end),
        _ => Err(VmcoreinfoError::NotACore(
            "no program headers of the expected size",
        )),
    }
}

fn find_note_segment(segments: &[u8]) -> Option<Range<u64>> {
    let note = segments
        .chunks_exact(PROGRAM_HEADER as usize)
        .find(|segment| read_number(segment, 0, 4) == PT_NOTE)?;
    let (offset, size) = (read_number(note, 8, 8), read_number(note, 32, 8));
    (size <= MAX_NOTES).then(|| Some(offset..offset.checked_add(size)?))?
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::io::Cursor;

    const SAMPLE: &str = "OSRELEASE=6.1.0-56-cloud-amd64\nBUILD-ID=3b43fad5034874490492495d552c0af6a5fab235\nPAGESIZE=4096\n\
        SYMBOL(_stext)=ffffffff9c200000\nNUMBER(phys_base)=-419430400\nKERNELOFFSET=1b200000\nCONFIG_X\n";

    fn core(text: &str) -> Vec<u8> {
        let mut core = b"\x7fELF\x02\x01\x01".to_vec();
        core.resize(32, 0);
        core.extend(64_u64.to_le_bytes());
        core.resize(54, 0);
        core.extend([56, 0, 1, 0]);
        core.resize(64, 0);
        core.extend(4_u64.to_le_bytes());
        core.extend(120_u64.to_le_bytes());
        core.extend([0; 16]);
        let mut note = Vec::new();
        for word in [11, text.len() as u32, 0] {
            note.extend(word.to_le_bytes());
        }
        note.extend(b"VMCOREINFO\0\0");
        note.extend(text.as_bytes());
        note.resize(note.len().next_multiple_of(4), 0);
        core.extend((note.len() as u64).to_le_bytes());
        core.resize(120, 0);
        core.extend(note);
        core
    }

    /// Check that offset, build id, release and live symbols are read from a core's notes.
    #[test]
    fn read() {
        let info = Vmcoreinfo::read_core(Cursor::new(core(SAMPLE))).unwrap();
        assert_eq!(info.kernel_offset, Some(0x1b20_0000));
        assert_eq!(
            info.build_id.unwrap().to_string(),
            "3b43fad5034874490492495d552c0af6a5fab235"
        );
        assert_eq!(info.release.as_deref(), Some("6.1.0-56-cloud-amd64"));
        assert_eq!(info.symbols, [("_stext".to_owned(), 0xffff_ffff_9c20_0000)]);
    }

    /// Check that a damaged offset or build id is an error and never a missing one.
    #[test]
    fn damaged() {
        for bad in [
            "KERNELOFFSET=",
            "KERNELOFFSET=0x10",
            "KERNELOFFSET=+1",
            "KERNELOFFSET=11112222333344445",
            "BUILD-ID=xyz",
            "SYMBOL(a)=?",
        ] {
            let result = Vmcoreinfo::parse(bad);
            assert!(
                matches!(&result, Err(VmcoreinfoError::Malformed(line)) if line == bad),
                "{bad}: {result:?}"
            );
        }
        let whole = core(SAMPLE);
        assert!(matches!(
            Vmcoreinfo::read_core(Cursor::new(&whole[..200])),
            Err(VmcoreinfoError::Read(_))
        ));
        assert!(matches!(
            Vmcoreinfo::read_core(Cursor::new(vec![0; 200])),
            Err(VmcoreinfoError::NotACore(_))
        ));
        assert!(matches!(
            Vmcoreinfo::from_notes(&[]),
            Err(VmcoreinfoError::Missing)
        ));
    }

    proptest! {
        /// Check that no text, notes or damaged core makes the reader panic or take memory beyond its bound.
        #[test]
        fn never_panics(text in any::<String>(), noise in proptest::collection::vec(any::<u8>(), 0..300), at in 0_usize..120, byte in any::<u8>()) {
            let mut damaged = core(SAMPLE);
            damaged[at] = byte;
            let _ = (Vmcoreinfo::parse(&text), Vmcoreinfo::from_notes(&noise));
            let _ = (Vmcoreinfo::read_core(Cursor::new(damaged)), Vmcoreinfo::read_core(Cursor::new(noise)));
        }
    }
}

//! Checks of an ELF file before it is used.

use object::Endianness;
use object::elf::{EM_X86_64, ET_DYN, ET_EXEC, FileHeader64, NT_GNU_BUILD_ID, PT_INTERP};
use object::read::ReadRef;
use object::read::elf::{FileHeader, ProgramHeader};

type Header = FileHeader64<Endianness>;

/// An unusable ELF file.
#[derive(Debug, thiserror::Error)]
pub enum ElfError {
    /// Not an ELF file, or a broken one.
    #[error("it is not a valid 64-bit ELF file ({0})")]
    Malformed(#[from] object::read::Error),
    /// For another processor.
    #[error("it is for ELF machine {0}, not x86-64 (62)")]
    Machine(u16),
    /// Not an executable.
    #[error("it is not an executable (ELF type {0})")]
    Type(u16),
    /// Dynamically linked.
    #[error(
        "it is dynamically linked, and a guest holds nothing else: build it with `-C target-feature=+crt-static` (this project's .cargo/config.toml does)"
    )]
    Dynamic,
    /// No build id.
    #[error("it holds no GNU build id")]
    NoBuildId,
}

/// Check that `data` is an x86-64 executable that needs no loader.
///
/// # Errors
/// What it is instead.
pub fn check_static(data: &[u8]) -> Result<(), ElfError> {
    let header = Header::parse(data)?;
    let endian = header.endian()?;
    let machine = header.e_machine(endian);
    if machine != EM_X86_64 {
        return Err(ElfError::Machine(machine.0));
    }
    let kind = header.e_type(endian);
    if kind != ET_EXEC && kind != ET_DYN {
        return Err(ElfError::Type(kind.0));
    }
    if header
        .program_headers(endian, data)?
        .iter()
        .any(|p| p.p_type(endian) == PT_INTERP)
    {
        return Err(ElfError::Dynamic);
    }
    Ok(())
}

/// The part of an executable that the kernel loads: all up to the end of the last segment, without
/// symbols, debug information and section headers, which a linker puts after it.
///
/// # Errors
/// When the file is malformed.
pub fn loaded_part(data: &[u8]) -> Result<Vec<u8>, ElfError> {
    let header = Header::parse(data)?;
    let endian = header.endian()?;
    let segments = header.program_headers(endian, data)?;
    let ends = segments
        .iter()
        .map(|p| p.p_offset(endian).saturating_add(p.p_filesz(endian)));
    let end = usize::try_from(ends.max().unwrap_or(0))
        .unwrap_or(usize::MAX)
        .max(size_of::<Header>());
    let mut part = data.get(..end).unwrap_or(data).to_vec();
    // e_shoff; e_shnum and e_shstrndx (System V ABI, figure 4-3, ELF-64).
    part[40..48].fill(0);
    part[60..64].fill(0);
    Ok(part)
}

/// The GNU build id in an ELF file's note segments, as lower-case hex. A kernel's vmlinux has one.
/// `data` may be a [`object::read::ReadCache`], so that a file of 590 MB is not read whole.
///
/// # Errors
/// When the file is malformed or has none.
pub fn build_id<'data>(data: impl ReadRef<'data>) -> Result<String, ElfError> {
    let header = Header::parse(data)?;
    let endian = header.endian()?;
    for segment in header.program_headers(endian, data)? {
        let Some(mut notes) = segment.notes(endian, data)? else {
            continue;
        };
        while let Some(note) = notes.next()? {
            if note.n_type(endian) == NT_GNU_BUILD_ID
                && note.name() == b"GNU"
                && !note.desc().is_empty()
            {
                return Ok(hex::encode(note.desc()));
            }
        }
    }
    Err(ElfError::NoBuildId)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A header and segments (type, offset, size), padded with `0xee` to `size` bytes.
    fn elf(kind: u16, machine: u16, segments: &[(u32, u64, u64)], size: usize) -> Vec<u8> {
        let mut out = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
        out.extend([kind.to_le_bytes(), machine.to_le_bytes()].concat());
        out.extend(1u32.to_le_bytes());
        for field in [0u64, 64, 0x1234] {
            out.extend(field.to_le_bytes());
        }
        out.extend(0u32.to_le_bytes());
        for field in [64u16, 56, u16::try_from(segments.len()).unwrap(), 64, 9, 8] {
            out.extend(field.to_le_bytes());
        }
        for &(kind, offset, size) in segments {
            out.extend(kind.to_le_bytes());
            out.extend(5u32.to_le_bytes());
            for field in [offset, 0, 0, size, size, 4] {
                out.extend(field.to_le_bytes());
            }
        }
        out.resize(size, 0xee);
        out
    }

    /// Check that each kind of file that cannot be an init is refused for its own reason.
    #[test]
    fn refused() {
        assert!(check_static(&elf(2, 62, &[(1, 0, 64)], 500)).is_ok());
        assert!(check_static(&elf(3, 62, &[(1, 0, 64), (2, 0, 0)], 500)).is_ok());
        assert!(matches!(
            check_static(&elf(3, 62, &[(1, 0, 64), (3, 0, 0)], 500)),
            Err(ElfError::Dynamic)
        ));
        assert!(matches!(
            check_static(&elf(2, 183, &[], 500)),
            Err(ElfError::Machine(183))
        ));
        assert!(matches!(
            check_static(&elf(1, 62, &[], 500)),
            Err(ElfError::Type(1))
        ));
        assert!(matches!(
            check_static(b"#!/bin/sh\n"),
            Err(ElfError::Malformed(_))
        ));
        assert!(matches!(
            check_static(&elf(2, 62, &[(1, 0, 64)], 500)[..70]),
            Err(ElfError::Malformed(_))
        ));
    }

    /// Check that what follows the last segment goes, that what a segment covers stays, and that no
    /// section header is pointed to any more.
    #[test]
    fn loaded() {
        let whole = elf(2, 62, &[(1, 0, 300), (1, 200, 50)], 500);
        let part = loaded_part(&whole).unwrap();
        assert_eq!(part.len(), 300);
        assert_eq!(part[64..], whole[64..300]);
        assert_eq!((&part[40..48], &part[60..64]), (&[0; 8][..], &[0; 4][..]));
        assert!(check_static(&part).is_ok());
        // A size beyond the file is the kernel's to refuse; nothing is invented.
        assert_eq!(
            loaded_part(&elf(2, 62, &[(1, 0, u64::MAX)], 500))
                .unwrap()
                .len(),
            500
        );
    }

    /// Check that the build id is found among other notes, and that its absence is said.
    #[test]
    fn notes() {
        let note = |name: &[u8; 4], kind: u32, desc: &[u8; 4]| {
            [
                &4u32.to_le_bytes()[..],
                &4u32.to_le_bytes(),
                &kind.to_le_bytes(),
                name,
                desc,
            ]
            .concat()
        };
        let mut file = elf(2, 62, &[(4, 200, 40)], 240);
        file[200..220].copy_from_slice(&note(b"Xen\0", 3, &[9; 4]));
        file[220..].copy_from_slice(&note(b"GNU\0", 3, &[0xde, 0xad, 0, 1]));
        assert_eq!(build_id(&file[..]).unwrap(), "dead0001");
        file[232] = b'g';
        assert!(matches!(build_id(&file[..]), Err(ElfError::NoBuildId)));
    }
}

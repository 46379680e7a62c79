//! Checks of an executable before it becomes a guest's first process.

use object::Endianness;
use object::elf::{ET_DYN, ET_EXEC, FileHeader64, PT_INTERP};
use object::read::elf::{FileHeader, ProgramHeader};

use crate::arch::Arch;

type Header = FileHeader64<Endianness>;

/// A file that cannot be a guest's first process.
#[derive(Debug, thiserror::Error)]
pub enum ExecutableError {
    /// Not an ELF file, or a broken one.
    #[error("it is not a valid 64-bit ELF file ({0})")]
    Malformed(#[from] object::read::Error),
    /// For another processor.
    #[error("it is {}, and the guest is {wanted}", describe_machine(*.found))]
    Machine {
        /// `e_machine` of the file.
        found: u16,
        /// The guest's architecture.
        wanted: Arch,
    },
    /// Not an executable.
    #[error("it is not an executable (ELF type {0})")]
    Type(u16),
    /// Dynamically linked, and its loader is not among the guest's files.
    #[error(
        "it is dynamically linked, and the guest does not hold its loader {0}: give it the libraries, too, or build it with `-C target-feature=+crt-static` (this project's .cargo/config.toml does)"
    )]
    NoLoader(String),
}

fn describe_machine(machine: u16) -> String {
    match Arch::of_elf_machine(machine) {
        Some(arch) => format!("for {arch}"),
        None => format!("for ELF machine {machine}"),
    }
}

/// Check that `data` is an executable for the guest's architecture that needs no loader, or one that the guest `holds`.
///
/// # Errors
/// When it is something else, which the error says.
pub fn check_init(
    data: &[u8],
    wanted: Arch,
    holds: impl Fn(&str) -> bool,
) -> Result<(), ExecutableError> {
    let header = Header::parse(data)?;
    let endian = header.endian()?;
    let machine = header.e_machine(endian);
    if machine.0 != wanted.elf_machine() {
        let found = machine.0;
        return Err(ExecutableError::Machine { found, wanted });
    }
    let kind = header.e_type(endian);
    if kind != ET_EXEC && kind != ET_DYN {
        return Err(ExecutableError::Type(kind.0));
    }
    for segment in header.program_headers(endian, data)? {
        if segment.p_type(endian) != PT_INTERP {
            continue;
        }
        let loader = segment.interpreter(endian, data)?.unwrap_or_default();
        let loader = String::from_utf8_lossy(loader).into_owned();
        if !holds(&loader) {
            return Err(ExecutableError::NoLoader(loader));
        }
    }
    Ok(())
}

/// The part of an executable that the kernel loads: all up to the end of the last segment, without
/// symbols, debug information and section headers, which a linker puts after it.
///
/// # Errors
/// When the file is malformed.
pub fn loaded_part(data: &[u8]) -> Result<Vec<u8>, ExecutableError> {
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

    /// The check of a guest's init that comes alone.
    fn check(data: &[u8]) -> Result<(), ExecutableError> {
        check_init(data, Arch::X86_64, |_| false)
    }

    /// Check that each kind of file that cannot be an init is refused for its own reason.
    #[test]
    fn refused() {
        assert!(check(&elf(2, 62, &[(1, 0, 64)], 500)).is_ok());
        assert!(check(&elf(3, 62, &[(1, 0, 64), (2, 0, 0)], 500)).is_ok());
        let mut dynamic = elf(3, 62, &[(1, 0, 64), (3, 300, 8)], 500);
        dynamic[300..308].copy_from_slice(b"/lib/ld\0");
        let refused = check(&dynamic).unwrap_err().to_string();
        assert!(
            refused.contains("does not hold its loader /lib/ld:"),
            "{refused}"
        );
        assert!(check_init(&dynamic, Arch::X86_64, |loader| loader == "/lib/ld").is_ok());
        assert!(check_init(&dynamic, Arch::X86_64, |loader| loader == "/lib/l").is_err());
        // A loader without a name.
        assert!(matches!(
            check_init(
                &elf(3, 62, &[(1, 0, 64), (3, 0, 0)], 500),
                Arch::X86_64,
                |_| true
            ),
            Err(ExecutableError::Malformed(_))
        ));
        assert!(matches!(
            check(&elf(2, 183, &[], 500)),
            Err(ExecutableError::Machine {
                found: 183,
                wanted: Arch::X86_64
            })
        ));
        assert!(matches!(
            check(&elf(1, 62, &[], 500)),
            Err(ExecutableError::Type(1))
        ));
        assert!(matches!(
            check(b"#!/bin/sh\n"),
            Err(ExecutableError::Malformed(_))
        ));
        assert!(matches!(
            check(&elf(2, 62, &[(1, 0, 64)], 500)[..70]),
            Err(ExecutableError::Malformed(_))
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
        assert!(check(&part).is_ok());
        // A size beyond the file is the kernel's to refuse; nothing is invented.
        assert_eq!(
            loaded_part(&elf(2, 62, &[(1, 0, u64::MAX)], 500))
                .unwrap()
                .len(),
            500
        );
    }
}

//! What must be known of an ELF file before it is used.

use object::Endianness;
use object::elf::{EM_X86_64, ET_DYN, ET_EXEC, FileHeader64, NT_GNU_BUILD_ID, PT_INTERP};
use object::read::ReadRef;
use object::read::elf::{FileHeader, ProgramHeader};

type Header = FileHeader64<Endianness>;

/// Why an ELF file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ElfError {
    /// Not an ELF file, or a broken one.
    #[error("it is no valid 64-bit ELF file ({0})")]
    Malformed(#[from] object::read::Error),
    /// For another processor.
    #[error("it is for ELF machine {0}, not x86-64 (62)")]
    Machine(u16),
    /// Not an executable.
    #[error("it is no executable (ELF type {0})")]
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

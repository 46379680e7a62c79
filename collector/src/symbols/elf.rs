//! Build id and symbols of a vmlinux, at their static addresses.

use object::elf::{FileHeader64, PT_LOAD, PT_NOTE, SHT_NOTE};
use object::read::ReadRef;
use object::read::elf::{FileHeader, ProgramHeader, SectionHeader, Sym};
use object::{Endianness, SymbolIndex};
use thiserror::Error;

use super::build_id::{BuildId, NoteError};
use super::name_lookup::RowsByName;
use crate::arch::Arch;

type Header = FileHeader64<Endianness>;

/// An unusable ELF file.
#[derive(Debug, Error)]
pub enum ElfError {
    /// Not a 64-bit ELF file, or a broken one.
    #[error("failed to parse the {part} of an ELF file: {reason}")]
    Malformed {
        /// The part that was being read.
        part: &'static str,
        /// The error of the reader.
        reason: object::read::Error,
    },
    /// Its notes hold no build id.
    #[error(transparent)]
    Notes(#[from] NoteError),
    /// A stripped file: it has no symbol table.
    #[error(
        "the ELF file has no symbol table (stripped); use the vmlinux of the kernel's debug package"
    )]
    Stripped,
}

fn malformed_error(part: &'static str) -> impl Fn(object::read::Error) -> ElfError {
    move |reason| ElfError::Malformed { part, reason }
}

/// The build id of an ELF file, from its note sections or, where it has none (as in a kernel image), its note segments.
///
/// `data` may be an [`object::read::ReadCache`], so that a file of hundreds of megabytes is not read whole.
pub fn build_id<'data>(data: impl ReadRef<'data>) -> Result<BuildId, ElfError> {
    let header = Header::parse(data).map_err(malformed_error("header"))?;
    let endian = header.endian().map_err(malformed_error("header"))?;
    let mut found = Err(NoteError::Missing);
    for section in header
        .section_headers(endian, data)
        .map_err(malformed_error("section headers"))?
    {
        if section.sh_type(endian) == SHT_NOTE {
            found = BuildId::from_notes(
                section
                    .data(endian, data)
                    .map_err(malformed_error("note section"))?,
            );
            if !matches!(found, Err(NoteError::Missing)) {
                return Ok(found?);
            }
        }
    }
    for segment in header
        .program_headers(endian, data)
        .map_err(malformed_error("program headers"))?
    {
        if segment.p_type(endian) == PT_NOTE {
            let notes = segment
                .data(endian, data)
                .map_err(|()| ElfError::Notes(NoteError::Missing))?;
            found = BuildId::from_notes(notes);
            if !matches!(found, Err(NoteError::Missing)) {
                break;
            }
        }
    }
    Ok(found?)
}

/// The lowest virtual address that the file asks to be loaded at, in the upper half of the address space: `_text` of
/// an x86-64 kernel. (Its per-CPU segment asks for address 0.)
pub fn image_base(data: &[u8]) -> Result<Option<u64>, ElfError> {
    let header = Header::parse(data).map_err(malformed_error("header"))?;
    let endian = header.endian().map_err(malformed_error("header"))?;
    let segments = header
        .program_headers(endian, data)
        .map_err(malformed_error("program headers"))?;
    let loads = segments
        .iter()
        .filter(|s| s.p_type(endian) == PT_LOAD)
        .map(|s| s.p_vaddr(endian));
    Ok(loads.filter(|address| address >> 63 == 1).min())
}

/// The architecture that the file is for; `None`: an unknown one, or it is no ELF file.
pub fn arch(data: &[u8]) -> Option<Arch> {
    let header = Header::parse(data).ok()?;
    Arch::of_elf_machine(header.e_machine(header.endian().ok()?).0)
}

/// The content of a section; `None` where the file has none of that name.
pub fn section<'data>(data: &'data [u8], name: &str) -> Result<Option<&'data [u8]>, ElfError> {
    let header = Header::parse(data).map_err(malformed_error("header"))?;
    let endian = header.endian().map_err(malformed_error("header"))?;
    let sections = header
        .sections(endian, data)
        .map_err(malformed_error("section headers"))?;
    let found = sections.section_by_name(endian, name.as_bytes());
    found
        .map(|(_, section)| section.data(endian, data))
        .transpose()
        .map_err(malformed_error("section"))
}

/// The bytes of the file that are loaded at `address`: at most `size`, fewer where the segment ends.
pub fn loaded_bytes(data: &[u8], address: u64, size: usize) -> Option<&[u8]> {
    let header = Header::parse(data).ok()?;
    let endian = header.endian().ok()?;
    let segments = header.program_headers(endian, data).ok()?;
    segments
        .iter()
        .filter(|segment| segment.p_type(endian) == PT_LOAD)
        .find_map(|segment| {
            let into = address.checked_sub(segment.p_vaddr(endian))?;
            let held = segment.p_filesz(endian).checked_sub(into)?;
            let start = usize::try_from(segment.p_offset(endian).checked_add(into)?).ok()?;
            let size = size.min(usize::try_from(held).ok()?);
            data.get(start..start.checked_add(size)?)
                .filter(|bytes| !bytes.is_empty())
        })
}

/// One symbol of an ELF file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StaticSymbol<'a> {
    /// Name.
    pub name: &'a str,
    /// Static address.
    pub address: u64,
    /// Size in bytes; 0 for symbols from assembler or the linker script that state none.
    pub size: u64,
    /// True if the symbol is a function.
    pub is_function: bool,
    /// True if its address is absolute (`SHN_ABS`) and so does not move with the image.
    pub is_absolute: bool,
}

/// The symbols of a vmlinux, by static address.
#[derive(Debug)]
pub struct StaticSymbols<'a> {
    symbols: Vec<StaticSymbol<'a>>,
}

impl<'a> StaticSymbols<'a> {
    /// Read `.symtab`: defined, named functions, objects and untyped symbols.
    pub fn parse(data: &'a [u8]) -> Result<Self, ElfError> {
        let header = Header::parse(data).map_err(malformed_error("header"))?;
        let endian = header.endian().map_err(malformed_error("header"))?;
        let sections = header
            .sections(endian, data)
            .map_err(malformed_error("section headers"))?;
        let table = sections
            .symbols(endian, data, object::elf::SHT_SYMTAB)
            .map_err(malformed_error("symbol table"))?;
        if table.is_empty() {
            return Err(ElfError::Stripped);
        }
        let strings = table.strings();
        let mut symbols = Vec::with_capacity(table.len());
        for index in 1..table.len() {
            let symbol = table
                .symbol(SymbolIndex(index))
                .map_err(malformed_error("symbol table"))?;
            let kind = symbol.st_type();
            let wanted = matches!(
                kind,
                object::elf::STT_FUNC | object::elf::STT_OBJECT | object::elf::STT_NOTYPE
            );
            if !wanted || symbol.is_undefined(endian) {
                continue;
            }
            let name = symbol
                .name(endian, strings)
                .map_err(malformed_error("symbol names"))?;
            // A name that is not UTF-8 cannot be asked for, nor appear in the kernel's own table.
            let Ok(name) = std::str::from_utf8(name) else {
                continue;
            };
            if !name.is_empty() {
                symbols.push(StaticSymbol {
                    name,
                    address: symbol.st_value(endian),
                    size: symbol.st_size(endian),
                    is_function: kind == object::elf::STT_FUNC,
                    is_absolute: symbol.is_absolute(endian),
                });
            }
        }
        symbols.sort_by_key(|symbol| symbol.address);
        Ok(Self { symbols })
    }

    /// All of them, by address.
    pub fn symbols(&self) -> &[StaticSymbol<'a>] {
        &self.symbols
    }

    /// All of those names, by address.
    pub fn find_by_name<'n>(
        &self,
        names: impl IntoIterator<Item = &'n str>,
    ) -> RowsByName<'n, &StaticSymbol<'a>> {
        RowsByName::collect(names, self.symbols.iter().map(|one| (one.name, one)))
    }

    /// The functions whose size says that they hold `address`.
    pub fn functions_at(&self, address: u64) -> impl Iterator<Item = &StaticSymbol<'a>> {
        let upper = self
            .symbols
            .partition_point(|symbol| symbol.address <= address);
        // Look back as far as a nested or overlapping symbol can begin; sizes of functions stay far below this.
        self.symbols[..upper]
            .iter()
            .rev()
            .take(64)
            .filter(move |s| s.is_function && address - s.address < s.size.max(1))
    }
}

#[cfg(test)]
#[path = "elf_tests.rs"]
pub(crate) mod tests;

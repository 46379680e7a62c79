//! Units, definitions and inlined copies, read from the DWARF while parsing as little of it as possible.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap};

use gimli::{
    AttributeValue, DW_AT_abstract_origin, DW_AT_decl_file, DW_AT_decl_line, DW_AT_low_pc,
    DW_AT_name, DW_AT_ranges, DW_AT_specification, DW_TAG_inlined_subroutine, DW_TAG_subprogram,
    DebugInfoOffset, EndianSlice, RunTimeEndian, Section, UnitOffset,
};
use object::{Object, ObjectSection};
use thiserror::Error;

use super::path::normalise;
use super::types::{Definition, Inlining, LineKind};
use crate::symbols::elf::{ElfError, StaticSymbols};

type Reader<'a> = EndianSlice<'a, RunTimeEndian>;
pub(super) type Dwarf<'a> = gimli::Dwarf<Reader<'a>>;
pub(super) type Unit<'a> = gimli::Unit<Reader<'a>>;
pub(super) type Die<'a> = gimli::DebuggingInformationEntry<Reader<'a>>;

/// Unusable debug info.
#[derive(Debug, Error)]
pub(super) enum DwarfError {
    #[error("{0}")]
    Object(#[from] object::read::Error),
    #[error("{0}")]
    Dwarf(#[from] gimli::Error),
    #[error("{0}")]
    Elf(#[from] ElfError),
    #[error("it has no .debug_info (a vmlinux without DWARF)")]
    NoDebugInfo,
}

/// The most occurrences of a name that are searched for, and the most units that are searched.
pub(super) const MAX_NAMES: usize = 64;
const MAX_UNITS: usize = 48;
/// Longest chain of references from an entry to the one that states a line.
pub(super) const MAX_CHAIN: usize = 8;

/// An index of the units, as far as it was needed; the DWARF itself stays in the file.
pub(super) struct Index {
    /// Address ranges of units: start, end, offset of the unit. By start.
    ranges: Vec<(u64, u64, usize)>,
    units: Option<Vec<usize>>,
    comp_dirs: HashMap<usize, Option<String>>,
    functions: Option<HashMap<String, Vec<u64>>>,
}

/// The debug sections, uncompressed where they are not.
pub(super) struct Sections<'a> {
    sections: gimli::DwarfSections<Cow<'a, [u8]>>,
    endian: RunTimeEndian,
}

impl<'a> Sections<'a> {
    pub(super) fn load(data: &'a [u8]) -> Result<Self, DwarfError> {
        let file = object::File::parse(data)?;
        let endian = if file.is_little_endian() {
            RunTimeEndian::Little
        } else {
            RunTimeEndian::Big
        };
        // A vmlinux is fully linked: relocations that it kept (`--emit-relocs`) are already applied.
        let load = |id: gimli::SectionId| -> Result<Cow<'a, [u8]>, DwarfError> {
            match file.section_by_name(id.name()) {
                Some(section) => Ok(section.uncompressed_data()?),
                None => Ok(Cow::Borrowed(&[])),
            }
        };
        let sections = gimli::DwarfSections::load(load)?;
        Ok(Self { sections, endian })
    }

    pub(super) fn dwarf(&self) -> Dwarf<'_> {
        self.sections
            .borrow(|section| EndianSlice::new(section, self.endian))
    }
}

impl Index {
    pub(super) fn parse(data: &[u8]) -> Result<Self, DwarfError> {
        let sections = Sections::load(data)?;
        let dwarf = sections.dwarf();
        if dwarf.debug_info.reader().is_empty() {
            return Err(DwarfError::NoDebugInfo);
        }
        let mut ranges = Vec::new();
        let mut headers = dwarf.debug_aranges.headers();
        while let Some(header) = headers.next()? {
            let mut entries = header.entries();
            while let Some(entry) = entries.next()? {
                if entry.length() > 0 && entry.address() > 0 {
                    let range = entry.range();
                    ranges.push((range.begin, range.end, header.debug_info_offset().0));
                }
            }
        }
        ranges.sort_unstable();
        Ok(Self {
            ranges,
            units: None,
            comp_dirs: HashMap::new(),
            functions: None,
        })
    }

    /// Offset of the unit with the code at `address`.
    pub(super) fn unit_at(&self, address: u64) -> Option<usize> {
        let upper = self.ranges.partition_point(|range| range.0 <= address);
        self.ranges[..upper]
            .last()
            .filter(|range| address < range.1)
            .map(|range| range.2)
    }

    /// The folder that the unit at an address was compiled in.
    pub(super) fn comp_dir(
        &mut self,
        data: &[u8],
        address: u64,
    ) -> Result<Option<String>, DwarfError> {
        let Some(offset) = self.unit_at(address) else {
            return Ok(None);
        };
        if let Some(known) = self.comp_dirs.get(&offset) {
            return Ok(known.clone());
        }
        let sections = Sections::load(data)?;
        let dwarf = sections.dwarf();
        let unit = dwarf.unit(dwarf.unit_header(DebugInfoOffset(offset))?)?;
        let comp_dir = unit.comp_dir.map(|dir| dir.to_string_lossy().into_owned());
        self.comp_dirs.insert(offset, comp_dir.clone());
        Ok(comp_dir)
    }

    /// Static addresses of the functions of that name, ascending.
    pub(super) fn addresses(
        &mut self,
        data: &[u8],
        function: &str,
    ) -> Result<Vec<u64>, DwarfError> {
        if self.functions.is_none() {
            let mut functions: HashMap<String, Vec<u64>> = HashMap::new();
            let symbols = match StaticSymbols::parse(data) {
                Ok(symbols) => symbols,
                // Without a symbol table the DWARF is asked by name.
                Err(ElfError::Stripped) => return Ok(Vec::new()),
                Err(error) => return Err(error.into()),
            };
            for symbol in symbols.symbols().iter().filter(|symbol| symbol.is_function) {
                functions
                    .entry(symbol.name.to_owned())
                    .or_default()
                    .push(symbol.address);
            }
            self.functions = Some(functions);
        }
        Ok(self
            .functions
            .as_ref()
            .and_then(|functions| functions.get(function))
            .cloned()
            .unwrap_or_default())
    }

    /// The definition of the function that begins at `address`.
    pub(super) fn definition_at(
        &self,
        data: &[u8],
        address: u64,
    ) -> Result<Option<Definition>, DwarfError> {
        let Some(offset) = self.unit_at(address) else {
            return Ok(None);
        };
        let sections = Sections::load(data)?;
        let dwarf = sections.dwarf();
        let unit = dwarf.unit(dwarf.unit_header(DebugInfoOffset(offset))?)?;
        let mut entries = unit.entries();
        while let Some(entry) = entries.next_dfs()? {
            if entry.tag() == DW_TAG_subprogram && begins_at(&dwarf, &unit, entry, address)? {
                return Ok(definition(&dwarf, &unit, entry)?.map(|found| Definition {
                    address: Some(address),
                    ..found
                }));
            }
        }
        Ok(None)
    }

    pub(super) fn units(&mut self, dwarf: &Dwarf<'_>) -> Result<&[usize], DwarfError> {
        let units = match self.units.take() {
            Some(units) => units,
            None => {
                let mut units = Vec::new();
                let mut headers = dwarf.units();
                while let Some(header) = headers.next()? {
                    units.extend(header.debug_info_offset().map(|offset| offset.0));
                }
                units
            }
        };
        Ok(self.units.insert(units))
    }
}

/// True if a function, or one of the parts that the compiler split it into, begins at `address`.
pub(super) fn begins_at<'a>(
    dwarf: &Dwarf<'a>,
    unit: &Unit<'a>,
    entry: &Die<'a>,
    address: u64,
) -> Result<bool, DwarfError> {
    if let Some(low_pc) = entry.attr_value(DW_AT_low_pc)
        && dwarf.attr_address(unit, low_pc)? == Some(address)
    {
        return Ok(true);
    }
    if entry.attr(DW_AT_ranges).is_none() {
        return Ok(false);
    }
    let mut ranges = dwarf.die_ranges(unit, entry)?;
    while let Some(range) = ranges.next()? {
        if range.begin == address {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The definition of an entry's function: as it states itself, or the entry that it is an instance of.
fn definition<'a>(
    dwarf: &Dwarf<'a>,
    unit: &Unit<'a>,
    entry: &Die<'a>,
) -> Result<Option<Definition>, DwarfError> {
    let (mut name, mut file, mut line) = (None, None, None);
    let mut entry = entry.clone();
    for _ in 0..MAX_CHAIN {
        if name.is_none()
            && let Some(value) = entry.attr_value(DW_AT_name)
        {
            name = Some(
                dwarf
                    .attr_string(unit, value)?
                    .to_string_lossy()
                    .into_owned(),
            );
        }
        file = file.or_else(|| file_index(entry.attr_value(DW_AT_decl_file)?));
        line = line.or_else(|| entry.attr_value(DW_AT_decl_line)?.udata_value());
        let origin = entry
            .attr_value(DW_AT_abstract_origin)
            .or_else(|| entry.attr_value(DW_AT_specification));
        match origin {
            Some(AttributeValue::UnitRef(offset))
                if name.is_none() || file.is_none() || line.is_none() =>
            {
                entry = unit.entry(offset)?
            }
            _ => break,
        }
    }
    let (Some(function), Some(file), Some(line)) = (name, file, line) else {
        return Ok(None);
    };
    let (Some(path), Ok(line @ 1..)) = (file_path(dwarf, unit, file)?, u32::try_from(line)) else {
        return Ok(None);
    };
    Ok(Some(Definition {
        function,
        file: path,
        line,
        kind: LineKind::Definition,
        address: None,
    }))
}

pub(super) fn file_index(value: AttributeValue<Reader<'_>>) -> Option<u64> {
    match value {
        AttributeValue::FileIndex(index) => Some(index),
        other => other.udata_value(),
    }
}

pub(super) fn file_path(
    dwarf: &Dwarf<'_>,
    unit: &Unit<'_>,
    file: u64,
) -> Result<Option<String>, DwarfError> {
    let Some(header) = unit.line_program.as_ref().map(|program| program.header()) else {
        return Ok(None);
    };
    let Some(file) = header.file(file) else {
        return Ok(None);
    };
    let name = dwarf
        .attr_string(unit, file.path_name())?
        .to_string_lossy()
        .into_owned();
    let folder = match file.directory(header) {
        Some(folder) => dwarf
            .attr_string(unit, folder)?
            .to_string_lossy()
            .into_owned(),
        None => String::new(),
    };
    let comp_dir = unit
        .comp_dir
        .map(|dir| dir.to_string_lossy().into_owned())
        .unwrap_or_default();
    let path = if name.starts_with('/') || folder.is_empty() {
        name
    } else {
        format!("{folder}/{name}")
    };
    Ok(Some(normalise(&path, &comp_dir)))
}

/// Definitions and inlined copies of a function, found by its name.
///
/// Names are stored once, in `.debug_str`, and entries refer to them by a four-byte offset: a search for those bytes
/// finds the few units worth parsing in 200 MB faster than parsing anything. A chance match costs one parsed unit.
pub(super) fn find_inlined(
    index: &mut Index,
    data: &[u8],
    function: &str,
) -> Result<(Vec<Definition>, Inlining), DwarfError> {
    let sections = Sections::load(data)?;
    let dwarf = sections.dwarf();
    let (units, incomplete) = candidate_units(index, &dwarf, function)?;
    let (mut definitions, mut into, mut inlining) = (
        Vec::new(),
        BTreeSet::new(),
        Inlining {
            incomplete,
            ..Inlining::default()
        },
    );
    for offset in units {
        let unit = dwarf.unit(dwarf.unit_header(DebugInfoOffset(offset))?)?;
        let origins = collect_origins(&dwarf, &unit, function, &mut definitions)?;
        if !origins.is_empty() {
            collect_instances(&dwarf, &unit, &origins, &mut into, &mut inlining)?;
        }
    }
    definitions.sort_by(|a, b| (&a.file, a.line).cmp(&(&b.file, b.line)));
    definitions.dedup();
    // The compiler splits a function by inlining its head into itself: that says nothing to a reader.
    inlining.into = into
        .into_iter()
        .filter(|holder| holder != function)
        .collect();
    Ok((definitions, inlining))
}

fn candidate_units(
    index: &mut Index,
    dwarf: &Dwarf<'_>,
    function: &str,
) -> Result<(Vec<usize>, bool), DwarfError> {
    if function.is_empty() || function.contains('\0') {
        return Ok((Vec::new(), false));
    }
    let info = dwarf.debug_info.reader().slice();
    let needle = format!("{function}\0");
    let mut patterns: Vec<Vec<u8>> =
        memchr::memmem::find_iter(dwarf.debug_str.reader().slice(), needle.as_bytes())
            .take(MAX_NAMES + 1)
            .filter_map(|at| u32::try_from(at).ok())
            .map(|at| at.to_le_bytes().to_vec())
            .collect();
    // Compilers that name by index (`DW_FORM_strx`) escape this search.
    let mut incomplete = patterns.len() > MAX_NAMES || !dwarf.debug_str_offsets.reader().is_empty();
    // A name that is not longer than a reference to it is stored in the entry itself; so may any that occurs only once.
    if needle.len() <= 4 || patterns.is_empty() {
        patterns.push(needle.into_bytes());
    }
    let headers = index.units(dwarf)?;
    let mut units = BTreeSet::new();
    for pattern in &patterns {
        let mut from = 0;
        while let Some(at) = info
            .get(from..)
            .and_then(|rest| memchr::memmem::find(rest, pattern))
        {
            let next = headers.partition_point(|offset| *offset <= from + at);
            units.extend(next.checked_sub(1).map(|n| headers[n]));
            if units.len() > MAX_UNITS {
                units.pop_last();
                incomplete = true;
                break;
            }
            // One match is enough to parse the unit.
            from = headers.get(next).copied().unwrap_or(info.len());
        }
    }
    Ok((units.into_iter().collect(), incomplete))
}

/// Entries that name the function themselves, and are not only declarations.
fn collect_origins<'a>(
    dwarf: &Dwarf<'a>,
    unit: &Unit<'a>,
    function: &str,
    definitions: &mut Vec<Definition>,
) -> Result<BTreeSet<UnitOffset>, DwarfError> {
    let mut origins = BTreeSet::new();
    let mut entries = unit.entries();
    while let Some(entry) = entries.next_dfs()? {
        let Some(name) = entry
            .attr_value(DW_AT_name)
            .filter(|_| entry.tag() == DW_TAG_subprogram)
        else {
            continue;
        };
        let declared_only = entry.attr_value(gimli::DW_AT_declaration).is_some();
        if !declared_only && dwarf.attr_string(unit, name)?.slice() == function.as_bytes() {
            origins.insert(entry.offset());
            definitions.extend(definition(dwarf, unit, entry)?);
        }
    }
    Ok(origins)
}

/// Collect the functions that hold inlined copies of `origins`, and whether one of those has code of its own.
fn collect_instances<'a>(
    dwarf: &Dwarf<'a>,
    unit: &Unit<'a>,
    origins: &BTreeSet<UnitOffset>,
    into: &mut BTreeSet<String>,
    inlining: &mut Inlining,
) -> Result<(), DwarfError> {
    let has_code =
        |entry: &Die<'a>| entry.attr(DW_AT_low_pc).is_some() || entry.attr(DW_AT_ranges).is_some();
    let mut around: Option<Die<'a>> = None;
    let mut entries = unit.entries();
    while let Some(entry) = entries.next_dfs()? {
        let origin = match entry.attr_value(DW_AT_abstract_origin) {
            Some(AttributeValue::UnitRef(offset)) => Some(offset),
            _ => None,
        };
        let of_ours = origin.is_some_and(|offset| origins.contains(&offset))
            || origins.contains(&entry.offset());
        if entry.tag() == DW_TAG_subprogram {
            inlining.out_of_line |= of_ours && has_code(entry);
            around = has_code(entry).then(|| entry.clone());
        } else if entry.tag() == DW_TAG_inlined_subroutine
            && of_ours
            && let Some(around) = &around
        {
            into.extend(definition(dwarf, unit, around)?.map(|holder| holder.function));
        }
    }
    Ok(())
}

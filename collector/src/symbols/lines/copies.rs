//! The copies of functions that the debug info describes: with code of their own, and inlined into others.
//!
//! Many functions are looked for at once. Names are stored once, in `.debug_str`, and entries refer to them by a
//! four-byte offset: one pass over `.debug_info` that looks for any of those offsets finds the few units worth parsing,
//! and each of these is parsed once for all functions that it may describe.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Range;

use super::dwarf::{
    Dwarf, DwarfError, Entry, Index, MAX_CHAIN, MAX_NAMES, Sections, Unit, file_index, file_path,
};
use super::types::{Copies, InlinedCopy, OwnCopy};
use gimli::{
    AttributeValue, DW_AT_abstract_origin, DW_AT_call_file, DW_AT_call_line, DW_AT_decl_file,
    DW_AT_declaration, DW_AT_language, DW_AT_low_pc, DW_AT_name, DW_AT_ranges, DW_AT_specification,
    DW_LANG_Mips_Assembler, DebugInfoOffset, Section, UnitOffset,
};

/// Most units to look through for one function.
const MAX_UNITS: usize = 48;

/// The copies of each of `functions`.
pub(super) fn copies(
    index: &mut Index,
    data: &[u8],
    functions: &[&str],
) -> Result<BTreeMap<String, Copies>, DwarfError> {
    let sections = Sections::load(data)?;
    let dwarf = sections.dwarf();
    let headers = index.units(&dwarf)?;
    let (units, incomplete) = candidates(&dwarf, headers, functions);
    let mut found: Vec<Copies> = functions
        .iter()
        .enumerate()
        .map(|(at, _)| Copies {
            incomplete: incomplete.contains(&at),
            ..Copies::default()
        })
        .collect();
    let units: Vec<(usize, BTreeSet<usize>)> = units.into_iter().collect();
    for part in in_parallel(&units, |part| {
        let mut pieces = Vec::new();
        for (offset, wanted) in part {
            let unit = dwarf.unit(dwarf.unit_header(DebugInfoOffset(*offset))?)?;
            for &at in wanted {
                pieces.push((at, Copies::default()));
            }
            let first = pieces.len() - wanted.len();
            let names: Vec<&str> = wanted.iter().map(|&at| functions[at]).collect();
            in_unit(&dwarf, &unit, &names, &mut pieces[first..])?;
        }
        Ok(pieces)
    }) {
        for (at, piece) in part? {
            found[at].described |= piece.described;
            found[at].own.extend(piece.own);
            found[at].inlined.extend(piece.inlined);
        }
    }
    for copies in &mut found {
        copies.own.sort();
        copies.own.dedup();
        copies.inlined.sort();
        copies.inlined.dedup();
    }
    let names = functions.iter().map(|name| (*name).to_owned());
    Ok(names.zip(found).collect())
}

/// The names of all functions of which there is an inlined copy. Parses everything.
pub(super) fn inlined_names(
    index: &mut Index,
    data: &[u8],
) -> Result<BTreeSet<String>, DwarfError> {
    let sections = Sections::load(data)?;
    let dwarf = sections.dwarf();
    let headers = index.units(&dwarf)?.to_vec();
    let mut names = BTreeSet::new();
    for part in in_parallel(&headers, |part| {
        let mut names = BTreeSet::new();
        for offset in part {
            let unit = dwarf.unit(dwarf.unit_header(DebugInfoOffset(*offset))?)?;
            let of: BTreeSet<UnitOffset> = pass(&dwarf, &unit, &[])?
                .inlined
                .into_iter()
                .map(|(of, ..)| of)
                .collect();
            for of in of {
                names.extend(name(&dwarf, &unit, of)?);
            }
        }
        Ok(names)
    }) {
        names.extend(part?);
    }
    Ok(names)
}

/// Does `work` on pieces of a list, on all processors.
fn in_parallel<T: Sync, R: Send>(
    list: &[T],
    work: impl Fn(&[T]) -> Result<R, DwarfError> + Sync,
) -> Vec<Result<R, DwarfError>> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let size = list.len().div_ceil(threads).max(1);
    std::thread::scope(|scope| {
        let running: Vec<_> = list
            .chunks(size)
            .map(|part| scope.spawn(|| work(part)))
            .collect();
        let results = running.into_iter().map(|thread| match thread.join() {
            Ok(result) => result,
            Err(panic) => std::panic::resume_unwind(panic),
        });
        results.collect()
    })
}

/// Units that may describe functions, with the functions that each may, and the functions for which there are more.
fn candidates(
    dwarf: &Dwarf<'_>,
    headers: &[usize],
    functions: &[&str],
) -> (BTreeMap<usize, BTreeSet<usize>>, BTreeSet<usize>) {
    let info = dwarf.debug_info.reader().slice();
    let mut incomplete = BTreeSet::new();
    let mut references = References::default();
    let mut matches: Vec<(usize, usize)> = Vec::new();
    for (at, function) in functions.iter().enumerate() {
        if function.is_empty() || function.contains('\0') {
            continue;
        }
        let needle = format!("{function}\0");
        let strings = dwarf.debug_str.reader().slice();
        let offsets: Vec<u32> = memchr::memmem::find_iter(strings, needle.as_bytes())
            .take(MAX_NAMES + 1)
            .filter_map(|offset| u32::try_from(offset).ok())
            .collect();
        // Compilers that name by index (`DW_FORM_strx`) escape this search.
        if offsets.len() > MAX_NAMES || !dwarf.debug_str_offsets.reader().is_empty() {
            incomplete.insert(at);
        }
        // A name no longer than a reference to it stands in the entry itself; so may any that is nowhere else.
        if needle.len() <= 4 || offsets.is_empty() {
            let found = memchr::memmem::find_iter(info, needle.as_bytes());
            matches.extend(found.map(|place| (place, at)));
        }
        offsets
            .into_iter()
            .for_each(|offset| references.add(offset, at));
    }
    matches.extend(references.find(info));
    let mut units: BTreeMap<usize, BTreeSet<usize>> = BTreeMap::new();
    let mut counts: HashMap<usize, usize> = HashMap::new();
    let mut entries = Entries::new(dwarf);
    matches.sort_unstable();
    for (place, function) in matches {
        let after = headers.partition_point(|offset| *offset <= place);
        let Some(unit) = after.checked_sub(1).map(|at| headers[at]) else {
            continue;
        };
        let count = counts.entry(function).or_default();
        let here = units.entry(unit).or_default();
        // Whoever calls a function of another file declares it: that unit has no copy of it.
        if here.contains(&function) || entries.only_declares(unit, place) {
            continue;
        }
        if *count == MAX_UNITS {
            incomplete.insert(function);
            continue;
        }
        *count += 1;
        here.insert(function);
    }
    units.retain(|_, wanted| !wanted.is_empty());
    (units, incomplete)
}

/// Entries that are looked at where a reference to their name stands, without parsing what is ahead of them.
struct Entries<'d, 'a> {
    dwarf: &'d Dwarf<'a>,
    /// The abbreviations of a unit; `None`: they cannot be read, or let a function complete a declaration, which then
    /// says nothing.
    units: HashMap<usize, Option<std::sync::Arc<gimli::Abbreviations>>>,
}

/// Bytes of a reference to a name.
const REFERENCE: usize = size_of::<u32>();
/// The longest code of an abbreviation that is looked for, in bytes.
const MAX_CODE: usize = 3;

impl<'d, 'a> Entries<'d, 'a> {
    fn new(dwarf: &'d Dwarf<'a>) -> Self {
        Self {
            dwarf,
            units: HashMap::new(),
        }
    }

    /// True if the name that is referred to at `place` is that of a declaration, and of nothing else that it could be.
    fn only_declares(&mut self, unit: usize, place: usize) -> bool {
        let dwarf = self.dwarf;
        let abbreviations = self.units.entry(unit).or_insert_with(|| {
            let header = dwarf.unit_header(DebugInfoOffset(unit)).ok()?;
            let all = dwarf.abbreviations(&header).ok()?;
            let completes = (1..).map_while(|code| all.get(code)).any(|one| {
                one.tag() == gimli::DW_TAG_subprogram && names(one, DW_AT_specification)
            });
            (!completes).then_some(all)
        });
        let Some(abbreviations) = abbreviations.as_deref() else {
            return false;
        };
        let info = dwarf.debug_info.reader().slice();
        // A declaration for a call states the name twice: as the linker's, and as the source's.
        let starts = [0, REFERENCE]
            .into_iter()
            .filter_map(|ahead| Some((ahead, place.checked_sub(ahead)?)));
        let declares = starts.flat_map(|(ahead, start)| {
            (1..=MAX_CODE).filter_map(move |length| {
                let code = code(info.get(start.checked_sub(length)?..start)?)?;
                let abbreviation = abbreviations.get(code)?;
                is_named_at(abbreviation, ahead).then(|| {
                    abbreviation.tag() == gimli::DW_TAG_subprogram
                        && names(abbreviation, DW_AT_declaration)
                })
            })
        });
        let declares: Vec<bool> = declares.collect();
        !declares.is_empty() && declares.iter().all(|declares| *declares)
    }
}

/// True if entries of this form state an attribute.
fn names(abbreviation: &gimli::Abbreviation, attribute: gimli::DwAt) -> bool {
    let mut stated = abbreviation.attributes().iter();
    stated.any(|one| one.name() == attribute)
}

/// True if a reference to a name stands so many bytes behind the code in entries of this form, with nothing but such
/// references ahead.
fn is_named_at(abbreviation: &gimli::Abbreviation, place: usize) -> bool {
    let mut at = 0;
    for attribute in abbreviation.attributes() {
        match attribute.form() {
            gimli::DW_FORM_flag_present | gimli::DW_FORM_implicit_const => {}
            gimli::DW_FORM_strp if at == place => {
                return [DW_AT_name, gimli::DW_AT_linkage_name].contains(&attribute.name());
            }
            gimli::DW_FORM_strp => at += REFERENCE,
            _ => return false,
        }
    }
    false
}

/// The number that these bytes are as LEB128, if they are one.
fn code(bytes: &[u8]) -> Option<u64> {
    let (last, before) = bytes.split_last()?;
    let whole = last & 0x80 == 0 && before.iter().all(|byte| byte & 0x80 != 0);
    let value = bytes
        .iter()
        .rev()
        .fold(0, |value, byte| value << 7 | u64::from(byte & 0x7f));
    whole.then_some(value)
}

/// Four-byte references to look for, all in one pass.
struct References {
    /// By a reference's two low bytes: whether there is one. Small enough to stay near the processor.
    low: Vec<bool>,
    of: HashMap<u32, Vec<usize>>,
}

impl Default for References {
    fn default() -> Self {
        Self {
            low: vec![false; 1 << 16],
            of: HashMap::new(),
        }
    }
}

impl References {
    fn add(&mut self, reference: u32, function: usize) {
        self.low[usize::from(reference as u16)] = true;
        self.of.entry(reference).or_default().push(function);
    }

    /// Places in `info` that may be references, each with the function that it is to.
    fn find(&self, info: &[u8]) -> Vec<(usize, usize)> {
        let Some(last) = info.len().checked_sub(size_of::<u32>()) else {
            return Vec::new();
        };
        if self.of.is_empty() {
            return Vec::new();
        }
        // Each thread takes many small pieces: they are read from the file as they come.
        const PIECE: usize = 1 << 20;
        let pieces: Vec<Range<usize>> = (0..=last)
            .step_by(PIECE)
            .map(|start| start..(start + PIECE).min(last + 1))
            .collect();
        let found = in_parallel(&pieces, |pieces| {
            let mut found = Vec::new();
            for piece in pieces {
                self.find_in(info, piece.clone(), &mut found);
            }
            Ok(found)
        });
        found.into_iter().flatten().flatten().collect()
    }

    fn find_in(&self, info: &[u8], places: Range<usize>, found: &mut Vec<(usize, usize)>) {
        let bytes = &info[places.start..places.end + size_of::<u32>() - 1];
        for (at, window) in bytes.windows(size_of::<u32>()).enumerate() {
            let &[a, b, c, d] = window else {
                continue;
            };
            if self.low[usize::from(u16::from_le_bytes([a, b]))]
                && let Some(functions) = self.of.get(&u32::from_le_bytes([a, b, c, d]))
            {
                found.extend(
                    functions
                        .iter()
                        .map(|function| (places.start + at, *function)),
                );
            }
        }
    }
}

/// The notes of one pass over a unit.
#[derive(Default)]
struct Pass {
    /// Entries that state one of the names: which, and whether they only declare it.
    named: HashMap<UnitOffset, (usize, bool)>,
    /// Functions that complete or copy another entry.
    derived: Vec<(UnitOffset, UnitOffset)>,
    /// Functions with code.
    with_code: Vec<UnitOffset>,
    /// Inlined calls: of what, in which function with code, and where they stand.
    inlined: Vec<(UnitOffset, UnitOffset, UnitOffset)>,
    assembler: bool,
}

/// Adds the copies of `functions` that one unit describes to `found`, in the same order.
fn in_unit<'a>(
    dwarf: &Dwarf<'a>,
    unit: &Unit<'a>,
    functions: &[&str],
    found: &mut [(usize, Copies)],
) -> Result<(), DwarfError> {
    let mut pass = pass(dwarf, unit, functions)?;
    if pass.named.is_empty() {
        return Ok(());
    }
    // A chain of references leads from a copy over its abstract instance to the entry with the name.
    for _ in 0..MAX_CHAIN {
        let before = pass.named.len();
        for (entry, of) in &pass.derived {
            if let Some(&(function, _)) = pass.named.get(of) {
                pass.named.entry(*entry).or_insert((function, false));
            }
        }
        if pass.named.len() == before {
            break;
        }
    }
    for &(function, declared_only) in pass.named.values() {
        found[function].1.described |= !declared_only && !pass.assembler;
    }
    for offset in &pass.with_code {
        if let Some(&(function, false)) = pass.named.get(offset) {
            let own = OwnCopy {
                starts: starts(dwarf, unit, &unit.entry(*offset)?)?,
                file: declared_in(dwarf, unit, *offset)?,
            };
            found[function].1.own.push(own);
        }
    }
    for (of, holder, at) in &pass.inlined {
        let Some(&(function, _)) = pass.named.get(of) else {
            continue;
        };
        let copy = InlinedCopy {
            holder: name(dwarf, unit, *holder)?.unwrap_or_default(),
            starts: starts(dwarf, unit, &unit.entry(*holder)?)?,
            file: declared_in(dwarf, unit, *of)?,
            site: site(dwarf, unit, &unit.entry(*at)?)?,
        };
        found[function].1.inlined.push(copy);
    }
    Ok(())
}

fn pass<'a>(dwarf: &Dwarf<'a>, unit: &Unit<'a>, functions: &[&str]) -> Result<Pass, DwarfError> {
    let mut pass = Pass::default();
    // The functions around the entry: how deep each stands, and its offset if it has code.
    let mut around: Vec<(isize, Option<UnitOffset>)> = Vec::new();
    let mut entries = unit.entries();
    while let Some(entry) = entries.next_dfs()? {
        let depth = entry.depth();
        while around.last().is_some_and(|(outer, _)| *outer >= depth) {
            around.pop();
        }
        match entry.tag() {
            gimli::DW_TAG_compile_unit => {
                let language = entry.attr_value(DW_AT_language);
                pass.assembler = language == Some(AttributeValue::Language(DW_LANG_Mips_Assembler));
            }
            gimli::DW_TAG_subprogram => {
                let has_code =
                    entry.attr(DW_AT_low_pc).is_some() || entry.attr(DW_AT_ranges).is_some();
                around.push((depth, has_code.then(|| entry.offset())));
                if has_code {
                    pass.with_code.push(entry.offset());
                }
                if let Some(of) = reference(entry) {
                    pass.derived.push((entry.offset(), of));
                } else if let Some(value) = entry.attr_value(DW_AT_name) {
                    let stated = dwarf.attr_string(unit, value)?;
                    let function = functions
                        .iter()
                        .position(|f| f.as_bytes() == stated.slice());
                    if let Some(function) = function {
                        let declared_only = entry.attr_value(DW_AT_declaration).is_some();
                        pass.named.insert(entry.offset(), (function, declared_only));
                    }
                }
            }
            gimli::DW_TAG_inlined_subroutine => {
                if let (Some(of), Some((_, Some(holder)))) = (reference(entry), around.last()) {
                    pass.inlined.push((of, *holder, entry.offset()));
                }
            }
            _ => {}
        }
    }
    Ok(pass)
}

/// The entry that an entry is a copy or the completion of.
fn reference(entry: &Entry<'_>) -> Option<UnitOffset> {
    let origin = entry
        .attr_value(DW_AT_abstract_origin)
        .or_else(|| entry.attr_value(DW_AT_specification))?;
    match origin {
        AttributeValue::UnitRef(offset) => Some(offset),
        _ => None,
    }
}

/// Addresses at which the parts of a function's code begin.
fn starts<'a>(
    dwarf: &Dwarf<'a>,
    unit: &Unit<'a>,
    entry: &Entry<'a>,
) -> Result<Vec<u64>, DwarfError> {
    let mut starts = Vec::new();
    if let Some(low_pc) = entry.attr_value(DW_AT_low_pc) {
        starts.extend(dwarf.attr_address(unit, low_pc)?);
    }
    if entry.attr(DW_AT_ranges).is_some() {
        let mut ranges = dwarf.die_ranges(unit, entry)?;
        while let Some(range) = ranges.next()? {
            starts.push(range.begin);
        }
    }
    starts.sort_unstable();
    starts.dedup();
    // Linkers leave code that they dropped at address 0.
    starts.retain(|start| *start != 0);
    Ok(starts)
}

/// The first of `read` along the chain of references from an entry that finds something.
fn along<'a, T>(
    unit: &Unit<'a>,
    offset: UnitOffset,
    read: impl Fn(&Entry<'a>) -> Result<Option<T>, DwarfError>,
) -> Result<Option<T>, DwarfError> {
    let mut offset = offset;
    for _ in 0..MAX_CHAIN {
        let entry = unit.entry(offset)?;
        if let Some(found) = read(&entry)? {
            return Ok(Some(found));
        }
        match reference(&entry) {
            Some(next) => offset = next,
            None => break,
        }
    }
    Ok(None)
}

fn name<'a>(
    dwarf: &Dwarf<'a>,
    unit: &Unit<'a>,
    offset: UnitOffset,
) -> Result<Option<String>, DwarfError> {
    along(unit, offset, |entry| {
        let Some(value) = entry.attr_value(DW_AT_name) else {
            return Ok(None);
        };
        let name = dwarf.attr_string(unit, value)?;
        Ok(Some(name.to_string_lossy().into_owned()))
    })
}

/// The file that defines the function of an entry.
fn declared_in<'a>(
    dwarf: &Dwarf<'a>,
    unit: &Unit<'a>,
    offset: UnitOffset,
) -> Result<Option<String>, DwarfError> {
    along(unit, offset, |entry| {
        match entry.attr_value(DW_AT_decl_file).and_then(file_index) {
            Some(file) => file_path(dwarf, unit, file),
            None => Ok(None),
        }
    })
}

/// File and line of an inlined call.
fn site<'a>(
    dwarf: &Dwarf<'a>,
    unit: &Unit<'a>,
    entry: &Entry<'a>,
) -> Result<Option<String>, DwarfError> {
    let line = entry
        .attr_value(DW_AT_call_line)
        .and_then(|value| value.udata_value());
    let file = match entry.attr_value(DW_AT_call_file).and_then(file_index) {
        Some(file) => file_path(dwarf, unit, file)?,
        None => None,
    };
    Ok(file.zip(line).map(|(file, line)| format!("{file}:{line}")))
}

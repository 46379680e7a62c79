//! The copies of functions in the debug info: those with code of their own, and those inlined into other functions.
//!
//! Many functions are searched for at once. Names are stored once, in `.debug_str`, and entries refer to them by a four-byte
//! offset: one pass over `.debug_info` that looks for any of those offsets finds the few units worth parsing, and each of these
//! is parsed once for all functions that it may describe.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::candidates::find_candidates;
use super::dwarf::{
    Die, Dwarf, DwarfError, Index, MAX_CHAIN, Sections, Unit, file_index, file_path,
};
use super::parallel::run_in_parallel;
use super::types::{Copies, InlinedCopy, OwnCopy};
use gimli::{
    AttributeValue, DW_AT_abstract_origin, DW_AT_call_file, DW_AT_call_line, DW_AT_decl_file,
    DW_AT_declaration, DW_AT_language, DW_AT_low_pc, DW_AT_name, DW_AT_noreturn, DW_AT_ranges,
    DW_AT_specification, DW_LANG_Mips_Assembler, DebugInfoOffset, UnitOffset,
};

/// The copies of each of `functions`.
pub(super) fn find_copies(
    index: &mut Index,
    data: &[u8],
    functions: &[&str],
) -> Result<BTreeMap<String, Copies>, DwarfError> {
    let sections = Sections::load(data)?;
    let dwarf = sections.dwarf();
    let headers = index.units(&dwarf)?;
    let (units, incomplete) = find_candidates(&dwarf, headers, functions);
    let mut found: Vec<Copies> = functions
        .iter()
        .enumerate()
        .map(|(at, _)| Copies {
            incomplete: incomplete.contains(&at),
            ..Copies::default()
        })
        .collect();
    let units: Vec<(usize, BTreeSet<usize>)> = units.into_iter().collect();
    for part in run_in_parallel(&units, |part| {
        let mut pieces = Vec::new();
        for (offset, wanted) in part {
            let unit = dwarf.unit(dwarf.unit_header(DebugInfoOffset(*offset))?)?;
            for &at in wanted {
                pieces.push((at, Copies::default()));
            }
            let first = pieces.len() - wanted.len();
            let names: Vec<&str> = wanted.iter().map(|&at| functions[at]).collect();
            add_unit_copies(&dwarf, &unit, &names, &mut pieces[first..])?;
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

/// The names of all functions that have an inlined copy. Parses everything.
pub(super) fn inlined_names(
    index: &mut Index,
    data: &[u8],
) -> Result<BTreeSet<String>, DwarfError> {
    let sections = Sections::load(data)?;
    let dwarf = sections.dwarf();
    let headers = index.units(&dwarf)?.to_vec();
    let mut names = BTreeSet::new();
    for part in run_in_parallel(&headers, |part| {
        let mut names = BTreeSet::new();
        for offset in part {
            let unit = dwarf.unit(dwarf.unit_header(DebugInfoOffset(*offset))?)?;
            let of: BTreeSet<UnitOffset> = scan_unit(&dwarf, &unit, &[])?
                .inlined
                .into_iter()
                .map(|(of, ..)| of)
                .collect();
            for of in of {
                names.extend(entry_name(&dwarf, &unit, of)?);
            }
        }
        Ok(names)
    }) {
        names.extend(part?);
    }
    Ok(names)
}

/// The notes of one pass over a unit.
#[derive(Default)]
struct UnitScan {
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

/// Add the copies of `functions` that one unit describes to `found`, in the same order.
fn add_unit_copies<'a>(
    dwarf: &Dwarf<'a>,
    unit: &Unit<'a>,
    functions: &[&str],
    found: &mut [(usize, Copies)],
) -> Result<(), DwarfError> {
    let mut pass = scan_unit(dwarf, unit, functions)?;
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
                starts: start_addresses(dwarf, unit, &unit.entry(*offset)?)?,
                file: declaring_file(dwarf, unit, *offset)?,
                never_returns: follow_references(unit, *offset, |entry| {
                    Ok(entry.attr(DW_AT_noreturn).is_some().then_some(()))
                })?
                .is_some(),
            };
            found[function].1.own.push(own);
        }
    }
    for (of, holder, at) in &pass.inlined {
        let Some(&(function, _)) = pass.named.get(of) else {
            continue;
        };
        let copy = InlinedCopy {
            holder: entry_name(dwarf, unit, *holder)?.unwrap_or_default(),
            starts: start_addresses(dwarf, unit, &unit.entry(*holder)?)?,
            file: declaring_file(dwarf, unit, *of)?,
            site: inlined_call_site(dwarf, unit, &unit.entry(*at)?)?,
        };
        found[function].1.inlined.push(copy);
    }
    Ok(())
}

fn scan_unit<'a>(
    dwarf: &Dwarf<'a>,
    unit: &Unit<'a>,
    functions: &[&str],
) -> Result<UnitScan, DwarfError> {
    let mut pass = UnitScan::default();
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
pub(super) fn reference(entry: &Die<'_>) -> Option<UnitOffset> {
    let origin = entry
        .attr_value(DW_AT_abstract_origin)
        .or_else(|| entry.attr_value(DW_AT_specification))?;
    match origin {
        AttributeValue::UnitRef(offset) => Some(offset),
        _ => None,
    }
}

/// Addresses at which the parts of a function's code begin.
fn start_addresses<'a>(
    dwarf: &Dwarf<'a>,
    unit: &Unit<'a>,
    entry: &Die<'a>,
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
fn follow_references<'a, T>(
    unit: &Unit<'a>,
    offset: UnitOffset,
    read: impl Fn(&Die<'a>) -> Result<Option<T>, DwarfError>,
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

pub(super) fn entry_name<'a>(
    dwarf: &Dwarf<'a>,
    unit: &Unit<'a>,
    offset: UnitOffset,
) -> Result<Option<String>, DwarfError> {
    follow_references(unit, offset, |entry| {
        let Some(value) = entry.attr_value(DW_AT_name) else {
            return Ok(None);
        };
        let name = dwarf.attr_string(unit, value)?;
        Ok(Some(name.to_string_lossy().into_owned()))
    })
}

/// The file that defines the function of an entry.
fn declaring_file<'a>(
    dwarf: &Dwarf<'a>,
    unit: &Unit<'a>,
    offset: UnitOffset,
) -> Result<Option<String>, DwarfError> {
    follow_references(unit, offset, |entry| {
        match entry.attr_value(DW_AT_decl_file).and_then(file_index) {
            Some(file) => file_path(dwarf, unit, file),
            None => Ok(None),
        }
    })
}

/// File and line of an inlined call.
pub(super) fn inlined_call_site<'a>(
    dwarf: &Dwarf<'a>,
    unit: &Unit<'a>,
    entry: &Die<'a>,
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

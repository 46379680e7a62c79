//! Compilation units that may describe a function, found by references to its name before anything is parsed.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Range;

use aho_corasick::packed;
use gimli::{DW_AT_declaration, DW_AT_name, DW_AT_specification, DebugInfoOffset, Section};

use super::dwarf::{Dwarf, MAX_NAMES};
use super::parallel::run_in_parallel;

/// Most units to look through for one function.
const MAX_UNITS: usize = 48;

/// Units that may describe functions, with the functions that each may, and the functions for which there are more.
pub(super) fn find_candidates(
    dwarf: &Dwarf<'_>,
    headers: &[usize],
    functions: &[&str],
) -> (BTreeMap<usize, BTreeSet<usize>>, BTreeSet<usize>) {
    let info = dwarf.debug_info.reader().slice();
    let mut incomplete = BTreeSet::new();
    let mut references = References::default();
    let mut spelled: Vec<(String, usize)> = Vec::new();
    let named = find_names(dwarf.debug_str.reader().slice(), functions);
    for (at, (function, offsets)) in functions.iter().zip(named).enumerate() {
        if !can_be_stored(function) {
            continue;
        }
        let needle = format!("{function}\0");
        // Compilers that name by index (`DW_FORM_strx`) escape this search.
        if offsets.len() > MAX_NAMES || !dwarf.debug_str_offsets.reader().is_empty() {
            incomplete.insert(at);
        }
        // A name that is not longer than a reference to it is stored in the entry itself; so may any that occurs only once.
        if needle.len() <= 4 || offsets.is_empty() {
            spelled.push((needle, at));
        }
        offsets
            .into_iter()
            .for_each(|offset| references.add(offset, at));
    }
    let mut matches = find_spelled(info, &spelled);
    matches.extend(references.find(info));
    let mut units: BTreeMap<usize, BTreeSet<usize>> = BTreeMap::new();
    let mut counts: HashMap<usize, usize> = HashMap::new();
    let mut entries = EntryDecoder::new(dwarf);
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

/// True if the debug information can hold a name: it ends each with a zero.
fn can_be_stored(function: &str) -> bool {
    !function.is_empty() && !function.contains('\0')
}

/// Offsets in `.debug_str` at which each of `functions` stands, also as the end of a longer name: at most one more than
/// [`MAX_NAMES`].
fn find_names(strings: &[u8], functions: &[&str]) -> Vec<Vec<u32>> {
    let found = run_in_parallel(functions, |functions| {
        let offsets = functions.iter().map(|function| {
            if !can_be_stored(function) {
                return Vec::new();
            }
            let needle = format!("{function}\0");
            memchr::memmem::find_iter(strings, needle.as_bytes())
                .take(MAX_NAMES + 1)
                .filter_map(|offset| u32::try_from(offset).ok())
                .collect()
        });
        Ok(offsets.collect::<Vec<_>>())
    });
    found.into_iter().flatten().flatten().collect()
}

/// Bytes that one thread looks through before it takes the next piece.
const PIECE: usize = 1 << 20;

/// Call `look` on all places up to `length`, in pieces and on all processors. Each thread takes many small pieces, which are read from
/// the file as they come. Give back all that was found.
fn search_in_parallel(
    length: usize,
    look: impl Fn(Range<usize>, &mut Vec<(usize, usize)>) + Sync,
) -> Vec<(usize, usize)> {
    let pieces: Vec<Range<usize>> = (0..length)
        .step_by(PIECE)
        .map(|start| start..(start + PIECE).min(length))
        .collect();
    let found = run_in_parallel(&pieces, |pieces| {
        let mut found = Vec::new();
        for piece in pieces {
            look(piece.clone(), &mut found);
        }
        Ok(found)
    });
    found.into_iter().flatten().flatten().collect()
}

/// Places in `info` where one of these texts begins, each with the function that it is of.
fn find_spelled(info: &[u8], texts: &[(String, usize)]) -> Vec<(usize, usize)> {
    if texts.is_empty() {
        return Vec::new();
    }
    let texts: Vec<_> = texts
        .iter()
        .map(|(text, function)| (memchr::memmem::Finder::new(text.as_bytes()), *function))
        .collect();
    search_in_parallel(info.len(), |piece, found| {
        for (text, function) in &texts {
            // One may begin here and end in the next piece.
            let end = (piece.end + text.needle().len() - 1).min(info.len());
            let places = text.find_iter(&info[piece.start..end]);
            found.extend(places.map(|place| (piece.start + place, *function)));
        }
    })
}

/// Entries that are decoded at a reference to their name, without parsing the entries before them.
struct EntryDecoder<'d, 'a> {
    dwarf: &'d Dwarf<'a>,
    /// The abbreviations of a unit; `None`: they cannot be read, or let a function complete a declaration, which then
    /// says nothing.
    units: HashMap<usize, Option<std::sync::Arc<gimli::Abbreviations>>>,
}

/// Bytes of a reference to a name.
const REFERENCE: usize = size_of::<u32>();
/// The longest abbreviation code that is searched for, in bytes.
const MAX_CODE: usize = 3;

impl<'d, 'a> EntryDecoder<'d, 'a> {
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
                one.tag() == gimli::DW_TAG_subprogram && has_attribute(one, DW_AT_specification)
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
                let code = decode_leb128(info.get(start.checked_sub(length)?..start)?)?;
                let abbreviation = abbreviations.get(code)?;
                is_named_at(abbreviation, ahead).then(|| {
                    abbreviation.tag() == gimli::DW_TAG_subprogram
                        && has_attribute(abbreviation, DW_AT_declaration)
                })
            })
        });
        let declares: Vec<bool> = declares.collect();
        !declares.is_empty() && declares.iter().all(|declares| *declares)
    }
}

/// True if entries of this form state an attribute.
fn has_attribute(abbreviation: &gimli::Abbreviation, attribute: gimli::DwAt) -> bool {
    let mut stated = abbreviation.attributes().iter();
    stated.any(|one| one.name() == attribute)
}

/// True if entries of this form have a reference to a name this many bytes after the code, preceded only by such references.
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
fn decode_leb128(bytes: &[u8]) -> Option<u64> {
    let (last, before) = bytes.split_last()?;
    let whole = last & 0x80 == 0 && before.iter().all(|byte| byte & 0x80 != 0);
    let value = bytes
        .iter()
        .rev()
        .fold(0, |value, byte| value << 7 | u64::from(byte & 0x7f));
    whole.then_some(value)
}

/// Four-byte references to search for.
#[derive(Default)]
struct References {
    of: BTreeMap<u32, Vec<usize>>,
}

/// The most references that the vector search of `aho_corasick` takes at once.
const MAX_REFERENCES: usize = 64;

impl References {
    fn add(&mut self, reference: u32, function: usize) {
        self.of.entry(reference).or_default().push(function);
    }

    /// Places in `info` that may be references, each with the function that it is to.
    fn find(&self, info: &[u8]) -> Vec<(usize, usize)> {
        let all: Vec<_> = self.of.iter().collect();
        let searches: Vec<Search<'_>> = all.chunks(MAX_REFERENCES).map(Search::new).collect();
        if searches.is_empty() {
            return Vec::new();
        }
        search_in_parallel(info.len(), |piece, found| {
            let end = (piece.end + REFERENCE - 1).min(info.len());
            for search in &searches {
                search.find(&info[piece.start..end], piece.start, found);
            }
        })
    }
}

/// A search for some references.
struct Search<'r> {
    functions: Vec<&'r [usize]>,
    /// `None` where this processor has no vectors that are wide enough.
    vectors: Option<packed::Searcher>,
    /// By the reference.
    of: HashMap<[u8; REFERENCE], usize>,
}

impl<'r> Search<'r> {
    fn new(references: &[(&u32, &'r Vec<usize>)]) -> Self {
        let texts = references
            .iter()
            .map(|(reference, _)| reference.to_le_bytes());
        Self {
            functions: references
                .iter()
                .map(|(_, functions)| functions.as_slice())
                .collect(),
            vectors: packed::Searcher::new(texts.clone()),
            of: texts.enumerate().map(|(at, text)| (text, at)).collect(),
        }
    }

    /// Find all places in `bytes`, also those that overlap; `start` is added to each.
    fn find(&self, bytes: &[u8], start: usize, found: &mut Vec<(usize, usize)>) {
        let mut add = |at: usize, which: usize| {
            let functions = self.functions[which].iter();
            found.extend(functions.map(|function| (start + at, *function)));
        };
        let Some(vectors) = &self.vectors else {
            for (at, window) in bytes.windows(REFERENCE).enumerate() {
                if let Some(which) = window
                    .try_into()
                    .ok()
                    .and_then(|text: [u8; REFERENCE]| self.of.get(&text))
                {
                    add(at, *which);
                }
            }
            return;
        };
        let mut from = 0;
        while let Some(place) = vectors.find_in(bytes, (from..bytes.len()).into()) {
            add(place.start(), place.pattern().as_usize());
            from = place.start() + 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        /// Check that all places of all references are found, also those that overlap or cross the border of two pieces, by both
        /// ways of searching.
        #[test]
        fn all_references(
            bytes in proptest::collection::vec(0..3_u8, 0..400),
            wanted in proptest::collection::btree_set(proptest::array::uniform4(0..3_u8), 0..80),
        ) {
            let mut references = References::default();
            for (function, reference) in wanted.iter().enumerate() {
                references.add(u32::from_le_bytes(*reference), function);
            }
            let expected: BTreeSet<(usize, usize)> = bytes
                .windows(REFERENCE)
                .enumerate()
                .filter_map(|(at, window)| Some((at, wanted.iter().position(|one| one == window)?)))
                .collect();
            let found: BTreeSet<_> = references.find(&bytes).into_iter().collect();
            proptest::prop_assert_eq!(&found, &expected);
            let all: Vec<_> = references.of.iter().collect();
            let mut slowly = Vec::new();
            let search = Search { vectors: None, ..Search::new(&all) };
            search.find(&bytes, 0, &mut slowly);
            proptest::prop_assert_eq!(&slowly.into_iter().collect::<BTreeSet<_>>(), &expected);
        }
    }

    /// Check that a reference across the border of two pieces is found once.
    #[test]
    fn across_pieces() {
        let mut bytes = vec![0; PIECE + 100];
        bytes[PIECE - 2..PIECE + 2].copy_from_slice(&[1, 2, 3, 4]);
        let mut references = References::default();
        references.add(u32::from_le_bytes([1, 2, 3, 4]), 7);
        assert_eq!(references.find(&bytes), [(PIECE - 2, 7)]);
    }
}

//! The functions that the compiler inlined into one with code of its own.

use std::collections::BTreeSet;

use gimli::{DW_TAG_inlined_subroutine, DW_TAG_subprogram, DebugInfoOffset};

use super::copies::{entry_name, inlined_call_site, reference};
use super::dwarf::{DwarfError, Index, Sections, begins_at};
use super::types::InlinedCallee;

/// The functions inlined into the one that begins at `address`, callers before what they call, each place once; `None` where the debug
/// info does not describe the function.
pub(super) fn inlined_at(
    index: &Index,
    data: &[u8],
    address: u64,
) -> Result<Option<Vec<InlinedCallee>>, DwarfError> {
    let Some(offset) = index.unit_at(address) else {
        return Ok(None);
    };
    let sections = Sections::load(data)?;
    let dwarf = sections.dwarf();
    let unit = dwarf.unit(dwarf.unit_header(DebugInfoOffset(offset))?)?;
    let mut entries = unit.entries();
    let holder = loop {
        let Some(entry) = entries.next_dfs()? else {
            return Ok(None);
        };
        if entry.tag() == DW_TAG_subprogram && begins_at(&dwarf, &unit, entry, address)? {
            break entry.depth();
        }
    };
    let (mut found, mut seen) = (Vec::new(), BTreeSet::new());
    // The inlined calls around the entry: how deep each stands in the debug info, its function and its place.
    let mut around: Vec<(isize, (String, Option<String>))> = Vec::new();
    while let Some(entry) = entries.next_dfs()? {
        let depth = entry.depth();
        if depth <= holder {
            break;
        }
        around.retain(|(outer, _)| *outer < depth);
        if entry.tag() != DW_TAG_inlined_subroutine {
            continue;
        }
        let Some(of) = reference(entry) else {
            continue;
        };
        let Some(function) = entry_name(&dwarf, &unit, of)? else {
            continue;
        };
        let site = inlined_call_site(&dwarf, &unit, entry)?;
        around.push((depth, (function.clone(), site.clone())));
        // The compiler may have copied the code around a call, with the call.
        let path: Vec<_> = around.iter().map(|(_, call)| call.clone()).collect();
        if seen.insert(path) {
            found.push(InlinedCallee {
                depth: around.len() as u32 - 1,
                function,
                site,
            });
        }
    }
    Ok(Some(found))
}

//! Comparison of every symbol of the core image: its live address against its static one.
//!
//! **Which symbols count.** A symbol of the static table counts when its address lies in `_text.._end` and its type is
//! not absolute (`A`/`a`, `SHN_ABS`). That leaves out, by rule and not by name, per-CPU variables (their static
//! addresses are offsets from 0), `phys_startup_64` and the like, and `init_per_cpu__…` (absolute). A live symbol
//! counts when it belongs to no module, is not absolute and lies in the live `_text.._end`.

use std::collections::HashSet;
use std::ops::Range;

use serde::Serialize;
use thiserror::Error;

use crate::symbols::elf::StaticSymbols;
use crate::symbols::kallsyms::{Kallsyms, Symbol};
use crate::symbols::name_lookup::RowsByName;
use crate::symbols::system_map::SystemMap;

/// The static side: names at static addresses of the core image, by address.
#[derive(Debug)]
pub struct StaticTable<'a> {
    rows: Vec<(u64, &'a str)>,
    base: u64,
}

/// Tables that could not be compared.
#[derive(Debug, Error, Clone, PartialEq, Eq)]
pub enum CompareError {
    /// A table does not say where the image begins and ends.
    #[error(
        "the {0} symbol table does not name `_text` and `_end`, so the core image is not known"
    )]
    NoImage(&'static str),
    /// The image would have been moved down, which no kernel does.
    #[error("`_text` is at {live:#018x}, below its static address {fixed:#018x}")]
    MovedDown {
        /// Live address.
        live: u64,
        /// Static address.
        fixed: u64,
    },
    /// Fewer symbols than a kernel has were found on both sides.
    #[error("only {0} symbols are in both tables: they cannot be of one kernel")]
    TooFew(u64),
}

/// The outcome for all symbols.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SymbolComparison {
    /// Live minus static address of `_text`, in bytes.
    pub slide: u64,
    /// Symbols that are in both tables.
    pub checked: u64,
    /// Those of them whose live minus static address is another.
    pub differing: u64,
    /// Live symbols that the static table does not name.
    pub absent: u64,
    /// The first few that differ.
    pub examples: Vec<String>,
}

impl<'a> StaticTable<'a> {
    /// From a `System.map`.
    pub fn from_system_map(map: &'a SystemMap) -> Result<Self, CompareError> {
        let image = map.table().image();
        let rows = map
            .symbols()
            .filter(|s| !matches!(s.kind, 'a' | 'A'))
            .map(|s| (s.address, s.name));
        Self::new(image, rows)
    }

    /// From the symbols of a vmlinux.
    pub fn from_elf(symbols: &StaticSymbols<'a>) -> Result<Self, CompareError> {
        let ends = symbols.find_by_name(["_text", "_end"]);
        let one = |name| {
            let first = ends.rows(name).first();
            first
                .map(|s| s.address)
                .ok_or(CompareError::NoImage("static"))
        };
        let rows = symbols
            .symbols()
            .iter()
            .filter(|s| !s.is_absolute)
            .map(|s| (s.address, s.name));
        Self::new(one("_text")?..one("_end")?, rows)
    }

    fn new(
        image: Range<u64>,
        rows: impl Iterator<Item = (u64, &'a str)>,
    ) -> Result<Self, CompareError> {
        if image.is_empty() {
            return Err(CompareError::NoImage("static"));
        }
        let base = image.start;
        let mut rows: Vec<_> = rows
            .filter(|(address, _)| image.contains(address))
            .collect();
        rows.sort_by_key(|row| row.0);
        Ok(Self { rows, base })
    }

    /// Static address of `_text`.
    pub fn base(&self) -> u64 {
        self.base
    }

    /// Static addresses of each of `names`, ascending.
    pub fn addresses<'n>(&self, names: impl IntoIterator<Item = &'n str>) -> RowsByName<'n, u64> {
        RowsByName::collect(
            names,
            self.rows.iter().map(|&(address, name)| (name, address)),
        )
    }

    fn holds(&self, address: u64, name: &str) -> bool {
        let from = self.rows.partition_point(|row| row.0 < address);
        self.rows[from..]
            .iter()
            .take_while(|row| row.0 == address)
            .any(|row| row.1 == name)
    }
}

const EXAMPLES: usize = 5;
/// Far below the 90,000 symbols of a stock kernel, far above what two unrelated tables share by chance at one slide.
const ENOUGH: u64 = 16;

/// Compare all symbols of the core image.
pub fn compare_symbols(
    live: &Kallsyms,
    fixed: &StaticTable<'_>,
) -> Result<SymbolComparison, CompareError> {
    let image = live.image();
    if image.is_empty() {
        return Err(CompareError::NoImage("live"));
    }
    let slide = image.start.checked_sub(fixed.base);
    let slide = slide.ok_or(CompareError::MovedDown {
        live: image.start,
        fixed: fixed.base,
    })?;
    let core = live.symbols().filter(|s| {
        s.module.is_none() && !matches!(s.kind, 'a' | 'A') && image.contains(&s.address)
    });
    let mut same = 0;
    let mut others: Vec<Symbol<'_>> = Vec::new();
    for symbol in core {
        match symbol.address.checked_sub(slide) {
            Some(address) if fixed.holds(address, symbol.name) => same += 1,
            _ => others.push(symbol),
        }
    }
    let known: HashSet<&str> = if others.is_empty() {
        HashSet::new()
    } else {
        fixed.rows.iter().map(|row| row.1).collect()
    };
    let (differing, absent): (Vec<_>, Vec<_>) = others
        .into_iter()
        .partition(|symbol| known.contains(symbol.name));
    let checked = same + differing.len() as u64;
    if checked < ENOUGH {
        return Err(CompareError::TooFew(checked));
    }
    Ok(SymbolComparison {
        slide,
        checked,
        differing: differing.len() as u64,
        absent: absent.len() as u64,
        examples: differing
            .iter()
            .take(EXAMPLES)
            .map(|symbol| symbol.name.to_owned())
            .collect(),
    })
}

#[cfg(test)]
#[path = "compare_tests.rs"]
pub(super) mod tests;

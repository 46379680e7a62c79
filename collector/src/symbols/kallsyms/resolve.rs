//! Resolution of an address to a symbol, never beyond the end that the symbol can have.

use serde::Serialize;

use super::entry::{Symbol, SymbolEntry, is_absolute};
use super::table::Kallsyms;

/// The largest distance of an address from the text symbol before it, in bytes. The table has no sizes; the largest function of
/// the stock 6.1 and 6.12 kernels measured is 14.3 KiB (`do_jit`).
const TEXT_REACH: u64 = 64 << 10;
/// The same for data; the largest object measured is 4 MiB (`sme_workarea`).
const DATA_REACH: u64 = 4 << 20;

/// A symbol found for an address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ResolvedSymbol<'a> {
    /// The preferred name of the symbol; see [`Kallsyms::resolve`] for the rule.
    pub name: &'a str,
    /// Distance from the symbol's address, in bytes.
    pub offset: u64,
    /// Its type letter.
    pub kind: char,
    /// The module that owns it, `None` for the core image.
    pub module: Option<&'a str>,
    /// All other names of the same address, in the order of the table.
    pub aliases: Vec<&'a str>,
}

/// An address without a symbol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
pub enum ResolveError {
    /// An address below the first symbol, or none of a kernel image or module at all (a heap or stack pointer).
    #[error("the address is outside the kernel's image and modules")]
    Outside,
    /// The address lies between symbols: too far from the one before it.
    #[error("the address lies in a gap behind the last symbol before it")]
    Gap,
}

impl Kallsyms {
    /// The first address after `address` at which another symbol begins; `None` after the last.
    pub fn next_after(&self, address: u64) -> Option<u64> {
        let upper = self
            .entries
            .partition_point(|entry| entry.address <= address);
        self.entries.get(upper).map(|entry| entry.address)
    }

    /// The symbol that holds `address`.
    ///
    /// Text and data alike (an operations table resolves to its name). Refused rather than guessed:
    /// - absolute (`A`/`a`) symbols, and all below the upper half of the address space: those are per-CPU offsets;
    /// - an address at or past `_end`, or past the end of the part of the image that the symbol stands in;
    /// - an address more than 64 KiB behind a text symbol or 4 MiB behind a data symbol.
    ///
    /// Where the table does not name the ends of the parts (no `CONFIG_KALLSYMS_ALL`), only the last rule bounds it.
    ///
    /// **Preferred name** among several of one address, the first rule that decides: a name without a compiler's
    /// suffix (`.`); a linker's section mark (`_text`, `_stext`, `__start_…`, `__end_…`, `…_begin`, `…_start`,
    /// `…_end`) last; a global symbol before a local, a local before a weak; no `__pfx_`/`__cfi_` prefix; the
    /// fewest leading underscores, the shortest, and at last the smallest in byte order. It depends on the names and
    /// types alone, not on where the linker or the kernel put them, so that it is the same after each boot.
    pub fn resolve(&self, address: u64) -> Result<ResolvedSymbol<'_>, ResolveError> {
        if address >> 63 == 0 {
            return Err(ResolveError::Outside);
        }
        let upper = self
            .entries
            .partition_point(|entry| entry.address <= address);
        let base = self.entries[..upper]
            .iter()
            .rev()
            .find(|entry| !is_absolute(entry.kind))
            .ok_or(ResolveError::Outside)?
            .address;
        if base >> 63 == 0 {
            return Err(ResolveError::Outside);
        }
        let names: Vec<&SymbolEntry> = self.entries[..upper]
            .iter()
            .rev()
            .take_while(|entry| entry.address >= base)
            .filter(|entry| !is_absolute(entry.kind))
            .collect();
        let names: Vec<Symbol<'_>> = names
            .into_iter()
            .rev()
            .map(|entry| self.symbol(entry))
            .collect();
        let preferred = *names
            .iter()
            .min_by_key(|symbol| rank(symbol))
            .ok_or(ResolveError::Outside)?;
        let offset = address - base;
        if offset > 0 {
            self.check_reach(base, address, preferred)?;
        } else if !self.image.is_empty() && address == self.image.end {
            return Err(ResolveError::Outside);
        }
        Ok(ResolvedSymbol {
            name: preferred.name,
            offset,
            kind: preferred.kind,
            module: preferred.module,
            aliases: names
                .iter()
                .filter(|s| **s != preferred)
                .map(|s| s.name)
                .collect(),
        })
    }

    /// The end of the symbol that contains `address`: exactly the addresses from its start up to there resolve to it. `address`
    /// itself if nothing resolves.
    pub fn symbol_end(&self, address: u64) -> u64 {
        let Ok(found) = self.resolve(address) else {
            return address;
        };
        let start = address - found.offset;
        if found.module.is_none() && !self.image.is_empty() && !self.image.contains(&start) {
            // Only its first byte resolves.
            return start.saturating_add(1);
        }
        let reach = if self.is_code_at(start, found.kind) {
            TEXT_REACH
        } else {
            DATA_REACH
        };
        let next = self.entries[self
            .entries
            .partition_point(|entry| entry.address <= address)..]
            .iter()
            .find(|entry| !is_absolute(entry.kind))
            .map_or(u64::MAX, |entry| entry.address);
        let image = [self.image.clone()];
        self.parts
            .iter()
            .chain(&image)
            .filter(|part| part.contains(&start))
            .map(|part| part.end)
            .fold(next.min(start.saturating_add(reach)), u64::min)
    }

    fn check_reach(&self, base: u64, address: u64, symbol: Symbol<'_>) -> Result<(), ResolveError> {
        if !self.image.is_empty() && self.image.contains(&base) != self.image.contains(&address) {
            return Err(ResolveError::Outside);
        }
        if symbol.module.is_none() && !self.image.is_empty() && !self.image.contains(&base) {
            return Err(ResolveError::Outside);
        }
        let reach = if self.is_code_at(base, symbol.kind) {
            TEXT_REACH
        } else {
            DATA_REACH
        };
        if address - base >= reach
            || self
                .parts
                .iter()
                .any(|part| part.contains(&base) && !part.contains(&address))
        {
            return Err(ResolveError::Gap);
        }
        // Padding after the last symbol of a part belongs to no symbol: the mark of the part's end is found there.
        if self.parts.iter().any(|part| part.end == base)
            && self.parts.iter().all(|part| !part.contains(&address))
        {
            return Err(ResolveError::Gap);
        }
        Ok(())
    }
}

type Rank<'a> = (bool, bool, u8, bool, usize, usize, &'a str);

/// Smaller is preferred; the order of the fields is the rule of [`Kallsyms::resolve`].
pub(super) fn rank<'a>(symbol: &Symbol<'a>) -> Rank<'a> {
    let name = symbol.name;
    let mark = matches!(
        name,
        "_text" | "_stext" | "_etext" | "_sdata" | "_edata" | "_sinittext" | "_einittext"
    ) || name.starts_with("__start_")
        || name.starts_with("__end_")
        || name.starts_with("__stop_")
        || ["_begin", "_start", "_end", "_stop"]
            .iter()
            .any(|suffix| name.ends_with(suffix));
    let binding = match symbol.kind {
        'w' | 'W' | 'v' | 'V' => 2,
        kind if kind.is_ascii_uppercase() => 0,
        _ => 1,
    };
    let generated = name.starts_with("__pfx_") || name.starts_with("__cfi_");
    let underscores = name.bytes().take_while(|&byte| byte == b'_').count();
    (
        name.contains('.'),
        mark,
        binding,
        generated,
        underscores,
        name.len(),
        name,
    )
}

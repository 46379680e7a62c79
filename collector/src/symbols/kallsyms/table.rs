//! The symbol table itself: symbols by name, and the bounds of the image and its parts.

use std::hash::BuildHasher;
use std::ops::Range;
use std::sync::OnceLock;

use foldhash::fast::FixedState;
use hashbrown::HashTable;

use super::entry::{KallsymsError, Symbol, SymbolEntry, ZeroedReason, is_absolute, is_text};
use super::parse::parse_entries;

/// Pairs of linker symbols that bound a part of the image: nothing resolves across the end of a part.
/// <https://elixir.bootlin.com/linux/v6.1/source/arch/x86/kernel/vmlinux.lds.S#L111>
const PARTS: [(&str, &str); 7] = [
    ("_text", "_etext"),
    ("_sinittext", "_einittext"),
    ("__start_rodata", "__end_rodata"),
    DATA,
    ("__init_begin", "__init_end"),
    ("__bss_start", "__bss_stop"),
    ("__brk_base", "__brk_limit"),
];

/// The linker symbols that bound `.data`.
const DATA: (&str, &str) = ("_sdata", "_edata");

/// A parsed symbol table: all of `/proc/kallsyms`, or any text of that form.
pub struct Kallsyms {
    pub(super) text: String,
    /// By address; symbols of one address keep the order of the text.
    pub(super) entries: Vec<SymbolEntry>,
    /// Positions in `entries`, by the hash of their names.
    names: OnceLock<HashTable<u32>>,
    /// Positions in `entries` of names with a compiler's suffix, by name.
    clones: OnceLock<Vec<u32>>,
    pub(super) image: Range<u64>,
    pub(super) parts: Vec<Range<u64>>,
    /// `.data`, from `_sdata` to `_edata`; empty if the table does not name both.
    data: Range<u64>,
}

impl std::fmt::Debug for Kallsyms {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Kallsyms")
            .field("symbols", &self.entries.len())
            .finish_non_exhaustive()
    }
}

impl Kallsyms {
    /// Parse the text of `/proc/kallsyms`. `kptr_restrict` is the content of `/proc/sys/kernel/kptr_restrict`, used
    /// only to name the cause when all addresses are zero.
    pub fn parse(text: String, kptr_restrict: Option<&str>) -> Result<Self, KallsymsError> {
        let mut entries = parse_entries(&text)?;
        if entries.is_empty() {
            return Err(KallsymsError::Empty);
        }
        if entries.iter().all(|entry| entry.address == 0) {
            return Err(KallsymsError::Zeroed(ZeroedReason::from_kptr_restrict(
                kptr_restrict,
            )));
        }
        // The core image comes sorted and modules follow, so this costs a scan and a short merge. It must be stable:
        // the order of aliases is part of the rule for the preferred name.
        entries.sort_by_key(|entry| entry.address);
        let mut table = Self {
            text,
            entries,
            names: OnceLock::new(),
            clones: OnceLock::new(),
            image: 0..0,
            parts: Vec::new(),
            data: 0..0,
        };
        table.image = table.find_image();
        table.parts = table.find_parts();
        table.data = table.range_between(DATA).unwrap_or(0..0);
        Ok(table)
    }

    /// The text that was parsed.
    pub fn into_text(self) -> String {
        self.text
    }

    /// Number of symbols, modules included.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// True if the table holds no symbol (a parsed one always holds some).
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The core image, `_text` (or `_stext`) up to `_end`. Empty when the table does not name both ends, as on a
    /// kernel without `CONFIG_KALLSYMS_ALL`; see [`Kallsyms::resolve`] for what that costs.
    pub fn image(&self) -> Range<u64> {
        self.image.clone()
    }

    /// All symbols, by address, aliases in the order of the text.
    pub fn symbols(&self) -> impl ExactSizeIterator<Item = Symbol<'_>> + Clone {
        self.entries.iter().map(|entry| self.symbol(entry))
    }

    /// All symbols of that name, by address: several where static functions or data share a name.
    pub fn symbols_named<'a>(&'a self, name: &str) -> impl Iterator<Item = Symbol<'a>> {
        let names = self.names.get_or_init(|| self.hash_names());
        let mut found: Vec<u32> = names
            .iter_hash(hash(name.as_bytes()))
            .copied()
            .filter(|&at| self.name_at(at) == name.as_bytes())
            .collect();
        found.sort_unstable();
        found
            .into_iter()
            .map(|at| self.symbol(&self.entries[at as usize]))
    }

    fn hash_names(&self) -> HashTable<u32> {
        let mut names = HashTable::with_capacity(self.entries.len());
        // A text of at most 4 GiB holds fewer symbols than that.
        for at in 0..self.entries.len() as u32 {
            names.insert_unique(hash(self.name_at(at)), at, |&at| hash(self.name_at(at)));
        }
        names
    }

    /// Positions of the names with a compiler's suffix, by name.
    pub(super) fn clone_positions(&self) -> &[u32] {
        self.clones.get_or_init(|| {
            // A text of at most 4 GiB holds fewer symbols than that.
            let all = 0..self.entries.len() as u32;
            let mut clones: Vec<u32> = all.filter(|&at| self.name_at(at).contains(&b'.')).collect();
            clones.sort_by_key(|&at| self.name_at(at));
            clones
        })
    }

    /// The symbol at a position.
    pub(super) fn symbol_at(&self, at: u32) -> Symbol<'_> {
        self.symbol(&self.entries[at as usize])
    }

    fn name_at(&self, at: u32) -> &[u8] {
        let entry = &self.entries[at as usize];
        &self.text.as_bytes()[entry.name as usize..][..usize::from(entry.name_len)]
    }

    /// Addresses in the core image with that name, ascending and without repetition. More than one means that
    /// several static objects share the name; none that this kernel has no such symbol outside its modules.
    pub fn lookup(&self, name: &str) -> Vec<u64> {
        let mut addresses: Vec<u64> = self
            .symbols_named(name)
            .filter(|s| s.module.is_none() && !is_absolute(s.kind as u8))
            .map(|s| s.address)
            .collect();
        addresses.dedup();
        addresses
    }

    /// Like [`Kallsyms::lookup`], but if the kernel itself has no such symbol, those of these modules.
    pub fn lookup_with_modules(&self, name: &str, modules: &[String]) -> Vec<u64> {
        let own = self.lookup(name);
        if !own.is_empty() || modules.is_empty() {
            return own;
        }
        let of_modules = |symbol: &Symbol<'_>| {
            let module = symbol.module;
            module.is_some_and(|module| modules.iter().any(|one| one == module))
        };
        let mut addresses: Vec<u64> = self
            .symbols_named(name)
            .filter(|symbol| of_modules(symbol) && !is_absolute(symbol.kind as u8))
            .map(|symbol| symbol.address)
            .collect();
        addresses.dedup();
        addresses
    }

    /// The value of a per-CPU symbol of the kernel itself: an absolute symbol in older kernels, which counts from the
    /// start of each CPU's memory, and one of the image's addresses in newer ones. `None`: there is none, or there are
    /// several.
    pub fn per_cpu(&self, name: &str) -> Option<u64> {
        let mut found = self.symbols_named(name).filter(|s| s.module.is_none());
        let value = found.next()?.address;
        found
            .next()
            .is_none()
            .then_some(value)
            .filter(|value| *value != 0)
    }

    pub(super) fn symbol(&self, entry: &SymbolEntry) -> Symbol<'_> {
        let start = entry.name as usize;
        let end = start + usize::from(entry.name_len);
        let module = (entry.module_len > 0)
            .then(|| &self.text[end + 2..end + 2 + usize::from(entry.module_len)]);
        Symbol {
            address: entry.address,
            kind: char::from(entry.kind),
            name: &self.text[start..end],
            module,
        }
    }

    /// The addresses between two linker symbols.
    fn range_between(&self, (start, end): (&str, &str)) -> Option<Range<u64>> {
        let one = |name: &str| self.lookup(name).first().copied();
        Some(one(start)?..one(end)?)
    }

    /// True if a symbol of this table is of code. Its letter alone does not say: `.data` may be a section that can be
    /// executed, as in Debian's 6.18 and later, and everything in it then has the letter of code.
    pub fn is_code(&self, symbol: &Symbol<'_>) -> bool {
        self.is_code_at(symbol.address, symbol.kind)
    }

    /// The same of a symbol with this address and this letter.
    pub(super) fn is_code_at(&self, address: u64, kind: char) -> bool {
        is_text(kind as u8) && !self.data.contains(&address)
    }

    fn find_parts(&self) -> Vec<Range<u64>> {
        PARTS
            .iter()
            .filter_map(|ends| self.range_between(*ends))
            .filter(|part| part.start < part.end)
            .collect()
    }

    fn find_image(&self) -> Range<u64> {
        let one = |name: &str| self.lookup(name).first().copied();
        match (one("_text").or_else(|| one("_stext")), one("_end")) {
            (Some(start), Some(end)) if start < end => start..end,
            _ => 0..0,
        }
    }
}

/// A fixed hash without a random seed: an attacker who could choose a kernel's symbol names would gain nothing from slowing
/// this down.
fn hash(name: &[u8]) -> u64 {
    FixedState::default().hash_one(name)
}

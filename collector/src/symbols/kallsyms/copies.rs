//! The copies of a function in the symbol table: the function itself, and its clones and parts that compilers made.

use std::collections::BTreeMap;

use super::entry::Symbol;
use super::table::Kallsyms;

/// The suffix that a compiler gives to the name of a part that is jumped into and never called
/// (<https://gcc.gnu.org/onlinedocs/gcc/Optimize-Options.html#index-freorder-blocks-and-partition>).
const COLD: &str = "cold";

/// True if a symbol names a part of a function that is jumped into: not a function of its own.
pub fn is_cold(symbol: &str) -> bool {
    symbol.split('.').skip(1).any(|suffix| suffix == COLD)
}

/// True if a symbol is the function, or a clone of it: `foo.part.0` is one of `foo`.
pub fn is_copy(symbol: &str, function: &str) -> bool {
    symbol == function
        || symbol
            .strip_prefix(function)
            .is_some_and(|suffix| suffix.starts_with('.'))
}

impl Kallsyms {
    /// The symbols of the function's copies, by address: if one address has several names, the one most like the function's.
    pub fn copies_of(&self, function: &str) -> Vec<Symbol<'_>> {
        let mut found: BTreeMap<u64, Symbol<'_>> = BTreeMap::new();
        let clones = self.clone_positions().iter().map(|at| self.symbol_at(*at));
        let from = self
            .clone_positions()
            .partition_point(|at| self.symbol_at(*at).name < function);
        let clones = clones
            .skip(from)
            .take_while(|symbol| symbol.name.starts_with(function));
        let own = self.symbols_named(function);
        for symbol in own.chain(clones) {
            let wanted = self.is_code(&symbol) && symbol.address != 0 && !is_cold(symbol.name);
            if wanted && is_copy(symbol.name, function) {
                found.entry(symbol.address).or_insert(symbol);
            }
        }
        found.into_values().collect()
    }

    /// Addresses of the parts of a function that are jumped into: `foo.cold` of `foo`.
    pub fn cold_parts_of(&self, symbol: &str) -> Vec<u64> {
        let from = self
            .clone_positions()
            .partition_point(|at| self.symbol_at(*at).name < symbol);
        let clones = self
            .clone_positions()
            .iter()
            .skip(from)
            .map(|at| self.symbol_at(*at));
        clones
            .take_while(|clone| clone.name.starts_with(symbol))
            .filter(|clone| {
                let suffix = clone.name.strip_prefix(symbol);
                suffix.is_some_and(|suffix| {
                    suffix.trim_start_matches('.').split('.').next() == Some(COLD)
                })
            })
            .map(|clone| clone.address)
            .collect()
    }

    /// True if modules are loaded. Programs and trampolines that the kernel generates do not count as modules.
    pub fn has_modules(&self) -> bool {
        self.symbols().any(|symbol| {
            let module = symbol.module;
            module.is_some_and(|name| name != "bpf" && !name.starts_with("__builtin__"))
        })
    }

    /// True if code at this address is freed once the kernel has booted: `.init.text`, and the `.exit.text` of built-in code,
    /// which the linker puts behind it (<https://elixir.bootlin.com/linux/v6.12/source/arch/x86/kernel/vmlinux.lds.S#L228>).
    pub fn is_discarded(&self, address: u64) -> bool {
        let one = |name: &str| self.lookup(name).first().copied();
        let between = |start: &str, end: &str| Some(one(start)?..one(end)?);
        let discarded =
            between("__init_begin", "__init_end").or_else(|| between("_sinittext", "_einittext"));
        discarded.is_some_and(|range| range.contains(&address))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Check that code of all sections that are freed counts as gone, and of `.init.text` at least where the table has no more.
    #[test]
    fn discarded_code() {
        let inner = "ffffffff81002000 T _sinittext\nffffffff81003000 T _einittext\n";
        let all = format!(
            "ffffffff81000000 T _text\nffffffff81001000 D __init_begin\n{inner}ffffffff81003800 t leave\nffffffff81004000 R __init_end\n\
             ffffffff81005000 T _end\n"
        );
        let some = format!("ffffffff81000000 T _text\n{inner}ffffffff81005000 T _end\n");
        for (text, removed) in [(all, [true, true, false]), (some, [true, false, false])] {
            let table = Kallsyms::parse(text, None).unwrap();
            let places = [
                0xffff_ffff_8100_2000,
                0xffff_ffff_8100_3800,
                0xffff_ffff_8100_4000,
            ];
            assert_eq!(places.map(|at| table.is_discarded(at)), removed);
        }
    }

    /// Check that data is no function where the linker gave it the letter of code, and that it reaches as far as data.
    #[test]
    fn executable_data() {
        let text = "ffffffff81000000 T _text\nffffffff81000100 T get\nffffffff81001000 T _etext\nffffffff82000000 T _sdata\n\
                    ffffffff82000100 t table\nffffffff82100000 T get\nffffffff82200000 T _edata\nffffffff82300000 T _end\n";
        let table = Kallsyms::parse(text.into(), None).unwrap();
        assert!(table.copies_of("table").is_empty());
        let copies = table.copies_of("get");
        let places: Vec<u64> = copies.iter().map(|symbol| symbol.address).collect();
        assert_eq!(places, [0xffff_ffff_8100_0100]);
        assert_eq!(
            table.symbol_end(0xffff_ffff_8200_0100),
            0xffff_ffff_8210_0000
        );
    }

    /// Check that clones and namesakes are found, and neither cold parts nor data nor functions whose names only begin
    /// alike.
    #[test]
    fn copies() {
        let text = "ffffffff81000000 T _text\nffffffff81000100 t walk.part.0.constprop.0\nffffffff81000200 t walk.part.0.cold\n\
                    ffffffff81000300 T get\nffffffff81000400 t get.isra.0\nffffffff81000500 t get_more\nffffffff81000500 t get_more.part.0\n\
                    ffffffff81000600 t twin\nffffffff81000700 t twin\nffffffff81000800 d get.data\nffffffff81000900 T _end\n";
        let table = Kallsyms::parse(text.into(), None).unwrap();
        let names = |function: &str| -> Vec<String> {
            let copies = table.copies_of(function).into_iter();
            copies
                .map(|s| format!("{}@{:x}", s.name, s.address & 0xfff))
                .collect()
        };
        assert_eq!(names("walk"), ["walk.part.0.constprop.0@100"]);
        assert_eq!(names("get"), ["get@300", "get.isra.0@400"]);
        assert_eq!(names("get_more"), ["get_more@500"]);
        assert_eq!(names("twin"), ["twin@600", "twin@700"]);
        assert_eq!(names("walk.part.0"), ["walk.part.0.constprop.0@100"]);
        assert!(names("nothing").is_empty());
        assert!(!table.has_modules());
    }
}

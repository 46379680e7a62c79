//! Stand-ins for pointers into symbols of the kernel.

use std::collections::BTreeMap;

use crate::document::names::Names;
use crate::secrets::is_pointer;

/// The places of the symbols in an imaginary kernel, in which they follow each other in the order of their names.
pub(super) struct Layout {
    /// By live address: the size, and the number that stands for the first byte.
    symbols: BTreeMap<u64, (u64, u32)>,
    /// The first number after all symbols.
    pub end: u32,
}

impl Layout {
    /// Lays the symbols out, and puts them into that order. What is not a pointer keeps its place, ahead of all others. A
    /// symbol becomes as long as the last of its bytes that is used: its end was where the next one begins, which for
    /// a module or a trampoline is a distance of this boot. Of two that are alike, the one that is used first is first.
    pub fn new(names: &mut Names, used: &BTreeMap<u64, usize>) -> Self {
        let mut keyed: Vec<_> = names
            .symbols
            .drain(..)
            .map(|mut symbol| {
                let start = symbol.address.0;
                if !is_pointer(start) {
                    return ((false, start, String::new(), 0, 0), symbol);
                }
                let own = used.range(start..start.saturating_add(symbol.size));
                let last = own.clone().next_back().map_or(start, |(last, _)| *last);
                symbol.size = last - start + 1;
                let first = own.map(|(_, place)| *place).min().unwrap_or(usize::MAX);
                ((true, 0, symbol.name.clone(), symbol.size, first), symbol)
            })
            .collect();
        keyed.sort_by(|a, b| a.0.cmp(&b.0));
        names.symbols = keyed.into_iter().map(|(_, symbol)| symbol).collect();
        let mut layout = Layout {
            symbols: BTreeMap::new(),
            end: 1,
        };
        for symbol in names.symbols.iter().filter(|s| is_pointer(s.address.0)) {
            let size = u32::try_from(symbol.size).unwrap_or(u32::MAX);
            let place = (symbol.size, layout.end);
            layout.symbols.insert(symbol.address.0, place);
            layout.end = layout.end.saturating_add(size);
        }
        layout
    }

    /// The number of an address inside a symbol.
    pub fn number(&self, address: u64) -> Option<u32> {
        let (start, (size, base)) = self.symbols.range(..=address).next_back()?;
        let offset = address - start;
        (offset < *size)
            .then(|| u32::try_from(offset).ok()?.checked_add(*base))
            .flatten()
    }
}

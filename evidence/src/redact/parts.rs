//! Parts of addresses: 32-bit numbers that would reveal where something is.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value as Json;

use crate::document::value::Address;
use crate::secrets::{Secret, integer, is_address, is_pointer};

/// Lower halves of pointers, and slides: a 32-bit number that is equal to one counts as one.
pub(super) fn address_parts(document: &Json, secrets: &BTreeMap<Secret, String>) -> BTreeSet<u64> {
    let mut parts = low_halves(document);
    parts.extend(secrets.keys().filter_map(Secret::as_slide));
    parts
}

/// True if these 64 bits are an address or one of the `parts` of one. A lower half can have been read as a signed
/// number.
pub(super) fn leaks_address(bits: u64, parts: &BTreeSet<u64>) -> bool {
    let low = bits & u64::from(u32::MAX);
    let part = (bits == low || bits >> 31 == u64::MAX >> 31) && parts.contains(&low);
    is_address(bits) || part
}

/// The lower halves of all pointers, in both byte orders: a 32-bit number that is equal to one counts as one.
fn low_halves(node: &Json) -> BTreeSet<u64> {
    fn walk(node: &Json, out: &mut BTreeSet<u64>) {
        match node {
            Json::Object(map) => map.values().for_each(|child| walk(child, out)),
            Json::Array(list) => list.iter().for_each(|child| walk(child, out)),
            Json::String(text) => {
                let number = Address::parse(text).map(|a| a.0);
                let number = number.or_else(|| integer(node).filter(|n| is_address(*n)));
                let low = number
                    .filter(|n| is_pointer(*n))
                    .map(|n| n & u64::from(u32::MAX));
                // Also as a number of the network's byte order. A small number stands for much else.
                let swapped = low.map(|low| u64::from((low as u32).swap_bytes()));
                let both = low.into_iter().chain(swapped);
                out.extend(both.filter(|part| *part >= 1 << 20));
            }
            _ => {}
        }
    }
    let mut out = BTreeSet::new();
    walk(node, &mut out);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Check that the lower half of a pointer is a part of it in both orders of bytes, and that a small number never is.
    #[test]
    fn halves_in_both_orders() {
        let document = serde_json::json!({"a": "0xffffffff828613a0", "b": "0xffffffff81000000", "c": "0xffff888000001000"});
        let parts = address_parts(&document, &BTreeMap::new());
        for part in [0x8286_13a0, 0xa013_8682, 0x8100_0000, 0x0010_0000] {
            assert!(leaks_address(part, &parts), "{part:#x}");
        }
        for small in [0x81, 0x1000, 192] {
            assert!(!leaks_address(small, &parts), "{small:#x}");
        }
    }
}

//! Parts of addresses: numbers that would reveal where something is.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value as Json;

use crate::document::Evidence;
use crate::document::value::Address;
use crate::secrets::{AddressSpace, Secret, integer, is_pointer};

/// A smaller number stands for much else.
const SMALLEST_PART: u64 = 1 << 20;

/// The parts of all addresses of one document, and the rules of its architecture.
pub(super) struct AddressParts {
    /// Halves of pointers, slides, and halves of slides.
    numbers: BTreeSet<u64>,
    pub space: &'static AddressSpace,
}

impl AddressParts {
    /// Halves of the pointers in a document, and slides: a number that is equal to one counts as one.
    pub fn of(document: &Json, secrets: &BTreeMap<Secret, String>) -> Self {
        let space = AddressSpace::of_document(document);
        let mut numbers = pointer_halves(document, space);
        for slide in secrets.keys().filter_map(Secret::as_slide) {
            numbers.extend([slide, slide.wrapping_neg()]);
            if slide > u64::from(u32::MAX) {
                numbers.extend(low_half(slide));
            }
        }
        AddressParts { numbers, space }
    }

    /// No parts: for looking at what is no number.
    pub fn none(evidence: &Evidence) -> Self {
        AddressParts {
            numbers: BTreeSet::new(),
            space: AddressSpace::of_evidence(evidence),
        }
    }

    /// True if these 64 bits are an address, or a part of one. A half can have been read as a signed number.
    pub fn leak_in(&self, bits: u64) -> bool {
        let low = bits & u64::from(u32::MAX);
        let is_half = bits == low || bits >> 31 == u64::MAX >> 31;
        self.space.is_address(bits)
            || self.numbers.contains(&bits)
            || is_half && self.numbers.contains(&low)
    }
}

/// The lower half of a number in both byte orders, since it can have been read in the network's.
fn low_half(number: u64) -> impl Iterator<Item = u64> {
    let low = number & u64::from(u32::MAX);
    let both = [low, u64::from((low as u32).swap_bytes())];
    both.into_iter().filter(|part| *part >= SMALLEST_PART)
}

/// The halves of all pointers that reveal something.
fn pointer_halves(node: &Json, space: &AddressSpace) -> BTreeSet<u64> {
    fn walk(node: &Json, space: &AddressSpace, out: &mut BTreeSet<u64>) {
        match node {
            Json::Object(map) => map.values().for_each(|child| walk(child, space, out)),
            Json::Array(list) => list.iter().for_each(|child| walk(child, space, out)),
            Json::String(text) => {
                let number = Address::parse(text).map(|a| a.0);
                let number = number.or_else(|| integer(node).filter(|n| space.is_address(*n)));
                if let Some(number) = number.filter(|n| is_pointer(*n)) {
                    out.extend(low_half(number));
                    let upper = space.random_upper_half(number);
                    out.extend(upper.into_iter().flat_map(low_half));
                }
            }
            _ => {}
        }
    }
    let mut out = BTreeSet::new();
    walk(node, space, &mut out);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Check that the lower half of a pointer is a part of it in both orders of bytes, and that a small number never is.
    #[test]
    fn halves_in_both_orders() {
        let document = serde_json::json!({"a": "0xffffffff828613a0", "b": "0xffffffff81000000", "c": "0xffff888000001000"});
        let parts = AddressParts::of(&document, &BTreeMap::new());
        for part in [0x8286_13a0, 0xa013_8682, 0x8100_0000, 0x0010_0000] {
            assert!(parts.leak_in(part), "{part:#x}");
        }
        for small in [0x81, 0x1000, 192] {
            assert!(!parts.leak_in(small), "{small:#x}");
        }
    }

    /// Check that on arm64 a slide is a part, also where it is negative, and its lower half; and the upper half of a kernel address,
    /// which is random there and not on x86-64.
    #[test]
    fn large_slide() {
        const SLIDE: u64 = 0x1c9b_7960_0000;
        let live = "0xffff9c1bf9612340";
        let secrets = BTreeMap::from([(Secret::slide(SLIDE), "kaslr.slide".to_owned())]);
        let of = |arch| {
            let document = serde_json::json!({"kernel": {"arch": arch}, "a": live});
            AddressParts::of(&document, &secrets)
        };
        let parts = of("aarch64");
        let signed = |half: u32| i64::from(half.cast_signed()).cast_unsigned();
        for part in [
            SLIDE,
            SLIDE.wrapping_neg(),
            0x7960_0000,
            0xffff_9c1b,
            0x1b9c_ffff,
            signed(0xffff_9c1b),
            0xf961_2340,
            signed(0xf961_2340),
            0x5bef_9c1b_f961_2340 | 1 << 55,
        ] {
            assert!(parts.leak_in(part), "{part:#x}");
        }
        assert!(!parts.leak_in(0x1c9b));
        assert!(!of("x86_64").leak_in(0xffff_9c1b));
    }
}

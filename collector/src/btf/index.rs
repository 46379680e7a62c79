//! An index from names to types.

use super::kinds::{TypeId, kind};

/// The kind of name to look up: C keeps tags, ordinary names and functions apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NameKind {
    /// A function.
    Function,
    /// `struct NAME`
    Struct,
    /// `union NAME`
    Union,
    /// `enum NAME`
    Enum,
    /// A typedef.
    Typedef,
    /// A built-in integer type, such as `long unsigned int` (the compiler's spelling).
    Int,
    /// A variable.
    Variable,
    /// A section of variables.
    Section,
}

impl NameKind {
    pub(super) fn accepts(self, kind: u8) -> bool {
        match self {
            NameKind::Function => kind == kind::FUNC,
            NameKind::Struct => kind == kind::STRUCT,
            NameKind::Union => kind == kind::UNION,
            NameKind::Enum => kind == kind::ENUM || kind == kind::ENUM64,
            NameKind::Typedef => kind == kind::TYPEDEF,
            NameKind::Int => kind == kind::INT,
            NameKind::Variable => kind == kind::VAR,
            NameKind::Section => kind == kind::DATASEC,
        }
    }
}

/// Kinds that can be looked up, as a bit set.
pub(super) const INDEXED: u32 = 1 << kind::INT
    | 1 << kind::STRUCT
    | 1 << kind::UNION
    | 1 << kind::ENUM
    | 1 << kind::ENUM64
    | 1 << kind::TYPEDEF
    | 1 << kind::FUNC
    | 1 << kind::VAR
    | 1 << kind::DATASEC;

/// A chained hash table over the names of one BTF. Own code: it is filled in one pass without a copy of a name, which is
/// the speed that `docs/decisions/0004-own-btf.md` gives.
#[derive(Debug)]
pub(super) struct NameIndex {
    /// Per bucket, the number of its first entry, counted from 1; 0: none.
    heads: Vec<u32>,
    entries: Vec<NameEntry>,
}

#[derive(Debug)]
struct NameEntry {
    id: u32,
    name: u32,
    kind: u8,
    /// Next entry of the bucket, as in `heads`.
    next: u32,
}

/// Hash of the bytes before the first NUL, eight at a time: names are hashed once each for the whole
/// kernel, so this is the reader's hottest loop. Stops at the end of `text`.
fn hash(text: &[u8]) -> u64 {
    const LOW: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x8080_8080_8080_8080;
    let mut hash = 0u64;
    let mut mix = |word: u64| {
        hash = (hash.rotate_left(5) ^ word).wrapping_mul(0x517c_c1b7_2722_0a95);
    };
    let mut rest = text;
    while let Some((eight, after)) = rest.split_first_chunk::<8>() {
        let word = u64::from_le_bytes(*eight);
        // The lowest set bit of `zeros` is in the first NUL byte (higher ones may be false).
        let zeros = word.wrapping_sub(LOW) & !word & HIGH;
        if zeros != 0 {
            let before = zeros.trailing_zeros() & !7;
            mix(word & ((1u64 << before) - 1));
            return hash;
        }
        mix(word);
        rest = after;
    }
    let mut last = [0; 8];
    for (to, &from) in last
        .iter_mut()
        .zip(rest.iter().take_while(|&&byte| byte != 0))
    {
        *to = from;
    }
    mix(u64::from_le_bytes(last));
    hash
}

/// Is `name` the NUL-terminated string that `text` starts with?
fn is_named(text: &[u8], name: &[u8]) -> bool {
    text.get(name.len()) == Some(&0) && text.starts_with(name)
}

impl NameIndex {
    /// Index the named types `named`: number, kind, offset of the name, and the bytes from there on. There are at most
    /// `count` of them.
    pub(super) fn build<'a>(
        count: usize,
        named: impl Iterator<Item = (TypeId, u8, u32, &'a [u8])>,
    ) -> Self {
        let buckets = (count / 2).next_power_of_two().max(16);
        let mut index = NameIndex {
            heads: vec![0; buckets],
            entries: Vec::with_capacity(count * 3 / 4),
        };
        for (id, kind, name, text) in named {
            let head = &mut index.heads[bucket(hash(text), buckets)];
            index.entries.push(NameEntry {
                id: id.0,
                name,
                kind,
                next: *head,
            });
            *head = index.entries.len() as u32;
        }
        index
    }

    /// All types called `name`, in the order of their numbers. `text` gives the bytes from the offset of a name on.
    pub(super) fn find<'a>(
        &self,
        wanted: NameKind,
        name: &str,
        text: impl Fn(u32) -> Option<&'a [u8]>,
    ) -> Vec<TypeId> {
        let mut found = Vec::new();
        let mut next = self.heads[bucket(hash(name.as_bytes()), self.heads.len())];
        // An entry's `next` is always smaller than its own number, so this ends.
        while let Some(entry) = (next as usize)
            .checked_sub(1)
            .and_then(|slot| self.entries.get(slot))
        {
            if wanted.accepts(entry.kind)
                && text(entry.name).is_some_and(|text| is_named(text, name.as_bytes()))
            {
                found.push(TypeId(entry.id));
            }
            next = entry.next;
        }
        found.reverse();
        found
    }
}

fn bucket(hash: u64, buckets: usize) -> usize {
    // The product's high bits are the mixed ones.
    (hash >> 32) as usize & (buckets - 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Check that the hash depends on the bytes before the first NUL only, wherever the slice ends.
        #[test]
        fn hash_ends_at_nul(name in "[a-zA-Z0-9_\u{80}-\u{ff}]{0,40}", tail in proptest::collection::vec(any::<u8>(), 0..20)) {
            let mut text = name.clone().into_bytes();
            text.push(0);
            text.extend(tail);
            prop_assert_eq!(hash(&text), hash(name.as_bytes()));
        }
    }
}

//! Names to types.

use super::{Btf, BtfError, TypeId, raw::kind};

/// What a name is looked up as: C keeps tags, ordinary names and functions apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
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
}

impl Wanted {
    fn accepts(self, kind: u8) -> bool {
        match self {
            Wanted::Function => kind == kind::FUNC,
            Wanted::Struct => kind == kind::STRUCT,
            Wanted::Union => kind == kind::UNION,
            Wanted::Enum => kind == kind::ENUM || kind == kind::ENUM64,
            Wanted::Typedef => kind == kind::TYPEDEF,
            Wanted::Int => kind == kind::INT,
        }
    }
}

/// Kinds that can be looked up, as a bit set.
const INDEXED: u32 = 1 << kind::INT
    | 1 << kind::STRUCT
    | 1 << kind::UNION
    | 1 << kind::ENUM
    | 1 << kind::ENUM64
    | 1 << kind::TYPEDEF
    | 1 << kind::FUNC;

/// A chained hash table over the names of one BTF.
#[derive(Debug)]
pub(super) struct NameIndex {
    /// Per bucket, the number of its first entry, counted from 1; 0: none.
    heads: Vec<u32>,
    entries: Vec<Entry>,
}

#[derive(Debug)]
struct Entry {
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
    fn build(btf: &Btf) -> Self {
        let count = (btf.end_id() - btf.base().map_or(1, Btf::end_id)) as usize;
        let buckets = (count / 2).next_power_of_two().max(16);
        let mut index = NameIndex {
            heads: vec![0; buckets],
            entries: Vec::with_capacity(count * 3 / 4),
        };
        for (id, kind, name) in btf.heads() {
            if name == 0 || INDEXED >> kind & 1 == 0 {
                continue;
            }
            let Some(text) = btf.string(name) else {
                continue;
            };
            let head = &mut index.heads[bucket(hash(text), buckets)];
            index.entries.push(Entry {
                id: id.0,
                name,
                kind,
                next: *head,
            });
            *head = index.entries.len() as u32;
        }
        index
    }
}

fn bucket(hash: u64, buckets: usize) -> usize {
    // The product's high bits are the mixed ones.
    (hash >> 32) as usize & (buckets - 1)
}

impl<'a> Btf<'a> {
    /// The bytes from name offset `name` on, in the section that holds it.
    pub(super) fn string(&self, name: u32) -> Option<&'a [u8]> {
        self.own_string(name).or_else(|| self.base()?.string(name))
    }

    /// All types called `name`, in the order of their numbers, those of the base included. Usually none
    /// or one; compilation units that disagree about a structure give several.
    pub fn find(&self, wanted: Wanted, name: &str) -> Vec<TypeId> {
        let mut found = self
            .base()
            .map_or_else(Vec::new, |base| base.find(wanted, name));
        // A NUL ends a name in BTF, so no name holds one.
        if name.is_empty() || name.contains('\0') {
            return found;
        }
        let own = found.len();
        let index = self.index.get_or_init(|| NameIndex::build(self));
        let mut next = index.heads[bucket(hash(name.as_bytes()), index.heads.len())];
        // An entry's `next` is always smaller than its own number, so this ends.
        while let Some(entry) = (next as usize)
            .checked_sub(1)
            .and_then(|slot| index.entries.get(slot))
        {
            if wanted.accepts(entry.kind)
                && self
                    .string(entry.name)
                    .is_some_and(|text| is_named(text, name.as_bytes()))
            {
                found.push(TypeId(entry.id));
            }
            next = entry.next;
        }
        found[own..].reverse();
        found
    }

    /// Call `visit` with the number and name of each `wanted` type of this BTF and its base.
    pub(super) fn each(
        &self,
        wanted: Wanted,
        visit: &mut dyn FnMut(TypeId, &'a str),
    ) -> Result<(), BtfError> {
        if let Some(base) = self.base() {
            base.each(wanted, visit)?;
        }
        for (id, kind, name) in self.heads() {
            if name != 0 && wanted.accepts(kind) {
                visit(id, self.name(id, name)?);
            }
        }
        Ok(())
    }

    /// Call `visit` with the bytes from each `wanted` name on, of this BTF and its base: the name, a NUL, and more.
    pub(super) fn each_text(&self, wanted: Wanted, visit: &mut dyn FnMut(&'a [u8])) {
        if let Some(base) = self.base() {
            base.each_text(wanted, visit);
        }
        for (_, kind, name) in self.heads() {
            if name != 0
                && wanted.accepts(kind)
                && let Some(text) = self.string(name)
            {
                visit(text);
            }
        }
    }
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

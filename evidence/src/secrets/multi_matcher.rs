//! Search for thousands of needles in one pass over a text.
//!
//! Each needle is indexed by its last bytes. The text is read once: wherever a Bloom-like filter (one bit per hash of such an
//! ending) says that a needle may end, the needles with that ending are compared. An automaton for the same needles takes
//! longer to build than to use on a document, and most of what is searched is one document.
//!
//! There are two such indexes, of needles with endings of six bytes and of four: the lowest bytes of addresses are thousands
//! of needles of four bytes, which are looked for in each picture and each font of a site.

/// Bits of a hash: some thousands of needles leave nearly all bits of the filter unset.
const HASH_BITS: u32 = 18;

/// Needles, prepared for the search.
#[derive(Debug)]
pub(super) struct MultiMatcher {
    needles: Vec<Needle>,
    long: Endings<6>,
    middle: Endings<4>,
    /// Needles without such endings. They are few, and each is searched for separately.
    short: Vec<usize>,
}

/// Needles by their last `SIZE` bytes, at most eight.
#[derive(Debug)]
struct Endings<const SIZE: usize> {
    /// One bit per hash of an ending.
    filter: Vec<u64>,
    /// Endings, ascending, and the needles that have them.
    needles: Vec<(u64, usize)>,
}

#[derive(Debug)]
struct Needle {
    bytes: Vec<u8>,
    any_case: bool,
}

impl Needle {
    fn matches(&self, bytes: &[u8]) -> bool {
        match self.any_case {
            true => self.bytes.eq_ignore_ascii_case(bytes),
            false => self.bytes == bytes,
        }
    }
}

fn hash(ending: u64) -> usize {
    (ending.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (64 - HASH_BITS)) as usize
}

impl<const SIZE: usize> Endings<SIZE> {
    /// The bit that distinguishes small letters from capitals, in all bytes of an ending.
    const SMALL: u64 = 0x2020_2020_2020_2020 >> (8 * (8 - SIZE));

    /// The last bytes as a number, lower-cased: equal texts give equal numbers, not the reverse.
    fn number(eight: [u8; 8]) -> u64 {
        // The last bytes of a number that begins with its lowest byte are the highest.
        u64::from_le_bytes(eight) >> (8 * (8 - SIZE)) | Self::SMALL
    }

    /// File those of `needles` that `of` gives the numbers of.
    fn new(needles: &[Needle], of: impl Iterator<Item = usize>) -> Self {
        let mut found = Endings {
            filter: vec![0; 1 << (HASH_BITS - 6)],
            needles: Vec::new(),
        };
        for index in of {
            let Some((_, last)) = needles[index].bytes.split_last_chunk::<SIZE>() else {
                continue;
            };
            let mut eight = [0; 8];
            eight[8 - SIZE..].copy_from_slice(last);
            let ending = Self::number(eight);
            let hash = hash(ending);
            found.filter[hash >> 6] |= 1 << (hash & 63);
            found.needles.push((ending, index));
        }
        found.needles.sort_unstable();
        found
    }

    /// Call `visit` with the end of each place where one of these needles may end, and with the needle.
    fn find(&self, text: &[u8], visit: &mut dyn FnMut(usize, usize)) {
        if self.needles.is_empty() {
            return;
        }
        // Ends that are nearer to the beginning than eight bytes have some before them here.
        let mut head = [0; 16];
        let few = text.len().min(8);
        head[8..8 + few].copy_from_slice(&text[..few]);
        for (end, eight) in (1..=few).zip(head[1..].windows(8)) {
            self.visit_ends(end, eight, visit);
        }
        for (end, eight) in (9..).zip(text.windows(8).skip(1)) {
            self.visit_ends(end, eight, visit);
        }
    }

    /// Call `visit` with the needles that may end where `eight` bytes do.
    #[inline(always)]
    fn visit_ends(&self, end: usize, eight: &[u8], visit: &mut dyn FnMut(usize, usize)) {
        let Ok(eight) = eight.try_into() else { return };
        let ending = Self::number(eight);
        let hash = hash(ending);
        if self.filter[hash >> 6] >> (hash & 63) & 1 == 1 {
            self.visit_ending(end, ending, visit);
        }
    }

    #[cold]
    fn visit_ending(&self, end: usize, ending: u64, visit: &mut dyn FnMut(usize, usize)) {
        let first = self.needles.partition_point(|(known, _)| *known < ending);
        let same = self.needles[first..]
            .iter()
            .take_while(|(known, _)| *known == ending);
        for &(_, index) in same {
            visit(end, index);
        }
    }
}

impl MultiMatcher {
    /// Prepare the search for needles, none of them empty, in either case if so wanted.
    pub fn new(needles: impl Iterator<Item = (Vec<u8>, bool)>) -> Self {
        let needles: Vec<Needle> = needles
            .map(|(bytes, any_case)| Needle { bytes, any_case })
            .collect();
        let of_length = |lengths: std::ops::RangeInclusive<usize>| {
            let all = needles.iter().enumerate();
            all.filter(move |(_, needle)| lengths.contains(&needle.bytes.len()))
                .map(|(index, _)| index)
        };
        MultiMatcher {
            long: Endings::new(&needles, of_length(6..=usize::MAX)),
            middle: Endings::new(&needles, of_length(4..=5)),
            short: of_length(1..=3).collect(),
            needles,
        }
    }

    /// Call `visit` with the number of each needle and where it begins and ends in `text`, overlapping or not.
    pub fn find(&self, text: &[u8], visit: &mut dyn FnMut(usize, usize, usize)) {
        let mut compare = |end: usize, index: usize| {
            let needle = &self.needles[index];
            if let Some(start) = end.checked_sub(needle.bytes.len())
                && needle.matches(&text[start..end])
            {
                visit(index, start, end);
            }
        };
        self.long.find(text, &mut compare);
        self.middle.find(text, &mut compare);
        for &index in &self.short {
            let needle = &self.needles[index];
            for (start, piece) in text.windows(needle.bytes.len()).enumerate() {
                if needle.matches(piece) {
                    visit(index, start, start + needle.bytes.len());
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Check that exactly what a comparison at every place finds is found: needles of all lengths, also at the ends
        /// of the text, overlapping, in either case or in their own.
        #[test]
        fn finds_what_is_there(
            text in "[aAbB@`0]{0,40}",
            needles in proptest::collection::vec(("[aAbB@`0]{1,12}", any::<bool>()), 0..30),
        ) {
            let mut expected = Vec::new();
            for (index, (needle, any_case)) in needles.iter().enumerate() {
                for start in 0..text.len() {
                    let here = text[start..].get(..needle.len());
                    let same = |here: &str| match any_case {
                        true => here.eq_ignore_ascii_case(needle),
                        false => here == needle,
                    };
                    if here.is_some_and(same) {
                        expected.push((index, start));
                    }
                }
            }
            let bytes = needles.iter().map(|(n, any_case)| (n.clone().into_bytes(), *any_case));
            let mut found = Vec::new();
            MultiMatcher::new(bytes).find(text.as_bytes(), &mut |index, start, _| found.push((index, start)));
            found.sort_unstable();
            prop_assert_eq!(found, expected);
        }
    }
}

//! Thousands of needles in one look at a text.
//!
//! Each needle is filed under its last bytes. The text is read once: where a filter of one bit per hash of such an ending
//! says that some needle may end, those filed there are compared. An automaton for the same needles takes longer to
//! build than to use on a document, and most of what is searched is one document.

/// The bytes of an ending. Shorter needles are few, and each is looked for by itself.
const ENDING: usize = 6;

/// Bits of a hash: some thousands of needles leave nearly all bits of the filter unset.
const HASH_BITS: u32 = 18;

/// Needles, ready to be looked for.
#[derive(Debug)]
pub(super) struct MultiMatcher {
    needles: Vec<Needle>,
    /// One bit per hash of an ending.
    filter: Vec<u64>,
    /// Endings, ascending, and the needles that have them.
    endings: Vec<(u64, usize)>,
    /// Needles without one.
    short: Vec<usize>,
}

#[derive(Debug)]
struct Needle {
    bytes: Vec<u8>,
    any_case: bool,
}

impl Needle {
    fn is(&self, bytes: &[u8]) -> bool {
        match self.any_case {
            true => self.bytes.eq_ignore_ascii_case(bytes),
            false => self.bytes == bytes,
        }
    }
}

/// An ending as a number. The bit that tells small letters from capitals is set in all bytes: what has the same number
/// may differ, what is the same has the same number.
fn ending(eight: [u8; 8]) -> u64 {
    const SMALL: u64 = 0x2020_2020_2020;
    // The last bytes of a number that begins with its lowest byte are the highest.
    u64::from_le_bytes(eight) >> (8 * (8 - ENDING)) | SMALL
}

fn hash(ending: u64) -> usize {
    (ending.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (64 - HASH_BITS)) as usize
}

impl MultiMatcher {
    /// Prepares the search for needles, none of them empty, in either case if so wanted.
    pub fn new(needles: impl Iterator<Item = (Vec<u8>, bool)>) -> Self {
        let needles: Vec<Needle> = needles
            .map(|(bytes, any_case)| Needle { bytes, any_case })
            .collect();
        let (mut endings, mut short) = (Vec::new(), Vec::new());
        let mut filter = vec![0; 1 << (HASH_BITS - 6)];
        for (index, needle) in needles.iter().enumerate() {
            let Some((_, last)) = needle.bytes.split_last_chunk::<ENDING>() else {
                short.push(index);
                continue;
            };
            let mut eight = [0; 8];
            eight[8 - ENDING..].copy_from_slice(last);
            let ending = ending(eight);
            let hash = hash(ending);
            filter[hash >> 6] |= 1 << (hash & 63);
            endings.push((ending, index));
        }
        endings.sort_unstable();
        MultiMatcher {
            needles,
            filter,
            endings,
            short,
        }
    }

    /// Calls `visit` with the number of each needle and where it begins and ends in `text`, overlapping or not.
    pub fn find(&self, text: &[u8], visit: &mut dyn FnMut(usize, usize, usize)) {
        // Ends that are nearer to the beginning than eight bytes have some before them here.
        let mut head = [0; 16];
        let few = text.len().min(8);
        head[8..8 + few].copy_from_slice(&text[..few]);
        for (end, eight) in (1..=few).zip(head[1..].windows(8)) {
            self.ends_at(text, end, eight, visit);
        }
        for (end, eight) in (9..).zip(text.windows(8).skip(1)) {
            self.ends_at(text, end, eight, visit);
        }
        for &index in &self.short {
            let needle = &self.needles[index];
            for (start, piece) in text.windows(needle.bytes.len()).enumerate() {
                if needle.is(piece) {
                    visit(index, start, start + needle.bytes.len());
                }
            }
        }
    }

    /// The needles that end where `eight` bytes do.
    #[inline(always)]
    fn ends_at(
        &self,
        text: &[u8],
        end: usize,
        eight: &[u8],
        visit: &mut dyn FnMut(usize, usize, usize),
    ) {
        let Ok(eight) = eight.try_into() else { return };
        let ending = ending(eight);
        let hash = hash(ending);
        if self.filter[hash >> 6] >> (hash & 63) & 1 == 1 {
            self.compare(text, end, ending, visit);
        }
    }

    #[cold]
    fn compare(
        &self,
        text: &[u8],
        end: usize,
        ending: u64,
        visit: &mut dyn FnMut(usize, usize, usize),
    ) {
        let first = self.endings.partition_point(|(known, _)| *known < ending);
        let same = self.endings[first..]
            .iter()
            .take_while(|(known, _)| *known == ending);
        for &(_, index) in same {
            let needle = &self.needles[index];
            if let Some(start) = end.checked_sub(needle.bytes.len())
                && needle.is(&text[start..end])
            {
                visit(index, start, end);
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

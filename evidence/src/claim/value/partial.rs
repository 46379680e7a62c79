//! Questions about truncated values: those that the stored beginning answers, and those that it does not.
//!
//! A question is answered only if every continuation of the stored part gives the same answer. All others are undecided.

use std::cmp::Ordering;

use super::cut::{Prefix, TruncatedValue};
use super::failure::Failure;
use super::typed::Typed;

/// The part of a text or of bytes that a question sees: all of it, or its beginning.
#[derive(Clone, Copy)]
pub(in crate::claim) struct Haystack<'t> {
    bytes: &'t [u8],
    /// The value that was cut.
    beginning: Option<&'t TruncatedValue>,
}

impl<'t> Haystack<'t> {
    /// Of a text, whole or cut.
    pub fn text(value: &'t Typed) -> Option<Self> {
        match value {
            Typed::Text(text) => Some(Haystack::from_whole(text.as_bytes())),
            Typed::Name(names) => match names.as_slice() {
                [only] => Some(Haystack::from_whole(only.as_bytes())),
                _ => None,
            },
            Typed::Cut(beginning) => match &beginning.prefix {
                Prefix::Text(text) => Some(Haystack::from_truncated(text.as_bytes(), beginning)),
                _ => None,
            },
            _ => None,
        }
    }

    /// Of bytes, whole or cut.
    pub fn bytes(value: &'t Typed) -> Option<Self> {
        match value {
            Typed::Bytes(bytes) => Some(Haystack::from_whole(bytes)),
            Typed::Cut(beginning) => match &beginning.prefix {
                Prefix::Bytes(bytes) => Some(Haystack::from_truncated(bytes, beginning)),
                _ => None,
            },
            _ => None,
        }
    }

    /// Of bytes that are all there.
    pub fn from_whole(bytes: &'t [u8]) -> Self {
        Haystack {
            bytes,
            beginning: None,
        }
    }

    fn from_truncated(bytes: &'t [u8], beginning: &'t TruncatedValue) -> Self {
        Haystack {
            bytes,
            beginning: Some(beginning),
        }
    }

    /// Its length, where that is known.
    fn known_length(&self) -> Option<u64> {
        match self.beginning {
            Some(beginning) => beginning.cut.whole,
            None => Some(self.bytes.len() as u64),
        }
    }

    /// True if it may begin with what is seen of `other`, as far as both are seen.
    fn may_begin_like(&self, other: &Haystack<'_>) -> bool {
        let both = self.bytes.len().min(other.bytes.len());
        self.bytes[..both] == other.bytes[..both]
    }

    /// True if the whole of it is certainly shorter than what is seen of `other`.
    fn is_shorter_than(&self, other: &Haystack<'_>) -> bool {
        self.known_length().is_some_and(|length| {
            length < other.bytes.len() as u64
                || other.known_length().is_some_and(|other| length < other)
        })
    }

    /// The byte at `place`; `Ok(None)`: there is none.
    pub fn byte(&self, place: i128) -> Result<Option<u8>, Failure> {
        let seen = usize::try_from(place)
            .ok()
            .and_then(|at| self.bytes.get(at));
        match (seen, self.beginning) {
            (Some(byte), _) => Ok(Some(*byte)),
            (None, Some(beginning)) if place >= 0 => match beginning.cut.whole {
                Some(whole) if place >= i128::from(whole) => Ok(None),
                _ => Err(beginning.unknown_end_failure()),
            },
            (None, _) => Ok(None),
        }
    }

    /// Its length, where that is known.
    pub fn len(&self) -> Result<u64, Failure> {
        match self.beginning {
            Some(beginning) => beginning.length(),
            None => Ok(self.bytes.len() as u64),
        }
    }
}

/// The failure if `a` or `b`, one of which is truncated, does not decide the question.
fn undecidable_failure(a: &Haystack<'_>, b: &Haystack<'_>) -> Failure {
    match a.beginning.or(b.beginning) {
        Some(beginning) => beginning.unknown_end_failure(),
        // Two whole values always decide; without this, a mistake here would be an answer.
        None => Failure::Missing("it is not known".into()),
    }
}

/// The comparison of two texts, or of two arrays of bytes. If one of them is truncated, it can only be known that they are
/// different.
pub(in crate::claim) fn compare(a: &Haystack<'_>, b: &Haystack<'_>) -> Result<Ordering, Failure> {
    if a.beginning.is_none() && b.beginning.is_none() {
        return Ok(a.bytes.cmp(b.bytes));
    }
    let lengths_differ = match (a.known_length(), b.known_length()) {
        (Some(x), Some(y)) => x != y,
        _ => a.is_shorter_than(b) || b.is_shorter_than(a),
    };
    if lengths_differ || !a.may_begin_like(b) {
        return Ok(a.bytes.cmp(b.bytes).then(Ordering::Less));
    }
    Err(undecidable_failure(a, b))
}

/// Test whether `text` contains `part`.
pub(in crate::claim) fn contains(
    text: &Haystack<'_>,
    part: &Haystack<'_>,
) -> Result<bool, Failure> {
    let within = part.bytes.is_empty()
        || text
            .bytes
            .windows(part.bytes.len())
            .any(|window| window == part.bytes);
    match (within, text.beginning, part.beginning) {
        (within, _, None) if within => Ok(true),
        (_, None, None) => Ok(false),
        // The whole of the part would be even longer.
        (false, None, Some(_)) => Ok(false),
        _ if text.is_shorter_than(part) => Ok(false),
        _ => Err(undecidable_failure(text, part)),
    }
}

/// Test whether `text` starts with `part`.
pub(in crate::claim) fn starts_with(
    text: &Haystack<'_>,
    part: &Haystack<'_>,
) -> Result<bool, Failure> {
    if !text.may_begin_like(part) || text.is_shorter_than(part) {
        return Ok(false);
    }
    if part.beginning.is_none() && part.bytes.len() <= text.bytes.len() {
        return Ok(true);
    }
    Err(undecidable_failure(text, part))
}

/// Test whether `text` ends with `part`.
pub(in crate::claim) fn ends_with(
    text: &Haystack<'_>,
    part: &Haystack<'_>,
) -> Result<bool, Failure> {
    match (text.beginning, part.beginning) {
        (None, None) => Ok(text.bytes.ends_with(part.bytes)),
        (_, None) if part.bytes.is_empty() => Ok(true),
        // It would stand somewhere in the text.
        (None, Some(_)) if !contains(text, &Haystack::from_whole(part.bytes))? => Ok(false),
        _ if text.is_shorter_than(part) => Ok(false),
        _ => Err(undecidable_failure(text, part)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::value::Cut;
    use proptest::prelude::*;

    fn cut(text: &str, whole: Option<usize>) -> Typed {
        Typed::Cut(TruncatedValue {
            prefix: Prefix::Text(text.into()),
            cut: Cut {
                whole: whole.map(|length| length as u64),
            },
        })
    }

    type Question = fn(&Haystack<'_>, &Haystack<'_>) -> Result<bool, Failure>;

    const QUESTIONS: &[(&str, Question)] = &[
        ("contains", contains),
        ("starts_with", starts_with),
        ("ends_with", ends_with),
        ("equal", |a, b| compare(a, b).map(Ordering::is_eq)),
    ];

    /// A text cut somewhere, with or without its length; or the whole.
    fn variants(text: &str) -> Vec<Typed> {
        let mut list = vec![Typed::Text(text.into())];
        for end in (0..text.len()).filter(|end| text.is_char_boundary(*end)) {
            list.push(cut(&text[..end], None));
            list.push(cut(&text[..end], Some(text.len())));
        }
        list
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(400))]

        /// Check that whatever is answered of values that were cut, anywhere and both of them, is what the whole values
        /// answer.
        #[test]
        fn answers_are_those_of_the_whole(a in "[abé]{0,6}", b in "[abé]{0,4}") {
            let (whole_a, whole_b) = (Typed::Text(a.clone()), Typed::Text(b.clone()));
            let (seen_a, seen_b) = (Haystack::text(&whole_a).unwrap(), Haystack::text(&whole_b).unwrap());
            for (name, question) in QUESTIONS {
                let truth = question(&seen_a, &seen_b).unwrap();
                for x in variants(&a) {
                    for y in variants(&b) {
                        let answer = question(&Haystack::text(&x).unwrap(), &Haystack::text(&y).unwrap());
                        if let Ok(answer) = answer {
                            prop_assert_eq!(answer, truth, "{} of {:?} and {:?}", name, x, y);
                        }
                    }
                }
            }
        }

        /// Check that each byte of a value that was cut is that of the whole, and that none is said to be missing which
        /// is there.
        #[test]
        fn bytes_are_those_of_the_whole(bytes in proptest::collection::vec(any::<u8>(), 1..9), end in 0..8_usize, known: bool, place in -2..12_i128) {
            let end = end.min(bytes.len() - 1);
            let whole = Typed::Bytes(bytes.clone());
            let retained = Typed::Cut(TruncatedValue {
                prefix: Prefix::Bytes(bytes[..end].to_vec()),
                cut: Cut { whole: known.then_some(bytes.len() as u64) },
            });
            let truth = Haystack::bytes(&whole).unwrap().byte(place).unwrap();
            if let Ok(answer) = Haystack::bytes(&retained).unwrap().byte(place) {
                prop_assert_eq!(answer, truth);
            }
        }
    }

    /// Check what is decided by a beginning and what is not.
    #[test]
    fn what_follows() {
        let path = cut("/a/long/path", None);
        let text = |text: &str| Typed::Text(text.into());
        let ask = |question: Question, a: &Typed, b: &Typed| {
            question(&Haystack::text(a).unwrap(), &Haystack::text(b).unwrap()).ok()
        };
        let equal: Question = |a, b| compare(a, b).map(Ordering::is_eq);
        assert_eq!(ask(contains, &path, &text("long")), Some(true));
        assert_eq!(ask(contains, &path, &text("shadow")), None);
        assert_eq!(ask(starts_with, &path, &text("/a/")), Some(true));
        assert_eq!(ask(starts_with, &path, &text("/b/")), Some(false));
        assert_eq!(ask(starts_with, &path, &text("/a/long/path/on")), None);
        assert_eq!(ask(ends_with, &path, &text("path")), None);
        assert_eq!(ask(equal, &path, &text("/a/long/path")), None);
        assert_eq!(ask(equal, &path, &text("/a/long/path/on")), None);
        assert_eq!(ask(equal, &path, &text("/a/lo")), Some(false));
        assert_eq!(ask(equal, &path, &text("/b")), Some(false));
        let known = cut("/a/long/path", Some(14));
        assert_eq!(ask(equal, &known, &text("/a/long/path")), Some(false));
        assert_eq!(ask(equal, &known, &text("/a/long/path/x")), None);
        assert_eq!(ask(contains, &known, &text("fifteen letters")), Some(false));
    }
}

//! Search for secrets in bytes, in every form in which they could occur there.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use super::multi_matcher::MultiMatcher;
use super::secret::{Secret, SecretKind};
use super::spellings::{Around, Needle, Spellings};

/// A secret that was found. Its value is never printed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SecretMatch {
    /// Byte where it begins.
    pub offset: usize,
    /// The leaf of the evidence that says it.
    pub leaf: String,
    /// The secret, for telling it from others of the same leaf.
    pub secret: Secret,
    /// The form in which it is written there.
    pub form: &'static str,
}

/// All forms of all secrets, prepared for the search.
#[derive(Debug)]
pub struct Searcher {
    /// Each secret with its leaf.
    secrets: Vec<(Secret, String)>,
    /// The patterns that are searched for in the unchanged bytes.
    plain: (MultiMatcher, Vec<Needle>),
    /// Digits in groups: searched for in bytes after [`strip_gaps`].
    grouped: (MultiMatcher, Vec<Needle>),
    /// Four bytes of an address: searched for in texts with bytes that are not text.
    raw: (MultiMatcher, Vec<Needle>),
    /// The number of secrets that are not searched for, because another machine makes the same number known.
    pub coincidences: usize,
}

impl Searcher {
    /// Prepare the search for `secrets`, which are named by their leaves, without those in `known`.
    pub fn new(secrets: &BTreeMap<Secret, String>, known: &BTreeSet<Secret>) -> Self {
        let mut searched = Vec::new();
        let mut spelled = Spellings::default();
        for (secret, leaf) in secrets {
            if known.contains(secret) {
                continue;
            }
            let index = searched.len();
            searched.push((secret.clone(), leaf.clone()));
            match (secret.kind, secret.as_number()) {
                (SecretKind::Pointer, Some(number)) => spelled.add_pointer(number, index),
                (SecretKind::Word, Some(number)) => spelled.add_word(number, index),
                (SecretKind::Slide, Some(number)) => spelled.add_slide(number, index),
                _ => spelled.add_memory(&secret.bytes, index),
            }
        }
        let [plain, grouped, raw] = spelled.build_matchers();
        Searcher {
            coincidences: secrets.len() - searched.len(),
            secrets: searched,
            plain,
            grouped,
            raw,
        }
    }

    /// The number of secrets that are searched for.
    pub fn len(&self) -> usize {
        self.secrets.len()
    }

    /// True if there is nothing to search for.
    pub fn is_empty(&self) -> bool {
        self.secrets.is_empty()
    }

    /// Every secret in `bytes`, each once, at its first occurrence.
    pub fn find(&self, bytes: &[u8]) -> Vec<SecretMatch> {
        let mut first: BTreeMap<usize, (usize, &'static str)> = BTreeMap::new();
        self.visit(bytes, &mut |secret, place, form| {
            let known = first.entry(secret).or_insert((place.start, form));
            if place.start < known.0 {
                *known = (place.start, form);
            }
        });
        let mut found: Vec<SecretMatch> = first
            .into_iter()
            .map(|(secret, (offset, form))| self.secret_match(secret, offset, form))
            .collect();
        found.sort_unstable();
        found
    }

    /// Every place where a secret stands, in the order of places. Forms that overlap are one place.
    pub fn find_all(&self, bytes: &[u8]) -> Vec<SecretMatch> {
        let mut all: Vec<(usize, Range<usize>, &'static str)> = Vec::new();
        self.visit(bytes, &mut |secret, place, form| {
            all.push((secret, place, form));
        });
        all.sort_unstable_by_key(|(secret, place, _)| (*secret, place.start, place.end));
        let mut found: Vec<SecretMatch> = Vec::new();
        let mut last: Option<(usize, usize)> = None;
        for (secret, place, form) in all {
            match &mut last {
                Some((same, end)) if *same == secret && place.start < *end => {
                    *end = place.end.max(*end);
                }
                _ => {
                    last = Some((secret, place.end));
                    found.push(self.secret_match(secret, place.start, form));
                }
            }
        }
        found.sort_unstable();
        found
    }

    fn secret_match(&self, index: usize, offset: usize, form: &'static str) -> SecretMatch {
        let (secret, leaf) = self.secrets[index].clone();
        SecretMatch {
            offset,
            leaf,
            secret,
            form,
        }
    }

    /// Call `visit` with the number of each secret, where it stands and in which form, in any order.
    fn visit(&self, bytes: &[u8], visit: &mut dyn FnMut(usize, Range<usize>, &'static str)) {
        let (grams, needles) = &self.plain;
        grams.find(bytes, &mut |index, start, end| {
            let needle = &needles[index];
            if is_whole_word(bytes, start, end, needle.around) {
                visit(needle.secret, start..end, needle.form);
            }
        });
        if is_broken_text(bytes) {
            let (grams, needles) = &self.raw;
            grams.find(bytes, &mut |index, start, end| {
                visit(needles[index].secret, start..end, needles[index].form);
            });
        }
        let (grams, needles) = &self.grouped;
        let text = strip_gaps(bytes, &mut |_| ());
        let mut grouped: Vec<(usize, usize, usize)> = Vec::new();
        grams.find(&text, &mut |index, start, end| {
            grouped.push((index, start, end - 1));
        });
        if grouped.is_empty() {
            return;
        }
        let mut origins = Vec::with_capacity(text.len());
        strip_gaps(bytes, &mut |stretch| origins.extend(stretch));
        for (index, first, last) in grouped {
            let (start, end) = (origins[first], origins[last] + 1);
            let needle = &needles[index];
            if is_whole_word(bytes, start, end, needle.around) {
                visit(needle.secret, start..end, needle.form);
            }
        }
    }
}

/// True if bytes are a text with some in it that are none.
fn is_broken_text(bytes: &[u8]) -> bool {
    let strange: usize = bytes.utf8_chunks().map(|chunk| chunk.invalid().len()).sum();
    strange > 0 && strange <= bytes.len() / 3
}

/// The number of bytes at the beginning that may stand between groups of digits: spaces, signs, `0x`, `\x`, the `%` of
/// a URL.
fn gap_length(bytes: &[u8]) -> usize {
    match bytes {
        [0xc2, 0xa0, ..] => 2,
        // The narrow space, and the thin one.
        [0xe2, 0x80, 0xaf | 0x89, ..] => 3,
        [b'0' | b'\\', b'x' | b'X', ..] => 2,
        [b' ' | b'\t' | b'\n' | b'\r', ..] => 1,
        [b'_' | b',' | b'\'' | b':' | b'-' | b'.' | b'%', ..] => 1,
        _ => 0,
    }
}

/// True if no gap begins with this byte.
const fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || byte.is_ascii_digit() && byte != b'0' || byte == b'"'
}

const PLAIN: [bool; 256] = {
    let mut plain = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        plain[byte] = is_plain(byte as u8);
        byte += 1;
    }
    plain
};

/// The bytes without gaps; `origin` is told where each stretch of them stands. One long number is left of digits in groups,
/// of whatever size these are.
fn strip_gaps(bytes: &[u8], origin: &mut dyn FnMut(Range<usize>)) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    let mut start = 0;
    let mut at = 0;
    let mut take = |stretch: Range<usize>| {
        out.extend_from_slice(&bytes[stretch.clone()]);
        origin(stretch);
    };
    while let Some(&byte) = bytes.get(at) {
        let gap = match PLAIN[usize::from(byte)] {
            true => 0,
            false => gap_length(&bytes[at..]),
        };
        if gap > 0 {
            take(start..at);
            start = at + gap;
        }
        at += gap.max(1);
    }
    // A gap of several bytes is one only if all of them are there.
    take(start..bytes.len());
    out
}

/// True if a needle is a word of its own.
fn is_whole_word(bytes: &[u8], start: usize, end: usize, around: Around) -> bool {
    let word = |b: Option<&u8>| b.is_some_and(|b| b.is_ascii_alphanumeric() || *b == b'_');
    let mut before = &bytes[..start];
    match around {
        Around::Anything => return true,
        Around::DecimalEnd => {}
        Around::Base64End => {
            let of_base64 = |b: Option<&u8>| b.is_some_and(|b| b"+/-_=".contains(b));
            if of_base64(before.last()) || of_base64(bytes.get(end)) {
                return false;
            }
        }
        Around::OctalEnd => {
            while let [rest @ .., b'0' | b'o' | b'O'] = before {
                before = rest;
            }
        }
        Around::HexEnd => {
            while let [rest @ .., b'0'] = before {
                before = rest;
            }
            if let [rest @ .., b'x' | b'X'] = before {
                // The zero of `0x` was taken for a leading one, or still stands there.
                before = rest.strip_suffix(b"0").unwrap_or(rest);
            }
        }
    }
    !word(before.last()) && !word(bytes.get(end))
}

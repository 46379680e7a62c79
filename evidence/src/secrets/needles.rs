//! Looking for secrets in bytes, in all the forms in which they could have got there.

use std::collections::{BTreeMap, BTreeSet};

use aho_corasick::{AhoCorasick, BuildError};

use super::{Kind, Secret};

/// A secret that was found. It is never named itself.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Found {
    /// Byte where it begins.
    pub offset: usize,
    /// The leaf of the evidence that says it.
    pub leaf: String,
    /// How it is written there.
    pub form: &'static str,
}

/// What has to stand around a needle, so that a short one is not found inside of something else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Around {
    /// Anything: the needle is long enough.
    Anything,
    /// No letter or digit, but for a prefix `0x` and zeros.
    HexEnd,
    /// No letter or digit.
    DecimalEnd,
}

#[derive(Debug)]
struct Needle {
    secret: usize,
    form: &'static str,
    around: Around,
}

/// All forms of all secrets, ready to be looked for.
#[derive(Debug)]
pub struct Searcher {
    /// The leaf of each secret.
    leaves: Vec<String>,
    /// Hexadecimal digits, in either case.
    any_case: (AhoCorasick, Vec<Needle>),
    /// Everything else.
    exact: (AhoCorasick, Vec<Needle>),
    /// Digits in groups: looked for in [`squeezed`] bytes, in either case.
    grouped: (AhoCorasick, Vec<Needle>),
    /// Secrets that are not looked for, because another machine makes the same number known.
    pub coincidences: usize,
}

/// What separates groups of digits, of numbers that are too short to be looked for in [`squeezed`] bytes.
const GAPS: &[&str] = &[" ", "_", ",", "'", "\u{a0}", "\u{202f}", ":", "-"];

#[derive(Default)]
struct Needles {
    patterns: Vec<Vec<u8>>,
    needles: Vec<Needle>,
}

impl Needles {
    fn add(
        &mut self,
        secret: usize,
        form: &'static str,
        around: Around,
        pattern: impl Into<Vec<u8>>,
    ) {
        self.patterns.push(pattern.into());
        self.needles.push(Needle {
            secret,
            form,
            around,
        });
    }
}

impl Searcher {
    /// Prepares the search for `secrets`, which are named by their leaves, without those in `known`.
    pub fn new(
        secrets: &BTreeMap<Secret, String>,
        known: &BTreeSet<Secret>,
    ) -> Result<Self, BuildError> {
        let mut leaves = Vec::new();
        let (mut any_case, mut exact) = (Needles::default(), Needles::default());
        let mut grouped = Needles::default();
        for (secret, leaf) in secrets {
            if known.contains(secret) {
                continue;
            }
            let index = leaves.len();
            leaves.push(leaf.clone());
            match (secret.kind, secret.as_number()) {
                (Kind::Pointer, Some(number)) => {
                    pointer(number, index, &mut any_case, &mut exact, &mut grouped);
                }
                (Kind::Slide, Some(number)) => slide(number, index, &mut any_case, &mut exact),
                _ => memory(
                    &secret.bytes,
                    index,
                    &mut any_case,
                    &mut exact,
                    &mut grouped,
                ),
            }
        }
        let build = |needles: Needles, any_case: bool| {
            AhoCorasick::builder()
                .ascii_case_insensitive(any_case)
                .build(&needles.patterns)
                .map(|automaton| (automaton, needles.needles))
        };
        Ok(Searcher {
            coincidences: secrets.len() - leaves.len(),
            leaves,
            any_case: build(any_case, true)?,
            exact: build(exact, false)?,
            grouped: build(grouped, true)?,
        })
    }

    /// How many secrets are looked for.
    pub fn len(&self) -> usize {
        self.leaves.len()
    }

    /// Whether there is nothing to look for.
    pub fn is_empty(&self) -> bool {
        self.leaves.is_empty()
    }

    /// Every secret in `bytes`: each once, where it stands first.
    pub fn find(&self, bytes: &[u8]) -> Vec<Found> {
        let mut first = First::default();
        for (automaton, needles) in [&self.any_case, &self.exact] {
            for hit in automaton.find_overlapping_iter(bytes) {
                let needle = &needles[hit.pattern().as_usize()];
                if stands_alone(bytes, hit.start(), hit.end(), needle.around) {
                    first.note(needle.secret, hit.start(), needle.form);
                }
            }
        }
        let (automaton, needles) = &self.grouped;
        let text: Vec<u8> = squeezed(bytes).map(|(_, byte)| byte).collect();
        let mut grouped = First::default();
        for hit in automaton.find_overlapping_iter(&text) {
            let needle = &needles[hit.pattern().as_usize()];
            grouped.note(needle.secret, hit.start(), needle.form);
        }
        for (secret, (start, form)) in grouped.0 {
            if let Some((at, _)) = squeezed(bytes).nth(start) {
                first.note(secret, at, form);
            }
        }
        let mut found: Vec<Found> = first
            .0
            .into_iter()
            .map(|(secret, (offset, form))| Found {
                offset,
                leaf: self.leaves[secret].clone(),
                form,
            })
            .collect();
        found.sort_unstable();
        found
    }
}

/// Where each secret stands first, and in which form.
#[derive(Default)]
struct First(BTreeMap<usize, (usize, &'static str)>);

impl First {
    fn note(&mut self, secret: usize, start: usize, form: &'static str) {
        let known = self.0.entry(secret).or_insert((start, form));
        if start < known.0 {
            *known = (start, form);
        }
    }
}

/// The bytes without what may stand between groups of digits: spaces, signs, `0x`, `\x`, the `%` of a URL; and where
/// each stands. One long number is left of digits in groups, of whatever size these are.
fn squeezed(bytes: &[u8]) -> impl Iterator<Item = (usize, u8)> {
    let mut at = 0;
    std::iter::from_fn(move || {
        loop {
            let gap = match bytes.get(at..)? {
                [0xc2, 0xa0, ..] => 2,
                // The narrow space, and the thin one.
                [0xe2, 0x80, 0xaf | 0x89, ..] => 3,
                [b'0' | b'\\', b'x' | b'X', ..] => 2,
                [b' ' | b'\t' | b'\n' | b'\r', ..] => 1,
                [b'_' | b',' | b'\'' | b':' | b'-' | b'.' | b'%', ..] => 1,
                [byte, ..] => {
                    at += 1;
                    return Some((at - 1, *byte));
                }
                [] => return None,
            };
            at += gap;
        }
    })
}

/// Whether a needle is a word of its own.
fn stands_alone(bytes: &[u8], start: usize, end: usize, around: Around) -> bool {
    let word = |b: Option<&u8>| b.is_some_and(|b| b.is_ascii_alphanumeric() || *b == b'_');
    let mut before = &bytes[..start];
    match around {
        Around::Anything => return true,
        Around::DecimalEnd => {}
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

fn pointer(
    number: u64,
    secret: usize,
    any_case: &mut Needles,
    exact: &mut Needles,
    grouped: &mut Needles,
) {
    let low = u32::try_from(number & u64::from(u32::MAX)).unwrap_or_default();
    // The last twelve digits stand in every longer form, too.
    let digits = format!("{number:x}");
    let tail = &digits[digits.len().saturating_sub(12)..];
    let long = tail.len() >= 9;
    let around = if long {
        Around::Anything
    } else {
        Around::HexEnd
    };
    any_case.add(secret, "hexadecimal", around, tail);
    if long && detailed(low) {
        let form = "the last eight hexadecimal digits";
        any_case.add(secret, form, Around::HexEnd, format!("{low:x}"));
        for more in 9..tail.len() {
            any_case.add(secret, form, Around::HexEnd, &tail[tail.len() - more..]);
        }
        let form = "the lowest 32 bits in decimal";
        exact.add(secret, form, Around::DecimalEnd, low.to_string());
        let signed = low.cast_signed();
        if signed < 0 {
            let digits = signed.unsigned_abs().to_string();
            exact.add(secret, form, Around::DecimalEnd, digits);
        }
    }
    let unsigned = number.to_string();
    let signed = number.cast_signed().unsigned_abs().to_string();
    for decimal in BTreeSet::from([&unsigned, &signed]) {
        let around = if decimal.len() >= 13 {
            Around::Anything
        } else {
            Around::DecimalEnd
        };
        exact.add(secret, "decimal", around, decimal.as_str());
        if around == Around::Anything {
            grouped.add(secret, "decimal in groups", around, decimal.as_str());
            continue;
        }
        for gap in GAPS {
            exact.add(
                secret,
                "decimal in groups",
                Around::DecimalEnd,
                in_groups(decimal, 3, gap),
            );
        }
    }
    let little = number.to_le_bytes();
    let big = number.to_be_bytes();
    if long {
        any_case.add(
            secret,
            "bytes in hexadecimal",
            Around::Anything,
            hex::encode(&little[..6]),
        );
        // Cut off at the end, or as the number of a page: what is left says where the kernel is.
        if digits.len() == 16 {
            for length in 11..=14 {
                let form = "the first hexadecimal digits";
                any_case.add(secret, form, Around::HexEnd, &digits[..length]);
            }
        }
        // The highest byte first, these are the digits of the number itself.
        grouped.add(secret, "hexadecimal in groups", Around::Anything, tail);
        grouped.add(
            secret,
            "bytes in hexadecimal",
            Around::Anything,
            hex::encode(&little[..6]),
        );
        exact.add(secret, "raw bytes", Around::Anything, &little[..6]);
        exact.add(secret, "raw bytes", Around::Anything, &big[2..]);
        for text in [tail.to_owned(), tail.to_uppercase(), unsigned, signed] {
            in_base64(text.as_bytes(), secret, exact);
        }
        in_base64(&little, secret, exact);
        in_base64(&big, secret, exact);
    }
}

fn slide(number: u64, secret: usize, any_case: &mut Needles, exact: &mut Needles) {
    let digits = format!("{number:x}");
    any_case.add(secret, "hexadecimal", Around::HexEnd, digits.as_str());
    let decimal = number.to_string();
    exact.add(secret, "decimal", Around::DecimalEnd, decimal.as_str());
    for gap in GAPS {
        let grouped = in_groups(&decimal, 3, gap);
        exact.add(secret, "decimal in groups", Around::DecimalEnd, grouped);
    }
    if number.is_multiple_of(1 << 20) {
        let mib = format!("{} MiB", number >> 20);
        exact.add(secret, "MiB", Around::DecimalEnd, mib);
    }
    for text in [
        format!("0x{digits}"),
        format!("0X{}", digits.to_uppercase()),
        decimal,
    ] {
        in_base64(text.as_bytes(), secret, exact);
    }
}

fn memory(
    bytes: &[u8],
    secret: usize,
    any_case: &mut Needles,
    exact: &mut Needles,
    grouped: &mut Needles,
) {
    let digits = hex::encode(bytes);
    any_case.add(secret, "hexadecimal", Around::Anything, digits.as_str());
    let form = "hexadecimal in groups";
    grouped.add(secret, form, Around::Anything, digits.as_str());
    exact.add(secret, "raw bytes", Around::Anything, bytes);
    in_base64(bytes, secret, exact);
    in_base64(digits.as_bytes(), secret, exact);
}

/// Whether the lower half is told from a number that stands there for another reason: it has seven digits or eight.
fn detailed(low: u32) -> bool {
    low >= 1 << 24 && (5..=27).contains(&low.count_ones())
}

/// Groups of `size` digits counted from the end, with `gap` between them.
fn in_groups(digits: &str, size: usize, gap: &str) -> String {
    let mut out = String::with_capacity(digits.len() * 2);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(size) {
            out.push_str(gap);
        }
        out.push(digit);
    }
    out
}

/// What base64 makes of `bytes` wherever they begin: the characters that depend on nothing else, in both alphabets.
fn in_base64(bytes: &[u8], secret: usize, exact: &mut Needles) {
    for lead in 0..3 {
        let core = base64_core(bytes, lead);
        let form = "base64";
        let url: String = core
            .chars()
            .map(|c| match c {
                '+' => '-',
                '/' => '_',
                c => c,
            })
            .collect();
        if url != core {
            exact.add(secret, form, Around::Anything, url);
        }
        exact.add(secret, form, Around::Anything, core);
    }
}

/// The characters that come from `bytes` alone, with `lead` bytes before them.
fn base64_core(bytes: &[u8], lead: usize) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let bit = |at: usize| {
        let at = at - lead * 8;
        usize::from(bytes[at / 8] >> (7 - at % 8) & 1)
    };
    let first = (lead * 8).div_ceil(6);
    let last = (lead + bytes.len()) * 8 / 6;
    (first..last)
        .map(|index| {
            let value = (index * 6..index * 6 + 6).fold(0, |value, at| value << 1 | bit(at));
            char::from(ALPHABET[value])
        })
        .collect()
}

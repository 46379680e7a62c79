//! Looking for secrets in bytes, in all the forms in which they could have got there.

use std::collections::{BTreeMap, BTreeSet};

use super::multi_matcher::MultiMatcher;
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

/// How a needle is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Case {
    /// Capitals and small letters are the same.
    Any,
    /// Byte by byte.
    Own,
}

/// All forms of all secrets, ready to be looked for.
#[derive(Debug)]
pub struct Searcher {
    /// The leaf of each secret.
    leaves: Vec<String>,
    /// What is looked for in the bytes as they are.
    plain: (MultiMatcher, Vec<Needle>),
    /// Digits in groups: looked for in [`squeezed`] bytes.
    grouped: (MultiMatcher, Vec<Needle>),
    /// Secrets that are not looked for, because another machine makes the same number known.
    pub coincidences: usize,
}

/// What separates groups of digits, of numbers that are too short to be looked for in [`squeezed`] bytes.
const GAPS: &[&str] = &[" ", "_", ",", "'", "\u{a0}", "\u{202f}", ":", "-"];

#[derive(Default)]
struct Needles {
    patterns: Vec<(Vec<u8>, bool)>,
    needles: Vec<Needle>,
}

impl Needles {
    fn add(
        &mut self,
        secret: usize,
        form: &'static str,
        (case, around): (Case, Around),
        pattern: impl Into<Vec<u8>>,
    ) {
        self.patterns.push((pattern.into(), case == Case::Any));
        self.needles.push(Needle {
            secret,
            form,
            around,
        });
    }

    fn ready(self) -> (MultiMatcher, Vec<Needle>) {
        (MultiMatcher::new(self.patterns.into_iter()), self.needles)
    }
}

impl Searcher {
    /// Prepares the search for `secrets`, which are named by their leaves, without those in `known`.
    pub fn new(secrets: &BTreeMap<Secret, String>, known: &BTreeSet<Secret>) -> Self {
        let mut leaves = Vec::new();
        let (mut plain, mut grouped) = (Needles::default(), Needles::default());
        for (secret, leaf) in secrets {
            if known.contains(secret) {
                continue;
            }
            let index = leaves.len();
            leaves.push(leaf.clone());
            match (secret.kind, secret.as_number()) {
                (Kind::Pointer, Some(number)) => pointer(number, index, &mut plain, &mut grouped),
                (Kind::Slide, Some(number)) => slide(number, index, &mut plain),
                _ => memory(&secret.bytes, index, &mut plain, &mut grouped),
            }
        }
        Searcher {
            coincidences: secrets.len() - leaves.len(),
            leaves,
            plain: plain.ready(),
            grouped: grouped.ready(),
        }
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
        let (grams, needles) = &self.plain;
        grams.find(bytes, &mut |index, start, end| {
            let needle = &needles[index];
            if stands_alone(bytes, start, end, needle.around) {
                first.note(needle.secret, start, needle.form);
            }
        });
        let (grams, needles) = &self.grouped;
        let (text, _) = squeezed(bytes, usize::MAX);
        let mut grouped = First::default();
        grams.find(&text, &mut |index, start, _| {
            let needle = &needles[index];
            grouped.note(needle.secret, start, needle.form);
        });
        for (secret, (start, form)) in grouped.0 {
            if let (_, Some(at)) = squeezed(bytes, start) {
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

/// How many bytes of what may stand between groups of digits are at the beginning: spaces, signs, `0x`, `\x`, the `%` of
/// a URL.
fn gap(bytes: &[u8]) -> usize {
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

/// Whether no gap begins with this byte.
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

/// The bytes without gaps, and where the one with the number `wanted` stands. One long number is left of digits in
/// groups, of whatever size these are.
fn squeezed(bytes: &[u8], wanted: usize) -> (Vec<u8>, Option<usize>) {
    let mut out = Vec::with_capacity(bytes.len());
    let (mut at, mut place) = (0, None);
    while let Some(&byte) = bytes.get(at) {
        let gap = if PLAIN[usize::from(byte)] {
            0
        } else {
            gap(&bytes[at..])
        };
        if gap > 0 {
            at += gap;
            continue;
        }
        if out.len() == wanted {
            place = Some(at);
        }
        out.push(byte);
        at += 1;
    }
    (out, place)
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

fn pointer(number: u64, secret: usize, plain: &mut Needles, grouped: &mut Needles) {
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
    plain.add(secret, "hexadecimal", (Case::Any, around), tail);
    if long && detailed(low) {
        let form = "the last eight hexadecimal digits";
        plain.add(
            secret,
            form,
            (Case::Any, Around::HexEnd),
            format!("{low:x}"),
        );
        for more in 9..tail.len() {
            plain.add(
                secret,
                form,
                (Case::Any, Around::HexEnd),
                &tail[tail.len() - more..],
            );
        }
        let form = "the lowest 32 bits in decimal";
        plain.add(
            secret,
            form,
            (Case::Own, Around::DecimalEnd),
            low.to_string(),
        );
        let signed = low.cast_signed();
        if signed < 0 {
            let digits = signed.unsigned_abs().to_string();
            plain.add(secret, form, (Case::Own, Around::DecimalEnd), digits);
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
        plain.add(secret, "decimal", (Case::Own, around), decimal.as_str());
        if around == Around::Anything {
            grouped.add(
                secret,
                "decimal in groups",
                (Case::Any, around),
                decimal.as_str(),
            );
            continue;
        }
        for gap in GAPS {
            plain.add(
                secret,
                "decimal in groups",
                (Case::Own, Around::DecimalEnd),
                in_groups(decimal, 3, gap),
            );
        }
    }
    let little = number.to_le_bytes();
    let big = number.to_be_bytes();
    if long {
        plain.add(
            secret,
            "bytes in hexadecimal",
            (Case::Any, Around::Anything),
            hex::encode(&little[..6]),
        );
        // Cut off at the end, or as the number of a page: what is left says where the kernel is.
        if digits.len() == 16 {
            for length in 11..=14 {
                let form = "the first hexadecimal digits";
                plain.add(secret, form, (Case::Any, Around::HexEnd), &digits[..length]);
            }
        }
        // The highest byte first, these are the digits of the number itself.
        grouped.add(
            secret,
            "hexadecimal in groups",
            (Case::Any, Around::Anything),
            tail,
        );
        grouped.add(
            secret,
            "bytes in hexadecimal",
            (Case::Any, Around::Anything),
            hex::encode(&little[..6]),
        );
        plain.add(
            secret,
            "raw bytes",
            (Case::Own, Around::Anything),
            &little[..6],
        );
        plain.add(
            secret,
            "raw bytes",
            (Case::Own, Around::Anything),
            &big[2..],
        );
        for text in [tail.to_owned(), tail.to_uppercase(), unsigned, signed] {
            in_base64(text.as_bytes(), secret, plain);
        }
        in_base64(&little, secret, plain);
        in_base64(&big, secret, plain);
    }
}

fn slide(number: u64, secret: usize, plain: &mut Needles) {
    let digits = format!("{number:x}");
    plain.add(
        secret,
        "hexadecimal",
        (Case::Any, Around::HexEnd),
        digits.as_str(),
    );
    let decimal = number.to_string();
    plain.add(
        secret,
        "decimal",
        (Case::Own, Around::DecimalEnd),
        decimal.as_str(),
    );
    for gap in GAPS {
        let grouped = in_groups(&decimal, 3, gap);
        plain.add(
            secret,
            "decimal in groups",
            (Case::Own, Around::DecimalEnd),
            grouped,
        );
    }
    if number.is_multiple_of(1 << 20) {
        let mib = format!("{} MiB", number >> 20);
        plain.add(secret, "MiB", (Case::Own, Around::DecimalEnd), mib);
    }
    for text in [
        format!("0x{digits}"),
        format!("0X{}", digits.to_uppercase()),
        decimal,
    ] {
        in_base64(text.as_bytes(), secret, plain);
    }
}

fn memory(bytes: &[u8], secret: usize, plain: &mut Needles, grouped: &mut Needles) {
    let digits = hex::encode(bytes);
    plain.add(
        secret,
        "hexadecimal",
        (Case::Any, Around::Anything),
        digits.as_str(),
    );
    let form = "hexadecimal in groups";
    grouped.add(secret, form, (Case::Any, Around::Anything), digits.as_str());
    plain.add(secret, "raw bytes", (Case::Own, Around::Anything), bytes);
    in_base64(bytes, secret, plain);
    in_base64(digits.as_bytes(), secret, plain);
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
fn in_base64(bytes: &[u8], secret: usize, plain: &mut Needles) {
    for lead in 0..3 {
        let core = base64_core(bytes, lead);
        let form = "base64";
        if core.iter().any(|byte| b"+/".contains(byte)) {
            let url = core.iter().map(|byte| match byte {
                b'+' => b'-',
                b'/' => b'_',
                other => *other,
            });
            let url: Vec<u8> = url.collect();
            plain.add(secret, form, (Case::Own, Around::Anything), url);
        }
        plain.add(secret, form, (Case::Own, Around::Anything), core);
    }
}

/// The characters that come from `bytes` alone, with `lead` bytes before them.
fn base64_core(bytes: &[u8], lead: usize) -> Vec<u8> {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let byte = |at: usize| at.checked_sub(lead).and_then(|at| bytes.get(at));
    let first = (lead * 8).div_ceil(6);
    let last = (lead + bytes.len()) * 8 / 6;
    (first..last)
        .map(|index| {
            // Six bits, which begin in one byte and end in it or in the next.
            let (at, bits) = (index * 6 / 8, index * 6 % 8);
            let two = [byte(at), byte(at + 1)].map(|byte| byte.copied().unwrap_or_default());
            let value = u16::from_be_bytes(two) >> (10 - bits) & 63;
            ALPHABET[usize::from(value)]
        })
        .collect()
}

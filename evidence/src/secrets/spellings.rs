//! The forms in which a secret could occur in a text.
//!
//! Own code for base64: the crate `base64` encodes whole inputs, and what is searched for are the characters that depend on a secret alone,
//! wherever it begins in what was encoded.

use std::collections::BTreeSet;

use super::multi_matcher::MultiMatcher;
use super::secret::{IMAGE, LARGE_SLIDE};
use Around::{Anything, Base64End, DecimalEnd, HexEnd, OctalEnd};
use Case::{Any, Own};
use Haystack::{Grouped, Plain, Raw};

/// The characters that have to surround a needle, so that a short one is not found inside something else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Around {
    /// Anything: the needle is long enough.
    Anything,
    /// No letter or digit, but for a prefix `0x` and zeros.
    HexEnd,
    /// No letter or digit.
    DecimalEnd,
    /// No letter or digit, but for the prefix of an octal number.
    OctalEnd,
    /// No character that base64 writes.
    Base64End,
}

#[derive(Debug)]
pub(super) struct Needle {
    pub secret: usize,
    pub form: &'static str,
    pub around: Around,
}

/// The comparison of letters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Case {
    /// Capitals and small letters are the same.
    Any,
    /// Byte by byte.
    Own,
}

/// The separators of groups of digits, of numbers that are too short to be looked for after [`strip_gaps`](super::patterns::strip_gaps).
const GAPS: &[&str] = &[" ", "_", ",", "'", "\u{a0}", "\u{202f}", ":", "-"];

/// The bytes in which needles are searched for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Haystack {
    /// The bytes as they are.
    Plain,
    /// The bytes without what separates groups of digits.
    Grouped,
    /// The bytes of a text in which some are not text: those of a picture or a font look like anything.
    Raw,
}

/// The needles of one haystack.
#[derive(Default)]
struct Needles {
    patterns: Vec<(Vec<u8>, bool)>,
    needles: Vec<Needle>,
}

/// The spellings of all secrets.
#[derive(Default)]
pub(super) struct Spellings {
    needles: [Needles; 3],
}

impl Spellings {
    /// The needles for bytes as they are, for bytes without separators, and for texts with raw bytes.
    pub fn build_matchers(self) -> [(MultiMatcher, Vec<Needle>); 3] {
        self.needles
            .map(|Needles { patterns, needles }| (MultiMatcher::new(patterns.into_iter()), needles))
    }

    /// Add all spellings of an address and of its parts.
    pub fn add_pointer(&mut self, number: u64, secret: usize) {
        self.add_address(number, secret, true);
    }

    /// Add all spellings of a whole address.
    pub fn add_word(&mut self, number: u64, secret: usize) {
        self.add_address(number, secret, false);
    }

    fn add_address(&mut self, number: u64, secret: usize, in_parts: bool) {
        let digits = format!("{number:x}");
        let unsigned = number.to_string();
        let signed = number.cast_signed().unsigned_abs().to_string();
        // The last twelve digits stand in every longer form, too.
        let tail = &digits[digits.len().saturating_sub(12)..];
        let long = tail.len() >= 9;
        let mut add = self.speller(secret);
        add.add_decimal(&BTreeSet::from([&unsigned, &signed]));
        if !long {
            add.add_one(Plain, "hexadecimal", (Any, HexEnd), tail);
            return;
        }
        add.add_one(Plain, "hexadecimal", (Any, Anything), tail);
        if in_parts {
            add.add_parts(number, &digits, tail);
        }
        add.add_octal(number);
        add.add_bytes(number, tail);
        for text in [tail.to_owned(), tail.to_uppercase(), unsigned, signed] {
            add.add_base64(text.as_bytes());
        }
    }

    /// Add all spellings of a slide.
    pub fn add_slide(&mut self, number: u64, secret: usize) {
        if number >= LARGE_SLIDE {
            self.add_address(number, secret, true);
        }
        let mut add = self.speller(secret);
        let digits = format!("{number:x}");
        add.add_one(Plain, "hexadecimal", (Any, HexEnd), digits.as_str());
        for gap in ["_", "'", ":"] {
            let digits = group_digits(&digits, 4, gap);
            add.add_one(Plain, "hexadecimal in groups", (Any, HexEnd), digits);
        }
        let decimal = number.to_string();
        add.add_one(Plain, "decimal", (Own, DecimalEnd), decimal.as_str());
        for gap in GAPS {
            let grouped = group_digits(&decimal, 3, gap);
            add.add_one(Plain, "decimal in groups", (Own, DecimalEnd), grouped);
        }
        if number.is_multiple_of(1 << 20) {
            for gap in ["", " ", "\u{a0}", "\u{202f}"] {
                let mib = format!("{}{gap}MiB", number >> 20);
                add.add_one(Plain, "MiB", (Any, DecimalEnd), mib);
            }
        }
        // Without its prefix a round number in octal is a round one in decimal, too.
        for prefix in ["0", "0o", "0O"] {
            let octal = format!("{prefix}{number:o}");
            add.add_one(Plain, "octal", (Own, DecimalEnd), octal);
        }
        let capitals = format!("0X{}", digits.to_uppercase());
        for text in [format!("0x{digits}"), capitals, decimal] {
            add.add_base64(text.as_bytes());
        }
    }

    /// Add all spellings of a piece of memory.
    pub fn add_memory(&mut self, bytes: &[u8], secret: usize) {
        let mut add = self.speller(secret);
        let digits = hex::encode(bytes);
        add.add_one(Plain, "hexadecimal", (Any, Anything), digits.as_str());
        let form = "hexadecimal in groups";
        add.add_one(Grouped, form, (Any, Anything), digits.as_str());
        add.add_one(Plain, "raw bytes", (Own, Anything), bytes);
        add.add_base64(bytes);
        add.add_base64(digits.as_bytes());
    }

    fn speller(&mut self, secret: usize) -> Speller<'_> {
        let spellings = self;
        Speller { spellings, secret }
    }
}

/// The state of adding the spellings of one secret.
struct Speller<'s> {
    spellings: &'s mut Spellings,
    secret: usize,
}

impl Speller<'_> {
    fn add_one(
        &mut self,
        haystack: Haystack,
        form: &'static str,
        (case, around): (Case, Around),
        pattern: impl Into<Vec<u8>>,
    ) {
        let needles = &mut self.spellings.needles[haystack as usize];
        needles.patterns.push((pattern.into(), case == Any));
        needles.needles.push(Needle {
            secret: self.secret,
            form,
            around,
        });
    }

    /// Add a whole number in decimal.
    fn add_decimal(&mut self, spelled: &BTreeSet<&String>) {
        for decimal in spelled {
            let around = match decimal.len() {
                13.. => Anything,
                _ => DecimalEnd,
            };
            self.add_one(Plain, "decimal", (Own, around), decimal.as_str());
            let form = "decimal in groups";
            if around == Anything {
                self.add_one(Grouped, form, (Any, around), decimal.as_str());
                continue;
            }
            for gap in GAPS {
                let groups = group_digits(decimal, 3, gap);
                self.add_one(Plain, form, (Own, DecimalEnd), groups);
            }
        }
    }

    fn add_octal(&mut self, number: u64) {
        let octal = format!("{number:o}");
        self.add_one(Plain, "octal", (Own, Anything), octal.as_str());
        self.add_one(Grouped, "octal in groups", (Own, Anything), octal);
    }

    /// Add the end and the beginning of an address in hexadecimal. Cut off at the end, or as the number of a page, it still says
    /// where the kernel is.
    fn add_parts(&mut self, number: u64, digits: &str, tail: &str) {
        let low = u32::try_from(number & u64::from(u32::MAX)).unwrap_or_default();
        if is_distinctive(low) || number >= IMAGE {
            let form = "the last eight hexadecimal digits";
            self.add_one(Plain, form, (Any, HexEnd), format!("{low:x}"));
            for more in 9..tail.len() {
                let end = &tail[tail.len() - more..];
                self.add_one(Plain, form, (Any, HexEnd), end);
            }
            self.add_lower_half(low);
        }
        if digits.len() == 16 {
            for length in 11..=14 {
                let form = "the first hexadecimal digits";
                self.add_one(Plain, form, (Any, HexEnd), &digits[..length]);
            }
        }
    }

    /// Add the bytes of an address, as they are and in hexadecimal.
    fn add_bytes(&mut self, number: u64, tail: &str) {
        let little = number.to_le_bytes();
        let big = number.to_be_bytes();
        let reversed = hex::encode(&little[..6]);
        let form = "bytes in hexadecimal";
        self.add_one(Plain, form, (Any, Anything), reversed.as_str());
        self.add_one(Grouped, form, (Any, Anything), reversed);
        // The highest byte first, these are the digits of the number itself.
        self.add_one(Grouped, "hexadecimal in groups", (Any, Anything), tail);
        self.add_one(Plain, "raw bytes", (Own, Anything), &little[..6]);
        self.add_one(Plain, "raw bytes", (Own, Anything), &big[2..]);
        self.add_base64(&little);
        self.add_base64(&big);
    }

    /// Add the lowest 32 bits of an address in all forms but plain hexadecimal. They are found as a number of their own alone:
    /// eight digits stand inside of many a digest.
    fn add_lower_half(&mut self, low: u32) {
        let form = "the lowest 32 bits in decimal";
        let mut decimals = vec![low.to_string()];
        if low.cast_signed() < 0 {
            decimals.push(low.cast_signed().unsigned_abs().to_string());
        }
        for digits in &decimals {
            self.add_one(Plain, form, (Own, DecimalEnd), digits.as_str());
            self.add_one(Grouped, form, (Own, DecimalEnd), digits.as_str());
        }
        let form = "the lowest 32 bits in octal";
        let octal = format!("{low:o}");
        self.add_one(Plain, form, (Own, OctalEnd), octal.as_str());
        self.add_one(Grouped, form, (Own, OctalEnd), octal.as_str());
        let digits = format!("{low:08x}");
        let form = "the last eight hexadecimal digits in groups";
        self.add_one(Grouped, form, (Any, HexEnd), digits.as_str());
        let form = "the lowest bytes in hexadecimal";
        let reversed = format!("{:08x}", low.swap_bytes());
        self.add_one(Plain, form, (Any, HexEnd), reversed.as_str());
        // Machine code is full of small numbers, which begin with two bytes that are zero.
        if low.trailing_zeros() < 16 {
            self.add_one(Grouped, form, (Any, HexEnd), reversed);
        }
        for bytes in [low.to_le_bytes(), low.to_be_bytes()] {
            if !bytes.is_ascii() {
                let form = "the lowest bytes as they are";
                self.add_one(Raw, form, (Own, Anything), bytes);
            }
            self.add_whole_base64(&bytes);
        }
        for text in [digits.to_uppercase(), digits, octal]
            .iter()
            .chain(&decimals)
        {
            self.add_base64(text.as_bytes());
        }
    }

    /// Add the base64 of four bytes and of nothing else, with and without what fills it up.
    fn add_whole_base64(&mut self, bytes: &[u8; 4]) {
        let [a, b, c, d] = *bytes;
        // The last character has two of the bits, and zeros.
        let core = &base64_core(&[a, b, c, d, 0, 0], 0)[..6];
        for text in BTreeSet::from([core.to_vec(), to_url_alphabet(core)]) {
            let filled = [&text[..], b"=="].concat();
            self.add_one(Plain, "base64", (Own, Base64End), filled);
            self.add_one(Plain, "base64", (Own, Base64End), text);
        }
    }

    /// Add the base64 of `bytes` wherever they begin: the characters that depend on nothing else, in both alphabets.
    fn add_base64(&mut self, bytes: &[u8]) {
        for lead in 0..3 {
            let core = base64_core(bytes, lead);
            if core.iter().any(|byte| b"+/".contains(byte)) {
                self.add_one(Plain, "base64", (Own, Anything), to_url_alphabet(&core));
            }
            self.add_one(Plain, "base64", (Own, Anything), core);
        }
    }
}

/// True if the lower half can be distinguished from unrelated numbers: it has seven digits or eight.
fn is_distinctive(low: u32) -> bool {
    low >= 1 << 24 && (5..=27).contains(&low.count_ones())
}

/// Groups of `size` digits counted from the end, with `gap` between them.
fn group_digits(digits: &str, size: usize, gap: &str) -> String {
    let mut out = String::with_capacity(digits.len() * 2);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(size) {
            out.push_str(gap);
        }
        out.push(digit);
    }
    out
}

/// The same in the alphabet for URLs.
fn to_url_alphabet(base64: &[u8]) -> Vec<u8> {
    let url = base64.iter().map(|byte| match byte {
        b'+' => b'-',
        b'/' => b'_',
        other => *other,
    });
    url.collect()
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

//! What in a live machine's evidence must not become known, and a search for it in any bytes.
//!
//! A leaf is secret if it says where the kernel, its data or a process is in memory: every pointer, every number that
//! can hardly be anything else, every such word inside of text and bytes, and the slide. Numbers that say little are
//! no secrets ([`is_pointer`]), because they would be found everywhere: null and the first page, error numbers,
//! patterns such as all ones, and the addresses that the kernel's documentation gives.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value as Json;

use crate::document::Evidence;
use crate::document::value::{Address, KINDS};

mod multi_matcher;
mod patterns;
mod spellings;

pub use patterns::{Found, Searcher};

/// Below this no number says anything about where something is: a page.
pub(crate) const FIRST_PAGE: u64 = 0x1000;

/// The lowest address of the kernel's half on x86-64 with five-level page tables
/// (<https://elixir.bootlin.com/linux/v6.1/source/Documentation/x86/x86_64/mm.rst#L83>).
const KERNEL_HALF: u64 = 0xff00_0000_0000_0000;

/// The lowest address of the kernel's half with four-level page tables. Among bytes that begin anywhere only what is
/// above is taken for an address.
const CANONICAL: u64 = 0xffff_8000_0000_0000;

/// Errors in the place of a pointer begin here (`ERR_PTR`, `MAX_ERRNO` is 4095).
const FIRST_ERROR: u64 = u64::MAX - 4094;

/// Where the modules end. Above are only the fixed map and the vsyscall page, which are the same everywhere; and the
/// small negative numbers.
const MODULES_END: u64 = 0xffff_ffff_ff00_0000;

/// Below this are the addresses of programs that are linked to a fixed place, which say nothing.
const FIRST_RANDOM: u64 = 1 << 32;

/// Addresses that are the same on all machines: where the kernel's documentation puts its regions, where the image is
/// linked to be, and poison (`LIST_POISON1`, `LIST_POISON2`).
const KNOWN_TO_ALL: &[u64] = &[
    0xffff_8000_0000_0000,
    0xffff_8880_0000_0000,
    0xffff_c880_0000_0000,
    0xffff_c900_0000_0000,
    0xffff_ea00_0000_0000,
    0xffff_fe00_0000_0000,
    0xffff_ffff_8000_0000,
    0xffff_ffff_8100_0000,
    0xffff_ffff_a000_0000,
    0xffff_ffff_c000_0000,
    0xdead_0000_0000_0100,
    0xdead_0000_0000_0122,
];

/// The smallest slide that is looked for: a smaller number would be found everywhere, and no kernel is moved by less
/// (`CONFIG_PHYSICAL_ALIGN` is 2 MiB or more).
const SMALLEST_SLIDE: u64 = 0x20_0000;

/// The lowest address of the kernel's image, and how much room there is for it
/// (<https://elixir.bootlin.com/linux/v6.1/source/arch/x86/include/asm/page_64_types.h>, `__START_KERNEL_map` and
/// `KERNEL_IMAGE_SIZE` with KASLR).
pub(crate) const IMAGE: u64 = 0xffff_ffff_8000_0000;
const IMAGE_SPACE: u64 = 1 << 30;

/// Every slide that a kernel can have, but for none: by the smallest alignment, anywhere in the room for the image.
pub fn slides() -> impl Iterator<Item = u64> {
    (SMALLEST_SLIDE..IMAGE_SPACE).step_by(SMALLEST_SLIDE as usize)
}

/// What kind of number a secret is: it decides in which forms it is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// An address.
    Pointer,
    /// A distance: between the running kernel and the file it came from.
    Slide,
    /// The bytes of a piece of memory.
    Memory,
}

/// Something that must not become known.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Secret {
    /// What it is.
    pub kind: Kind,
    /// The number, the lowest byte first; of memory its bytes.
    bytes: Vec<u8>,
}

impl std::fmt::Debug for Secret {
    /// Secrets are never printed.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}(…)", self.kind)
    }
}

impl Secret {
    fn number(kind: Kind, number: u64) -> Self {
        let bytes = number.to_le_bytes().to_vec();
        Secret { kind, bytes }
    }

    /// A slide.
    pub fn slide(bytes: u64) -> Self {
        Secret::number(Kind::Slide, bytes)
    }

    /// A piece of memory or text, if it is worth looking for: eight bytes or more, of which some differ. Shorter pieces
    /// would be found everywhere.
    pub(crate) fn memory(bytes: &[u8]) -> Option<Self> {
        let different: BTreeSet<&u8> = bytes.iter().collect();
        (bytes.len() >= 8 && different.len() >= 5).then(|| Secret {
            kind: Kind::Memory,
            bytes: bytes.to_vec(),
        })
    }

    /// Whether there are so few numbers of its kind that another document can have it by chance: a slide, and an address in the
    /// kernel's image.
    pub fn is_guessable(&self) -> bool {
        let in_image = |number: u64| (IMAGE..IMAGE + IMAGE_SPACE).contains(&number);
        match self.kind {
            Kind::Slide => true,
            Kind::Pointer => self.as_number().is_some_and(in_image),
            Kind::Memory => false,
        }
    }

    /// The number, if it is a slide.
    pub(crate) fn as_slide(&self) -> Option<u64> {
        self.as_number().filter(|_| self.kind == Kind::Slide)
    }

    /// The number, if it is one.
    fn as_number(&self) -> Option<u64> {
        Some(u64::from_le_bytes(self.bytes.as_slice().try_into().ok()?))
            .filter(|_| self.kind != Kind::Memory)
    }
}

/// Whether this number of pointer type says where something is.
pub fn is_pointer(number: u64) -> bool {
    (FIRST_PAGE..FIRST_ERROR).contains(&number) && !Address(number).is_pseudonym()
}

/// Whether a plain number is an address: in the kernel's half, and no pattern of bits.
pub(crate) fn is_address(number: u64) -> bool {
    (KERNEL_HALF..MODULES_END).contains(&number) && !is_pattern(number)
}

/// Whether a number is so simple that it stands for nothing: nearly all ones, or known to all.
fn is_pattern(number: u64) -> bool {
    KNOWN_TO_ALL.contains(&number) || (!number).count_ones() <= 2
}

/// Everything in `evidence` that says where something is, with the path of the first leaf that says it.
pub fn secrets(evidence: &Evidence) -> BTreeMap<Secret, String> {
    serde_json::to_value(evidence)
        .map(|document| in_document(&document))
        .unwrap_or_default()
}

/// [`secrets`] of evidence as it is written.
pub(crate) fn in_document(document: &Json) -> BTreeMap<Secret, String> {
    let mut found = Collector::default();
    found.walk(document, &mut Vec::new());
    let Collector {
        mut secrets,
        configured,
    } = found;
    secrets.retain(|secret, _| !secret.as_number().is_some_and(|n| configured.contains(&n)));
    secrets
}

/// What `evidence` makes known to everybody who may read it: for telling a secret from a coincidence.
pub fn known(evidence: &Evidence) -> BTreeSet<Secret> {
    let mut known: BTreeSet<Secret> = secrets(evidence).into_keys().collect();
    // What is linked to be somewhere is no secret, and is where a kernel without KASLR is.
    for places in evidence.kaslr.symbols.values() {
        if let Some(crate::document::value::Value::Address { value, .. }) =
            places.static_address.value()
        {
            known.insert(Secret::number(Kind::Pointer, value.0));
        }
    }
    known
}

/// One step of the way to a leaf.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step<'d> {
    Key(&'d str),
    Index(usize),
}

impl<'d> Step<'d> {
    /// The name of a member; an item of a list has none.
    fn key(self) -> &'d str {
        match self {
            Step::Key(key) => key,
            Step::Index(_) => "",
        }
    }
}

#[derive(Default)]
struct Collector {
    secrets: BTreeMap<Secret, String>,
    /// Numbers of the kernel's configuration: the same in every kernel of this build.
    configured: BTreeSet<u64>,
}

impl Collector {
    fn add(&mut self, path: &[Step<'_>], secret: Secret) {
        self.secrets
            .entry(secret)
            .or_insert_with(|| leaf_path(path));
    }

    fn pointer(&mut self, path: &[Step<'_>], number: u64) {
        if is_pointer(number) && number >= FIRST_RANDOM && !is_pattern(number) {
            self.add(path, Secret::number(Kind::Pointer, number));
        }
    }

    fn walk<'d>(&mut self, node: &'d Json, path: &mut Vec<Step<'d>>) {
        let section = path.first().map_or("", |step| step.key());
        let last = path.last().map_or("", |step| step.key());
        match node {
            Json::Object(map) => {
                if section == "kernel" && last == "config"
                    || section == "kaslr" && ["physical_start", "physical_align"].contains(&last)
                {
                    self.configure(node);
                    return;
                }
                // Public with the file that the kernel was loaded from.
                if section == "kaslr" && last == "static" {
                    return;
                }
                let by_builder = map.get("by").and_then(Json::as_str) == Some("builder");
                if section == "commands" && path.len() == 2 && by_builder {
                    return;
                }
                if let Some(kind) = value_kind(map) {
                    self.value(kind, map, path);
                    return;
                }
                for (key, child) in map {
                    path.push(Step::Key(key));
                    self.walk(child, path);
                    path.pop();
                }
            }
            Json::Array(list) => {
                for (index, child) in list.iter().enumerate() {
                    path.push(Step::Index(index));
                    self.walk(child, path);
                    path.pop();
                }
            }
            Json::String(text) => match Address::read(text) {
                Some(address) => self.pointer(path, address.0),
                None => self.text(path, text),
            },
            Json::Number(number) => {
                if let Some(number) = number.as_u64().filter(|n| is_address(*n)) {
                    self.pointer(path, number);
                }
            }
            Json::Bool(_) | Json::Null => {}
        }
    }

    fn configure(&mut self, node: &Json) {
        match node {
            Json::Object(map) => map.values().for_each(|child| self.configure(child)),
            Json::String(text) => {
                let number = match text.strip_prefix("0x") {
                    Some(digits) => u64::from_str_radix(digits, 16),
                    None => text.parse(),
                };
                self.configured.extend(number);
            }
            Json::Number(number) => self.configured.extend(number.as_u64()),
            _ => {}
        }
    }

    /// A typed value.
    fn value<'d>(
        &mut self,
        kind: &str,
        map: &'d serde_json::Map<String, Json>,
        path: &mut Vec<Step<'d>>,
    ) {
        let section = path.first().map_or("", |step| step.key());
        let about_place = ["kaslr", "boots"].contains(&section);
        match (kind, map.get("value")) {
            ("int" | "offset" | "size" | "flags" | "enum", Some(value)) => {
                let Some(bits) = integer(value) else { return };
                if about_place && (SMALLEST_SLIDE..KERNEL_HALF).contains(&bits) {
                    self.add(path, Secret::number(Kind::Slide, bits));
                } else if is_address(bits) {
                    self.pointer(path, bits);
                }
            }
            ("bytes", Some(Json::String(digits))) => {
                let bytes = hex::decode(digits).unwrap_or_default();
                for window in bytes.windows(8) {
                    let word = u64::from_le_bytes(window.try_into().unwrap_or_default());
                    if word >= CANONICAL && is_address(word) {
                        self.pointer(path, word);
                    }
                }
                if let Some(secret) = Secret::memory(&bytes) {
                    self.add(path, secret);
                }
            }
            _ => {
                for (key, child) in map {
                    if key != "kind" && key != "type" {
                        let named = key != "value";
                        if named {
                            path.push(Step::Key(key));
                        }
                        self.walk(child, path);
                        if named {
                            path.pop();
                        }
                    }
                }
            }
        }
    }

    fn text(&mut self, path: &[Step<'_>], text: &str) {
        for number in numbers_in(text) {
            if is_address(number) {
                self.pointer(path, number);
            }
        }
    }
}

/// The kind of a typed value; `None` if this is something else. (A machine has a kind, too.)
pub(crate) fn value_kind(map: &serde_json::Map<String, Json>) -> Option<&str> {
    let kind = map.get("kind")?.as_str()?;
    KINDS.contains(&kind).then_some(kind)
}

/// The 64 bits of an integer as evidence writes it.
pub(crate) fn integer(value: &Json) -> Option<u64> {
    let number: i128 = match value {
        Json::String(text) => text.parse().ok()?,
        Json::Number(number) => number
            .as_i64()
            .map(i128::from)
            .or(number.as_u64().map(i128::from))?,
        _ => return None,
    };
    u64::try_from(number)
        .ok()
        .or_else(|| Some(i64::try_from(number).ok()?.cast_unsigned()))
}

/// Words of a text that are addresses by their size, as numbers: hexadecimal ones of 12 to 16 digits, decimal ones of
/// 13 to 20, negative ones of 8 and more, and octal ones of 22.
pub(crate) fn numbers_in(text: &str) -> Vec<u64> {
    let mut out = Vec::new();
    let mut minus = false;
    for piece in text.split_inclusive(|c: char| !c.is_ascii_alphanumeric()) {
        let word = piece.trim_end_matches(|c: char| !c.is_ascii_alphanumeric());
        let digits = word
            .strip_prefix("0x")
            .or(word.strip_prefix("0X"))
            .unwrap_or(word);
        if (12..=16).contains(&digits.len()) {
            out.extend(u64::from_str_radix(digits, 16));
        }
        let octal = word.trim_start_matches(['0', 'o', 'O']);
        if octal.len() == 22 {
            out.extend(u64::from_str_radix(octal, 8));
        }
        if word.len() <= 20 && word.bytes().all(|b| b.is_ascii_digit()) {
            if word.len() >= 13 {
                out.extend(word.parse::<u64>());
            }
            if word.len() >= 8 && minus {
                out.extend(
                    word.parse::<i64>()
                        .map(|n| n.wrapping_neg().cast_unsigned()),
                );
            }
        }
        minus = piece.ends_with('-');
    }
    out
}

/// The path of a leaf from a JSON pointer to it.
pub(crate) fn path_of(pointer: &str) -> String {
    let steps: Vec<Step<'_>> = pointer
        .split('/')
        .skip(1)
        .map(|step| step.parse().map_or(Step::Key(step), Step::Index))
        .collect();
    leaf_path(&steps)
}

/// The path of a leaf from its place in the JSON document: `create.sock_alloc.hit1.return`.
fn leaf_path(place: &[Step<'_>]) -> String {
    let mut names: Vec<String> = Vec::new();
    let mut previous = "";
    for (depth, step) in place.iter().enumerate() {
        let dropped = matches!(
            (depth, step.key()),
            (0, "experiments") | (2, "probes") | (_, "hits")
        );
        names.extend(match (previous, *step) {
            ("hits", Step::Index(index)) => Some(format!("hit{}", index + 1)),
            ("boots", Step::Index(index)) => Some(format!("boot{}", index + 1)),
            (_, Step::Index(index)) => Some(index.to_string()),
            (_, Step::Key(key)) => (!dropped).then(|| key.to_owned()),
        });
        previous = step.key();
    }
    names.join(".")
}

#[cfg(test)]
pub(crate) mod tests;

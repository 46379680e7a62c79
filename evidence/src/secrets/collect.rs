//! Collection of everything in a document that must not become known.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value as Json;

use crate::document::fields::key_of;
use crate::document::value::{Address, KINDS};
use crate::document::{
    CommandRun, Evidence, Experiment, Kaslr, Kernel, Probe, Reader, SymbolPlaces,
};

use super::secret::{
    FIRST_RANDOM, IMAGE, KERNEL_HALF, SMALLEST_SLIDE, Secret, SecretKind, is_pattern, is_pointer,
};
use super::space::AddressSpace;

/// Keys of the document that decide what is a secret.
const KASLR: &str = key_of!(Evidence, "kaslr");
const KERNEL: &str = key_of!(Evidence, "kernel");
const BOOTS: &str = key_of!(Evidence, "boots");
const COMMANDS: &str = key_of!(Evidence, "commands");
const EXPERIMENTS: &str = key_of!(Evidence, "experiments");
const PROBES: &str = key_of!(Experiment, "probes");
const HITS: &str = key_of!(Probe, "hits");
const CONFIG: &str = key_of!(Kernel, "config");
const STATIC: &str = key_of!(SymbolPlaces, "static");
const BY: &str = key_of!(CommandRun, "by");

/// Numbers of the kernel's configuration below `kaslr`.
const CONFIGURED: &[&str] = &[
    key_of!(Kaslr, "physical_start"),
    key_of!(Kaslr, "physical_align"),
];

/// Everything in `evidence` that says where something is, with the path of the first leaf that says it.
pub fn collect_secrets(evidence: &Evidence) -> BTreeMap<Secret, String> {
    serde_json::to_value(evidence)
        .map(|document| collect_document_secrets(&document))
        .unwrap_or_default()
}

/// [`collect_secrets`] of evidence as it is written.
pub(crate) fn collect_document_secrets(document: &Json) -> BTreeMap<Secret, String> {
    let mut found = Collector {
        secrets: BTreeMap::new(),
        configured: BTreeSet::new(),
        space: AddressSpace::of_document(document),
        large: false,
    };
    found.walk(document, &mut Vec::new());
    if found.is_large() {
        found.large = true;
        found.walk(document, &mut Vec::new());
    }
    let Collector {
        mut secrets,
        configured,
        ..
    } = found;
    secrets.retain(|secret, _| !secret.as_number().is_some_and(|n| configured.contains(&n)));
    secrets
}

/// The texts and numbers that `evidence` makes known to everybody who may read it: for telling a secret from a
/// coincidence.
pub fn known_secrets(evidence: &Evidence) -> BTreeSet<Secret> {
    let mut known: BTreeSet<Secret> = collect_secrets(evidence).into_keys().collect();
    // What is linked to be somewhere is not a secret, and is where a kernel without KASLR is.
    for places in evidence.kaslr.symbols.values() {
        if let Some(crate::document::value::Value::Address { value, .. }) =
            places.static_address.value()
        {
            known.insert(Secret::number(SecretKind::Pointer, value.0));
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

struct Collector {
    secrets: BTreeMap<Secret, String>,
    /// Numbers of the kernel's configuration: the same in every kernel of this build.
    configured: BTreeSet<u64>,
    space: &'static AddressSpace,
    /// The kernel uses more levels of page tables than usual, or longer addresses, and has some that are too low for others.
    large: bool,
}

impl Collector {
    /// True if an address was found that only a kernel with a larger half than usual has.
    fn is_large(&self) -> bool {
        self.secrets.keys().any(|secret| {
            let number = secret.as_number();
            secret.kind == SecretKind::Pointer
                && number
                    .is_some_and(|number| (KERNEL_HALF..self.space.usual_half).contains(&number))
        })
    }

    fn add(&mut self, path: &[Step<'_>], secret: Secret) {
        self.secrets
            .entry(secret)
            .or_insert_with(|| leaf_path(path));
    }

    fn add_pointer(&mut self, path: &[Step<'_>], number: u64) {
        if is_pointer(number) && number >= FIRST_RANDOM && !is_pattern(number) {
            self.add(path, Secret::number(SecretKind::Pointer, number));
            for plain in self.space.without_tag(number) {
                // Nothing is lower in a kernel whose half is the usual one.
                let possible = plain < KERNEL_HALF || plain >= self.space.usual_half || self.large;
                if possible && !is_pattern(plain) {
                    self.add(path, Secret::number(SecretKind::Pointer, plain));
                }
            }
        }
    }

    fn walk<'d>(&mut self, node: &'d Json, path: &mut Vec<Step<'d>>) {
        let section = path.first().map_or("", |step| step.key());
        let last = path.last().map_or("", |step| step.key());
        match node {
            Json::Object(map) => {
                if section == KERNEL && last == CONFIG
                    || section == KASLR && CONFIGURED.contains(&last)
                {
                    self.add_configured_numbers(node);
                    return;
                }
                // Public with the file that the kernel was loaded from.
                if section == KASLR && last == STATIC {
                    return;
                }
                let by_builder = map.get(BY).and_then(Json::as_str) == Some(Reader::Builder.name());
                if section == COMMANDS && path.len() == 2 && by_builder {
                    return;
                }
                if let Some(kind) = value_kind(map) {
                    self.add_value(kind, map, path);
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
            Json::String(text) => match Address::parse(text) {
                Some(address) => self.add_pointer(path, address.0),
                None => self.add_text(path, text),
            },
            Json::Number(number) => {
                if let Some(number) = number.as_u64().filter(|n| self.space.is_address(*n)) {
                    self.add_pointer(path, number);
                }
            }
            Json::Bool(_) | Json::Null => {}
        }
    }

    fn add_configured_numbers(&mut self, node: &Json) {
        match node {
            Json::Object(map) => map
                .values()
                .for_each(|child| self.add_configured_numbers(child)),
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

    /// Add the secrets of a typed value.
    fn add_value<'d>(
        &mut self,
        kind: &str,
        map: &'d serde_json::Map<String, Json>,
        path: &mut Vec<Step<'d>>,
    ) {
        let section = path.first().map_or("", |step| step.key());
        let about_place = [KASLR, BOOTS].contains(&section);
        match (kind, map.get("value")) {
            ("int" | "offset" | "size" | "flags" | "enum", Some(value)) => {
                let Some(bits) = integer(value) else { return };
                if about_place && (SMALLEST_SLIDE..KERNEL_HALF).contains(&bits) {
                    self.add(path, Secret::number(SecretKind::Slide, bits));
                } else if self.space.is_address(bits) {
                    self.add_pointer(path, bits);
                }
            }
            ("bytes", Some(Json::String(digits))) => {
                let bytes = hex::decode(digits).unwrap_or_default();
                for (place, window) in bytes.windows(8).enumerate() {
                    let word = u64::from_le_bytes(window.try_into().unwrap_or_default());
                    let aligned = place.is_multiple_of(8);
                    // With the usual half, a word that only ends in `ff` is a coincidence.
                    let low = word < self.space.usual_half
                        && !(self.large && aligned && word >= KERNEL_HALF);
                    if low || !self.space.is_address(word) {
                        continue;
                    }
                    match aligned || word >= IMAGE {
                        true => self.add_pointer(path, word),
                        false => self.add(path, Secret::number(SecretKind::Word, word)),
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

    fn add_text(&mut self, path: &[Step<'_>], text: &str) {
        for number in numbers_in(text) {
            if self.space.is_address(number) {
                self.add_pointer(path, number);
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

/// The fewest letters and digits of a word that [`numbers_in`] takes for a number.
pub(crate) const SHORTEST_NUMBER: usize = 8;

/// Words of a text that are addresses by their size, as numbers: hexadecimal ones of 12 to 16 digits, decimal ones of
/// 13 to 20, negative ones of 8 and more, and octal ones of 19 to 22.
pub(crate) fn numbers_in(text: &str) -> Vec<u64> {
    let mut out = Vec::new();
    let mut minus = false;
    for piece in text.split_inclusive(|c: char| !c.is_ascii_alphanumeric()) {
        let word = piece.trim_end_matches(|c: char| !c.is_ascii_alphanumeric());
        let digits = word
            .strip_prefix("0x")
            .or(word.strip_prefix("0X"))
            .unwrap_or(word);
        if word.len() < SHORTEST_NUMBER {
            minus = piece.ends_with('-');
            continue;
        }
        if (12..=16).contains(&digits.len()) {
            out.extend(u64::from_str_radix(digits, 16));
        }
        let octal = word.trim_start_matches(['0', 'o', 'O']);
        if (19..=22).contains(&octal.len()) {
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
            (0, EXPERIMENTS) | (2, PROBES) | (_, HITS)
        );
        names.extend(match (previous, *step) {
            (HITS, Step::Index(index)) => Some(format!("hit{}", index + 1)),
            (BOOTS, Step::Index(index)) => Some(format!("boot{}", index + 1)),
            (_, Step::Index(index)) => Some(index.to_string()),
            (_, Step::Key(key)) => (!dropped).then(|| key.to_owned()),
        });
        previous = step.key();
    }
    names.join(".")
}

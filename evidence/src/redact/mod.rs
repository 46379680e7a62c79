//! Redaction: removal of everything from a live machine's evidence that would reveal where its kernel is in memory, or whose
//! machine it is.
//!
//! First, only values that are known to be harmless are kept ([`public`]). Then addresses are replaced, and finally the result
//! is searched for everything that it must not contain.
//!
//! Pointers become pseudonyms. Pseudonyms of pointers into a symbol of the kernel are laid out by the symbols' names and by the
//! bytes of them that the document shows: `symbol+0x1f` reveals as much. All others are numbered in the order in which the
//! document mentions them. So a pseudonym depends on the equality of pointers, on information that is shown anyway, and on
//! nothing else: neither order nor distance survives, and there is no key that could become known. Everything else that reveals
//! a location becomes unavailable, with the reason. The result is evidence of the same schema: a claim that only needs the
//! equality of pointers has the same verdict, one that needs more is UNVERIFIED.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Serialize, Serializer};
use serde_json::{Map, Value as Json, json};

pub use crate::document::withheld::{WITHHELD, withheld_reason};

use crate::document::fields::key_of;
use crate::document::instances::{Instances, Within};
use crate::document::value::{Address, Datum, Value};
use crate::document::visit::{VisitedItem, walk};
use crate::document::{
    Boot, CommandRun, Evidence, Kaslr, Machine, Missing, Probe, Quality, Reader, SymbolPlaces,
};
use crate::secrets::{
    self, AddressSpace, SHORTEST_NUMBER, Searcher, Secret, integer, is_pointer, numbers_in,
    value_kind,
};
use crate::validate::reader::{self, ReadError};

mod in_context;
mod keep;
mod kind;
mod layout;
mod parts;
mod phrase;
mod public;
mod reason;
mod tasks;

use layout::Layout;
use parts::AddressParts;
pub use phrase::mask_unknown_words;
use reason::WithholdReason;

/// The reason why a document could not be redacted. Nothing of it may be published then.
#[derive(Debug, thiserror::Error)]
pub enum RedactError {
    /// The document cannot be written, or what came out is not evidence.
    #[error("the redacted evidence cannot be written: {0}")]
    Write(#[from] serde_json::Error),
    /// The outcome is not evidence.
    #[error("the redacted evidence is refused: {0}")]
    Read(#[from] ReadError),
    /// Something got through.
    #[error("redaction left the value of `{leaf}` in the document ({form})")]
    Left {
        /// The leaf.
        leaf: String,
        /// The form in which it is written.
        form: &'static str,
    },
}

/// True if a document was redacted.
pub fn is_redacted(evidence: &Evidence) -> bool {
    withheld_reason(&evidence.machine.boot_id).is_some()
}

/// The document as it may be published. What comes out is searched for every secret of what went in.
pub fn redact(evidence: &Evidence) -> Result<Evidence, RedactError> {
    let raw = serde_json::to_value(evidence)?;
    let secrets = secrets::collect_document_secrets(&raw);
    let parts = AddressParts::of(&raw, &secrets);
    // Its memory, which is several times that of the document, is that of the next tree.
    drop(raw);
    let mut harmless = evidence.clone();
    public::withhold(&mut harmless, &parts);
    let mut document = serde_json::to_value(&harmless)?;
    drop(harmless);
    withhold_static_addresses(&mut document);
    let mut names = evidence.names.clone();
    let layout = Layout::new(&mut names, &collect_addresses(&document));
    document[NAMES] = serde_json::to_value(&names)?;
    let mut redaction = Redaction {
        numbers: BTreeMap::new(),
        layout,
        parts,
        path: Vec::new(),
    };
    redaction.walk(&mut document);
    let searcher = Searcher::new(&secrets, &BTreeSet::new());
    if find_leftover(&document, &searcher)?.is_some() {
        withhold_findings(&mut document, &searcher);
        if let Some(found) = find_leftover(&document, &searcher)? {
            let (leaf, form) = (found.leaf, found.form);
            return Err(RedactError::Left { leaf, form });
        }
    }
    Ok(reader::read(document.to_string().as_bytes())?)
}

/// The texts that `evidence` holds and that its redacted form withholds, each with the path of its leaf: what a site is
/// searched for besides addresses. Not among them is one that is made of common words alone, or that the redacted form shows in
/// another place: a line of the kernel's configuration that a command printed, too.
pub fn withheld_texts(evidence: &Evidence) -> BTreeMap<Secret, String> {
    let mut harmless = evidence.clone();
    let no_parts = AddressParts::none(evidence);
    public::withhold(&mut harmless, &no_parts);
    let known = phrase::PublicTexts::from_evidence(evidence, &no_parts);
    let mut shown = Vec::new();
    let mut elsewhere: BTreeSet<String> = BTreeSet::new();
    walk::<()>(&harmless, &mut |_, found| {
        shown.push(matches!(found, VisitedItem::Datum(Datum::Value(_))));
        if let VisitedItem::Datum(Datum::Value(Value::Text { value })) = found
            && remove_addresses_in(value, no_parts.space) == *value
        {
            elsewhere.extend(value.lines().map(|line| line.trim().to_owned()));
        }
        None
    });
    let mut shown = shown.into_iter();
    let mut texts = BTreeMap::new();
    walk::<()>(evidence, &mut |at, found| {
        // Both walks come by the same places.
        let is_shown = shown.next().unwrap_or(true);
        let pieces: Vec<&[u8]> = match found {
            VisitedItem::Datum(Datum::Value(
                Value::Text { value } | Value::CutText { value, .. },
            )) if !is_shown => value.lines().map(|line| line.trim().as_bytes()).collect(),
            VisitedItem::Datum(Datum::Value(
                Value::Bytes { value } | Value::CutBytes { value, .. },
            )) if !is_shown => value
                .0
                .split(|byte| !byte.is_ascii_graphic() && *byte != b' ')
                .collect(),
            _ => Vec::new(),
        };
        let tells = |text: &&[u8]| {
            let text = String::from_utf8_lossy(text);
            known.redact_words(&text) != text && !elsewhere.contains(&*text)
        };
        let pieces = pieces.into_iter().filter(tells);
        for secret in pieces.filter_map(Secret::memory) {
            texts
                .entry(secret)
                .or_insert_with(|| secrets::path_of(&at.text()));
        }
        None
    });
    texts
}

/// The smallest number that is searched for by its digits. Smaller ones are checked by the meaning of their field, because a time or a count
/// can equal a slide by chance. No pointer of the kernel is smaller.
const SMALLEST_SEARCHED: u64 = 1 << 44;

/// The first thing left in a document that must not be known. The numbers in it are counts, times, sizes and such, of
/// which some have the digits of a slide or of a part of an address by chance.
fn find_leftover(
    document: &Json,
    searcher: &Searcher,
) -> serde_json::Result<Option<secrets::SecretMatch>> {
    let text = serde_json::to_string(&WithoutSmallNumbers(document))?;
    Ok(searcher.find(text.as_bytes()).into_iter().next())
}

/// A document that is written with `null` in the place of each number below [`SMALLEST_SEARCHED`].
struct WithoutSmallNumbers<'a>(&'a Json);

impl Serialize for WithoutSmallNumbers<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Json::Object(map) => {
                serializer.collect_map(map.iter().map(|(key, child)| (key, Self(child))))
            }
            Json::Array(list) => serializer.collect_seq(list.iter().map(Self)),
            Json::Number(number)
                if number.as_u64().is_some_and(|n| n < SMALLEST_SEARCHED)
                    || number
                        .as_i64()
                        .is_some_and(|n| n.unsigned_abs() < SMALLEST_SEARCHED) =>
            {
                serializer.serialize_unit()
            }
            other => other.serialize(serializer),
        }
    }
}

/// The members that hold what the collector says in words: those of fields, and the reason in the place of a value. A test holds
/// all of these to the rows with the rule [`Publish::Sentence`](crate::document::fields::Publish::Sentence).
const SENTENCES: &[&str] = &[
    Missing::KEYS[0],
    Missing::KEYS[1],
    key_of!(Within, "why"),
    key_of!(Instances, "unknown"),
    key_of!(Machine, "accelerator"),
];

/// The member that is a list of sentences.
const NOTES: &str = key_of!(Quality, "notes");

/// The member whose sides map names to sentences.
const REFUSED_READS: &str = key_of!(Probe, "refused_reads");

/// Other members that this module looks for.
const COMMANDS: &str = key_of!(Evidence, "commands");
const KASLR: &str = key_of!(Evidence, "kaslr");
const BOOTS: &str = key_of!(Evidence, "boots");
const NAMES: &str = key_of!(Evidence, "names");
const BY: &str = key_of!(CommandRun, "by");
const VALUES: &str = key_of!(CommandRun, "values");
const SOURCES: &str = key_of!(Kaslr, "sources");
const INSTRUCTION: &str = key_of!(Probe, "instruction");
const BOOT_ID: &[&str] = &[key_of!(Machine, "boot_id"), key_of!(Boot, "boot_id")];

/// The values below `kaslr` that say where the kernel is.
const PLACES: &[&str] = &[
    key_of!(Kaslr, "slide"),
    key_of!(SymbolPlaces, "slide"),
    key_of!(SymbolPlaces, "live"),
    key_of!(SymbolPlaces, "static"),
    key_of!(Kaslr, "live_physical_start"),
];

/// Withholds each text and each reason in which something is found.
fn withhold_findings(node: &mut Json, searcher: &Searcher) {
    let tells = |text: &str| !searcher.find(text.as_bytes()).is_empty();
    match node {
        Json::Object(map) => {
            let value = map.get("value").and_then(Json::as_str);
            if value_kind(map) == Some("text") && value.is_some_and(tells) {
                *node = withheld_datum(WithholdReason::AddressInText);
                return;
            }
            for (key, child) in map.iter_mut() {
                match child {
                    Json::String(text) if SENTENCES.contains(&key.as_str()) && tells(text) => {
                        *text = WithholdReason::AddressInText.text();
                    }
                    Json::Array(notes) if key == NOTES => {
                        for note in notes {
                            if note.as_str().is_some_and(tells) {
                                *note = WithholdReason::AddressInText.text().into();
                            }
                        }
                    }
                    Json::Object(sides) if key == REFUSED_READS => {
                        let sides = sides.values_mut().filter_map(Json::as_object_mut);
                        for why in sides.flat_map(Map::values_mut) {
                            if why.as_str().is_some_and(tells) {
                                *why = WithholdReason::AddressInText.text().into();
                            }
                        }
                    }
                    child => withhold_findings(child, searcher),
                }
            }
        }
        Json::Array(list) => list
            .iter_mut()
            .for_each(|child| withhold_findings(child, searcher)),
        _ => {}
    }
}

/// A text without the addresses that it holds, in hexadecimal or decimal, of whatever architecture.
pub fn remove_addresses(text: &str) -> String {
    remove_addresses_in(text, AddressSpace::STRICTEST)
}

/// [`remove_addresses`] of one architecture.
fn remove_addresses_in(text: &str, space: &AddressSpace) -> String {
    if !has_long_word(text) {
        return text.to_owned();
    }
    let mut out = String::with_capacity(text.len());
    let is_word = |c: char| c.is_ascii_alphanumeric();
    let mut rest = text;
    while let Some(start) = rest.find(is_word) {
        out.push_str(&rest[..start]);
        rest = &rest[start..];
        let end = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
        let word = &rest[..end];
        let sign = usize::from(out.ends_with('-'));
        let at = text.len() - rest.len();
        let says = numbers_in(&text[at - sign..at + end])
            .into_iter()
            .any(|number| space.is_address(number));
        out.push_str(if says { "…" } else { word });
        rest = &rest[end..];
    }
    out.push_str(rest);
    out
}

/// True if a word of the text is long enough for an address: most texts have none, and need no further look.
fn has_long_word(text: &str) -> bool {
    let mut words = text.as_bytes().split(|byte| !byte.is_ascii_alphanumeric());
    words.any(|word| word.len() >= SHORTEST_NUMBER)
}

/// Takes out what commands of the builder found: static addresses, which beside live ones would tell the slide.
fn withhold_static_addresses(document: &mut Json) {
    let commands = document.get_mut(COMMANDS).and_then(Json::as_object_mut);
    for command in commands.into_iter().flat_map(Map::values_mut) {
        if command.get(BY).and_then(Json::as_str) != Some(Reader::Builder.name()) {
            continue;
        }
        let values = command.get_mut(VALUES).and_then(Json::as_object_mut);
        for value in values.into_iter().flat_map(Map::values_mut) {
            if value.get("kind").and_then(Json::as_str) == Some("address") {
                *value = withheld_datum(WithholdReason::Slide);
            }
        }
    }
}

/// All addresses that stand in the document as such, but for the table of symbols, and which of them stands first.
fn collect_addresses(document: &Json) -> BTreeMap<u64, usize> {
    fn walk(node: &Json, out: &mut BTreeMap<u64, usize>) {
        match node {
            Json::Object(map) => map.values().for_each(|child| walk(child, out)),
            Json::Array(list) => list.iter().for_each(|child| walk(child, out)),
            Json::String(text) => {
                if let Some(address) = Address::parse(text) {
                    let next = out.len();
                    out.entry(address.0).or_insert(next);
                }
            }
            Json::Number(_) | Json::Bool(_) | Json::Null => {}
        }
    }
    let mut out = BTreeMap::new();
    for (name, section) in document.as_object().into_iter().flatten() {
        if name != NAMES {
            walk(section, &mut out);
        }
    }
    out
}

/// The JSON of a value that is withheld.
fn withheld_datum(why: WithholdReason) -> Json {
    json!({ "withheld": why.to_string() })
}

/// Longer memory can hold a part of an address, and two bytes of machine code the first one of a distance.
const HARMLESS_BYTES: usize = 1;

struct Redaction {
    /// The number of each pointer that leads into no symbol, counted from 0.
    numbers: BTreeMap<u64, u32>,
    layout: Layout,
    parts: AddressParts,
    path: Vec<String>,
}

impl Redaction {
    fn pseudonym(&mut self, address: Address) -> Address {
        if !is_pointer(address.0) {
            return address;
        }
        if let Some(number) = self.layout.number(address.0) {
            return Address::pseudonym(number);
        }
        let next = u32::try_from(self.numbers.len()).unwrap_or(u32::MAX);
        let number = *self.numbers.entry(address.0).or_insert(next);
        Address::pseudonym(self.layout.end.saturating_add(number))
    }

    fn walk(&mut self, node: &mut Json) {
        match node {
            Json::Object(map) if value_kind(map).is_some() => {
                if let Some(reason) = self.value(map) {
                    *node = withheld_datum(reason);
                }
            }
            Json::Object(map) => {
                // Machine code of the kernel: its calls can lead to trampolines of this boot.
                if map.get(INSTRUCTION).is_some_and(Json::is_object) {
                    map.remove(INSTRUCTION);
                }
                for (key, child) in map.iter_mut() {
                    self.path.push(key.clone());
                    self.walk(child);
                    self.path.pop();
                }
            }
            Json::Array(list) => list.iter_mut().for_each(|child| self.walk(child)),
            Json::String(text) => {
                if self
                    .path
                    .last()
                    .is_some_and(|key| BOOT_ID.contains(&key.as_str()))
                {
                    *text = WithholdReason::Boot.text();
                } else if let Some(address) = Address::parse(text) {
                    *text = self.pseudonym(address).to_string();
                } else if has_long_word(text) {
                    *text = remove_addresses_in(text, self.parts.space);
                }
            }
            Json::Number(_) | Json::Bool(_) | Json::Null => {}
        }
    }

    /// Redacts a typed value in place, or returns the reason why it has to be withheld.
    fn value(&mut self, map: &mut Map<String, Json>) -> Option<WithholdReason> {
        let in_section = |name: &str| self.path.first().is_some_and(|first| first == name);
        let last = self.path.last().map_or("", String::as_str);
        let about_place = in_section(BOOTS)
            || in_section(KASLR)
                && (PLACES.contains(&last) || self.path.get(1).is_some_and(|name| name == SOURCES));
        if about_place {
            return Some(WithholdReason::Slide);
        }
        let value = map.get("value");
        match value_kind(map).unwrap_or_default() {
            // A number that a command printed can be anything, such as a distance; its exit status is none.
            "int" | "offset" if in_section(COMMANDS) && self.path.len() > 3 => {
                return Some(WithholdReason::Command);
            }
            "int" | "offset" | "size" | "flags" | "enum" | "fd" | "pid" => {
                let bits = value.and_then(integer)?;
                return self
                    .parts
                    .leak_in(bits)
                    .then_some(WithholdReason::PartOfAddress);
            }
            "bytes" => {
                let length = value.and_then(Json::as_str).map_or(0, |hex| hex.len() / 2);
                return (length > HARMLESS_BYTES).then_some(WithholdReason::Memory);
            }
            "text" => {
                let text = value.and_then(Json::as_str).unwrap_or_default();
                return (has_long_word(text)
                    && remove_addresses_in(text, self.parts.space) != text)
                    .then_some(WithholdReason::AddressInText);
            }
            _ => {}
        }
        for (key, child) in map.iter_mut() {
            if key != "kind" {
                self.walk(child);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests;

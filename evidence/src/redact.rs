//! Redaction: a live machine's evidence without what would tell where its kernel is.
//!
//! Pointers become pseudonyms. Those into a symbol of the kernel are laid out by the symbols' names and the bytes of
//! them that the document shows: `symbol+0x1f` says as much. All others are numbered in the order of the places where
//! the document names them. So a pseudonym is a function of which pointers are equal, of what is shown anyway, and of
//! nothing else: neither order nor distance survives, and there is no key that could become known. Everything else that
//! says where something is becomes unavailable, with the reason. What is left is evidence of the same schema: a claim that needs no more than the equality of pointers
//! comes to the same verdict, one that needs more is UNVERIFIED.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value as Json, json};

use crate::document::Evidence;
use crate::names::Names;
use crate::reader::{self, ReadError};
use crate::secrets::{
    self, Searcher, Secret, integer, is_address, is_pointer, numbers_in, value_kind,
};
use crate::value::Address;

/// What the reason of a value begins with that was measured and is not told.
pub const WITHHELD: &str = "withheld: ";

/// Why a document could not be redacted. Nothing of it may be published then.
#[derive(Debug, thiserror::Error)]
pub enum RedactError {
    /// The document cannot be written, or what came out is no evidence.
    #[error("the redacted evidence cannot be written: {0}")]
    Write(#[from] serde_json::Error),
    /// What came out is no evidence.
    #[error("the redacted evidence is refused: {0}")]
    Read(#[from] ReadError),
    /// Something got through.
    #[error("redaction left what `{leaf}` says in the document ({form})")]
    Left {
        /// The leaf.
        leaf: String,
        /// How it is written.
        form: &'static str,
    },
}

/// The reason of a value that was withheld, a phrase that can follow "because"; `None` if this is another reason.
pub fn withheld(reason: &str) -> Option<&str> {
    reason.strip_prefix(WITHHELD)
}

/// Whether a document was redacted.
pub fn is_redacted(evidence: &Evidence) -> bool {
    withheld(&evidence.machine.boot_id).is_some()
}

/// The document as it may be published. What comes out is searched for every secret of what went in.
pub fn redact(evidence: &Evidence) -> Result<Evidence, RedactError> {
    let mut document = serde_json::to_value(evidence)?;
    let secrets = secrets::in_document(&document);
    static_addresses(&mut document);
    let mut parts = low_halves(&document);
    parts.extend(secrets.keys().filter_map(Secret::as_slide));
    let mut names = evidence.names.clone();
    let layout = Layout::new(&mut names, &addresses(&document));
    document["names"] = serde_json::to_value(&names)?;
    let mut redaction = Redaction {
        numbers: BTreeMap::new(),
        layout,
        parts,
        path: Vec::new(),
    };
    redaction.tasks(&mut document);
    redaction.walk(&mut document);
    let text = serde_json::to_string(&document)?;
    let searcher = Searcher::new(&secrets, &BTreeSet::new());
    if let Some(found) = searcher.find(text.as_bytes()).into_iter().next() {
        let (leaf, form) = (found.leaf, found.form);
        return Err(RedactError::Left { leaf, form });
    }
    Ok(reader::read(text.as_bytes())?)
}

/// A text without the addresses that it holds, in hexadecimal or decimal.
pub fn scrub(text: &str) -> String {
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
            .any(is_address);
        out.push_str(if says { "…" } else { word });
        rest = &rest[end..];
    }
    out.push_str(rest);
    out
}

/// Takes out what commands of the builder found: static addresses, which beside live ones would tell the slide.
fn static_addresses(document: &mut Json) {
    let commands = document.get_mut("commands").and_then(Json::as_object_mut);
    for command in commands.into_iter().flat_map(Map::values_mut) {
        if command.get("by").and_then(Json::as_str) != Some("builder") {
            continue;
        }
        let values = command.get_mut("values").and_then(Json::as_object_mut);
        for value in values.into_iter().flat_map(Map::values_mut) {
            if value.get("kind").and_then(Json::as_str) == Some("address") {
                *value = json!({ "unavailable": SLIDE });
            }
        }
    }
}

/// All addresses that stand in the document as such, but for the table of symbols, and which of them stands first.
fn addresses(document: &Json) -> BTreeMap<u64, usize> {
    fn walk(node: &Json, out: &mut BTreeMap<u64, usize>) {
        match node {
            Json::Object(map) => map.values().for_each(|child| walk(child, out)),
            Json::Array(list) => list.iter().for_each(|child| walk(child, out)),
            Json::String(text) => {
                if let Some(address) = Address::read(text) {
                    let next = out.len();
                    out.entry(address.0).or_insert(next);
                }
            }
            Json::Number(_) | Json::Bool(_) | Json::Null => {}
        }
    }
    let mut out = BTreeMap::new();
    for (name, section) in document.as_object().into_iter().flatten() {
        if name != "names" {
            walk(section, &mut out);
        }
    }
    out
}

/// The lower halves of all pointers: a number of 32 bits that is equal to one is taken for it.
fn low_halves(node: &Json) -> BTreeSet<u64> {
    fn walk(node: &Json, out: &mut BTreeSet<u64>) {
        match node {
            Json::Object(map) => map.values().for_each(|child| walk(child, out)),
            Json::Array(list) => list.iter().for_each(|child| walk(child, out)),
            Json::String(text) => {
                let number = Address::read(text).map(|a| a.0);
                let number = number.or_else(|| integer(node).filter(|n| is_address(*n)));
                let low = number
                    .filter(|n| is_pointer(*n))
                    .map(|n| n & u64::from(u32::MAX));
                out.extend(low.filter(|low| *low >= 1 << 20));
            }
            _ => {}
        }
    }
    let mut out = BTreeSet::new();
    walk(node, &mut out);
    out
}

/// Why something of a live machine is not told.
const SLIDE: &str = "withheld: it would tell where this live machine's kernel is";
const BOOT: &str = "withheld: it tells this boot of a live machine from its others";
const NUMBER: &str = "withheld: this number is an address of this live machine, or a part of one";
const BYTES: &str = "withheld: memory of this live machine can hold addresses";
const TEXT: &str = "withheld: this text holds an address of this live machine";
const COMMAND: &str = "withheld: a command printed it on this live machine";
const TASK: &str = "withheld: the name of another task of this live machine";

/// Longer memory can hold a part of an address, and two bytes of machine code the first one of a distance.
const HARMLESS_BYTES: usize = 1;

/// Kernel threads whose names say nothing about a machine; what follows the name (a CPU, a queue) is left out.
const KERNEL_THREADS: &[&str] = &[
    "swapper",
    "ksoftirqd",
    "kworker",
    "rcu_preempt",
    "rcu_sched",
    "rcuop",
    "rcuos",
    "rcuog",
    "rcuc",
    "migration",
    "kthreadd",
];

/// Where the symbols lie in a kernel that never was: one behind the other, by their names.
struct Layout {
    /// By live address: the size, and the number that stands for the first byte.
    symbols: BTreeMap<u64, (u64, u32)>,
    /// The first number behind all symbols.
    end: u32,
}

impl Layout {
    /// Lays the symbols out, and puts them into that order. What is no pointer keeps its place, ahead of all others. A
    /// symbol becomes as long as the last of its bytes that is used: its end was where the next one begins, which for
    /// a module or a trampoline is a distance of this boot. Of two that are alike, the one that is used first is first.
    fn new(names: &mut Names, used: &BTreeMap<u64, usize>) -> Self {
        let mut keyed: Vec<_> = names
            .symbols
            .drain(..)
            .map(|mut symbol| {
                let start = symbol.address.0;
                if !is_pointer(start) {
                    return ((false, start, String::new(), 0, 0), symbol);
                }
                let own = used.range(start..start.saturating_add(symbol.size));
                let last = own.clone().next_back().map_or(start, |(last, _)| *last);
                symbol.size = last - start + 1;
                let first = own.map(|(_, place)| *place).min().unwrap_or(usize::MAX);
                ((true, 0, symbol.name.clone(), symbol.size, first), symbol)
            })
            .collect();
        keyed.sort_by(|a, b| a.0.cmp(&b.0));
        names.symbols = keyed.into_iter().map(|(_, symbol)| symbol).collect();
        let mut layout = Layout {
            symbols: BTreeMap::new(),
            end: 1,
        };
        for symbol in names.symbols.iter().filter(|s| is_pointer(s.address.0)) {
            let size = u32::try_from(symbol.size).unwrap_or(u32::MAX);
            let place = (symbol.size, layout.end);
            layout.symbols.insert(symbol.address.0, place);
            layout.end = layout.end.saturating_add(size);
        }
        layout
    }

    /// The number of an address inside of a symbol.
    fn number(&self, address: u64) -> Option<u32> {
        let (start, (size, base)) = self.symbols.range(..=address).next_back()?;
        let offset = address - start;
        (offset < *size)
            .then(|| u32::try_from(offset).ok()?.checked_add(*base))
            .flatten()
    }
}

struct Redaction {
    /// The number of each pointer that leads into no symbol, counted from 0.
    numbers: BTreeMap<u64, u32>,
    layout: Layout,
    /// Lower halves of pointers, and slides.
    parts: BTreeSet<u64>,
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
                    *node = json!({ "unavailable": reason });
                }
            }
            Json::Object(map) => {
                // Machine code of the kernel: its calls can lead to trampolines of this boot.
                if map.get("instruction").is_some_and(Json::is_object) {
                    map.remove("instruction");
                }
                for (key, child) in map.iter_mut() {
                    self.path.push(key.clone());
                    self.walk(child);
                    self.path.pop();
                }
            }
            Json::Array(list) => list.iter_mut().for_each(|child| self.walk(child)),
            Json::String(text) => {
                if self.path.last().is_some_and(|key| key == "boot_id") {
                    *text = BOOT.into();
                } else if let Some(address) = Address::read(text) {
                    *text = self.pseudonym(address).to_string();
                } else {
                    *text = scrub(text);
                }
            }
            Json::Number(_) | Json::Bool(_) | Json::Null => {}
        }
    }

    /// Redacts a typed value in its place, or says why it cannot be told.
    fn value(&mut self, map: &mut Map<String, Json>) -> Option<&'static str> {
        let in_section = |name: &str| self.path.first().is_some_and(|first| first == name);
        let last = self.path.last().map_or("", String::as_str);
        let about_place = in_section("boots")
            || in_section("kaslr")
                && (["slide", "live", "static", "live_physical_start"].contains(&last)
                    || self.path.get(1).is_some_and(|name| name == "sources"));
        if about_place {
            return Some(SLIDE);
        }
        let value = map.get("value");
        match value_kind(map).unwrap_or_default() {
            // A number that a command printed can be anything, such as a distance; its exit status is none.
            "int" | "offset" if in_section("commands") && self.path.len() > 3 => {
                return Some(COMMAND);
            }
            "int" | "offset" | "size" | "flags" | "enum" => {
                let bits = value.and_then(integer)?;
                // A lower half can have been read as a signed number.
                let low = bits & u64::from(u32::MAX);
                let part =
                    (bits == low || bits >> 31 == u64::MAX >> 31) && self.parts.contains(&low);
                return (is_address(bits) || part).then_some(NUMBER);
            }
            "bytes" => {
                let length = value.and_then(Json::as_str).map_or(0, |hex| hex.len() / 2);
                return (length > HARMLESS_BYTES).then_some(BYTES);
            }
            "text" => {
                let text = value.and_then(Json::as_str).unwrap_or_default();
                return (scrub(text) != text).then_some(TEXT);
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

    /// Takes out the names of tasks that are not the workload's.
    fn tasks(&mut self, document: &mut Json) {
        let Some(experiments) = document
            .get_mut("experiments")
            .and_then(Json::as_object_mut)
        else {
            return;
        };
        for experiment in experiments.values_mut() {
            let own = first_pid(experiment);
            tasks_in(experiment, own);
        }
    }
}

/// The process that hit a probe first: the workload's.
fn first_pid(experiment: &Json) -> Option<i64> {
    let probes = experiment.get("probes")?.as_object()?;
    probes
        .values()
        .filter_map(|probe| probe.get("hits")?.as_array())
        .flatten()
        .filter_map(|hit| {
            let order = hit.get("order").or(hit.get("return_order"))?.as_u64()?;
            Some((order, hit.get("task")?.get("pid")?.as_i64()?))
        })
        .min()
        .map(|(_, pid)| pid)
}

fn tasks_in(node: &mut Json, own: Option<i64>) {
    match node {
        Json::Array(list) => list.iter_mut().for_each(|child| tasks_in(child, own)),
        Json::Object(map) => {
            // Of a hit: a process with its name. Of a free: the name, and whether it is the workload's.
            let same = map.get("same_task").and_then(Json::as_bool);
            if let (Some(false), Some(Json::String(name))) = (same, map.get_mut("task")) {
                *name = generalized(name).unwrap_or_else(|| "another task".into());
            }
            let foreign = map.contains_key("tid")
                && map
                    .get("pid")
                    .and_then(Json::as_i64)
                    .is_some_and(|pid| Some(pid) != own);
            if let (true, Some(Json::String(name))) = (foreign, map.get_mut("name")) {
                *name = generalized(name).unwrap_or_else(|| TASK.into());
            }
            map.values_mut().for_each(|child| tasks_in(child, own));
        }
        _ => {}
    }
}

/// The kernel thread of this name, without what tells it from others of its kind.
fn generalized(name: &str) -> Option<String> {
    KERNEL_THREADS
        .iter()
        .find(|known| {
            name.strip_prefix(**known)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        })
        .map(|known| (*known).to_owned())
}

#[cfg(test)]
mod tests;

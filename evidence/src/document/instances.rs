//! The copies of a kernel function that a build has, and which of them a probe watched.
//!
//! A compiler inlines a function in one place and calls it in another, splits it or clones it, and two source files can have
//! functions of the same name. A probe is attached to copies that have an address of their own; it does not see the others.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::value::Address;

/// All copies of the functions of one name in the running kernel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Instances {
    /// Copies with code of their own, by ascending address.
    pub copies: Vec<OwnCopy>,
    /// Copies inlined into other functions. `None`: they are not known, for the reason in `unknown`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inlined: Option<Vec<InlinedCopy>>,
    /// The number of copies in both lists.
    pub count: u64,
    /// True if one of the copies, or a function that holds one, can end in a jump to another function, which then
    /// stands on the stack in its place. `None`: not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leaves_by_jump: Option<bool>,
    /// True if the debug info marks each copy with code of its own as not returning (`noreturn`): then an unseen return does
    /// not count as missed. `None`: not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub never_returns: Option<bool>,
    /// The reason why not all inlined copies are known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unknown: Option<String>,
}

/// A copy with code of its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OwnCopy {
    /// Its symbol: the function's name, with the compiler's suffix where it is a clone (`f.part.0`).
    pub symbol: String,
    /// Its first address.
    pub address: Address,
    /// The file that defines its function, relative to the kernel's source, where the debug info says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// Other names of the same address.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub aliases: Vec<String>,
}

/// A copy inlined into another function.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct InlinedCopy {
    /// The function whose code holds it, by its symbol.
    pub holder: String,
    /// The first address of the holder. `None`: the debug info does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<Address>,
    /// The file that defines the inlined function.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// The inlined call, `fs/file.c:566`, where the debug info says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub site: Option<String>,
}

/// The condition of a probe that counts only hits with one function on their stack.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Within {
    /// The function.
    pub function: String,
    /// Hits whose stack does not tell whether the function is on it. They are none of the probe's hits.
    pub undecided: u64,
    /// Hits of the probe that came before the first of those: their numbers are known. `None` where there are none of those, or
    /// it is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settled: Option<u64>,
    /// The reason why the first of them could not be decided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

impl Within {
    /// The reason why hits may be missing: of so many it is not known whether they are within the function.
    pub fn undecided_reason(&self) -> Option<String> {
        let (hits, they_are) = match self.undecided {
            0 => return None,
            1 => ("1 hit".to_owned(), "it is"),
            count => (format!("{count} hits"), "they are"),
        };
        let why = self.why.as_deref().unwrap_or("the evidence does not say");
        Some(format!(
            "of {hits} it is not known whether {they_are} within `{}`: {why}",
            self.function
        ))
    }
}

/// The number of copies that a list names before it says how many more there are.
const SHOWN: usize = 3;

impl Instances {
    /// The contradiction within the lists themselves.
    pub(crate) fn contradiction(&self) -> Option<String> {
        let inlined = self.inlined.as_ref().map_or(0, Vec::len);
        let count = (self.copies.len() + inlined) as u64;
        if count != self.count {
            return Some(format!(
                "it has {count} copies, and says that it has {}",
                self.count
            ));
        }
        let addresses: BTreeSet<&Address> = self.copies.iter().map(|copy| &copy.address).collect();
        (addresses.len() != self.copies.len())
            .then(|| "two of its copies have one address: they are one".into())
    }
}

impl Instances {
    /// The reasons why a function may have run although nothing did at the addresses `seen`. `file`: the file of the
    /// function that is meant.
    pub fn gap_reasons(
        &self,
        function: &str,
        file: Option<&str>,
        seen: &BTreeSet<Address>,
    ) -> Vec<String> {
        // A copy whose file is not known may be of the file that is meant.
        let of_file = |of: &Option<String>| match (file, of) {
            (Some(wanted), Some(file)) => wanted == file,
            _ => true,
        };
        let mut reasons = Vec::new();
        let copies = self.copies.iter();
        let mut copies: Vec<String> = copies
            .filter(|copy| of_file(&copy.file) && !seen.contains(&copy.address))
            .map(OwnCopy::describe)
            .collect();
        if !copies.is_empty() {
            copies.dedup();
            reasons.push(format!(
                "other copies of `{function}` were not watched: {}",
                shorten_list(&copies)
            ));
        }
        let Some(inlined) = &self.inlined else {
            let unknown = self.unknown.as_deref();
            reasons.push(format!(
                "it is not known where `{function}` is inlined: {}",
                unknown.unwrap_or("the evidence does not say")
            ));
            return reasons;
        };
        let mut holders: BTreeMap<&str, &InlinedCopy> = BTreeMap::new();
        for copy in inlined.iter().filter(|copy| of_file(&copy.file)) {
            if !copy.address.is_some_and(|holder| seen.contains(&holder)) {
                holders.entry(&copy.holder).or_insert(copy);
            }
        }
        if !holders.is_empty() {
            let described: Vec<String> = holders.values().map(|copy| copy.describe()).collect();
            reasons.push(format!(
                "inlined copies of `{function}` were not watched: in {}; probes on these functions that do not fire would rule them out",
                shorten_list(&described)
            ));
        }
        reasons
    }
}

impl OwnCopy {
    /// All names of its address, the usual one first.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        std::iter::once(&self.symbol)
            .chain(&self.aliases)
            .map(String::as_str)
    }

    fn describe(&self) -> String {
        match &self.file {
            Some(file) => format!("`{}` ({file})", self.symbol),
            None => format!("`{}`", self.symbol),
        }
    }
}

impl InlinedCopy {
    fn describe(&self) -> String {
        match &self.site {
            Some(site) => format!("`{}` ({site})", self.holder),
            None => format!("`{}`", self.holder),
        }
    }
}

/// The first few, and how many more there are.
fn shorten_list(list: &[String]) -> String {
    let shown = list
        .get(..SHOWN.min(list.len()))
        .unwrap_or_default()
        .join(", ");
    match list.len().saturating_sub(SHOWN) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

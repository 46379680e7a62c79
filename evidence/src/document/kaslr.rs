//! Where a kernel was in memory.

use super::command::Reader;
use super::value::Datum;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What `kaslr.status` says of a kernel that was moved.
pub const RANDOMIZED: &str = "randomized";

/// What it says of one that stands at its static address.
pub const DISABLED: &str = "disabled";

/// Where the kernel image is, against where it was linked to be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Kaslr {
    /// `randomized`, `disabled`, or unavailable with the reason.
    pub status: Datum,
    /// Live minus static address, in bytes. Only if all sources agree.
    pub slide: Datum,
    /// Whether two or more independent sources gave a slide and all of them the same.
    pub agree: Datum,
    /// What each source says the slide is.
    #[serde(deserialize_with = "crate::document::de::unique_map")]
    pub sources: BTreeMap<String, Datum>,
    /// Live and static address of some symbols.
    #[serde(deserialize_with = "crate::document::de::unique_map")]
    pub symbols: BTreeMap<String, SymbolPlaces>,
    /// How many symbols of the core image were compared.
    pub checked: Datum,
    /// How many of those do not have the common slide.
    pub differing: Datum,
    /// `CONFIG_PHYSICAL_START`, bytes.
    pub physical_start: Datum,
    /// `CONFIG_PHYSICAL_ALIGN`, bytes.
    pub physical_align: Datum,
    /// Where the kernel's code really begins in physical memory.
    pub live_physical_start: Datum,
    /// The lines of files that these values came from.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub readings: Vec<Reading>,
}

/// A line of a file, as it stood there when it was read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Reading {
    /// Who read it.
    pub by: Reader,
    /// The file. Of one on the building machine only the last part of its path.
    pub file: String,
    /// What was looked for in it: a symbol, an option.
    pub key: String,
    /// The number of the line, from 1. `None`: the file is not text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<u64>,
    /// The line; of a file that is not text, the entry's address and name, or its text. Else why there is none.
    pub text: Datum,
}

/// One symbol's two addresses.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SymbolPlaces {
    /// In the running kernel.
    pub live: Datum,
    /// In the file it was loaded from.
    #[serde(rename = "static")]
    pub static_address: Datum,
    /// Their difference.
    pub slide: Datum,
}

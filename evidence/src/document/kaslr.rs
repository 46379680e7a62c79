//! The location of a kernel in memory.

use super::command::Reader;
use super::value::Datum;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The value of `kaslr.status` for a kernel that was moved.
pub const RANDOMIZED: &str = "randomized";

/// The value for a kernel at its static address.
pub const DISABLED: &str = "disabled";

/// The place of the kernel image, against where it was linked to be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Kaslr {
    /// `randomized`, `disabled`, or unavailable with the reason.
    pub status: Datum,
    /// Live minus static address, in bytes. Only if all sources agree.
    pub slide: Datum,
    /// True if two or more independent sources gave a slide and all of them the same.
    pub agree: Datum,
    /// The slide by each source.
    #[serde(deserialize_with = "crate::document::de::unique_map")]
    pub sources: BTreeMap<String, Datum>,
    /// Live and static address of some symbols.
    #[serde(deserialize_with = "crate::document::de::unique_map")]
    pub symbols: BTreeMap<String, SymbolPlaces>,
    /// The number of symbols of the core image that were compared.
    pub checked: Datum,
    /// The number of those that do not have the common slide.
    pub differing: Datum,
    /// `CONFIG_PHYSICAL_START`, bytes.
    pub physical_start: Datum,
    /// `CONFIG_PHYSICAL_ALIGN`, bytes.
    pub physical_align: Datum,
    /// The real beginning of the kernel's code in physical memory.
    pub live_physical_start: Datum,
    /// The lines of files that these values came from.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub readings: Vec<Reading>,
}

/// A line of a file, as it stood there when it was read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Reading {
    /// The machine that read it.
    pub by: Reader,
    /// The file. Of one on the building machine only the last part of its path.
    pub file: String,
    /// The text that was searched for in it: a symbol, an option.
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

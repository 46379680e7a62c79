//! How long a value stays the same.

use serde::{Deserialize, Serialize};

/// When a value may change without anything being wrong.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    schemars::JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Drift {
    /// With every run: times, process ids, heap addresses.
    PerRun,
    /// With every boot: text addresses, the slide.
    PerBoot,
    /// With the kernel build: source lines, offsets, sizes.
    PerKernel,
    /// Never, as long as the investigation stays the same.
    Invariant,
}

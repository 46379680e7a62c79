//! The whole document, the capture that made it and the machine that was watched.

use super::command::CommandRun;
use super::experiment::Experiment;
use super::facts::Facts;
use super::instances::Instances;
use super::kaslr::Kaslr;
use super::names::Names;
use super::value::Datum;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The schema version that this crate reads and writes.
pub const SCHEMA_VERSION: u32 = 1;

/// One capture on one machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Evidence {
    /// Version of this document's form: [`SCHEMA_VERSION`].
    pub schema: u32,
    /// The capture itself.
    pub run: Run,
    /// The machine that was watched.
    pub machine: Machine,
    /// The kernel that ran there.
    pub kernel: Kernel,
    /// The place of that kernel in memory.
    pub kaslr: Kaslr,
    /// Further boots of the same guest, if they were asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub boots: Vec<Boot>,
    /// Ordinary programs that were run, by name.
    #[serde(
        default,
        deserialize_with = "crate::document::de::named_map",
        skip_serializing_if = "BTreeMap::is_empty"
    )]
    pub commands: BTreeMap<String, CommandRun>,
    /// The copies that the kernel has of each probed function, by its name.
    #[serde(
        default,
        deserialize_with = "crate::document::de::unique_map",
        skip_serializing_if = "BTreeMap::is_empty"
    )]
    pub instances: BTreeMap<String, Instances>,
    /// Facts of the kernel's build that the investigation names. `None`: it names none, or an older collector did not look.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub facts: Option<Facts>,
    /// The meaning of the names beside addresses and numbers.
    pub names: Names,
    /// The experiments by name.
    #[serde(deserialize_with = "crate::document::de::named_map")]
    pub experiments: BTreeMap<String, Experiment>,
}

/// The capture: its identity, and the tools that made it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Run {
    /// Random, 32 hex digits.
    pub id: String,
    /// When it started, UTC, RFC 3339.
    pub time: String,
    /// The investigation's file name, without its folder.
    pub investigation: String,
    /// SHA-256 of what the investigation says, hex: comments and layout do not count.
    pub investigation_digest: String,
    /// Version of the collector.
    pub collector: String,
    /// SHA-256 of the eBPF object, hex.
    pub object_digest: String,
    /// True if values of which only the beginning was kept are marked as [cut](crate::document::value::Cut). Older
    /// collectors did not mark them: what may have been cut there [counts as cut](crate::path_index::leaves).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub marks_cuts: bool,
}

/// The machine. Never its name, its users or its addresses in a network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Machine {
    /// As `book.toml` names it: `host`, `guest:debian-6.1`.
    pub name: String,
    /// Host or guest.
    pub kind: MachineKind,
    /// True if the machine, and with it every address, is gone when the capture ends.
    pub ephemeral: bool,
    /// `/proc/sys/kernel/random/boot_id`.
    pub boot_id: String,
    /// Model name of the first CPU.
    pub cpu_model: String,
    /// The number of CPUs that were online.
    pub cpus: u32,
    /// The accelerator of a guest (`kvm`, `tcg`), and why it was not a faster one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accelerator: Option<String>,
    /// The time at which the boot began that the guest was resumed from, UTC, RFC 3339: its whole state was saved there before anything
    /// was probed, and other captures can be of the same boot. `None`: it was booted for this capture.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resumed: Option<String>,
}

/// The kind of machine on which an experiment ran.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum MachineKind {
    /// The machine that builds the book.
    Host,
    /// A throwaway virtual machine.
    Guest,
}

impl MachineKind {
    /// The word for it in the evidence.
    pub const fn name(self) -> &'static str {
        match self {
            MachineKind::Host => "host",
            MachineKind::Guest => "guest",
        }
    }
}

/// The kernel that was watched.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Kernel {
    /// `uname -r`.
    pub release: String,
    /// `uname -v`.
    pub version: String,
    /// The architecture, as `uname -m` prints it: one of [`ARCHITECTURES`]. Evidence of before does not say it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub arch: Option<String>,
    /// The distribution's package and its version, of a guest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub package: Option<String>,
    /// GNU build id, hex.
    pub build_id: Datum,
    /// SHA-256 of the image that a guest booted, hex; `None`: not known, or a host's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image_digest: Option<String>,
    /// SHA-256 of the BTF that types and offsets came from, hex.
    pub btf_digest: String,
    /// Configuration options that matter here: `y`, `m`, a value, or `n` for one that is listed as not set. One that the
    /// configuration does not list has no value.
    #[serde(deserialize_with = "crate::document::de::unique_map")]
    pub config: BTreeMap<String, Datum>,
    /// The modules that were loaded for the capture, with the SHA-256 of the module as the kernel was given it, hex; a reason
    /// instead where it was there before. Those that they depend on are among them.
    #[serde(
        default,
        skip_serializing_if = "BTreeMap::is_empty",
        deserialize_with = "crate::document::de::unique_map"
    )]
    pub modules: BTreeMap<String, Datum>,
    /// The lockdown mode in force.
    pub lockdown: Datum,
    /// The Linux security modules that are active, in order, joined by commas.
    pub lsm: Datum,
    /// The command line, of a guest (a host's may name its owner's disks).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command_line: Option<String>,
    /// The `vmlinux` of the same build id that gave source lines, or why there is none.
    pub debuginfo: Datum,
}

/// The architectures of kernels, as `uname -m` prints them.
pub const ARCHITECTURES: &[&str] = &["x86_64", "aarch64"];

impl Kernel {
    /// The architecture, as `uname -m` prints it. Evidence of before it was said is of x86-64: nothing else was captured.
    #[must_use]
    pub fn architecture(&self) -> &str {
        self.arch.as_deref().unwrap_or(ARCHITECTURES[0])
    }
}

/// One of [`ARCHITECTURES`] as texts for readers have it.
#[must_use]
pub fn architecture_words(arch: &str) -> &'static str {
    match arch {
        "x86_64" => "x86-64",
        "aarch64" => "arm64",
        // Evidence of any other is refused.
        _ => "another architecture",
    }
}

/// One boot of a guest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Boot {
    /// `/proc/sys/kernel/random/boot_id`.
    pub boot_id: String,
    /// The time of the boot, UTC, RFC 3339. Boots are kept when the same kernel is captured again.
    pub time: String,
    /// The slide of that boot, in bytes, as the kernel itself states it.
    pub slide: Datum,
    /// The live address of `_text`.
    pub text: Datum,
    /// The beginning of the kernel's code in physical memory, in bytes.
    pub physical: Datum,
}

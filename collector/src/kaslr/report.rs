//! The sources' answers, and the judgement on them, as data.

use serde::{Deserialize, Serialize};

use super::compare::{StaticTable, SymbolComparison};
use super::config::KernelConfig;
use super::console::ConsoleOffset;
use super::vmcoreinfo::Vmcoreinfo;
use crate::arch::Arch;
use crate::reason::Reason;
use crate::symbols::{BuildId, Kallsyms};

/// The reason for a missing value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
pub enum KaslrSourceError {
    /// Unavailable here, with the reason.
    #[error("unavailable: {0}")]
    Unavailable(String),
    /// Present, but wrong.
    #[error("error: {0}")]
    Broken(String),
}

/// The status of KASLR.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum KaslrStatus {
    /// Moved by `slide` bytes.
    Randomized {
        /// The distance in bytes.
        slide: u64,
    },
    /// The kernel is at its static address.
    Disabled {
        /// The source of this.
        why: String,
    },
    /// No source could tell.
    Unknown {
        /// The reason of each source.
        why: String,
    },
    /// Sources contradict each other or the kernel's rules: there is no value.
    Error {
        /// The contradiction.
        why: String,
    },
}

/// Sources with something in common; see [`judge`](super::judge).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SourceGroup {
    /// Live against static addresses.
    Measured,
    /// The kernel's own statement.
    Stated,
}

/// The answer of one source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SourceReport {
    /// `kallsyms-systemmap`, `kallsyms-vmlinux` (`kallsyms-static` where neither is at hand), `kallsyms-vmlinuz`,
    /// `vmcoreinfo`, `console`.
    pub name: String,
    /// With which others it is *not* independent.
    pub group: SourceGroup,
    /// The slide in bytes, or why there is none.
    pub slide: Result<u64, KaslrSourceError>,
    /// For a whole static table: how many symbols were compared.
    pub comparison: Option<SymbolComparison>,
}

/// One symbol of the running kernel, live and static.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SymbolSlide {
    /// Name.
    pub name: String,
    /// Live address. The kernel's own table of symbols says it, without any static one.
    pub live: u64,
    /// Static address and the difference of both in bytes, or why they are not known.
    pub fixed: Result<FixedPlace, Reason>,
}

/// The static side of a symbol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct FixedPlace {
    /// Static address.
    pub address: u64,
    /// Live minus static address, in bytes.
    pub slide: u64,
}

/// One rule that the slide has to obey.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SlideCheck {
    /// `alignment`, `range`, `static_base`, `core_symbols`.
    pub name: &'static str,
    /// The comparison, with numbers.
    pub detail: String,
    /// True if the rule is satisfied, or the reason why that is not known.
    pub holds: Result<bool, Reason>,
}

/// The judgement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct KaslrReport {
    /// The status of KASLR.
    pub status: KaslrStatus,
    /// The slide in bytes; `None` when unknown or in error. `Some(0)` when a source measured 0.
    pub slide: Option<u64>,
    /// The symbols asked for that have one live and one static address.
    pub symbols: Vec<SymbolSlide>,
    /// The others, each with the reason.
    pub missing_symbols: Vec<(String, Reason)>,
    /// Every source, those that could not answer included.
    pub sources: Vec<SourceReport>,
    /// At least two independent groups gave a slide and all slides are equal.
    pub agree: bool,
    /// The rules that the slide has to obey.
    pub checks: Vec<SlideCheck>,
}

/// An available static table.
pub struct StaticSource<'a> {
    /// Name of the source that compares with it: `kallsyms-systemmap`, `kallsyms-vmlinux`.
    pub name: &'static str,
    /// Its build id. `None` for a System.map with no vmlinux beside it, which is then refused unless all of the core
    /// image's symbols, none absent, give one slide: a table of another build does not.
    pub build_id: Option<BuildId>,
    /// Its symbols, or why there are none.
    pub table: Result<StaticTable<'a>, KaslrSourceError>,
}

/// A kernel image's static base, which holds no symbols but `_text`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageBase {
    /// The build id of the kernel in the image.
    pub build_id: BuildId,
    /// Static address of `_text`.
    pub base: u64,
}

/// All that the sources gave.
pub struct KaslrInputs<'a> {
    /// Its architecture.
    pub arch: Arch,
    /// Build id of the kernel that runs.
    pub build_id: Result<BuildId, Reason>,
    /// Its symbol table.
    pub live: Result<&'a Kallsyms, KaslrSourceError>,
    /// The available static tables, in order of preference.
    pub statics: Vec<StaticSource<'a>>,
    /// The kernel image that was booted.
    pub image: Result<ImageBase, KaslrSourceError>,
    /// VMCOREINFO of the kernel that runs.
    pub vmcoreinfo: Result<Vmcoreinfo, KaslrSourceError>,
    /// Its console's statement.
    pub console: Result<ConsoleOffset, KaslrSourceError>,
    /// Its configuration.
    pub config: Result<&'a KernelConfig, Reason>,
    /// Its command line.
    pub command_line: Option<&'a str>,
    /// Symbols to report one by one.
    pub names: &'a [&'a str],
}

//! The surroundings of a capture.

use std::collections::BTreeMap;

use qed_evidence::document::{Machine, ProgramFile};
use qed_evidence::investigation::Investigation;
use qed_evidence::value::Datum;

use super::names::Names;
use crate::kaslr::KaslrReport;
use crate::kaslr::config::KernelConfig;
use crate::reason::Reason;

/// Everything known about a capture that is not in the capture itself.
pub struct Context<'a> {
    /// The request.
    pub investigation: &'a Investigation,
    /// The machine that it ran on.
    pub machine: Machine,
    /// The distribution's package of a guest's kernel.
    pub package: Option<String>,
    /// SHA-256 of the image that a guest booted, hex.
    pub image_digest: Option<String>,
    /// The modules that experiments wanted, and what they depend on, with their digests or why there is none.
    pub modules: &'a BTreeMap<String, Datum>,
    /// The files of workloads that are programs, by the experiment's name.
    pub files: &'a BTreeMap<String, Vec<ProgramFile>>,
    /// Names and lines.
    pub names: &'a dyn Names,
    /// The source of lines, or why there is none.
    pub debuginfo: Result<String, Reason>,
    /// The judgement on the slide.
    pub kaslr: &'a KaslrReport,
    /// The kernel's configuration.
    pub config: Result<&'a KernelConfig, Reason>,
}

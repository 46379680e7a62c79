//! How one machine is captured.

use std::path::PathBuf;

use anyhow::Context as _;
use qed_evidence::investigation::Investigation;

use super::failure::Failure;
use super::guests::Guests;
use super::kernel_files::DebugInfo;
use super::programs;

/// How one machine is captured.
pub struct MachineOptions {
    /// Where its source lines come from.
    pub debuginfo: DebugInfo,
    /// How a guest starts.
    pub guests: Guests,
    /// Further boots of a guest, instead of as many as the investigation says.
    pub boots: Option<u32>,
    /// Ask the distribution for a newer kernel even if it was asked today.
    pub refresh: bool,
    /// Seconds without progress after which a guest is given up.
    pub limit: u64,
}

/// The folder of an investigation, on this machine.
pub fn investigation_folder(investigation: &Investigation) -> Result<PathBuf, Failure> {
    let folder = programs::investigation_folder(investigation);
    Ok(folder.context("failed to find the investigation's folder")?)
}

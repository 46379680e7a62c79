//! The jobs that the host gives to a guest, and the answers.

use std::collections::BTreeMap;

use anyhow::Context as _;
use serde::{Deserialize, Serialize};

use crate::plan::PlannedExperiment;
use crate::reason::Reason;
use crate::session::discovery::Discovery;
use crate::session::raw::RawCapture;
use crate::symbols::functions_by_file::FunctionInFile;

/// The place of the job in the initramfs.
pub(super) const JOB: &str = "/qed/job.json";

/// A job for a guest.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GuestJob {
    /// Run an investigation.
    Capture {
        /// Its name, for messages.
        name: String,
        /// Its text.
        text: String,
        /// The functions that it names together with a file, or the reason why those cannot be distinguished.
        chosen: Result<Vec<FunctionInFile>, Reason>,
        /// The modules to load before it is planned, in this order; [`load::module_files`](super::load::module_files) brings them along.
        modules: Vec<String>,
        /// What the host knows not to run there.
        unrunnable: Unrunnable,
    },
    /// Only plan it.
    Plan {
        /// Its name, for messages.
        name: String,
        /// Its text.
        text: String,
        /// The functions that it names together with a file, or the reason why those cannot be distinguished.
        chosen: Result<Vec<FunctionInFile>, Reason>,
        /// The modules to load before it is planned, in this order; [`load::files`](super::load::files) brings them along.
        modules: Vec<String>,
    },
    /// Trace the workload of one experiment.
    Discover {
        /// The experiment.
        experiment: String,
        /// Bring the kernel's types, too.
        types: bool,
        /// Its name, for messages.
        name: String,
        /// Its text.
        text: String,
        /// The modules to load before, in this order; [`load::module_files`](super::load::module_files) brings them along.
        modules: Vec<String>,
    },
    /// Only hand over the kernel's types.
    Types,
    /// Only say where the kernel is.
    Slide,
}

/// The parts of an investigation that cannot run in a guest, with the reasons.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unrunnable {
    /// By the names of experiments.
    pub workloads: BTreeMap<String, Reason>,
    /// By the names of commands.
    pub commands: BTreeMap<String, Reason>,
}

impl Unrunnable {
    /// Refuse the workloads in a plan.
    pub fn refuse_workloads(&self, experiments: &mut [PlannedExperiment]) {
        for experiment in experiments {
            if let Some(reason) = self.workloads.get(&experiment.name) {
                experiment.refused = Some(reason.clone());
            }
        }
    }
}

/// A guest's answer to [`GuestJob::Slide`].
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SlideAnswer {
    /// `/proc/sys/kernel/random/boot_id`.
    pub boot_id: String,
    /// Live address of `_text`, or why it is not known.
    pub text: Result<u64, Reason>,
    /// The slide that VMCOREINFO states, in bytes, or why there is none.
    pub stated: Result<u64, Reason>,
    /// Physical address of "Kernel code" in `/proc/iomem`, or why it is not known.
    pub physical: Result<u64, Reason>,
}

impl GuestJob {
    /// The file that brings the job into the guest.
    pub fn to_file(&self) -> anyhow::Result<(String, Vec<u8>)> {
        let text = serde_json::to_vec(self).context("failed to write the guest's job")?;
        Ok((JOB.to_owned(), text))
    }
}

/// Understand the answer of a capture.
pub fn parse_capture_answer(payload: &[u8]) -> anyhow::Result<RawCapture> {
    postcard::from_bytes(payload).context("failed to understand what the guest captured")
}

/// Understand the answer of a plan.
pub fn parse_plan_answer(payload: &[u8]) -> anyhow::Result<Vec<PlannedExperiment>> {
    postcard::from_bytes(payload).context("failed to understand what the guest planned")
}

/// Understand the answer of [`GuestJob::Discover`].
pub fn parse_discover_answer(payload: &[u8]) -> anyhow::Result<Discovery> {
    postcard::from_bytes(payload).context("failed to understand what the guest traced")
}

/// Understand the answer of [`GuestJob::Types`]: the kernel's BTF.
pub fn parse_types_answer(payload: &[u8]) -> anyhow::Result<Vec<u8>> {
    let answer: serde_bytes::ByteBuf =
        postcard::from_bytes(payload).context("failed to understand the guest's types")?;
    Ok(answer.into_vec())
}

/// Understand the answer of a slide.
pub fn parse_slide_answer(payload: &[u8]) -> anyhow::Result<SlideAnswer> {
    postcard::from_bytes(payload).context("failed to understand what the guest said of its slide")
}

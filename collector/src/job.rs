//! What a guest is asked to do, and what it answers.

use std::fs;

use anyhow::Context as _;
use qed_evidence::diagnostic::Diagnostic;
use qed_evidence::investigation::{Investigation, parse};
use serde::{Deserialize, Serialize};

use crate::guest::init::{ping, progress};
use crate::plan::{Plan, PlannedExperiment};
use crate::session::commands::Commands;
use crate::session::raw::RawCapture;
use crate::session::{self, Observer, Options, ThisKernel};
use crate::symbols::functions_by_file::Chosen;

/// Where the job lies in the initramfs.
const JOB: &str = "/qed/job.json";

/// A job for a guest.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Job {
    /// Run an investigation.
    Capture {
        /// Its name, for messages.
        name: String,
        /// Its text.
        text: String,
        /// The functions that it names together with a file, or why those cannot be told apart.
        chosen: Result<Vec<Chosen>, String>,
    },
    /// Only plan it.
    Plan {
        /// Its name, for messages.
        name: String,
        /// Its text.
        text: String,
        /// The functions that it names together with a file, or why those cannot be told apart.
        chosen: Result<Vec<Chosen>, String>,
    },
    /// Only say where the kernel is.
    Slide,
}

/// What a guest says of where its kernel is.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SlideAnswer {
    /// `/proc/sys/kernel/random/boot_id`.
    pub boot_id: String,
    /// Live address of `_text`, or why it is not known.
    pub text: Result<u64, String>,
    /// What VMCOREINFO says the slide is, in bytes, or why nothing.
    pub stated: Result<u64, String>,
    /// Physical address of "Kernel code" in `/proc/iomem`, or why it is not known.
    pub physical: Result<u64, String>,
}

impl Job {
    /// The file that brings the job into the guest.
    pub fn file(&self) -> anyhow::Result<(String, Vec<u8>)> {
        let text = serde_json::to_vec(self).context("failed to write the guest's job")?;
        Ok((JOB.to_owned(), text))
    }
}

/// Understands the answer of a capture.
pub fn capture_answer(payload: &[u8]) -> anyhow::Result<RawCapture> {
    postcard::from_bytes(payload).context("failed to understand what the guest captured")
}

/// Understands the answer of a plan.
pub fn plan_answer(payload: &[u8]) -> anyhow::Result<Vec<PlannedExperiment>> {
    postcard::from_bytes(payload).context("failed to understand what the guest planned")
}

/// Understands the answer of a slide.
pub fn slide_answer(payload: &[u8]) -> anyhow::Result<SlideAnswer> {
    postcard::from_bytes(payload).context("failed to understand what the guest said of its slide")
}

/// Does the job that the initramfs holds. Runs as the guest's first process.
pub fn answer() -> anyhow::Result<Vec<u8>> {
    if !fs::exists(JOB)? {
        return ping();
    }
    let job: Job = serde_json::from_slice(&fs::read(JOB).context("failed to read the job")?)
        .context("failed to understand the job")?;
    match job {
        Job::Slide => Ok(postcard::to_stdvec(&slide())?),
        Job::Plan { name, text, chosen } => {
            let planned = plan_here(&parse_investigation(&name, &text)?, &chosen)?.1;
            Ok(postcard::to_stdvec(&planned.experiments)?)
        }
        Job::Capture { name, text, chosen } => {
            let investigation = parse_investigation(&name, &text)?;
            let commands = Commands::of_machine(&investigation);
            let (kernel, plan) = plan_here(&investigation, &chosen)?;
            let raw = capture_here(&investigation, kernel, plan, commands, None)?;
            progress("read what the machine says about itself");
            let answer = postcard::to_extend(&raw, Vec::with_capacity(room(&raw)))?;
            progress("wrote the answer");
            Ok(answer)
        }
    }
}

/// The bytes of a long answer, about: to make room anew while it grows is slow in an emulated guest.
fn room(raw: &RawCapture) -> usize {
    let symbols = raw.facts.kallsyms.as_ref().map_or(0, String::len);
    raw.facts.btf.len() + symbols + (1 << 20)
}

/// Run an investigation on this guest, which is switched off afterwards.
///
/// # Errors
/// As [`session::capture`].
pub fn capture_here(
    investigation: &Investigation,
    kernel: ThisKernel,
    plan: Plan,
    commands: Commands,
    observer: Option<&dyn Observer>,
) -> anyhow::Result<RawCapture> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let options = Options {
        ephemeral: true,
        observer,
    };
    let progress: &dyn Fn(&str) = &|line| progress(line);
    let capture = session::capture(investigation, kernel, plan, commands, options, progress);
    runtime.block_on(capture)
}

/// All that is wrong with an investigation, in one message without colours: it is told on another machine.
fn complaint(problems: &[Diagnostic]) -> anyhow::Error {
    let each: Vec<String> = problems.iter().map(|p| p.render(false)).collect();
    anyhow::anyhow!(each.join("\n\n"))
}

/// Parse an investigation that was checked before it was sent.
///
/// # Errors
/// All that is wrong with it.
pub fn parse_investigation(name: &str, text: &str) -> anyhow::Result<Investigation> {
    parse(name, text).map_err(|problems| complaint(&problems))
}

/// Plan an investigation for the kernel of this machine.
///
/// # Errors
/// Where the kernel cannot be read, or all that is wrong with the investigation.
pub fn plan_here(
    investigation: &Investigation,
    chosen: &Result<Vec<Chosen>, String>,
) -> anyhow::Result<(ThisKernel, Plan)> {
    let kernel = ThisKernel::read(&progress)?;
    let plan = kernel
        .plan(investigation, chosen)?
        .map_err(|problems| complaint(&problems))?;
    progress("planned");
    Ok((kernel, plan))
}

fn slide() -> SlideAnswer {
    // `_text` is among the first lines; all of the table takes a fifth of a second in an emulated guest.
    let text = crate::symbols::running::first_address("_text").map_err(|error| error.to_string());
    let stated = crate::kaslr::running::vmcoreinfo()
        .map_err(|error| error.to_string())
        .and_then(|info| {
            info.kernel_offset
                .ok_or_else(|| "VMCOREINFO states no offset".into())
        });
    SlideAnswer {
        boot_id: fs::read_to_string("/proc/sys/kernel/random/boot_id")
            .unwrap_or_default()
            .trim()
            .to_owned(),
        text,
        stated,
        physical: crate::session::machine_facts::physical(),
    }
}

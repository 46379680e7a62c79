//! The part of the collector that runs as the first process of a guest and does the host's jobs there.

use std::fs;
use std::path::Path;

use anyhow::Context as _;
use qed_evidence::investigation::{Investigation, parse};

use super::init::{Refusal, report_progress};
use super::load::load;
use super::protocol::{GuestJob, JOB, SlideAnswer, Unrunnable};
use super::setup::set_up;
use crate::plan::Plan;
use crate::reason::Reason;
use crate::session::commands::Commands;
use crate::session::machine_facts::BTF;
use crate::session::raw::RawCapture;
use crate::session::{self, CaptureOptions, Observer, ThisKernel, discovery};
use crate::symbols::functions_by_file::FunctionInFile;

/// Does the job that the initramfs holds. Runs as the guest's first process.
pub fn run_job() -> anyhow::Result<Vec<u8>> {
    let job: GuestJob = serde_json::from_slice(&fs::read(JOB).context("failed to read the job")?)
        .context("failed to understand the job")?;
    match job {
        GuestJob::Slide => Ok(postcard::to_stdvec(&read_slide())?),
        GuestJob::Types => {
            let btf = std::fs::read(BTF)
                .with_context(|| format!("failed to read the kernel's types from {BTF}"))?;
            Ok(postcard::to_stdvec(&serde_bytes::ByteBuf::from(btf))?)
        }
        GuestJob::Plan {
            name,
            text,
            chosen,
            modules,
        } => {
            load(&modules)?;
            let planned = plan_here(&parse_investigation(&name, &text)?, &chosen, &modules)?.1;
            Ok(postcard::to_stdvec(&planned.experiments)?)
        }
        GuestJob::Discover {
            experiment,
            types,
            name,
            text,
            modules,
        } => {
            load(&modules)?;
            let investigation = parse_investigation(&name, &text)?;
            set_up(&investigation)?;
            let runtime = runtime()?;
            let options = discovery::DiscoveryOptions {
                ephemeral: true,
                folder: Some(Path::new("/")),
                types,
            };
            let found = discovery::discover(&investigation, &experiment, options, &report_progress);
            Ok(postcard::to_stdvec(&runtime.block_on(found)?)?)
        }
        GuestJob::Capture {
            name,
            text,
            chosen,
            modules,
            unrunnable,
        } => {
            load(&modules)?;
            let investigation = parse_investigation(&name, &text)?;
            set_up(&investigation)?;
            let commands = Commands::start_for_guest(&investigation, &unrunnable.commands);
            let (kernel, mut plan) = plan_here(&investigation, &chosen, &modules)?;
            refuse_workloads(&mut plan, &unrunnable);
            let raw = capture_here(&investigation, kernel, plan, commands, None)?;
            report_progress("read what the machine says about itself");
            let answer = postcard::to_extend(&raw, Vec::with_capacity(answer_capacity(&raw)))?;
            report_progress("wrote the answer");
            Ok(answer)
        }
    }
}

/// Let the workloads not run of which the host knows that they cannot.
fn refuse_workloads(plan: &mut Plan, unrunnable: &Unrunnable) {
    unrunnable.refuse_workloads(&mut plan.experiments);
    for (experiment, workload) in plan.experiments.iter().zip(&mut plan.workloads) {
        if let Some(reason) = unrunnable.workloads.get(&experiment.name) {
            *workload = Err(reason.clone());
        }
    }
}

/// The bytes of a long answer, about: to make room anew while it grows is slow in an emulated guest.
fn answer_capacity(raw: &RawCapture) -> usize {
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
    let runtime = runtime()?;
    let options = CaptureOptions {
        ephemeral: true,
        folder: Some(Path::new("/")),
        observer,
    };
    let progress: &dyn Fn(&str) = &|line| report_progress(line);
    let capture = session::capture(investigation, kernel, plan, commands, options, progress);
    runtime.block_on(capture)
}

fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
}

/// Parse an investigation that was checked before it was sent.
///
/// # Errors
/// All that is wrong with it.
pub fn parse_investigation(name: &str, text: &str) -> anyhow::Result<Investigation> {
    parse(name, text).map_err(|problems| Refusal::new(&problems).into())
}

/// Plan an investigation for the kernel of this machine and these of its modules, which are loaded.
///
/// # Errors
/// When the kernel cannot be read, or all that is wrong with the investigation.
pub fn plan_here(
    investigation: &Investigation,
    chosen: &Result<Vec<FunctionInFile>, Reason>,
    modules: &[String],
) -> anyhow::Result<(ThisKernel, Plan)> {
    let kernel = ThisKernel::read(modules, &report_progress)?;
    let plan = kernel
        .plan(investigation, chosen)?
        .map_err(|problems| Refusal::new(&problems))?;
    report_progress("planned");
    Ok((kernel, plan))
}

fn read_slide() -> SlideAnswer {
    // `_text` is among the first lines; all of the table takes a fifth of a second in an emulated guest.
    let text = crate::symbols::running::first_address("_text").map_err(Reason::from_error);
    let stated = crate::kaslr::running::read_vmcoreinfo()
        .map_err(Reason::from_error)
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
        physical: crate::session::machine_facts::read_physical_address(),
    }
}

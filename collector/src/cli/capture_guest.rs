//! The capture of one guest, from the kernel's image to evidence.

use std::collections::BTreeSet;

use anyhow::Context as _;
use qed_evidence::Evidence;
use qed_evidence::document::{Machine, MachineKind};
use qed_evidence::investigation::Investigation;
use qed_evidence::lock::Lock;

use super::boots::{BootSetup, reuse_boots};
use super::chance_gaps::ChanceGaps;
use super::failure::Failure;
use super::guest_boot;
use super::kernel_files::{functions_in_files, static_sources};
use super::lock;
use super::machine_options::{MachineOptions, investigation_folder};
use super::modules;
use super::other_programs::{find_unrunnable, setup_problems};
use super::output::render;
use super::programs;
use super::progress::{Progress, print_note};
use super::timings::{STARTING, SYMBOLIZING};
use super::unwritten_notes::print_unwritten_notes;
use crate::assemble::symbolize::{StaticFiles, make_evidence};
use crate::guest::cache::Cache;
use crate::guest::host_binaries::GuestFiles;
use crate::guest::protocol::{GuestJob, parse_capture_answer};
use crate::guest::qemu::GuestRun;
use crate::guest::{KernelImage, KernelSource};
use crate::session::raw::RawCapture;

/// Most guests in which a capture is made, until nothing is missing by chance.
const MAX_GUESTS: u32 = 4;

/// The machine of a guest's evidence.
fn guest_machine(name: &str, raw: &RawCapture, run: &GuestRun) -> Machine {
    Machine {
        name: name.to_owned(),
        kind: MachineKind::Guest,
        ephemeral: true,
        boot_id: raw.facts.boot_id.clone(),
        cpu_model: raw.facts.cpu_model.clone(),
        cpus: raw.facts.cpus,
        accelerator: Some(match &run.accelerator_note {
            Some(note) => format!("{} ({note})", run.accelerator.label()),
            None => run.accelerator.label().to_owned(),
        }),
        resumed: run.resumed.clone(),
    }
}

/// Boot or resume a guest, and capture in it.
pub async fn capture_in_guest(
    name: &str,
    source: &KernelSource,
    investigation: &Investigation,
    earlier: Option<&Evidence>,
    lock: Option<&Lock>,
    options: &MachineOptions,
    progress: &Progress,
) -> Result<Evidence, Failure> {
    let cache = Cache::for_user()?;
    let say = |line: &str| progress.show_step(line);
    guest_boot::check_bootable(source)?;
    let kernel = lock::find_kernel(lock, name, source, &cache, options.refresh, &say)?;
    if let Some(text) = &kernel.note {
        print_note(&format!("{name}: {text}"));
    }
    let folder = investigation_folder(investigation)?;
    let problems = setup_problems(investigation, &folder, kernel.arch);
    if !problems.is_empty() {
        return Err(Failure::input(render(&problems)));
    }
    let mut fixed = static_sources(&kernel, &cache, &options.debuginfo, true, &say);
    let modules = modules::for_guest(investigation, &kernel, &cache, &say)?;
    let job = GuestJob::Capture {
        name: investigation.source.name.clone(),
        text: investigation.source.text.clone(),
        chosen: functions_in_files(investigation, &fixed),
        modules: modules.names,
        unrunnable: find_unrunnable(investigation, &folder, kernel.arch),
    };
    fixed.modules = modules.digests;
    let programs = programs::for_guest(investigation, &folder);
    let (mut files, programs) = programs.map_err(|problems| Failure::input(render(&problems)))?;
    files.contents.extend(modules.files);
    fixed.programs = programs;
    let guest = PreparedGuest {
        name,
        kernel,
        job,
        files,
        cache,
        fixed,
    };
    let mut evidence = guest.capture(investigation, options, &say).await?;
    let boots = BootSetup {
        kernel: &guest.kernel,
        cache: &guest.cache,
        limit: options.limit,
    };
    let (wanted, mut retained) = match options.boots {
        Some(wanted) => (wanted, Vec::new()),
        None => (
            investigation.boots,
            reuse_boots(earlier, &evidence, investigation.boots),
        ),
    };
    if let Err(failure) = boots.complete_boots(&mut retained, wanted, &say).await {
        print_note(&format!(
            "{name}: only {} of {wanted} further boots are known, because one failed: {}. The next capture of this kernel adds the \
             others",
            retained.len(),
            failure.message
        ));
    }
    evidence.boots = retained;
    Ok(evidence)
}

/// Everything that captures of one guest start with.
struct PreparedGuest<'a> {
    name: &'a str,
    kernel: KernelImage,
    job: GuestJob,
    files: GuestFiles,
    cache: Cache,
    fixed: StaticFiles,
}

impl PreparedGuest<'_> {
    /// Capture until nothing is missing by chance, each time in a new guest: on one machine the second run of a workload finds what the
    /// first one left there. Return the capture that misses the least.
    async fn capture(
        &self,
        investigation: &Investigation,
        options: &MachineOptions,
        say: &dyn Fn(&str),
    ) -> Result<Evidence, Failure> {
        let (mut evidence, mut gaps) = self.capture_once(investigation, options, true, say).await?;
        let (mut last, mut recurring) = (gaps.clone(), BTreeSet::new());
        for guest in 2..=MAX_GUESTS {
            if last.are_within(&recurring) {
                break;
            }
            say(&format!(
                "events or hits were lost in {}: capturing again in a new guest, {guest} of at most {MAX_GUESTS}",
                last.names().join(", ")
            ));
            let (other, found) = self
                .capture_once(investigation, options, false, say)
                .await?;
            recurring.extend(found.recurring(&last));
            last = found;
            if last.count() < gaps.count() {
                (evidence, gaps) = (other, last.clone());
            }
        }
        Ok(evidence)
    }

    /// Capture in one guest. `first`: tell what would be told of each.
    async fn capture_once(
        &self,
        investigation: &Investigation,
        options: &MachineOptions,
        first: bool,
        say: &dyn Fn(&str),
    ) -> Result<(Evidence, ChanceGaps), Failure> {
        let name = self.name;
        let booted = image_digest(&self.kernel)?;
        say(STARTING);
        let run = guest_boot::start(
            options.guests.start(),
            self.kernel.clone(),
            &self.job,
            self.files.clone(),
            self.cache.clone(),
            options.limit,
            say,
        )
        .await?;
        if image_digest(&self.kernel)? != booted {
            return Err(Failure::machine(format!(
                "the kernel image of {name} was changed while it was captured; capture again when it stays as it is"
            )));
        }
        let raw = parse_capture_answer(&run.payload)?;
        if first {
            for text in &run.notes {
                print_note(&format!("{name}: {text}"));
            }
            print_unwritten_notes(name, MachineKind::Guest, investigation, &raw);
        }
        let machine = guest_machine(name, &raw, &run);
        say(SYMBOLIZING);
        let fixed = StaticFiles {
            image_digest: Some(booted),
            console: Some(run.console),
            ..self.fixed.clone()
        };
        let evidence = make_evidence(&raw, investigation, machine, &fixed);
        let gaps = ChanceGaps::find(investigation, &evidence, &raw.experiments);
        Ok((evidence, gaps))
    }
}

/// SHA-256 of the image that a guest boots, hex.
fn image_digest(kernel: &KernelImage) -> Result<String, Failure> {
    let digest = qed_programs::digest(&kernel.path);
    Ok(digest.context("failed to read the kernel image again")?)
}

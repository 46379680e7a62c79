//! The capture of one machine, from the plan to evidence that can be read: of the host, or of a guest.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use qed_evidence::Evidence;
use qed_evidence::document::{Machine, MachineKind};
use qed_evidence::investigation::Investigation;
use qed_evidence::lock::Lock;
use qed_evidence::observation::format_one_line;
use qed_evidence::validate::find_contradiction;

use super::boots::{BootSetup, reuse_boots};
use super::command_warnings::missing_program_warnings;
use super::failure::Failure;
use super::guest_boot;
use super::guests::Guests;
use super::kernel_files::{DebugInfo, functions_in_files, host_debuginfo_files, static_sources};
use super::lock;
use super::modules;
use super::output::render;
use super::plan_notes::few_argument_notes;
use super::programs;
use super::progress::{Progress, print_note};
use super::runtime::runtime;
use super::target::TargetMachine;
use crate::assemble::symbolize::{StaticFiles, make_evidence};
use crate::guest::cache::Cache;
use crate::guest::protocol::{GuestJob, parse_capture_answer};
use crate::guest::qemu::GuestRun;
use crate::guest::{self, KernelImage, KernelSource};
use crate::session::commands::Commands;
use crate::session::raw::RawCapture;
use crate::session::{self, CaptureOptions, ThisKernel};
use crate::symbols::debuginfo;
use crate::symbols::functions_by_file::find_functions_in_files;

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

/// Capture on one machine: the evidence, and its text, which is known to be read by everybody.
pub fn capture_machine(
    target: &TargetMachine,
    investigation: &Investigation,
    earlier: Option<&Evidence>,
    lock: Option<&Lock>,
    options: &MachineOptions,
) -> Result<(Evidence, String), Failure> {
    let evidence = capture_on(target, investigation, earlier, lock, options)?;
    let text =
        qed_evidence::reader::write(&evidence).context("failed to write the evidence as JSON")?;
    check_readable(investigation, &text)?;
    Ok((evidence, text))
}

fn capture_on(
    target: &TargetMachine,
    investigation: &Investigation,
    earlier: Option<&Evidence>,
    lock: Option<&Lock>,
    options: &MachineOptions,
) -> Result<Evidence, Failure> {
    let runtime = runtime()?;
    let progress = Progress::with_estimate(
        target.name(),
        match options.guests {
            Guests::Warm => "warm capture",
            Guests::Cold | Guests::Auto => "capture",
        },
        Path::new(&investigation.source.name),
    );
    let captured = match target {
        TargetMachine::Host => {
            if options.boots.is_some_and(|boots| boots > 0) {
                return Err(Failure::input(
                    "--boots is for guests: the host cannot be booted for a picture",
                ));
            }
            runtime.block_on(capture_on_host(investigation, options, &progress))
        }
        TargetMachine::Guest(name, source) => runtime.block_on(capture_in_guest(
            name,
            source,
            investigation,
            earlier,
            lock,
            options,
            &progress,
        )),
    }?;
    progress.finish();
    Ok(captured)
}

/// The folder of an investigation, on this machine.
fn investigation_folder(investigation: &Investigation) -> Result<PathBuf, Failure> {
    let folder = programs::investigation_folder(investigation);
    Ok(folder.context("failed to find the investigation's folder")?)
}

/// Capture on this machine's own kernel.
async fn capture_on_host(
    investigation: &Investigation,
    options: &MachineOptions,
    progress: &Progress,
) -> Result<Evidence, Failure> {
    let missing = |problems: Vec<_>| Failure::input(render(&problems));
    let folder = investigation_folder(investigation)?;
    let programs = programs::for_host(investigation, &folder).map_err(missing)?;
    progress.show_step("reading the kernel's types and symbols");
    let commands = Commands::start_for_machine(investigation, false);
    let modules = modules::for_host(investigation)?;
    let kernel = ThisKernel::read(&modules.names, &|line| progress.show_step(line))?;
    let chosen = find_functions_in_files(
        investigation,
        &host_debuginfo_files(&options.debuginfo),
        None,
    );
    let plan = kernel
        .plan(investigation, &chosen)?
        .map_err(|problems| Failure::input(render(&problems)))?;
    let raw = session::capture(
        investigation,
        kernel,
        plan,
        commands,
        CaptureOptions {
            folder: Some(&folder),
            ..CaptureOptions::default()
        },
        &|line| progress.show_step(line),
    )
    .await?;
    print_unwritten_notes("host", MachineKind::Host, investigation, &raw);
    let programs = programs
        .ensure_unchanged(&programs::for_host(investigation, &folder).map_err(missing)?)
        .map_err(|file| {
            Failure::machine(format!(
                "`{file}` was changed while it was captured; capture again when it stays as it is"
            ))
        })?;
    let release = &raw.facts.release;
    let build_id = raw
        .facts
        .build_id
        .as_ref()
        .ok()
        .and_then(|id| id.parse().ok());
    let mut fixed = StaticFiles {
        system_map: debuginfo::system_map_candidates(release),
        programs,
        modules: modules.digests,
        ..StaticFiles::default()
    };
    match &options.debuginfo {
        DebugInfo::Auto => {
            fixed.vmlinux = debuginfo::vmlinux_candidates(release, build_id.as_ref())
        }
        DebugInfo::None => {
            fixed.no_debuginfo = Some("no debug information was wanted (--debuginfo none)".into())
        }
        DebugInfo::Path(path) => fixed.vmlinux = vec![path.clone()],
    }
    let machine = Machine {
        name: "host".into(),
        kind: MachineKind::Host,
        ephemeral: false,
        boot_id: raw.facts.boot_id.clone(),
        cpu_model: raw.facts.cpu_model.clone(),
        cpus: raw.facts.cpus,
        accelerator: None,
        resumed: None,
    };
    Ok(make_evidence(&raw, investigation, machine, &fixed))
}

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
async fn capture_in_guest(
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
    // Nothing is downloaded for a machine that cannot boot it.
    guest::qemu::find_emulator()?;
    let kernel = lock::find_kernel(lock, name, source, &cache, options.refresh, &say)?;
    if let Some(text) = &kernel.note {
        print_note(&format!("{name}: {text}"));
    }
    let mut fixed = static_sources(&kernel, &cache, &options.debuginfo, true, &say);
    let modules = modules::for_guest(investigation, &kernel, &cache, &say)?;
    let job = GuestJob::Capture {
        name: investigation.source.name.clone(),
        text: investigation.source.text.clone(),
        chosen: functions_in_files(investigation, &fixed),
        modules: modules.names,
    };
    fixed.modules = modules.digests;
    let programs = programs::for_guest(investigation, &investigation_folder(investigation)?);
    let (mut files, programs) = programs.map_err(|problems| Failure::input(render(&problems)))?;
    files.contents.extend(modules.files);
    fixed.programs = programs;
    let booted = image_digest(&kernel)?;
    let run = guest_boot::start(
        options.guests.start(),
        kernel.clone(),
        &job,
        files,
        cache.clone(),
        options.limit,
        &say,
    )
    .await?;
    if image_digest(&kernel)? != booted {
        return Err(Failure::machine(format!(
            "the kernel image of {name} was changed while it was captured; capture again when it stays as it is"
        )));
    }
    fixed.image_digest = Some(booted);
    for text in &run.notes {
        print_note(&format!("{name}: {text}"));
    }
    let raw = parse_capture_answer(&run.payload)?;
    print_unwritten_notes(name, MachineKind::Guest, investigation, &raw);
    fixed.console = Some(run.console.clone());
    let machine = guest_machine(name, &raw, &run);
    progress.show_step("looking up symbols and lines");
    let mut evidence = make_evidence(&raw, investigation, machine, &fixed);
    let boots = BootSetup {
        kernel: &kernel,
        cache: &cache,
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

/// Print notes about what evidence does not say: system calls that are made with fewer arguments than the kernel takes, and programs
/// that commands did not find.
fn print_unwritten_notes(
    machine: &str,
    kind: MachineKind,
    investigation: &Investigation,
    raw: &RawCapture,
) {
    let few = raw.plan.iter().flat_map(|experiment| &experiment.few);
    let few = few_argument_notes(investigation, few);
    let missing = missing_program_warnings(investigation, kind, &raw.commands);
    for note in few.iter().map(format_one_line).chain(missing) {
        print_note(&format!("{machine}: {note}"));
    }
}

/// SHA-256 of the image that a guest boots, hex.
fn image_digest(kernel: &KernelImage) -> Result<String, Failure> {
    let digest = qed_programs::digest(&kernel.path);
    Ok(digest.context("failed to read the kernel image again")?)
}

/// Refuse what the readers of evidence would refuse, before anything says that it is there: a contradiction in itself, or with the
/// investigation.
fn check_readable(investigation: &Investigation, text: &str) -> Result<(), Failure> {
    let problem = match qed_evidence::reader::read(text.as_bytes()) {
        Err(error) => format!("contradicts itself: {error}"),
        Ok(evidence) => match find_contradiction(investigation, &evidence) {
            Some((at, reason)) => format!("contradicts the investigation: at `{at}`: {reason}"),
            None => return Ok(()),
        },
    };
    Err(anyhow::anyhow!(
        "the capture was made, and its evidence {problem}. Nothing was written. This is a mistake of \
         qed-collector {}, which no other capture will cure: please report it, with this message and the investigation",
        env!("CARGO_PKG_VERSION")
    )
    .into())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Check that evidence is read back as a book reads it: what contradicts the investigation is refused, too.
    #[test]
    fn read_back() {
        let file = |name: &str| {
            let checkout = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
            std::fs::read_to_string(checkout.join(name)).unwrap()
        };
        let text = file("recorded/guest-debian-6.12.json");
        let toml = &file("investigations/socket.toml");
        let investigation =
            |toml: &str| qed_evidence::investigation::parse("i.toml", toml).unwrap();
        let judged = |toml: &str| {
            let investigation = investigation(toml);
            let mut evidence = qed_evidence::reader::read(text.as_bytes()).unwrap();
            evidence.run.investigation_digest = investigation.digest.clone();
            let text = qed_evidence::reader::write(&evidence).unwrap();
            check_readable(&investigation, &text).map_err(|failure| failure.message)
        };
        judged(toml).unwrap();
        let other = toml.replacen("\nname = \"pool\"", "\nname = \"pools\"", 1);
        assert_ne!(&other, toml);
        let message = judged(&other).unwrap_err();
        assert!(
            message.contains("contradicts the investigation: at `/experiments/pool`")
                && message.contains("no such experiment"),
            "{message}"
        );
    }
}

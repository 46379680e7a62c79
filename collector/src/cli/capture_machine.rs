//! The capture of one machine, from the plan to evidence that can be read: of the host, or of a guest.

use std::path::Path;

use anyhow::Context as _;
use qed_evidence::Evidence;
use qed_evidence::document::{Machine, MachineKind};
use qed_evidence::investigation::Investigation;
use qed_evidence::lock::Lock;
use qed_evidence::validate::find_contradiction;

use super::capture_guest::capture_in_guest;
use super::failure::Failure;
use super::guests::Guests;
use super::kernel_files::{DebugInfo, host_debuginfo_files};
use super::machine_options::{MachineOptions, investigation_folder};
use super::modules;
use super::output::render;
use super::programs;
use super::progress::Progress;
use super::runtime::runtime;
use super::target::TargetMachine;
use super::timings::{SYMBOLIZING, Timings};
use super::unwritten_notes::print_unwritten_notes;
use crate::assemble::symbolize::{StaticFiles, make_evidence};
use crate::session::commands::Commands;
use crate::session::{self, CaptureOptions, ThisKernel};
use crate::symbols::debuginfo;
use crate::symbols::functions_by_file::find_functions_in_files;

/// A finished capture.
pub struct MachineCapture {
    /// What it gave.
    pub evidence: Evidence,
    /// The same as JSON, which is known to be read by everybody.
    pub text: String,
    /// Where its time went.
    pub timings: Option<Timings>,
}

/// Capture on one machine.
pub fn capture_machine(
    target: &TargetMachine,
    investigation: &Investigation,
    earlier: Option<&Evidence>,
    lock: Option<&Lock>,
    options: &MachineOptions,
) -> Result<MachineCapture, Failure> {
    let (evidence, timings) = capture_on(target, investigation, earlier, lock, options)?;
    let text =
        qed_evidence::reader::write(&evidence).context("failed to write the evidence as JSON")?;
    check_readable(investigation, &text)?;
    Ok(MachineCapture {
        evidence,
        text,
        timings,
    })
}

fn capture_on(
    target: &TargetMachine,
    investigation: &Investigation,
    earlier: Option<&Evidence>,
    lock: Option<&Lock>,
    options: &MachineOptions,
) -> Result<(Evidence, Option<Timings>), Failure> {
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
    let timings = progress.finish();
    Ok((captured, timings))
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
    progress.show_step(SYMBOLIZING);
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

//! `qed-collector capture`.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use qed_evidence::Evidence;
use qed_evidence::document::{Machine, MachineKind};
use qed_evidence::investigation::Investigation;
use qed_evidence::lock::Lock;
use qed_evidence::machine::evidence_file_name;
use qed_evidence::observation::{format_one_line, notes};
use qed_evidence::validate::find_contradiction;
use qed_evidence::value::Datum;

use super::boots::{BootSetup, reuse_boots};
use super::capture_warnings::capture_warnings;
use super::command_warnings::{command_warnings, missing_program_warnings};
use super::failure::Failure;
use super::guest_boot;
use super::guests::Guests;
use super::investigation::read_investigation;
use super::kernel_files::{DebugInfo, functions_in_files, host_debuginfo_files, static_sources};
use super::lock;
use super::modules;
use super::output::{print, render};
use super::plan_notes::few_argument_notes;
use super::programs;
use super::progress::{Progress, print_note};
use super::request::{CaptureRequest, RequestArgs, read_request, refuse_overwriting_book_evidence};
use super::runtime::runtime;
use super::store::Store;
use super::target::{TargetMachine, check_distinct};
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

/// Arguments of `capture`.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// The investigation and the machines.
    #[command(flatten)]
    pub request: RequestArgs,
    /// Boot a guest this many times more and note each slide [default: `boots` of the investigation; boots of the
    /// same kernel that the evidence has already are kept]
    #[arg(long, value_name = "N")]
    pub boots: Option<u32>,
    /// How guests start: booted for each capture (cold), or resumed where an earlier boot of the same kernel was saved, which
    /// the evidence says (warm). A book with guests = "cold" always boots [default: as the book says, or cold]
    #[arg(
        long,
        value_name = "cold|warm|auto",
        default_value = "auto",
        hide_default_value = true,
        hide_possible_values = true
    )]
    pub guests: Guests,
    /// File for the evidence [default: .qed/evidence/MACHINE.json in the book's folder]
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Overwrite the evidence of a book with that of another investigation than its own
    #[arg(long)]
    pub force: bool,
}

impl Args {
    /// The same for one machine, whose source lines come from there, and whose guests start so.
    fn with_debuginfo(&self, debuginfo: &DebugInfo, guests: Guests) -> Self {
        let mut args = self.clone();
        args.guests = guests;
        args.request.debuginfo = Some(debuginfo.clone());
        args
    }
}

/// Run the command. Say on stdout which file each machine's evidence went to.
pub fn run(args: &Args) -> Result<(), Failure> {
    let CaptureRequest {
        investigation: path,
        machines: targets,
        evidence: folder,
        lock,
        debuginfo,
        guests,
        is_book,
    } = read_request(&args.request)?;
    if args.output.is_none() && !args.force {
        refuse_overwriting_book_evidence(&args.request)?;
    }
    check_distinct(&targets)?;
    let investigation = read_investigation(&path)?;
    for target in &targets {
        if let DebugInfo::Path(path) = debuginfo.for_machine(target.name()) {
            // An explicit path must match.
            guest::debuginfo::debuginfo_from_path(path).map_err(|error| {
                Failure::input(match &args.request.debuginfo {
                    Some(_) => format!("--debuginfo: {error}"),
                    None => format!("`debuginfo` of {} in book.toml: {error}", target.name()),
                })
            })?;
        }
    }
    let (folder, single) = output_location(args, folder, targets.len())?;
    let store = Store::open(&folder).map_err(|error| Failure::machine(error.to_string()))?;
    let mut failures = Vec::new();
    let (guests, text) = args.guests.decide(guests);
    if let Some(text) = text {
        print_note(text);
    }
    for target in &targets {
        let name = single
            .clone()
            .unwrap_or_else(|| evidence_file_name(target.name()));
        // What cannot be read is replaced: it has nothing to keep.
        let earlier = std::fs::read(folder.join(&name))
            .ok()
            .and_then(|bytes| qed_evidence::reader::read(&bytes).ok());
        let args = args.with_debuginfo(debuginfo.for_machine(target.name()), guests);
        let captured = capture_machine(
            target,
            &investigation,
            earlier.as_ref(),
            lock.as_ref(),
            &args,
        )
        .and_then(|(evidence, text)| {
            let path = store
                .write(&name, &text)
                .map_err(|error| Failure::machine(error.to_string()))?;
            print(&format!("{}: {}\n", target.name(), path.display()))?;
            Ok(print_notes(
                target,
                &investigation,
                &evidence,
                args.request.debuginfo(),
            ))
        });
        let (what, failure) = match captured {
            Ok(missing) if missing.is_empty() => continue,
            Ok(missing) => (
                "incomplete capture",
                Failure::input(missing_programs_message(target, &missing)),
            ),
            Err(failure) => ("cannot capture", failure),
        };
        if targets.len() > 1 {
            let name = target.name();
            eprintln!("error: {what} on {name}: {}", failure.message);
        }
        failures.push(failure);
    }
    combine_failures(failures, targets.len(), is_book)
}

/// The message about workloads that were not what the investigation says.
fn missing_programs_message(target: &TargetMachine, missing: &[String]) -> String {
    format!(
        "{}: {}. The evidence was written, with what these workloads did instead; where a command is meant to find no program, let it \
         not say so (`2>/dev/null`)",
        target.name(),
        missing.join("; ")
    )
}

/// The folder for evidence, and the name of the file where there is one for a single machine.
fn output_location(
    args: &Args,
    folder: PathBuf,
    machines: usize,
) -> Result<(PathBuf, Option<String>), Failure> {
    let Some(file) = &args.output else {
        return Ok((folder, None));
    };
    if machines > 1 {
        return Err(Failure::input(
            "-o names one file, but there are several machines: leave it out, or capture them one by one with --on",
        ));
    }
    let name = file
        .file_name()
        .ok_or_else(|| Failure::input(format!("-o {} is not a file", file.display())))?;
    let parent = file
        .parent()
        .filter(|p| !p.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    Ok((parent.to_owned(), Some(name.to_string_lossy().into_owned())))
}

/// Print notes on standard error that the user should see at once. Gives back what makes the capture a failure.
fn print_notes(
    target: &TargetMachine,
    investigation: &Investigation,
    evidence: &Evidence,
    debuginfo: &DebugInfo,
) -> Vec<String> {
    if let (DebugInfo::Path(_), Datum::Missing(why)) = (debuginfo, &evidence.kernel.debuginfo) {
        let why = &why.to_string();
        print_note(&format!(
            "{}: there are no source lines: {why}",
            target.name()
        ));
    }
    let notes = notes(investigation, &[evidence]);
    let notes = notes.iter().map(format_one_line);
    let (missing, warnings): (Vec<_>, Vec<_>) = capture_warnings(evidence)
        .into_iter()
        .partition(|warning| warning.missing_program);
    let warnings = warnings.into_iter().map(|warning| warning.text);
    let warnings = warnings.chain(command_warnings(investigation, evidence));
    for warning in warnings.chain(notes) {
        print_note(&format!("{}: {warning}", target.name()));
    }
    missing.into_iter().map(|warning| warning.text).collect()
}

/// The end of a capture on `machines` machines, of which some failed.
fn combine_failures(failures: Vec<Failure>, machines: usize, is_book: bool) -> Result<(), Failure> {
    let all = failures.len() == machines;
    match failures
        .into_iter()
        .max_by_key(|failure| failure.status == 2)
    {
        None => Ok(()),
        Some(failure) if failure.status == 2 || machines == 1 => Err(failure),
        // A book falls back to recorded evidence for machines that cannot be captured here.
        Some(_) if is_book && !all => Ok(()),
        Some(_) => Err(Failure::machine(
            "not every machine could be captured; see above",
        )),
    }
}

/// Capture on one machine: the evidence, and its text, which is known to be read by everybody.
pub fn capture_machine(
    target: &TargetMachine,
    investigation: &Investigation,
    earlier: Option<&Evidence>,
    lock: Option<&Lock>,
    args: &Args,
) -> Result<(Evidence, String), Failure> {
    let evidence = capture_on(target, investigation, earlier, lock, args)?;
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
    args: &Args,
) -> Result<Evidence, Failure> {
    let runtime = runtime()?;
    let progress = Progress::with_estimate(
        target.name(),
        match args.guests {
            Guests::Warm => "warm capture",
            Guests::Cold | Guests::Auto => "capture",
        },
        Path::new(&investigation.source.name),
    );
    let captured = match target {
        TargetMachine::Host => {
            if args.boots.is_some_and(|boots| boots > 0) {
                return Err(Failure::input(
                    "--boots is for guests: the host cannot be booted for a picture",
                ));
            }
            runtime.block_on(capture_on_host(investigation, args, &progress))
        }
        TargetMachine::Guest(name, source) => runtime.block_on(capture_in_guest(
            name,
            source,
            investigation,
            earlier,
            lock,
            args,
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

async fn capture_on_host(
    investigation: &Investigation,
    args: &Args,
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
        &host_debuginfo_files(args.request.debuginfo()),
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
    match args.request.debuginfo() {
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

async fn capture_in_guest(
    name: &str,
    source: &KernelSource,
    investigation: &Investigation,
    earlier: Option<&Evidence>,
    lock: Option<&Lock>,
    args: &Args,
    progress: &Progress,
) -> Result<Evidence, Failure> {
    let cache = Cache::for_user()?;
    let say = |line: &str| progress.show_step(line);
    // Nothing is downloaded for a machine that cannot boot it.
    guest::qemu::find_emulator()?;
    let kernel = lock::find_kernel(lock, name, source, &cache, args.request.refresh, &say)?;
    if let Some(text) = &kernel.note {
        print_note(&format!("{name}: {text}"));
    }
    let mut fixed = static_sources(&kernel, &cache, args.request.debuginfo(), true, &say);
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
        args.guests.start(),
        kernel.clone(),
        &job,
        files,
        cache.clone(),
        args.request.limit,
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
        limit: args.request.limit,
    };
    let (wanted, mut retained) = match args.boots {
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

/// SHA-256 of the image that a guest boots, hex.
fn image_digest(kernel: &KernelImage) -> Result<String, Failure> {
    let digest = qed_programs::digest(&kernel.path);
    Ok(digest.context("failed to read the kernel image again")?)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Check that evidence is read back as a book reads it: what contradicts the investigation is refused, too.
    #[test]
    fn read_back() {
        let text = include_str!("../../../evidence/testdata/two-experiments.json");
        let toml = include_str!("../../../evidence/testdata/two-experiments.toml");
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
        let other = toml.replacen("name = \"create\"", "name = \"creates\"", 1);
        assert_ne!(other, toml);
        let message = judged(&other).unwrap_err();
        assert!(
            message.contains("contradicts the investigation: at `/experiments/create`")
                && message.contains("no such experiment"),
            "{message}"
        );
    }
}

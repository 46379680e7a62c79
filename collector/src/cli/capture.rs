//! `qed-collector capture`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use qed_evidence::Evidence;
use qed_evidence::investigation::Investigation;
use qed_evidence::machine::evidence_file_name;
use qed_evidence::observation::{capture_warnings, format_one_line, notes_beside};
use qed_evidence::value::Datum;

use super::capture_machine::{MachineCapture, capture_machine};
use super::command_warnings::command_warnings;
use super::failure::Failure;
use super::guests::Guests;
use super::investigation::read_investigation;
use super::kernel_files::DebugInfo;
use super::machine_options::MachineOptions;
use super::output::{json, print};
use super::progress::print_note;
use super::request::{
    CaptureRequest, NamedBook, RequestArgs, guests_of_book_around, read_request,
    refuse_overwriting_book_evidence,
};
use super::store::Store;
use super::target::{TargetMachine, check_distinct};
use super::timings::{self, Timings};
use crate::guest;

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
    /// Say where the time went on each machine, by phase, beside the last time that the same was captured. With `json` standard output
    /// is a list of the machines and nothing else
    #[arg(
        long,
        value_name = "text|json",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "text",
        hide_possible_values = true
    )]
    pub timings: Option<TimingsFormat>,
    /// File for the evidence [default: .qed/evidence/MACHINE.json in the book's folder]
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Overwrite the evidence of a book with that of another investigation than its own
    #[arg(long)]
    pub force: bool,
    /// The book.
    #[command(flatten)]
    pub named: NamedBook,
}

/// A form of the times.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum TimingsFormat {
    /// A table for each machine.
    Text,
    /// A list of [`Timings`].
    Json,
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
        check_debuginfo(args, target, debuginfo.for_machine(target.name()))?;
    }
    let (folder, single) = output_location(args, folder, targets.len())?;
    let store = Store::open(&folder).map_err(|error| Failure::machine(error.to_string()))?;
    let mut failures = Vec::new();
    let mut captures: Vec<Evidence> = Vec::new();
    let mut timings: Vec<Timings> = Vec::new();
    let guests = decide_guests(args, guests)?;
    for target in &targets {
        let name = single
            .clone()
            .unwrap_or_else(|| evidence_file_name(target.name()));
        // What cannot be read is replaced: it has nothing to keep.
        let earlier = std::fs::read(folder.join(&name))
            .ok()
            .and_then(|bytes| qed_evidence::reader::read(&bytes).ok());
        let options = MachineOptions {
            debuginfo: debuginfo.for_machine(target.name()).clone(),
            guests,
            boots: args.boots,
            refresh: args.request.refresh,
            limit: args.request.limit,
        };
        let captured = capture_machine(
            target,
            &investigation,
            earlier.as_ref(),
            lock.as_ref(),
            &options,
        )
        .and_then(|capture| {
            let MachineCapture { evidence, text, .. } = capture;
            timings.extend(capture.timings);
            let path = store
                .write(&name, &text)
                .map_err(|error| Failure::machine(error.to_string()))?;
            if args.timings != Some(TimingsFormat::Json) {
                print(&format!("{}: {}\n", target.name(), path.display()))?;
            }
            let missing = print_warnings(target, &investigation, &evidence, &options.debuginfo);
            // Whether an excuse can hold is a matter of all machines.
            match has_excuses(&investigation) {
                true => captures.push(evidence),
                false => print_notes(&investigation, &evidence, &[]),
            }
            Ok(missing)
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
    print_timings(args.timings, &timings)?;
    print_notes_beside(args, &folder, &investigation, &captures);
    combine_failures(failures, targets.len(), is_book)
}

/// Check that debug information that is named by its path can be used.
fn check_debuginfo(
    args: &Args,
    target: &TargetMachine,
    debuginfo: &DebugInfo,
) -> Result<(), Failure> {
    let DebugInfo::Path(path) = debuginfo else {
        return Ok(());
    };
    // An explicit path must match.
    let checked = guest::debuginfo::debuginfo_from_path(path).map(drop);
    checked.map_err(|error| {
        Failure::input(match &args.request.debuginfo {
            Some(_) => format!("--debuginfo: {error}"),
            None => format!("`debuginfo` of {} in book.toml: {error}", target.name()),
        })
    })
}

/// Print the times of all machines, if they were asked for.
fn print_timings(format: Option<TimingsFormat>, timings: &[Timings]) -> Result<(), Failure> {
    match format {
        None => Ok(()),
        Some(TimingsFormat::Text) => print(&timings::format_text(timings)),
        Some(TimingsFormat::Json) => print(&json(&timings)?),
    }
}

/// Print the notes about the investigation on each machine that was captured now, beside the others and those that the folder of the
/// evidence has.
fn print_notes_beside(
    args: &Args,
    folder: &Path,
    investigation: &Investigation,
    captures: &[Evidence],
) {
    let known = match args.output {
        None if !captures.is_empty() => read_captures(folder, investigation),
        _ => Vec::new(),
    };
    let mut machines: BTreeMap<&str, &Evidence> = BTreeMap::new();
    for evidence in known.iter().chain(captures) {
        machines.insert(&evidence.machine.name, evidence);
    }
    for evidence in captures {
        let others = machines
            .iter()
            .filter(|(name, _)| **name != evidence.machine.name);
        let others: Vec<&Evidence> = others.map(|(_, other)| *other).collect();
        print_notes(investigation, evidence, &others);
    }
}

fn has_excuses(investigation: &Investigation) -> bool {
    let mut experiments = investigation.experiments.iter();
    experiments.any(|experiment| !experiment.excuses.is_empty())
}

/// The captures of an investigation in a folder. What cannot be read is none.
fn read_captures(folder: &Path, investigation: &Investigation) -> Vec<Evidence> {
    let files = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let files = files.map(|file| file.path());
    let files = files.filter(|path| path.extension().is_some_and(|ending| ending == "json"));
    let read = files.filter_map(|path| {
        let bytes = std::fs::read(path).ok()?;
        qed_evidence::reader::read(&bytes).ok()
    });
    read.filter(|evidence| evidence.run.investigation_digest == investigation.digest)
        .collect()
}

/// How guests start; `of_request`: as the book of the request says.
fn decide_guests(args: &Args, of_request: Guests) -> Result<Guests, Failure> {
    let of_book = match (&args.output, &args.request.investigation) {
        (None, Some(_)) => guests_of_book_around()?.unwrap_or(of_request),
        // A book that asks for a capture names the file, and says how its guests start.
        _ => of_request,
    };
    let (guests, text) = args.guests.decide(of_book);
    if let Some(text) = text {
        print_note(text);
    }
    Ok(guests)
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

/// Print warnings on standard error that the user should see at once. Gives back what makes the capture a failure.
fn print_warnings(
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
    let (missing, warnings): (Vec<_>, Vec<_>) = capture_warnings(evidence)
        .into_iter()
        .partition(|warning| warning.missing_program);
    let warnings = warnings.into_iter().map(|warning| warning.text);
    let warnings = warnings.chain(command_warnings(investigation, evidence));
    for warning in warnings {
        print_note(&format!("{}: {warning}", target.name()));
    }
    missing.into_iter().map(|warning| warning.text).collect()
}

/// Print the notes about the investigation on this machine, beside captures of `others`.
fn print_notes(investigation: &Investigation, evidence: &Evidence, others: &[&Evidence]) {
    for note in &notes_beside(investigation, evidence, others) {
        print_note(&format!(
            "{}: {}",
            evidence.machine.name,
            format_one_line(note)
        ));
    }
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

//! Captures at build time, if the book's owner asks for them.
//!
//! mdBook runs a preprocessor once for each renderer, again for `mdbook test`, and again whenever a chapter is
//! edited under `serve`. One of these runs captures, under a lock; the others find fresh evidence. A capture that this machine
//! could not do is not tried again until something about it has changed; one whose input was refused fails the build each time.

use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, IsTerminal, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};

use qed_evidence::diagnostic::Diagnostic;
use qed_evidence::investigation::Investigation;
use qed_evidence::lock::FILE as LOCK_FILE;
use qed_evidence::machine::HOST;
use qed_programs::workload::RunsOn;
use sha2::{Digest, Sha256};

use crate::config::{CaptureMode, Config, evidence_file_name};
use crate::evidence::cache::DerivedCache;
use crate::evidence::freshness::{FreshnessInput, LocalMachine, compare_freshness};
use crate::evidence::loader::{Ahead, ReadResult, read_evidence, read_investigation};
use crate::evidence::local_files::find_collector;
use crate::evidence::locations::{CAPTURED, Origin, RECORDED, STATE};
use crate::util::state;

/// A capture that gave no fresh evidence.
#[derive(Debug, thiserror::Error)]
enum CaptureError {
    #[error("{} cannot be run: {error}", .collector.display())]
    Start {
        collector: PathBuf,
        error: std::io::Error,
    },
    #[error("qed-collector ended with {status}{}", status_suffix(.message))]
    Status { status: ExitStatus, message: String },
    #[error("what it captured is out of date already")]
    Stale,
}

impl CaptureError {
    /// True if the collector refused what it was asked, rather than was unable to do it.
    fn is_bad_input(&self) -> bool {
        matches!(self, Self::Status { status, .. } if status.code() == Some(BAD_INPUT))
    }
}

/// The file that remembers a capture which this machine could not do.
fn attempt_marker(root: &Path, machine: &str) -> PathBuf {
    root.join(STATE)
        .join(format!("{}.tried", evidence_file_name(machine)))
}

/// Forget which captures this machine could not do, so that the next build tries them again.
pub fn forget_attempts(root: &Path, config: &Config) {
    for machine in &config.machines {
        // One that cannot be removed is told of by that build.
        let _ = std::fs::remove_file(attempt_marker(root, machine));
    }
}

/// The collector's exit status for bad usage or bad input.
const BAD_INPUT: i32 = 2;

/// Capture missing or stale evidence, if the book says `capture = "if-stale"`. Return the fresh evidence, which was read for the
/// comparison, and diagnostics: errors about bad input, and warnings about captures that this machine cannot do (then older
/// or recorded evidence is shown, and marked as such).
pub fn refresh(
    root: &Path,
    config: &Config,
    here: &LocalMachine,
    cache: &DerivedCache,
) -> (Vec<Diagnostic>, Ahead) {
    if config.capture == CaptureMode::Never {
        return Default::default();
    }
    // Mistakes in the investigation are reported when it is loaded.
    let Ok(investigation) = read_investigation(root, config) else {
        return Default::default();
    };
    let warn = |message: String| Diagnostic::error_without_place(message).warning();
    let _lock = match lock_captures(root) {
        Ok(lock) => lock,
        Err(error) => {
            let warning = warn(format!(
                "nothing was captured, because .qed/lock cannot be locked: {error}"
            ));
            return (vec![warning], Ahead::default());
        }
    };
    let mut warnings = Vec::new();
    let (not_fresh, fresh) = split_by_freshness(root, config, &investigation, here, cache);
    for machine in not_fresh {
        let file = root.join(CAPTURED).join(evidence_file_name(machine));
        // What was looked up before the capture need not hold after it.
        let now = here.without_lookups();
        let is_fresh = || {
            let found = read_evidence(&file, &DerivedCache::default());
            is_fresh(&found, machine, root, &investigation, config, &now)
        };
        let Some(collector) = find_collector() else {
            warnings.push(
                warn(format!(
                    "nothing was captured on {machine}, because there is no qed-collector in PATH"
                ))
                .help("install it, or set capture = \"never\" in book.toml"),
            );
            continue;
        };
        let marker = attempt_marker(root, machine);
        let attempt = attempt_digest(root, machine, config, &investigation, here, &collector);
        if let Some(warning) = earlier_failure(root, machine, &attempt) {
            warnings.push(warning);
            continue;
        }
        let why = match (run_collector(&collector, root, config, machine), is_fresh()) {
            (Err(why), false) => why,
            (Ok(()), false) => CaptureError::Stale,
            (outcome, true) => {
                let _ = std::fs::remove_file(&marker);
                // The evidence says what went wrong in it.
                warnings.extend(outcome.err().map(|why| {
                    warn(format!("the capture on {machine} is incomplete: {why}"))
                        .help("its evidence is shown; correct the investigation")
                }));
                continue;
            }
        };
        let is_error =
            why.is_bad_input() && !is_recorded(machine, root, &investigation, config, &now);
        warnings.push(describe_failure(machine, &why, is_error));
        if is_error {
            // It is not remembered: the file that was missing may be there the next time, with nothing else changed.
            continue;
        }
        let output = why.to_string();
        if let Err(error) = state::write(&marker, &[attempt.as_bytes(), b"\n", output.as_bytes()]) {
            warnings.push(warn(format!(
                "{} cannot be written: {error}",
                marker.display()
            )));
        }
    }
    (warnings, fresh)
}

/// The warning about a capture that failed when everything that it depends on was the same.
fn earlier_failure(root: &Path, machine: &str, attempt: &str) -> Option<Diagnostic> {
    let last = std::fs::read_to_string(attempt_marker(root, machine)).ok()?;
    let (_, output) = last.split_once('\n').filter(|(last, _)| *last == attempt)?;
    let message =
        format!("the capture on {machine} failed before and was not tried again: {output}");
    Some(
        Diagnostic::error_without_place(message)
            .warning()
            .help(format!(
                "to try again, delete {STATE}/{}.tried",
                evidence_file_name(machine)
            )),
    )
}

/// What a build would say of captures that failed, as warnings, without capturing anything. `is_fresh` tells whether there is
/// evidence of a machine that is up to date.
pub fn earlier_failures(
    root: &Path,
    config: &Config,
    investigation: &Investigation,
    is_fresh: &dyn Fn(&str) -> bool,
) -> Vec<Diagnostic> {
    let mut machines = config
        .machines
        .iter()
        .filter(|machine| attempt_marker(root, machine).is_file() && !is_fresh(machine))
        .peekable();
    if config.capture == CaptureMode::Never || machines.peek().is_none() {
        return Vec::new();
    }
    let Some(collector) = find_collector() else {
        return Vec::new();
    };
    let here = LocalMachine::read();
    let failures = machines.filter_map(|machine| {
        let attempt = attempt_digest(root, machine, config, investigation, &here, &collector);
        earlier_failure(root, machine, &attempt)
    });
    failures.collect()
}

/// An error about what the collector refused, which only the author can correct, so that out-of-date evidence must not hide it; or
/// a warning about what this machine could not do.
fn describe_failure(machine: &str, why: &CaptureError, is_error: bool) -> Diagnostic {
    let failed = Diagnostic::error_without_place(format!("the capture on {machine} failed: {why}"));
    match is_error {
        true => failed.help(
            "correct the investigation or book.toml; to build without a capture, set MDBOOK_PREPROCESSOR__QED__CAPTURE=never",
        ),
        false => failed.warning().help(
            "the book shows older or recorded evidence, if there is any, and says so on each page",
        ),
    }
}

/// Wait for the right to capture for this book.
fn lock_captures(root: &Path) -> std::io::Result<File> {
    let folder = root.join(".qed");
    state::create_folder(&folder)?;
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(folder.join("lock"))?;
    file.lock()?;
    Ok(file)
}

/// The machines on which there is something to capture, and the evidence of the others; all is read at once.
fn split_by_freshness<'c>(
    root: &Path,
    config: &'c Config,
    investigation: &Investigation,
    here: &LocalMachine,
    cache: &DerivedCache,
) -> (Vec<&'c String>, Ahead) {
    let all = config.parallelism.map(&config.machines, |_, machine| {
        let file = Path::new(CAPTURED).join(evidence_file_name(machine));
        let found = read_evidence(&root.join(&file), cache);
        let fresh = is_fresh(&found, machine, root, investigation, config, here);
        (fresh, file, found)
    });
    let (mut not_fresh, mut fresh) = (Vec::new(), Ahead::new());
    for (machine, (is_fresh, file, found)) in config.machines.iter().zip(all) {
        if is_fresh {
            fresh.insert(file, found);
        } else {
            not_fresh.push(machine);
        }
    }
    (not_fresh, fresh)
}

fn is_fresh(
    found: &ReadResult,
    machine: &str,
    root: &Path,
    investigation: &Investigation,
    config: &Config,
    here: &LocalMachine,
) -> bool {
    is_up_to_date(
        found,
        Origin::Captured,
        investigation,
        &FreshnessInput {
            root,
            machine,
            config,
            here,
        },
    )
}

fn is_up_to_date(
    found: &ReadResult,
    origin: Origin,
    investigation: &Investigation,
    input: &FreshnessInput<'_>,
) -> bool {
    matches!(found, Ok(Some((evidence, _)))
        if compare_freshness(evidence, origin, investigation, input).stale.is_empty())
}

/// True if recorded evidence of a machine is up to date, so that a book whose kernel or programs this machine lacks can be built
/// from it.
fn is_recorded(
    machine: &str,
    root: &Path,
    investigation: &Investigation,
    config: &Config,
    here: &LocalMachine,
) -> bool {
    let file = root.join(RECORDED).join(evidence_file_name(machine));
    let found = read_evidence(&file, &DerivedCache::default());
    let input = FreshnessInput {
        root,
        machine,
        config,
        here,
    };
    is_up_to_date(&found, Origin::Recorded, investigation, &input)
}

/// The digest of everything that a capture depends on.
fn attempt_digest(
    root: &Path,
    machine: &str,
    config: &Config,
    investigation: &Investigation,
    here: &LocalMachine,
    collector: &Path,
) -> String {
    let changed = std::fs::metadata(collector).and_then(|m| m.modified());
    let changed = changed
        .ok()
        .and_then(|time| time.duration_since(std::time::UNIX_EPOCH).ok());
    let pin = config.pin(machine);
    let debuginfo = config.debuginfo.get(machine);
    let file = config.investigation.as_ref().map(|file| root.join(file));
    let folder = file.as_deref().and_then(Path::parent).unwrap_or(root);
    let on = match machine {
        "host" => RunsOn::Host,
        _ => RunsOn::Guest,
    };
    let programs = here.present.fingerprint(investigation, folder, on);
    // What fails in a resumed guest need not fail in one that boots.
    let resumes = resumes_guest(config, machine);
    let parts = format!(
        "{machine}\0{}\0{:?}\0{collector:?}\0{changed:?}\0{pin:?}\0{debuginfo:?}\0{resumes}\0{programs}",
        investigation.digest, here.boot_id
    );
    hex::encode(Sha256::digest(parts.as_bytes()))
}

/// True if the collector is to resume the guest of a machine where it can.
fn resumes_guest(config: &Config, machine: &str) -> bool {
    !config.boots_guests() && machine != HOST
}

/// Run the collector; its progress goes to standard error, for standard output belongs to mdBook.
fn run_collector(
    collector: &Path,
    root: &Path,
    config: &Config,
    machine: &str,
) -> Result<(), CaptureError> {
    let _ = writeln!(std::io::stderr(), "mdbook-qed: capturing on {machine}");
    let mut command = Command::new(collector);
    command.arg("capture");
    if config.lock.is_some() {
        command.args(["--lock", LOCK_FILE]);
    }
    if let Some(source) = config.debuginfo.get(machine) {
        command.args(["--debuginfo", source]);
    }
    if resumes_guest(config, machine) {
        command.args(["--guests", "warm"]);
    }
    let start = |error| CaptureError::Start {
        collector: collector.to_owned(),
        error,
    };
    command
        .arg("--investigation")
        .arg(config.investigation.as_deref().unwrap_or(Path::new("")))
        .args(["--on", &config.collector_argument(machine), "-o"])
        .arg(Path::new(CAPTURED).join(evidence_file_name(machine)))
        .current_dir(root)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .env_remove(PROGRESS);
    if std::io::stderr().is_terminal() {
        command.env(PROGRESS, "lines");
    }
    let mut child = command.spawn().map_err(start)?;
    let message = child
        .stderr
        .take()
        .map(|from| forward_output(from, machine));
    let message = message.unwrap_or_default();
    let status = child.wait().map_err(start)?;
    if status.success() {
        Ok(())
    } else {
        Err(CaptureError::Status { status, message })
    }
}

/// The part of a collector's message that is stored, in bytes: its end gives the reason of a failure.
const KEPT: usize = 4 << 10;

/// The variable by which the collector is asked for its progress as lines, which a pipe can take.
const PROGRESS: &str = "QED_PROGRESS";

/// Pass on the collector's output as it arrives, and return the end of it, without progress lines.
fn forward_output(from: impl Read, machine: &str) -> String {
    let mut retained = String::new();
    let progress = format!("{machine}: ");
    for line in BufReader::new(from).split(b'\n').map_while(Result::ok) {
        let line = String::from_utf8_lossy(&line);
        let _ = writeln!(std::io::stderr(), "{line}");
        if line.starts_with(&progress) {
            continue;
        }
        retained.push_str(line.trim_end());
        retained.push('\n');
        let mut cut = retained.len().saturating_sub(KEPT);
        while !retained.is_char_boundary(cut) {
            cut += 1;
        }
        retained.drain(..cut);
    }
    retained.trim().to_owned()
}

/// The message of a collector behind its status.
fn status_suffix(message: &str) -> String {
    match message.is_empty() {
        true => String::new(),
        false => format!(": {message}"),
    }
}

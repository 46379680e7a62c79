//! Loading of a book's evidence: the file for each machine, and how far it can be trusted.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use qed_evidence::Evidence;
use qed_evidence::diagnostic::Diagnostic;
use qed_evidence::freshness::is_of_collector;
use qed_evidence::investigation::Investigation;
use qed_evidence::redact::{RedactError, is_redacted, redact};
use qed_evidence::validate::find_contradiction;
use thiserror::Error;

use crate::config::{Addresses, BookPaths, Config, evidence_file_name};
use crate::evidence::cache::{DerivedCache, Sha256Digest};
use crate::evidence::disclosure::redact_message;
use crate::evidence::history::{self, History, HistoryError};
use crate::evidence::locations::{CAPTURED, HISTORY, Origin, RECORDED, SWEEP};
use crate::evidence::raw::RawEvidence;
use crate::evidence::sweep_record::{self, LoadedSweep, MAKE, SweepRecord, SweepRecordError};
use crate::evidence::verdict_files::{PortableVerdicts, VERDICTS_EXTENSION, VerdictsError};
use crate::templates::Templates;
use crate::util::files::{self, buffer_for};

use crate::evidence::freshness::{
    FreshnessInput, LocalMachine, compare_freshness, compare_recorded_sweep,
};

/// The evidence of one machine.
#[derive(Debug)]
pub struct MachineEvidence {
    /// The machine, as `book.toml` names it.
    pub machine: String,
    /// The evidence as it may be shown: of a live machine it is redacted.
    pub evidence: Evidence,
    /// The raw evidence, if `evidence` is redacted.
    pub raw: RawEvidence,
    /// The verdicts that came with evidence which was redacted where it was captured.
    pub verdicts: Option<PortableVerdicts>,
    /// Its origin.
    pub origin: Origin,
    /// The file, relative to the book's root.
    pub file: PathBuf,
    /// The reasons for being out of date, a phrase each; empty if it is not, as far as it could be compared.
    pub stale: Vec<String>,
    /// The parts that could not be compared, with the reason.
    pub not_compared: Vec<String>,
    /// Its age when it was read, in seconds; `None` if its time cannot be read.
    pub age_s: Option<i64>,
    /// SHA-256 of the bytes of `file`; `None` if nothing is kept under it.
    pub digest: Option<Sha256Digest>,
}

/// Everything that was loaded for a book.
#[derive(Debug)]
pub struct EvidenceSet {
    /// The investigation.
    pub investigation: Investigation,
    /// The machines that have evidence, in the book's order.
    pub loaded: Vec<MachineEvidence>,
    /// The machines that have none, with the reason.
    pub absent: Vec<(String, String)>,
    /// The captures that were published before.
    pub history: History,
    /// The record of a sweep, if there is one.
    pub sweep: Option<LoadedSweep>,
    /// The book's templates.
    pub templates: Templates,
    /// Results of earlier builds from the same evidence.
    pub cache: DerivedCache,
}

impl EvidenceSet {
    /// A set without evidence.
    pub fn new(investigation: Investigation) -> Self {
        EvidenceSet {
            investigation,
            loaded: Vec::new(),
            absent: Vec::new(),
            history: History::default(),
            sweep: None,
            templates: Templates::default(),
            cache: DerivedCache::default(),
        }
    }
}

impl MachineEvidence {
    /// The reasons for being out of date, in words; `None` if it is not.
    pub fn stale_text(&self) -> Option<String> {
        (!self.stale.is_empty()).then(|| self.stale.join("; "))
    }

    /// The parts of what ran there that could not be compared, in words; `None` if everything could be.
    pub fn uncompared_text(&self) -> Option<String> {
        // Which collector would capture only matters to a machine that captures.
        let open = self
            .not_compared
            .iter()
            .filter(|what| !is_of_collector(what));
        let open: Vec<&str> = open.map(String::as_str).collect();
        (!open.is_empty()).then(|| open.join("; "))
    }
}

/// Age in seconds.
fn age_in_seconds(evidence: &Evidence, here: &LocalMachine) -> Option<i64> {
    let time: Timestamp = evidence.run.time.parse().ok()?;
    Some(here.time.as_second() - time.as_second())
}

/// Read the investigation that the book names.
pub fn read_investigation(root: &Path, config: &Config) -> Result<Investigation, Vec<Diagnostic>> {
    let Some(path) = &config.investigation else {
        return Err(vec![
            Diagnostic::error_without_place("book.toml names no investigation")
                .help("add investigation = \"investigations/NAME.toml\" to [preprocessor.qed]"),
        ]);
    };
    let text = files::read_text(&root.join(path)).map_err(|error| {
        let message = format!(
            "the investigation `{}` cannot be read: {error}",
            path.display()
        );
        vec![Diagnostic::error_without_place(message).help(
            "write it, or mend `investigation` in [preprocessor.qed] of book.toml: a path from the book's folder",
        )]
    })?;
    qed_evidence::investigation::parse(&path.to_string_lossy(), &text)
}

/// A file of evidence that cannot be used.
#[derive(Debug, Error)]
pub enum EvidenceError {
    /// A file that cannot be opened.
    #[error("it cannot be opened: {0}")]
    Open(std::io::Error),
    /// A file that cannot be read.
    #[error("it cannot be read: {0}")]
    Unreadable(std::io::Error),
    /// Not a document of this schema, or one that contradicts itself.
    #[error(transparent)]
    Refused(#[from] qed_evidence::reader::ReadError),
}

/// A file beside the evidence that cannot be used: history, or record of a sweep.
#[derive(Debug, Error)]
enum FileError<E> {
    #[error("is refused: {0}")]
    Refused(E),
    #[error("cannot be read: {0}")]
    Unreadable(std::io::Error),
}

/// Verdicts beside evidence that cannot be used.
#[derive(Debug, Error)]
enum VerdictsFileError {
    #[error("{} cannot be read: {error}", .file.display())]
    Unreadable {
        file: PathBuf,
        error: std::io::Error,
    },
    #[error("the verdicts {} are refused: {error}", .file.display())]
    Refused { file: PathBuf, error: VerdictsError },
}

/// The content of a file of evidence, with the digest of its bytes if anything is cached under it; `None` without a
/// file.
pub type ReadResult = Result<Option<(Evidence, Option<Sha256Digest>)>, EvidenceError>;

/// Files of evidence that were read before they were asked for, relative to the book's root.
pub type Ahead = HashMap<PathBuf, ReadResult>;

/// Read the evidence of all machines: what was captured, else what was recorded. What was read just now in order to
/// see whether it is fresh is in `ahead`; `cache` is what earlier builds made of it.
pub fn load(
    paths: &BookPaths,
    config: &Config,
    here: &LocalMachine,
    ahead: Ahead,
    cache: DerivedCache,
) -> Result<EvidenceSet, Vec<Diagnostic>> {
    let investigation = read_investigation(&paths.root, config)?;
    load_for_investigation(investigation, paths, config, here, ahead, cache)
}

/// The same for an investigation that has been read.
pub fn load_for_investigation(
    investigation: Investigation,
    paths: &BookPaths,
    config: &Config,
    here: &LocalMachine,
    mut ahead: Ahead,
    cache: DerivedCache,
) -> Result<EvidenceSet, Vec<Diagnostic>> {
    let root = paths.root.as_path();
    let mut evidence_set = EvidenceSet::new(investigation);
    evidence_set.cache = cache;
    let mut problems = Vec::new();
    match read_history(&root.join(HISTORY)) {
        Ok(history) => evidence_set.history = history,
        Err(reason) => problems.push(
            Diagnostic::error_without_place(format!("the history {HISTORY} {reason}"))
                .help("bring back the one that was published last (`qed/history.json` of the site), or delete it to begin anew"),
        ),
    }
    match read_sweep(&root.join(SWEEP)) {
        Ok(sweep) => {
            let investigation = &evidence_set.investigation;
            let compare = |record| compare_recorded_sweep(record, investigation, config, here);
            evidence_set.sweep = sweep.map(compare);
        }
        Err(reason) => problems.push(
            Diagnostic::error_without_place(format!("the record of a sweep {SWEEP} {reason}"))
                .help(format!("make it again: {MAKE}; or delete it")),
        ),
    }
    match Templates::load(root, &paths.theme) {
        Ok(templates) => evidence_set.templates = templates,
        Err(wrong) => problems.extend(wrong),
    }
    read_ahead(root, config, &evidence_set.cache, &mut ahead);
    for machine in &config.machines {
        let sources = Sources {
            root,
            config,
            here,
            evidence_set: &evidence_set,
        };
        match sources.load_machine(machine, &mut ahead) {
            Ok(Some(loaded)) => evidence_set.loaded.push(loaded),
            Ok(None) => evidence_set.absent.push(describe_absence(machine)),
            Err(problem) => problems.push(problem),
        }
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    if evidence_set.loaded.is_empty() {
        let machines = config.machines.join(", ");
        return Err(vec![
            Diagnostic::error_without_place(format!(
                "there is no evidence of any machine of this book ({machines}), neither in \
                 `{CAPTURED}/` nor in `{RECORDED}/`"
            ))
            .help(format!(
                "capture: {}",
                capture_command(config, &config.machines[0])
            )),
        ]);
    }
    Ok(evidence_set)
}

/// Everything that the evidence of one machine is read and compared with.
struct Sources<'a> {
    root: &'a Path,
    config: &'a Config,
    here: &'a LocalMachine,
    evidence_set: &'a EvidenceSet,
}

impl Sources<'_> {
    /// The evidence of a machine, from the first of its files that exists; `None` if none does.
    fn load_machine(
        &self,
        machine: &str,
        ahead: &mut Ahead,
    ) -> Result<Option<MachineEvidence>, Diagnostic> {
        let name = evidence_file_name(machine);
        for (folder, origin) in [(CAPTURED, Origin::Captured), (RECORDED, Origin::Recorded)] {
            let file = Path::new(folder).join(&name);
            let found = ahead
                .remove(&file)
                .unwrap_or_else(|| read_evidence(&self.root.join(&file), &self.evidence_set.cache));
            match found {
                Ok(None) => continue,
                Ok(Some(document)) => {
                    return self
                        .check_evidence(machine, origin, file, document)
                        .map(Some);
                }
                Err(reason) => {
                    return Err(evidence_error(
                        self.config,
                        machine,
                        &file,
                        &reason.to_string(),
                    ));
                }
            }
        }
        Ok(None)
    }

    /// The evidence in `file`, if it is of this machine and of this book's investigation, as it may be shown.
    fn check_evidence(
        &self,
        machine: &str,
        origin: Origin,
        file: PathBuf,
        (evidence, digest): (Evidence, Option<Sha256Digest>),
    ) -> Result<MachineEvidence, Diagnostic> {
        if evidence.machine.name != machine {
            let other = &evidence.machine.name;
            return Err(Diagnostic::error_without_place(format!(
                "the evidence `{}` is of machine `{other}`, not of `{machine}`",
                file.display()
            )));
        }
        let investigation = &self.evidence_set.investigation;
        if let Some((at, reason)) = find_contradiction(investigation, &evidence) {
            let reason = format!("at `{at}`: {reason}");
            return Err(evidence_error(self.config, machine, &file, &reason));
        }
        let about = FreshnessInput {
            root: self.root,
            machine,
            config: self.config,
            here: self.here,
        };
        let compared = compare_freshness(&evidence, origin, investigation, &about);
        let age_s = age_in_seconds(&evidence, self.here);
        let redact = |evidence: &Evidence| {
            redact_cached(evidence, digest.as_ref(), &self.evidence_set.cache)
        };
        let (evidence, raw) =
            redact_live(evidence, self.config.addresses, redact).map_err(|error| {
                Diagnostic::error_without_place(format!(
                    "the evidence `{}` cannot be redacted: {error}",
                    file.display()
                ))
            })?;
        let verdicts = match &raw {
            Some(_) => None,
            None => read_verdicts(&self.root.join(&file), &evidence)
                .map_err(|error| Diagnostic::error_without_place(error.to_string()))?,
        };
        Ok(MachineEvidence {
            machine: machine.to_owned(),
            evidence,
            raw: raw.into(),
            verdicts,
            origin,
            file,
            stale: compared.stale.iter().map(ToString::to_string).collect(),
            not_compared: compared.not_compared,
            age_s,
            digest,
        })
    }
}

/// The name of a machine without evidence, and the text about it on a page.
pub fn describe_absence(machine: &str) -> (String, String) {
    let why = format!("there is no evidence of `{machine}` yet");
    (machine.to_owned(), why)
}

/// The complaint about evidence that is none.
fn evidence_error(config: &Config, machine: &str, file: &Path, reason: &str) -> Diagnostic {
    // A message about raw evidence must not disclose its content.
    let reason = match machine.starts_with("guest:") {
        true => reason.to_owned(),
        false => redact_message(reason),
    };
    let file = file.display();
    Diagnostic::error_without_place(format!("the evidence `{file}` was refused: {reason}")).help(
        format!("capture again: {}", capture_command(config, machine)),
    )
}

/// Read what was captured on all other machines at once: documents are large.
fn read_ahead(root: &Path, config: &Config, cache: &DerivedCache, ahead: &mut Ahead) {
    let files: Vec<PathBuf> = config
        .machines
        .iter()
        .map(|machine| Path::new(CAPTURED).join(evidence_file_name(machine)))
        .filter(|file| !ahead.contains_key(file))
        .collect();
    let found = config
        .parallelism
        .map(&files, |_, file| read_evidence(&root.join(file), cache));
    ahead.extend(files.into_iter().zip(found));
}

/// The evidence as it may be shown, and the raw evidence if that is another.
pub fn redact_live(
    evidence: Evidence,
    addresses: Addresses,
    redact: impl FnOnce(&Evidence) -> Result<Evidence, RedactError>,
) -> Result<(Evidence, Option<Evidence>), RedactError> {
    if !addresses.hides_addresses(&evidence) || is_redacted(&evidence) {
        return Ok((evidence, None));
    }
    Ok((redact(&evidence)?, Some(evidence)))
}

/// [`redact`], or what it made of the very same bytes in an earlier build: the search of the redacted document for all
/// secrets in all their forms takes longer than all the rest.
fn redact_cached(
    evidence: &Evidence,
    digest: Option<&Sha256Digest>,
    cache: &DerivedCache,
) -> Result<Evidence, RedactError> {
    let Some(digest) = digest else {
        return redact(evidence);
    };
    let inputs: [&[u8]; 2] = [b"redacted", digest];
    let earlier = cache
        .get(&inputs)
        .and_then(|text| qed_evidence::reader::read(&text).ok());
    if let Some(earlier) = earlier.filter(is_redacted) {
        return Ok(earlier);
    }
    let redacted = redact(evidence)?;
    cache.put(&inputs, &serde_json::to_vec(&redacted)?);
    Ok(redacted)
}

/// The history in this file; an empty one if there is none.
fn read_history(file: &Path) -> Result<History, FileError<HistoryError>> {
    match files::read_file(file) {
        Ok(bytes) => history::read(&bytes).map_err(FileError::Refused),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(History::default()),
        Err(error) => Err(FileError::Unreadable(error)),
    }
}

/// The record of a sweep in this file, if there is one.
fn read_sweep(file: &Path) -> Result<Option<SweepRecord>, FileError<SweepRecordError>> {
    match files::read_file(file) {
        Ok(bytes) => sweep_record::read(&bytes)
            .map(Some)
            .map_err(FileError::Refused),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(FileError::Unreadable(error)),
    }
}

/// The verdicts that lie beside evidence, if there are any.
fn read_verdicts(
    file: &Path,
    evidence: &Evidence,
) -> Result<Option<PortableVerdicts>, VerdictsFileError> {
    let file = file.with_extension(VERDICTS_EXTENSION);
    let bytes = match files::read_file(&file) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(VerdictsFileError::Unreadable { file, error }),
    };
    match PortableVerdicts::read(&bytes, evidence) {
        Ok(verdicts) => Ok(Some(verdicts)),
        // Evidence that holds everything is judged here anyway; it may have been captured anew since.
        Err(_) if !is_redacted(evidence) => Ok(None),
        Err(error) => Err(VerdictsFileError::Refused { file, error }),
    }
}

/// The command that captures on a machine.
pub fn capture_command(config: &Config, machine: &str) -> String {
    let investigation = config
        .investigation
        .as_deref()
        .unwrap_or(Path::new("INVESTIGATION"));
    format!(
        "qed-collector capture --investigation {} --on {} -o {CAPTURED}/{}",
        investigation.display(),
        config.collector_argument(machine),
        evidence_file_name(machine)
    )
}

/// Read one file; `None` if there is none.
pub fn read_evidence(path: &Path, cache: &DerivedCache) -> ReadResult {
    use std::io::Read;
    let file = match files::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(EvidenceError::Open(error)),
    };
    // One byte more than allowed tells the reader that there is too much, without reading it all.
    let limit = qed_evidence::reader::MAX_BYTES as u64 + 1;
    let mut bytes = buffer_for(&file, limit);
    file.take(limit)
        .read_to_end(&mut bytes)
        .map_err(EvidenceError::Unreadable)?;
    qed_evidence::reader::read(&bytes)
        .map(|evidence| Some((evidence, cache.key_of(&bytes))))
        .map_err(EvidenceError::Refused)
}

//! The parts of a sweep, captured on several machines. They are refused unless together they are complete.

use std::collections::BTreeMap;
use std::path::Path;

use qed_evidence::lock::{FILE as LOCK_FILE, Lock};
use qed_evidence::machine::evidence_file_name;
use qed_evidence::reader;
use qed_evidence::sweep::{EXTENSION, Mismatch, PartError, SweepKernel, SweepPart};

use crate::util::files::SiteFile;

/// The file by which a capture keeps others out of its folder.
const CAPTURE_LOCK: &str = ".lock";

/// The evidence of one kernel, to be taken over.
#[derive(Debug)]
pub struct IncomingKernel {
    /// The machine.
    pub machine: String,
    /// The evidence as it came.
    pub bytes: Vec<u8>,
    /// Its origin.
    pub from: String,
}

/// The book that the parts of a sweep have to fit.
pub struct MergeTarget<'a> {
    /// SHA-256 of the book's investigation, hex.
    pub investigation: &'a str,
    /// The book's lock file and the SHA-256 of it, hex.
    pub lock: Option<(&'a Lock, String)>,
    /// SHA-256 of the eBPF object of the collector that is here, hex, if there is one.
    pub object: Option<String>,
}

/// A reason to take over no part of a sweep.
#[derive(Debug, thiserror::Error)]
pub enum SweepError {
    /// The description of a part is refused.
    #[error("{file} is refused: {error}")]
    Part {
        /// Its name.
        file: String,
        /// The cause.
        error: PartError,
    },
    /// The file of a part has the name of another one.
    #[error("{file} describes part {part} of {of}")]
    Name {
        /// Its name.
        file: String,
        /// The number of the part.
        part: usize,
        /// The number of parts.
        of: usize,
    },
    /// Two parts are not of one sweep.
    #[error(
        "{file} is a part of another sweep than {other}: {difference}. Sweep all parts with the same investigation, lock file and \
         collector, and on the same day"
    )]
    Another {
        /// The part.
        file: String,
        /// The part that it was compared with.
        other: String,
        /// The first difference.
        difference: String,
    },
    /// The sweep is not of this book.
    #[error(
        "the sweep of {file} does not fit this book: {mismatch}. Sweep again with `qed-collector sweep --book BOOK`"
    )]
    Stale {
        /// The part.
        file: String,
        /// The difference.
        mismatch: Mismatch,
    },
    /// A part is there twice.
    #[error("both {first} and {second} are part {part}")]
    Twice {
        /// The one.
        first: String,
        /// The other.
        second: String,
        /// The number of the part.
        part: usize,
    },
    /// A part is not there.
    #[error(
        "part {part} of {of} is missing: hand over what `qed-collector sweep --shard {part}/{of}` wrote, too"
    )]
    MissingPart {
        /// The number of the part.
        part: usize,
        /// The number of parts.
        of: usize,
    },
    /// A kernel of a part was not captured.
    #[error(
        "{file} came without {machine}: `qed-collector sweep --shard {part}/{of}` goes on with what it could not capture"
    )]
    MissingKernel {
        /// The description of the part.
        file: String,
        /// The machine.
        machine: String,
        /// The number of the part.
        part: usize,
        /// The number of parts.
        of: usize,
    },
    /// Evidence is refused.
    #[error("{file} is refused: {reason}")]
    Evidence {
        /// Its name.
        file: String,
        /// The reason.
        reason: String,
    },
    /// A file is not of the sweep.
    #[error("{0} belongs to no part of the sweep beside it")]
    Stranger(String),
}

/// The folder of a file, without a slash at its end.
fn parent_folder(name: &str) -> &str {
    name.rsplit_once('/').map_or("", |(folder, _)| folder)
}

/// The folders with parts of a sweep apart from everything else.
pub fn split_sweep_files(found: Vec<SiteFile>) -> (Vec<SiteFile>, Vec<SiteFile>) {
    let is_part = |file: &SiteFile| {
        Path::new(&file.name)
            .extension()
            .is_some_and(|e| e == EXTENSION)
    };
    let folders: Vec<String> = found
        .iter()
        .filter(|file| is_part(file))
        .map(|file| parent_folder(&file.name).to_owned())
        .collect();
    found
        .into_iter()
        .partition(|file| folders.iter().any(|one| one == parent_folder(&file.name)))
}

/// The evidence of all kernels of a sweep, from the files of all of its parts.
///
/// # Errors
/// When a part is missing, is of another sweep than the others or of another book, or is not whole.
pub fn collect_kernels(
    files: &[SiteFile],
    target: &MergeTarget<'_>,
) -> Result<Vec<IncomingKernel>, SweepError> {
    let parts = read_parts(files)?;
    let Some((file, first)) = parts.first() else {
        return Ok(Vec::new());
    };
    for (other, part) in &parts {
        let difference = match part.plan.check_same_sweep(&first.plan) {
            Err(mismatch) => mismatch.to_string(),
            Ok(()) if part.of != first.of => {
                format!("it was split over {} machines, not {}", part.of, first.of)
            }
            Ok(()) => continue,
        };
        return Err(SweepError::Another {
            file: other.clone(),
            other: file.clone(),
            difference,
        });
    }
    check_complete(&parts, first.of)?;
    check_compatible(first, target).map_err(|mismatch| SweepError::Stale {
        file: file.clone(),
        mismatch,
    })?;
    let mut used = parts.len();
    let mut swept = Vec::new();
    for (file, part) in &parts {
        for kernel in part.own_kernels() {
            swept.push(read_kernel_evidence(files, file, part, kernel)?);
            used += 1;
        }
    }
    let hidden = |file: &&SiteFile| file.name.rsplit('/').next() == Some(CAPTURE_LOCK);
    if used + files.iter().filter(hidden).count() != files.len() {
        let known = |name: &str| {
            parts.iter().any(|(part, _)| part == name) || swept.iter().any(|one| one.from == name)
        };
        let strange = files
            .iter()
            .find(|file| !hidden(file) && !known(&file.name));
        let name = strange.map_or("a file", |file| &file.name);
        return Err(SweepError::Stranger(name.into()));
    }
    Ok(swept)
}

/// The descriptions of parts, by the names of their files.
fn read_parts(files: &[SiteFile]) -> Result<Vec<(String, SweepPart)>, SweepError> {
    let mut found = Vec::new();
    for file in files {
        if Path::new(&file.name)
            .extension()
            .is_none_or(|e| e != EXTENSION)
        {
            continue;
        }
        let name = file.name.clone();
        let part = SweepPart::parse(&file.bytes).map_err(|error| SweepError::Part {
            file: name.clone(),
            error,
        })?;
        if name.rsplit('/').next() != Some(&*part.file_name()) {
            let SweepPart { part, of, .. } = part;
            return Err(SweepError::Name {
                file: name,
                part,
                of,
            });
        }
        found.push((name, part));
    }
    Ok(found)
}

/// Checks that each part is there once.
fn check_complete(parts: &[(String, SweepPart)], of: usize) -> Result<(), SweepError> {
    let mut known: BTreeMap<usize, &String> = BTreeMap::new();
    for (file, SweepPart { part, .. }) in parts {
        if let Some(first) = known.insert(*part, file) {
            return Err(SweepError::Twice {
                first: first.clone(),
                second: file.clone(),
                part: *part,
            });
        }
    }
    match (1..=of).find(|part| !known.contains_key(part)) {
        None => Ok(()),
        Some(part) => Err(SweepError::MissingPart { part, of }),
    }
}

/// Checks that a sweep answers this book's question, with the kernels that its lock file pins.
fn check_compatible(part: &SweepPart, target: &MergeTarget<'_>) -> Result<(), Mismatch> {
    let plan = &part.plan;
    if plan.investigation != target.investigation {
        return Err(Mismatch::Investigation);
    }
    let object = target.object.as_ref().unwrap_or(&plan.object);
    if plan.collector != env!("CARGO_PKG_VERSION") || plan.object != *object {
        return Err(Mismatch::Collector {
            found: format!("{} ({})", plan.collector, plan.object),
            wanted: format!("{} ({object})", env!("CARGO_PKG_VERSION")),
        });
    }
    let (lock, digest) = match &target.lock {
        None => (None, None),
        Some((lock, digest)) => (Some(lock), Some(digest)),
    };
    if plan.lock.is_some() && plan.lock.as_ref() != digest {
        return Err(Mismatch::Lock);
    }
    for kernel in &plan.kernels {
        let pin = lock.and_then(|lock| lock.get(&kernel.machine));
        if let Some(wanted) = pin
            .map(ToString::to_string)
            .filter(|pin| *pin != kernel.package)
        {
            return Err(Mismatch::Kernel {
                machine: kernel.machine.clone(),
                found: kernel.package.clone(),
                wanted: format!("{wanted}, which {LOCK_FILE} pins"),
            });
        }
    }
    Ok(())
}

/// The evidence of one kernel, from the folder of its part.
fn read_kernel_evidence(
    files: &[SiteFile],
    described: &str,
    part: &SweepPart,
    kernel: &SweepKernel,
) -> Result<IncomingKernel, SweepError> {
    let machine = &kernel.machine;
    let name = evidence_file_name(machine);
    let found = files.iter().find(|file| {
        parent_folder(&file.name) == parent_folder(described)
            && file.name.rsplit('/').next() == Some(&*name)
    });
    let file = found.ok_or_else(|| SweepError::MissingKernel {
        file: described.to_owned(),
        machine: machine.clone(),
        part: part.part,
        of: part.of,
    })?;
    let refused = |reason: String| SweepError::Evidence {
        file: file.name.clone(),
        reason,
    };
    let evidence = reader::read(&file.bytes).map_err(|error| refused(error.to_string()))?;
    if evidence.machine.name != *machine {
        return Err(refused(format!("it is of `{}`", evidence.machine.name)));
    }
    if !evidence.machine.ephemeral {
        return Err(refused(
            "it is of a machine that lives on, and a sweep boots throwaway guests only".into(),
        ));
    }
    part.plan
        .check_evidence(kernel, &evidence)
        .map_err(|mismatch| refused(mismatch.to_string()))?;
    Ok(IncomingKernel {
        machine: machine.clone(),
        bytes: file.bytes.clone(),
        from: file.name.clone(),
    })
}

//! `merge`: imports the output of `redact` from other machines, and the parts of a sweep that were captured there.

mod error;
mod sweep;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use qed_evidence::diagnostic::Diagnostic;
use qed_evidence::lock::FILE as LOCK_FILE;
use qed_evidence::reader;
use qed_evidence::redact::is_redacted;
use qed_programs::atomic;

use crate::cli::common::{GOOD, print, report_bad_input};
use crate::config::{Config, evidence_file_name};
use crate::evidence::freshness::LocalMachine;
use crate::evidence::verdict_files::{PortableVerdicts, VERDICTS_EXTENSION};
use crate::evidence::{loader, locations};
use crate::mdbook::load;
use crate::util::files::{self, SiteFile};
use crate::util::parallel::Parallelism;
use error::{HandoverError, MergeError};
use sweep::IncomingKernel;

/// The evidence of one machine, to be taken over.
struct IncomingEvidence {
    bytes: Vec<u8>,
    verdicts: Vec<u8>,
    /// Its origin.
    from: String,
}

/// All that is taken over.
struct Handover {
    /// Evidence with its verdicts, by machine; none: the book's own stays.
    machines: BTreeMap<String, IncomingEvidence>,
    /// The kernels of a sweep; none: the sweep that is there stays.
    sweep: Vec<IncomingKernel>,
}

/// Runs the command. The evidence that the book had before is replaced as a whole, or not at all.
pub fn run(root: &Path, from: &Path) -> u8 {
    match merge(root, from) {
        Ok(taken) => {
            for (machine, taken) in &taken.machines {
                print(&format!("{machine}: taken over from {}\n", taken.from));
            }
            for swept in &taken.sweep {
                let IncomingKernel { machine, from, .. } = swept;
                print(&format!(
                    "{machine}: taken over from {from}, for the sweep\n"
                ));
            }
            GOOD
        }
        Err(problem) => report_bad_input(&[*problem]),
    }
}

fn merge(root: &Path, from: &Path) -> Result<Handover, Box<Diagnostic>> {
    let book = load::load(root, Parallelism::default())?;
    take_over(&book, root, from)
        .map_err(|error| Box::new(Diagnostic::error_without_place(error.to_string())))
}

fn take_over(book: &load::LoadedBook, root: &Path, from: &Path) -> Result<Handover, MergeError> {
    let investigation =
        loader::read_investigation(root, &book.config).map_err(|_| MergeError::Investigation)?;
    let found = files::read(from)?;
    let (of_sweep, found) = sweep::split_sweep_files(found);
    let here = sweep::MergeTarget {
        investigation: &investigation.digest,
        lock: match &book.config.lock {
            None => None,
            Some(lock) => Some((
                lock,
                qed_programs::digest(&root.join(LOCK_FILE)).map_err(MergeError::Lock)?,
            )),
        },
        object: LocalMachine::read().present.object_digest().ok(),
    };
    let sweep = sweep::collect_kernels(&of_sweep, &here).map_err(|error| MergeError::Sweep {
        from: from.to_owned(),
        error,
    })?;
    let machines = match found.is_empty() && !sweep.is_empty() {
        true => BTreeMap::new(),
        false => check_handover(&book.config, &investigation.digest, &found).map_err(|error| {
            MergeError::Handover {
                from: from.to_owned(),
                error,
            }
        })?,
    };
    let captured = root.join(locations::CAPTURED);
    let swept = root.join(locations::SWEPT);
    // What an interrupted merge left.
    let sweep_folder = swept.file_name();
    for (folder, stays) in [(&captured, sweep_folder), (&swept, None)] {
        atomic::recover(folder, stays).map_err(|error| MergeError::Write {
            path: folder.clone(),
            error,
        })?;
    }
    if !machines.is_empty() {
        // The folder of the sweep is inside that of the evidence, and is kept.
        let files = machines.iter().flat_map(|(machine, taken)| {
            let file = PathBuf::from(evidence_file_name(machine));
            let verdicts = file.with_extension(VERDICTS_EXTENSION);
            [(file, &taken.bytes), (verdicts, &taken.verdicts)]
        });
        replace_folder(&captured, files, Some(&swept))?;
    }
    if !sweep.is_empty() {
        let files = sweep
            .iter()
            .map(|one| (PathBuf::from(evidence_file_name(&one.machine)), &one.bytes));
        replace_folder(&swept, files, None)?;
    }
    Ok(Handover { machines, sweep })
}

/// The files by machine. Nothing is taken that is not exactly what `redact` writes for this book.
fn check_handover(
    config: &Config,
    investigation: &str,
    found: &[SiteFile],
) -> Result<BTreeMap<String, IncomingEvidence>, HandoverError> {
    let mut out: BTreeMap<String, IncomingEvidence> = BTreeMap::new();
    let mut used = 0;
    for file in found.iter().filter(|file| file.name.ends_with(".json")) {
        let name = &file.name;
        let evidence = reader::read(&file.bytes).map_err(|error| HandoverError::Evidence {
            file: name.clone(),
            error,
        })?;
        let machine = evidence.machine.name.clone();
        if !config.machines.contains(&machine) {
            return Err(HandoverError::OtherMachine {
                file: name.clone(),
                machine,
            });
        }
        if name.rsplit('/').next() != Some(&*evidence_file_name(&machine)) {
            return Err(HandoverError::Name {
                file: name.clone(),
                machine,
            });
        }
        // The sender has already disclosed its addresses; they must not spread further.
        if config.addresses.hides_addresses(&evidence) && !is_redacted(&evidence) {
            return Err(HandoverError::Raw(name.clone()));
        }
        if evidence.run.investigation_digest != investigation {
            return Err(HandoverError::OtherInvestigation(name.clone()));
        }
        let beside = PathBuf::from(name).with_extension(VERDICTS_EXTENSION);
        let verdicts = found
            .iter()
            .find(|other| Path::new(&other.name) == beside)
            .ok_or_else(|| HandoverError::NoVerdicts(name.clone()))?;
        PortableVerdicts::read(&verdicts.bytes, &evidence).map_err(|error| {
            HandoverError::Verdicts {
                file: verdicts.name.clone(),
                error,
            }
        })?;
        used += 2;
        let taken = IncomingEvidence {
            bytes: file.bytes.clone(),
            verdicts: verdicts.bytes.clone(),
            from: name.clone(),
        };
        if let Some(other) = out.insert(machine.clone(), taken) {
            return Err(HandoverError::Twice {
                first: other.from,
                second: name.clone(),
                machine,
            });
        }
    }
    if out.is_empty() {
        return Err(HandoverError::Empty);
    }
    if used != found.len() {
        let strange = found.iter().find(|file| {
            let path = Path::new(&file.name);
            !["json", VERDICTS_EXTENSION]
                .iter()
                .any(|e| path.extension().is_some_and(|f| f == *e))
        });
        let name = strange.map_or("a file", |file| file.name.as_str());
        return Err(HandoverError::Stranger(name.to_owned()));
    }
    Ok(out)
}

/// Put all files into `folder`, replacing its content except for the folder `stays` inside it. What an interruption leaves is put in
/// order by the next merge.
fn replace_folder<'a>(
    folder: &Path,
    files: impl Iterator<Item = (PathBuf, &'a Vec<u8>)>,
    stays: Option<&Path>,
) -> Result<(), MergeError> {
    // Where it is a link to another file system, the folder itself is replaced there.
    let real = folder.canonicalize();
    let folder = real.as_deref().unwrap_or(folder);
    let new = folder.with_extension("new");
    let problem = |path: &Path, error| MergeError::Write {
        path: path.to_owned(),
        error,
    };
    // What an interrupted run left.
    if new.exists() {
        std::fs::remove_dir_all(&new).map_err(|error| problem(&new, error))?;
    }
    std::fs::create_dir_all(&new).map_err(|error| problem(&new, error))?;
    for (file, bytes) in files {
        let path = new.join(file);
        std::fs::write(&path, bytes).map_err(|error| problem(&path, error))?;
    }
    let stays = stays.and_then(Path::file_name);
    atomic::replace_folder(&new, folder, stays).map_err(|error| problem(folder, error))
}

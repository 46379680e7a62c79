//! The current state that evidence is compared with: programs, kernel images and the collector on this machine.
//!
//! Only `ldd` is run: the collector need not be here, and if it is, only its file is read.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use qed_evidence::Evidence;
use qed_evidence::document::{FileRole, MachineKind, ProgramFile};
use qed_evidence::freshness::{ProgramNow, ProgramRunner};
use qed_evidence::investigation::{Investigation, Stdin, Workload};
use qed_programs::digest_cache::{DigestCache, FileDigest};
use qed_programs::workload::{MissingFile, RunsOn, setup_files, workload_files};
use qed_programs::{FileCache, ProgramError, ProgramPart, is_of_system};
use regex::bytes::Regex;

use crate::evidence::locations::Origin;

/// The text before the digest of the eBPF object in a collector's file.
const OBJECT_MARK: &str = "eBPF object sha256:";

/// Programs and the collector, each looked up once.
#[derive(Debug, Default)]
pub struct LocalFiles {
    digests: Arc<DigestCache>,
    programs: FileCache<ProgramsError>,
    object: OnceLock<Result<String, ObjectError>>,
}

/// The reason not to compare evidence of another machine with this system's own files.
const OTHER_MACHINE: &str =
    "its files are those of the machine that it was captured on, which need not be this one";

/// A collector whose object of eBPF programs is not known.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ObjectError {
    /// No file.
    #[error("there is no qed-collector here")]
    Missing,
    /// Its file cannot be read.
    #[error("the file of qed-collector cannot be read: {0}")]
    Unreadable(Arc<std::io::Error>),
    /// Its file has no mark of the object.
    #[error("the qed-collector that is here does not say which object it has")]
    NoObject,
}

/// The reasons why files of a command or workload are not available. The message contains no path of this machine, because
/// readers may see it.
#[derive(Clone, Debug, thiserror::Error)]
enum ProgramsError {
    /// A file of a workload.
    #[error("{0}")]
    Missing(String),
    /// The program of a command.
    #[error("`{program}`: {error}")]
    Program {
        /// Its name, without a folder.
        program: String,
        /// The problem.
        error: ProgramError,
    },
    /// A command without a program.
    #[error("it runs nothing")]
    Nothing,
}

impl From<MissingFile> for ProgramsError {
    fn from(missing: MissingFile) -> Self {
        Self::Missing(missing.message)
    }
}

impl LocalFiles {
    /// With the digests of files that have not changed since this user's last call of this program.
    pub fn with_user_cache() -> Self {
        LocalFiles {
            digests: Arc::new(DigestCache::for_user()),
            ..LocalFiles::default()
        }
    }

    /// The same, with programs and the collector to be looked up again; digests stay.
    pub fn without_lookups(&self) -> Self {
        LocalFiles {
            digests: self.digests.clone(),
            ..LocalFiles::default()
        }
    }

    /// SHA-256 of a kernel image, hex, or why it is not known. The reason does not tell the file: readers may see it.
    pub fn image_digest(&self, path: &Path) -> std::io::Result<String> {
        crate::util::files::open(path)?;
        let digest = self.digests.sha256(path);
        self.digests.save();
        digest
    }

    /// SHA-256 of the eBPF object of the collector that would capture here, hex; or why it is not known.
    pub fn object_digest(&self) -> Result<String, ObjectError> {
        let look = || match find_collector() {
            None => Err(ObjectError::Missing),
            Some(path) => cached_object_digest(&path, &self.digests),
        };
        self.object.get_or_init(look).clone()
    }

    /// The files of everything that `investigation` runs, for comparison with `evidence`. `folder` is the investigation's,
    /// where paths begin that are relative; `None`: it is not known.
    pub fn current_programs(
        &self,
        evidence: &Evidence,
        origin: Origin,
        investigation: &Investigation,
        folder: Option<&Path>,
    ) -> BTreeMap<ProgramRunner, ProgramNow> {
        let on = match evidence.machine.kind {
            MachineKind::Host => RunsOn::Host,
            MachineKind::Guest => RunsOn::Guest,
        };
        let experiments = investigation.experiments.iter().filter(|experiment| {
            experiment.workload.has_files()
                || on == RunsOn::Guest && !investigation.setup.is_empty()
        });
        let workloads = experiments.map(|experiment| {
            let workload = &experiment.workload;
            let was = evidence.experiments.get(&experiment.name);
            // Those of a guest lie beside the investigation.
            let beside = |file: &ProgramFile| file.role == FileRole::Argument;
            let beside = on == RunsOn::Guest && was.is_some_and(|was| was.files.iter().any(beside));
            let anywhere = !beside && !is_relative(workload);
            let here = match folder.or(anywhere.then_some(Path::new("/"))) {
                None => ProgramNow::Unknown(
                    "it has files that are named relative to the investigation's folder".into(),
                ),
                Some(folder) => {
                    self.current_program(&format!("{on:?} {workload:?}"), origin, folder, || {
                        let digests = &*self.digests;
                        let mut parts =
                            workload_files(digests, workload, &experiment.span, folder, on)?;
                        if on == RunsOn::Guest {
                            parts.extend(setup_files(digests, investigation, folder)?);
                        }
                        Ok(parts)
                    })
                }
            };
            (ProgramRunner::Workload(experiment.name.clone()), here)
        });
        let commands = investigation.commands.iter().map(|command| {
            let root = Path::new("/");
            let here =
                self.current_program(&format!("{on:?} {:?}", command.run), origin, root, || {
                    let program = command.run.first().ok_or(ProgramsError::Nothing)?;
                    let named = |error| ProgramsError::Program {
                        program: file_name(program).to_owned(),
                        error,
                    };
                    let mut parts =
                        qed_programs::parts_from(&*self.digests, program, root).map_err(named)?;
                    // A guest only contains the files of its programs.
                    if on == RunsOn::Host {
                        parts.extend(qed_programs::argument_files(
                            &*self.digests,
                            &command.run,
                            root,
                        ));
                    }
                    Ok(parts)
                });
            (ProgramRunner::Command(command.name.clone()), here)
        });
        let found = workloads.chain(commands).collect();
        self.digests.save();
        found
    }

    /// A text that is another one as soon as a file is that `investigation` runs on a machine of this kind, or that it prepares a guest with.
    /// `folder` is the investigation's.
    pub fn fingerprint(&self, investigation: &Investigation, folder: &Path, on: RunsOn) -> String {
        let digests = &*self.digests;
        let told = |parts: Result<Vec<ProgramPart<FileDigest>>, MissingFile>| match parts {
            Ok(parts) => format!("{:?}\n", qed_programs::file_records(&parts)),
            Err(missing) => format!("{}\n", ProgramsError::from(missing)),
        };
        let mut text = String::new();
        for experiment in &investigation.experiments {
            let (workload, span) = (&experiment.workload, &experiment.span);
            text += &told(workload_files(digests, workload, span, folder, on));
        }
        if on == RunsOn::Guest {
            text += &told(setup_files(digests, investigation, folder));
        }
        self.digests.save();
        text
    }

    /// The files that `find` finds of `what`.
    fn current_program(
        &self,
        what: &str,
        origin: Origin,
        folder: &Path,
        find: impl FnOnce() -> Result<Vec<ProgramPart<FileDigest>>, ProgramsError>,
    ) -> ProgramNow {
        if origin == Origin::Captured {
            let find = || find().map(|parts| qed_programs::file_records(&parts));
            return match self.programs.files(what, folder, find) {
                Ok(files) => ProgramNow::Here(files),
                Err(why) => ProgramNow::Unknown(why.to_string()),
            };
        }
        let mut own = match find() {
            Ok(parts) => parts,
            Err(why) => return ProgramNow::Unknown(why.to_string()),
        };
        own.retain(|part| !is_of_system(&part.path));
        match own.is_empty() {
            true => ProgramNow::Unknown(OTHER_MACHINE.into()),
            false => ProgramNow::Own(qed_programs::file_records(&own), OTHER_MACHINE.into()),
        }
    }
}

/// True if a workload names a file that is not found without the investigation's folder.
fn is_relative(workload: &Workload) -> bool {
    let program = |name: &str| name.contains('/') && !name.starts_with('/');
    let around = &workload.around;
    let stdin = match &around.stdin {
        Some(Stdin::File(file)) => !file.name.starts_with('/'),
        _ => false,
    };
    stdin
        || workload
            .programs(&(0..0))
            .iter()
            .any(|one| program(&one.name))
        || around.files.iter().any(|file| !file.from.starts_with('/'))
}

fn file_name(program: &str) -> &str {
    program.rsplit('/').next().unwrap_or(program)
}

/// The collector: in `PATH`, else beside this program.
pub fn find_collector() -> Option<PathBuf> {
    let beside = std::env::current_exe()
        .ok()
        .and_then(|own| Some(own.parent()?.to_owned()));
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(beside)
        .map(|folder| folder.join("qed-collector"))
        .find(|candidate| candidate.is_file())
}

/// The digest that stands in the file of a collector.
///
/// # Errors
/// A sentence that says why there is none.
pub fn object(collector: &Path) -> Result<String, ObjectError> {
    cached_object_digest(collector, &DigestCache::default())
}

fn cached_object_digest(collector: &Path, digests: &DigestCache) -> Result<String, ObjectError> {
    let found = digests.find_text("object", collector, |bytes| {
        let pattern = format!("{OBJECT_MARK}([0-9a-f]{{64}})");
        let found = Regex::new(&pattern).ok()?.captures(bytes)?.get(1)?;
        String::from_utf8(found.as_bytes().to_vec()).ok()
    });
    digests.save();
    found
        .map_err(|error| ObjectError::Unreadable(Arc::new(error)))?
        .ok_or(ObjectError::NoObject)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Check that a collector's file is searched for its digest, and that one without says so.
    #[test]
    fn objects() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("qed-collector");
        let digest = "ab".repeat(32);
        std::fs::write(&file, format!("\0x{OBJECT_MARK}no {OBJECT_MARK}{digest}\0")).unwrap();
        assert_eq!(object(&file).unwrap(), digest);
        std::fs::write(&file, "#!/bin/sh\n").unwrap();
        assert!(matches!(object(&file), Err(ObjectError::NoObject)));
        assert!(object(&folder.path().join("none")).is_err());
    }

    /// Check that an image is told by its bytes, and that no message tells its path.
    #[test]
    fn images() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("vmlinuz");
        let here = LocalFiles::default();
        let why = here.image_digest(&path).unwrap_err().to_string();
        assert!(!why.contains("vmlinuz") && !why.contains("/tmp"), "{why}");
        std::fs::write(&path, "a").unwrap();
        let first = here.image_digest(&path).unwrap();
        std::fs::write(&path, "b").unwrap();
        assert!(first.len() == 64 && here.image_digest(&path).unwrap() != first);
    }
}

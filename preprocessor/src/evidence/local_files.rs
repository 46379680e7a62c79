//! Facts of now that evidence is compared with: programs, kernel images and the collector, as they are on this machine.
//!
//! Nothing is run but `ldd`: the collector need not be here, and if it is, its file is only looked at.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use qed_evidence::Evidence;
use qed_evidence::document::MachineKind;
use qed_evidence::freshness::{ProgramNow, Runs};
use qed_evidence::investigation::{Action, Investigation};
use qed_programs::{Known, find, is_of_system};
use regex::bytes::Regex;

use crate::evidence::locations::Origin;

/// The text before the digest of the eBPF object in a collector's file.
const OBJECT: &str = "eBPF object sha256:";

/// Programs and the collector, each looked up once.
#[derive(Debug, Default)]
pub struct LocalFiles {
    programs: Known,
    object: OnceLock<Result<String, CollectorError>>,
}

/// The reason not to compare evidence of another machine with this system's own files.
const ANOTHER: &str =
    "its files are those of the machine that it was captured on, which need not be this one";

/// A collector whose object of eBPF programs is not known.
#[derive(Clone, Debug, thiserror::Error)]
pub enum CollectorError {
    /// There is none.
    #[error("there is no qed-collector here")]
    Missing,
    /// Its file cannot be read.
    #[error("the file of qed-collector cannot be read: {0}")]
    Unreadable(Arc<std::io::Error>),
    /// Its file has no mark of the object.
    #[error("the qed-collector that is here does not say which object it has")]
    NoObject,
}

impl LocalFiles {
    /// SHA-256 of the eBPF object of the collector that would capture here, hex; or why it is not known.
    pub fn object(&self) -> Result<String, CollectorError> {
        let look = || match collector() {
            None => Err(CollectorError::Missing),
            Some(path) => object(&path),
        };
        self.object.get_or_init(look).clone()
    }

    /// The files of everything that `investigation` runs, for comparison with `evidence`. `root` is where paths begin that
    /// are relative.
    pub fn programs(
        &self,
        evidence: &Evidence,
        origin: Origin,
        investigation: &Investigation,
        root: Option<&Path>,
    ) -> BTreeMap<Runs, ProgramNow> {
        let host = evidence.machine.kind == MachineKind::Host;
        let workloads = investigation.experiments.iter().filter_map(|experiment| {
            let Action::Command(words) = &experiment.workload.action else {
                return None;
            };
            let of = Runs::Workload(experiment.name.clone());
            Some((of, self.now(words, origin, root, host)))
        });
        let commands = investigation.commands.iter().map(|command| {
            let of = Runs::Command(command.name.clone());
            (
                of,
                self.now(&command.run, origin, Some(Path::new("/")), host),
            )
        });
        workloads.chain(commands).collect()
    }

    /// The files of one command line.
    fn now(&self, words: &[String], origin: Origin, root: Option<&Path>, host: bool) -> ProgramNow {
        let Some(program) = words.first() else {
            return ProgramNow::Unknown("it runs nothing".into());
        };
        let relative = program.contains('/') && !program.starts_with('/');
        let Some(root) = root.or((!relative).then_some(Path::new("/"))) else {
            return ProgramNow::Unknown(
                "its program is named relative to the book's folder".into(),
            );
        };
        let path = match find(program, root) {
            Ok(path) => path,
            Err(why) => return ProgramNow::Unknown(format!("`{}`: {why}", file_name(program))),
        };
        // A guest holds no file but those of its programs.
        let mut arguments = match host {
            true => qed_programs::arguments(words, root),
            false => Vec::new(),
        };
        if origin == Origin::Captured {
            return match self.programs.files(program, root) {
                Ok(mut files) => {
                    files.extend(qed_programs::files(&arguments));
                    ProgramNow::Here(files)
                }
                Err(error) => ProgramNow::Unknown(error.to_string()),
            };
        }
        let mut own = match is_of_system(&path) {
            true => Vec::new(),
            false => qed_programs::parts(program, root).unwrap_or_default(),
        };
        own.append(&mut arguments);
        own.retain(|part| !is_of_system(&part.path));
        match own.is_empty() {
            true => ProgramNow::Unknown(ANOTHER.into()),
            false => ProgramNow::Own(qed_programs::files(&own), ANOTHER.into()),
        }
    }
}

/// SHA-256 of a kernel image, hex, or why it is not known. The reason does not tell the file: readers may see it.
pub fn image(path: &Path) -> std::io::Result<String> {
    qed_programs::digest(path)
}

fn file_name(program: &str) -> &str {
    program.rsplit('/').next().unwrap_or(program)
}

/// The collector: in `PATH`, else beside this program.
pub fn collector() -> Option<PathBuf> {
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
pub fn object(collector: &Path) -> Result<String, CollectorError> {
    let bytes =
        std::fs::read(collector).map_err(|error| CollectorError::Unreadable(Arc::new(error)))?;
    let pattern = format!("{OBJECT}([0-9a-f]{{64}})");
    let found = Regex::new(&pattern)
        .ok()
        .and_then(|pattern| {
            pattern
                .captures(&bytes)?
                .get(1)
                .map(|m| m.as_bytes().to_vec())
        })
        .and_then(|digest| String::from_utf8(digest).ok());
    found.ok_or(CollectorError::NoObject)
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
        std::fs::write(&file, format!("\0x{OBJECT}no {OBJECT}{digest}\0")).unwrap();
        assert_eq!(object(&file).unwrap(), digest);
        std::fs::write(&file, "#!/bin/sh\n").unwrap();
        assert!(matches!(object(&file), Err(CollectorError::NoObject)));
        assert!(object(&folder.path().join("none")).is_err());
    }

    /// Check that an image is told by its bytes, and that no message tells its path.
    #[test]
    fn images() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("vmlinuz");
        let why = image(&path).unwrap_err().to_string();
        assert!(!why.contains("vmlinuz") && !why.contains("/tmp"), "{why}");
        std::fs::write(&path, "a").unwrap();
        let first = image(&path).unwrap();
        std::fs::write(&path, "b").unwrap();
        assert!(first.len() == 64 && image(&path).unwrap() != first);
    }
}

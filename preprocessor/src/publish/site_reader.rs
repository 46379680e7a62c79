//! Reading of a site's files beside its pages, and of the raw evidence that it is checked with. An unreadable file is a
//! finding, and the check goes on.

use std::path::{Path, PathBuf};

use qed_evidence::Evidence;
use qed_evidence::investigation::Investigation;
use qed_evidence::redact::{RedactError, is_redacted, redact};
use serde::Serialize;

use crate::config::Addresses;
use crate::evidence::cache::DerivedCache;
use crate::evidence::history::History;
use crate::evidence::loader;
use crate::evidence::sweep_record::SweepRecord;
use crate::publish::manifest;
use crate::util::files::SiteFile;

/// A folder of raw evidence that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum EvidenceFolderError {
    /// The folder cannot be read.
    #[error("the evidence in {} cannot be read: {error}", .folder.display())]
    Unreadable {
        /// The folder.
        folder: PathBuf,
        /// The reason.
        error: std::io::Error,
    },
    /// An entry of the folder cannot be read.
    #[error(transparent)]
    Entry(std::io::Error),
    /// A file is refused.
    #[error("{}: {reason}", .file.display())]
    Refused {
        /// The file.
        file: PathBuf,
        /// The reason, without what it would disclose.
        reason: String,
    },
}

/// The evidence in a folder, by machine.
pub fn read_evidence_folder(folder: &Path) -> Result<Vec<Evidence>, EvidenceFolderError> {
    let entries = std::fs::read_dir(folder).map_err(|error| EvidenceFolderError::Unreadable {
        folder: folder.to_owned(),
        error,
    })?;
    let mut out = Vec::new();
    for entry in entries {
        let path = entry.map_err(EvidenceFolderError::Entry)?.path();
        if path.extension().is_some_and(|e| e == "json") {
            let read =
                loader::read_evidence(&path, &DerivedCache::default()).map_err(|reason| {
                    EvidenceFolderError::Refused {
                        file: path.clone(),
                        reason: crate::evidence::disclosure::redact_message(&reason.to_string()),
                    }
                })?;
            out.extend(read.map(|(evidence, _)| evidence));
        }
    }
    Ok(out)
}

/// The file of this name, read as JSON; what cannot be read is a finding.
pub fn read_document<T: serde::de::DeserializeOwned + Serialize>(
    files: &[SiteFile],
    name: &str,
    wrong: &mut Vec<String>,
) -> Option<T> {
    let file = files.iter().find(|file| file.name == name)?;
    match serde_json::from_slice::<T>(&file.bytes) {
        Ok(document) => {
            // What is said twice, for example, is read once.
            if manifest::to_json(&document).is_ok_and(|again| again != file.bytes) {
                wrong.push(format!(
                    "{name}: it holds more than this program reads, such as a key twice"
                ));
            }
            Some(document)
        }
        Err(error) => {
            wrong.push(format!("{name}: it cannot be read: {error}"));
            None
        }
    }
}

/// The history that a site publishes.
pub fn read_history(files: &[SiteFile], wrong: &mut Vec<String>) -> Option<History> {
    let file = files.iter().find(|file| file.name == manifest::HISTORY)?;
    match crate::evidence::history::read(&file.bytes) {
        Ok(history) => Some(history),
        Err(reason) => {
            wrong.push(format!("{}: it is refused: {reason}", manifest::HISTORY));
            None
        }
    }
}

/// The record of a sweep that a site publishes.
pub fn read_sweep(files: &[SiteFile], wrong: &mut Vec<String>) -> Option<SweepRecord> {
    let file = files.iter().find(|file| file.name == manifest::SWEEP)?;
    match crate::evidence::sweep_record::read(&file.bytes) {
        Ok(record) => {
            if manifest::to_json(&record).is_ok_and(|again| again != file.bytes) {
                wrong.push(format!(
                    "{}: it holds more than this program reads, such as a key twice",
                    manifest::SWEEP
                ));
            }
            Some(record)
        }
        Err(reason) => {
            wrong.push(format!("{}: it is refused: {reason}", manifest::SWEEP));
            None
        }
    }
}

/// The evidence that a site publishes.
pub fn read_evidence(files: &[SiteFile], wrong: &mut Vec<String>) -> Vec<Evidence> {
    let mut out = Vec::new();
    for file in files {
        let Some(name) = file.name.strip_prefix(manifest::EVIDENCE) else {
            continue;
        };
        match qed_evidence::reader::read(&file.bytes) {
            Ok(evidence)
                if name.get(1..)
                    != Some(&*crate::config::evidence_file_name(&evidence.machine.name)) =>
            {
                let machine = &evidence.machine.name;
                wrong.push(format!("{}: it is evidence of {machine}", file.name));
            }
            Ok(evidence) => out.push(evidence),
            Err(error) => wrong.push(format!("{}: it is refused: {error}", file.name)),
        }
    }
    out
}

/// Raw evidence as it may be shown.
pub fn redact_live_evidence(
    raw: &[Evidence],
    addresses: Addresses,
) -> Result<Vec<Evidence>, RedactError> {
    raw.iter()
        .map(|evidence| {
            if addresses.hides_addresses(evidence) && !is_redacted(evidence) {
                redact(evidence)
            } else {
                Ok(evidence.clone())
            }
        })
        .collect()
}

/// The investigation that a site publishes: its text, and its parsed form.
pub fn read_investigation(files: &[SiteFile]) -> Option<(&[u8], Investigation)> {
    let name = manifest::INVESTIGATION;
    let file = files.iter().find(|file| file.name == name)?;
    let text = String::from_utf8_lossy(&file.bytes);
    let read = qed_evidence::investigation::parse(name, &text).ok()?;
    Some((&file.bytes, read))
}

/// The folders in a site that are sites of their own, such as those of other languages: they have a manifest.
pub fn nested_sites(files: &[SiteFile]) -> Vec<String> {
    let ending = format!("/{}", manifest::MANIFEST);
    let folders = files
        .iter()
        .filter_map(|file| file.name.strip_suffix(&ending));
    folders.map(|folder| format!("{folder}/")).collect()
}

/// The innermost of these folders that holds a file; empty if none does.
pub fn find_innermost_site<'s>(nested: &'s [String], name: &str) -> &'s str {
    let folders = nested
        .iter()
        .filter(|folder| name.starts_with(folder.as_str()));
    folders
        .max_by_key(|folder| folder.len())
        .map_or("", String::as_str)
}

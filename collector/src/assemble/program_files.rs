//! The files of the programs that an investigation runs, as recorded in evidence. Pure.

use std::collections::BTreeMap;

use qed_evidence::document::{FileRole, ProgramFile};

/// A file of a program that changed during a capture: its name, without a folder.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ChangedFile(pub String);

/// Files of programs, with their digests.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProgramFiles {
    /// Of workloads that are programs, by the experiment's name.
    pub workloads: BTreeMap<String, Vec<ProgramFile>>,
    /// Of commands, by their names. A program that is missing has none, and its command says why.
    pub commands: BTreeMap<String, Vec<ProgramFile>>,
}

impl ProgramFiles {
    /// Keep what was the same before and after a capture. A file among the
    /// arguments may be what the program writes: then it is not a part of it.
    ///
    /// # Errors
    /// When a file was not the same.
    pub fn ensure_unchanged(mut self, after: &ProgramFiles) -> Result<ProgramFiles, ChangedFile> {
        let pairs = [
            (&mut self.workloads, &after.workloads),
            (&mut self.commands, &after.commands),
        ];
        for (before, after) in pairs {
            for (name, files) in before {
                let after = after.get(name).map_or(&[][..], Vec::as_slice);
                files.retain(|file| file.role != FileRole::Argument || after.contains(file));
                if let Some(changed) = files.iter().find(|file| !after.contains(file)) {
                    return Err(ChangedFile(changed.name.clone()));
                }
            }
        }
        Ok(self)
    }
}

//! The files of the programs that an investigation runs, as evidence tells of them. Pure.

use std::collections::BTreeMap;

use qed_evidence::document::{FileRole, ProgramFile};

/// Files of programs, with their digests.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProgramFiles {
    /// Of workloads that are programs, by the experiment's name.
    pub workloads: BTreeMap<String, Vec<ProgramFile>>,
    /// Of commands, by their names. A program that is missing has none, and its command says why.
    pub commands: BTreeMap<String, Vec<ProgramFile>>,
}

impl ProgramFiles {
    /// Keep what was the same before and after a capture; an error names a file that was not. A file among the
    /// arguments may be what the program writes: then it is not a part of it.
    pub fn throughout(mut self, after: &ProgramFiles) -> Result<ProgramFiles, String> {
        let pairs = [
            (&mut self.workloads, &after.workloads),
            (&mut self.commands, &after.commands),
        ];
        for (before, after) in pairs {
            for (name, files) in before {
                let after = after.get(name).map_or(&[][..], Vec::as_slice);
                files.retain(|file| file.role != FileRole::Argument || after.contains(file));
                if let Some(changed) = files.iter().find(|file| !after.contains(file)) {
                    return Err(changed.name.clone());
                }
            }
        }
        Ok(self)
    }
}

//! The programs of a guest's commands: taken from this machine, each with all that its loader loads.

use std::collections::BTreeMap;
use std::path::Path;

use qed_evidence::document::ProgramFile;
use qed_programs::{ProgramError, parts};

/// Files of a guest, by their names in it.
pub type Files = BTreeMap<String, Vec<u8>>;

/// The folder in which a guest looks for a program without a `/` in its name.
const FOLDER: &str = "/usr/bin";

/// A program that cannot be added to a guest.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddError {
    /// The name depends on a folder that the guest does not have.
    #[error("in a guest it has to be a name without a folder, or a whole path")]
    Relative,
    /// The program cannot be had on this machine.
    #[error(transparent)]
    Program(#[from] ProgramError),
}

/// Add a program and what it needs to `files`, under the names that it will be looked for by. Gives back what evidence
/// says of them.
///
/// # Errors
/// When the program, or a file that it needs, cannot be found or read.
pub fn add(program: &str, files: &mut Files) -> Result<Vec<ProgramFile>, AddError> {
    if program.contains('/') && !program.starts_with('/') {
        return Err(AddError::Relative);
    }
    let parts = parts(program, Path::new("/"))?;
    let told = qed_programs::files(&parts);
    for part in parts {
        let name = match part.name.contains('/') {
            true => part.name,
            false => format!("{FOLDER}/{}", part.name),
        };
        files.insert(name, part.content);
    }
    Ok(told)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    /// Check that a program comes with its loader, a script with its interpreter, and that nothing is guessed.
    #[test]
    fn programs() {
        let mut files = Files::new();
        let told = add("sh", &mut files).unwrap();
        assert!(files.contains_key("/usr/bin/sh"));
        assert_eq!(told.len(), files.len());
        let folder = tempfile::tempdir().unwrap();
        let script = folder.path().join("script");
        fs::write(&script, "#!/bin/sh -e\ntrue\n").unwrap();
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        fs::set_permissions(&script, mode).unwrap();
        let mut files = Files::new();
        add(&script.display().to_string(), &mut files).unwrap();
        assert!(files.contains_key("/bin/sh") && files.contains_key(&script.display().to_string()));
        let mut files = Files::new();
        assert_eq!(
            add("no-such-program", &mut files),
            Err(AddError::Program(ProgramError::NotInPath))
        );
        assert!(add("./script", &mut files).is_err());
        assert_eq!(files, Files::new());
    }
}

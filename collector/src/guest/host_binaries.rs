//! The programs of a guest's commands: taken from this machine, each with all that its loader loads.

use std::collections::BTreeMap;
use std::path::Path;

use qed_evidence::document::ProgramFile;
use qed_programs::parts;

/// Files of a guest, by their names in it.
pub type Files = BTreeMap<String, Vec<u8>>;

/// The folder in which a guest looks for a program without a `/` in its name.
const FOLDER: &str = "/usr/bin";

/// Add a program and what it needs to `files`, under the names that it will be looked for by. Gives back what evidence
/// says of them.
///
/// # Errors
/// A sentence that says what could not be found or read.
pub fn add(program: &str, files: &mut Files) -> Result<Vec<ProgramFile>, String> {
    if program.contains('/') && !program.starts_with('/') {
        return Err("in a guest it has to be a name without a folder, or a whole path".into());
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
            Err("it is not in PATH".into())
        );
        assert!(add("./script", &mut files).is_err());
        assert_eq!(files, Files::new());
    }
}

//! The files that a guest is given: programs of this machine, each with all that its loader loads, and what a workload
//! reads.

use std::collections::BTreeMap;
use std::path::{Component, Path};

use qed_programs::{ProgramError, ProgramPart, parts};

/// Files of a guest, by their names in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GuestFiles {
    /// Their bytes.
    pub contents: BTreeMap<String, Vec<u8>>,
    /// Their permissions, where they are not programs.
    pub modes: BTreeMap<String, u32>,
}

/// The folder in which a guest looks for a program without a `/` in its name.
const FOLDER: &str = "/usr/bin";
/// Permissions of a program.
const RUNNABLE: u32 = 0o755;

/// A file that cannot be added to a guest.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddError {
    /// The name leads out of the folder whose place the guest's root folder takes.
    #[error(
        "`{0}` is outside the investigation's folder; in a guest use an absolute path or a file in that folder"
    )]
    Outside(String),
    /// Another file is at its place.
    #[error(
        "two files of different content, or with different permissions, would be at `{0}` in the guest"
    )]
    Twice(String),
    /// A file is at the place of a folder.
    #[error(
        "a file would be at `{0}` in the guest, which is a folder of another file there: `{1}`"
    )]
    Folder(String, String),
    /// The program is unavailable on this machine.
    #[error(transparent)]
    Program(#[from] ProgramError),
}

impl GuestFiles {
    /// Add files under the paths at which they will be looked up: a name without a folder in the folder of programs, a relative
    /// path below the root, which takes the place of the investigation's folder.
    ///
    /// # Errors
    /// When a name leads elsewhere, or another file is there.
    pub fn add(&mut self, parts: &[ProgramPart]) -> Result<(), AddError> {
        for part in parts {
            let name = guest_path(part)?;
            let mode = (part.mode != RUNNABLE).then_some(part.mode);
            let other = self.contents.get(&name);
            if other.is_some_and(|other| {
                *other != part.content || self.modes.get(&name).copied() != mode
            }) {
                return Err(AddError::Twice(name));
            }
            self.check_folders(&name)?;
            if let Some(mode) = mode {
                self.modes.insert(name.clone(), mode);
            }
            self.contents.insert(name, part.content.clone());
        }
        Ok(())
    }

    /// Refuse a file that is a folder of another one, or below one.
    fn check_folders(&self, name: &str) -> Result<(), AddError> {
        let below = format!("{name}/");
        let mut from = self.contents.range(below.clone()..);
        if let Some((file, _)) = from.next().filter(|(file, _)| file.starts_with(&below)) {
            return Err(AddError::Folder(name.to_owned(), file.clone()));
        }
        let mut folders = Path::new(name).ancestors().skip(1);
        let file = folders.find_map(|folder| self.contents.get_key_value(folder.to_str()?));
        match file {
            Some((file, _)) => Err(AddError::Folder(file.clone(), name.to_owned())),
            None => Ok(()),
        }
    }

    /// Add a program with its dependencies. Return its files.
    ///
    /// # Errors
    /// When the program, or a file that it needs, cannot be found or read.
    pub fn add_program(&mut self, program: &str) -> Result<Vec<ProgramPart>, AddError> {
        let parts = parts(program, Path::new("/"))?;
        self.add(&parts)?;
        Ok(parts)
    }
}

/// The name of a file in a guest.
fn guest_path(part: &ProgramPart) -> Result<String, AddError> {
    let name = &part.name;
    let is_program = !matches!(
        part.role,
        qed_evidence::document::FileRole::Argument | qed_evidence::document::FileRole::File
    );
    if !name.contains('/') && is_program {
        return Ok(format!("{FOLDER}/{name}"));
    }
    let mut out = String::new();
    for component in Path::new(name).components() {
        match component {
            Component::Normal(part) => {
                out.push('/');
                out += &part.to_string_lossy();
            }
            Component::CurDir | Component::RootDir => {}
            Component::ParentDir | Component::Prefix(_) => {
                return Err(AddError::Outside(name.clone()));
            }
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use qed_evidence::document::FileRole;
    use std::fs;

    /// Check that a program comes with its loader, a script with its interpreter, and that nothing is guessed.
    #[test]
    fn programs() {
        let mut files = GuestFiles::default();
        let added = files.add_program("sh").unwrap();
        assert!(files.contents.contains_key("/usr/bin/sh"));
        assert_eq!(added.len(), files.contents.len());
        let folder = tempfile::tempdir().unwrap();
        let script = folder.path().join("script");
        fs::write(&script, "#!/bin/sh -e\ntrue\n").unwrap();
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        fs::set_permissions(&script, mode).unwrap();
        let mut files = GuestFiles::default();
        files.add_program(&script.display().to_string()).unwrap();
        assert!(files.contents.contains_key("/bin/sh"));
        assert!(files.contents.contains_key(&script.display().to_string()));
        let mut files = GuestFiles::default();
        assert_eq!(
            files.add_program("no-such-program"),
            Err(AddError::Program(ProgramError::NotInPath))
        );
        assert!(files.add_program("./script").is_err());
        assert_eq!(files, GuestFiles::default());
    }

    /// Check that each kind of name gets its place, that one which leads out of the folder is refused, and that two files
    /// never share a place.
    #[test]
    fn places() {
        let part = |role, name: &str, content: &str, mode| ProgramPart {
            role,
            name: name.into(),
            path: "/x".into(),
            content: content.into(),
            mode,
        };
        let mut files = GuestFiles::default();
        files
            .add(&[
                part(FileRole::Program, "tool", "1", 0o755),
                part(FileRole::Program, "./own/tool", "2", 0o755),
                part(FileRole::Argument, "data", "3", 0o644),
                part(FileRole::File, "/a/b", "4", 0o600),
                part(FileRole::File, "/a/b", "4", 0o600),
            ])
            .unwrap();
        let names: Vec<&String> = files.contents.keys().collect();
        assert_eq!(names, ["/a/b", "/data", "/own/tool", "/usr/bin/tool"]);
        assert_eq!(files.modes["/a/b"], 0o600);
        for (other, mode) in [("5", 0o600), ("4", 0o644)] {
            let twice = files.add(&[part(FileRole::File, "/a/b", other, mode)]);
            assert_eq!(twice, Err(AddError::Twice("/a/b".into())));
        }
        for (name, at, of) in [("/a", "/a", "/a/b"), ("/a/b/c", "/a/b", "/a/b/c")] {
            let folder = files.add(&[part(FileRole::File, name, "6", 0o644)]);
            assert_eq!(folder, Err(AddError::Folder(at.into(), of.into())));
        }
        let outside = files.add(&[part(FileRole::Program, "../tool", "1", 0o755)]);
        assert_eq!(outside, Err(AddError::Outside("../tool".into())));
    }
}

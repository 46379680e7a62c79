//! The files of one program: itself, its interpreters and libraries.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use qed_evidence::document::{FileRole, ProgramFile};

use crate::error::ProgramError;
use crate::file::{RUNNABLE, file_name, mode_of};
use crate::platform::is_executable;
use crate::source::{FileContent, FileSource, WholeFiles};

/// Scripts whose interpreters are scripts: so many at most, as in the kernel (`BINPRM_MAX_RECURSION`,
/// <https://elixir.bootlin.com/linux/v6.12/source/fs/exec.c#L1785>).
const MAX_DEPTH: u32 = 4;

/// One file of a program. `C` is what is known of its content: its bytes, or its digest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProgramPart<C = Vec<u8>> {
    /// Its role in the program.
    pub role: FileRole,
    /// The path at which it is looked up; for the program itself, the name that was given.
    pub name: String,
    /// Its path on this machine.
    pub path: PathBuf,
    /// Its bytes, or their digest.
    pub content: C,
    /// Its permissions where a guest gets it.
    pub mode: u32,
}

impl<C: FileContent> ProgramPart<C> {
    /// The record of it in evidence: the name without a folder, and the digest; of a file that a guest is given, where and with which
    /// permissions it has it.
    pub fn file(&self) -> ProgramFile {
        let given = self.role == FileRole::File && self.name.starts_with('/');
        ProgramFile {
            role: self.role,
            name: if given {
                self.name.clone()
            } else {
                file_name(&self.path)
            },
            sha256: self.content.sha256(),
            mode: given.then_some(self.mode),
        }
    }
}

/// Find the program of a command as the command would; `folder` is where a path that does not begin with `/` starts.
///
/// # Errors
/// When it is not an executable file.
pub fn find_program(program: &str, folder: &Path) -> Result<PathBuf, ProgramError> {
    let may_run = |path: &Path| {
        fs::metadata(path).is_ok_and(|about| about.is_file() && is_executable(&about))
    };
    if !program.contains('/') {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let candidates = std::env::split_paths(&path).map(|folder| folder.join(program));
        return candidates
            .into_iter()
            .find(|path| may_run(path))
            .ok_or(ProgramError::NotInPath);
    }
    let path = folder.join(program);
    match fs::metadata(&path) {
        Ok(about) if !about.is_file() => Err(ProgramError::NotAFile),
        Ok(_) if !may_run(&path) => Err(ProgramError::NotExecutable),
        Ok(_) => Ok(path),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Err(ProgramError::Absent),
        Err(error) => Err(ProgramError::Inaccessible(error.to_string())),
    }
}

/// The files of a program with their bytes, itself first. A path that does not begin with `/` starts at `folder`.
///
/// # Errors
/// When the program, or a file that it needs, cannot be found or read.
pub fn parts(program: &str, folder: &Path) -> Result<Vec<ProgramPart>, ProgramError> {
    parts_from(&WholeFiles, program, folder)
}

/// The files of a program as `source` reads them, itself first.
///
/// # Errors
/// When the program, or a file that it needs, cannot be found or read.
pub fn parts_from<S: FileSource>(
    source: &S,
    program: &str,
    folder: &Path,
) -> Result<Vec<ProgramPart<S::Content>>, ProgramError> {
    let mut parts = Vec::new();
    let path = find_program(program, folder)?;
    add_part(
        source,
        program.to_owned(),
        &path,
        None,
        MAX_DEPTH,
        &mut parts,
    )?;
    Ok(parts)
}

fn add_part<S: FileSource>(
    source: &S,
    name: String,
    path: &Path,
    role: Option<FileRole>,
    depth: u32,
    parts: &mut Vec<ProgramPart<S::Content>>,
) -> Result<(), ProgramError> {
    let content = read_file(source, path)?;
    let interpreters = interpreters(content.script_line().as_deref());
    let is_script = !interpreters.is_empty();
    let own = match is_script {
        true => FileRole::Script,
        false => FileRole::Program,
    };
    parts.push(ProgramPart {
        role: role.unwrap_or(own),
        name,
        path: path.to_owned(),
        content,
        mode: RUNNABLE,
    });
    for interpreter in interpreters {
        if depth == 0 {
            return Err(ProgramError::NestedScripts(file_name(path)));
        }
        let of = |error| ProgramError::Interpreter {
            interpreter: interpreter.clone(),
            error: Box::new(error),
        };
        let found = find_program(&interpreter, Path::new("/")).map_err(of)?;
        let role = Some(FileRole::Interpreter);
        add_part(source, interpreter, &found, role, depth - 1, parts)?;
    }
    if is_script {
        return Ok(());
    }
    for library in source.libraries(path)? {
        let path = PathBuf::from(&library);
        parts.push(ProgramPart {
            role: FileRole::Library,
            name: library,
            content: read_file(source, &path)?,
            path,
            mode: RUNNABLE,
        });
    }
    Ok(())
}

/// The files among the arguments of a command: a script that an interpreter is told to run, what a program is told to
/// read. A word is one if a file of that name is in `folder`; files that the kernel makes up, in `/proc` and its like, are
/// none.
pub fn argument_files<S: FileSource>(
    source: &S,
    words: &[String],
    folder: &Path,
) -> Vec<ProgramPart<S::Content>> {
    let made_up = ["/proc/", "/sys/", "/dev/"];
    let files = words.iter().skip(1).filter_map(|word| {
        let path = fs::canonicalize(folder.join(word)).ok()?;
        let text = path.to_string_lossy();
        if made_up.iter().any(|folder| text.starts_with(folder)) || !path.is_file() {
            return None;
        }
        Some(ProgramPart {
            role: FileRole::Argument,
            name: word.clone(),
            content: source.read(&path).ok()?,
            mode: mode_of(&path),
            path: folder.join(word),
        })
    });
    files.collect()
}

/// The records of files in evidence, in its order.
pub fn file_records<C: FileContent>(parts: &[ProgramPart<C>]) -> Vec<ProgramFile> {
    let files: BTreeSet<ProgramFile> = parts.iter().map(ProgramPart::file).collect();
    files.into_iter().collect()
}

/// Read a file of a program.
///
/// # Errors
/// If it cannot be read.
pub(crate) fn read_file<S: FileSource>(
    source: &S,
    path: &Path,
) -> Result<S::Content, ProgramError> {
    source.read(path).map_err(|error| ProgramError::Unreadable {
        file: file_name(path),
        reason: error.to_string(),
    })
}

/// The programs in the first line of a script, which is without its `#!`: its interpreter, and where that is `env`, the
/// one that it starts.
fn interpreters(line: Option<&str>) -> Vec<String> {
    let line = line.unwrap_or_default();
    let mut words = line.split_whitespace();
    let Some(first) = words.next() else {
        return Vec::new();
    };
    let mut found = vec![first.to_owned()];
    if file_name(Path::new(first)) == "env" {
        found.extend(env_program(words).map(str::to_owned));
    }
    found
}

/// The program among the arguments of `env`: after its options and the variables that it sets.
/// <https://www.gnu.org/software/coreutils/manual/html_node/env-invocation.html>
fn env_program<'a>(mut words: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    while let Some(word) = words.next() {
        match word {
            "-u" | "-C" => {
                words.next();
            }
            _ if word.starts_with("-S") && word.len() > 2 => return Some(&word[2..]),
            _ if word.starts_with('-') || word.contains('=') => {}
            program => return Some(program),
        }
    }
    None
}

/// The files that were asked for already, with their digests: several machines run the same ones. `E` is why some cannot be
/// had.
#[derive(Debug)]
pub struct FileCache<E>(Mutex<BTreeMap<(String, PathBuf), FoundFiles<E>>>);

type FoundFiles<E> = Result<Vec<ProgramFile>, E>;

impl<E> Default for FileCache<E> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<E: Clone> FileCache<E> {
    /// The records of the files that `find` finds, which is not asked again for the same `what` and `folder`.
    ///
    /// # Errors
    /// The error that `find` returned.
    pub fn files(
        &self,
        what: &str,
        folder: &Path,
        find: impl FnOnce() -> FoundFiles<E>,
    ) -> FoundFiles<E> {
        // A panic of another thread leaves nothing half done here.
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let found = known.entry((what.to_owned(), folder.to_owned()));
        found.or_insert_with(find).clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::file::is_of_system;

    fn script(folder: &Path, text: &str) -> String {
        let path = folder.join("script");
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, crate::platform::permissions(0o755).unwrap()).unwrap();
        path.display().to_string()
    }

    /// Check that a script comes with its interpreter and that one's libraries, each in its role, and that what evidence
    /// says of them names no folder.
    #[test]
    fn roles() {
        let folder = tempfile::tempdir().unwrap();
        let name = script(folder.path(), "#!/bin/sh -e\ntrue\n");
        let found = parts(&name, Path::new("/")).unwrap();
        assert_eq!(found[0].role, FileRole::Script);
        assert_eq!(
            (found[1].role, &*found[1].name),
            (FileRole::Interpreter, "/bin/sh")
        );
        let rest = &found[2..];
        assert!(rest.iter().all(|part| part.role == FileRole::Library));
        let files = file_records(&found);
        assert_eq!(files.len(), found.len());
        assert!(
            files
                .iter()
                .all(|file| !file.name.contains('/') && file.sha256.len() == 64)
        );
        assert!(files.is_sorted());
    }

    /// Check that a script that `env` starts comes with the program behind it, whatever stands before that, and that one
    /// which is missing is named.
    #[test]
    fn behind_env() {
        let folder = tempfile::tempdir().unwrap();
        for line in [
            "/usr/bin/env sh",
            "/usr/bin/env -S sh -e",
            "/usr/bin/env -i A=1 sh",
            "/usr/bin/env -u B sh",
            "/usr/bin/env -Ssh -e",
        ] {
            let name = script(folder.path(), &format!("#!{line}\ntrue\n"));
            let found = parts(&name, Path::new("/")).unwrap();
            let names: Vec<&str> = found
                .iter()
                .filter(|part| part.role == FileRole::Interpreter)
                .map(|part| part.name.as_str())
                .collect();
            assert_eq!(names, ["/usr/bin/env", "sh"], "{line}");
        }
        let name = script(folder.path(), "#!/usr/bin/env no-such-program\n");
        let error = parts(&name, Path::new("/")).unwrap_err().to_string();
        assert_eq!(error, "its no-such-program: it is not in PATH");
        assert_eq!(interpreters(Some("")), [""; 0]);
        assert_eq!(interpreters(None), [""; 0]);
        assert_eq!(interpreters(Some("/usr/bin/env")), ["/usr/bin/env"]);
    }

    /// Check that one byte in a script changes its digest and no other, and that a relative path starts at the folder.
    #[test]
    fn a_byte() {
        let folder = tempfile::tempdir().unwrap();
        let name = script(folder.path(), "#!/bin/sh\ntrue\n");
        let before = file_records(&parts(&name, Path::new("/")).unwrap());
        script(folder.path(), "#!/bin/sh\ntrua\n");
        let after = file_records(&parts("./script", folder.path()).unwrap());
        let differing: Vec<_> = before.iter().zip(&after).filter(|(a, b)| a != b).collect();
        assert_eq!(differing.len(), 1);
        assert_eq!(differing[0].0.role, FileRole::Script);
        let known = FileCache::<()>::default();
        let find = || match parts(&name, Path::new("/")) {
            Ok(parts) => Ok(file_records(&parts)),
            Err(_) => Err(()),
        };
        assert_eq!(known.files("a", folder.path(), find).unwrap(), after);
        let again = known.files("a", folder.path(), || Err(()));
        assert_eq!(again.unwrap(), after);
    }

    /// Check that what cannot be found says why, and that arguments count where they are files that somebody wrote.
    #[test]
    fn refusals() {
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path();
        assert_eq!(
            find_program("no-such-program", at),
            Err(ProgramError::NotInPath)
        );
        assert_eq!(find_program("./nothing", at), Err(ProgramError::Absent));
        fs::write(at.join("data"), "x").unwrap();
        assert_eq!(find_program("./data", at), Err(ProgramError::NotExecutable));
        assert_eq!(find_program("./", at), Err(ProgramError::NotAFile));
        let words = ["cat", "data", "nothing", "/proc/version", "/dev/null", "."];
        let found = argument_files(&WholeFiles, &words.map(str::to_owned), at);
        let names: Vec<&str> = found.iter().map(|part| part.name.as_str()).collect();
        assert_eq!(names, ["data"]);
        assert!(is_of_system(Path::new("/bin/sh")) && !is_of_system(at));
    }
}

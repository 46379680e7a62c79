//! The files that a program consists of on this machine: the program or script, its interpreters, its libraries.
//!
//! The collector packs them into guests and writes their digests into evidence; the preprocessor compares those with what
//! is here now. Both ask this crate, so that they find the same files.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use qed_evidence::document::{FileRole, ProgramFile};
use sha2::{Digest, Sha256};

/// Scripts whose interpreters are scripts: so many at most, as in the kernel (`BINPRM_MAX_RECURSION`,
/// <https://elixir.bootlin.com/linux/v6.12/source/fs/exec.c#L1785>).
const MAX_DEPTH: u32 = 4;

/// One file of a program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// What it is to the program.
    pub role: FileRole,
    /// The path by which it is looked for; of the program itself, as it was named.
    pub name: String,
    /// Where it is on this machine.
    pub path: PathBuf,
    /// Its bytes.
    pub content: Vec<u8>,
}

impl Part {
    /// What evidence says of it: the name without a folder, and the digest.
    pub fn file(&self) -> ProgramFile {
        ProgramFile {
            role: self.role,
            name: file_name(&self.path),
            sha256: hex::encode(Sha256::digest(&self.content)),
        }
    }
}

/// The last part of a path: folders of a machine do not belong into evidence.
fn file_name(path: &Path) -> String {
    path.file_name()
        .map_or_else(String::new, |name| name.to_string_lossy().into_owned())
}

/// Find the program of a command as the command would; `folder` is where a path that does not begin with `/` starts.
///
/// # Errors
/// A sentence that says why there is none.
pub fn find(program: &str, folder: &Path) -> Result<PathBuf, String> {
    let may_run = |path: &Path| {
        fs::metadata(path)
            .is_ok_and(|about| about.is_file() && about.permissions().mode() & 0o111 != 0)
    };
    if !program.contains('/') {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let candidates = std::env::split_paths(&path).map(|folder| folder.join(program));
        return candidates
            .into_iter()
            .find(|path| may_run(path))
            .ok_or_else(|| "it is not in PATH".to_owned());
    }
    let path = folder.join(program);
    match fs::metadata(&path) {
        Ok(about) if !about.is_file() => Err("it is no file".into()),
        Ok(_) if !may_run(&path) => Err("it may not be run".into()),
        Ok(_) => Ok(path),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            Err("there is no such file".into())
        }
        Err(error) => Err(error.to_string()),
    }
}

/// The files of a program, itself first. A path that does not begin with `/` starts at `folder`.
///
/// # Errors
/// A sentence that says what could not be found or read.
pub fn parts(program: &str, folder: &Path) -> Result<Vec<Part>, String> {
    let mut parts = Vec::new();
    add(
        program.to_owned(),
        &find(program, folder)?,
        None,
        MAX_DEPTH,
        &mut parts,
    )?;
    Ok(parts)
}

fn add(
    name: String,
    path: &Path,
    role: Option<FileRole>,
    depth: u32,
    parts: &mut Vec<Part>,
) -> Result<(), String> {
    let content = read(path)?;
    let interpreter = interpreter(&content);
    let own = match interpreter {
        Some(_) => FileRole::Script,
        None => FileRole::Program,
    };
    parts.push(Part {
        role: role.unwrap_or(own),
        name,
        path: path.to_owned(),
        content,
    });
    if let Some(interpreter) = interpreter {
        if depth == 0 {
            return Err(format!("{} is a script of a script", file_name(path)));
        }
        let found = find(&interpreter, Path::new("/"))
            .map_err(|why| format!("its {interpreter}: {why}"))?;
        return add(
            interpreter,
            &found,
            Some(FileRole::Interpreter),
            depth - 1,
            parts,
        );
    }
    for library in libraries(path)? {
        let path = PathBuf::from(&library);
        parts.push(Part {
            role: FileRole::Library,
            name: library,
            content: read(&path)?,
            path,
        });
    }
    Ok(())
}

/// The files among the arguments of a command: a script that an interpreter is told to run, what a program is told to
/// read. A word is one if a file of that name is in `folder`; files that the kernel makes up, in `/proc` and its like, are
/// none.
pub fn arguments(words: &[String], folder: &Path) -> Vec<Part> {
    let made_up = ["/proc/", "/sys/", "/dev/"];
    let files = words.iter().skip(1).filter_map(|word| {
        let path = fs::canonicalize(folder.join(word)).ok()?;
        let text = path.to_string_lossy();
        if made_up.iter().any(|folder| text.starts_with(folder)) || !path.is_file() {
            return None;
        }
        Some(Part {
            role: FileRole::Argument,
            name: word.clone(),
            content: fs::read(&path).ok()?,
            path: folder.join(word),
        })
    });
    files.collect()
}

/// What evidence says of files, in its order.
pub fn files(parts: &[Part]) -> Vec<ProgramFile> {
    let files: BTreeSet<ProgramFile> = parts.iter().map(Part::file).collect();
    files.into_iter().collect()
}

/// Whether a file belongs to the machine and not to an author: it lies where packages put theirs.
pub fn is_of_system(path: &Path) -> bool {
    const FOLDERS: [&str; 8] = [
        "/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/nix", "/gnu",
    ];
    let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    FOLDERS.iter().any(|folder| path.starts_with(folder)) && !path.starts_with("/usr/local")
}

/// SHA-256 of a file, hex.
///
/// # Errors
/// If it cannot be read.
pub fn digest(path: &Path) -> std::io::Result<String> {
    let mut file = fs::File::open(path)?;
    let mut hash = Sha256::new();
    std::io::copy(&mut file, &mut hash)?;
    Ok(hex::encode(hash.finalize()))
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    fs::read(path).map_err(|error| format!("cannot read {}: {error}", file_name(path)))
}

/// The program in the first line of a script.
fn interpreter(content: &[u8]) -> Option<String> {
    let line = content.strip_prefix(b"#!")?.split(|b| *b == b'\n').next()?;
    let line = String::from_utf8_lossy(line);
    line.split_whitespace().next().map(str::to_owned)
}

/// What the loader would load for a program; nothing for a static one.
fn libraries(path: &Path) -> Result<Vec<String>, String> {
    let output = Command::new("ldd")
        .arg(path)
        .env("LC_ALL", "C")
        .output()
        .map_err(|error| format!("cannot start ldd: {error}"))?;
    loaded(&String::from_utf8_lossy(&output.stdout))
}

/// The files that `ldd` names:
///
/// ```text
///         linux-vdso.so.1 (0x00007ffd)
///         libc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x00007f0a)
///         /lib64/ld-linux-x86-64.so.2 (0x00007f0b)
/// ```
fn loaded(text: &str) -> Result<Vec<String>, String> {
    let mut paths = Vec::new();
    for line in text.lines().map(str::trim) {
        if let Some((name, _)) = line.split_once(" => not found") {
            return Err(format!("its library {name} was not found"));
        }
        let words = line.split_whitespace();
        paths.extend(
            words
                .filter(|word| word.starts_with('/'))
                .map(str::to_owned),
        );
    }
    Ok(paths)
}

/// The digests of programs that were asked for already: several machines run the same ones.
#[derive(Debug, Default)]
pub struct Known(std::sync::Mutex<BTreeMap<(String, PathBuf), Result<Vec<ProgramFile>, String>>>);

impl Known {
    /// The files of a program, as [`parts`] finds them.
    ///
    /// # Errors
    /// A sentence that says what could not be found or read.
    pub fn files(&self, program: &str, folder: &Path) -> Result<Vec<ProgramFile>, String> {
        // A panic of another thread leaves nothing half done here.
        let mut known = self
            .0
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner());
        let key = (program.to_owned(), folder.to_owned());
        let found = known.entry(key);
        found
            .or_insert_with(|| parts(program, folder).map(|parts| files(&parts)))
            .clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn script(folder: &Path, text: &str) -> String {
        let path = folder.join("script");
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path.display().to_string()
    }

    /// Check that libraries are read from what ldd prints, and that one that is missing is named.
    #[test]
    fn ldd() {
        let text = "\tlinux-vdso.so.1 (0x00007ffd)\n\tlibc.so.6 => /lib/x/libc.so.6 (0x00007f0a)\n\t/lib64/ld.so.2 (0x1)\n";
        assert_eq!(
            loaded(text).unwrap(),
            ["/lib/x/libc.so.6", "/lib64/ld.so.2"]
        );
        assert_eq!(loaded("\tnot a dynamic executable\n").unwrap(), [""; 0]);
        let missing = loaded("\tlibx.so.1 => not found\n").unwrap_err();
        assert!(missing.contains("libx.so.1"), "{missing}");
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
        let files = files(&found);
        assert_eq!(files.len(), found.len());
        assert!(
            files
                .iter()
                .all(|file| !file.name.contains('/') && file.sha256.len() == 64)
        );
        assert!(files.is_sorted());
    }

    /// Check that one byte in a script changes its digest and no other, and that a relative path starts at the folder.
    #[test]
    fn a_byte() {
        let folder = tempfile::tempdir().unwrap();
        let name = script(folder.path(), "#!/bin/sh\ntrue\n");
        let before = files(&parts(&name, Path::new("/")).unwrap());
        script(folder.path(), "#!/bin/sh\ntrua\n");
        let after = files(&parts("./script", folder.path()).unwrap());
        let differing: Vec<_> = before.iter().zip(&after).filter(|(a, b)| a != b).collect();
        assert_eq!(differing.len(), 1);
        assert_eq!(differing[0].0.role, FileRole::Script);
        let known = Known::default();
        assert_eq!(known.files(&name, Path::new("/")).unwrap(), after);
    }

    /// Check that what cannot be found says why, and that arguments count where they are files that somebody wrote.
    #[test]
    fn refusals() {
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path();
        assert_eq!(find("no-such-program", at), Err("it is not in PATH".into()));
        assert!(find("./nothing", at).unwrap_err().contains("no such file"));
        fs::write(at.join("data"), "x").unwrap();
        assert!(find("./data", at).unwrap_err().contains("may not be run"));
        assert!(find("./", at).unwrap_err().contains("no file"));
        let words = ["cat", "data", "nothing", "/proc/version", "/dev/null", "."];
        let found = arguments(&words.map(str::to_owned), at);
        let names: Vec<&str> = found.iter().map(|part| part.name.as_str()).collect();
        assert_eq!(names, ["data"]);
        assert!(is_of_system(Path::new("/bin/sh")) && !is_of_system(at));
    }
}

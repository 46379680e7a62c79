//! The programs of a guest's commands: taken from this machine, each with all that its loader loads.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::qemu::find_in_path;

/// Files of a guest, by their names in it.
pub type Files = BTreeMap<String, Vec<u8>>;

/// Where a guest looks for a program without a `/` in its name.
const FOLDER: &str = "/usr/bin";
/// Scripts whose interpreters are scripts: so many at most, as in the kernel (`BINPRM_MAX_RECURSION`).
const MAX_DEPTH: u32 = 4;

/// Find the program of a command as the command would.
///
/// # Errors
/// A sentence that says why there is none.
pub fn find(program: &str) -> Result<PathBuf, String> {
    use nix::unistd::{AccessFlags, access};
    if !program.contains('/') {
        return find_in_path(program).ok_or_else(|| "it is not in PATH".to_owned());
    }
    let path = PathBuf::from(program);
    match access(&path, AccessFlags::X_OK) {
        Ok(()) if path.is_file() => Ok(path),
        Ok(()) => Err("it is no file".to_owned()),
        Err(errno) => Err(errno.desc().to_owned()),
    }
}

/// Add a program and what it needs to `files`, under the names that it will be looked for by.
///
/// # Errors
/// A sentence that says what could not be found or read.
pub fn add(program: &str, files: &mut Files) -> Result<(), String> {
    let name = match program.contains('/') {
        false => format!("{FOLDER}/{program}"),
        true if program.starts_with('/') => program.to_owned(),
        true => {
            return Err("in a guest it has to be a name without a folder, or a whole path".into());
        }
    };
    add_as(name, &find(program)?, files, MAX_DEPTH)
}

fn add_as(name: String, path: &Path, files: &mut Files, depth: u32) -> Result<(), String> {
    let content = read(path)?;
    if let Some(interpreter) = interpreter(&content) {
        if depth == 0 {
            return Err(format!("{} is a script of a script", path.display()));
        }
        let found = find(&interpreter).map_err(|why| format!("its {interpreter}: {why}"))?;
        add_as(interpreter, &found, files, depth - 1)?;
    } else {
        for library in libraries(path)? {
            let content = read(Path::new(&library))?;
            files.insert(library, content);
        }
    }
    files.insert(name, content);
    Ok(())
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    fs::read(path).map_err(|error| format!("cannot read {}: {error}", path.display()))
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

#[cfg(test)]
mod tests {
    use super::*;

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

    /// Check that a program comes with its loader, a script with its interpreter, and that nothing is guessed.
    #[test]
    fn programs() {
        let mut files = Files::new();
        add("sh", &mut files).unwrap();
        assert!(files.contains_key("/usr/bin/sh"));
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

//! The loader of programs: on what the choice of libraries depends.
//!
//! In the order of `ld.so(8)`: `LD_PRELOAD` and `/etc/ld.so.preload`, `DT_RPATH`, `LD_LIBRARY_PATH`, `DT_RUNPATH`, the
//! cache `/etc/ld.so.cache`, the default folders. <https://man7.org/linux/man-pages/man8/ld.so.8.html>

use std::path::{Path, PathBuf};

use object::elf::{DT_AUDIT, DT_DEPAUDIT, DT_RPATH, DT_RUNPATH, FileHeader32, FileHeader64};
use object::read::elf::{Dyn, FileHeader, ProgramHeader};
use object::{Endianness, FileKind};

/// The files and variables that the loader reads beside the program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Environment {
    /// Its cache.
    pub(crate) cache: PathBuf,
    preload: PathBuf,
    /// True if a variable of the environment directs it.
    is_directed: bool,
}

impl Default for Environment {
    /// An unknown state, so that nothing is concluded from it.
    fn default() -> Self {
        Environment {
            is_directed: true,
            ..Environment::with_variables(std::iter::empty())
        }
    }
}

impl Environment {
    /// That of this process.
    pub(crate) fn from_process() -> Self {
        let names = std::env::vars_os().map(|(name, _)| name.to_string_lossy().into_owned());
        Environment::with_variables(names)
    }

    /// That of a process with variables of these names.
    pub(crate) fn with_variables(names: impl IntoIterator<Item = String>) -> Self {
        let directs = |name: &String| name.starts_with("LD_") || name == "GLIBC_TUNABLES";
        Environment {
            cache: "/etc/ld.so.cache".into(),
            preload: "/etc/ld.so.preload".into(),
            is_directed: names.into_iter().any(|name| directs(&name)),
        }
    }

    /// True if no variable and no list of libraries to load first directs the loader.
    pub(crate) fn is_plain(&self) -> bool {
        !self.is_directed && matches!(self.preload.try_exists(), Ok(false))
    }
}

/// True if the loader takes each of `libraries` from its cache, or for the program's interpreter, and neither the program nor
/// one of them names folders of its own. Then the same cache leads to the same libraries.
pub(crate) fn is_decided_by_cache(
    program: &Path,
    libraries: &[String],
    environment: &Environment,
) -> bool {
    let Some((about, cache)) = read_elf_facts(program).zip(std::fs::read(&environment.cache).ok())
    else {
        return false;
    };
    let is_in_cache = |path: &String| {
        let entry = [b"\0", path.as_bytes(), b"\0"].concat();
        cache.windows(entry.len()).any(|window| window == entry)
    };
    let names_no_folder =
        |path: &String| read_elf_facts(Path::new(path)).is_some_and(|about| !about.names_folders);
    !about.names_folders
        && libraries.iter().all(|path| {
            names_no_folder(path) && (about.interpreter.as_ref() == Some(path) || is_in_cache(path))
        })
}

/// The part of an ELF file that the loader follows.
struct ElfFacts {
    interpreter: Option<String>,
    names_folders: bool,
}

/// The facts of an ELF file; nothing of another file or a broken one.
fn read_elf_facts(path: &Path) -> Option<ElfFacts> {
    let bytes = std::fs::read(path).ok()?;
    match FileKind::parse(bytes.as_slice()).ok()? {
        FileKind::Elf32 => elf_facts::<FileHeader32<Endianness>>(&bytes),
        FileKind::Elf64 => elf_facts::<FileHeader64<Endianness>>(&bytes),
        _ => None,
    }
}

fn elf_facts<E: FileHeader>(bytes: &[u8]) -> Option<ElfFacts> {
    let header = E::parse(bytes).ok()?;
    let endian = header.endian().ok()?;
    let mut facts = ElfFacts {
        interpreter: None,
        names_folders: false,
    };
    for segment in header.program_headers(endian, bytes).ok()? {
        if let Some(path) = segment.interpreter(endian, bytes).ok()? {
            facts.interpreter = Some(String::from_utf8(path.to_vec()).ok()?);
        }
        for entry in segment.dynamic(endian, bytes).ok()?.unwrap_or_default() {
            let directs = [DT_RPATH, DT_RUNPATH, DT_AUDIT, DT_DEPAUDIT];
            facts.names_folders |= directs.contains(&entry.d_tag(endian));
        }
    }
    Some(facts)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    /// Check that a variable which directs the loader is seen, and that nothing is concluded by default.
    #[test]
    fn variables() {
        let plain = |names: &[&str]| {
            Environment::with_variables(names.iter().map(|name| (*name).to_owned())).is_plain()
        };
        assert!(plain(&["PATH", "HOME", "OLD_LD"]) || Path::new("/etc/ld.so.preload").exists());
        for name in [
            "LD_PRELOAD",
            "LD_LIBRARY_PATH",
            "LD_AUDIT",
            "GLIBC_TUNABLES",
        ] {
            assert!(!plain(&["PATH", name]), "{name}");
        }
        assert!(!Environment::default().is_plain());
    }

    /// Check that a list of libraries to load first is seen.
    #[test]
    fn preloaded() {
        let folder = tempfile::tempdir().unwrap();
        let mut environment = Environment::with_variables([]);
        environment.preload = folder.path().join("ld.so.preload");
        assert!(environment.is_plain());
        std::fs::write(&environment.preload, "").unwrap();
        assert!(!environment.is_plain());
    }

    /// Check that a library which the cache does not have is noticed, and a file that is not a program.
    #[test]
    fn cached() {
        let libraries = crate::source::run_ldd(Path::new("/bin/sh")).unwrap();
        let mut environment = Environment::with_variables([]);
        let decided = |libraries: &[String], environment: &Environment| {
            is_decided_by_cache(Path::new("/bin/sh"), libraries, environment)
        };
        if !environment.cache.exists() || libraries.is_empty() {
            let _ = writeln!(
                std::io::stderr(),
                "skipped: /bin/sh is static here, or its loader has no cache"
            );
            return;
        }
        assert!(decided(&libraries, &environment));
        let folder = tempfile::tempdir().unwrap();
        let own = folder.path().join("libc.so.6");
        std::fs::copy(&libraries[0], &own).unwrap();
        let with_own = [libraries.clone(), vec![own.display().to_string()]].concat();
        assert!(!decided(&with_own, &environment));
        let text = folder.path().join("text");
        std::fs::write(&text, "#!/bin/sh\n").unwrap();
        assert!(!is_decided_by_cache(&text, &[], &environment));
        environment.cache = folder.path().join("empty");
        std::fs::write(&environment.cache, "").unwrap();
        assert!(!decided(&libraries, &environment));
    }

    /// Check that a program which names a folder of its own is noticed.
    #[test]
    fn own_folders() {
        let folder = tempfile::tempdir().unwrap();
        let source = folder.path().join("a.c");
        std::fs::write(&source, "int main(void) { return 0; }\n").unwrap();
        for (argument, names_folders) in [
            ("-Wl,-rpath,/opt", true),
            ("-Wl,--disable-new-dtags,-rpath,/opt", true),
            ("-O1", false),
        ] {
            let program = folder.path().join("a");
            let built = std::process::Command::new("cc")
                .args([&source, Path::new("-o"), &program])
                .arg(argument)
                .status();
            if !built.is_ok_and(|status| status.success()) {
                let _ = writeln!(std::io::stderr(), "skipped: no C compiler");
                return;
            }
            let facts = read_elf_facts(&program).unwrap();
            assert_eq!(facts.names_folders, names_folders, "{argument}");
            assert!(facts.interpreter.is_some());
        }
    }
}

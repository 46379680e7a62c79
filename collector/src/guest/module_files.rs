//! Files of kernel modules: how they are called, and where they are.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

/// The file that names the modules which are a part of the kernel.
pub const BUILT_IN: &str = "modules.builtin";

/// The file that lists a kernel's modules, which a build and `make modules_install` write.
const ORDER: &str = "modules.order";

/// The name that the kernel gives to the module in a file, packed or not; `None`: it is not one.
#[must_use]
pub fn module_name(file: &str) -> Option<String> {
    let packed = [".ko", ".ko.xz", ".ko.zst", ".ko.gz"];
    let stem = packed.iter().find_map(|ending| file.strip_suffix(ending))?;
    (!stem.is_empty()).then(|| stem.replace('-', "_"))
}

/// True if a folder holds modules, or one of the lists that a build makes of them. A package with modules has no list of its own
/// where another one holds both lists, as Debian's `linux-modules-R` since 7.2.
#[must_use]
pub fn is_tree(folder: &Path) -> bool {
    let listed = [ORDER, BUILT_IN];
    listed.iter().any(|name| folder.join(name).is_file())
        || matches!(
            walk(folder, &mut |_, _| ControlFlow::Break(())),
            Ok(ControlFlow::Break(()))
        )
}

/// A folder that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("{} cannot be read: {error}", .folder.display())]
pub struct UnreadableFolder {
    /// Its path.
    pub folder: PathBuf,
    /// The cause.
    pub error: std::io::Error,
}

/// Look through a folder and all below it, and show each module with its name until told to stop. Links are not followed: `build`
/// and `source` lead out of it.
///
/// # Errors
/// When a folder cannot be read.
pub fn walk(
    root: &Path,
    found: &mut dyn FnMut(String, PathBuf) -> ControlFlow<()>,
) -> Result<ControlFlow<()>, UnreadableFolder> {
    let mut queue = vec![root.to_owned()];
    while let Some(folder) = queue.pop() {
        let problem = |error| UnreadableFolder {
            folder: folder.clone(),
            error,
        };
        for entry in std::fs::read_dir(&folder).map_err(problem)? {
            let entry = entry.map_err(problem)?;
            let kind = entry.file_type().map_err(problem)?;
            let name = entry.file_name();
            let Some(name) = name.to_str().filter(|name| !name.starts_with('.')) else {
                continue;
            };
            if kind.is_dir() {
                queue.push(entry.path());
            } else if kind.is_file()
                && let Some(name) = module_name(name)
                && found(name, entry.path()).is_break()
            {
                return Ok(ControlFlow::Break(()));
            }
        }
    }
    Ok(ControlFlow::Continue(()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(path: &Path) {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, b"").unwrap();
    }

    /// Check what is the folder of a kernel's modules: one with a module or with one of its lists, whatever else is missing.
    #[test]
    fn trees() {
        let folder = tempfile::tempdir().unwrap();
        for (path, is) in [
            ("a/modules.order", true),
            ("b/modules.builtin", true),
            ("c/kernel/net/tun.ko.xz", true),
            ("d/vmlinuz", false),
            ("e/kernel/net/tun.c", false),
        ] {
            write(&folder.path().join(path));
            let root = folder.path().join(&path[..1]);
            assert_eq!(is_tree(&root), is, "{path}");
        }
        std::os::unix::fs::symlink(folder.path().join("c"), folder.path().join("d/build")).unwrap();
        assert!(!is_tree(&folder.path().join("d")), "through a link");
        assert!(!is_tree(&folder.path().join("none")));
    }

    /// Check the names that files give to modules.
    #[test]
    fn names() {
        for (file, name) in [
            ("tcp_diag.ko", Some("tcp_diag")),
            ("snd-hda-intel.ko.xz", Some("snd_hda_intel")),
            ("a.ko.zst", Some("a")),
            ("a.ko.gz", Some("a")),
            ("a.ko.bz2", None),
            ("a.o", None),
            (".ko", None),
        ] {
            assert_eq!(module_name(file).as_deref(), name, "{file}");
        }
    }
}

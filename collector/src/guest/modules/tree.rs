//! The files of a kernel's modules: in a folder of installed modules, in a build tree, or in the cache.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::error::ModuleError;
use crate::kaslr::vmlinuz;

/// The file that names the modules which are a part of the kernel.
const BUILT_IN: &str = "modules.builtin";

/// All modules of a kernel.
#[derive(Debug)]
pub struct Tree {
    /// Their files, by the name that the kernel gives them.
    files: BTreeMap<String, PathBuf>,
    built_in: Vec<String>,
}

/// The name that the kernel gives to the module in a file, packed or not; `None`: it is not one.
pub(super) fn module_name(file: &str) -> Option<String> {
    let packed = [".ko", ".ko.xz", ".ko.zst", ".ko.gz"];
    let stem = packed.iter().find_map(|ending| file.strip_suffix(ending))?;
    (!stem.is_empty()).then(|| stem.replace('-', "_"))
}

impl Tree {
    /// Look through a folder and all below it. Links are not followed: `build` and `source` lead out of it.
    ///
    /// # Errors
    /// When a folder cannot be read.
    pub fn read(root: &Path) -> Result<Self, ModuleError> {
        let mut files = BTreeMap::new();
        let mut queue = vec![root.to_owned()];
        while let Some(folder) = queue.pop() {
            let problem = |error| ModuleError::Read {
                path: folder.clone(),
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
                {
                    files.insert(name, entry.path());
                }
            }
        }
        // Absent in a tree where only the image was built: nothing is known to be a part of the kernel then.
        let list = std::fs::read_to_string(root.join(BUILT_IN)).unwrap_or_default();
        let built_in = list
            .lines()
            .filter_map(|line| module_name(line.rsplit('/').next()?));
        Ok(Self {
            files,
            built_in: built_in.collect(),
        })
    }

    /// The unpacked file of a module, if there is one.
    ///
    /// # Errors
    /// When it cannot be read or unpacked.
    pub fn module(&self, name: &str) -> Result<Option<Vec<u8>>, ModuleError> {
        let Some(path) = self.files.get(name) else {
            return Ok(None);
        };
        let packed = std::fs::read(path).map_err(|error| ModuleError::Read {
            path: path.clone(),
            error,
        })?;
        let unpacked = vmlinuz::unpack(&packed).map_err(|error| ModuleError::Damaged {
            name: name.to_owned(),
            reason: error.to_string(),
        })?;
        Ok(Some(unpacked))
    }

    /// True if a module is a part of the kernel.
    pub fn is_built_in(&self, name: &str) -> bool {
        self.built_in.iter().any(|module| module == name)
    }

    /// The name of a module that is nearest to this one.
    pub fn nearest(&self, name: &str) -> Option<String> {
        let names = self.files.keys().chain(&self.built_in).map(String::as_str);
        qed_evidence::diagnostic::nearest(name, names).map(str::to_owned)
    }
}

#[cfg(test)]
mod tests {
    use super::super::info::tests::module;
    use super::*;
    use std::io::Write as _;

    fn write(path: &Path, bytes: &[u8]) {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }

    /// Check that modules are found in each layout, packed in each way, and that links and other files are passed over.
    #[test]
    fn layouts() {
        let bytes = module("6.1", "");
        let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        packer.write_all(&bytes).unwrap();
        let gz = packer.finish().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let installed = folder.path().join("lib/modules/6.1");
        write(&installed.join("kernel/net/ipv4/tcp_diag.ko"), &bytes);
        write(&installed.join("kernel/net/ipv4/inet-diag.ko.gz"), &gz);
        write(
            &installed.join("modules.builtin"),
            b"kernel/fs/ext4/ext4.ko\nkernel/net/af-x.ko\n",
        );
        write(&installed.join("kernel/notes.txt"), b"");
        std::os::unix::fs::symlink(folder.path(), installed.join("build")).unwrap();
        write(&folder.path().join("elsewhere.ko"), &bytes);
        let tree = Tree::read(&installed).unwrap();
        for name in ["tcp_diag", "inet_diag"] {
            assert_eq!(tree.module(name).unwrap().as_ref(), Some(&bytes), "{name}");
        }
        assert!(tree.is_built_in("ext4") && tree.is_built_in("af_x"));
        assert!(!tree.is_built_in("tcp_diag"));
        assert_eq!(tree.module("elsewhere").unwrap(), None);
        assert_eq!(tree.nearest("tcp_dia").as_deref(), Some("tcp_diag"));
        // A build tree, where modules stand beside their sources.
        write(&folder.path().join("linux/net/ipv4/tcp_diag.ko"), &bytes);
        write(
            &folder.path().join("linux/modules.order"),
            b"net/ipv4/tcp_diag.o\n",
        );
        let tree = Tree::read(&folder.path().join("linux")).unwrap();
        assert!(tree.module("tcp_diag").unwrap().is_some());
        write(
            &folder.path().join("linux/broken.ko.xz"),
            b"\xfd7zXZ\0nonsense",
        );
        let error = Tree::read(&folder.path().join("linux"))
            .unwrap()
            .module("broken");
        assert!(
            matches!(error, Err(ModuleError::Damaged { .. })),
            "{error:?}"
        );
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

//! The files of a kernel's modules: in a folder of installed modules, in a build tree, or in the cache.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use super::error::ModuleError;
use crate::guest::module_files::{BUILT_IN, module_name, walk};
use crate::kaslr::vmlinuz;

/// All modules of a kernel.
#[derive(Debug)]
pub struct ModuleTree {
    /// Their files, by the name that the kernel gives them.
    files: BTreeMap<String, PathBuf>,
    /// Those that are a part of the kernel; `None`: no list of them is there.
    built_in: Option<Vec<String>>,
}

/// The modules that a list of those names which are a part of the kernel, a path in each line.
fn parse_built_in(list: &str) -> impl Iterator<Item = String> + '_ {
    list.lines()
        .filter_map(|line| module_name(line.rsplit('/').next()?))
}

impl ModuleTree {
    /// Look through folders and all below them. What an earlier folder holds is preferred.
    ///
    /// # Errors
    /// When a folder cannot be read.
    pub fn read<P: AsRef<Path>>(roots: &[P]) -> Result<Self, ModuleError> {
        let mut files = BTreeMap::new();
        for root in roots {
            let found = &mut |name, path| {
                files.entry(name).or_insert(path);
                ControlFlow::Continue(())
            };
            let _ = walk(root.as_ref(), found).map_err(|unreadable| ModuleError::Read {
                path: unreadable.folder,
                error: unreadable.error,
            })?;
        }
        let mut lists = roots
            .iter()
            .filter_map(|root| std::fs::read_to_string(root.as_ref().join(BUILT_IN)).ok());
        let built_in = lists.next().map(|list| parse_built_in(&list).collect());
        Ok(Self { files, built_in })
    }

    /// The unpacked file of a module, if there is one.
    ///
    /// # Errors
    /// When it cannot be read or unpacked.
    pub fn read_module(&self, name: &str) -> Result<Option<Vec<u8>>, ModuleError> {
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
        let mut built_in = self.built_in.iter().flatten();
        built_in.any(|module| module == name)
    }

    /// Take a list of the modules that are a part of the kernel from elsewhere.
    pub fn set_built_in(&mut self, list: &str) {
        self.built_in = Some(parse_built_in(list).collect());
    }

    /// True if it is known which modules are a part of the kernel.
    pub fn lists_built_in(&self) -> bool {
        self.built_in.is_some()
    }

    /// The name of a module that is nearest to this one.
    pub fn nearest(&self, name: &str) -> Option<String> {
        let built_in = self.built_in.iter().flatten();
        let names = self.files.keys().chain(built_in).map(String::as_str);
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
        let tree = ModuleTree::read(&[&installed]).unwrap();
        assert!(tree.lists_built_in());
        for name in ["tcp_diag", "inet_diag"] {
            assert_eq!(
                tree.read_module(name).unwrap().as_ref(),
                Some(&bytes),
                "{name}"
            );
        }
        assert!(tree.is_built_in("ext4") && tree.is_built_in("af_x"));
        assert!(!tree.is_built_in("tcp_diag"));
        assert_eq!(tree.read_module("elsewhere").unwrap(), None);
        assert_eq!(tree.nearest("tcp_dia").as_deref(), Some("tcp_diag"));
        // A build tree, where modules stand beside their sources.
        write(&folder.path().join("linux/net/ipv4/tcp_diag.ko"), &bytes);
        write(
            &folder.path().join("linux/modules.order"),
            b"net/ipv4/tcp_diag.o\n",
        );
        let linux = folder.path().join("linux");
        let tree = ModuleTree::read(&[&linux]).unwrap();
        assert!(tree.read_module("tcp_diag").unwrap().is_some());
        assert!(!tree.lists_built_in());
        write(&linux.join("broken.ko.xz"), b"\xfd7zXZ\0nonsense");
        let error = ModuleTree::read(&[&linux]).unwrap().read_module("broken");
        assert!(
            matches!(error, Err(ModuleError::Damaged { .. })),
            "{error:?}"
        );
    }

    /// Check that modules and the list of those that are built in are found in two folders of one kernel, as Debian has packed them
    /// since 7.2 where only one of its packages is unpacked below `usr`, and that the first folder counts.
    #[test]
    fn two_folders() {
        let bytes = module("7.3", "");
        let folder = tempfile::tempdir().unwrap();
        let (modules, base) = (
            folder.path().join("lib/modules/7.3"),
            folder.path().join("usr/lib/modules/7.3"),
        );
        write(&modules.join("kernel/net/tun.ko"), &bytes);
        write(&base.join("kernel/net/tun.ko"), b"another");
        write(
            &base.join("modules.builtin"),
            b"kernel/drivers/nvme/host/nvme.ko\n",
        );
        let tree = ModuleTree::read(&[&modules, &base]).unwrap();
        assert_eq!(tree.read_module("tun").unwrap(), Some(bytes));
        assert!(tree.is_built_in("nvme"));
        assert_eq!(tree.nearest("nvm").as_deref(), Some("nvme"));
        let mut alone = ModuleTree::read(&[&modules]).unwrap();
        assert!(!alone.is_built_in("nvme") && !alone.lists_built_in());
        alone.set_built_in("kernel/drivers/nvme/host/nvme.ko\n");
        assert!(alone.is_built_in("nvme") && alone.lists_built_in());
    }
}

//! The initramfs of a guest: a `newc` cpio archive, built in memory.
//!
//! Our own code because it is forty lines, and needs a device node, which archive crates leave to the caller anyway. Format:
//! <https://docs.kernel.org/driver-api/early-userspace/buffer-format.html>. It stays uncompressed: unpacking costs an emulated
//! CPU more than copying.

use std::collections::{BTreeMap, BTreeSet};

/// Folders that a guest's init mounts on or writes to.
const FOLDERS: [&str; 5] = ["dev", "proc", "sys", "tmp", "qed"];

/// An archive that could not be built.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum InitramfsError {
    /// A name that is not `/a/b/c`.
    #[error(
        "cannot put `{0}` into the initramfs: a name there is absolute, without `.`, `..` or empty parts"
    )]
    Name(String),
    /// The same name twice.
    #[error("cannot put `{0}` into the initramfs twice")]
    Twice(String),
    /// A name below that of a file: the kernel would leave it out, and say nothing.
    #[error("cannot put `{0}` into the initramfs: `/{1}` is a file there, and no folder")]
    BelowFile(String, String),
    /// The format holds 32-bit sizes.
    #[error("cannot put `{0}` into the initramfs: {1} bytes are more than the format can say")]
    TooLarge(String, usize),
}

/// Build an archive with `/init`, the folders and devices that it needs, and `files` (absolute name,
/// content), whose parent folders are made as needed. Files are executable, as a guest may be given
/// programs, where `modes` does not say otherwise.
///
/// # Errors
/// A bad or repeated name, or a file beyond 4 GiB.
pub fn build<'f>(
    init: &[u8],
    files: impl IntoIterator<Item = &'f (String, Vec<u8>), IntoIter: Clone>,
    modes: &BTreeMap<String, u32>,
) -> Result<Vec<u8>, InitramfsError> {
    let files = files.into_iter();
    let size = init.len() + files.clone().map(|f| f.1.len() + 512).sum::<usize>() + 8192;
    let mut archive = Archive {
        out: Vec::with_capacity(size),
        inode: 0,
    };
    let mut names = Names::new();
    for folder in FOLDERS {
        archive.add_entry(folder, 0o040_755, (0, 0), &[])?;
    }
    // The kernel gives its init standard streams only where this node exists.
    archive.add_entry("dev/console", 0o020_600, (5, 1), &[])?;
    archive.add_entry("init", 0o100_755, (0, 0), init)?;
    for (name, content) in files {
        let (relative, new_folders) = names.add(name)?;
        for folder in new_folders {
            archive.add_entry(folder, 0o040_755, (0, 0), &[])?;
        }
        let mode = modes.get(name).map_or(0o755, |mode| mode & 0o7777);
        archive.add_entry(relative, 0o100_000 | mode as usize, (0, 0), content)?;
    }
    archive.inode = 0;
    archive.add_entry("TRAILER!!!", 0, (0, 0), &[])?;
    Ok(archive.out)
}

/// Check the names of files as [`build`] does.
///
/// # Errors
/// As [`build`].
pub fn check<'f>(names: impl IntoIterator<Item = &'f str>) -> Result<(), InitramfsError> {
    let mut known = Names::new();
    names
        .into_iter()
        .try_for_each(|name| known.add(name).map(|_| ()))
}

/// The names in an archive, without the first slash.
struct Names<'n> {
    folders: BTreeSet<&'n str>,
    files: BTreeSet<&'n str>,
}

impl<'n> Names<'n> {
    /// Those of an archive without files of a job.
    fn new() -> Self {
        Self {
            folders: FOLDERS.into(),
            files: ["dev/console", "init"].into(),
        }
    }

    /// Add a file. Returns its name in the archive, and the folders that it needs and that were not there, the outermost first.
    fn add(&mut self, name: &'n str) -> Result<(&'n str, Vec<&'n str>), InitramfsError> {
        let relative = name.strip_prefix('/').filter(|n| is_valid_name(n));
        let relative = relative.ok_or_else(|| InitramfsError::Name(name.to_owned()))?;
        let mut new_folders = Vec::new();
        for (at, _) in relative.match_indices('/') {
            let folder = &relative[..at];
            if self.files.contains(folder) {
                return Err(InitramfsError::BelowFile(
                    name.to_owned(),
                    folder.to_owned(),
                ));
            }
            if self.folders.insert(folder) {
                new_folders.push(folder);
            }
        }
        if self.folders.contains(relative) || !self.files.insert(relative) {
            return Err(InitramfsError::Twice(name.to_owned()));
        }
        Ok((relative, new_folders))
    }
}

fn is_valid_name(name: &str) -> bool {
    !name.contains('\0') && name.split('/').all(|part| !matches!(part, "" | "." | ".."))
}

struct Archive {
    out: Vec<u8>,
    inode: usize,
}

impl Archive {
    fn add_entry(
        &mut self,
        name: &str,
        mode: usize,
        device: (usize, usize),
        content: &[u8],
    ) -> Result<(), InitramfsError> {
        if u32::try_from(content.len()).is_err() {
            return Err(InitramfsError::TooLarge(name.to_owned(), content.len()));
        }
        self.inode += 1;
        let links = 1;
        // ino mode uid gid nlink mtime filesize devmajor devminor rdevmajor rdevminor namesize check
        let fields = [
            self.inode,
            mode,
            0,
            0,
            links,
            0,
            content.len(),
            0,
            0,
            device.0,
            device.1,
            name.len() + 1,
            0,
        ];
        self.out.extend_from_slice(b"070701");
        for field in fields {
            self.out
                .extend_from_slice(format!("{field:08x}").as_bytes());
        }
        self.out.extend_from_slice(name.as_bytes());
        self.out.push(0);
        self.pad();
        self.out.extend_from_slice(content);
        self.pad();
        Ok(())
    }

    fn pad(&mut self) {
        self.out.resize(self.out.len().next_multiple_of(4), 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fmt::Write as _;

    /// One line per entry: mode, device, size, name; parsed by the format's own words, not by `Archive`.
    fn list(mut bytes: &[u8]) -> String {
        let mut out = String::new();
        loop {
            let number = |n: usize| {
                let text = std::str::from_utf8(&bytes[6 + n * 8..14 + n * 8]).unwrap();
                usize::from_str_radix(text, 16).unwrap()
            };
            assert_eq!(&bytes[..6], b"070701");
            let (mode, size, major, minor, name_size) =
                (number(1), number(6), number(9), number(10), number(11));
            let name = std::str::from_utf8(&bytes[110..110 + name_size - 1]).unwrap();
            assert_eq!(bytes[110 + name_size - 1], 0);
            writeln!(out, "{mode:06o} {major},{minor} {size} {name}").unwrap();
            if name == "TRAILER!!!" {
                return out;
            }
            bytes = &bytes[(110 + name_size).next_multiple_of(4) + size.next_multiple_of(4)..];
        }
    }

    /// Check the entries, their order and modes.
    #[test]
    fn entries() {
        let files = [
            ("/qed/a.toml".to_owned(), b"abc".to_vec()),
            ("/x/y/tool".to_owned(), vec![1; 5]),
        ];
        let modes = BTreeMap::from([("/qed/a.toml".to_owned(), 0o640)]);
        let archive = build(b"\x7fELF", &files, &modes).unwrap();
        assert_eq!(
            list(&archive),
            "040755 0,0 0 dev\n040755 0,0 0 proc\n040755 0,0 0 sys\n040755 0,0 0 tmp\n040755 0,0 0 qed\n\
             020600 5,1 0 dev/console\n100755 0,0 4 init\n100640 0,0 3 qed/a.toml\n040755 0,0 0 x\n\
             040755 0,0 0 x/y\n100755 0,0 5 x/y/tool\n000000 0,0 0 TRAILER!!!\n"
        );
    }

    /// Check the exact bytes of an entry against what GNU cpio 2.13 wrote for a file `f` with the text `abc`, of
    /// time 0 (`echo f | cpio -o -H newc --owner 0:0`), but for three fields: the inode (0 there), the number of
    /// the disk that it was on, and the case of hex digits.
    #[test]
    fn golden() {
        let mut archive = Archive {
            out: Vec::new(),
            inode: 0,
        };
        archive.add_entry("f", 0o100_644, (0, 0), b"abc").unwrap();
        let written = b"07070100000000000081A40000000000000000000000010000000000000003\
            000000000000FE00000000000000000000000002\
            00000000f\0abc\0";
        let mut expected = written.to_ascii_lowercase();
        expected[6..14].copy_from_slice(b"00000001");
        expected[62..78].copy_from_slice(b"0000000000000000");
        assert_eq!(
            archive.out,
            expected,
            "{}",
            String::from_utf8_lossy(&archive.out)
        );
    }

    /// Check that names which would escape, clash or vanish are refused.
    #[test]
    fn names() {
        for bad in ["a", "/", "//a", "/a/../b", "/a/", "/a\0b"] {
            let result = build(b"", &[(bad.to_owned(), vec![])], &BTreeMap::new());
            assert_eq!(result, Err(InitramfsError::Name(bad.to_owned())));
            assert_eq!(check([bad]), Err(InitramfsError::Name(bad.to_owned())));
        }
        for twice in ["/init", "/proc", "/dev/console"] {
            let result = build(b"", &[(twice.to_owned(), vec![])], &BTreeMap::new());
            assert_eq!(result, Err(InitramfsError::Twice(twice.to_owned())));
            assert_eq!(check([twice]), Err(InitramfsError::Twice(twice.to_owned())));
        }
        assert_eq!(check(["/a/b", "/a/c"]), Ok(()));
        let twice = |name: &str| InitramfsError::Twice(name.to_owned());
        let below =
            |name: &str, file: &str| InitramfsError::BelowFile(name.to_owned(), file.to_owned());
        for (names, refused) in [
            (["/a/b", "/a/b"], twice("/a/b")),
            (["/a/b", "/a"], twice("/a")),
            (["/a", "/a/b"], below("/a/b", "a")),
            (["/a", "/a/b/c"], below("/a/b/c", "a")),
            (["/x", "/init/y"], below("/init/y", "init")),
        ] {
            let files = names.map(|name| (name.to_owned(), vec![]));
            let built = build(b"", &files, &BTreeMap::new());
            assert_eq!(built, Err(refused.clone()));
            assert_eq!(check(names), Err(refused));
        }
    }
}

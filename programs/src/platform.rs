//! The difference between systems, in one place: no other module of this crate, nor of the preprocessor or the document, names what
//! only Unix or Linux has (the tests `layers` hold them to that). Captures need Linux; all else works wherever mdBook does.
//!
//! Where a system cannot tell something, the answer is `None`, and whoever asked goes without: a digest is computed again, a warning
//! is printed again, a boot is not compared. Nothing is guessed.

use std::fs::{Metadata, Permissions};
use std::path::Path;

use serde::{Deserialize, Serialize};

/// The marks of one state of a file. Two files, or two states of one, have different ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stamp {
    pub(crate) device: u64,
    pub(crate) inode: u64,
    pub(crate) size: u64,
    /// Seconds and nanoseconds since the epoch, as in the next one.
    pub(crate) modified: (i64, i64),
    /// Nobody can set this one back.
    pub(crate) changed: (i64, i64),
}

impl Stamp {
    /// The stamp of a file. `None` on a system without a time of change: there, no mark tells that a file was changed by somebody who
    /// then set the time of modification back.
    pub fn from_metadata(about: &Metadata) -> Option<Self> {
        imp::stamp(about)
    }

    /// The stamp of a regular file.
    pub fn from_path(path: &Path) -> Option<Self> {
        let about = std::fs::metadata(path).ok()?;
        about.is_file().then(|| Stamp::from_metadata(&about))?
    }
}

/// The permissions that the number `mode` stands for, as in `chmod`. `None` on a system without such numbers: a new file has those
/// that its folder gives it.
pub fn permissions(mode: u32) -> Option<Permissions> {
    imp::permissions(mode)
}

/// True if a file may be run. On a system that does not tell, any file may be one that is run.
pub fn is_executable(about: &Metadata) -> bool {
    imp::is_executable(about)
}

/// The id of this boot, which is another one after each start of the machine. `None` where the system has none.
pub fn boot_id() -> Option<String> {
    let text = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    Some(text.trim().to_owned())
}

/// The parent's number and when it was started, which together no other process has. `None` where the system does not tell.
pub fn parent_process() -> Option<String> {
    let number = imp::parent_id()?;
    let stat = std::fs::read_to_string(format!("/proc/{number}/stat")).ok()?;
    Some(format!("{number} {}", start_time(&stat)?))
}

/// The start time of a process, in ticks since the boot: the 22nd field. The second one, in brackets, may hold anything.
///
/// `1234 (mdbook) S 1 1234 … 8012345 …` (<https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html>)
fn start_time(stat: &str) -> Option<&str> {
    let (_, rest) = stat.rsplit_once(')')?;
    rest.split_whitespace().nth(19)
}

#[cfg(unix)]
mod imp {
    use std::fs::{Metadata, Permissions};
    use std::os::unix::fs::{MetadataExt, PermissionsExt};

    use super::Stamp;

    // So that all arms have the same form.
    #[allow(clippy::unnecessary_wraps)]
    pub fn stamp(about: &Metadata) -> Option<Stamp> {
        Some(Stamp {
            device: about.dev(),
            inode: about.ino(),
            size: about.size(),
            modified: (about.mtime(), about.mtime_nsec()),
            changed: (about.ctime(), about.ctime_nsec()),
        })
    }

    #[allow(clippy::unnecessary_wraps)]
    pub fn permissions(mode: u32) -> Option<Permissions> {
        Some(Permissions::from_mode(mode))
    }

    pub fn is_executable(about: &Metadata) -> bool {
        about.permissions().mode() & 0o111 != 0
    }

    #[allow(clippy::unnecessary_wraps)]
    pub fn parent_id() -> Option<u32> {
        Some(std::os::unix::process::parent_id())
    }
}

#[cfg(not(unix))]
mod imp {
    use std::fs::{Metadata, Permissions};

    use super::Stamp;

    pub fn stamp(_: &Metadata) -> Option<Stamp> {
        None
    }

    pub fn permissions(_: u32) -> Option<Permissions> {
        None
    }

    pub fn is_executable(about: &Metadata) -> bool {
        about.is_file()
    }

    pub fn parent_id() -> Option<u32> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Check that the start of a process is found behind any name.
    #[test]
    fn start() {
        let stat = "7 (a) (b 1 2) S 1 7 7 0 -1 4194304 1 2 3 4 5 6 7 8 20 0 1 0 8012345 9 9";
        assert_eq!(start_time(stat), Some("8012345"));
        assert_eq!(start_time("7 (a) S 1"), None);
    }

    /// Check that on Linux everything is known, and the same as long as nothing changes; and that no state of a file has the stamp of
    /// another one.
    #[test]
    #[cfg(target_os = "linux")]
    fn everything_is_known() {
        assert!(parent_process().is_some() && parent_process() == parent_process());
        assert!(boot_id().is_some_and(|id| id.len() == 36) && boot_id() == boot_id());
        let folder = tempfile::tempdir().unwrap();
        let (one, other) = (folder.path().join("one"), folder.path().join("other"));
        std::fs::write(&one, "x").unwrap();
        std::fs::copy(&one, &other).unwrap();
        let stamp = Stamp::from_path(&one).unwrap();
        assert!(Stamp::from_path(&one) == Some(stamp) && Stamp::from_path(&other) != Some(stamp));
        std::fs::write(&one, "xx").unwrap();
        assert_ne!(Stamp::from_path(&one), Some(stamp));
        assert_eq!(Stamp::from_path(folder.path()), None);
        assert!(is_executable(&std::fs::metadata("/bin/sh").unwrap()));
        assert!(!is_executable(&std::fs::metadata(&one).unwrap()));
    }
}

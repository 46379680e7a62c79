//! What a guest is handed that waits for its job: the files that a booted one has in its initramfs, the time, and random numbers.
//!
//! A saved guest knows neither how long it slept nor that it is resumed a second time. So before anything else it takes over the
//! host's time and random numbers, and only then says that it is awake.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{self, Write as _};
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Context as _;
use nix::libc;
use nix::sys::time::TimeSpec;
use nix::time::{ClockId, clock_settime};
use serde::{Deserialize, Serialize};
use serde_bytes::Bytes;

use super::initramfs::{self, InitramfsError};
use super::system::displaces_system;
use super::wire::{BODY, WINDOW};

/// The file in the initramfs that tells a guest's init to wait for a delivery.
pub(super) const WAIT: &str = "/qed/wait";

/// The progress line of a guest that waits.
pub(super) const READY: &str = "waiting for a job";

/// The progress line of a guest that has the time and random numbers, and unpacks its files.
pub(super) const AWAKE: &str = "took over the time";

/// The folders on which a guest mounts file systems: a file of the initramfs is hidden there, a delivered one would not be.
const MOUNTED: [&str; 3] = ["/dev/", "/proc/", "/sys/"];

/// Random bytes that a guest is handed.
const ENTROPY: usize = 64;

/// Permissions of a file for which none are named.
const RUNNABLE: u32 = 0o755;

/// Files that cannot be handed to a guest that runs.
#[derive(Debug, thiserror::Error)]
pub enum DeliveryError {
    /// Bad names.
    #[error(transparent)]
    Names(#[from] InitramfsError),
    /// A file below a mounted file system.
    #[error("`{0}` lies where a guest mounts a file system")]
    Mounted(String),
    /// A file that only a guest can have which boots with it.
    #[error("`{0}` lies where every guest has a file or folder of its system")]
    System(String),
    /// More than the window holds.
    #[error("its files have {length} bytes, and only {room} can be handed to a guest that runs")]
    TooLarge {
        /// Bytes of the delivery.
        length: usize,
        /// Bytes that fit.
        room: usize,
    },
    /// The host has no time or no random numbers.
    #[error("this machine gives no random numbers or no time: {0}")]
    Host(io::Error),
    /// It cannot be put into the form in which it travels.
    #[error("its files cannot be packed: {0}")]
    Pack(postcard::Error),
}

/// A delivery, as it travels.
#[derive(Serialize, Deserialize)]
struct Delivery<'a> {
    /// Seconds since 1970, and nanoseconds.
    time: (u64, u32),
    #[serde(borrow)]
    entropy: &'a Bytes,
    #[serde(borrow)]
    files: Vec<DeliveredFile<'a>>,
}

/// One file of a delivery.
#[derive(Serialize, Deserialize)]
struct DeliveredFile<'a> {
    /// An absolute path.
    name: &'a str,
    /// Permissions.
    mode: u32,
    #[serde(borrow)]
    content: &'a Bytes,
}

/// Check that files can be handed to a guest that runs, and that was booted with `own_files`.
///
/// # Errors
/// The reason why it has to boot with them.
pub(super) fn check(
    own_files: &[(String, Vec<u8>)],
    files: &[(String, Vec<u8>)],
) -> Result<(), DeliveryError> {
    let names = own_files.iter().chain(files);
    initramfs::check(names.map(|(name, _)| name.as_str()))?;
    let hidden = |name: &str| MOUNTED.iter().any(|folder| name.starts_with(folder));
    if let Some((name, _)) = files.iter().find(|(name, _)| hidden(name)) {
        return Err(DeliveryError::Mounted(name.clone()));
    }
    if let Some((name, _)) = files.iter().find(|(name, _)| displaces_system(name)) {
        return Err(DeliveryError::System(name.clone()));
    }
    // With room for all that is said of each file.
    let length = files
        .iter()
        .map(|(name, content)| name.len() + content.len() + 64);
    let (length, room) = (length.sum::<usize>() + 4096, WINDOW - BODY);
    if length > room {
        return Err(DeliveryError::TooLarge { length, room });
    }
    Ok(())
}

/// Pack what a guest is handed now. Files are executable where `modes` does not say otherwise.
///
/// # Errors
/// When this machine lacks time or random numbers.
pub(super) fn pack(
    files: &[(String, Vec<u8>)],
    modes: &BTreeMap<String, u32>,
) -> Result<Vec<u8>, DeliveryError> {
    let mut entropy = [0; ENTROPY];
    fs::File::open("/dev/urandom")
        .and_then(|mut file| io::Read::read_exact(&mut file, &mut entropy))
        .map_err(DeliveryError::Host)?;
    let files = files.iter().map(|(name, content)| DeliveredFile {
        name,
        mode: modes.get(name).map_or(RUNNABLE, |mode| mode & 0o7777),
        content: Bytes::new(content),
    });
    let time = SystemTime::now().duration_since(UNIX_EPOCH);
    let time = time.map_err(|error| DeliveryError::Host(io::Error::other(error)))?;
    let delivery = Delivery {
        time: (time.as_secs(), time.subsec_nanos()),
        entropy: Bytes::new(&entropy),
        files: files.collect(),
    };
    let room = delivery.files.iter().map(|file| file.content.len() + 64);
    let room = Vec::with_capacity(room.sum::<usize>() + 4096);
    postcard::to_extend(&delivery, room).map_err(DeliveryError::Pack)
}

/// Take over time, random numbers and files, in the guest; `awake` is called before the files.
///
/// # Errors
/// When one of them cannot be taken over: such a guest would say what is not true, or the same as the last one.
pub(super) fn unpack(delivery: &[u8], awake: impl FnOnce()) -> anyhow::Result<()> {
    let delivery: Delivery<'_> =
        postcard::from_bytes(delivery).context("failed to understand what the host sent")?;
    let (seconds, nanoseconds) = delivery.time;
    let time = TimeSpec::new(
        seconds
            .try_into()
            .context("the host's time is out of range")?,
        nanoseconds.into(),
    );
    clock_settime(ClockId::CLOCK_REALTIME, time).context("failed to set the clock")?;
    stir(delivery.entropy).context("failed to hand random numbers to the kernel")?;
    awake();
    // A booted guest has none of it.
    fs::remove_file(WAIT).with_context(|| format!("failed to remove {WAIT}"))?;
    // The files of an initramfs are of 1970, where the kernel takes over their times (`CONFIG_INITRAMFS_PRESERVE_MTIME`).
    let init = fs::metadata("/init").and_then(|init| init.modified());
    let time = init.ok().filter(|time| *time == UNIX_EPOCH);
    put_all(Path::new("/"), &delivery.files, time)
}

/// Mix random bytes into the kernel's own, and let it draw from the result at once: random(4), `RNDADDENTROPY`,
/// `RNDRESEEDCRNG`. A kernel with a driver for the generation of virtual machines does the second by itself, and 6.1 of Debian's
/// cloud flavour has none.
fn stir(entropy: &[u8]) -> io::Result<()> {
    #[repr(C)]
    struct PoolInfo {
        bits: libc::c_int,
        bytes: libc::c_int,
        buffer: [u8; ENTROPY],
    }
    const ADD_ENTROPY: libc::c_ulong = 0x4008_5203;
    const RESEED: libc::c_ulong = 0x5207;
    let buffer: [u8; ENTROPY] = entropy.try_into().map_err(io::Error::other)?;
    let info = PoolInfo {
        bits: ENTROPY as libc::c_int * 8,
        bytes: ENTROPY as libc::c_int,
        buffer,
    };
    let random = fs::File::options().write(true).open("/dev/urandom")?;
    // SAFETY: the structure is laid out as `rand_pool_info`, of as many bytes as it says; the second call takes no argument.
    unsafe {
        if libc::ioctl(random.as_raw_fd(), ADD_ENTROPY as _, &raw const info) < 0
            || libc::ioctl(random.as_raw_fd(), RESEED as _) < 0
        {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(())
}

/// Put files below a root, as a booted guest would have them; `time`: when they and their new folders were changed last.
fn put_all(
    root: &Path,
    files: &[DeliveredFile<'_>],
    time: Option<SystemTime>,
) -> anyhow::Result<()> {
    // The folder of jobs has nothing but what is delivered.
    let mut folders = BTreeSet::from([root.join("qed")]);
    for file in files {
        put(root, file, time, &mut folders)
            .with_context(|| format!("failed to write the file {} of the guest", file.name))?;
    }
    if let Some(time) = time {
        for folder in folders {
            // Best effort: hardly a program looks at it.
            let _ = fs::File::open(folder).and_then(|folder| folder.set_modified(time));
        }
    }
    Ok(())
}

/// Put a file below a root: in the place of a default file or link, not through it. The folders that it needed are added to `made`.
fn put(
    root: &Path,
    file: &DeliveredFile<'_>,
    time: Option<SystemTime>,
    made: &mut BTreeSet<PathBuf>,
) -> io::Result<()> {
    let path = root.join(file.name.trim_start_matches('/'));
    if let Some(folder) = path.parent() {
        let missing = folder.ancestors().take_while(|folder| !folder.exists());
        made.extend(missing.map(Path::to_owned));
        fs::create_dir_all(folder)?;
    }
    match fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut written = fs::File::create(&path)?;
    written.write_all(file.content)?;
    written.set_permissions(fs::Permissions::from_mode(file.mode))?;
    match time {
        Some(time) => written.set_modified(time),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(name: &str, content: &str) -> (String, Vec<u8>) {
        (name.to_owned(), content.as_bytes().to_vec())
    }

    /// Check that files arrive with their content and permissions, in the place of a link and not where it leads.
    #[test]
    fn arrives() {
        let root = tempfile::tempdir().unwrap();
        let elsewhere = root.path().join("elsewhere");
        fs::write(&elsewhere, "stays").unwrap();
        fs::create_dir(root.path().join("etc")).unwrap();
        std::os::unix::fs::symlink(&elsewhere, root.path().join("etc/mtab")).unwrap();
        let files = [file("/etc/mtab", "new"), file("/a/b/tool", "#!")];
        let modes = BTreeMap::from([("/etc/mtab".to_owned(), 0o640)]);
        let packed = pack(&files, &modes).unwrap();
        let delivery: Delivery<'_> = postcard::from_bytes(&packed).unwrap();
        assert_eq!(delivery.entropy.len(), ENTROPY);
        fs::create_dir(root.path().join("qed")).unwrap();
        put_all(root.path(), &delivery.files, Some(UNIX_EPOCH)).unwrap();
        let read = |name: &str| fs::read_to_string(root.path().join(name)).unwrap();
        assert_eq!(
            (read("etc/mtab"), read("elsewhere")),
            ("new".into(), "stays".into())
        );
        let mode = |name: &str| {
            let metadata = fs::symlink_metadata(root.path().join(name)).unwrap();
            metadata.permissions().mode() & 0o7777
        };
        assert_eq!((mode("etc/mtab"), mode("a/b/tool")), (0o640, 0o755));
        // As in a guest that booted with them; a folder that was there was changed now.
        let is_old = |name: &str| {
            let metadata = fs::symlink_metadata(root.path().join(name)).unwrap();
            metadata.modified().unwrap() == UNIX_EPOCH
        };
        for name in ["etc/mtab", "a/b/tool", "a/b", "a", "qed"] {
            assert!(is_old(name), "{name}");
        }
        assert!(!is_old("etc"));
        put_all(root.path(), &delivery.files, None).unwrap();
        assert!(!is_old("etc/mtab") && !is_old("a/b/tool"));
    }

    /// Check that two deliveries have different random numbers, and that none is in the past.
    #[test]
    fn anew() {
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap()
            .as_secs();
        let [first, second] = [(); 2].map(|()| pack(&[], &BTreeMap::new()).unwrap());
        let read = |bytes| -> (u64, Vec<u8>) {
            let delivery: Delivery<'_> = postcard::from_bytes(bytes).unwrap();
            (delivery.time.0, delivery.entropy.to_vec())
        };
        assert!(read(&first).0 >= now);
        assert_ne!(read(&first).1, read(&second).1);
    }

    /// Check that what a booted guest would hide, what has no place and what does not fit is refused.
    #[test]
    fn refused() {
        let check = |files: &[(String, Vec<u8>)]| check(&[file("/lib/libc.so", "")], files);
        check(&[file("/a", ""), file("/devices/x", "")]).unwrap();
        check(&[file("/etc/passwd", ""), file("/usr/bin/x", "")]).unwrap();
        check(&[file("/homes", ""), file("/etc/mtab", "")]).unwrap();
        for name in ["/dev/x", "/proc/x", "/sys/x"] {
            let refused = check(&[file(name, "")]);
            assert!(matches!(refused, Err(DeliveryError::Mounted(_))), "{name}");
        }
        for name in ["/etc/passwd/x", "/etc/mtab/x", "/usr", "/etc", "/var/log"] {
            let refused = check(&[file(name, "")]);
            assert!(matches!(refused, Err(DeliveryError::System(_))), "{name}");
        }
        // What a guest is not booted with either.
        for name in ["a", "/lib/libc.so", "/lib/libc.so/x", "/lib", "/init/x"] {
            let refused = check(&[file(name, "")]);
            assert!(matches!(refused, Err(DeliveryError::Names(_))), "{name}");
        }
        let large = ("/a".to_owned(), vec![0; WINDOW - BODY - 4096]);
        assert!(matches!(
            check(&[large]),
            Err(DeliveryError::TooLarge { .. })
        ));
    }
}

//! The system that programs expect, in a guest that boots from an initramfs: a few files in `/etc`, the usual folders, and
//! the loopback device.

use std::fs;
use std::io;
use std::mem::zeroed;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::{DirBuilderExt as _, symlink};
use std::path::Path;

use nix::libc;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};

/// Folders, with their permissions.
const FOLDERS: [(&str, u32); 12] = [
    ("/etc", 0o755),
    ("/home", 0o755),
    ("/mnt", 0o755),
    ("/opt", 0o755),
    ("/root", 0o700),
    ("/run", 0o755),
    ("/srv", 0o755),
    ("/usr/bin", 0o755),
    ("/var/lib", 0o755),
    ("/var/log", 0o755),
    ("/var/tmp", 0o1777),
    ("/tmp", 0o1777),
];

/// Default files, which files of the investigation replace.
const FILES: [(&str, &str); 8] = [
    (
        "/etc/passwd",
        "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n",
    ),
    ("/etc/group", "root:x:0:\ntty:x:5:\nnogroup:x:65534:\n"),
    ("/etc/hostname", "guest\n"),
    ("/etc/hosts", "127.0.0.1\tlocalhost guest\n::1\tlocalhost\n"),
    (
        "/etc/nsswitch.conf",
        "passwd: files\ngroup: files\nhosts: files\nprotocols: files\nservices: files\n",
    ),
    (
        "/etc/protocols",
        "ip\t0\tIP\nicmp\t1\tICMP\ntcp\t6\tTCP\nudp\t17\tUDP\nipv6\t41\tIPv6\n",
    ),
    (
        "/etc/services",
        "echo\t7/tcp\necho\t7/udp\ndiscard\t9/tcp\ndiscard\t9/udp\nssh\t22/tcp\ndomain\t53/udp\nhttp\t80/tcp\nhttps\t443/tcp\n",
    ),
    ("/etc/shells", "/bin/sh\n"),
];

/// Links that user space adds to the kernel's devices.
const LINKS: [(&str, &str); 5] = [
    ("/proc/self/fd", "/dev/fd"),
    ("/proc/self/fd/0", "/dev/stdin"),
    ("/proc/self/fd/1", "/dev/stdout"),
    ("/proc/self/fd/2", "/dev/stderr"),
    ("/proc/mounts", "/etc/mtab"),
];

/// Make a system of a guest whose file systems are mounted. Best effort: a missing file fails in the program that needs it, not
/// in the capture.
pub(super) fn set_up_system() {
    for (folder, mode) in FOLDERS {
        make_folder(Path::new(folder), mode);
    }
    for (file, text) in FILES {
        if !Path::new(file).exists() {
            let _ = fs::write(file, text);
        }
    }
    for (target, link) in LINKS {
        let _ = symlink(target, link);
    }
    let _ = fs::write("/proc/sys/kernel/hostname", "guest");
    let _ = loopback_up();
}

/// True if a file of this name is there only where it was before the system was made: it lies in the place of one of the folders, or
/// below a file or link.
pub(super) fn displaces_system(name: &str) -> bool {
    let is_below = |name: &str, folder: &str| {
        let rest = name.strip_prefix(folder);
        rest.is_some_and(|rest| rest.starts_with('/'))
    };
    let mut folders = FOLDERS.iter().map(|(folder, _)| *folder);
    let files = FILES.iter().map(|(file, _)| *file);
    let mut files = files.chain(LINKS.iter().map(|(_, link)| *link));
    folders.any(|folder| folder == name || is_below(folder, name))
        || files.any(|file| is_below(name, file))
}

fn make_folder(path: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt as _;
    let mut builder = fs::DirBuilder::new();
    let _ = builder.recursive(true).mode(0o755).create(path);
    let _ = fs::set_permissions(path, fs::Permissions::from_mode(mode));
}

/// Switch the loopback device on, as `ip link set lo up` does: netdevice(7).
fn loopback_up() -> io::Result<()> {
    let socket = socket(
        AddressFamily::Inet,
        SockType::Datagram,
        SockFlag::SOCK_CLOEXEC,
        None,
    )?;
    // SAFETY: all zero is a valid `ifreq`.
    let mut request: libc::ifreq = unsafe { zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(*b"lo") {
        *to = from as libc::c_char;
    }
    // SAFETY: the request is valid, and both calls take its flags.
    unsafe {
        if libc::ioctl(socket.as_raw_fd(), libc::SIOCGIFFLAGS, &raw mut request) < 0 {
            return Err(io::Error::last_os_error());
        }
        request.ifr_ifru.ifru_flags |= libc::IFF_UP as libc::c_short;
        if libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFFLAGS, &raw const request) < 0 {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(())
}

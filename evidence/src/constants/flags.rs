//! Sets of flags that system calls take, by the beginning of their names: `O` for `O_CLOEXEC`.
//!
//! Names and numbers are those of the kernel's own headers, as `linux-raw-sys` has them. The C library's differ: its
//! `O_LARGEFILE` is 0 on x86-64, where the kernel sets a bit of that name in each file that a process opens. They are those
//! of the architecture that this program is compiled for, so only a collector takes them from here: it writes them into
//! evidence ([`Names::flags`](crate::document::names::Names::flags)), where everybody else finds them.

use std::num::NonZeroU64;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The name of some bits of a set of flags.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Flag {
    /// `O_CLOEXEC`.
    pub name: String,
    /// The bits that are set.
    pub value: u64,
    /// The field that has to be equal to them, for one of several numbers in a field: 3 for `O_WRONLY`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mask: Option<NonZeroU64>,
}

/// The names of the flags that are set in `value`, in the order of `flags`, and at the end the bits that none of them has.
/// The rule is that of the kernel's `trace_print_flags_seq`
/// (<https://elixir.bootlin.com/linux/v6.12/source/kernel/trace/trace_output.c>): a name takes its bits away from those that
/// come after it. Without a name for 0 that is no name at all.
pub fn flag_names(set: &str, flags: &[Flag], value: u64) -> Vec<String> {
    let mut left = value;
    let mut names = Vec::new();
    for flag in flags {
        let is_set = match flag.mask {
            Some(mask) => value & mask.get() == flag.value,
            None => flag.value != 0 && left & flag.value == flag.value,
        };
        if is_set {
            left &= !flag.mask.map_or(flag.value, NonZeroU64::get);
            names.push(flag.name.clone());
        }
    }
    match left {
        0 => {}
        // The mode of a file, whose permissions everyone writes in octal.
        _ if set == "S" => names.push(format!("{left:#05o}").replacen("0o", "0", 1)),
        _ => names.push(format!("{left:#x}")),
    }
    names
}

/// Names and bits of flags.
macro_rules! bits {
    ($($name:ident)*) => { &[$((stringify!($name), linux_raw_sys::general::$name as u64, None)),*] };
}

/// The same of flags of the network.
macro_rules! net_bits {
    ($($name:ident)*) => { &[$((stringify!($name), linux_raw_sys::net::$name as u64, None)),*] };
}

/// The names of one field of several bits, all of which together are one number.
macro_rules! field {
    ($mask:ident: $($name:ident)*) => {
        &[$((
            stringify!($name),
            linux_raw_sys::general::$name as u64,
            Some(linux_raw_sys::general::$mask as u64),
        )),*]
    };
}

/// Name, bits, and the field that has to be equal to them where that is more than the bits.
type Row = (&'static str, u64, Option<u64>);

/// The sets, each in parts. What includes others comes before them: `O_SYNC` has the bit of `O_DSYNC`.
const SETS: &[(&str, &[&[Row]])] = &[
    (
        "O",
        &[
            field! { O_ACCMODE: O_RDONLY O_WRONLY O_RDWR },
            bits! {
                O_CREAT O_EXCL O_NOCTTY O_TRUNC O_APPEND O_NONBLOCK O_SYNC O_DSYNC O_DIRECT O_LARGEFILE O_TMPFILE
                O_DIRECTORY O_NOFOLLOW O_NOATIME O_CLOEXEC O_PATH
            },
        ],
    ),
    (
        "S",
        &[
            field! { S_IFMT: S_IFSOCK S_IFLNK S_IFREG S_IFBLK S_IFDIR S_IFCHR S_IFIFO },
            bits! { S_ISUID S_ISGID S_ISVTX },
        ],
    ),
    (
        "CLONE",
        &[bits! {
            CLONE_VM CLONE_FS CLONE_FILES CLONE_SIGHAND CLONE_PIDFD CLONE_PTRACE CLONE_VFORK CLONE_PARENT CLONE_THREAD
            CLONE_NEWNS CLONE_SYSVSEM CLONE_SETTLS CLONE_PARENT_SETTID CLONE_CHILD_CLEARTID CLONE_DETACHED CLONE_UNTRACED
            CLONE_CHILD_SETTID CLONE_NEWCGROUP CLONE_NEWUTS CLONE_NEWIPC CLONE_NEWUSER CLONE_NEWPID CLONE_NEWNET CLONE_IO
            CLONE_CLEAR_SIGHAND CLONE_INTO_CGROUP
        }],
    ),
    (
        "MAP",
        &[
            field! { MAP_TYPE: MAP_SHARED MAP_PRIVATE MAP_SHARED_VALIDATE },
            // Of x86-64 alone; elsewhere the headers do not have it.
            &[("MAP_32BIT", 0x40, None)],
            bits! {
                MAP_FIXED MAP_ANONYMOUS MAP_GROWSDOWN MAP_DENYWRITE MAP_EXECUTABLE MAP_LOCKED MAP_NORESERVE
                MAP_POPULATE MAP_NONBLOCK MAP_STACK MAP_HUGETLB MAP_SYNC MAP_FIXED_NOREPLACE
            },
        ],
    ),
    (
        "PROT",
        &[bits! { PROT_READ PROT_WRITE PROT_EXEC PROT_SEM PROT_GROWSDOWN PROT_GROWSUP }],
    ),
    (
        "MSG",
        &[net_bits! {
            MSG_OOB MSG_PEEK MSG_DONTROUTE MSG_CTRUNC MSG_PROBE MSG_TRUNC MSG_DONTWAIT MSG_EOR MSG_WAITALL MSG_FIN MSG_SYN
            MSG_CONFIRM MSG_RST MSG_ERRQUEUE MSG_NOSIGNAL MSG_MORE MSG_CMSG_CLOEXEC
        }],
    ),
    (
        "AT",
        &[bits! {
            AT_SYMLINK_NOFOLLOW AT_REMOVEDIR AT_SYMLINK_FOLLOW AT_NO_AUTOMOUNT AT_EMPTY_PATH AT_STATX_FORCE_SYNC
            AT_STATX_DONT_SYNC AT_RECURSIVE
        }],
    ),
    (
        "RESOLVE",
        &[bits! {
            RESOLVE_NO_XDEV RESOLVE_NO_MAGICLINKS RESOLVE_NO_SYMLINKS RESOLVE_BENEATH RESOLVE_IN_ROOT RESOLVE_CACHED
        }],
    ),
    (
        "MS",
        &[bits! {
            MS_RDONLY MS_NOSUID MS_NODEV MS_NOEXEC MS_SYNCHRONOUS MS_REMOUNT MS_MANDLOCK MS_DIRSYNC MS_NOSYMFOLLOW MS_NOATIME
            MS_NODIRATIME MS_BIND MS_MOVE MS_REC MS_SILENT MS_POSIXACL MS_UNBINDABLE MS_PRIVATE MS_SLAVE MS_SHARED
            MS_RELATIME MS_KERNMOUNT MS_I_VERSION MS_STRICTATIME MS_LAZYTIME
        }],
    ),
    (
        "EPOLL",
        &[bits! {
            EPOLLIN EPOLLPRI EPOLLOUT EPOLLERR EPOLLHUP EPOLLNVAL EPOLLRDNORM EPOLLRDBAND EPOLLWRNORM EPOLLWRBAND EPOLLMSG
            EPOLLRDHUP EPOLLEXCLUSIVE EPOLLWAKEUP EPOLLONESHOT EPOLLET
        }],
    ),
    (
        "MFD",
        &[bits! { MFD_CLOEXEC MFD_ALLOW_SEALING MFD_HUGETLB MFD_NOEXEC_SEAL MFD_EXEC }],
    ),
    (
        "IN",
        &[bits! {
            IN_ACCESS IN_MODIFY IN_ATTRIB IN_CLOSE_WRITE IN_CLOSE_NOWRITE IN_OPEN IN_MOVED_FROM IN_MOVED_TO IN_CREATE
            IN_DELETE IN_DELETE_SELF IN_MOVE_SELF IN_UNMOUNT IN_Q_OVERFLOW IN_IGNORED IN_ONLYDIR IN_DONT_FOLLOW
            IN_EXCL_UNLINK IN_MASK_CREATE IN_MASK_ADD IN_ISDIR IN_ONESHOT
        }],
    ),
    ("LOCK", &[bits! { LOCK_SH LOCK_EX LOCK_NB LOCK_UN }]),
];

/// The names of the sets.
pub fn flag_sets() -> impl Iterator<Item = &'static str> {
    SETS.iter().map(|(set, _)| *set)
}

/// The flags of a set, in the order in which they are looked for; `None`: there is no such set.
pub fn flag_set(set: &str) -> Option<Vec<Flag>> {
    let (_, parts) = SETS.iter().find(|(known, _)| *known == set)?;
    let rows = parts.iter().copied().flatten();
    Some(
        rows.map(|(name, value, mask)| Flag {
            name: (*name).into(),
            value: *value,
            mask: mask.and_then(NonZeroU64::new),
        })
        .collect(),
    )
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// Check that each name begins as its set is called, that no name and no single bit is listed twice, and that a name
    /// whose bits include those of another one comes first, as it would never be shown otherwise.
    #[test]
    fn sets_are_in_order() {
        for set in flag_sets() {
            let flags = flag_set(set).unwrap();
            let names: BTreeSet<_> = flags.iter().map(|flag| &flag.name).collect();
            assert_eq!(names.len(), flags.len(), "{set}");
            for (nth, flag) in flags.iter().enumerate() {
                assert!(flag.name.starts_with(set), "{set}: {}", flag.name);
                assert!(flag.mask.is_some() || flag.value != 0, "{}", flag.name);
                for earlier in flags[..nth].iter().filter(|one| one.mask.is_none()) {
                    let hidden = flag.value & earlier.value == earlier.value;
                    assert!(!hidden, "{} hides {}", earlier.name, flag.name);
                }
            }
        }
        assert_eq!(flag_set("XY"), None);
    }

    /// Check the names of flags as the kernel's headers define them, the bits without a name, and modes of files, whose
    /// permissions are octal.
    #[cfg(target_arch = "x86_64")]
    #[test]
    fn names_of_flags() {
        for (set, value, wanted) in [
            ("O", 0, "O_RDONLY"),
            ("O", 0o2_000_001, "O_WRONLY|O_CLOEXEC"),
            ("O", 0o100_002, "O_RDWR|O_LARGEFILE"),
            ("O", 0o4_010_000, "O_RDONLY|O_SYNC"),
            ("O", 0o10_000, "O_RDONLY|O_DSYNC"),
            ("O", 0o20_200_002, "O_RDWR|O_TMPFILE"),
            ("O", 3, "0x3"),
            ("O", 0x1_0000_0000, "O_RDONLY|0x100000000"),
            ("S", 0o100_644, "S_IFREG|0644"),
            ("S", 0o104_755, "S_IFREG|S_ISUID|0755"),
            ("S", 0o140_000, "S_IFSOCK"),
            ("PROT", 0, ""),
            ("PROT", 5, "PROT_READ|PROT_EXEC"),
            ("MAP", 0x22, "MAP_PRIVATE|MAP_ANONYMOUS"),
            ("MSG", 0x40, "MSG_DONTWAIT"),
        ] {
            let names = flag_names(set, &flag_set(set).unwrap(), value);
            assert_eq!(names.join("|"), wanted, "{set} {value:#x}");
        }
    }
}

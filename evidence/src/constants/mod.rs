//! Linux error numbers of x86-64 by name, and sets of constants that C passes as plain integers.
//!
//! Source: `include/uapi/asm-generic/errno-base.h` and `errno.h`
//! (<https://elixir.bootlin.com/linux/v6.12/source/include/uapi/asm-generic/errno-base.h#L5>,
//! <https://elixir.bootlin.com/linux/v6.12/source/include/uapi/asm-generic/errno.h#L7>), and the numbers
//! that stay inside the kernel in `include/linux/errno.h`
//! (<https://elixir.bootlin.com/linux/v6.12/source/include/linux/errno.h#L14>).

mod flags;
mod macros;
mod words;

pub use flags::{Flag, flag_names, flag_set, flag_sets};
pub use words::{all_constants, differs_by_architecture, find_constant_number};

use macros::{constants, kernel_numbers};

/// Number and name, by number.
const ERRNOS: &[(u32, &str)] = &[
    (0, "OK"),
    (1, "EPERM"),
    (2, "ENOENT"),
    (3, "ESRCH"),
    (4, "EINTR"),
    (5, "EIO"),
    (6, "ENXIO"),
    (7, "E2BIG"),
    (8, "ENOEXEC"),
    (9, "EBADF"),
    (10, "ECHILD"),
    (11, "EAGAIN"),
    (12, "ENOMEM"),
    (13, "EACCES"),
    (14, "EFAULT"),
    (15, "ENOTBLK"),
    (16, "EBUSY"),
    (17, "EEXIST"),
    (18, "EXDEV"),
    (19, "ENODEV"),
    (20, "ENOTDIR"),
    (21, "EISDIR"),
    (22, "EINVAL"),
    (23, "ENFILE"),
    (24, "EMFILE"),
    (25, "ENOTTY"),
    (26, "ETXTBSY"),
    (27, "EFBIG"),
    (28, "ENOSPC"),
    (29, "ESPIPE"),
    (30, "EROFS"),
    (31, "EMLINK"),
    (32, "EPIPE"),
    (33, "EDOM"),
    (34, "ERANGE"),
    (35, "EDEADLK"),
    (36, "ENAMETOOLONG"),
    (37, "ENOLCK"),
    (38, "ENOSYS"),
    (39, "ENOTEMPTY"),
    (40, "ELOOP"),
    (42, "ENOMSG"),
    (43, "EIDRM"),
    (44, "ECHRNG"),
    (45, "EL2NSYNC"),
    (46, "EL3HLT"),
    (47, "EL3RST"),
    (48, "ELNRNG"),
    (49, "EUNATCH"),
    (50, "ENOCSI"),
    (51, "EL2HLT"),
    (52, "EBADE"),
    (53, "EBADR"),
    (54, "EXFULL"),
    (55, "ENOANO"),
    (56, "EBADRQC"),
    (57, "EBADSLT"),
    (59, "EBFONT"),
    (60, "ENOSTR"),
    (61, "ENODATA"),
    (62, "ETIME"),
    (63, "ENOSR"),
    (64, "ENONET"),
    (65, "ENOPKG"),
    (66, "EREMOTE"),
    (67, "ENOLINK"),
    (68, "EADV"),
    (69, "ESRMNT"),
    (70, "ECOMM"),
    (71, "EPROTO"),
    (72, "EMULTIHOP"),
    (73, "EDOTDOT"),
    (74, "EBADMSG"),
    (75, "EOVERFLOW"),
    (76, "ENOTUNIQ"),
    (77, "EBADFD"),
    (78, "EREMCHG"),
    (79, "ELIBACC"),
    (80, "ELIBBAD"),
    (81, "ELIBSCN"),
    (82, "ELIBMAX"),
    (83, "ELIBEXEC"),
    (84, "EILSEQ"),
    (85, "ERESTART"),
    (86, "ESTRPIPE"),
    (87, "EUSERS"),
    (88, "ENOTSOCK"),
    (89, "EDESTADDRREQ"),
    (90, "EMSGSIZE"),
    (91, "EPROTOTYPE"),
    (92, "ENOPROTOOPT"),
    (93, "EPROTONOSUPPORT"),
    (94, "ESOCKTNOSUPPORT"),
    (95, "EOPNOTSUPP"),
    (96, "EPFNOSUPPORT"),
    (97, "EAFNOSUPPORT"),
    (98, "EADDRINUSE"),
    (99, "EADDRNOTAVAIL"),
    (100, "ENETDOWN"),
    (101, "ENETUNREACH"),
    (102, "ENETRESET"),
    (103, "ECONNABORTED"),
    (104, "ECONNRESET"),
    (105, "ENOBUFS"),
    (106, "EISCONN"),
    (107, "ENOTCONN"),
    (108, "ESHUTDOWN"),
    (109, "ETOOMANYREFS"),
    (110, "ETIMEDOUT"),
    (111, "ECONNREFUSED"),
    (112, "EHOSTDOWN"),
    (113, "EHOSTUNREACH"),
    (114, "EALREADY"),
    (115, "EINPROGRESS"),
    (116, "ESTALE"),
    (117, "EUCLEAN"),
    (118, "ENOTNAM"),
    (119, "ENAVAIL"),
    (120, "EISNAM"),
    (121, "EREMOTEIO"),
    (122, "EDQUOT"),
    (123, "ENOMEDIUM"),
    (124, "EMEDIUMTYPE"),
    (125, "ECANCELED"),
    (126, "ENOKEY"),
    (127, "EKEYEXPIRED"),
    (128, "EKEYREVOKED"),
    (129, "EKEYREJECTED"),
    (130, "EOWNERDEAD"),
    (131, "ENOTRECOVERABLE"),
    (132, "ERFKILL"),
    (133, "EHWPOISON"),
    (512, "ERESTARTSYS"),
    (513, "ERESTARTNOINTR"),
    (514, "ERESTARTNOHAND"),
    (515, "ENOIOCTLCMD"),
    (516, "ERESTART_RESTARTBLOCK"),
    (517, "EPROBE_DEFER"),
    (518, "EOPENSTALE"),
    (519, "ENOPARAM"),
    (521, "EBADHANDLE"),
    (522, "ENOTSYNC"),
    (523, "EBADCOOKIE"),
    (524, "ENOTSUPP"),
    (525, "ETOOSMALL"),
    (526, "ESERVERFAULT"),
    (527, "EBADTYPE"),
    (528, "EJUKEBOX"),
    (529, "EIOCBQUEUED"),
    (530, "ERECALLCONFLICT"),
    (531, "ENOGRACE"),
];

/// Further names of error numbers: of the same header, of the C library (`ENOTSUP`), and of file systems, which say so of
/// what is damaged (<https://elixir.bootlin.com/linux/v6.12/source/fs/xfs/xfs_linux.h>).
const ALIASES: &[(u32, &str)] = &[
    (11, "EWOULDBLOCK"),
    (35, "EDEADLOCK"),
    (74, "EFSBADCRC"),
    (95, "ENOTSUP"),
    (117, "EFSCORRUPTED"),
];

/// All names of a positive error number, the kernel's own one first; none where there can be no such error.
pub fn errno_names_of(number: u32) -> Vec<String> {
    let own = errno_name(number).map(std::borrow::Cow::into_owned);
    let others = ALIASES.iter().filter(|(known, _)| *known == number);
    own.into_iter()
        .chain(others.map(|(_, name)| (*name).to_owned()))
        .collect()
}

/// The name of a positive error number; `OK` for 0. Numbers without a name of their own are `E` and the
/// number, up to the kernel's `MAX_ERRNO` (4095,
/// <https://elixir.bootlin.com/linux/v6.12/source/include/linux/err.h#L18>); beyond there is none.
pub fn errno_name(number: u32) -> Option<std::borrow::Cow<'static, str>> {
    if number > 4095 {
        return None;
    }
    Some(
        match ERRNOS.binary_search_by_key(&number, |entry| entry.0) {
            Ok(index) => ERRNOS[index].1.into(),
            Err(_) => format!("E{number}").into(),
        },
    )
}

/// The positive number of an error name, `EMFILE`.
pub fn errno_number(name: &str) -> Option<u32> {
    ERRNOS
        .iter()
        .chain(ALIASES)
        .find(|entry| entry.1 == name && entry.0 != 0)
        .map(|entry| entry.0)
}

/// All error names, without `OK`.
pub(crate) fn errno_names() -> impl Iterator<Item = &'static str> {
    ERRNOS.iter().skip(1).chain(ALIASES).map(|entry| entry.1)
}

/// Sets of constants that kernel functions take as plain integers, so that no type tells their names: each by what
/// its names begin with. Of two names of one number the first is shown.
const SETS: &[(&str, &[(i64, &str)])] = &[
    (
        "AF",
        constants! {
            AF_UNSPEC = 0 AF_UNIX = 1 AF_INET = 2 AF_AX25 = 3 AF_IPX = 4 AF_APPLETALK = 5 AF_NETROM = 6 AF_BRIDGE = 7
            AF_ATMPVC = 8 AF_X25 = 9 AF_INET6 = 10 AF_ROSE = 11 AF_DECnet = 12 AF_NETBEUI = 13 AF_SECURITY = 14 AF_KEY = 15
            AF_NETLINK = 16 AF_PACKET = 17 AF_ASH = 18 AF_ECONET = 19 AF_ATMSVC = 20 AF_RDS = 21 AF_SNA = 22 AF_IRDA = 23
            AF_PPPOX = 24 AF_WANPIPE = 25 AF_LLC = 26 AF_IB = 27 AF_MPLS = 28 AF_CAN = 29 AF_TIPC = 30 AF_BLUETOOTH = 31
            AF_IUCV = 32 AF_RXRPC = 33 AF_ISDN = 34 AF_PHONET = 35 AF_IEEE802154 = 36 AF_CAIF = 37 AF_ALG = 38 AF_NFC = 39
            AF_VSOCK = 40 AF_XDP = 44
        },
    ),
    (
        "SOCK",
        constants! {
            SOCK_STREAM = 1 SOCK_DGRAM = 2 SOCK_RAW = 3 SOCK_RDM = 4 SOCK_SEQPACKET = 5 SOCK_DCCP = 6
        },
    ),
    (
        "IPPROTO",
        constants! {
            IPPROTO_IP = 0 IPPROTO_ICMP = 1 IPPROTO_IGMP = 2 IPPROTO_IPIP = 4 IPPROTO_TCP = 6 IPPROTO_EGP = 8 IPPROTO_PUP = 12
            IPPROTO_UDP = 17 IPPROTO_IDP = 22 IPPROTO_TP = 29 IPPROTO_DCCP = 33 IPPROTO_IPV6 = 41 IPPROTO_RSVP = 46
            IPPROTO_GRE = 47 IPPROTO_ESP = 50 IPPROTO_AH = 51 IPPROTO_ICMPV6 = 58 IPPROTO_MTP = 92 IPPROTO_BEETPH = 94
            IPPROTO_ENCAP = 98 IPPROTO_PIM = 103 IPPROTO_COMP = 108 IPPROTO_SCTP = 132 IPPROTO_UDPLITE = 136 IPPROTO_MPLS = 137
            IPPROTO_RAW = 255 IPPROTO_MPTCP = 262
        },
    ),
    (
        "SIG",
        constants! {
            SIGHUP = 1 SIGINT = 2 SIGQUIT = 3 SIGILL = 4 SIGTRAP = 5 SIGABRT = 6 SIGBUS = 7 SIGFPE = 8 SIGKILL = 9 SIGUSR1 = 10
            SIGSEGV = 11 SIGUSR2 = 12 SIGPIPE = 13 SIGALRM = 14 SIGTERM = 15 SIGSTKFLT = 16 SIGCHLD = 17 SIGCONT = 18
            SIGSTOP = 19 SIGTSTP = 20 SIGTTIN = 21 SIGTTOU = 22 SIGURG = 23 SIGXCPU = 24 SIGXFSZ = 25 SIGVTALRM = 26
            SIGPROF = 27 SIGWINCH = 28 SIGIO = 29 SIGPWR = 30 SIGSYS = 31
        },
    ),
    (
        "CAP",
        kernel_numbers! {
            CAP_CHOWN CAP_DAC_OVERRIDE CAP_DAC_READ_SEARCH CAP_FOWNER CAP_FSETID CAP_KILL CAP_SETGID CAP_SETUID CAP_SETPCAP
            CAP_LINUX_IMMUTABLE CAP_NET_BIND_SERVICE CAP_NET_BROADCAST CAP_NET_ADMIN CAP_NET_RAW CAP_IPC_LOCK CAP_IPC_OWNER
            CAP_SYS_MODULE CAP_SYS_RAWIO CAP_SYS_CHROOT CAP_SYS_PTRACE CAP_SYS_PACCT CAP_SYS_ADMIN CAP_SYS_BOOT CAP_SYS_NICE
            CAP_SYS_RESOURCE CAP_SYS_TIME CAP_SYS_TTY_CONFIG CAP_MKNOD CAP_LEASE CAP_AUDIT_WRITE CAP_AUDIT_CONTROL
            CAP_SETFCAP CAP_MAC_OVERRIDE CAP_MAC_ADMIN CAP_SYSLOG CAP_WAKE_ALARM CAP_BLOCK_SUSPEND CAP_AUDIT_READ CAP_PERFMON
            CAP_BPF CAP_CHECKPOINT_RESTORE
        },
    ),
    (
        "CLOCK",
        constants! {
            CLOCK_REALTIME = 0 CLOCK_MONOTONIC = 1 CLOCK_PROCESS_CPUTIME_ID = 2 CLOCK_THREAD_CPUTIME_ID = 3
            CLOCK_MONOTONIC_RAW = 4 CLOCK_REALTIME_COARSE = 5 CLOCK_MONOTONIC_COARSE = 6 CLOCK_BOOTTIME = 7
            CLOCK_REALTIME_ALARM = 8 CLOCK_BOOTTIME_ALARM = 9 CLOCK_TAI = 11
        },
    ),
    // The commands of fcntl(2).
    (
        "F",
        constants! {
            F_DUPFD = 0 F_GETFD = 1 F_SETFD = 2 F_GETFL = 3 F_SETFL = 4 F_GETLK = 5 F_SETLK = 6 F_SETLKW = 7 F_SETOWN = 8
            F_GETOWN = 9 F_OFD_GETLK = 36 F_OFD_SETLK = 37 F_OFD_SETLKW = 38 F_SETLEASE = 1024 F_GETLEASE = 1025
            F_NOTIFY = 1026 F_DUPFD_CLOEXEC = 1030 F_SETPIPE_SZ = 1031 F_GETPIPE_SZ = 1032 F_ADD_SEALS = 1033
            F_GET_SEALS = 1034
        },
    ),
    (
        "SEEK",
        constants! { SEEK_SET = 0 SEEK_CUR = 1 SEEK_END = 2 SEEK_DATA = 3 SEEK_HOLE = 4 },
    ),
    ("SHUT", constants! { SHUT_RD = 0 SHUT_WR = 1 SHUT_RDWR = 2 }),
    (
        "EPOLL_CTL",
        constants! { EPOLL_CTL_ADD = 1 EPOLL_CTL_DEL = 2 EPOLL_CTL_MOD = 3 },
    ),
    (
        "MADV",
        constants! {
            MADV_NORMAL = 0 MADV_RANDOM = 1 MADV_SEQUENTIAL = 2 MADV_WILLNEED = 3 MADV_DONTNEED = 4 MADV_FREE = 8
            MADV_REMOVE = 9 MADV_DONTFORK = 10 MADV_DOFORK = 11 MADV_MERGEABLE = 12 MADV_UNMERGEABLE = 13 MADV_HUGEPAGE = 14
            MADV_NOHUGEPAGE = 15 MADV_DONTDUMP = 16 MADV_DODUMP = 17 MADV_WIPEONFORK = 18 MADV_KEEPONFORK = 19
            MADV_COLD = 20 MADV_PAGEOUT = 21 MADV_HWPOISON = 100
        },
    ),
    (
        "SCHED",
        constants! {
            SCHED_OTHER = 0 SCHED_FIFO = 1 SCHED_RR = 2 SCHED_BATCH = 3 SCHED_IDLE = 5 SCHED_DEADLINE = 6
        },
    ),
];

/// Further names of numbers in these sets, as C programs know them on x86-64.
const SET_ALIASES: &[(&str, &[(i64, &str)])] = &[
    ("AF", constants! { AF_LOCAL = 1 AF_ROUTE = 16 }),
    ("SIG", constants! { SIGIOT = 6 SIGPOLL = 29 }),
    (
        "F",
        // <https://sourceware.org/git/?p=glibc.git;a=blob;f=sysdeps/unix/sysv/linux/x86/bits/fcntl.h>
        &[(5, "F_GETLK64"), (6, "F_SETLK64"), (7, "F_SETLKW64")],
    ),
];

/// The type of a workload's signal in evidence.
const SIGNAL: &str = "signal";

/// The names of the sets of constants: `AF`, `SOCK`, ….
pub fn constant_sets() -> impl Iterator<Item = &'static str> {
    SETS.iter().map(|(set, _)| *set)
}

/// The numbers and names of a set; none where there is no such set.
pub fn constants_of(set: &str) -> impl Iterator<Item = (i64, &'static str)> + use<> {
    let found = SETS.iter().find(|(known, _)| *known == set);
    found
        .into_iter()
        .flat_map(|(_, names)| names.iter().copied())
}

/// The name of `value` in a set, `AF_INET` for 2 in `AF`; `None` for a number or a set that has none.
pub fn constant_name(set: &str, value: i128) -> Option<&'static str> {
    let (_, names) = SETS.iter().find(|(known, _)| *known == set)?;
    names
        .iter()
        .find(|(number, _)| i128::from(*number) == value)
        .map(|(_, name)| *name)
}

/// The number of a name in a set of constants.
pub(crate) fn constant_number(set: &str, name: &str) -> Option<i128> {
    let set = if set == SIGNAL { "SIG" } else { set };
    let mut names = names_in([SETS, SET_ALIASES], set);
    let (number, _) = names.find(|(_, known)| *known == name)?;
    Some(i128::from(number))
}

/// All names of a set of constants; none where there is no such set. Signals are also a set of their own type.
pub(crate) fn constant_names(set: &str) -> impl Iterator<Item = &'static str> {
    let set = if set == SIGNAL { "SIG" } else { set };
    names_in([SETS, SET_ALIASES], set).map(|(_, name)| name)
}

/// Further names of a number in a set of constants, `AF_LOCAL` of 1 in `AF`.
pub(crate) fn constant_aliases(
    set: &str,
    value: i128,
) -> impl Iterator<Item = &'static str> + use<> {
    let set = if set == SIGNAL { "SIG" } else { set };
    names_in([SET_ALIASES], set)
        .filter(move |(number, _)| i128::from(*number) == value)
        .map(|(_, name)| name)
}

/// A table of sets of constants.
type ConstantSets = [(&'static str, &'static [(i64, &'static str)])];

/// The numbers and names of a set in these tables.
fn names_in<const N: usize>(
    tables: [&'static ConstantSets; N],
    set: &str,
) -> impl Iterator<Item = (i64, &'static str)> + use<N> {
    let found = tables.map(|table| table.iter().find(|(known, _)| *known == set));
    found
        .into_iter()
        .flatten()
        .flat_map(|(_, names)| names.iter().copied())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Check that the table is sorted (the search needs it) and that names and numbers are one to one.
    #[test]
    fn errnos_are_sorted_and_unique() {
        assert!(ERRNOS.windows(2).all(|pair| pair[0].0 < pair[1].0));
        for (number, name) in ERRNOS.iter().skip(1) {
            assert_eq!(errno_number(name), Some(*number));
            assert_eq!(errno_name(*number).as_deref(), Some(*name));
        }
    }

    /// Check that a further name of an error leads to its number, and the number to all of its names.
    #[test]
    fn errnos_with_two_names() {
        assert_eq!(errno_number("EWOULDBLOCK"), errno_number("EAGAIN"));
        assert_eq!(errno_name(11).as_deref(), Some("EAGAIN"));
        assert_eq!(errno_names_of(11), ["EAGAIN", "EWOULDBLOCK"]);
        assert_eq!(errno_names_of(95), ["EOPNOTSUPP", "ENOTSUP"]);
        assert_eq!(errno_names_of(4095), ["E4095"]);
        assert!(errno_names_of(4096).is_empty());
        for (number, name) in ALIASES {
            assert_eq!(errno_number(name), Some(*number));
            assert_ne!(errno_name(*number).as_deref(), Some(*name));
        }
    }

    /// Check that each set's names begin as the set is called, that no number has two names, and that a number
    /// without a name gets none.
    #[test]
    fn sets_are_one_to_one() {
        for (set, names) in SETS {
            let mut numbers: Vec<i64> = names.iter().map(|(number, _)| *number).collect();
            numbers.sort_unstable();
            assert!(numbers.windows(2).all(|pair| pair[0] != pair[1]), "{set}");
            assert!(names.iter().all(|(_, name)| name.starts_with(set)));
        }
        for (set, names) in SET_ALIASES {
            for (number, name) in *names {
                let first = constant_name(set, (*number).into()).unwrap();
                assert_ne!(first, *name);
                assert_eq!(constant_number(set, name), constant_number(set, first));
            }
        }
        assert_eq!(constant_name("AF", 2), Some("AF_INET"));
        assert_eq!(constant_name("SOCK", 1), Some("SOCK_STREAM"));
        assert_eq!(constant_name("IPPROTO", 0), Some("IPPROTO_IP"));
        assert_eq!(constant_name("AF", 1000), None);
        assert_eq!(constant_name("XY", 2), None);
    }
}

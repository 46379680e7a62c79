//! Names and numbers: system calls, constants and resource limits of this architecture.

use std::str::FromStr;

use nix::sys::signal::Signal;
use syscalls::Sysno;
use thiserror::Error;

/// A name or expression that means nothing here.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("{what} `{name}` is not known{}", suggestion(.nearest))]
pub struct UnknownName {
    /// The kind of name: "system call", "constant", "resource limit".
    pub what: &'static str,
    /// The name.
    pub name: String,
    /// The most similar name that is known, if one is similar.
    pub nearest: Option<String>,
}

fn suggestion(nearest: &Option<String>) -> String {
    nearest
        .as_ref()
        .map_or(String::new(), |name| format!("; did you mean `{name}`?"))
}

fn unknown<'a>(
    what: &'static str,
    name: &str,
    known: impl Iterator<Item = &'a str>,
) -> UnknownName {
    let nearest = known
        .map(|candidate| (strsim::jaro_winkler(candidate, name), candidate))
        .filter(|(likeness, _)| *likeness > 0.8)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, candidate)| candidate.to_owned());
    UnknownName {
        what,
        name: name.to_owned(),
        nearest,
    }
}

/// The number of a system call, by its name: `socket` is 41.
pub fn syscall(name: &str) -> Result<i64, UnknownName> {
    Sysno::from_str(name)
        .map(|number| number.id().into())
        .map_err(|()| {
            unknown(
                "system call",
                name,
                Sysno::iter().map(|number| number.name()),
            )
        })
}

/// The name of a system call, by its number.
pub fn syscall_name(number: i64) -> Option<&'static str> {
    Some(Sysno::new(usize::try_from(number).ok()?)?.name())
}

/// The number of a resource limit, by its name in lower case without `RLIMIT_`: `nofile` is 7.
pub fn resource(name: &str) -> Result<u32, UnknownName> {
    RESOURCES
        .iter()
        .find(|(known, _)| *known == name)
        .map(|(_, number)| *number)
        .ok_or_else(|| {
            unknown(
                "resource limit",
                name,
                RESOURCES.iter().map(|(known, _)| *known),
            )
        })
}

/// The number of a signal, by its name: `SIGKILL` is 9.
pub fn signal(name: &str) -> Result<i32, UnknownName> {
    Signal::from_str(name)
        .map(|signal| signal as i32)
        .map_err(|_| unknown("signal", name, Signal::iterator().map(Signal::as_str)))
}

/// The value of an expression such as `AF_INET`, `O_CLOEXEC|O_NONBLOCK`, `0x10 | 3` or `0o644`.
pub fn constant(expression: &str) -> Result<i64, UnknownName> {
    constant_or(expression, &|_| None)
}

/// The same, where `further` may know names that are not known here.
pub fn constant_or(
    expression: &str,
    further: &dyn Fn(&str) -> Option<i64>,
) -> Result<i64, UnknownName> {
    expression
        .split('|')
        .map(str::trim)
        .map(|part| term(part).or_else(|unknown| further(part).ok_or(unknown)))
        .try_fold(0, |value, part| Ok(value | part?))
}

fn term(text: &str) -> Result<i64, UnknownName> {
    if let Some((_, value)) = CONSTANTS.iter().find(|(name, _)| *name == text) {
        return Ok(*value);
    }
    let (digits, radix) = match (text.get(..2), text.get(2..)) {
        (Some("0x"), Some(digits)) => (digits, 16),
        (Some("0o"), Some(digits)) => (digits, 8),
        _ => (text, 10),
    };
    // Not a second sign behind the radix.
    let signed = radix != 10 && digits.starts_with(['-', '+']);
    match i64::from_str_radix(digits, radix) {
        Ok(value) if !signed => Ok(value),
        _ => Err(unknown(
            "constant",
            text,
            CONSTANTS.iter().map(|(name, _)| *name),
        )),
    }
}

const RESOURCES: &[(&str, u32)] = &[
    ("as", libc::RLIMIT_AS),
    ("core", libc::RLIMIT_CORE),
    ("cpu", libc::RLIMIT_CPU),
    ("data", libc::RLIMIT_DATA),
    ("fsize", libc::RLIMIT_FSIZE),
    ("locks", libc::RLIMIT_LOCKS),
    ("memlock", libc::RLIMIT_MEMLOCK),
    ("msgqueue", libc::RLIMIT_MSGQUEUE),
    ("nice", libc::RLIMIT_NICE),
    ("nofile", libc::RLIMIT_NOFILE),
    ("nproc", libc::RLIMIT_NPROC),
    ("rss", libc::RLIMIT_RSS),
    ("rtprio", libc::RLIMIT_RTPRIO),
    ("rttime", libc::RLIMIT_RTTIME),
    ("sigpending", libc::RLIMIT_SIGPENDING),
    ("stack", libc::RLIMIT_STACK),
];

macro_rules! constants {
    ($($name:ident)+) => { &[$((stringify!($name), libc::$name as i64)),+] };
}

#[allow(clippy::unnecessary_cast)] // the constants have several types
const CONSTANTS: &[(&str, i64)] = constants! {
    AF_UNSPEC AF_UNIX AF_LOCAL AF_INET AF_AX25 AF_IPX AF_APPLETALK AF_X25 AF_INET6 AF_KEY AF_NETLINK
    AF_PACKET AF_RDS AF_LLC AF_CAN AF_TIPC AF_BLUETOOTH AF_ALG AF_VSOCK AF_XDP AF_NFC
    PF_UNIX PF_INET PF_INET6 PF_NETLINK PF_PACKET
    SOCK_STREAM SOCK_DGRAM SOCK_RAW SOCK_RDM SOCK_SEQPACKET SOCK_DCCP
    SOCK_NONBLOCK SOCK_CLOEXEC
    IPPROTO_IP IPPROTO_ICMP IPPROTO_IGMP IPPROTO_TCP IPPROTO_UDP IPPROTO_IPV6 IPPROTO_ICMPV6
    IPPROTO_SCTP IPPROTO_UDPLITE IPPROTO_RAW IPPROTO_MPTCP IPPROTO_DCCP IPPROTO_GRE IPPROTO_ESP IPPROTO_AH
    SOL_SOCKET SO_REUSEADDR SO_TYPE SO_ERROR SO_BROADCAST SO_SNDBUF SO_RCVBUF SO_KEEPALIVE SO_LINGER
    SO_REUSEPORT SO_PASSCRED SO_PEERCRED SO_RCVTIMEO SO_SNDTIMEO SO_DOMAIN SO_PROTOCOL
    SHUT_RD SHUT_WR SHUT_RDWR MSG_PEEK MSG_DONTWAIT MSG_NOSIGNAL MSG_OOB MSG_TRUNC MSG_WAITALL
    O_RDONLY O_WRONLY O_RDWR O_ACCMODE O_CREAT O_EXCL O_NOCTTY O_TRUNC O_APPEND O_NONBLOCK O_NDELAY
    O_DSYNC O_SYNC O_ASYNC O_DIRECT O_LARGEFILE O_DIRECTORY O_NOFOLLOW O_NOATIME O_CLOEXEC O_PATH O_TMPFILE
    AT_FDCWD AT_SYMLINK_NOFOLLOW AT_SYMLINK_FOLLOW AT_REMOVEDIR AT_EACCESS AT_EMPTY_PATH AT_NO_AUTOMOUNT
    F_DUPFD F_DUPFD_CLOEXEC F_GETFD F_SETFD F_GETFL F_SETFL FD_CLOEXEC F_GETPIPE_SZ F_SETPIPE_SZ
    F_OK R_OK W_OK X_OK SEEK_SET SEEK_CUR SEEK_END
    PROT_NONE PROT_READ PROT_WRITE PROT_EXEC MAP_SHARED MAP_PRIVATE MAP_FIXED MAP_ANONYMOUS MAP_POPULATE
    MAP_NORESERVE MAP_LOCKED MAP_HUGETLB MAP_STACK
    EFD_CLOEXEC EFD_NONBLOCK EFD_SEMAPHORE EPOLL_CLOEXEC EPOLL_CTL_ADD EPOLL_CTL_MOD EPOLL_CTL_DEL
    TFD_CLOEXEC TFD_NONBLOCK SFD_CLOEXEC SFD_NONBLOCK IN_CLOEXEC IN_NONBLOCK
    MFD_CLOEXEC MFD_ALLOW_SEALING MFD_HUGETLB
    CLOCK_REALTIME CLOCK_MONOTONIC CLOCK_PROCESS_CPUTIME_ID CLOCK_THREAD_CPUTIME_ID CLOCK_BOOTTIME
    CLONE_VM CLONE_FS CLONE_FILES CLONE_SIGHAND CLONE_NEWNS CLONE_NEWUTS CLONE_NEWIPC CLONE_NEWUSER
    CLONE_NEWPID CLONE_NEWNET CLONE_NEWCGROUP CLONE_VFORK CLONE_THREAD CLONE_PARENT CLONE_PTRACE CLONE_UNTRACED
    CLONE_SETTLS CLONE_SYSVSEM CLONE_PARENT_SETTID CLONE_CHILD_SETTID CLONE_CHILD_CLEARTID CLONE_PIDFD CLONE_IO
    CLOSE_RANGE_UNSHARE CLOSE_RANGE_CLOEXEC
    SIGHUP SIGINT SIGQUIT SIGILL SIGTRAP SIGABRT SIGBUS SIGFPE SIGKILL SIGUSR1 SIGSEGV SIGUSR2 SIGPIPE
    SIGALRM SIGTERM SIGCHLD SIGCONT SIGSTOP SIGTSTP SIGTTIN SIGTTOU SIGURG SIGXCPU SIGXFSZ SIGVTALRM SIGPROF
    SIGWINCH SIGIO SIGSYS
    P_ALL P_PID P_PGID P_PIDFD WNOHANG WUNTRACED WEXITED WSTOPPED WCONTINUED WNOWAIT
    MADV_NORMAL MADV_DONTNEED MADV_WILLNEED MADV_FREE MADV_HUGEPAGE MADV_NOHUGEPAGE
    S_IRUSR S_IWUSR S_IXUSR S_IRWXU S_IFREG S_IFDIR S_IFIFO S_IFSOCK S_IFCHR S_IFBLK
    GRND_NONBLOCK GRND_RANDOM
};

#[cfg(test)]
mod tests {
    use super::*;

    /// Check numbers against the kernel's ABI, both ways.
    #[test]
    fn system_calls_have_their_numbers() {
        for (name, number) in [("read", 0), ("socket", 41), ("pipe2", 293)] {
            assert_eq!(syscall(name), Ok(number));
            assert_eq!(syscall_name(number), Some(name));
        }
        assert_eq!(syscall_name(-1), None);
    }

    /// Check that a misspelt name is refused with the nearest one.
    #[test]
    fn unknown_names_get_a_suggestion() {
        assert_eq!(
            syscall("sokcet").unwrap_err().to_string(),
            "system call `sokcet` is not known; did you mean `socket`?"
        );
        let error = constant("SOCK_STREM").unwrap_err();
        assert_eq!(error.nearest.as_deref(), Some("SOCK_STREAM"));
        assert_eq!(
            resource("nofiles").unwrap_err().nearest.as_deref(),
            Some("nofile")
        );
        assert_eq!(constant("zzz").unwrap_err().nearest, None);
    }

    /// Check the expressions that an investigation may use, and that invalid ones do not count as 0.
    #[test]
    fn expressions_are_evaluated() {
        assert_eq!(constant("AF_INET"), Ok(2));
        assert_eq!(constant("O_CLOEXEC|O_NONBLOCK"), Ok(0o2004000));
        assert_eq!(constant(" SOCK_STREAM | 0x800 "), Ok(0x801));
        assert_eq!(constant("0o644"), Ok(0o644));
        assert_eq!(constant("-100"), Ok(-100));
        for nonsense in ["", "|", "AF_INET|", "0x", "0x-1", "1+1", "--1"] {
            constant(nonsense).unwrap_err();
        }
    }

    /// Check that no constant is listed twice.
    #[test]
    fn constants_are_listed_once() {
        let mut names: Vec<_> = CONSTANTS.iter().map(|(name, _)| name).collect();
        names.sort_unstable();
        let count = names.len();
        names.dedup();
        assert_eq!(names.len(), count);
    }
}

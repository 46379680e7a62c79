//! Named constants of claims: error numbers, flags of system calls, and enumerators of the types that the
//! evidence shows.

use crate::constants::errno_number;
use crate::resolve::{Catalog, Indexed};

use super::typed::{Kind, Number, Typed};

/// Names and numbers from the C library's headers.
macro_rules! c_constants {
    ($($name:ident)*) => {
        const C_CONSTANTS: &[(&str, i64)] = &[$((stringify!($name), libc::$name as i64)),*];
    };
}

c_constants! {
    AF_UNSPEC AF_UNIX AF_LOCAL AF_INET AF_INET6 AF_NETLINK AF_PACKET AF_VSOCK AF_ALG AF_XDP
    PF_UNIX PF_INET PF_INET6
    SOCK_STREAM SOCK_DGRAM SOCK_RAW SOCK_RDM SOCK_SEQPACKET SOCK_CLOEXEC SOCK_NONBLOCK
    IPPROTO_IP IPPROTO_ICMP IPPROTO_TCP IPPROTO_UDP IPPROTO_IPV6 IPPROTO_RAW IPPROTO_SCTP IPPROTO_MPTCP
    SOL_SOCKET SO_REUSEADDR SO_TYPE SO_ERROR SO_KEEPALIVE
    O_RDONLY O_WRONLY O_RDWR O_CREAT O_EXCL O_TRUNC O_APPEND O_NONBLOCK O_CLOEXEC O_DIRECTORY O_DIRECT O_PATH
    FD_CLOEXEC AT_FDCWD
    SIGHUP SIGINT SIGQUIT SIGILL SIGABRT SIGFPE SIGKILL SIGUSR1 SIGSEGV SIGUSR2 SIGPIPE SIGALRM SIGTERM SIGCHLD
    SIGCONT SIGSTOP
    S_IFMT S_IFSOCK S_IFLNK S_IFREG S_IFBLK S_IFDIR S_IFCHR S_IFIFO
    EPOLLIN EPOLLOUT EPOLLERR EPOLLHUP
    MAP_SHARED MAP_PRIVATE MAP_ANONYMOUS PROT_READ PROT_WRITE PROT_EXEC
}

/// The value of a constant on `machine`, or why it has none. Enumerators of other machines count where this one
/// shows none of the name: a comparison with them also compares the names.
pub(super) fn constant(
    name: &str,
    catalog: &Catalog<'_>,
    machine: Option<&Indexed<'_>>,
) -> Result<Typed, String> {
    if let Some(number) = errno_number(name) {
        return Ok(Typed::Number(Number {
            value: number.into(),
            unsigned: false,
            kind: Kind::Errno,
            label: Some(name.into()),
        }));
    }
    if let Some((_, number)) = C_CONSTANTS.iter().find(|(known, _)| *known == name) {
        return Ok(Typed::Number(Number {
            value: (*number).into(),
            unsigned: false,
            kind: Kind::Literal,
            label: None,
        }));
    }
    let own = machine
        .map(|machine| enumerators(name, machine))
        .unwrap_or_default();
    let mut found = if own.is_empty() {
        catalog
            .machines
            .iter()
            .flat_map(|machine| enumerators(name, machine))
            .collect()
    } else {
        own
    };
    found.sort();
    found.dedup();
    match found.as_slice() {
        [] => Err(format!("`{name}` is no constant that is known here")),
        [(type_name, value)] => Ok(Typed::Number(Number {
            value: *value,
            unsigned: *value > i128::from(i64::MAX),
            kind: Kind::Enum(type_name.clone()),
            label: Some(name.into()),
        })),
        several => Err(format!(
            "`{name}` is ambiguous: {}",
            several
                .iter()
                .map(|(type_name, value)| format!("{value} in {type_name}"))
                .collect::<Vec<_>>()
                .join(", ")
        )),
    }
}

/// Types and numbers of the enumerators of this name, of the types that one machine's values have.
fn enumerators(name: &str, machine: &Indexed<'_>) -> Vec<(String, i128)> {
    machine
        .evidence
        .names
        .enums
        .iter()
        .filter_map(|(type_name, list)| Some((type_name.clone(), list.get(name)?.get())))
        .collect()
}

/// Every name that could be meant, for suggestions.
pub(super) fn known<'a>(catalog: &Catalog<'a>) -> Vec<&'a str> {
    let machines: &'a [Indexed<'a>] = catalog.machines;
    let enumerators = machines
        .iter()
        .flat_map(|machine| machine.evidence.names.enums.values())
        .flat_map(|list| list.keys().map(String::as_str));
    let mut names: Vec<&'a str> = C_CONSTANTS.iter().map(|(name, _)| *name).collect();
    crate::constants::errno_names().for_each(|name| names.push(name));
    names.extend(enumerators);
    names
}

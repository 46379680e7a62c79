//! Named constants of claims: error numbers, flags of system calls, and enumerators of the types that the
//! evidence shows.

use crate::constants::{constants, errno_number};
use crate::path_index::resolve::{Catalog, Indexed};

use super::value::{Kind, Number, Typed};

/// Constants of the C library's headers.
const C_CONSTANTS: &[(i64, &str)] = constants! {
    AF_UNSPEC = 0 AF_UNIX = 1 AF_LOCAL = 1 AF_INET = 2 AF_INET6 = 10 AF_NETLINK = 16 AF_PACKET = 17 AF_VSOCK = 40 AF_ALG = 38
    AF_XDP = 44 PF_UNIX = 1 PF_INET = 2 PF_INET6 = 10 SOCK_STREAM = 1 SOCK_DGRAM = 2 SOCK_RAW = 3 SOCK_RDM = 4
    SOCK_SEQPACKET = 5 SOCK_CLOEXEC = 524288 SOCK_NONBLOCK = 2048 IPPROTO_IP = 0 IPPROTO_ICMP = 1 IPPROTO_TCP = 6
    IPPROTO_UDP = 17 IPPROTO_IPV6 = 41 IPPROTO_RAW = 255 IPPROTO_SCTP = 132 IPPROTO_MPTCP = 262 SOL_SOCKET = 1 SO_REUSEADDR = 2
    SO_TYPE = 3 SO_ERROR = 4 SO_KEEPALIVE = 9 O_RDONLY = 0 O_WRONLY = 1 O_RDWR = 2 O_CREAT = 64 O_EXCL = 128 O_TRUNC = 512
    O_APPEND = 1024 O_NONBLOCK = 2048 O_CLOEXEC = 524288 O_DIRECTORY = 65536 O_DIRECT = 16384 O_PATH = 2097152 FD_CLOEXEC = 1
    AT_FDCWD = -100 SIGHUP = 1 SIGINT = 2 SIGQUIT = 3 SIGILL = 4 SIGABRT = 6 SIGFPE = 8 SIGKILL = 9 SIGUSR1 = 10 SIGSEGV = 11
    SIGUSR2 = 12 SIGPIPE = 13 SIGALRM = 14 SIGTERM = 15 SIGCHLD = 17 SIGCONT = 18 SIGSTOP = 19 S_IFMT = 61440 S_IFSOCK = 49152
    S_IFLNK = 40960 S_IFREG = 32768 S_IFBLK = 24576 S_IFDIR = 16384 S_IFCHR = 8192 S_IFIFO = 4096 EPOLLIN = 1 EPOLLOUT = 4
    EPOLLERR = 8 EPOLLHUP = 16 MAP_SHARED = 1 MAP_PRIVATE = 2 MAP_ANONYMOUS = 32 PROT_READ = 1 PROT_WRITE = 2 PROT_EXEC = 4
};

/// The reason why a constant has no value.
pub(super) enum Unknown {
    /// The machine's own tables do not contain it, but those of another machine do.
    Here(String),
    /// Nothing holds it, or it has several values.
    Anywhere(String),
}

/// The value of a constant on `machine`, or on any machine for a first look. Enumerators of other machines' kernels do not
/// count: each kernel numbers them anew.
pub(super) fn constant(
    name: &str,
    catalog: &Catalog<'_>,
    machine: Option<&Indexed<'_>>,
) -> Result<Typed, Unknown> {
    if let Some(number) = errno_number(name) {
        let mut names = crate::constants::errno_names_of(number);
        names.retain(|other| other != name);
        names.insert(0, name.into());
        return Ok(Typed::Number(Number {
            value: number.into(),
            unsigned: false,
            kind: Kind::Errno,
            names,
        }));
    }
    if let Some((number, _)) = C_CONSTANTS.iter().find(|(_, known)| *known == name) {
        return Ok(Typed::Number(Number {
            value: (*number).into(),
            unsigned: false,
            kind: Kind::Literal,
            names: Vec::new(),
        }));
    }
    let everywhere = || {
        let machines = catalog.machines.iter();
        machines.flat_map(|machine| enumerators(name, machine))
    };
    let mut found: Vec<(Kind, i128, Vec<String>)> = match machine {
        Some(machine) => enumerators(name, machine).collect(),
        None => everywhere().collect(),
    };
    found.sort_by_key(|(kind, value, _)| (kind.name(), *value));
    found.dedup_by(|a, b| (&a.0, a.1) == (&b.0, b.1));
    match found.as_slice() {
        [] => Err(match everywhere().next() {
            Some((kind, ..)) => Unknown::Here(format!(
                "the tables of this machine's kernel have no `{name}`; those of another one have it in {}",
                place(&kind)
            )),
            None => Unknown::Anywhere(format!("`{name}` is not a known constant")),
        }),
        [(kind, value, names)] => Ok(Typed::Number(Number {
            value: *value,
            unsigned: *value > i128::from(i64::MAX),
            kind: kind.clone(),
            names: names.clone(),
        })),
        several => Err(Unknown::Anywhere(format!(
            "`{name}` is ambiguous: {}",
            several
                .iter()
                .map(|(kind, value, _)| format!("{value} in {}", place(kind)))
                .collect::<Vec<_>>()
                .join(", ")
        ))),
    }
}

/// The place of a constant, for a message: the type of its enumeration.
fn place(kind: &Kind) -> String {
    match kind {
        Kind::Enum(type_name) => type_name.clone(),
        other => other.name(),
    }
}

/// Kinds and numbers of the enumerators and flags of this name, of the types and sets that one machine's values have; and all
/// names of an enumerator's number, this one first.
fn enumerators<'m>(
    name: &'m str,
    machine: &'m Indexed<'_>,
) -> impl Iterator<Item = (Kind, i128, Vec<String>)> + use<'m> {
    let names = &machine.evidence.names;
    let enums = names.enums.iter().filter_map(move |(type_name, list)| {
        let number = list.get(name)?.get();
        let others = names.other_names_of_value(type_name, name, number);
        let all = std::iter::once(name.to_owned()).chain(others).collect();
        Some((Kind::Enum(type_name.clone()), number, all))
    });
    let flags = names.flags.values().filter_map(move |list| {
        let flag = list.iter().find(|flag| flag.name == name)?;
        Some((Kind::Flags, flag.value.into(), Vec::new()))
    });
    enums.chain(flags)
}

/// Every name that could be meant, for suggestions.
pub(super) fn known<'a>(catalog: &Catalog<'a>) -> Vec<&'a str> {
    let machines: &'a [Indexed<'a>] = catalog.machines;
    let enumerators = machines
        .iter()
        .flat_map(|machine| machine.evidence.names.enums.values())
        .flat_map(|list| list.keys().map(String::as_str));
    let flags = machines
        .iter()
        .flat_map(|machine| machine.evidence.names.flags.values().flatten())
        .map(|flag| flag.name.as_str());
    let mut names: Vec<&'a str> = C_CONSTANTS.iter().map(|(_, name)| *name).collect();
    names.extend(flags);
    crate::constants::errno_names().for_each(|name| names.push(name));
    names.extend(enumerators);
    names
}

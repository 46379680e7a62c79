//! Named constants of claims: error numbers, flags of system calls, and enumerators of the types that the
//! evidence shows.

use crate::constants::errno_number;
use crate::path_index::resolve::{Catalog, Indexed};

use super::value::{Kind, Number, Typed};

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
    if let Some((_, number)) = C_CONSTANTS.iter().find(|(known, _)| *known == name) {
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
    let mut found: Vec<(String, i128, Vec<String>)> = match machine {
        Some(machine) => enumerators(name, machine).collect(),
        None => everywhere().collect(),
    };
    found.sort();
    found.dedup_by(|a, b| (&a.0, a.1) == (&b.0, b.1));
    match found.as_slice() {
        [] => Err(match everywhere().next() {
            Some((type_name, ..)) => Unknown::Here(format!(
                "the tables of this machine's kernel have no `{name}`; those of another one have it in {type_name}"
            )),
            None => Unknown::Anywhere(format!("`{name}` is not a known constant")),
        }),
        [(type_name, value, names)] => Ok(Typed::Number(Number {
            value: *value,
            unsigned: *value > i128::from(i64::MAX),
            kind: Kind::Enum(type_name.clone()),
            names: names.clone(),
        })),
        several => Err(Unknown::Anywhere(format!(
            "`{name}` is ambiguous: {}",
            several
                .iter()
                .map(|(type_name, value, _)| format!("{value} in {type_name}"))
                .collect::<Vec<_>>()
                .join(", ")
        ))),
    }
}

/// Types and numbers of the enumerators of this name, of the types that one machine's values have; and all names of each
/// number, this one first.
fn enumerators<'m>(
    name: &'m str,
    machine: &'m Indexed<'_>,
) -> impl Iterator<Item = (String, i128, Vec<String>)> + use<'m> {
    let names = &machine.evidence.names;
    names.enums.iter().filter_map(move |(type_name, list)| {
        let number = list.get(name)?.get();
        let others = names.other_names_of_value(type_name, name, number);
        let all = std::iter::once(name.to_owned()).chain(others).collect();
        Some((type_name.clone(), number, all))
    })
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

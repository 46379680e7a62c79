//! Names and numbers: system calls, constants and resource limits of this architecture.

use std::str::FromStr;
use std::sync::LazyLock;

use nix::sys::signal::Signal;
use qed_evidence::constants::{
    all_constants, constant_sets, constants_of, find_constant_number, flag_set, flag_sets,
};
use syscalls::Sysno;
use thiserror::Error;

use crate::arch::Arch;

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

fn unknown_name<'a>(
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
pub fn syscall_number(name: &str) -> Result<i64, UnknownName> {
    Sysno::from_str(name)
        .map(|number| number.id().into())
        .map_err(|()| {
            unknown_name(
                "system call",
                name,
                Sysno::iter().map(|number| number.name()),
            )
        })
}

/// The name of a system call, by its number on an architecture.
pub fn syscall_name(arch: Arch, number: i64) -> Option<&'static str> {
    let number = usize::try_from(number).ok()?;
    Some(match arch {
        Arch::X86_64 => syscalls::x86_64::Sysno::new(number)?.name(),
        Arch::Aarch64 => syscalls::aarch64::Sysno::new(number)?.name(),
    })
}

/// The number of a resource limit, by its name in lower case without `RLIMIT_`: `nofile` is 7.
pub fn resource_number(name: &str) -> Result<u32, UnknownName> {
    RESOURCES
        .iter()
        .find(|(known, _)| *known == name)
        .map(|(_, number)| *number)
        .ok_or_else(|| {
            unknown_name(
                "resource limit",
                name,
                RESOURCES.iter().map(|(known, _)| *known),
            )
        })
}

/// The number of a signal, by its name: `SIGKILL` is 9.
pub fn signal_number(name: &str) -> Result<i32, UnknownName> {
    Signal::from_str(name)
        .map(|signal| signal as i32)
        .map_err(|_| unknown_name("signal", name, Signal::iterator().map(Signal::as_str)))
}

/// The value of an expression such as `AF_INET`, `O_CLOEXEC|O_NONBLOCK`, `0x10 | 3` or `0o644`.
pub fn constant_value(expression: &str) -> Result<i64, UnknownName> {
    constant_value_or(expression, Arch::HOST, &|_| None)
}

/// The same, where `further` may know names that are not known here.
pub fn constant_value_or(
    expression: &str,
    arch: Arch,
    further: &dyn Fn(&str) -> Option<i64>,
) -> Result<i64, UnknownName> {
    expression
        .split('|')
        .map(str::trim)
        .map(|part| term_value(part, arch).or_else(|unknown| further(part).ok_or(unknown)))
        .try_fold(0, |value, part| Ok(value | part?))
}

/// The names of all constants that are known without a kernel.
pub fn constant_names() -> impl Iterator<Item = &'static str> {
    let of_sets = constant_sets().flat_map(constants_of);
    let all = all_constants().chain(of_sets).map(|(_, name)| name);
    all.chain(FLAGS.iter().map(|(name, _)| name.as_str()))
}

/// The names and numbers of the sets of flags.
static FLAGS: LazyLock<Vec<(String, u64)>> = LazyLock::new(|| {
    let sets = flag_sets().filter_map(flag_set).flatten();
    sets.map(|flag| (flag.name, flag.value)).collect()
});

/// The number of a constant that is known without a kernel.
fn constant_number(name: &str, arch: Arch) -> Option<i64> {
    let of_sets = || constant_sets().flat_map(constants_of);
    let in_set = || of_sets().find(|(_, known)| *known == name);
    let flag = || FLAGS.iter().find(|(known, _)| known == name);
    // C's null pointer.
    let null = || (name == "NULL").then_some(0);
    find_constant_number(name, arch.machine())
        .or_else(|| Some(in_set()?.0))
        .or_else(|| i64::try_from(flag()?.1).ok())
        .or_else(null)
}

fn term_value(text: &str, arch: Arch) -> Result<i64, UnknownName> {
    if let Some(value) = constant_number(text, arch) {
        return Ok(value);
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
        _ => Err(unknown_name("constant", text, constant_names())),
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Check numbers against the kernel's ABI, both ways.
    #[test]
    fn system_calls_have_their_numbers() {
        for (name, number) in [("read", 0), ("socket", 41), ("pipe2", 293)] {
            assert_eq!(syscall_number(name), Ok(number));
            assert_eq!(syscall_name(Arch::HOST, number), Some(name));
        }
        assert_eq!(syscall_name(Arch::HOST, -1), None);
        // One number, and two calls.
        let of = |arch| syscall_name(arch, 198);
        assert_eq!(
            (of(Arch::Aarch64), of(Arch::X86_64)),
            (Some("socket"), Some("lremovexattr"))
        );
    }

    /// Check that a misspelt name is refused with the nearest one.
    #[test]
    fn unknown_names_get_a_suggestion() {
        assert_eq!(
            syscall_number("sokcet").unwrap_err().to_string(),
            "system call `sokcet` is not known; did you mean `socket`?"
        );
        let error = constant_value("SOCK_STREM").unwrap_err();
        assert_eq!(error.nearest.as_deref(), Some("SOCK_STREAM"));
        assert_eq!(
            resource_number("nofiles").unwrap_err().nearest.as_deref(),
            Some("nofile")
        );
        assert_eq!(constant_value("zzz").unwrap_err().nearest, None);
    }

    /// Check the expressions that an investigation may use, and that invalid ones do not count as 0.
    #[test]
    fn expressions_are_evaluated() {
        assert_eq!(constant_value("AF_INET"), Ok(2));
        // Of the sets that name numbers of evidence, and C's null pointer.
        assert_eq!(constant_value("RESOLVE_BENEATH"), Ok(8));
        assert_eq!(constant_value("IPPROTO_PIM"), Ok(103));
        assert_eq!(constant_value("NULL"), Ok(0));
        assert_eq!(constant_value("O_CLOEXEC|O_NONBLOCK"), Ok(0o2004000));
        assert_eq!(constant_value(" SOCK_STREAM | 0x800 "), Ok(0x801));
        assert_eq!(constant_value("0o644"), Ok(0o644));
        assert_eq!(constant_value("-100"), Ok(-100));
        for nonsense in ["", "|", "AF_INET|", "0x", "0x-1", "1+1", "--1"] {
            constant_value(nonsense).unwrap_err();
        }
    }
}

//! Exact integers with their units.

use super::failure::Failure;

/// An exact integer that counts something.
#[derive(Clone, Debug)]
pub(in crate::claim) struct Number {
    /// Between `i64::MIN` and `u64::MAX`.
    pub value: i128,
    /// True if it is a CEL `uint`; CEL does not calculate with both.
    pub unsigned: bool,
    /// Its unit.
    pub kind: Kind,
    /// All names of the enumerator or error, the one to be shown first.
    pub names: Vec<String>,
}

/// The unit of a number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::claim) enum Kind {
    /// Nothing yet: a number written in the claim. Comparable with all numbers, with the suffix `u` also with
    /// addresses.
    Literal,
    /// Nothing in particular: a C integer, a count. Comparable with all numbers, never with an address.
    Plain,
    Offset,
    Size,
    Fd,
    Pid,
    Errno,
    /// Of this C type.
    Enum(String),
    Flags,
    Time,
    /// The place of an event among those of this experiment.
    Order(String),
    /// Nanoseconds from the first event of this experiment.
    Moment(String),
}

impl Kind {
    /// The unit of a named constant, for other implementations of the language.
    pub fn constant_name(&self) -> Option<String> {
        match self {
            Kind::Errno => Some("errno".into()),
            Kind::Enum(type_name) => Some(format!("enum {type_name}")),
            Kind::Flags => Some("flags".into()),
            _ => None,
        }
    }

    /// The kind with its article, for complaints.
    pub fn name(&self) -> String {
        match self {
            Kind::Literal | Kind::Plain => "a number".into(),
            Kind::Offset => "an offset".into(),
            Kind::Size => "a size".into(),
            Kind::Fd => "an fd".into(),
            Kind::Pid => "a pid".into(),
            Kind::Errno => "an errno".into(),
            Kind::Enum(type_name) => format!("an enum {type_name}"),
            Kind::Flags => "flags".into(),
            Kind::Time => "a time".into(),
            Kind::Order(experiment) => format!("an order among the events of `{experiment}`"),
            Kind::Moment(experiment) => format!("a time since the first event of `{experiment}`"),
        }
    }
}

/// The failure where one error number has the sign of the kernel and the other that of user space.
pub(in crate::claim) fn errno_sign_failure() -> Failure {
    Failure::kinds(
        "one error number is negative, as the kernel returns it, and the other positive".into(),
        Some("compare with `-EMFILE`, or take the positive number with `errno(…)`".into()),
    )
}

/// True if a number is one written with `u` and nothing else.
pub(in crate::claim) fn is_bare_uint(number: &Number) -> bool {
    number.unsigned && number.kind == Kind::Literal
}

/// The kind that two numbers share: equal kinds, or one of them of no particular kind.
pub(in crate::claim) fn common_kind(a: &Number, b: &Number) -> Result<Kind, Failure> {
    match (&a.kind, &b.kind) {
        (a, b) if a == b => Ok(a.clone()),
        (Kind::Literal, kind) | (kind, Kind::Literal) => Ok(kind.clone()),
        (Kind::Plain, kind) | (kind, Kind::Plain) => Ok(kind.clone()),
        (x, y) => Err(Failure::kinds(
            format!("{} and {} are different things", x.name(), y.name()),
            Some("if they are meant to be compared, take the bare numbers with `int(…)`".into()),
        )),
    }
}

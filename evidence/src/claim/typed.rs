//! Values while a claim is evaluated: exact integers with what they count, so that different things are never compared.

use std::cmp::Ordering;

use crate::document::names::Names;
use crate::document::value::{Address, Frame, Location, Value};

use super::cut::{self, Beginning, Kept, Seen};
use super::eval::Failure;
use super::returned::{Returned, errno_as_address};

/// A value while a claim is evaluated.
#[derive(Clone, Debug)]
pub(super) enum Typed {
    Bool(bool),
    Number(Number),
    Address(Pointer),
    /// An error in the place of a pointer or of an unsigned number.
    Returned(Returned),
    Text(String),
    /// What a number is called: never empty, the usual name first. One number can have several.
    Name(Vec<String>),
    Bytes(Vec<u8>),
    Version(Version),
    Location(Location),
    Stack(Vec<Frame>),
    /// Text, bytes or a stack of which only the beginning was kept.
    Cut(Beginning),
}

/// An exact integer that counts something.
#[derive(Clone, Debug)]
pub(super) struct Number {
    /// Between `i64::MIN` and `u64::MAX`.
    pub value: i128,
    /// Whether it is a CEL `uint`; CEL does not calculate with both.
    pub unsigned: bool,
    /// What it counts.
    pub kind: Kind,
    /// All names of the enumerator or error, the one to be shown first.
    pub names: Vec<String>,
}

/// What a number counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Kind {
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
    /// What a named constant counts, for other implementations of the language.
    pub fn constant_name(&self) -> Option<String> {
        match self {
            Kind::Errno => Some("errno".into()),
            Kind::Enum(type_name) => Some(format!("enum {type_name}")),
            _ => None,
        }
    }

    fn name(&self) -> String {
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

/// An address and, where it leads into the kernel image, its symbol.
#[derive(Clone, Debug)]
pub(super) struct Pointer {
    pub value: u64,
    /// Symbol and bytes from its start.
    pub symbol: Option<(String, u64)>,
}

impl Pointer {
    /// The number behind it; a pseudonym has none.
    pub fn number(&self) -> Result<u64, Failure> {
        if Address(self.value).is_pseudonym() {
            return Err(withheld());
        }
        Ok(self.value)
    }

    /// Whether a pointer that stands for a real address can be `number`: it is neither null nor an error.
    fn cannot_be(number: i128) -> bool {
        (0..=LAST_NO_POINTER).contains(&number) || number >= FIRST_ERROR
    }
}

/// The highest number that redaction leaves as it is, a page below the first address
/// ([`crate::redact`]).
const LAST_NO_POINTER: i128 = 0xfff;
/// The lowest number that is an error in the place of a pointer (`ERR_PTR`), which redaction leaves as it is.
const FIRST_ERROR: i128 = (u64::MAX - 4094) as i128;

/// The failure where more would have to be known of a pointer than which others are equal to it.
fn withheld() -> Failure {
    Failure::Missing(
        "the addresses of this live machine are withheld; of two it can only be said whether they are equal".into(),
    )
}

/// Refuses to say which of two is greater where one of them stands for an address that is not known.
pub(super) fn ordered(a: &Typed, b: &Typed) -> Result<(), Failure> {
    for side in [a, b] {
        match side {
            Typed::Address(pointer) => _ = pointer.number()?,
            Typed::Returned(error) => return Err(error.misread()),
            _ => {}
        }
    }
    Ok(())
}

/// A kernel version, comparable number by number; a release candidate is below its release.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Version {
    numbers: [u64; 3],
    candidate: u64,
    /// The text, where it does not say which release of its series it is: distributions that count their own builds
    /// write `6.1.0-56` for all of 6.1.
    vague: Option<String>,
}

/// How two versions compare; a failure where one of them does not say.
pub(super) fn compare_versions(a: &Version, b: &Version) -> Result<Ordering, Failure> {
    for (vague, other) in [(a, b), (b, a)] {
        if let Some(text) = &vague.vague
            && vague.numbers[..2] == other.numbers[..2]
            && (other.numbers[2] != 0 || other.candidate != u64::MAX)
            && vague != other
        {
            return Err(Failure::Missing(format!(
                "`{text}` does not say which release of {}.{} it is; `kernel.version` or `kernel.package` may",
                vague.numbers[0], vague.numbers[1]
            )));
        }
    }
    Ok((a.numbers, a.candidate).cmp(&(b.numbers, b.candidate)))
}

impl Version {
    /// The three numbers and the release candidate, in an order in which a candidate is below its release.
    pub fn order(&self) -> ([u64; 3], u64) {
        (self.numbers, self.candidate)
    }

    /// The series: the first two numbers.
    pub fn series(&self) -> [u64; 2] {
        [self.numbers[0], self.numbers[1]]
    }

    /// Reads `6.6`, `6.12.117+deb12-cloud-amd64`, `6.7-rc1`.
    pub fn parse(text: &str) -> Option<Self> {
        let end = text
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .unwrap_or(text.len());
        let (head, rest) = text.split_at(end);
        let mut numbers = [0; 3];
        let mut count = 0;
        for part in head.trim_end_matches('.').split('.') {
            *numbers.get_mut(count)? = part.parse().ok()?;
            count += 1;
        }
        let candidate = match rest.strip_prefix("-rc") {
            Some(rest) => {
                let digits =
                    rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
                rest[..digits].parse().ok()?
            }
            None => u64::MAX,
        };
        let counted = rest.strip_prefix('-').and_then(|rest| rest.bytes().next());
        let vague = (count == 3 && numbers[2] == 0 && counted.is_some_and(|b| b.is_ascii_digit()))
            .then(|| text.to_owned());
        (count >= 2).then_some(Version {
            numbers,
            candidate,
            vague,
        })
    }
}

impl Typed {
    /// A plain number.
    pub fn number(value: impl Into<i128>) -> Self {
        Typed::of_kind(value, Kind::Plain)
    }

    /// A number of this kind; a CEL `uint` only where it does not fit an `int`.
    pub fn of_kind(value: impl Into<i128>, kind: Kind) -> Self {
        let value = value.into();
        Typed::Number(Number {
            value,
            unsigned: value > i128::from(i64::MAX),
            kind,
            names: Vec::new(),
        })
    }

    /// The value of this leaf, with the names that the document's tables give its number. Orders and times of events are
    /// counted within one experiment: by its path, a value knows which. So does an unsigned number that is an error.
    pub fn of_leaf(path: &str, value: &Value, names: &Names) -> Self {
        let mut typed = Typed::from(value);
        match (&mut typed, value) {
            (Typed::Number(number), Value::Enum { type_name, .. }) if !number.names.is_empty() => {
                let twins: Vec<String> = names
                    .twins(type_name, &number.names[0], number.value)
                    .collect();
                number.names.extend(twins);
            }
            (Typed::Number(_), _) if comes_back(path) => {
                if let Some(error) = Returned::number(value, names) {
                    return Typed::Returned(error);
                }
            }
            _ => {}
        }
        if let (Typed::Number(number), Some((above, leaf))) = (&mut typed, path.rsplit_once('.'))
            && !matches!(above.rsplit('.').next(), Some("args" | "entry" | "exit"))
        {
            let experiment = || above.split('.').next().unwrap_or_default().to_owned();
            match leaf {
                "order" | "return_order" => number.kind = Kind::Order(experiment()),
                "time_ns" | "return_time_ns" => number.kind = Kind::Moment(experiment()),
                _ => {}
            }
        }
        typed
    }

    /// An address without a symbol.
    pub fn address(value: u64) -> Self {
        Typed::Address(Pointer {
            value,
            symbol: None,
        })
    }

    /// What it is, with its article, for complaints.
    pub fn kind(&self) -> String {
        match self {
            Typed::Bool(_) => "a truth value".into(),
            Typed::Number(number) => number.kind.name(),
            Typed::Address(_) => "an address".into(),
            Typed::Returned(error) if error.pointer => "an error in the place of a pointer".into(),
            Typed::Returned(_) => "an error in the place of an unsigned number".into(),
            Typed::Text(_) | Typed::Name(_) => "a text".into(),
            Typed::Bytes(_) => "bytes".into(),
            Typed::Version(_) => "a version".into(),
            Typed::Location(_) => "a place in the source".into(),
            Typed::Stack(_) => "a stack".into(),
            Typed::Cut(beginning) => beginning.kind().into(),
        }
    }
}

impl From<&Value> for Typed {
    fn from(value: &Value) -> Self {
        let named = |value: i128, kind: Kind, names: Vec<String>| {
            Typed::Number(Number {
                value,
                unsigned: value > i128::from(i64::MAX),
                kind,
                names,
            })
        };
        match value {
            Value::Address { value, symbol, .. } => match Returned::pointer(value.0) {
                Some(error) => Typed::Returned(error),
                None => Typed::Address(Pointer {
                    value: value.0,
                    symbol: symbol
                        .as_deref()
                        .and_then(crate::document::names::split)
                        .map(|(name, offset)| (name.to_owned(), offset)),
                }),
            },
            Value::Symbol {
                name,
                offset,
                address,
            } => Typed::Address(Pointer {
                value: address.0,
                symbol: Some((name.clone(), *offset)),
            }),
            Value::Int { value, .. } => Typed::number(value.get()),
            Value::Offset { value } => Typed::of_kind(value.get(), Kind::Offset),
            Value::Size { value } => Typed::of_kind(*value, Kind::Size),
            Value::Fd { value } => Typed::of_kind(*value, Kind::Fd),
            Value::Pid { value } => Typed::of_kind(*value, Kind::Pid),
            Value::Errno { value, name } => {
                let mut names = crate::constants::errno_names_of(value.unsigned_abs());
                names.retain(|other| other != name);
                names.insert(0, name.clone());
                named((*value).into(), Kind::Errno, names)
            }
            Value::Enum {
                value,
                type_name,
                name,
            } => named(
                value.get(),
                Kind::Enum(type_name.clone()),
                name.iter().cloned().collect(),
            ),
            // The names of flags are for readers: nothing holds them to the bits.
            Value::Flags { value, .. } => named(value.get(), Kind::Flags, Vec::new()),
            Value::Time { ns } => Typed::of_kind(*ns, Kind::Time),
            Value::Bool { value } => Typed::Bool(*value),
            Value::CutText { value, cut } => Typed::Cut(Beginning {
                kept: Kept::Text(value.clone()),
                cut: *cut,
            }),
            Value::CutBytes { value, cut } => Typed::Cut(Beginning {
                kept: Kept::Bytes(value.0.clone()),
                cut: *cut,
            }),
            Value::CutStack { value, cut } => Typed::Cut(Beginning {
                kept: Kept::Stack(value.clone()),
                cut: *cut,
            }),
            Value::Text { value } => Typed::Text(value.clone()),
            Value::Bytes { value } => Typed::Bytes(value.0.clone()),
            Value::Location { value } => Typed::Location(value.clone()),
            Value::Stack { value } => Typed::Stack(value.clone()),
        }
    }
}

/// How two values of the same kind compare; a failure if they are of different kinds.
pub(super) fn compare(a: &Typed, b: &Typed) -> Result<Ordering, Failure> {
    if matches!(a, Typed::Cut(_)) || matches!(b, Typed::Cut(_)) {
        return compare_cut(a, b);
    }
    Ok(match (a, b) {
        (Typed::Bool(a), Typed::Bool(b)) => a.cmp(b),
        (Typed::Text(a), Typed::Text(b)) => a.cmp(b),
        (Typed::Name(a), Typed::Name(b)) => compare_names(a, b),
        (Typed::Name(a), Typed::Text(b)) => compare_names(a, std::slice::from_ref(b)),
        (Typed::Text(a), Typed::Name(b)) => compare_names(std::slice::from_ref(a), b),
        (Typed::Returned(error), other) => error.compare(other)?,
        (other, Typed::Returned(error)) => error.compare(other)?.reverse(),
        (Typed::Bytes(a), Typed::Bytes(b)) => a.cmp(b),
        (Typed::Version(a), Typed::Version(b)) => compare_versions(a, b)?,
        (Typed::Address(a), Typed::Address(b)) => {
            let hidden = |p: &Pointer| Address(p.value).is_pseudonym();
            let same_form = hidden(a) == hidden(b);
            if !same_form && ![a, b].iter().any(|p| Pointer::cannot_be(p.value.into())) {
                return Err(withheld());
            }
            a.value.cmp(&b.value)
        }
        (Typed::Address(a), Typed::Number(n)) if is_bare_uint(n) => {
            if !Pointer::cannot_be(n.value) {
                a.number()?;
            }
            i128::from(a.value).cmp(&n.value)
        }
        (Typed::Number(n), Typed::Address(a)) if is_bare_uint(n) => {
            if !Pointer::cannot_be(n.value) {
                a.number()?;
            }
            n.value.cmp(&i128::from(a.value))
        }
        (Typed::Number(x), Typed::Number(y)) => {
            errno_as_address(x, y)?;
            common_kind(x, y)?;
            if x.kind == Kind::Errno
                && y.kind == Kind::Errno
                && x.value.signum() * y.value.signum() < 0
            {
                return Err(errno_signs());
            }
            if let (Kind::Enum(_), Kind::Enum(_), [a, ..], [b, ..]) =
                (&x.kind, &y.kind, &x.names[..], &y.names[..])
                && compare_names(&x.names, &y.names).is_eq() != (x.value == y.value)
            {
                return Err(Failure::kinds(
                    format!(
                        "`{a}` is {} and `{b}` is {}: the machines' kernels number them differently",
                        x.value, y.value
                    ),
                    Some("compare the names: `name(…) == '…'`".into()),
                ));
            }
            if let (Kind::Enum(type_name), Kind::Enum(_), [known, ..], [])
            | (Kind::Enum(type_name), Kind::Enum(_), [], [known, ..]) =
                (&x.kind, &y.kind, &x.names[..], &y.names[..])
                && x.value == y.value
            {
                return Err(Failure::Missing(format!(
                    "this machine's kernel has no name for {} of {type_name}, so whether it is `{known}` is not known",
                    x.value
                )));
            }
            x.value.cmp(&y.value)
        }
        (Typed::Location(_) | Typed::Stack(_), _) | (_, Typed::Location(_) | Typed::Stack(_)) => {
            return Err(incomparable(a, b));
        }
        _ => return Err(different(a, b)),
    })
}

/// The text that a value is, of a number with several names none.
pub(super) fn one_text(value: &Typed) -> Result<&str, Failure> {
    match value {
        Typed::Text(text) => Ok(text),
        Typed::Name(names) => match names.as_slice() {
            [only] => Ok(only),
            several => Err(several_names(several)),
        },
        other => Err(different(other, &Typed::Text(String::new()))),
    }
}

/// The failure where it matters which of its names a number is called by.
pub(super) fn several_names(names: &[String]) -> Failure {
    Failure::value(format!(
        "the number has several names, `{}`, of which not the same can be said: compare the whole name (`name(…) == '…'`)",
        names.join("` and `")
    ))
}

/// How what two numbers are called compares: they are called the same if they share one name.
fn compare_names(a: &[String], b: &[String]) -> Ordering {
    if a.iter().any(|name| b.contains(name)) {
        return Ordering::Equal;
    }
    a.first().cmp(&b.first())
}

/// Whether a value came back from the function: what it returned, or a read when it did.
fn comes_back(path: &str) -> bool {
    path.rsplit_once('.').is_some_and(|(above, leaf)| {
        let group = above.rsplit('.').next();
        group == Some("exit") || (leaf == "return" && !matches!(group, Some("args" | "entry")))
    })
}

/// The same where one of them was cut: only that they are different can be known.
fn compare_cut(a: &Typed, b: &Typed) -> Result<Ordering, Failure> {
    if let (Some(a), Some(b)) = (Seen::text(a), Seen::text(b)) {
        return cut::compare(&a, &b);
    }
    if let (Some(a), Some(b)) = (Seen::bytes(a), Seen::bytes(b)) {
        return cut::compare(&a, &b);
    }
    Err(match is_opaque(a) || is_opaque(b) {
        true => incomparable(a, b),
        false => different(a, b),
    })
}

/// Whether it is a place in the source or a stack, into which only functions look.
pub(super) fn is_opaque(typed: &Typed) -> bool {
    match typed {
        Typed::Location(_) | Typed::Stack(_) => true,
        Typed::Cut(beginning) => matches!(beginning.kept, Kept::Stack(_)),
        _ => false,
    }
}

/// The failure where one of them is a place in the source or a stack.
fn incomparable(a: &Typed, b: &Typed) -> Failure {
    Failure::kinds(
        format!("{} and {} cannot be compared", a.kind(), b.kind()),
        Some(
            "ask with `file(…)`, `line(…)`, `function_name(…)`, `on_stack(…)` or `calls(…)`".into(),
        ),
    )
}

/// The failure where one error number has the sign of the kernel and the other that of user space.
pub(super) fn errno_signs() -> Failure {
    Failure::kinds(
        "one error number is negative, as the kernel returns it, and the other positive".into(),
        Some("compare with `-EMFILE`, or take the positive number with `errno(…)`".into()),
    )
}

/// Whether a number is one written with `u` and nothing else.
pub(super) fn is_bare_uint(number: &Number) -> bool {
    number.unsigned && number.kind == Kind::Literal
}

/// The kind that two numbers share: equal kinds, or one of them of no particular kind.
pub(super) fn common_kind(a: &Number, b: &Number) -> Result<Kind, Failure> {
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

/// The failure for two values of different kinds.
pub(super) fn different(a: &Typed, b: &Typed) -> Failure {
    let help = match (a, b) {
        (Typed::Address(_), Typed::Number(_)) | (Typed::Number(_), Typed::Address(_)) => Some(
            "write an address with the suffix u (`0xffffffff81000000u`); the distance of two addresses is `delta(a, b)`"
                .into(),
        ),
        (Typed::Number(number), Typed::Text(_)) | (Typed::Text(_), Typed::Number(number))
            if !number.names.is_empty() =>
        {
            Some("its name is `name(…)`".into())
        }
        (Typed::Address(_), Typed::Text(_)) | (Typed::Text(_), Typed::Address(_)) => {
            Some("its symbol is `symbol_name(…)` or `symbol(…)`".into())
        }
        (Typed::Version(_), Typed::Text(_)) | (Typed::Text(_), Typed::Version(_)) => {
            Some("a version is compared with a version: `version('6.6')`".into())
        }
        _ => None,
    };
    Failure::kinds(
        format!("{} and {} are different things", a.kind(), b.kind()),
        help,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Check that versions compare by number, that a candidate is below its release, and that other text is none.
    #[test]
    fn versions() {
        let version = |text| Version::parse(text).unwrap();
        assert!(version("6.12") > version("6.6"));
        assert!(version("6.12.117+deb12-cloud-amd64") >= version("6.12.117"));
        assert!(version("6.1.0-56-cloud-amd64") < version("6.6"));
        assert!(version("6.7-rc3") < version("6.7"));
        assert!(version("6.7-rc10") > version("6.7-rc9"));
        assert_eq!(version("6.6"), version("6.6.0"));
        for bad in [
            "",
            "6",
            "six",
            "6..1",
            "6.1.2.3",
            "99999999999999999999.1",
            "-rc1",
            "6.1-rc",
        ] {
            assert_eq!(Version::parse(bad), None, "{bad}");
        }
    }
}

//! Comparison of values: only those of one kind compare.

use std::cmp::Ordering;

use crate::document::value::Address;

use super::cut::Prefix;
use super::error_value::ReturnedError;
use super::failure::Failure;
use super::number::{Kind, Number, common_kind, errno_sign_failure, is_bare_uint};
use super::partial::{self, Haystack};
use super::pointer::{Pointer, withheld_failure};
use super::typed::Typed;
use super::version::compare_versions;

/// The order of two values of the same kind; a failure if they are of different kinds.
pub(in crate::claim) fn compare(a: &Typed, b: &Typed) -> Result<Ordering, Failure> {
    if matches!(a, Typed::Cut(_)) || matches!(b, Typed::Cut(_)) {
        return compare_truncated(a, b);
    }
    Ok(match (a, b) {
        (Typed::Bool(a), Typed::Bool(b)) => a.cmp(b),
        (Typed::Text(a), Typed::Text(b)) => a.cmp(b),
        (Typed::Name(a), Typed::Name(b)) => compare_names(a, b),
        (Typed::Name(a), Typed::Text(b)) => compare_names(a, std::slice::from_ref(b)),
        (Typed::Text(a), Typed::Name(b)) => compare_names(std::slice::from_ref(a), b),
        (Typed::Returned(error), other) => compare_error(*error, other)?,
        (other, Typed::Returned(error)) => compare_error(*error, other)?.reverse(),
        (Typed::Bytes(a), Typed::Bytes(b)) => a.cmp(b),
        (Typed::Version(a), Typed::Version(b)) => compare_versions(a, b)?,
        (Typed::Address(a), Typed::Address(b)) => {
            let hidden = |p: &Pointer| Address(p.value).is_pseudonym();
            let same_form = hidden(a) == hidden(b);
            if !same_form && ![a, b].iter().any(|p| Pointer::cannot_be(p.value.into())) {
                return Err(withheld_failure());
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
            check_errno_as_address(x, y)?;
            common_kind(x, y)?;
            if x.kind == Kind::Errno
                && y.kind == Kind::Errno
                && x.value.signum() * y.value.signum() < 0
            {
                return Err(errno_sign_failure());
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
            return Err(incomparable_failure(a, b));
        }
        _ => return Err(kind_mismatch_failure(a, b)),
    })
}

/// The text that a value is; of what has several names, none.
pub(in crate::claim) fn one_text(value: &Typed) -> Result<&str, Failure> {
    match value {
        Typed::Text(text) => Ok(text),
        Typed::Name(names) => match names.as_slice() {
            [only] => Ok(only),
            several => Err(ambiguous_name_failure(several)),
        },
        other => Err(kind_mismatch_failure(other, &Typed::Text(String::new()))),
    }
}

/// The failure where it matters by which of its names a number or an address is called.
pub(in crate::claim) fn ambiguous_name_failure(names: &[String]) -> Failure {
    Failure::value(format!(
        "it has several names, `{}`, and this is true of some of them only: compare the whole name, with `==` or `!=`",
        names.join("` and `")
    ))
}

/// The comparison of the names of two numbers: they are called the same if they share one name.
fn compare_names(a: &[String], b: &[String]) -> Ordering {
    if a.iter().any(|name| b.contains(name)) {
        return Ordering::Equal;
    }
    a.first().cmp(&b.first())
}

/// The same where one of them was cut: only that they are different can be known.
fn compare_truncated(a: &Typed, b: &Typed) -> Result<Ordering, Failure> {
    if let (Some(a), Some(b)) = (Haystack::text(a), Haystack::text(b)) {
        return partial::compare(&a, &b);
    }
    if let (Some(a), Some(b)) = (Haystack::bytes(a), Haystack::bytes(b)) {
        return partial::compare(&a, &b);
    }
    Err(match is_opaque(a) || is_opaque(b) {
        true => incomparable_failure(a, b),
        false => kind_mismatch_failure(a, b),
    })
}

/// True if it is a place in the source or a stack, into which only functions look.
pub(in crate::claim) fn is_opaque(typed: &Typed) -> bool {
    match typed {
        Typed::Location(_) | Typed::Stack(_) => true,
        Typed::Cut(beginning) => matches!(beginning.prefix, Prefix::Stack(_)),
        _ => false,
    }
}

/// The failure where one of them is a place in the source or a stack.
fn incomparable_failure(a: &Typed, b: &Typed) -> Failure {
    Failure::kinds(
        format!("{} and {} cannot be compared", a.kind(), b.kind()),
        Some(
            "ask with `file(…)`, `line(…)`, `function_name(…)`, `on_stack(…)` or `calls(…)`".into(),
        ),
    )
}

/// The failure for two values of different kinds.
pub(in crate::claim) fn kind_mismatch_failure(a: &Typed, b: &Typed) -> Failure {
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
        (Typed::Bytes(_), Typed::Text(_)) | (Typed::Text(_), Typed::Bytes(_)) => {
            Some("bytes are written with a b before them: `b'hello\\x00'`".into())
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

/// Refuse to order two values if one of them is a pseudonym of an unknown address.
pub(in crate::claim) fn check_orderable(a: &Typed, b: &Typed) -> Result<(), Failure> {
    for side in [a, b] {
        match side {
            Typed::Address(pointer) => _ = pointer.number()?,
            Typed::Returned(error) => return Err(error.misread_failure()),
            _ => {}
        }
    }
    Ok(())
}

/// The comparison of an error with another value, if that is an error, too, or may be one.
fn compare_error(error: ReturnedError, other: &Typed) -> Result<Ordering, Failure> {
    match other {
        Typed::Returned(other) => Ok(error.negative_errno().cmp(&other.negative_errno())),
        Typed::Number(Number {
            value,
            kind: Kind::Errno,
            ..
        }) => match value {
            1.. => Err(errno_sign_failure()),
            value => Ok(error.negative_errno().cmp(value)),
        },
        Typed::Number(number) if is_bare_uint(number) => {
            match u64::try_from(number.value)
                .ok()
                .and_then(ReturnedError::from_pointer)
            {
                Some(_) => Ok(i128::from(error.bits).cmp(&number.value)),
                None => Err(error.misread_failure()),
            }
        }
        Typed::Number(Number {
            value,
            kind: Kind::Literal | Kind::Plain,
            ..
        }) if *value < 0 => Ok(error.negative_errno().cmp(value)),
        Typed::Number(_) | Typed::Address(_) => Err(error.misread_failure()),
        other => Err(kind_mismatch_failure(&Typed::Returned(error), other)),
    }
}

/// Refuse to compare an error that was returned with an address or an unsigned number: it would differ from each.
fn check_errno_as_address(a: &Number, b: &Number) -> Result<(), Failure> {
    let is_error = |number: &Number| number.kind == Kind::Errno && number.value < 0;
    let error = match (
        is_error(a) && is_bare_uint(b),
        is_error(b) && is_bare_uint(a),
    ) {
        (true, _) => a,
        (_, true) => b,
        _ => return Ok(()),
    };
    let errno = u32::try_from(-error.value).unwrap_or_default();
    let bits = u64::MAX - u64::from(errno) + 1;
    Err(ReturnedError {
        bits,
        errno,
        pointer: true,
    }
    .misread_failure())
}

//! Conversion of decoded bytes to typed values of the evidence.

use std::net::{IpAddr, Ipv4Addr};

use qed_evidence::constants::{constant_name, errno_name, flag_names};
use qed_evidence::investigation::ReadKind;
use qed_evidence::names::flag_bits;
use qed_evidence::value::{Address, Bytes, Datum, Integer, Value};

use super::names::Names;
use crate::plan::NumberNames;
use crate::plan::expr::DecodedValue;

/// The largest error number that a pointer can carry: `MAX_ERRNO`,
/// <https://elixir.bootlin.com/linux/v6.12/source/include/linux/err.h#L18>.
const MAX_ERRNO: i128 = 4095;

/// The error number that programs report of a pointer into
/// [`ProbeSpec::unmapped_start`](qed_collector_ebpf::ProbeSpec::unmapped_start).
const ENXIO: i32 = 6;
const INVALID_POINTER: &str = "a pointer on the way is a per-CPU pointer, which is not an address by itself, or leads into memory that the \
                       kernel has given back";

/// The reason for a read through a descriptor that had no file.
const NO_FILE: &str =
    "there is no file behind the descriptor: the call returned none, or it is not open";
/// The error of a read through such a descriptor.
const EBADF: i32 = 9;

/// The meaning of a number or pointer beyond its C type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NumberRole<'a> {
    /// A read; its author may have declared its kind.
    Read(Option<ReadKind>),
    /// A number with the names that its author declared.
    Named(&'a NumberNames),
    /// An argument of this name is a file descriptor.
    Descriptor,
    /// An argument.
    Argument,
    /// A return value: -4095 to -1 is an error.
    Return,
}

/// The names that the kernel gives arguments which hand a result on, such as `ret` of the tracepoint `sys_exit`.
const RESULTS: [&str; 4] = ["ret", "err", "error", "errno"];

/// The role of an argument by what its author said, or by its name: the kernel calls descriptors `fd`, and results `ret` or `error`.
pub fn argument_role<'a>(name: &str, names: Option<&'a NumberNames>) -> NumberRole<'a> {
    if let Some(names) = names {
        NumberRole::Named(names)
    } else if name == "fd" || name.ends_with("_fd") {
        NumberRole::Descriptor
    } else if RESULTS.contains(&name) {
        NumberRole::Return
    } else {
        NumberRole::Argument
    }
}

/// An error number with its sign.
pub fn errno_value(value: i32) -> Value {
    let name = errno_name(value.unsigned_abs())
        .unwrap_or_default()
        .into_owned();
    Value::Errno { value, name }
}

/// A pointer, with the symbol that it leads to.
pub fn pointer_value(address: u64, type_name: Option<String>, names: &dyn Names) -> Value {
    Value::Address {
        value: Address(address),
        symbol: names
            .symbol(address)
            .map(|(name, offset)| format!("{name}+{offset:#x}")),
        type_name,
    }
}

/// The value of what was decoded.
pub fn decoded_datum(decoded: DecodedValue, role: NumberRole<'_>, names: &dyn Names) -> Datum {
    let value = match decoded {
        DecodedValue::Unread { errno } => {
            let name = errno_name(errno.unsigned_abs()).unwrap_or_default();
            if errno == ENXIO {
                return Datum::unavailable(INVALID_POINTER);
            }
            if errno == EBADF {
                return Datum::unavailable(NO_FILE);
            }
            return Datum::unavailable(format!(
                "the kernel could not read it ({name}): a pointer on the way was NULL, bad, or a per-CPU pointer"
            ));
        }
        DecodedValue::Broken { reason } => {
            return Datum::unavailable(format!("its bytes make no sense: {reason}"));
        }
        DecodedValue::Pointer {
            address, type_name, ..
        } => {
            let signed = i128::from(address as i64);
            if role == NumberRole::Return && (-MAX_ERRNO..0).contains(&signed) {
                errno_value(signed as i32)
            } else {
                pointer_value(address, Some(type_name), names)
            }
        }
        DecodedValue::Int { value, type_name } => {
            return integer_datum(value, type_name, role, names);
        }
        DecodedValue::Bool(value) => Value::Bool { value },
        DecodedValue::Enum {
            value,
            name,
            type_name,
        } => match Integer::new(value) {
            Some(value) => Value::Enum {
                value,
                name,
                type_name,
            },
            None => return Datum::unavailable(format!("{value} is out of range")),
        },
        DecodedValue::Text { text, cut: None } => Value::Text { value: text },
        DecodedValue::Text {
            text,
            cut: Some(cut),
        } => Value::CutText { value: text, cut },
        DecodedValue::Bytes {
            bytes, cut: None, ..
        } if matches!(role, NumberRole::Read(Some(ReadKind::Ip))) => return ip_datum(&bytes),
        DecodedValue::Bytes {
            bytes, cut: None, ..
        } => Value::Bytes {
            value: Bytes(bytes),
        },
        DecodedValue::Bytes {
            bytes,
            cut: Some(cut),
            ..
        } => Value::CutBytes {
            value: Bytes(bytes),
            cut,
        },
    };
    Datum::Value(value)
}

/// The IP address in bytes as a packet has it.
fn ip_datum(bytes: &[u8]) -> Datum {
    let four = <[u8; 4]>::try_from(bytes).map(IpAddr::from);
    let sixteen = || <[u8; 16]>::try_from(bytes).map(IpAddr::from);
    match four.or_else(|_| sixteen()) {
        Ok(address) => Value::text(address.to_string()).into(),
        Err(_) => Datum::unavailable(format!(
            "an IP address has 4 or 16 bytes, and this has {}",
            bytes.len()
        )),
    }
}

fn integer_datum(value: i128, type_name: String, role: NumberRole<'_>, names: &dyn Names) -> Datum {
    let Some(exact) = Integer::new(value) else {
        return Datum::unavailable(format!("{value} is out of range"));
    };
    match role {
        NumberRole::Named(NumberNames::Constants(set)) => {
            return Value::Enum {
                value: exact,
                type_name: set.clone(),
                name: constant_name(set, value).map(str::to_owned),
            }
            .into();
        }
        NumberRole::Named(NumberNames::Flags { set, flags }) => {
            return Value::Flags {
                value: exact,
                set: Some(set.clone()),
                names: flag_names(set, flags, flag_bits(exact)),
            }
            .into();
        }
        _ => {}
    }
    // Of the register of a result whose type is not known.
    let typed = Some(type_name).filter(|name| !name.is_empty());
    let small = i32::try_from(value).ok();
    let kind = match role {
        NumberRole::Read(kind) => kind,
        NumberRole::Descriptor if small.is_some_and(|v| v >= 0) => Some(ReadKind::Fd),
        NumberRole::Return if (-MAX_ERRNO..0).contains(&value) => Some(ReadKind::Errno),
        _ => None,
    };
    let wrong = |what: &str| Datum::unavailable(format!("{value} is not a valid {what}"));
    match (kind, small) {
        (None, _) => Value::Int {
            value: exact,
            type_name: typed,
        }
        .into(),
        (Some(ReadKind::Fd), Some(value)) if value >= 0 => Value::Fd { value }.into(),
        (Some(ReadKind::Fd), _) => wrong("file descriptor"),
        (Some(ReadKind::Pid), Some(value)) if value >= 0 => Value::Pid { value }.into(),
        (Some(ReadKind::Pid), _) => wrong("process id"),
        (Some(ReadKind::Errno), Some(value)) if i128::from(value).abs() <= MAX_ERRNO => {
            errno_value(value).into()
        }
        (Some(ReadKind::Errno), _) => wrong("error number"),
        (Some(ReadKind::Size), _) => match u64::try_from(value) {
            Ok(value) => Value::Size { value }.into(),
            Err(_) => wrong("size"),
        },
        (Some(ReadKind::Address), _) => match u64::try_from(value) {
            Ok(address) => pointer_value(address, typed, names).into(),
            Err(_) => wrong("address"),
        },
        (Some(ReadKind::Ip), _) => match u32::try_from(value) {
            Ok(address) => Value::text(Ipv4Addr::from_bits(address).to_string()).into(),
            Err(_) => wrong("IPv4 address"),
        },
        (Some(ReadKind::Time), _) => match u64::try_from(value) {
            Ok(ns) => Value::Time { ns }.into(),
            Err(_) => wrong("time in nanoseconds"),
        },
        // A path of such a read has no number.
        (Some(ReadKind::Text), _) => wrong("text"),
        (Some(ReadKind::Offset), _) => Value::Offset { value: exact }.into(),
        (Some(ReadKind::Flags), _) => Value::Flags {
            value: exact,
            set: None,
            names: Vec::new(),
        }
        .into(),
    }
}

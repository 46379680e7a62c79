//! Typed values: what a leaf of the evidence can be.
//!
//! JSON numbers lose integers above 2^53 in many readers, so addresses are 16-digit `"0x…"` strings, and
//! integers beyond ±2^53 are decimal strings.

use std::fmt;

use super::missing::Missing;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use super::scalar::{Address, Bytes, Integer};

/// A place in the kernel's source. Which line it is, is said by `role`.
#[derive(
    Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(deny_unknown_fields)]
pub struct Location {
    /// Relative to the kernel tree: `net/socket.c`.
    pub file: String,
    /// Counted from 1.
    pub line: u32,
    /// The function that contains the line.
    pub function: String,
    /// The role of the line: the function is defined there, or makes a call.
    pub role: LineRole,
    /// The functions that the compiler inlined at this very place, from the one that contains the line
    /// outwards to the one that has an address of its own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub inlined_into: Vec<InlineFrame>,
}

/// The role of a line number of a [`Location`].
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum LineRole {
    /// The line where the function is defined.
    Definition,
    /// The line where the function makes the call in question.
    Call,
}

/// One caller of an inlined function.
#[derive(
    Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(deny_unknown_fields)]
pub struct InlineFrame {
    /// The calling function.
    pub function: String,
    /// Its file, relative to the kernel tree.
    pub file: String,
    /// The line of the inlined call in it.
    pub line: u32,
}

/// The facts about a value of which only the beginning was stored.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    JsonSchema,
)]
#[serde(deny_unknown_fields)]
pub struct Cut {
    /// Its whole length in bytes, where that is known. More than was kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub whole: Option<u64>,
}

/// One frame of a kernel stack.
#[derive(
    Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(deny_unknown_fields)]
pub struct Frame {
    /// The return address, or, for the innermost frame, the place of the hit.
    pub address: Address,
    /// The symbol that contains it, if it could be resolved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub symbol: Option<String>,
    /// Bytes from the start of `symbol`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offset: Option<u64>,
    /// The call's source line, if debug info was available.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub site: Option<Location>,
    /// The kernel was entered here, by an interrupt or an exception: what comes further out did not call this, it was
    /// interrupted.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub interrupts: bool,
}

/// A measured value with its type.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Value {
    /// A pointer.
    Address {
        /// The pointer itself.
        value: Address,
        /// C type, `struct socket *`.
        #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
        type_name: Option<String>,
        /// `symbol+0x0`, where the pointer leads into the kernel image.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        symbol: Option<String>,
    },
    /// A plain integer.
    Int {
        /// The integer.
        value: Integer,
        /// C type, `unsigned int`.
        #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
        type_name: Option<String>,
    },
    /// Yes or no.
    Bool {
        /// Yes or no.
        value: bool,
    },
    /// A distance in bytes, such as the KASLR slide or a member's place in its structure.
    Offset {
        /// Bytes; may be negative.
        value: Integer,
    },
    /// An amount of memory.
    Size {
        /// Bytes.
        value: u64,
    },
    /// A file descriptor.
    Fd {
        /// 0 or more.
        #[schemars(range(min = 0))]
        value: i32,
    },
    /// A process or thread id in the initial pid namespace.
    Pid {
        /// 0 (the idle task) or more.
        #[schemars(range(min = 0))]
        value: i32,
    },
    /// An error number, with the sign it was seen with: a kernel function returns -24, user space sees 24.
    /// 0 is "no error".
    Errno {
        /// The number.
        #[schemars(range(min = -4095, max = 4095))]
        value: i32,
        /// `EMFILE`; `OK` for 0.
        name: String,
    },
    /// A value of a C enumeration.
    Enum {
        /// The number.
        value: Integer,
        /// C type, `socket_state`.
        #[serde(rename = "type")]
        type_name: String,
        /// The enumerator, if the number has one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        name: Option<String>,
    },
    /// A set of bits.
    Flags {
        /// All bits together.
        value: Integer,
        /// The set that they are of, [`Names::flags`](super::names::Names::flags).
        #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
        set: Option<String>,
        /// Names of the bits that are set, and at the end the bits without one; none of a set that is not known.
        names: Vec<String>,
    },
    /// Raw memory.
    Bytes {
        /// The bytes, the lowest address first.
        value: Bytes,
    },
    /// Memory of which only the first bytes were stored. In JSON: `bytes` with `cut`.
    #[serde(rename = "bytes")]
    CutBytes {
        /// The bytes that were kept, the lowest address first.
        value: Bytes,
        /// The facts about the rest.
        cut: Cut,
    },
    /// Text, as it was; what was not UTF-8 is U+FFFD.
    Text {
        /// The text.
        value: String,
    },
    /// Text of which only the beginning was stored. In JSON: `text` with `cut`.
    #[serde(rename = "text")]
    CutText {
        /// The beginning, up to the last character that was kept whole.
        value: String,
        /// The facts about the rest.
        cut: Cut,
    },
    /// An address by its name.
    Symbol {
        /// The symbol.
        name: String,
        /// Bytes from its start.
        offset: u64,
        /// The address itself.
        address: Address,
    },
    /// A place in the source.
    Location {
        /// The place.
        value: Location,
    },
    /// A kernel stack, the innermost frame first.
    Stack {
        /// The frames.
        value: Vec<Frame>,
    },
    /// A kernel stack that is deeper than what was kept of it. In JSON: `stack` with `cut`.
    #[serde(rename = "stack")]
    CutStack {
        /// The innermost frames.
        value: Vec<Frame>,
        /// The facts about the rest: never its length.
        cut: Cut,
    },
    /// A duration or a time since boot.
    Time {
        /// Nanoseconds.
        ns: u64,
    },
}

/// The names of all kinds, as in JSON.
pub(crate) const KINDS: &[&str] = &[
    "address", "int", "bool", "offset", "size", "fd", "pid", "errno", "enum", "flags", "bytes",
    "text", "symbol", "location", "stack", "time",
];

impl Value {
    /// The name of the kind, as in JSON. What was cut has that of the whole.
    pub fn kind(&self) -> &'static str {
        match self {
            Value::Address { .. } => "address",
            Value::Int { .. } => "int",
            Value::Bool { .. } => "bool",
            Value::Offset { .. } => "offset",
            Value::Size { .. } => "size",
            Value::Fd { .. } => "fd",
            Value::Pid { .. } => "pid",
            Value::Errno { .. } => "errno",
            Value::Enum { .. } => "enum",
            Value::Flags { .. } => "flags",
            Value::Bytes { .. } | Value::CutBytes { .. } => "bytes",
            Value::Text { .. } | Value::CutText { .. } => "text",
            Value::Symbol { .. } => "symbol",
            Value::Location { .. } => "location",
            Value::Stack { .. } | Value::CutStack { .. } => "stack",
            Value::Time { .. } => "time",
        }
    }

    /// The place where the value was cut, in words: `cut after 63 bytes`. `None` of one that is whole.
    pub fn describe_cut(&self) -> Option<String> {
        let (retained, unit, cut) = match self {
            Value::CutText { value, cut } => (value.len(), "byte", cut),
            Value::CutBytes { value, cut } => (value.0.len(), "byte", cut),
            Value::CutStack { value, cut } => (value.len(), "frame", cut),
            _ => return None,
        };
        let plural = if retained == 1 { "" } else { "s" };
        Some(match cut.whole {
            Some(whole) => format!("cut after {retained} of {whole} {unit}s"),
            None => format!("cut after {retained} {unit}{plural}"),
        })
    }

    /// The numeric value, for the kinds that have one. Addresses and symbols do not count as numbers here.
    pub fn as_integer(&self) -> Option<i128> {
        match self {
            Value::Int { value, .. } | Value::Offset { value } => Some(value.get()),
            Value::Enum { value, .. } | Value::Flags { value, .. } => Some(value.get()),
            Value::Size { value } => Some((*value).into()),
            Value::Fd { value } | Value::Pid { value } | Value::Errno { value, .. } => {
                Some((*value).into())
            }
            Value::Time { ns } => Some((*ns).into()),
            _ => None,
        }
    }

    /// A plain integer without a C type.
    pub fn int(value: impl Into<i64>) -> Self {
        Value::Int {
            value: Integer::from(value.into()),
            type_name: None,
        }
    }

    /// Text.
    pub fn text(value: impl Into<String>) -> Self {
        Value::Text {
            value: value.into(),
        }
    }

    /// An untyped pointer.
    pub fn address(value: u64) -> Self {
        Value::Address {
            value: Address(value),
            type_name: None,
            symbol: None,
        }
    }
}

/// Bytes in pairs of hex digits.
fn write_bytes(f: &mut fmt::Formatter<'_>, bytes: &[u8]) -> fmt::Result {
    for (index, byte) in bytes.iter().enumerate() {
        let gap = if index == 0 { "" } else { " " };
        write!(f, "{gap}{byte:02x}")?;
    }
    Ok(())
}

/// The names of frames, or their addresses.
fn write_frames(f: &mut fmt::Formatter<'_>, frames: &[Frame]) -> fmt::Result {
    for (index, frame) in frames.iter().enumerate() {
        let gap = if index == 0 { "" } else { " < " };
        match &frame.symbol {
            Some(symbol) => write!(f, "{gap}{symbol}")?,
            None => write!(f, "{gap}{}", frame.address)?,
        }
    }
    Ok(())
}

impl Value {
    /// The mark after the stored part of a truncated value; empty for a complete one.
    pub fn cut_mark(&self) -> String {
        self.describe_cut()
            .map(|cut| format!("… ({cut})"))
            .unwrap_or_default()
    }
}

/// A number in hexadecimal, with a sign in the place of bits that its type may not have.
fn write_hexadecimal(f: &mut fmt::Formatter<'_>, number: i128) -> fmt::Result {
    let sign = if number < 0 { "-" } else { "" };
    write!(f, "{sign}{:#x}", number.unsigned_abs())
}

impl fmt::Display for Value {
    /// The plain text of the value, as a reader would write it. What was cut ends with its [mark](Value::cut_mark).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Address { value, .. } => value.fmt(f),
            Value::Int { value, .. } => value.fmt(f),
            Value::Bool { value } => value.fmt(f),
            Value::Offset { value } => write_hexadecimal(f, value.get()),
            Value::Size { value } => value.fmt(f),
            Value::Fd { value } | Value::Pid { value } => value.fmt(f),
            Value::Errno { value: 0, name } => f.write_str(name),
            Value::Errno { value, name } if *value < 0 => write!(f, "-{name}"),
            Value::Errno { name, .. } => f.write_str(name),
            Value::Enum {
                name: Some(name), ..
            } => f.write_str(name),
            Value::Enum { value, .. } => value.fmt(f),
            Value::Flags { value, names, .. } if names.is_empty() => {
                write_hexadecimal(f, value.get())
            }
            Value::Flags { names, .. } => f.write_str(&names.join("|")),
            Value::Bytes { value } => write_bytes(f, &value.0),
            Value::CutBytes { value, .. } => {
                write_bytes(f, &value.0)?;
                f.write_str(&self.cut_mark())
            }
            Value::CutText { value, .. } => {
                f.write_str(value)?;
                f.write_str(&self.cut_mark())
            }
            Value::Text { value } => f.write_str(value),
            Value::Symbol { name, offset, .. } => write!(f, "{name}+{offset:#x}"),
            Value::Location { value } => write!(f, "{}:{}", value.file, value.line),
            Value::Stack { value } => write_frames(f, value),
            Value::CutStack { value, .. } => {
                write_frames(f, value)?;
                f.write_str(&self.cut_mark())
            }
            Value::Time { ns } => write!(f, "{ns} ns"),
        }
    }
}

/// A leaf of the evidence: a value, or the reason why this machine could not deliver it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum Datum {
    /// Measured.
    Value(Value),
    /// No value, with the reason.
    Missing(Missing),
}

impl Datum {
    /// A datum that could not be delivered.
    pub fn unavailable(reason: impl Into<String>) -> Self {
        Datum::Missing(Missing::Unavailable(reason.into()))
    }

    /// A datum that a live machine does not tell.
    pub fn withheld(reason: impl Into<String>) -> Self {
        Datum::Missing(Missing::Withheld(reason.into()))
    }

    /// The value, if there is one.
    pub fn value(&self) -> Option<&Value> {
        match self {
            Datum::Value(value) => Some(value),
            Datum::Missing(_) => None,
        }
    }
}

impl From<Value> for Datum {
    fn from(value: Value) -> Self {
        Datum::Value(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Check that a negative number is written with its sign, and not with the bits of a wider type.
    #[test]
    fn signs_in_hexadecimal() {
        let exact = |value: i128| Integer::new(value).unwrap();
        for (number, wanted) in [
            (-0x7fdf_fffd, "-0x7fdffffd"),
            (-5, "-0x5"),
            (0x8020_0003, "0x80200003"),
            (0, "0x0"),
        ] {
            let value = exact(number);
            let flags = Value::Flags {
                value,
                set: None,
                names: Vec::new(),
            };
            assert_eq!(flags.to_string(), wanted);
            assert_eq!(Value::Offset { value }.to_string(), wanted);
        }
    }
}

//! Typed values during the evaluation of a claim: exact integers with their units, so that values of different units are never
//! compared.

use crate::document::fields::{Form, leaf_rule};
use crate::document::names::Names;
use crate::document::value::{Frame, Location, Value};
use crate::path::split_path;

use super::cut::{Prefix, TruncatedValue};
use super::error_value::ReturnedError;
use super::number::{Kind, Number};
use super::pointer::Pointer;
use super::version::Version;

/// A value while a claim is evaluated.
#[derive(Clone, Debug)]
pub(in crate::claim) enum Typed {
    Bool(bool),
    Number(Number),
    Address(Pointer),
    /// An error in the place of a pointer or of an unsigned number.
    Returned(ReturnedError),
    Text(String),
    /// The names of a number or an address: never empty, the usual name first. Each can have several.
    Name(Vec<String>),
    Bytes(Vec<u8>),
    Version(Version),
    Location(Location),
    Stack(Vec<Frame>),
    /// Text, bytes or a stack of which only the beginning was stored.
    Cut(TruncatedValue),
}

impl Typed {
    /// A plain number.
    pub fn number(value: impl Into<i128>) -> Self {
        Typed::number_of_kind(value, Kind::Plain)
    }

    /// A number of this kind; a CEL `uint` only where it does not fit an `int`.
    pub fn number_of_kind(value: impl Into<i128>, kind: Kind) -> Self {
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
    pub fn from_leaf(path: &str, value: &Value, names: &Names) -> Self {
        let mut typed = Typed::from(value);
        match (&mut typed, value) {
            (Typed::Number(number), Value::Enum { type_name, .. }) if !number.names.is_empty() => {
                let others: Vec<String> = names
                    .other_names_of_value(type_name, &number.names[0], number.value)
                    .collect();
                number.names.extend(others);
            }
            (Typed::Number(_), _) if is_from_exit(path) => {
                if let Some(error) = ReturnedError::from_number(value, names) {
                    return Typed::Returned(error);
                }
            }
            _ => {}
        }
        if let (Typed::Number(number), Some(rule)) = (&mut typed, leaf_rule(path)) {
            let experiment = || split_path(path).next().unwrap_or_default().to_owned();
            match rule.form {
                Form::Order => number.kind = Kind::Order(experiment()),
                Form::Moment => number.kind = Kind::Moment(experiment()),
                // A difference of times that can be negative is an integer in the index.
                Form::Time => number.kind = Kind::Time,
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

    /// Its kind with an article, for complaints.
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
            Value::Address { value, symbol, .. } => match ReturnedError::from_pointer(value.0) {
                Some(error) => Typed::Returned(error),
                None => Typed::Address(Pointer {
                    value: value.0,
                    symbol: symbol
                        .as_deref()
                        .and_then(crate::document::names::split_symbol_offset)
                        .map(|(name, offset)| (vec![name.to_owned()], offset)),
                }),
            },
            Value::Symbol {
                name,
                offset,
                address,
            } => Typed::Address(Pointer {
                value: address.0,
                symbol: Some((vec![name.clone()], *offset)),
            }),
            Value::Int { value, .. } => Typed::number(value.get()),
            Value::Offset { value } => Typed::number_of_kind(value.get(), Kind::Offset),
            Value::Size { value } => Typed::number_of_kind(*value, Kind::Size),
            Value::Fd { value } => Typed::number_of_kind(*value, Kind::Fd),
            Value::Pid { value } => Typed::number_of_kind(*value, Kind::Pid),
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
            // A claim asks for bits, with `mask`: the names of all of them together are for readers.
            Value::Flags { value, .. } => named(value.get(), Kind::Flags, Vec::new()),
            Value::Time { ns } => Typed::number_of_kind(*ns, Kind::Time),
            Value::Bool { value } => Typed::Bool(*value),
            Value::CutText { value, cut } => Typed::Cut(TruncatedValue {
                prefix: Prefix::Text(value.clone()),
                cut: *cut,
            }),
            Value::CutBytes { value, cut } => Typed::Cut(TruncatedValue {
                prefix: Prefix::Bytes(value.0.clone()),
                cut: *cut,
            }),
            Value::CutStack { value, cut } => Typed::Cut(TruncatedValue {
                prefix: Prefix::Stack(value.clone()),
                cut: *cut,
            }),
            Value::Text { value } => Typed::Text(value.clone()),
            Value::Bytes { value } => Typed::Bytes(value.0.clone()),
            Value::Location { value } => Typed::Location(value.clone()),
            Value::Stack { value } => Typed::Stack(value.clone()),
        }
    }
}

/// True if a value is from the function's exit: its result, or a read there.
fn is_from_exit(path: &str) -> bool {
    path.rsplit_once('.').is_some_and(|(above, leaf)| {
        let group = above.rsplit('.').next();
        group == Some("exit") || (leaf == "return" && !matches!(group, Some("args" | "entry")))
    })
}

//! Strict deserialization of values without buffering them whole, as derived code would.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};

use super::missing::Missing;
use super::value::{Address, Bytes, Cut, Datum, Frame, Integer, Location, Value};

/// The fields of all kinds of values.
#[derive(serde::Deserialize)]
#[serde(field_identifier, rename_all = "snake_case")]
enum Key {
    Kind,
    Value,
    Type,
    Symbol,
    Name,
    Names,
    Offset,
    Address,
    Ns,
    Cut,
    Unavailable,
    Withheld,
}

/// The kinds of values, as in JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    Address,
    Int,
    Bool,
    Offset,
    Size,
    Fd,
    Pid,
    Errno,
    Enum,
    Flags,
    Bytes,
    Text,
    Symbol,
    Location,
    Stack,
    Time,
}

/// The content of `value`; its form depends on the kind.
enum Payload {
    Address(Address),
    Integer(Integer),
    Bool(bool),
    Unsigned(u64),
    Small(i32),
    Bytes(Bytes),
    Text(String),
    Location(Location),
    Stack(Vec<Frame>),
}

/// The fields of a datum as they come by.
#[derive(Default)]
struct Fields {
    kind: Option<Kind>,
    payload: Option<Payload>,
    type_name: Option<String>,
    symbol: Option<String>,
    name: Option<String>,
    names: Option<Vec<String>>,
    offset: Option<u64>,
    address: Option<Address>,
    ns: Option<u64>,
    cut: Option<Cut>,
    unavailable: Option<String>,
    withheld: Option<String>,
}

/// Fill a slot; a field that comes twice is an error.
fn read_once<'de, A: MapAccess<'de>, T: Deserialize<'de>>(
    slot: &mut Option<T>,
    name: &'static str,
    access: &mut A,
) -> Result<(), A::Error> {
    if slot.is_some() {
        return Err(A::Error::duplicate_field(name));
    }
    *slot = Some(access.next_value()?);
    Ok(())
}

struct DatumVisitor;

impl<'de> Visitor<'de> for DatumVisitor {
    type Value = Datum;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value with its `kind`, or the reason why it is `unavailable`")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Datum, A::Error> {
        let mut fields = Fields::default();
        while let Some(field) = access.next_key::<Key>()? {
            match field {
                Key::Kind => read_once(&mut fields.kind, "kind", &mut access)?,
                Key::Value => {
                    if fields.payload.is_some() {
                        return Err(A::Error::duplicate_field("value"));
                    }
                    fields.payload = Some(read_payload(fields.kind, &mut access)?);
                }
                Key::Type => read_once(&mut fields.type_name, "type", &mut access)?,
                Key::Symbol => read_once(&mut fields.symbol, "symbol", &mut access)?,
                Key::Name => read_once(&mut fields.name, "name", &mut access)?,
                Key::Names => read_once(&mut fields.names, "names", &mut access)?,
                Key::Offset => read_once(&mut fields.offset, "offset", &mut access)?,
                Key::Address => read_once(&mut fields.address, "address", &mut access)?,
                Key::Ns => read_once(&mut fields.ns, "ns", &mut access)?,
                Key::Cut => read_once(&mut fields.cut, "cut", &mut access)?,
                Key::Unavailable => read_once(&mut fields.unavailable, "unavailable", &mut access)?,
                Key::Withheld => read_once(&mut fields.withheld, "withheld", &mut access)?,
            }
        }
        let datum = fields.build()?;
        if let Datum::Value(value) = &datum {
            value.validate().map_err(A::Error::custom)?;
        }
        Ok(datum)
    }
}

fn read_payload<'de, A: MapAccess<'de>>(
    kind: Option<Kind>,
    access: &mut A,
) -> Result<Payload, A::Error> {
    let Some(kind) = kind else {
        return Err(A::Error::custom("`kind` has to stand before `value`"));
    };
    Ok(match kind {
        Kind::Address => Payload::Address(access.next_value()?),
        Kind::Int | Kind::Offset | Kind::Enum | Kind::Flags => {
            Payload::Integer(access.next_value()?)
        }
        Kind::Bool => Payload::Bool(access.next_value()?),
        Kind::Size => Payload::Unsigned(access.next_value()?),
        Kind::Fd | Kind::Pid | Kind::Errno => Payload::Small(access.next_value()?),
        Kind::Bytes => Payload::Bytes(access.next_value()?),
        Kind::Text => Payload::Text(access.next_value()?),
        Kind::Location => Payload::Location(access.next_value()?),
        Kind::Stack => Payload::Stack(access.next_value()?),
        Kind::Symbol | Kind::Time => {
            return Err(A::Error::custom("unknown field `value` for this kind"));
        }
    })
}

impl Fields {
    fn build<E: Error>(mut self) -> Result<Datum, E> {
        let Some(kind) = self.kind else {
            let missing = match (self.unavailable.take(), self.withheld.take()) {
                // Evidence of the first collectors says of a withheld value that it is unavailable, and why in its text.
                (Some(reason), None) => Missing::from_text(&reason),
                (None, Some(reason)) => Missing::Withheld(reason),
                (Some(_), Some(_)) => {
                    return Err(E::custom(
                        "unknown field `withheld` for an unavailable value",
                    ));
                }
                (None, None) => return Err(E::custom("neither `kind` nor `unavailable`")),
            };
            self.refuse_leftover_fields("an unavailable value")?;
            return Ok(Datum::Missing(missing));
        };
        let value = match (kind, self.payload.take()) {
            (Kind::Address, Some(Payload::Address(value))) => Value::Address {
                value,
                type_name: self.type_name.take(),
                symbol: self.symbol.take(),
            },
            (Kind::Int, Some(Payload::Integer(value))) => Value::Int {
                value,
                type_name: self.type_name.take(),
            },
            (Kind::Bool, Some(Payload::Bool(value))) => Value::Bool { value },
            (Kind::Offset, Some(Payload::Integer(value))) => Value::Offset { value },
            (Kind::Size, Some(Payload::Unsigned(value))) => Value::Size { value },
            (Kind::Fd, Some(Payload::Small(value))) => Value::Fd { value },
            (Kind::Pid, Some(Payload::Small(value))) => Value::Pid { value },
            (Kind::Errno, Some(Payload::Small(value))) => Value::Errno {
                value,
                name: require(self.name.take(), "name")?,
            },
            (Kind::Enum, Some(Payload::Integer(value))) => Value::Enum {
                value,
                type_name: require(self.type_name.take(), "type")?,
                name: self.name.take(),
            },
            (Kind::Flags, Some(Payload::Integer(value))) => Value::Flags {
                value,
                set: self.type_name.take(),
                names: require(self.names.take(), "names")?,
            },
            (Kind::Bytes, Some(Payload::Bytes(value))) => match self.cut.take() {
                Some(cut) => Value::CutBytes { value, cut },
                None => Value::Bytes { value },
            },
            (Kind::Text, Some(Payload::Text(value))) => match self.cut.take() {
                Some(cut) => Value::CutText { value, cut },
                None => Value::Text { value },
            },
            (Kind::Location, Some(Payload::Location(value))) => Value::Location { value },
            (Kind::Stack, Some(Payload::Stack(value))) => match self.cut.take() {
                Some(cut) => Value::CutStack { value, cut },
                None => Value::Stack { value },
            },
            (Kind::Symbol, _) => Value::Symbol {
                name: require(self.name.take(), "name")?,
                offset: require(self.offset.take(), "offset")?,
                address: require(self.address.take(), "address")?,
            },
            (Kind::Time, _) => Value::Time {
                ns: require(self.ns.take(), "ns")?,
            },
            _ => return Err(E::missing_field("value")),
        };
        self.refuse_leftover_fields(value.kind())?;
        Ok(Datum::Value(value))
    }

    /// Refuse fields that exist, but not for this kind.
    fn refuse_leftover_fields<E: Error>(&self, what: &str) -> Result<(), E> {
        let left = [
            ("type", self.type_name.is_some()),
            ("symbol", self.symbol.is_some()),
            ("name", self.name.is_some()),
            ("names", self.names.is_some()),
            ("offset", self.offset.is_some()),
            ("address", self.address.is_some()),
            ("ns", self.ns.is_some()),
            ("cut", self.cut.is_some()),
            ("unavailable", self.unavailable.is_some()),
            ("withheld", self.withheld.is_some()),
            ("value", self.payload.is_some()),
        ];
        match left.iter().find(|(_, is_left)| *is_left) {
            Some((name, _)) => Err(E::custom(format_args!("unknown field `{name}` for {what}"))),
            None => Ok(()),
        }
    }
}

fn require<T, E: Error>(slot: Option<T>, name: &'static str) -> Result<T, E> {
    slot.ok_or_else(|| E::missing_field(name))
}

impl<'de> Deserialize<'de> for Datum {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(DatumVisitor)
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Datum::deserialize(deserializer)? {
            Datum::Value(value) => Ok(value),
            Datum::Missing(_) => Err(D::Error::custom("a value is needed here, not a reason")),
        }
    }
}

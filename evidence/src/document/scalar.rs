//! Addresses, integers and bytes, which are written in JSON so that no reader loses a digit of them.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A kernel or user virtual address. In JSON: a string of `0x` and exactly 16 lower-case hex digits. Or a pseudonym,
/// which stands for an address that must not be known: `pointer#` and a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, JsonSchema)]
#[schemars(with = "String", extend("pattern" = "^(0x[0-9a-f]{16}|pointer#[1-9][0-9]{0,9})$"))]
pub struct Address(pub u64);

/// The upper half of every pseudonym. No address of x86-64 looks like this (its highest bits would be equal, with
/// five-level page tables the highest eight), and a random number does so once in 2^32, such as an address that arm64 signed.
const PSEUDONYM: u64 = 0x5ec2_e700;

impl Address {
    /// The stand-in with this number.
    pub fn pseudonym(number: u32) -> Self {
        Address(PSEUDONYM << 32 | u64::from(number))
    }

    /// True if it stands for an address that must not be known. Two of them in one document can only be compared for equality.
    pub fn is_pseudonym(self) -> bool {
        self.0 >> 32 == PSEUDONYM
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_pseudonym() {
            write!(f, "pointer#{}", self.0 & u64::from(u32::MAX))
        } else {
            write!(f, "{:#018x}", self.0)
        }
    }
}

impl Address {
    /// The address in this text, if it is one. There is no error, because most texts are not addresses.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        if let Some(number) = text.strip_prefix("pointer#") {
            return number
                .parse()
                .ok()
                .filter(|n: &u32| *n > 0 && n.to_string() == number)
                .map(Address::pseudonym);
        }
        let digits = text.strip_prefix("0x").filter(|digits| {
            digits.len() == 16
                && digits
                    .bytes()
                    .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
        })?;
        u64::from_str_radix(digits, 16).ok().map(Address)
    }
}

/// A text that is not an [`Address`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// A text that begins as a pseudonym does.
    #[error("`{0}` is not a pointer's pseudonym")]
    Pseudonym(String),
    /// Any other text.
    #[error("`{0}` is not an address: expected 0x and 16 lower-case hex digits")]
    Address(String),
}

impl std::str::FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        Address::parse(text).ok_or_else(|| match text.starts_with("pointer#") {
            true => AddressError::Pseudonym(text.into()),
            false => AddressError::Address(text.into()),
        })
    }
}

impl Serialize for Address {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Address {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        crate::document::de::parse_text(deserializer, "an address", str::parse)
    }
}

/// The largest magnitude that every JSON reader keeps exactly (2^53).
const EXACT_IN_JSON: i128 = 1 << 53;

/// An integer between `i64::MIN` and `u64::MAX`. In JSON: a number, beyond ±2^53 a decimal string.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, JsonSchema)]
#[schemars(with = "IntegerShape")]
pub struct Integer(i128);

/// The form of [`Integer`] in JSON, for the schema.
#[derive(JsonSchema)]
#[serde(untagged)]
#[allow(dead_code, reason = "only its schema is used")]
enum IntegerShape {
    Number(i64),
    Text(#[schemars(extend("pattern" = "^-?[1-9][0-9]{15,19}$"))] String),
}

impl Integer {
    /// The integer, or `None` outside `i64::MIN..=u64::MAX`.
    pub fn new(value: i128) -> Option<Self> {
        (i128::from(i64::MIN)..=i128::from(u64::MAX))
            .contains(&value)
            .then_some(Self(value))
    }

    /// Its value.
    pub fn get(self) -> i128 {
        self.0
    }
}

impl From<i64> for Integer {
    fn from(value: i64) -> Self {
        Self(value.into())
    }
}

impl From<u64> for Integer {
    fn from(value: u64) -> Self {
        Self(value.into())
    }
}

impl fmt::Display for Integer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Serialize for Integer {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match i64::try_from(self.0) {
            Ok(value) if self.0.abs() <= EXACT_IN_JSON => serializer.serialize_i64(value),
            _ => serializer.collect_str(&self.0),
        }
    }
}

impl<'de> Deserialize<'de> for Integer {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = Integer;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an integer, beyond 2^53 as a decimal string")
            }

            fn visit_i64<E: de::Error>(self, value: i64) -> Result<Integer, E> {
                self.visit_i128(value.into())
            }

            fn visit_u64<E: de::Error>(self, value: u64) -> Result<Integer, E> {
                self.visit_i128(value.into())
            }

            fn visit_i128<E: de::Error>(self, value: i128) -> Result<Integer, E> {
                if value.abs() > EXACT_IN_JSON {
                    return Err(E::custom(format!(
                        "integer {value} is beyond 2^53 and must be a decimal string"
                    )));
                }
                Ok(Integer(value))
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Integer, E> {
                let value = text
                    .parse::<i128>()
                    .ok()
                    .filter(|value| value.to_string() == text)
                    .ok_or_else(|| E::custom(format!("`{text}` is not a decimal integer")))?;
                Integer::new(value)
                    .filter(|_| value.abs() > EXACT_IN_JSON)
                    .ok_or_else(|| {
                        E::custom(format!("integer `{text}` is out of range for a string"))
                    })
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

/// Bytes, in JSON as lower-case hex digits without separators.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, JsonSchema)]
#[schemars(with = "String", extend("pattern" = "^([0-9a-f]{2})*$"))]
pub struct Bytes(pub Vec<u8>);

/// A text that is not [`Bytes`].
#[derive(Debug, thiserror::Error)]
enum BytesError {
    #[error("bytes must be lower-case hex")]
    Capital,
    #[error("bytes `{text}`: {error}")]
    Hex {
        text: String,
        error: hex::FromHexError,
    },
}

impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&hex::encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        crate::document::de::parse_text(deserializer, "bytes as lower-case hex", |text| {
            if text.bytes().any(|b| b.is_ascii_uppercase()) {
                return Err(BytesError::Capital);
            }
            hex::decode(text)
                .map(Bytes)
                .map_err(|error| BytesError::Hex {
                    text: text.into(),
                    error,
                })
        })
    }
}

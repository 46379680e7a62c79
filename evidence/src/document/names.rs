//! The meaning of the names in a document.
//!
//! An address can be stored with its symbol, and a number with its enumerator. Such a pair states the same fact twice, and a
//! claim may read either half. So that one half cannot change without the other, the document contains the tables that the
//! names were taken from, and every pair is checked against them: when a document is read, and again when a claim is judged.

use std::collections::BTreeMap;
use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::probe::Width;
use super::value::{Address, Integer, Value};
use crate::constants::{Flag, constant_aliases, constant_number, flag_names};

/// The tables behind the names of a document.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Names {
    /// The symbols of the running kernel that the document names, by ascending address. They do not overlap.
    pub symbols: Vec<Symbol>,
    /// The enumerations that the document's values are of, by C type: each enumerator's number.
    #[serde(deserialize_with = "crate::document::de::map_of_maps")]
    pub enums: BTreeMap<String, BTreeMap<String, Integer>>,
    /// The C integer types of the document's values. One that is not listed is not known; the first collectors listed none.
    #[serde(
        default,
        deserialize_with = "crate::document::de::unique_map",
        skip_serializing_if = "BTreeMap::is_empty"
    )]
    pub integers: BTreeMap<String, IntegerType>,
    /// The sets of flags that the document's values are of: the names in the order in which they are looked for.
    #[serde(
        default,
        deserialize_with = "crate::document::de::unique_map",
        skip_serializing_if = "BTreeMap::is_empty"
    )]
    pub flags: BTreeMap<String, Vec<Flag>>,
}

/// The range of a C integer type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct IntegerType {
    /// Bytes.
    #[schemars(range(min = 1, max = 16))]
    pub size: u8,
    /// True if it has negative values.
    pub signed: bool,
}

impl fmt::Display for IntegerType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.signed { "signed" } else { "unsigned" };
        write!(f, "{} bytes and is {sign}", self.size)
    }
}

impl IntegerType {
    /// True if a value of this type can be `number`.
    pub fn holds(self, number: i128) -> bool {
        let width = Width {
            bits: u32::from(self.size) * 8,
            signed: self.signed,
        };
        width.holds(number)
    }
}

/// A symbol of the running kernel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Symbol {
    /// Its live address.
    pub address: Address,
    /// Bytes that belong to it: up to where the kernel's next symbol begins, or as far as it can reach.
    pub size: u64,
    /// Its name. Static functions of several files may share one.
    pub name: String,
}

impl Symbol {
    /// The bytes from its start to `address`, if that belongs to it.
    fn offset(&self, address: u64) -> Option<u64> {
        address
            .checked_sub(self.address.0)
            .filter(|offset| *offset < self.size)
    }
}

/// A name that is not that of its number, by the tables of the document.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// A symbol that is not written as the collector writes it.
    #[error("`{0}` is not a symbol: expected `name+0x` and hex digits")]
    Symbol(String),
    /// An address of another symbol.
    #[error(
        "{address} is `{symbol}+{from:#x}` by this document's symbols, not `{name}+{offset:#x}`"
    )]
    OtherSymbol {
        /// The address.
        address: Address,
        /// Its symbol.
        symbol: String,
        /// Bytes from the start of that.
        from: u64,
        /// The symbol that it was given.
        name: String,
        /// Bytes from the start of that.
        offset: u64,
    },
    /// An address of no symbol.
    #[error("{address} belongs to no symbol of this document, so it is not `{name}+{offset:#x}`")]
    NoSymbol {
        /// The address.
        address: Address,
        /// The symbol that it was given.
        name: String,
        /// Bytes from the start of that.
        offset: u64,
    },
    /// The name of another number.
    #[error("`{name}` of {type_name} is {number} in this document, not {value}")]
    Enumerator {
        /// C type.
        type_name: String,
        /// The enumerator.
        name: String,
        /// The number that it was given.
        value: Integer,
        /// Its number.
        number: Integer,
    },
    /// An enumerator that the tables do not have.
    #[error("this document knows no `{name}` of {type_name}, so {value} cannot be it")]
    NoEnumerator {
        /// C type.
        type_name: String,
        /// The enumerator.
        name: String,
        /// The number that it was given.
        value: Integer,
    },
    /// A number beyond its C type.
    #[error("{value} is not in {type_name}: in this document that has {known}")]
    Integer {
        /// C type.
        type_name: String,
        /// The number.
        value: Integer,
        /// The range of the type, by the tables.
        known: IntegerType,
    },
    /// Names of other flags, or of flags of a set that the tables do not have.
    #[error("{value} of the flags `{set}` is {} in this document, not {}", format_flag_names(.known), format_flag_names(.names))]
    Flags {
        /// The set.
        set: String,
        /// All bits together.
        value: Integer,
        /// Their names, by the tables; `None`: these do not have the set.
        known: Option<Vec<String>>,
        /// The names that they were given.
        names: Option<Vec<String>>,
    },
    /// A frame in a symbol without a place in it.
    #[error("the frame in `{0}` does not say where in it")]
    FrameOffset(String),
    /// A frame with a place in no symbol.
    #[error("the frame at {0} has an offset from no symbol")]
    FrameSymbol(Address),
}

/// Names of flags as a message shows them.
fn format_flag_names(names: &Option<Vec<String>>) -> String {
    match names {
        Some(names) => format!("`{}`", names.join("|")),
        None => "unknown".into(),
    }
}

/// The reasons why a symbol cannot be at its place in the table.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SymbolError {
    /// A range without bytes.
    #[error("symbol `{0}` has no bytes")]
    Empty(String),
    /// A range that begins before the end of the previous one.
    #[error("symbol `{0}` begins before the one ahead of it ends")]
    Overlap(String),
    /// A range that extends beyond the end of the address space.
    #[error("symbol `{0}` ends behind all addresses")]
    End(String),
}

impl Names {
    /// The symbol that an address belongs to, and the bytes from its start.
    pub fn symbol(&self, address: u64) -> Option<(&Symbol, u64)> {
        let after = self
            .symbols
            .partition_point(|symbol| symbol.address.0 <= address);
        let symbol = self.symbols.get(after.checked_sub(1)?)?;
        Some((symbol, symbol.offset(address)?))
    }

    /// The other names of a number of an enumeration.
    pub fn other_names_of_value<'n>(
        &'n self,
        type_name: &str,
        name: &'n str,
        number: i128,
    ) -> impl Iterator<Item = String> + use<'n> {
        let list = self.enums.get(type_name).into_iter().flatten();
        let known = list.map(|(other, known)| (other.as_str(), known.get()));
        // The table of a set of constants has one name for each number.
        let set = match constant_number(type_name, name) == Some(number) {
            true => type_name,
            false => "",
        };
        known
            .filter(move |(_, known)| *known == number)
            .map(|(other, _)| other)
            .chain(constant_aliases(set, number).map(|other| -> &'n str { other }))
            .filter(move |other| *other != name)
            .map(str::to_owned)
    }

    /// The first symbol that the table of symbols cannot hold: its index, and the reason.
    pub fn first_misplaced_symbol(&self) -> Option<(usize, SymbolError)> {
        let mut free = Some(0);
        for (index, symbol) in self.symbols.iter().enumerate() {
            let start = symbol.address.0;
            if symbol.size == 0 {
                return Some((index, SymbolError::Empty(symbol.name.clone())));
            }
            if free.is_none_or(|free| start < free) {
                return Some((index, SymbolError::Overlap(symbol.name.clone())));
            }
            // `None`: it ends where the addresses end, and nothing can follow.
            free = match start.checked_add(symbol.size - 1) {
                Some(last) => last.checked_add(1),
                None => return Some((index, SymbolError::End(symbol.name.clone()))),
            };
        }
        None
    }

    /// Check that the names in a value belong to its numbers.
    ///
    /// # Errors
    /// [`NameError`] says what contradicts what.
    pub fn check(&self, value: &Value) -> Result<(), NameError> {
        match value {
            Value::Address {
                value,
                symbol: Some(text),
                ..
            } => match split_symbol_offset(text) {
                Some((name, offset)) => self.check_symbol(*value, name, offset),
                None => Err(NameError::Symbol(text.clone())),
            },
            Value::Symbol {
                name,
                offset,
                address,
            } => self.check_symbol(*address, name, *offset),
            Value::Stack { value } | Value::CutStack { value, .. } => {
                value.iter().try_for_each(|frame| {
                    self.check_frame(frame.address, frame.symbol.as_deref(), frame.offset)
                })
            }
            Value::Enum {
                value,
                type_name,
                name: Some(name),
            } => {
                let known = self.enums.get(type_name).and_then(|list| list.get(name));
                let (type_name, name, value) = (type_name.clone(), name.clone(), *value);
                match known {
                    Some(number) if *number == value => Ok(()),
                    Some(number) => Err(NameError::Enumerator {
                        type_name,
                        name,
                        value,
                        number: *number,
                    }),
                    None => Err(NameError::NoEnumerator {
                        type_name,
                        name,
                        value,
                    }),
                }
            }
            Value::Int {
                value,
                type_name: Some(type_name),
            } => match self.integers.get(type_name) {
                Some(known) if !known.holds(value.get()) => Err(NameError::Integer {
                    type_name: type_name.clone(),
                    value: *value,
                    known: *known,
                }),
                _ => Ok(()),
            },
            Value::Flags { value, set, names } => {
                let known = match set {
                    Some(set) => self.flag_names(set, *value),
                    None => Some(Vec::new()),
                };
                if known.as_ref() == Some(names) {
                    return Ok(());
                }
                Err(NameError::Flags {
                    set: set.clone().unwrap_or_default(),
                    value: *value,
                    known,
                    names: Some(names.clone()),
                })
            }
            _ => Ok(()),
        }
    }

    /// The names of flags of a set; `None`: the tables do not have it.
    pub fn flag_names(&self, set: &str, value: Integer) -> Option<Vec<String>> {
        let flags = self.flags.get(set)?;
        Some(flag_names(set, flags, flag_bits(value)))
    }

    /// The same for a frame of a stack: it has a symbol and an offset, or neither.
    pub fn check_frame(
        &self,
        address: Address,
        symbol: Option<&str>,
        offset: Option<u64>,
    ) -> Result<(), NameError> {
        match (symbol, offset) {
            (None, None) => Ok(()),
            (Some(symbol), Some(offset)) => self.check_symbol(address, symbol, offset),
            (Some(symbol), None) => Err(NameError::FrameOffset(symbol.into())),
            (None, Some(_)) => Err(NameError::FrameSymbol(address)),
        }
    }

    fn check_symbol(&self, address: Address, name: &str, offset: u64) -> Result<(), NameError> {
        match self.symbol(address.0) {
            Some((symbol, from)) if symbol.name == name && from == offset => Ok(()),
            Some((symbol, from)) => Err(NameError::OtherSymbol {
                address,
                symbol: symbol.name.clone(),
                from,
                name: name.into(),
                offset,
            }),
            None => Err(NameError::NoSymbol {
                address,
                name: name.into(),
                offset,
            }),
        }
    }
}

/// The bits of a number: of a negative one those of C's `int`, or of `long` where that is too small for it.
pub fn flag_bits(value: Integer) -> u64 {
    let number = value.get();
    match i32::try_from(number) {
        Ok(small) => u64::from(small.cast_unsigned()),
        Err(_) => number as u64,
    }
}

/// Symbol and offset of `symbol+0x1f`, written as the collector writes it.
pub fn split_symbol_offset(text: &str) -> Option<(&str, u64)> {
    let (name, digits) = text.rsplit_once("+0x")?;
    let offset = u64::from_str_radix(digits, 16).ok()?;
    (format!("{offset:x}") == digits).then_some((name, offset))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::value::Frame;

    fn integer(size: u8, signed: bool) -> IntegerType {
        IntegerType { size, signed }
    }

    /// Check that a type holds what fits into its bytes and its sign.
    #[test]
    fn integers() {
        for (size, signed, lowest, highest) in [
            (1, false, 0, 255),
            (1, true, -128, 127),
            (4, false, 0, i128::from(u32::MAX)),
            (8, false, 0, i128::from(u64::MAX)),
            (8, true, i128::from(i64::MIN), i128::from(i64::MAX)),
        ] {
            let kind = integer(size, signed);
            assert!(kind.holds(lowest) && kind.holds(highest));
            assert!(!kind.holds(lowest - 1) && !kind.holds(highest + 1));
        }
        assert!(integer(16, true).holds(i128::MIN) && !integer(16, false).holds(-1));
    }

    fn names() -> Names {
        let symbol = |address, size, name: &str| Symbol {
            address: Address(address),
            size,
            name: name.into(),
        };
        Names {
            symbols: vec![
                symbol(0x1000, 0x10, "a"),
                symbol(0x1010, 0x10, "b"),
                symbol(u64::MAX, 1, "last"),
            ],
            enums: BTreeMap::from([(
                "state".to_owned(),
                BTreeMap::from([("ON".to_owned(), Integer::from(1_i64))]),
            )]),
            integers: BTreeMap::from([
                ("u8".to_owned(), integer(1, false)),
                ("long".to_owned(), integer(8, true)),
            ]),
            flags: BTreeMap::from([(
                "PROT".to_owned(),
                crate::constants::flag_set("PROT").unwrap(),
            )]),
        }
    }

    /// Check that an address belongs to the symbol whose bytes hold it, and to none in a gap.
    #[test]
    fn finds_symbols() {
        let names = names();
        let find = |address| names.symbol(address).map(|(s, o)| (s.name.as_str(), o));
        assert_eq!(find(0xfff), None);
        assert_eq!(find(0x1000), Some(("a", 0)));
        assert_eq!(find(0x100f), Some(("a", 15)));
        assert_eq!(find(0x1010), Some(("b", 0)));
        assert_eq!(find(0x1020), None);
        assert_eq!(find(u64::MAX), Some(("last", 0)));
        assert_eq!(names.first_misplaced_symbol(), None);
    }

    /// Check that each half of a pair of a name and a number is held to the other.
    #[test]
    fn pairs_are_checked() {
        let names = names();
        let address = |value, symbol: &str| Value::Address {
            value: Address(value),
            type_name: None,
            symbol: Some(symbol.into()),
        };
        let symbol = |name: &str, offset, address| Value::Symbol {
            name: name.into(),
            offset,
            address: Address(address),
        };
        let state = |value: i64, name: &str, type_name: &str| Value::Enum {
            value: Integer::from(value),
            type_name: type_name.into(),
            name: Some(name.into()),
        };
        let number = |value: i64, type_name: &str| Value::Int {
            value: Integer::from(value),
            type_name: Some(type_name.into()),
        };
        let stack = |symbol: Option<&str>, offset| Value::Stack {
            value: vec![Frame {
                address: Address(0x1004),
                symbol: symbol.map(Into::into),
                offset,
                site: None,
                interrupts: false,
            }],
        };
        for good in [
            address(0x1004, "a+0x4"),
            symbol("b", 0, 0x1010),
            state(1, "ON", "state"),
            stack(Some("a"), Some(4)),
            stack(None, None),
            number(255, "u8"),
            number(-1, "long"),
            number(-1, "unknown_t"),
            Value::address(0x9999),
        ] {
            assert_eq!(names.check(&good), Ok(()), "{good:?}");
        }
        for bad in [
            address(0x1005, "a+0x4"),
            address(0x1004, "b+0x4"),
            address(0x1004, "a+0x04"),
            address(0x1004, "a"),
            address(0x2000, "a+0x1000"),
            symbol("b", 1, 0x1010),
            symbol("a", 0x10, 0x1010),
            state(2, "ON", "state"),
            state(1, "OFF", "state"),
            state(1, "ON", "mood"),
            stack(Some("b"), Some(4)),
            stack(Some("a"), Some(5)),
            stack(Some("a"), None),
            stack(None, Some(4)),
            number(256, "u8"),
            number(-1, "u8"),
        ] {
            assert!(names.check(&bad).is_err(), "{bad:?}");
        }
    }

    /// Check that a table of symbols that could answer in two ways is refused.
    #[test]
    fn tables_are_in_order() {
        let first_misplaced_symbol = |change: &dyn Fn(&mut Vec<Symbol>)| {
            let mut names = names();
            change(&mut names.symbols);
            names.first_misplaced_symbol().map(|(index, _)| index)
        };
        assert_eq!(first_misplaced_symbol(&|list| list[0].size = 0x11), Some(1));
        assert_eq!(first_misplaced_symbol(&|list| list.swap(0, 1)), Some(1));
        assert_eq!(first_misplaced_symbol(&|list| list[1].size = 0), Some(1));
        assert_eq!(first_misplaced_symbol(&|list| list[2].size = 2), Some(2));
        assert_eq!(
            first_misplaced_symbol(&|list| list.push(list[2].clone())),
            Some(3)
        );
    }
}

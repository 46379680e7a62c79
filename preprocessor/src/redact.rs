//! What a live machine's evidence may tell the world: publishing a host's addresses would undo its KASLR until it
//! is booted again.

use std::collections::HashMap;

use qed_evidence::Value;
use qed_evidence::leaves::Leaves;

/// The lowest address of the kernel's half on x86-64 with five-level page tables
/// (<https://elixir.bootlin.com/linux/v6.1/source/Documentation/x86/x86_64/mm.rst#L83>).
const KERNEL_HALF: u64 = 0xff00_0000_0000_0000;

/// Below this no number says anything about where a kernel is: a page.
const HARMLESS: u64 = 0x1000;

/// Stand-ins for the addresses of one machine: equal addresses have equal ones. They are numbered in the order of
/// the paths under which the addresses are found, so they say nothing about the addresses themselves.
#[derive(Debug, Default)]
pub struct Pseudonyms {
    numbers: HashMap<u64, usize>,
}

/// Numbers below this say nothing about where a kernel is: on x86-64 it is moved in steps of `CONFIG_PHYSICAL_ALIGN`,
/// which is at least this.
const STEP: u64 = 0x20_0000;

/// How a value may be shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Leave {
    /// As it is.
    AsItIs,
    /// By this name.
    Instead(String),
    /// Not at all, and why: a phrase that can follow "because".
    Withheld(&'static str),
}

impl Pseudonyms {
    /// Numbers the addresses of a machine.
    pub fn new(leaves: &Leaves<'_>) -> Self {
        let mut numbers = HashMap::new();
        for leaf in leaves.values() {
            if let Some(address) = leaf.datum.value().and_then(address) {
                let next = numbers.len() + 1;
                numbers.entry(address).or_insert(next);
            }
        }
        Pseudonyms { numbers }
    }

    /// The stand-in of an address.
    fn name(&self, address: u64) -> String {
        match self.numbers.get(&address) {
            Some(number) => format!("pointer#{number}"),
            None => "pointer#?".into(),
        }
    }

    /// The numbers in `value` that would tell where something is: those for which [`Self::leave`] has a stand-in or
    /// which it withholds.
    pub fn secrets(&self, path: &str, value: &Value) -> Vec<u64> {
        let numbers = match value {
            Value::Stack { value } => value.iter().map(|frame| frame.address.0).collect(),
            value if self.leave(Some(path), value, false) == Leave::AsItIs => Vec::new(),
            value => {
                let number = value.as_integer().map(i128::unsigned_abs);
                let number = number.and_then(|number| u64::try_from(number).ok());
                address(value).or(number).into_iter().collect()
            }
        };
        numbers.into_iter().filter(|n| *n >= STEP).collect()
    }

    /// Whether `value` may be shown. `path` says what it is, if it has one; `by_name` that only its symbol is wanted.
    pub fn leave(&self, path: Option<&str>, value: &Value, by_name: bool) -> Leave {
        const SLIDE: &str = "it would tell where this live machine's kernel is";
        let section = path.map(|path| path.split('.').next().unwrap_or(path));
        let about_place = matches!(section, Some("kaslr" | "boots"))
            && !path
                .is_some_and(|p| p.ends_with(".physical_align") || p.ends_with(".physical_start"));
        match value {
            Value::Address {
                symbol: Some(_), ..
            }
            | Value::Symbol { .. }
                if by_name =>
            {
                Leave::AsItIs
            }
            Value::Offset { .. } | Value::Int { .. }
                if about_place && value.as_integer() != Some(0) =>
            {
                Leave::Withheld(SLIDE)
            }
            Value::Bytes { value } if holds_address(&value.0) => {
                Leave::Withheld("these bytes hold an address of this live machine")
            }
            Value::Text { value } if clean(value) != *value => {
                Leave::Withheld("this text holds an address of this live machine")
            }
            Value::Stack { value } => {
                let names: Vec<&str> = value
                    .iter()
                    .map(|f| f.symbol.as_deref().unwrap_or("?"))
                    .collect();
                Leave::Instead(names.join(" < "))
            }
            value => match address(value) {
                Some(address) => Leave::Instead(self.name(address)),
                None => Leave::AsItIs,
            },
        }
    }
}

/// Types that are too small for an address.
const SMALL: &[&str] = &[
    "int",
    "short",
    "char",
    "signed char",
    "s8",
    "s16",
    "s32",
    "__s8",
    "__s16",
    "__s32",
    "int8_t",
    "int16_t",
    "int32_t",
    "pid_t",
];

/// The address that a value is, if it is one: a pointer, or a number that can hardly be anything else.
fn address(value: &Value) -> Option<u64> {
    let type_name = match value {
        Value::Address { value, .. } | Value::Symbol { address: value, .. } => {
            return Some(value.0).filter(|a| *a >= HARMLESS);
        }
        Value::Int { type_name, .. } => type_name.as_deref(),
        Value::Flags { .. } | Value::Enum { .. } | Value::Offset { .. } => None,
        _ => return None,
    };
    let number = value.as_integer()?;
    let bits = match u64::try_from(number) {
        Ok(bits) => bits,
        // The smallest negative numbers are errors; others of a small type are no addresses.
        Err(_) if number >= -4095 || type_name.is_some_and(|t| SMALL.contains(&t)) => return None,
        Err(_) => i64::try_from(number).ok()?.cast_unsigned(),
    };
    (bits >= KERNEL_HALF).then_some(bits)
}

/// Whether any eight bytes in a row are an address of the kernel, the lowest byte first.
fn holds_address(bytes: &[u8]) -> bool {
    bytes
        .windows(8)
        .filter_map(|w| Some(u64::from_le_bytes(w.try_into().ok()?)))
        .any(|word| (0xffff_8000_0000_0000..0xffff_ffff_ffff_f000).contains(&word))
}

/// The text without its kernel addresses, in hexadecimal or decimal.
pub fn clean(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find(|c: char| c.is_ascii_hexdigit()) {
        out.push_str(&rest[..start]);
        rest = &rest[start..];
        let end = rest
            .find(|c: char| !c.is_ascii_hexdigit())
            .unwrap_or(rest.len());
        let word = &rest[..end];
        // `0x` is a word of its own: the digit before the x.
        let hex = end == 16 && u64::from_str_radix(word, 16).is_ok_and(|n| n >= KERNEL_HALF);
        let dec = (19..=20).contains(&end) && word.parse::<u64>().is_ok_and(|n| n >= KERNEL_HALF);
        out.push_str(if hex || dec { "…" } else { word });
        rest = &rest[end..];
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use qed_evidence::value::{Address, Bytes, Integer};

    fn pseudonyms(addresses: &[u64]) -> Pseudonyms {
        Pseudonyms {
            numbers: addresses
                .iter()
                .enumerate()
                .map(|(i, a)| (*a, i + 1))
                .collect(),
        }
    }

    /// Check that nothing that holds a kernel address is left as it is, whatever its kind.
    #[test]
    fn no_address_gets_out() {
        const SECRET: u64 = 0xffff_ffff_9123_4560;
        let all = pseudonyms(&[0xffff_8881_0000_0040, SECRET]);
        let symbol = Some("inet_stream_ops+0x0".to_owned());
        let pointer = Value::Address {
            value: Address(SECRET),
            type_name: None,
            symbol,
        };
        let mut bytes = vec![0; 3];
        bytes.extend(SECRET.to_le_bytes());
        for value in [
            pointer.clone(),
            Value::Int {
                value: Integer::from(SECRET),
                type_name: None,
            },
            Value::Int {
                value: Integer::from(SECRET.cast_signed()),
                type_name: None,
            },
            Value::Flags {
                value: Integer::from(SECRET),
                names: vec![],
            },
            Value::Bytes {
                value: Bytes(bytes),
            },
            Value::text(format!("at {SECRET:016x}.")),
            Value::text(format!("at {SECRET:#x}")),
            Value::text(format!("at {SECRET}")),
        ] {
            match all.leave(Some("a.b"), &value, false) {
                Leave::AsItIs => panic!("{value:?} is shown"),
                Leave::Instead(name) => assert_eq!(name, "pointer#2"),
                Leave::Withheld(_) => {}
            }
        }
        assert_eq!(all.leave(None, &pointer, true), Leave::AsItIs);
        let slide = Value::Offset {
            value: Integer::from(0x200_0000_i64),
        };
        assert!(matches!(
            all.leave(Some("kaslr.slide"), &slide, false),
            Leave::Withheld(_)
        ));
        assert_eq!(
            all.leave(Some("create.x.args.offset"), &slide, false),
            Leave::AsItIs
        );
        for harmless in [
            Value::int(-24),
            Value::Int {
                value: Integer::from(-2_147_483_648_i64),
                type_name: Some("int".into()),
            },
            Value::int(3),
            Value::address(0),
            Value::text("6.1.0 deadbeef"),
        ] {
            assert_eq!(
                all.leave(Some("a.b"), &harmless, false),
                Leave::AsItIs,
                "{harmless:?}"
            );
        }
        assert_eq!(
            clean("0xffffffff91234560+0x10 at 0xffffffff91234560"),
            "0x…+0x10 at 0x…"
        );
    }
}

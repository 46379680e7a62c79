//! Errors in the place of a pointer or of an unsigned number: the kernel returns `-ENOMEM` there as one of the last 4095 values
//! (`IS_ERR_VALUE`, <https://elixir.bootlin.com/linux/v6.12/source/include/linux/err.h#L28>). As a number such a value is
//! greater than every address, and as an address it is not null; claims must not conclude either from it.

use crate::document::names::Names;
use crate::document::value::Value;

use super::failure::Failure;

/// The kernel's `MAX_ERRNO` (<https://elixir.bootlin.com/linux/v6.12/source/include/linux/err.h#L18>).
const MAX_ERRNO: u64 = 4095;

/// The collector's spellings of C's types that have more than 32 bits.
const WIDE: &[&str] = &[
    "long",
    "unsigned long",
    "long long",
    "unsigned long long",
    "long int",
    "long unsigned int",
    "long long int",
    "long long unsigned int",
];

/// An error in the place of a pointer or of an unsigned number.
#[derive(Clone, Copy, Debug)]
pub(in crate::claim) struct ReturnedError {
    /// The raw value.
    pub bits: u64,
    /// The error number, positive.
    pub errno: u32,
    /// True if it stands in the place of a pointer.
    pub pointer: bool,
}

impl ReturnedError {
    /// The error that a pointer encodes, if it encodes one.
    pub fn from_pointer(bits: u64) -> Option<Self> {
        Self::from_bits(bits, 64, true)
    }

    /// The error that an unsigned number encodes, if it encodes one. A number of 64 bits is recognised by its value, a shorter
    /// one by its C type, whose size is in the document's tables.
    pub fn from_number(value: &Value, names: &Names) -> Option<Self> {
        let bits = u64::try_from(value.as_integer()?).ok()?;
        if let Some(found) = Self::from_bits(bits, 64, false) {
            return Some(found);
        }
        let type_name = match value {
            Value::Int { type_name, .. } => type_name,
            // Whose type is not recorded: what an author calls a size may be an error all the same.
            Value::Size { .. }
            | Value::Offset { .. }
            | Value::Flags { .. }
            | Value::Enum { name: None, .. } => &None,
            _ => return None,
        };
        let known = type_name.as_ref().and_then(|name| names.integers.get(name));
        let narrow = match (known, type_name) {
            (Some(known), _) => !known.signed && known.size == 4,
            // Without its size it may be one: it must not become a number by somebody deleting the table.
            (None, Some(name)) => !WIDE.contains(&name.as_str()),
            (None, None) => true,
        };
        narrow.then(|| Self::from_bits(bits, 32, false)).flatten()
    }

    fn from_bits(bits: u64, width: u32, pointer: bool) -> Option<Self> {
        let below_end = (u64::MAX >> (64 - width)).checked_sub(bits)?;
        if below_end >= MAX_ERRNO {
            return None;
        }
        let errno = u32::try_from(below_end + 1).ok()?;
        Some(ReturnedError {
            bits,
            errno,
            pointer,
        })
    }

    /// The number as the kernel means it, negative.
    pub fn negative_errno(self) -> i128 {
        -i128::from(self.errno)
    }

    /// All names of the error.
    pub fn names(self) -> Vec<String> {
        crate::constants::errno_names_of(self.errno)
    }

    /// The failure if it is used as a number or an address.
    pub fn misread_failure(self) -> Failure {
        let name = self.names().into_iter().next().unwrap_or_default();
        let instead = if self.pointer {
            "in the place of a pointer"
        } else {
            "as an unsigned number"
        };
        Failure::Value(format!(
            "this is the error {name} {instead}, and nothing to be compared or calculated with as such: compare it with \
             `-{name}`, or take the error number with `errno(…)`; its bits are `mask(…, 0xffffffffffffffffu)`"
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::names::IntegerType;
    use crate::document::value::Integer;

    fn int(value: u64, type_name: &str) -> Value {
        Value::Int {
            value: Integer::new(value.into()).unwrap(),
            type_name: Some(type_name.into()),
        }
    }

    /// Check that the last 4095 values of an unsigned type are errors, and no others.
    #[test]
    fn last_values() {
        let mut names = Names::default();
        for (name, size, signed) in [("u32", 4, false), ("umode_t", 2, false), ("s64", 8, true)] {
            names
                .integers
                .insert(name.into(), IntegerType { size, signed });
        }
        let errno = |value, name: &str| {
            ReturnedError::from_number(&int(value, name), &names).map(|r| r.errno)
        };
        let below = |n: u64| u64::MAX - n + 1;
        assert_eq!(errno(below(12), "unsigned long"), Some(12));
        assert_eq!(errno(below(1), "anything"), Some(1));
        assert_eq!(errno(below(4095), "size_t"), Some(4095));
        assert_eq!(errno(below(4096), "size_t"), None);
        assert_eq!(errno(0xffff_fff4, "u32"), Some(12));
        assert_eq!(errno(0xffff_fff4, "unsigned int"), Some(12));
        assert_eq!(errno(0xffff_f000, "u32"), None);
        assert_eq!(errno(0xffff_fff4, "unsigned long"), None);
        assert_eq!(errno(0xfff4, "umode_t"), None);
        assert_eq!(errno(3, "u32"), None);
        // Whatever the tables do not hold.
        assert_eq!(errno(0xffff_fff4, "__u32"), Some(12));
        let untyped = Value::Int {
            value: Integer::new(0xffff_fff4).unwrap(),
            type_name: None,
        };
        assert!(ReturnedError::from_number(&untyped, &names).is_some());
        // Whatever an author calls it.
        assert!(ReturnedError::from_number(&Value::Size { value: 0xffff_fff4 }, &names).is_some());
        assert!(ReturnedError::from_number(&Value::Size { value: 0xffff_f000 }, &names).is_none());
        assert_eq!(
            ReturnedError::from_pointer(below(2)).map(|r| r.errno),
            Some(2)
        );
        assert!(ReturnedError::from_pointer(0xffff_8880_0000_0000).is_none());
        assert!(ReturnedError::from_pointer(0).is_none());
    }
}

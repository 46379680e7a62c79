//! Decoding of the bytes of a read to a typed value.

use crate::reason::Reason;
use qed_collector_ebpf::MAX_READ_BYTES;
use qed_evidence::value::Cut;
use serde::{Deserialize, Serialize};

/// The bit of an address, signed or not, that says that it is the kernel's. <https://docs.kernel.org/arch/arm64/memory.html>
const OF_KERNEL: u64 = 1 << 55;

/// The meaning of the bytes of a read. Type names are as C spells them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Decoder {
    /// An address, 8 bytes.
    Pointer {
        /// E.g. `struct socket *`
        type_name: String,
        /// True if it points to code: name it by symbol.
        to_function: bool,
        /// The bits in which an address of the kernel can have a signature, which are set in one without.
        signature_bits: u64,
    },
    /// A number.
    Int {
        /// Bytes: 1, 2, 4 or 8.
        size: u32,
        /// Has negative values.
        signed: bool,
        /// Its highest byte comes first, as in a packet.
        big_endian: bool,
        /// E.g. `unsigned int`
        type_name: String,
    },
    /// `bool`, 1 byte.
    Bool,
    /// One of an enumeration.
    Enum {
        /// E.g. `socket_state`
        type_name: String,
        /// Bytes: 1, 2, 4 or 8.
        size: u32,
        /// Has negative values.
        signed: bool,
        /// Its names.
        values: Vec<(String, i128)>,
    },
    /// A bit field.
    BitField {
        /// Its first bit, counted from the lowest bit of the first byte loaded: 0 to 7.
        bit_offset: u32,
        /// Its width.
        bits: u32,
        /// Its highest bit is a sign.
        signed: bool,
        /// Its declared type.
        type_name: String,
        /// Its type is `bool`.
        boolean: bool,
        /// Names of its values, if its type is an enumeration.
        values: Vec<(String, i128)>,
    },
    /// Text, which ends at the first NUL.
    Text {
        /// Bytes read at most, by all loads together.
        max: u32,
        /// All of it fits: a text without NUL is complete (an array), not cut.
        whole: bool,
    },
    /// Bytes without further meaning.
    Bytes {
        /// Number of bytes read, by all loads together.
        len: u32,
        /// Number of them.
        of: u64,
        /// E.g. `unsigned char [16]`
        type_name: String,
    },
    /// All of a structure: [`decode_fields`](super::decode_fields).
    Structure {
        /// E.g. `struct qstr`
        type_name: String,
        /// Its values.
        fields: Vec<StructureField>,
    },
    /// A time in seconds and a part of a second, as one number of nanoseconds.
    Time {
        /// E.g. `struct timespec64`
        type_name: String,
        /// The seconds, and the part.
        fields: Vec<StructureField>,
        /// Nanoseconds of one unit of the part.
        part_ns: u32,
    },
}

/// One value of a structure.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StructureField {
    /// Its name, prefixed with those of the enclosing structures: `d_lockref.count`.
    pub name: String,
    /// Bytes from the start of the structure.
    pub offset: u64,
    /// The meaning of its bytes, or why it has none.
    pub decode: Result<Decoder, Reason>,
}

impl Decoder {
    /// The C type.
    pub fn type_name(&self) -> &str {
        match self {
            Decoder::Pointer { type_name, .. }
            | Decoder::Int { type_name, .. }
            | Decoder::Enum { type_name, .. }
            | Decoder::BitField { type_name, .. }
            | Decoder::Bytes { type_name, .. }
            | Decoder::Structure { type_name, .. }
            | Decoder::Time { type_name, .. } => type_name,
            Decoder::Bool => "bool",
            Decoder::Text { .. } => "text",
        }
    }

    /// The meanings of all values that it returns; for a structure, those of its members.
    pub fn value_decoders(&self) -> Vec<&Decoder> {
        match self {
            Decoder::Structure { fields, .. } => fields
                .iter()
                .filter_map(|field| field.decode.as_ref().ok())
                .flat_map(Decoder::value_decoders)
                .collect(),
            one => vec![one],
        }
    }

    /// The bytes that it takes.
    fn size(&self) -> usize {
        let size = match self {
            Decoder::Pointer { .. } => 8,
            Decoder::Int { size, .. } | Decoder::Enum { size, .. } => *size,
            Decoder::Bool => 1,
            Decoder::BitField {
                bit_offset, bits, ..
            } => (bit_offset + bits).div_ceil(8),
            Decoder::Text { max, .. } => *max,
            Decoder::Bytes { len, .. } => *len,
            Decoder::Structure { fields, .. } | Decoder::Time { fields, .. } => {
                let end = |field: &StructureField| {
                    let size = field.decode.as_ref().map_or(0, Decoder::size);
                    usize::try_from(field.offset).map_or(usize::MAX, |at| at.saturating_add(size))
                };
                return fields.iter().map(end).max().unwrap_or_default();
            }
        };
        size as usize
    }
}

/// A value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DecodedValue {
    /// An address.
    Pointer {
        /// The address, 0 for NULL.
        address: u64,
        /// E.g. `struct socket *`
        type_name: String,
        /// True if it points to code.
        to_function: bool,
    },
    /// A number.
    Int {
        /// The number.
        value: i128,
        /// E.g. `unsigned int`
        type_name: String,
    },
    /// `bool`
    Bool(bool),
    /// One of an enumeration.
    Enum {
        /// The number.
        value: i128,
        /// Its name; `None` for a number that the enumeration does not name.
        name: Option<String>,
        /// E.g. `socket_state`
        type_name: String,
    },
    /// Text, without the NUL.
    Text {
        /// The text.
        text: String,
        /// More may follow: as many bytes were read as were to be read.
        cut: Option<Cut>,
    },
    /// Bytes: an array, or text that is not UTF-8.
    Bytes {
        /// The bytes.
        bytes: Vec<u8>,
        /// Set if there are more, or may be.
        cut: Option<Cut>,
        /// E.g. `unsigned char [16]`
        type_name: String,
    },
    /// The read failed: nothing is known.
    Unread {
        /// Positive errno of the helper, e.g. 14 (EFAULT): a pointer on the way was NULL or bad.
        errno: i32,
    },
    /// The bytes are none of this type.
    Broken {
        /// The reason.
        reason: String,
    },
}

/// The bytes of one load, and its report: 0, a string's length, or a negative errno.
pub type LoadedBytes<'e> = (&'e [u8; MAX_READ_BYTES], i32);

/// Decode the consecutive loads of one read.
pub fn decode(loads: &[LoadedBytes<'_>], how: &Decoder) -> DecodedValue {
    let [(bytes, result), more @ ..] = loads else {
        return DecodedValue::Broken {
            reason: "nothing was loaded".into(),
        };
    };
    if let Some(errno) = load_failure(*result, more, how) {
        return DecodedValue::Unread { errno };
    }
    match how {
        Decoder::Pointer {
            type_name,
            to_function,
            signature_bits,
        } => DecodedValue::Pointer {
            address: without_signature(extract_bits(bytes, 0, 64) as u64, *signature_bits),
            type_name: type_name.clone(),
            to_function: *to_function,
        },
        Decoder::Int {
            size,
            signed,
            big_endian,
            type_name,
        } => DecodedValue::Int {
            value: sign_extend(read_integer(bytes, *size, *big_endian), size * 8, *signed),
            type_name: type_name.clone(),
        },
        Decoder::Bool => decode_bool(extract_bits(bytes, 0, 8)),
        Decoder::Enum {
            type_name,
            size,
            signed,
            values,
        } => decode_enumerator(
            sign_extend(extract_bits(bytes, 0, size * 8), size * 8, *signed),
            size * 8,
            values,
            type_name,
        ),
        Decoder::BitField {
            bit_offset,
            bits,
            signed,
            type_name,
            boolean: is_bool,
            values,
        } => {
            let raw = extract_bits(bytes, *bit_offset, *bits);
            let value = sign_extend(raw, *bits, *signed);
            if *is_bool {
                decode_bool(raw)
            } else if values.is_empty() {
                DecodedValue::Int {
                    value,
                    type_name: type_name.clone(),
                }
            } else {
                decode_enumerator(value, *bits, values, type_name)
            }
        }
        Decoder::Text { max, whole } => decode_text(loads, *max, *whole),
        Decoder::Structure { .. } => DecodedValue::Broken {
            reason: "a structure is not one value".into(),
        },
        Decoder::Time {
            type_name,
            fields,
            part_ns,
        } => time(&decode_fields(loads, fields), *part_ns, type_name),
        Decoder::Bytes { len, of, type_name } => all_bytes(loads, *len, *of, type_name),
    }
}

/// The first `len` bytes of several loads, of which there are `of`.
fn all_bytes(loads: &[LoadedBytes<'_>], len: u32, of: u64, type_name: &str) -> DecodedValue {
    let mut all: Vec<u8> = loads
        .iter()
        .flat_map(|(bytes, _)| bytes.iter())
        .copied()
        .collect();
    all.truncate(len as usize);
    DecodedValue::Bytes {
        cut: ((all.len() as u64) < of).then_some(Cut { whole: Some(of) }),
        bytes: all,
        type_name: type_name.to_owned(),
    }
}

/// A value of a structure, under its name; or why there is none.
pub type NamedField<'f> = (&'f str, Result<DecodedValue, &'f Reason>);

/// Decode the consecutive loads of a structure as the values of its members.
pub fn decode_fields<'f>(
    loads: &[LoadedBytes<'_>],
    fields: &'f [StructureField],
) -> Vec<NamedField<'f>> {
    let failed = loads.iter().map(|(_, result)| *result).find(|it| *it < 0);
    let whole: Vec<u8> = loads
        .iter()
        .flat_map(|(bytes, _)| bytes.iter())
        .copied()
        .collect();
    let value = |field: &'f StructureField| -> Result<DecodedValue, &'f Reason> {
        let how = field.decode.as_ref()?;
        if let Some(errno) = failed {
            return Ok(DecodedValue::Unread {
                errno: errno.saturating_neg(),
            });
        }
        let start = usize::try_from(field.offset).unwrap_or(usize::MAX);
        let Some(own) = whole.get(start..start.saturating_add(how.size())) else {
            return Ok(DecodedValue::Broken {
                reason: "not all of it was loaded".into(),
            });
        };
        let pieces: Vec<[u8; MAX_READ_BYTES]> = own
            .chunks(MAX_READ_BYTES)
            .map(|piece| {
                let mut bytes = [0; MAX_READ_BYTES];
                bytes[..piece.len()].copy_from_slice(piece);
                bytes
            })
            .collect();
        let loads: Vec<LoadedBytes<'_>> = pieces.iter().map(|bytes| (bytes, 0)).collect();
        Ok(decode(&loads, how))
    };
    fields
        .iter()
        .map(|field| (field.name.as_str(), value(field)))
        .collect()
}

/// The nanoseconds of a time in seconds and a part of a second.
fn time(fields: &[NamedField<'_>], part_ns: u32, type_name: &str) -> DecodedValue {
    const SECOND_NS: i128 = 1_000_000_000;
    let [
        (_, Ok(DecodedValue::Int { value: seconds, .. })),
        (_, Ok(DecodedValue::Int { value: part, .. })),
    ] = fields
    else {
        return DecodedValue::Broken {
            reason: "not all of it was loaded".into(),
        };
    };
    let part = part * i128::from(part_ns);
    match (0..SECOND_NS).contains(&part) {
        true => DecodedValue::Int {
            value: seconds * SECOND_NS + part,
            type_name: type_name.to_owned(),
        },
        false => DecodedValue::Broken {
            reason: format!("{part} ns are no part of a second"),
        },
    }
}

/// `bits` (at most 64) bits from bit `offset` on, little-endian.
fn extract_bits(bytes: &[u8; MAX_READ_BYTES], offset: u32, bits: u32) -> u128 {
    let start = (offset / 8) as usize;
    let mut sixteen = [0; 16];
    for (to, &from) in sixteen.iter_mut().zip(bytes.iter().skip(start)) {
        *to = from;
    }
    u128::from_le_bytes(sixteen) >> (offset % 8) & ((1 << bits.min(64)) - 1)
}

/// The positive errno of the first load that failed, of those that have to succeed.
fn load_failure(first: i32, more: &[LoadedBytes<'_>], how: &Decoder) -> Option<i32> {
    // A later load of a string may fail if the string ended before it.
    let more = match how {
        Decoder::Text { whole: false, .. } => &[],
        _ => more,
    };
    let mut results = std::iter::once(first).chain(more.iter().map(|(_, result)| *result));
    results.find(|result| *result < 0).map(i32::saturating_neg)
}

/// The number in the first `size` bytes.
fn read_integer(bytes: &[u8; MAX_READ_BYTES], size: u32, big_endian: bool) -> u128 {
    match bytes.get(..size as usize).filter(|_| big_endian) {
        Some(bytes) => bytes
            .iter()
            .fold(0, |number, byte| number << 8 | u128::from(*byte)),
        None => extract_bits(bytes, 0, size * 8),
    }
}

fn sign_extend(raw: u128, bits: u32, signed: bool) -> i128 {
    let raw = raw as i128;
    if signed && (1..=64).contains(&bits) && raw >> (bits - 1) & 1 == 1 {
        raw - (1 << bits)
    } else {
        raw
    }
}

fn decode_bool(raw: u128) -> DecodedValue {
    match raw {
        0 => DecodedValue::Bool(false),
        1 => DecodedValue::Bool(true),
        other => DecodedValue::Broken {
            reason: format!("{other} is not a value of bool"),
        },
    }
}

/// The name of `value`. BTF of old tools does not say which enumerations are signed, so a value that no
/// name has is also tried with the other signedness of its `bits`.
fn decode_enumerator(
    value: i128,
    bits: u32,
    values: &[(String, i128)],
    type_name: &str,
) -> DecodedValue {
    let raw = value as u128 & ((1 << bits.min(64)) - 1);
    let name = [
        value,
        sign_extend(raw, bits, true),
        sign_extend(raw, bits, false),
    ]
    .iter()
    .find_map(|value| values.iter().find(|(_, other)| other == value))
    .map(|(name, _)| name.clone());
    DecodedValue::Enum {
        value,
        name,
        type_name: type_name.to_owned(),
    }
}

/// The text of several loads: of bytes, which report 0, or of strings, each of which ends with a NUL where it is truncated.
fn decode_text(loads: &[LoadedBytes<'_>], max: u32, whole: bool) -> DecodedValue {
    let mut found: Vec<u8> = Vec::new();
    let mut ended = false;
    for (bytes, result) in loads {
        let left = (max as usize).saturating_sub(found.len()).min(bytes.len());
        // A string read says how much it read, the NUL included; what follows in the buffer is not of it.
        let (read, is_string) = match usize::try_from(*result) {
            Ok(length) if length > 0 => (length.min(left), true),
            Ok(_) => (left, false),
            // It begins where the one before was truncated, and memory there cannot be read.
            Err(_) => break,
        };
        let end = bytes[..read].iter().position(|&byte| byte == 0);
        found.extend_from_slice(&bytes[..end.unwrap_or(read)]);
        // The string helper ends with a NUL also where it had to cut.
        ended = end.is_some_and(|end| !is_string || end + 1 < left);
        if ended || end.is_none() && is_string {
            break;
        }
    }
    let cut = (!whole && !ended).then(Cut::default);
    // Cutting may split a character, which is then dropped; anything else that is not UTF-8 is not text.
    match std::str::from_utf8(&found) {
        Ok(text) => DecodedValue::Text {
            text: text.to_owned(),
            cut,
        },
        Err(error) if cut.is_some() && error.error_len().is_none() => DecodedValue::Text {
            text: String::from_utf8_lossy(&found[..error.valid_up_to()]).into_owned(),
            cut,
        },
        Err(_) => DecodedValue::Bytes {
            bytes: found,
            cut,
            type_name: "char *".into(),
        },
    }
}
/// An address without the signature that it can have in some bits. One that is not of the kernel has none.
fn without_signature(address: u64, bits: u64) -> u64 {
    match address & OF_KERNEL {
        0 => address,
        _ => address | bits,
    }
}

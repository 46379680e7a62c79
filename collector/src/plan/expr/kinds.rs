//! Reads whose `kind` says more than the type of their path: texts and times that the kernel keeps in structures.

use super::compile::{Result, compile_wanted};
use super::decode::{Decoder, StructureField};
use super::read::unqualified;
use super::types::{CompiledPath, ErrorClass, ExprError, ReadOptions, Scope};
use qed_evidence::investigation::ReadKind;

/// The kernel's structure of a name and its length.
const NAME: &str = "struct qstr";
/// Types of which a pointer may lead to a text, apart from `char`.
const BYTES: [&str; 4] = ["unsigned char", "signed char", "u8", "__u8"];

/// Compile a path whose value is meant to be of this kind.
///
/// # Errors
/// As [`compile_wanted`], and when the path is of a type that cannot be a text although one is wanted.
pub fn compile_of_kind(
    path: &str,
    scope: &Scope,
    wanted: ReadOptions<'_>,
    kind: Option<ReadKind>,
) -> Result<CompiledPath> {
    match kind {
        Some(ReadKind::Text) => compile_wanted(&text(path, scope, wanted)?, scope, wanted),
        _ => compile_wanted(path, scope, wanted),
    }
}

/// The path of the length of the text at `path`, where no NUL needs to end it.
pub fn text_length(path: &str, scope: &Scope, wanted: ReadOptions<'_>) -> Option<String> {
    match bare(path, scope, wanted).ok()? {
        Decoder::Structure { type_name, .. } if unqualified(&type_name) == NAME => {
            Some(format!("({path}).len"))
        }
        _ => None,
    }
}

/// The path of the text that `path` means.
fn text(path: &str, scope: &Scope, wanted: ReadOptions<'_>) -> Result<String> {
    let decode = bare(path, scope, wanted)?;
    let to_bytes = |type_name: &str| {
        let target = type_name.strip_suffix('*').map(str::trim);
        target.is_some_and(|target| BYTES.contains(&unqualified(target)))
    };
    match &decode {
        Decoder::Text { .. } => Ok(path.to_owned()),
        Decoder::Structure { type_name, .. } if unqualified(type_name) == NAME => {
            Ok(format!("(const char *)({path}).name"))
        }
        Decoder::Pointer { type_name, .. } if to_bytes(type_name) => {
            Ok(format!("(const char *)({path})"))
        }
        other => Err(ExprError::new(
            ErrorClass::Type,
            &(0..path.len()),
            format!(
                "it is `{}`, and a text is a pointer to `char` or `unsigned char`, an array of `char`, or a `{NAME}`",
                other.type_name()
            ),
        )),
    }
}

/// The meaning of the bytes at `path` by its type alone.
fn bare(path: &str, scope: &Scope, wanted: ReadOptions<'_>) -> Result<Decoder> {
    let options = ReadOptions {
        max: None,
        ..wanted
    };
    Ok(compile_wanted(path, scope, options)?.decode)
}

/// The meaning of a structure of seconds and a part of a second (`struct timespec64`) as one time; any other as it is.
pub fn as_time(decode: Decoder) -> Decoder {
    let Decoder::Structure { type_name, fields } = decode else {
        return decode;
    };
    let is_number = |field: &StructureField| {
        matches!(
            field.decode,
            Ok(Decoder::Int {
                big_endian: false,
                ..
            })
        )
    };
    let names: Vec<&str> = fields.iter().map(|field| field.name.as_str()).collect();
    let part_ns = match names.as_slice() {
        ["tv_sec", "tv_nsec"] => 1,
        ["tv_sec", "tv_usec"] => 1_000,
        _ => return Decoder::Structure { type_name, fields },
    };
    match fields.iter().all(is_number) {
        true => Decoder::Time {
            type_name,
            fields,
            part_ns,
        },
        false => Decoder::Structure { type_name, fields },
    }
}

/// The meaning of a number as a set of bits: none of them is a sign, and there are as many as its type has.
pub fn as_bits(decode: Decoder) -> Decoder {
    match decode {
        Decoder::Int {
            size,
            big_endian,
            type_name,
            ..
        } => Decoder::Int {
            size,
            signed: false,
            big_endian,
            type_name,
        },
        Decoder::BitField {
            bit_offset,
            bits,
            type_name,
            boolean,
            values,
            ..
        } => Decoder::BitField {
            bit_offset,
            bits,
            signed: false,
            type_name,
            boolean,
            values,
        },
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::super::types::{Code, ReturnSlot};
    use super::*;
    use crate::btf::build::Builder;
    use crate::btf::{ArgumentLocation, Btf, Parameter, TypeId};
    use crate::plan::expr::{DecodedValue, ReturnMeaning, decode};
    use qed_collector_ebpf::MAX_READ_BYTES;

    /// Check that flags have as many bits as their type, also if the highest is set in a type with a sign.
    #[test]
    fn bits_without_a_sign() {
        let mut bytes = [0; MAX_READ_BYTES];
        bytes[..8].copy_from_slice(&[3, 0, 0x20, 0x80, 0xff, 0xff, 0xff, 0xff]);
        let int = |size| Decoder::Int {
            size,
            signed: true,
            big_endian: false,
            type_name: "int".into(),
        };
        let field = Decoder::BitField {
            bit_offset: 20,
            bits: 12,
            signed: true,
            type_name: "int".into(),
            boolean: false,
            values: Vec::new(),
        };
        for (how, wanted) in [
            (int(4), 0x8020_0003),
            (int(8), 0xffff_ffff_8020_0003),
            (int(2), 3),
            (field, 0x802),
        ] {
            match decode(&[(&bytes, 0)], &as_bits(how)) {
                DecodedValue::Int { value, .. } => assert_eq!(value, wanted),
                other => panic!("{other:?}"),
            }
        }
    }

    fn types() -> (Vec<u8>, TypeId) {
        let mut b = Builder::default();
        let character = b.int("char", 1, true);
        let byte = b.int("unsigned char", 1, false);
        let word = b.int("unsigned int", 4, false);
        let long = b.int("long long int", 8, true);
        let byte = b.constant(byte);
        let bytes = b.pointer(byte);
        let words = b.pointer(word);
        let name = b.structure("qstr", 16, &[("len", word, 32, 0), ("name", bytes, 64, 0)]);
        let name = b.constant(name);
        let time = b.structure(
            "timespec64",
            16,
            &[("tv_sec", long, 0, 0), ("tv_nsec", long, 64, 0)],
        );
        let value = b.structure(
            "timeval",
            16,
            &[("tv_sec", long, 0, 0), ("tv_usec", long, 64, 0)],
        );
        let text = b.array(character, 8);
        let all = b.structure(
            "all",
            96,
            &[
                ("name", name, 0, 0),
                ("time", time, 128, 0),
                ("value", value, 256, 0),
                ("text", text, 384, 0),
                ("bytes", bytes, 448, 0),
                ("words", words, 512, 0),
            ],
        );
        let pointer = b.pointer(all);
        (b.bytes(), pointer)
    }

    fn compiled(path: &str, kind: ReadKind) -> Result<(CompiledPath, Option<String>)> {
        let (data, pointer) = types();
        let btf = Btf::parse(&data).unwrap();
        let parameters = [Parameter {
            name: Some("all"),
            type_id: pointer,
            location: ArgumentLocation::Register(0),
        }];
        let scope = Scope {
            btf: &btf,
            parameters: &parameters,
            returned: ReturnMeaning::NotYet,
            code: Code {
                symbols: &|_| None,
                return_slot: &|_| Ok(ReturnSlot::Stack(0)),
                ..Code::UNKNOWN
            },
        };
        let wanted = ReadOptions {
            whole: true,
            ..ReadOptions::default()
        };
        let compiled = compile_of_kind(path, &scope, wanted, Some(kind))?;
        Ok((compiled, text_length(path, &scope, wanted)))
    }

    /// Check that a name is read as text with its length, bytes and characters as text without one, and that anything else is refused with
    /// its type.
    #[test]
    fn texts() {
        for (path, length) in [
            ("all->name", Some("(all->name).len")),
            ("all->bytes", None),
            ("all->text", None),
        ] {
            let (compiled, found) = compiled(path, ReadKind::Text).unwrap();
            assert!(matches!(compiled.decode, Decoder::Text { .. }), "{path}");
            assert_eq!(found.as_deref(), length, "{path}");
        }
        for (path, type_name) in [
            ("all->words", "`unsigned int *`"),
            ("all->time", "`struct timespec64`"),
            ("all->name.len", "`unsigned int`"),
        ] {
            let error = compiled(path, ReadKind::Text).unwrap_err().to_string();
            assert!(error.contains(type_name), "{path}: {error}");
        }
    }

    /// Check that seconds and a part of a second become nanoseconds, also before 1970, that a part that is none is refused, and that other
    /// structures stay as they are.
    #[test]
    fn times() {
        let value = |path: &str, seconds: i64, part: i64| {
            let (compiled, _) = compiled(path, ReadKind::Time).unwrap();
            let mut bytes = [0; MAX_READ_BYTES];
            bytes[..8].copy_from_slice(&seconds.to_le_bytes());
            bytes[8..16].copy_from_slice(&part.to_le_bytes());
            match decode(&[(&bytes, 0)], &as_time(compiled.decode)) {
                DecodedValue::Int { value, .. } => Some(value),
                _ => None,
            }
        };
        assert_eq!(value("all->time", 3, 7), Some(3_000_000_007));
        assert_eq!(value("all->value", 3, 7), Some(3_000_007_000));
        assert_eq!(value("all->time", -1, 999_999_999), Some(-1));
        assert_eq!(value("all->time", 3, 1_000_000_000), None);
        assert_eq!(value("all->time", 3, -1), None);
        assert_eq!(value("all->name", 3, 7), None);
    }
}

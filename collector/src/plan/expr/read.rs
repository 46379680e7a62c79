//! The last step of a path: the load that fetches its value, and the meaning of the bytes.

use super::compile::{Compiler, WithSpan, type_error};
use super::decode::Decoder;
use super::types::{CompiledPath, ErrorClass, ExprError};
use super::value::{Extent, Pointee, ReadLocation, Shape, Ty, Value, ValueSource};
use crate::btf::{Type, TypeId};
use qed_collector_ebpf::{MAX_READ_BYTES, form};
use qed_evidence::investigation::{MAX_READ, ONE_LOAD};
use std::ops::Range;

const MAX: u32 = MAX_READ_BYTES as u32;
// By it a reader of evidence knows how long a value is that was cut.
const _: () = assert!(MAX == ONE_LOAD);
/// Bytes that one load brings of a string, without the NUL.
const STRIDE: u32 = MAX - 1;

impl Compiler<'_, '_, '_> {
    /// Read `value`, the result of the whole path.
    pub fn compile_read(
        &self,
        value: Value,
        span: &Range<usize>,
    ) -> Result<CompiledPath, ExprError> {
        match value.holds {
            ValueSource::Code(0) => {
                let decode = Decoder::Pointer {
                    type_name: value.ty.name(self.btf()).with_span(span)?,
                    to_function: true,
                    signature_bits: self.btf().arch().signature_bits(),
                };
                return self.compile_load(&value, 8, decode, span);
            }
            ValueSource::Code(bytes) => {
                let decode = Decoder::Bytes {
                    len: bytes,
                    of: bytes.into(),
                    type_name: format!("unsigned char [{bytes}]"),
                };
                return self.compile_load(&value, bytes, decode, span);
            }
            ValueSource::Bits { bit_offset, bits } => {
                return self.compile_bits(&value, bit_offset, bits, span);
            }
            ValueSource::Itself | ValueSource::Kernel | ValueSource::User => {}
        }
        let plain = match value.ty.shape(self.btf()).with_span(span)? {
            Shape::Pointer(target) => return self.compile_pointer(value, &target, span),
            Shape::Plain(plain) => plain,
        };
        let type_name = || value.ty.name(self.btf()).with_span(span);
        let (size, decode) = match plain.ty {
            Type::Int(int) if int.size > 8 && value.holds != ValueSource::Itself => (
                int.size,
                Decoder::Bytes {
                    len: int.size,
                    of: int.size.into(),
                    type_name: type_name()?,
                },
            ),
            Type::Array { element, count } if value.holds != ValueSource::Itself => {
                return self.compile_array(&value, element, count, span);
            }
            Type::Struct(composite) => {
                return self.compile_structure(&value, &composite, false, span);
            }
            Type::Union(composite) => {
                return self.compile_structure(&value, &composite, true, span);
            }
            _ => match self.scalar_decoder(value.ty, span)? {
                Some(scalar) => scalar,
                None => {
                    return type_error(
                        span,
                        format!("a value of type `{}` cannot be read", type_name()?),
                    );
                }
            },
        };
        self.compile_load(&value, size, decode, span)
    }

    /// The size of a number, pointer or member of an enumeration, and what its bytes mean; `None` of any other type.
    pub(super) fn scalar_decoder(
        &self,
        ty: Ty,
        span: &Range<usize>,
    ) -> Result<Option<(u32, Decoder)>, ExprError> {
        let plain = match ty.shape(self.btf()).with_span(span)? {
            Shape::Pointer(target) => {
                let to_function = matches!(target.plain, Some(Type::Prototype(_)));
                return Ok(Some((8, self.address_decoder(ty, to_function, span)?)));
            }
            Shape::Plain(plain) => plain,
        };
        let type_name = || ty.name(self.btf()).with_span(span);
        Ok(match plain.ty {
            Type::Int(int) if int.boolean && int.size == 1 => Some((1, Decoder::Bool)),
            Type::Int(int) if int.size <= 8 => Some((
                int.size,
                Decoder::Int {
                    size: int.size,
                    signed: int.signed,
                    big_endian: plain.big_endian,
                    type_name: type_name()?,
                },
            )),
            Type::Enum(enumeration) => Some((
                enumeration.size,
                Decoder::Enum {
                    // A parameter that is `const` is of the same enumeration.
                    type_name: unqualified(&type_name()?).to_owned(),
                    size: enumeration.size,
                    signed: enumeration.signed,
                    values: self.enumeration_names(plain.id, span)?,
                },
            )),
            _ => None,
        })
    }

    pub(super) fn compile_load(
        &self,
        value: &Value,
        size: u32,
        decode: Decoder,
        span: &Range<usize>,
    ) -> Result<CompiledPath, ExprError> {
        let (form, size) = match value.holds {
            ValueSource::Itself => (form::ADDRESS, 8),
            ValueSource::User => (form::USER_BYTES, size),
            ValueSource::Kernel | ValueSource::Bits { .. } | ValueSource::Code(_) => {
                (form::BYTES, size)
            }
        };
        let mut place = value.place.clone();
        let spec = place.read_spec(form, size.min(MAX), span)?;
        let mut more = Vec::new();
        let mut left = size.saturating_sub(MAX);
        while left > 0 {
            place.shift(MAX.into(), span)?;
            more.push(place.read_spec(form, left.min(MAX), span)?);
            left = left.saturating_sub(MAX);
        }
        Ok(CompiledPath {
            member: None,
            elements: None,
            list: None,
            retyped: false,
            secret: false,
            spec,
            more,
            decode,
        })
    }

    /// A string at `place`: in as many loads as it takes to bring back what was asked for.
    fn compile_string(
        &self,
        mut place: ReadLocation,
        user: bool,
        span: &Range<usize>,
    ) -> Result<CompiledPath, ExprError> {
        let form = if user {
            form::USER_STRING
        } else {
            form::STRING
        };
        // Each load ends with a NUL of its own. One more than fits: so that a text of just that length is whole.
        let loads = self.wanted.take().map_or(1, |bytes| bytes / STRIDE + 1);
        let spec = place.read_spec(form, MAX, span)?;
        let mut more = Vec::new();
        for _ in 1..loads {
            place.shift(STRIDE.into(), span)?;
            more.push(place.read_spec(form, MAX, span)?);
        }
        Ok(CompiledPath {
            member: None,
            elements: None,
            list: None,
            retyped: false,
            secret: false,
            spec,
            more,
            decode: Decoder::Text {
                max: loads * STRIDE + 1,
                whole: false,
            },
        })
    }

    /// Text at `place`, where there is room for `bytes` bytes and not for more.
    fn compile_characters(
        &self,
        place: ReadLocation,
        user: bool,
        bytes: u64,
        span: &Range<usize>,
    ) -> Result<CompiledPath, ExprError> {
        let max = match (u32::try_from(bytes), self.wanted.take()) {
            (Ok(bytes @ ..=MAX), _) => bytes,
            (Ok(bytes), Some(wanted)) => bytes.min(wanted),
            (Err(_), Some(wanted)) => wanted,
            // A string load is shorter than the room, so nothing after the text is read.
            (_, None) => return self.compile_string(place, user, span),
        };
        let holds = if user {
            ValueSource::User
        } else {
            ValueSource::Kernel
        };
        let value = Value::new(place, TypeId::VOID.into(), holds, Extent::Free);
        let decode = Decoder::Text {
            max,
            whole: u64::from(max) == bytes,
        };
        self.compile_load(&value, max, decode, span)
    }

    fn address_decoder(
        &self,
        ty: Ty,
        to_function: bool,
        span: &Range<usize>,
    ) -> Result<Decoder, ExprError> {
        Ok(Decoder::Pointer {
            type_name: ty.name(self.btf()).with_span(span)?,
            to_function,
            signature_bits: 0,
        })
    }

    fn compile_pointer(
        &self,
        value: Value,
        target: &Pointee,
        span: &Range<usize>,
    ) -> Result<CompiledPath, ExprError> {
        match target.plain {
            Some(Type::Int(int)) if int.character => {
                let within = match (value.holds, value.extent) {
                    // It is the address of an object of that length.
                    (ValueSource::Itself, Extent::Within(_, Some(end))) => {
                        u64::try_from(end - value.place.offset).ok()
                    }
                    _ => None,
                };
                let place = self.follow_pointer(value, target, span)?;
                match within {
                    Some(bytes) => self.compile_characters(place, target.user, bytes, span),
                    None => self.compile_string(place, target.user, span),
                }
            }
            ref plain => {
                let to_function = matches!(plain, Some(Type::Prototype(_)));
                let decode = self.address_decoder(value.ty, to_function, span)?;
                self.compile_load(&value, 8, decode, span)
            }
        }
    }

    fn compile_array(
        &self,
        value: &Value,
        element: TypeId,
        count: u32,
        span: &Range<usize>,
    ) -> Result<CompiledPath, ExprError> {
        let type_name = value.ty.name(self.btf()).with_span(span)?;
        let Type::Int(int) = self.btf().strip(element).with_span(span)?.ty else {
            return type_error(
                span,
                format!("`{type_name}` cannot be read whole: name an element, `[0]`"),
            );
        };
        let bytes = u64::from(count) * u64::from(int.size);
        if int.character {
            let (place, user) = (value.place.clone(), value.holds == ValueSource::User);
            return match count {
                0 => self.compile_string(place, user, span),
                _ => self.compile_characters(place, user, bytes, span),
            };
        }
        if count == 0 {
            return type_error(
                span,
                format!(
                    "`{type_name}` has as many elements as another member says: name one of them, `[0]`"
                ),
            );
        }
        let len = match (u32::try_from(bytes), self.wanted.take()) {
            (Ok(len @ 1..=MAX), _) => len,
            (_, Some(wanted)) => u32::try_from(bytes).map_or(wanted, |bytes| bytes.min(wanted)),
            (_, None) => {
                return Err(ExprError::new(
                    ErrorClass::Limit,
                    span,
                    format!(
                        "`{type_name}` has {bytes} bytes, of which a read brings back {MAX} if nothing is said: ask for \
                         more with `max = {}`, or name an element, `[0]`",
                        bytes.min(MAX_READ.into())
                    ),
                ));
            }
        };
        let decode = Decoder::Bytes {
            len,
            of: bytes,
            type_name,
        };
        self.compile_load(value, len, decode, span)
    }

    fn compile_bits(
        &self,
        value: &Value,
        bit_offset: u32,
        bits: u32,
        span: &Range<usize>,
    ) -> Result<CompiledPath, ExprError> {
        let decode = self.bit_field_decoder(value.ty, bit_offset, bits, span)?;
        self.compile_load(value, (bit_offset + bits).div_ceil(8), decode, span)
    }

    /// The meaning of a bit field, whose first bit is `bit_offset` of the first byte that is loaded.
    pub(super) fn bit_field_decoder(
        &self,
        ty: Ty,
        bit_offset: u32,
        bits: u32,
        span: &Range<usize>,
    ) -> Result<Decoder, ExprError> {
        let plain = self.btf().strip(ty.base).with_span(span)?;
        let (signed, boolean, size) = match plain.ty {
            Type::Int(int) => (int.signed, int.boolean, int.size),
            Type::Enum(enumeration) => (enumeration.signed, false, enumeration.size),
            _ => {
                return Err(ExprError::new(
                    ErrorClass::Btf,
                    span,
                    "the kernel's BTF has a bit field that is not an integer",
                ));
            }
        };
        // A bit field stands within one integer of its type, so it spans at most 8 bytes.
        if bits > size * 8 || bit_offset + bits > 64 {
            return Err(ExprError::new(
                ErrorClass::Btf,
                span,
                format!("the kernel's BTF has a bit field of {bits} bits in {size} bytes"),
            ));
        }
        Ok(Decoder::BitField {
            bit_offset,
            bits,
            signed,
            type_name: ty.name(self.btf()).with_span(span)?,
            boolean,
            values: self.enumeration_names(plain.id, span)?,
        })
    }

    /// Names and values of enumeration `id`; none of another type.
    fn enumeration_names(
        &self,
        id: TypeId,
        span: &Range<usize>,
    ) -> Result<Vec<(String, i128)>, ExprError> {
        let Type::Enum(enumeration) = self.btf().get(id).with_span(span)? else {
            return Ok(Vec::new());
        };
        Ok(enumeration
            .values(self.btf())
            .with_span(span)?
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value))
            .collect())
    }
}

/// A type without `const` and `volatile` before it.
pub(super) fn unqualified(type_name: &str) -> &str {
    let mut name = type_name;
    while let Some(rest) = ["const ", "volatile "]
        .iter()
        .find_map(|word| name.strip_prefix(word))
    {
        name = rest;
    }
    name
}

//! One type, decoded.

use super::error::BtfError;
use super::kinds::{TypeId, kind};
use super::raw::{Btf, TypeRecord, read_u32};

/// The largest number of types between a name and its meaning (typedefs, qualifiers), and of levels of nesting. Kernels need
/// fewer than ten; BTF that needs more is a cycle.
pub(super) const MAX_CHAIN: usize = 64;

/// A type, one level deep.
#[derive(Clone, Debug)]
pub enum Type<'a> {
    /// `void`
    Void,
    /// A built-in integer, character or boolean type.
    Int(Int<'a>),
    /// A pointer to a type.
    Pointer(TypeId),
    /// An array.
    Array {
        /// Type of an element.
        element: TypeId,
        /// Number of elements. 0: a flexible array.
        count: u32,
    },
    /// A structure.
    Struct(Composite<'a>),
    /// A union.
    Union(Composite<'a>),
    /// An enumeration.
    Enum(Enumeration<'a>),
    /// A structure or union that is only declared.
    Forward {
        /// Its name.
        name: &'a str,
        /// A union, not a structure.
        union: bool,
    },
    /// Another name for a type.
    Typedef {
        /// The name.
        name: &'a str,
        /// The type that it names.
        target: TypeId,
    },
    /// `const`
    Const(TypeId),
    /// `volatile`
    Volatile(TypeId),
    /// `restrict`
    Restrict(TypeId),
    /// An attribute such as `user` or `rcu`. GCC writes none.
    TypeTag {
        /// The attribute.
        tag: &'a str,
        /// The type that carries it.
        target: TypeId,
    },
    /// A function, with its prototype.
    Function {
        /// Its name.
        name: &'a str,
        /// Its prototype's type number.
        prototype: TypeId,
        /// 0 static, 1 global, 2 extern.
        linkage: u32,
    },
    /// Parameters and result of a function.
    Prototype(Prototype<'a>),
    /// A floating-point type.
    Float {
        /// Its name.
        name: &'a str,
        /// Bytes.
        size: u32,
    },
    /// A variable, a section or a declaration tag: nothing that a value can have as its type.
    Other,
}

/// A built-in integer type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Int<'a> {
    /// The compiler's spelling, e.g. `long unsigned int`.
    pub name: &'a str,
    /// Bytes: 1, 2, 4, 8 or 16.
    pub size: u32,
    /// True if it has negative values.
    pub signed: bool,
    /// `_Bool`
    pub boolean: bool,
    /// `char` (not `signed char` or `unsigned char`, which hold numbers).
    pub character: bool,
    /// Bits in use, less than `size * 8` in bit fields of old BTF.
    pub bits: u32,
    /// The start of those bits.
    pub bit_offset: u32,
}

/// A structure or union.
#[derive(Clone, Copy, Debug)]
pub struct Composite<'a> {
    /// Its number.
    pub id: TypeId,
    /// Its tag, `""` if it has none.
    pub name: &'a str,
    /// Bytes.
    pub size: u32,
    /// Its members' offsets also say bit-field widths.
    pub(super) flag: bool,
    pub(super) body: &'a [u8],
}

/// An enumeration.
#[derive(Clone, Copy, Debug)]
pub struct Enumeration<'a> {
    /// Its number.
    pub id: TypeId,
    /// Its tag, `""` if it has none.
    pub name: &'a str,
    /// Bytes of a value: 1, 2, 4 or 8.
    pub size: u32,
    /// True if it has negative values (BTF of old tools does not say, and then has `false`).
    pub signed: bool,
    wide: bool,
    body: &'a [u8],
}

/// Parameters and result of a function.
#[derive(Clone, Copy, Debug)]
pub struct Prototype<'a> {
    /// Its number.
    pub id: TypeId,
    /// Its result.
    pub result: TypeId,
    body: &'a [u8],
}

/// The result of [`Btf::strip`].
#[derive(Clone, Debug)]
pub struct StrippedType<'a> {
    /// Number of `ty`.
    pub id: TypeId,
    /// Neither typedef nor qualifier nor tag.
    pub ty: Type<'a>,
    /// True if it is tagged `user`: it is in the task's memory.
    pub user: bool,
    /// True if it was tagged `percpu`: it is not an address until a CPU's offset is added.
    pub percpu: bool,
    /// True if it was named by one of the kernel's types for numbers whose highest byte comes first.
    pub big_endian: bool,
}

/// The kernel's types for such numbers:
/// <https://elixir.bootlin.com/linux/v6.12/source/include/uapi/linux/types.h#L32>
const BIG_ENDIAN: [&str; 3] = ["__be16", "__be32", "__be64"];

impl<'a> Enumeration<'a> {
    /// Names and values, in the order of their declaration.
    pub fn values(&self, btf: &Btf<'a>) -> Result<Vec<(&'a str, i128)>, BtfError> {
        let each = if self.wide { 12 } else { 8 };
        self.body
            .chunks_exact(each)
            .map(|entry| {
                let word = |at| read_u32(entry, at).unwrap_or(0);
                let value = match (self.wide, self.signed) {
                    (false, true) => i128::from(word(4) as i32),
                    (false, false) => i128::from(word(4)),
                    (true, signed) => {
                        let value = u64::from(word(8)) << 32 | u64::from(word(4));
                        if signed {
                            i128::from(value as i64)
                        } else {
                            i128::from(value)
                        }
                    }
                };
                Ok((btf.name(self.id, word(0))?, value))
            })
            .collect()
    }
}

impl<'a> Prototype<'a> {
    /// Names (`""` if unknown) and types of the parameters. A last one of type `void` stands for `...`.
    pub fn parameters(&self, btf: &Btf<'a>) -> Result<Vec<(&'a str, TypeId)>, BtfError> {
        self.body
            .chunks_exact(8)
            .map(|entry| {
                let word = |at| read_u32(entry, at).unwrap_or(0);
                Ok((btf.name(self.id, word(0))?, TypeId(word(4))))
            })
            .collect()
    }
}

impl<'a> Btf<'a> {
    /// Decode type `id`.
    pub fn get(&self, id: TypeId) -> Result<Type<'a>, BtfError> {
        if id == TypeId::VOID {
            return Ok(Type::Void);
        }
        let record = self.record(id)?;
        let target = TypeId(record.size_or_type);
        let name = || self.name(id, record.name);
        Ok(match record.kind {
            kind::INT => Type::Int(parse_int(id, &record, name()?)?),
            kind::PTR => Type::Pointer(target),
            kind::ARRAY => parse_array(id, &record)?,
            kind::STRUCT | kind::UNION => {
                let composite = Composite {
                    id,
                    name: name()?,
                    size: record.size_or_type,
                    flag: record.flag,
                    body: record.body,
                };
                if record.kind == kind::STRUCT {
                    Type::Struct(composite)
                } else {
                    Type::Union(composite)
                }
            }
            kind::ENUM | kind::ENUM64 => Type::Enum(parse_enumeration(id, &record, name()?)?),
            kind::FWD => Type::Forward {
                name: name()?,
                union: record.flag,
            },
            kind::TYPEDEF => Type::Typedef {
                name: name()?,
                target,
            },
            kind::VOLATILE => Type::Volatile(target),
            kind::CONST => Type::Const(target),
            kind::RESTRICT => Type::Restrict(target),
            kind::TYPE_TAG => Type::TypeTag {
                tag: name()?,
                target,
            },
            kind::FUNC => Type::Function {
                name: name()?,
                prototype: target,
                // A function has no entries: its `vlen` is its linkage.
                linkage: record.vlen,
            },
            kind::FUNC_PROTO => Type::Prototype(Prototype {
                id,
                result: target,
                body: record.body,
            }),
            kind::FLOAT => Type::Float {
                name: name()?,
                size: record.size_or_type,
            },
            _ => Type::Other,
        })
    }

    /// Follow typedefs, qualifiers and tags from `id` to what a value of that type is.
    pub fn strip(&self, id: TypeId) -> Result<StrippedType<'a>, BtfError> {
        let mut at = id;
        let (mut user, mut percpu, mut big_endian) = (false, false, false);
        for _ in 0..MAX_CHAIN {
            match self.get(at)? {
                Type::Typedef { name, target } => {
                    big_endian |= BIG_ENDIAN.contains(&name);
                    at = target;
                }
                Type::Const(target) | Type::Volatile(target) | Type::Restrict(target) => {
                    at = target
                }
                Type::TypeTag { tag, target } => {
                    user |= tag == "user";
                    percpu |= tag == "percpu";
                    at = target;
                }
                ty => {
                    return Ok(StrippedType {
                        id: at,
                        ty,
                        user,
                        percpu,
                        big_endian,
                    });
                }
            }
        }
        Err(BtfError::of_type(
            id,
            "its typedefs and qualifiers go round in a circle",
        ))
    }

    /// Bytes of a value of type `id`; `None` for what has no size: `void`, functions, forward declarations.
    pub fn size_of(&self, id: TypeId) -> Result<Option<u64>, BtfError> {
        let mut at = id;
        let mut count = 1u64;
        for _ in 0..MAX_CHAIN {
            let size = match self.strip(at)?.ty {
                Type::Int(int) => int.size,
                Type::Pointer(_) => 8,
                Type::Struct(composite) | Type::Union(composite) => composite.size,
                Type::Enum(enumeration) => enumeration.size,
                Type::Float { size, .. } => size,
                Type::Array {
                    element,
                    count: more,
                } => {
                    count = count
                        .checked_mul(u64::from(more))
                        .ok_or_else(|| BtfError::of_type(id, "it is larger than memory"))?;
                    at = element;
                    continue;
                }
                _ => return Ok(None),
            };
            return count
                .checked_mul(u64::from(size))
                .map(Some)
                .ok_or_else(|| BtfError::of_type(id, "it is larger than memory"));
        }
        Err(BtfError::of_type(id, "it is an array of itself"))
    }
}

fn parse_array<'a>(id: TypeId, record: &TypeRecord<'a>) -> Result<Type<'a>, BtfError> {
    let word = |at| {
        read_u32(record.body, at)
            .ok_or_else(|| BtfError::of_type(id, "it is an array without a size"))
    };
    Ok(Type::Array {
        element: TypeId(word(0)?),
        count: word(8)?,
    })
}

fn parse_enumeration<'a>(
    id: TypeId,
    record: &TypeRecord<'a>,
    name: &'a str,
) -> Result<Enumeration<'a>, BtfError> {
    let size = record.size_or_type;
    if !matches!(size, 1 | 2 | 4 | 8) {
        let reason = format!("it is an enumeration of {size} bytes");
        return Err(BtfError::of_type(id, reason));
    }
    Ok(Enumeration {
        id,
        name,
        size,
        signed: record.flag,
        wide: record.kind == kind::ENUM64,
        body: record.body,
    })
}

fn parse_int<'a>(id: TypeId, record: &TypeRecord<'a>, name: &'a str) -> Result<Int<'a>, BtfError> {
    let size = record.size_or_type;
    let encoding = read_u32(record.body, 0).unwrap_or(0);
    let bits = encoding & 0xff;
    let bit_offset = (encoding >> 16) & 0xff;
    if !matches!(size, 1 | 2 | 4 | 8 | 16) || bits == 0 || bits + bit_offset > size * 8 {
        return Err(BtfError::of_type(
            id,
            format!("it is an integer of {bits} bits at bit {bit_offset} in {size} bytes"),
        ));
    }
    let traits = encoding >> 24;
    Ok(Int {
        name,
        size,
        signed: traits & 1 != 0,
        boolean: traits & 4 != 0,
        character: name == "char" || traits & 2 != 0,
        bits,
        bit_offset,
    })
}

//! Structures that are filled by the names of their members.

use std::net::Ipv4Addr;
use std::ops::Range;

use qed_evidence::investigation::{Argument, MemberValue};

use super::error::suggestion;
use crate::btf::{self, Btf, BtfError, Composite, StrippedType, Type, TypeId};
use crate::reason::Reason;
use crate::workload::{Arg, Memory, Patch};

/// Bytes of a pointer.
const POINTER: u64 = 8;

/// A value that does not fit into its member.
#[derive(Debug, thiserror::Error)]
pub(super) enum FillError {
    /// The kernel's types cannot be read.
    #[error("the kernel's BTF is damaged: {0}")]
    Damaged(#[from] BtfError),
    /// The value itself means nothing here.
    #[error("{0}")]
    Argument(Reason),
    /// A name that no member has.
    #[error("it has no member `{path}`{}", suggestion(.near.as_deref()))]
    NoMember { path: String, near: Option<String> },
    /// The value is of another kind than the member.
    #[error("its member `{path}` is `{type_name}`: {instead}")]
    Kind {
        path: String,
        type_name: String,
        instead: &'static str,
    },
    /// The value is too large.
    #[error("{value} does not fit into its member `{path}`, which is `{type_name}`")]
    Range {
        path: String,
        type_name: String,
        value: i128,
    },
    /// Two members lie in one place.
    #[error(
        "its members `{path}` and `{other}` lie in one place, as members of a union do: the second would overwrite the first"
    )]
    Shared { path: String, other: String },
    /// Too many elements or bytes.
    #[error("its member `{path}` holds {limit} {unit}, not {count}")]
    TooMany {
        path: String,
        limit: u64,
        unit: &'static str,
        count: usize,
    },
}

/// A filler of structures of one kernel.
pub(super) struct Filler<'f, 'a> {
    pub btf: &'f Btf<'a>,
    /// Converts an argument to its form in the workload's process.
    pub argument: &'f dyn Fn(&Argument) -> Result<Arg, Reason>,
    /// The structure.
    pub memory: &'f mut Memory,
    /// The bits that were filled, each range with the path of its member.
    pub filled: Vec<(String, Range<u64>)>,
}

/// The place of a value in the structure.
struct MemberPlace<'p> {
    path: &'p str,
    /// Its start in bits.
    bit_offset: u64,
    /// Its width in bits, of a bit field; else 0.
    bits: u32,
    type_id: TypeId,
}

impl Filler<'_, '_> {
    /// Write the values of `members`, which are of a `composite` that begins at bit `start`. `outer` is its path.
    pub(super) fn fill_members(
        &mut self,
        composite: &Composite<'_>,
        start: u64,
        outer: &str,
        members: &[(String, MemberValue)],
    ) -> Result<(), FillError> {
        let btf = self.btf;
        for (name, value) in members {
            let path = match outer {
                "" => name.clone(),
                outer => format!("{outer}.{name}"),
            };
            let Some(member) = btf.find_member(composite, name)? else {
                let near = btf::nearest(name, btf.member_names(composite)?);
                let near = near.into_iter().next();
                return Err(FillError::NoMember { path, near });
            };
            let place = MemberPlace {
                path: &path,
                bit_offset: start + member.bit_offset,
                bits: member.bits,
                type_id: member.type_id,
            };
            self.fill_value(&place, value)?;
        }
        Ok(())
    }

    fn fill_value(
        &mut self,
        place: &MemberPlace<'_>,
        value: &MemberValue,
    ) -> Result<(), FillError> {
        let stripped = self.btf.strip(place.type_id)?;
        match (value, &stripped.ty) {
            (MemberValue::Members(members), Type::Struct(inner) | Type::Union(inner)) => {
                self.fill_members(inner, place.bit_offset, place.path, members)
            }
            (MemberValue::Elements(values), Type::Array { element, count }) => {
                self.fill_elements(place, *element, *count, values)
            }
            (MemberValue::One(argument), _) => self.fill_scalar(place, &stripped, argument),
            (MemberValue::Members(_), _) => Err(self.kind_error(place, "it has no members")),
            (MemberValue::Elements(_), _) => Err(self.kind_error(place, "it is not an array")),
        }
    }

    fn fill_elements(
        &mut self,
        place: &MemberPlace<'_>,
        element: TypeId,
        count: u32,
        values: &[MemberValue],
    ) -> Result<(), FillError> {
        if values.len() > count as usize {
            return Err(FillError::TooMany {
                path: place.path.to_owned(),
                limit: count.into(),
                unit: "elements",
                count: values.len(),
            });
        }
        let size = self.btf.size_of(element)?.unwrap_or(0);
        for (nth, value) in values.iter().enumerate() {
            let path = format!("{}[{nth}]", place.path);
            let place = MemberPlace {
                path: &path,
                bit_offset: place.bit_offset + nth as u64 * size * 8,
                bits: 0,
                type_id: element,
            };
            self.fill_value(&place, value)?;
        }
        Ok(())
    }

    fn fill_scalar(
        &mut self,
        place: &MemberPlace<'_>,
        stripped: &StrippedType<'_>,
        argument: &Argument,
    ) -> Result<(), FillError> {
        let size = self.btf.size_of(place.type_id)?.unwrap_or(0);
        let is_scalar = matches!(stripped.ty, Type::Int(_) | Type::Enum(_) | Type::Pointer(_));
        let is_whole = is_scalar && place.bits == 0;
        match argument {
            Argument::Int(_) | Argument::Constant { .. } | Argument::SizeOf { .. } => {
                if !is_scalar {
                    return Err(self.kind_error(place, "a number does not fill it"));
                }
                let number = self.scalar_number(stripped, size, argument)?;
                self.write_bits(place, stripped, size, number)
            }
            Argument::Text(text) if matches!(stripped.ty, Type::Array { .. }) => {
                self.write_bytes(place, size, text.as_bytes())
            }
            Argument::Bytes(bytes) if !is_scalar => self.write_bytes(place, size, bytes),
            Argument::Result { .. } | Argument::Element { .. }
                if is_whole && !stripped.big_endian =>
            {
                self.add_patch(place, size, argument)
            }
            Argument::Result { .. } | Argument::Element { .. } => {
                Err(self.kind_error(place, "the result of a call does not fill it"))
            }
            _ if is_whole && size == POINTER => self.add_patch(place, size, argument),
            _ => Err(self.kind_error(place, "an address does not fill it")),
        }
    }

    fn scalar_number(
        &self,
        stripped: &StrippedType<'_>,
        size: u64,
        argument: &Argument,
    ) -> Result<i128, FillError> {
        if let Argument::Constant { text, .. } = argument {
            if stripped.big_endian
                && size == 4
                && let Ok(address) = text.parse::<Ipv4Addr>()
            {
                return Ok(u32::from(address).into());
            }
            if let Type::Enum(enumeration) = &stripped.ty {
                let values = enumeration.values(self.btf)?;
                if let Some((_, value)) = values.iter().find(|(name, _)| name == text) {
                    return Ok(*value);
                }
            }
        }
        match (self.argument)(argument).map_err(FillError::Argument)? {
            Arg::Int(value) => Ok(value.into()),
            other => unreachable!("{other:?} of {argument:?}"),
        }
    }

    /// Write a number, lowest bit first, into the bits of its member.
    fn write_bits(
        &mut self,
        place: &MemberPlace<'_>,
        stripped: &StrippedType<'_>,
        size: u64,
        number: i128,
    ) -> Result<(), FillError> {
        let width = match place.bits {
            0 => u32::try_from(size * 8).unwrap_or(0),
            bits => bits,
        };
        if !(1..=64).contains(&width) {
            return Err(self.kind_error(place, "a number of this size cannot be written"));
        }
        let (least, most) = (-(1i128 << (width - 1)), (1i128 << width) - 1);
        let (least, most) = match &stripped.ty {
            Type::Int(int) if int.boolean => (0, 1),
            // Whether `char` has a sign depends on the kernel.
            Type::Int(int) if int.character => (least, most),
            Type::Int(int) if int.signed => (least, -least - 1),
            // No number of TOML has the highest of 64 bits, so that a negative one stands for those.
            Type::Int(_) if width < 64 => (0, most),
            _ => (least, most),
        };
        if number < least || number > most {
            return Err(FillError::Range {
                path: place.path.to_owned(),
                type_name: self.type_name(place),
                value: number,
            });
        }
        self.occupy(place, width.into())?;
        // The two's complement of a negative number.
        let mut bits = number as u64;
        if stripped.big_endian {
            bits = bits.swap_bytes() >> (64 - width);
        }
        for nth in 0..width {
            let at = place.bit_offset + u64::from(nth);
            let byte = usize::try_from(at / 8).ok();
            let Some(byte) = byte.and_then(|at| self.memory.bytes.get_mut(at)) else {
                return Err(self.kind_error(
                    place,
                    "the kernel's types place it outside of the structure",
                ));
            };
            let mask = 1u8 << (at % 8);
            match bits >> nth & 1 {
                1 => *byte |= mask,
                _ => *byte &= !mask,
            }
        }
        Ok(())
    }

    fn write_bytes(
        &mut self,
        place: &MemberPlace<'_>,
        size: u64,
        bytes: &[u8],
    ) -> Result<(), FillError> {
        if bytes.len() as u64 > size {
            return Err(FillError::TooMany {
                path: place.path.to_owned(),
                limit: size,
                unit: "bytes",
                count: bytes.len(),
            });
        }
        self.occupy(place, bytes.len() as u64 * 8)?;
        let start = usize::try_from(place.bit_offset / 8).ok();
        let target = start.and_then(|start| self.memory.bytes.get_mut(start..start + bytes.len()));
        match target {
            Some(target) => target.copy_from_slice(bytes),
            None => {
                return Err(self.kind_error(
                    place,
                    "the kernel's types place it outside of the structure",
                ));
            }
        }
        Ok(())
    }

    fn add_patch(
        &mut self,
        place: &MemberPlace<'_>,
        size: u64,
        argument: &Argument,
    ) -> Result<(), FillError> {
        let value = (self.argument)(argument).map_err(FillError::Argument)?;
        self.occupy(place, size * 8)?;
        self.memory.patches.push(Patch {
            offset: usize::try_from(place.bit_offset / 8).unwrap_or(usize::MAX),
            size: usize::try_from(size).unwrap_or(usize::MAX),
            value,
        });
        Ok(())
    }

    /// Take so many bits at the place of a member, which no other member may have.
    fn occupy(&mut self, place: &MemberPlace<'_>, bits: u64) -> Result<(), FillError> {
        let range = place.bit_offset..place.bit_offset + bits;
        let shares = |taken: &Range<u64>| taken.start < range.end && range.start < taken.end;
        if let Some((other, _)) = self.filled.iter().find(|(_, taken)| shares(taken)) {
            return Err(FillError::Shared {
                path: other.clone(),
                other: place.path.to_owned(),
            });
        }
        self.filled.push((place.path.to_owned(), range));
        Ok(())
    }

    fn kind_error(&self, place: &MemberPlace<'_>, instead: &'static str) -> FillError {
        FillError::Kind {
            path: place.path.to_owned(),
            type_name: self.type_name(place),
            instead,
        }
    }

    fn type_name(&self, place: &MemberPlace<'_>) -> String {
        let name = self.btf.type_name(place.type_id);
        name.unwrap_or_else(|error| error.to_string())
    }
}

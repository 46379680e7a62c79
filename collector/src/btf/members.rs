//! Members of structures and unions, those of anonymous members included.

use super::error::BtfError;
use super::kinds::TypeId;
use super::raw::{Btf, read_u32};
use super::types::{Composite, MAX_CHAIN, Type};

/// Members that one look-up may pass. The largest structure of a kernel has some hundreds.
const MAX_VISITS: u32 = 100_000;

/// A member, as seen from the structure that was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BtfMember<'a> {
    /// Its name; `""` for an anonymous structure or union.
    pub name: &'a str,
    /// Its type.
    pub type_id: TypeId,
    /// Its start, in bits.
    pub bit_offset: u64,
    /// Its width in bits if it is a bit field, else 0.
    pub bits: u32,
}

/// The direct members of a structure or union.
pub type Members<'a> = Vec<BtfMember<'a>>;

impl<'a> Btf<'a> {
    /// The direct members of `composite`, in the order of their declaration.
    pub fn members(&self, composite: &Composite<'a>) -> Result<Members<'a>, BtfError> {
        let count = composite.body.len() / 12;
        (0..count).map(|nth| self.member(composite, nth)).collect()
    }

    fn member(&self, composite: &Composite<'a>, nth: usize) -> Result<BtfMember<'a>, BtfError> {
        let word = |at| {
            read_u32(composite.body, nth * 12 + at)
                .ok_or_else(|| BtfError::of_type(composite.id, "a member is cut off"))
        };
        let type_id = TypeId(word(4)?);
        let place = word(8)?;
        let mut member = BtfMember {
            name: self.name(composite.id, word(0)?)?,
            type_id,
            bit_offset: u64::from(place),
            bits: 0,
        };
        if composite.flag {
            member.bit_offset = u64::from(place & 0x00ff_ffff);
            member.bits = place >> 24;
        } else if let Type::Int(int) = self.strip(type_id)?.ty
            && int.bits != int.size * 8
        {
            // BTF without kind_flag has the width in the integer type.
            member.bit_offset += u64::from(int.bit_offset);
            member.bits = int.bits;
        }
        Ok(member)
    }

    /// The member called `name`, also inside anonymous members, with its offset from the start of `composite`.
    pub fn find_member(
        &self,
        composite: &Composite<'a>,
        name: &str,
    ) -> Result<Option<BtfMember<'a>>, BtfError> {
        let mut found = None;
        self.visit_members(composite, &mut |member| {
            if member.name == name {
                found = Some(member);
            }
            found.is_none()
        })?;
        Ok(found)
    }

    /// All named members, including those of anonymous members, in the order of their declaration, with their offsets from the
    /// start of `composite`.
    pub fn all_members(&self, composite: &Composite<'a>) -> Result<Members<'a>, BtfError> {
        let mut members = Vec::new();
        self.visit_members(composite, &mut |member| {
            members.push(member);
            true
        })?;
        Ok(members)
    }

    /// Names that `composite` can be asked for, in the order of their declaration.
    pub fn member_names(&self, composite: &Composite<'a>) -> Result<Vec<&'a str>, BtfError> {
        let mut names = Vec::new();
        self.visit_members(composite, &mut |member| {
            names.push(member.name);
            true
        })?;
        Ok(names)
    }

    /// Visit the named members until `visit` returns false.
    fn visit_members(
        &self,
        composite: &Composite<'a>,
        visit: &mut dyn FnMut(BtfMember<'a>) -> bool,
    ) -> Result<(), BtfError> {
        // Structures whose members are not all visited yet: the structure, its offset, its next member.
        let mut open = vec![(*composite, 0u64, 0usize)];
        let mut visits = 0;
        while let Some((inside, offset, nth)) = open.last_mut() {
            if *nth * 12 >= inside.body.len() {
                open.pop();
                continue;
            }
            let mut member = self.member(inside, *nth)?;
            *nth += 1;
            visits += 1;
            // Sums of at most MAX_CHAIN 32-bit numbers.
            member.bit_offset += *offset;
            if !member.name.is_empty() {
                if !visit(member) {
                    return Ok(());
                }
            } else if let Type::Struct(inner) | Type::Union(inner) = self.strip(member.type_id)?.ty
            {
                open.push((inner, member.bit_offset, 0));
            }
            if open.len() > MAX_CHAIN || visits > MAX_VISITS {
                return Err(BtfError::of_type(
                    composite.id,
                    "its anonymous members nest too deeply, or in a circle",
                ));
            }
        }
        Ok(())
    }
}

//! Structures that are read whole: every scalar member under its name; members of nested structures are prefixed with the names
//! of these.

use super::compile::{At, Compiler, Result, list, wrong};
use super::decode::{Decode, StructureField};
use super::types::{Compiled, ErrorClass, ExprError};
use super::value::{Ty, Value, ValueSource};
use crate::btf::{BtfMember, Composite, Type, TypeId};
use crate::reason::Reason;
use qed_evidence::investigation::MAX_READ;
use qed_evidence::path::is_identifier;
use std::ops::Range;

/// Values that one structure may have.
const MAX_FIELDS: usize = 256;
/// The most levels of nested structures. Kernels need fewer than ten; BTF that needs more is a cycle.
const MAX_DEPTH: usize = 32;

/// The reason why a member is not read with all others.
const SECRET: &str = "it is a secret of the kernel, which is read by its own path alone";

/// The fields of a structure while they are collected.
struct Fields<'f> {
    found: Vec<StructureField>,
    /// Members of unions that count.
    choose: &'f [String],
    /// For each of `choose`: true once a union with that member was found.
    chosen: Vec<bool>,
    span: &'f Range<usize>,
}

impl Fields<'_> {
    fn push(&mut self, name: String, offset: u64, decode: std::result::Result<Decode, Reason>) {
        self.found.push(StructureField {
            name,
            offset,
            decode,
        });
    }
}

/// The current position: the prefix of its members' names, its first byte, and its depth.
#[derive(Clone, Copy)]
struct Enclosing<'i> {
    prefix: &'i str,
    offset: u64,
    depth: usize,
}

impl<'a> Compiler<'_, '_, 'a> {
    /// Read all of a structure or union.
    pub(super) fn structure(
        &self,
        value: &Value,
        composite: &Composite<'a>,
        is_union: bool,
        span: &Range<usize>,
    ) -> Result<Compiled> {
        let type_name = value.ty.name(self.btf()).at(span)?;
        if self.is_secret(value.ty, "", span)? {
            return wrong(span, SECRET);
        }
        if !self.whole {
            let members = self.btf().member_names(composite).at(span)?;
            return wrong(
                span,
                format!(
                    "`{type_name}` is a structure, which has no value of its own here: name a member: {}",
                    list(&members)
                ),
            );
        }
        let most = match value.holds {
            // What is passed in a register.
            ValueSource::Itself => 8,
            _ => MAX_READ,
        };
        if !(1..=most).contains(&composite.size) {
            let members = self.btf().member_names(composite).at(span)?;
            return Err(ExprError::new(
                ErrorClass::Limit,
                span,
                format!(
                    "`{type_name}` has {} bytes, and a read brings back 1 to {most}: name a member: {}",
                    composite.size,
                    list(&members)
                ),
            ));
        }
        let mut fields = Fields {
            found: Vec::new(),
            choose: self.choose,
            chosen: vec![false; self.choose.len()],
            span,
        };
        let top = Enclosing {
            prefix: "",
            offset: 0,
            depth: 0,
        };
        self.members_of(composite, is_union, top, &mut fields)?;
        if let Some(unused) = fields.chosen.iter().position(|used| !used) {
            let name = &self.choose[unused];
            return wrong(
                span,
                format!("`{type_name}` has no union with a member `{name}` that could be chosen"),
            );
        }
        if fields.found.is_empty() {
            return wrong(span, format!("`{type_name}` has no members"));
        }
        let decode = Decode::Structure {
            type_name,
            fields: fields.found,
        };
        self.load(value, composite.size, decode, span)
    }

    fn members_of(
        &self,
        composite: &Composite<'a>,
        is_union: bool,
        inside: Enclosing<'_>,
        fields: &mut Fields<'_>,
    ) -> Result<()> {
        let span = fields.span.clone();
        if inside.depth > MAX_DEPTH {
            return Err(ExprError::new(
                ErrorClass::Btf,
                &span,
                "the kernel's BTF has structures inside of each other without an end",
            ));
        }
        let members = self.btf().members(composite).at(&span)?;
        if is_union {
            return self.union(composite, &members, inside, fields);
        }
        members.iter().try_for_each(|member| {
            if self.is_secret(composite.id.into(), member.name, &span)? {
                return self.unreadable(member.name, inside, SECRET, fields);
            }
            self.field(member, inside, fields)
        })
    }

    /// The member of a union that counts; of the others, that they do not.
    fn union(
        &self,
        composite: &Composite<'a>,
        members: &[BtfMember<'a>],
        inside: Enclosing<'_>,
        fields: &mut Fields<'_>,
    ) -> Result<()> {
        let span = fields.span.clone();
        let mut picked: Vec<usize> = Vec::new();
        for (number, name) in fields.choose.iter().enumerate() {
            let Some(own) = name.strip_prefix(inside.prefix) else {
                continue;
            };
            let first = own.split('.').next().unwrap_or_default();
            for (nth, member) in members.iter().enumerate() {
                if self.names_of_member(member, &span)?.contains(&first) {
                    fields.chosen[number] = true;
                    if !picked.contains(&nth) {
                        picked.push(nth);
                    }
                }
            }
        }
        let picked = match picked.as_slice() {
            [] if self.alike(members, &span)? => Some(0),
            [] => None,
            [one] => Some(*one),
            _ => {
                return wrong(
                    &span,
                    format!(
                        "`choose` names more than one member of the union with {}",
                        list(&self.btf().member_names(composite).at(&span)?)
                    ),
                );
            }
        };
        let counts = picked.and_then(|nth| members.get(nth));
        if let Some(member) = counts {
            self.field(member, inside, fields)?;
        }
        let known = match counts {
            Some(member) => self.names_of_member(member, &span)?,
            None => Vec::new(),
        };
        for member in members {
            for name in self.names_of_member(member, &span)? {
                if known.contains(&name) {
                    continue;
                }
                let reason = match counts {
                    Some(_) => "another member of its union was chosen".to_owned(),
                    None => format!(
                        "it is a member of a union, and nothing says which one counts: `choose = [\"{}{name}\"]`",
                        inside.prefix
                    ),
                };
                self.unreadable(name, inside, reason, fields)?;
            }
        }
        Ok(())
    }

    /// True if all members of a union are laid out in the same way, as those that group the members of a structure are.
    fn alike(&self, members: &[BtfMember<'a>], span: &Range<usize>) -> Result<bool> {
        let Some((first, others)) = members.split_first() else {
            return Ok(false);
        };
        let layout = |member: &BtfMember<'a>| -> Result<Option<Vec<BtfMember<'a>>>> {
            match self.btf().strip(member.type_id).at(span)?.ty {
                Type::Struct(composite) => Ok(Some(self.btf().members(&composite).at(span)?)),
                _ => Ok(None),
            }
        };
        if others.is_empty() {
            return Ok(true);
        }
        let Some(known) = layout(first)? else {
            return Ok(false);
        };
        for other in others {
            if layout(other)?.as_ref() != Some(&known) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The names by which a member can be requested; for an anonymous one, those of its members.
    fn names_of_member(&self, member: &BtfMember<'a>, span: &Range<usize>) -> Result<Vec<&'a str>> {
        if !member.name.is_empty() {
            return Ok(vec![member.name]);
        }
        match self.btf().strip(member.type_id).at(span)?.ty {
            Type::Struct(inner) | Type::Union(inner) => self.btf().member_names(&inner).at(span),
            _ => Ok(Vec::new()),
        }
    }

    /// Add a member that has no value, with the reason.
    fn unreadable(
        &self,
        name: &str,
        inside: Enclosing<'_>,
        reason: impl Into<Reason>,
        fields: &mut Fields<'_>,
    ) -> Result<()> {
        let name = full_name(inside.prefix, name, fields.span)?;
        fields.push(name, inside.offset, Err(reason.into()));
        self.limit(fields)
    }

    fn limit(&self, fields: &Fields<'_>) -> Result<()> {
        if fields.found.len() <= MAX_FIELDS {
            return Ok(());
        }
        Err(ExprError::new(
            ErrorClass::Limit,
            fields.span,
            format!("it has more than {MAX_FIELDS} values: name a member"),
        ))
    }

    fn field(
        &self,
        member: &BtfMember<'a>,
        inside: Enclosing<'_>,
        fields: &mut Fields<'_>,
    ) -> Result<()> {
        let span = fields.span.clone();
        let offset = inside.offset + member.bit_offset / 8;
        if member.name.is_empty() {
            // A bit field without a name is padding.
            return match self.btf().strip(member.type_id).at(&span)?.ty {
                Type::Struct(inner) | Type::Union(inner) => {
                    let is_union = matches!(
                        self.btf().strip(member.type_id).at(&span)?.ty,
                        Type::Union(_)
                    );
                    let inside = Enclosing {
                        offset,
                        depth: inside.depth + 1,
                        ..inside
                    };
                    self.members_of(&inner, is_union, inside, fields)
                }
                _ => Ok(()),
            };
        }
        if member.bits != 0 {
            let name = full_name(inside.prefix, member.name, &span)?;
            let bit_offset = (member.bit_offset % 8) as u32;
            let ty = Ty::from(member.type_id);
            let decode = self.bit_field(ty, bit_offset, member.bits, &span)?;
            fields.push(name, offset, Ok(decode));
            return self.limit(fields);
        }
        self.value_of(
            member.name,
            member.type_id,
            Enclosing { offset, ..inside },
            fields,
        )
    }

    /// Add the value at a position, with everything inside it.
    fn value_of(
        &self,
        name: &str,
        type_id: TypeId,
        inside: Enclosing<'_>,
        fields: &mut Fields<'_>,
    ) -> Result<()> {
        let span = fields.span.clone();
        let name = full_name(inside.prefix, name, &span)?;
        let ty = Ty::from(type_id);
        let below = Enclosing {
            prefix: &format!("{name}."),
            offset: inside.offset,
            depth: inside.depth + 1,
        };
        let decode = match self.btf().strip(type_id).at(&span)?.ty {
            _ if self.is_secret(ty, "", &span)? => Err(Reason::from(SECRET)),
            Type::Struct(inner) => return self.members_of(&inner, false, below, fields),
            Type::Union(inner) => return self.members_of(&inner, true, below, fields),
            Type::Array { count: 0, .. } => Err(Reason::from(
                "it is an array of as many elements as another member says: read one of them by its own path, `[0]`",
            )),
            Type::Array { element, count } => match self.btf().strip(element).at(&span)?.ty {
                Type::Int(int) => {
                    let len = u64::from(int.size) * u64::from(count);
                    Ok(
                        match u32::try_from(len).ok().filter(|len| *len <= MAX_READ) {
                            Some(len) if int.character => Decode::Text {
                                max: len,
                                whole: true,
                            },
                            Some(len) => Decode::Bytes {
                                len,
                                of: len.into(),
                                type_name: ty.name(self.btf()).at(&span)?,
                            },
                            // No larger than the structure around it, in a kernel's BTF.
                            None => return self.too_large(&span),
                        },
                    )
                }
                _ => return self.elements_of(element, count, below, fields),
            },
            _ => match self.scalar(ty, &span)? {
                Some((_, decode)) => Ok(decode),
                None => Err(Reason::from(format!(
                    "a value of type `{}` cannot be read",
                    ty.name(self.btf()).at(&span)?
                ))),
            },
        };
        fields.push(name, inside.offset, decode);
        self.limit(fields)
    }

    fn too_large<T>(&self, span: &Range<usize>) -> Result<T> {
        Err(ExprError::new(
            ErrorClass::Btf,
            span,
            "the kernel's BTF has a member that is larger than what is around it",
        ))
    }

    /// Add the elements of an array, `e0`, `e1` and so on.
    fn elements_of(
        &self,
        element: TypeId,
        count: u32,
        inside: Enclosing<'_>,
        fields: &mut Fields<'_>,
    ) -> Result<()> {
        let span = fields.span.clone();
        if inside.depth > MAX_DEPTH || count as usize > MAX_FIELDS {
            return Err(ExprError::new(
                ErrorClass::Limit,
                &span,
                format!("it has more than {MAX_FIELDS} values: name a member"),
            ));
        }
        let size = self.btf().size_of(element).at(&span)?.unwrap_or_default();
        for index in 0..u64::from(count) {
            let inside = Enclosing {
                offset: inside.offset.saturating_add(index.saturating_mul(size)),
                ..inside
            };
            self.value_of(&format!("e{index}"), element, inside, fields)?;
        }
        Ok(())
    }
}

/// The name of a member with those around it.
fn full_name(prefix: &str, name: &str, span: &Range<usize>) -> Result<String> {
    if !is_identifier(name) {
        return Err(ExprError::new(
            ErrorClass::Btf,
            span,
            format!("the kernel's BTF calls a member `{name}`, which cannot stand in a path"),
        ));
    }
    Ok(format!("{prefix}{name}"))
}

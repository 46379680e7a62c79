//! Structures that are read whole: every scalar member under its name; members of nested structures are prefixed with the names
//! of these.

use super::compile::{Compiler, Result, WithSpan, list_members, type_error};
use super::decode::{Decoder, StructureField};
use super::types::{CompiledPath, ErrorClass, ExprError};
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
    fn push(&mut self, name: String, offset: u64, decode: std::result::Result<Decoder, Reason>) {
        self.found.push(StructureField {
            name,
            offset,
            decode,
        });
    }
}

/// The current position: the prefix of its members' names, its first byte, and its depth.
#[derive(Clone, Copy)]
struct EnclosingMember<'i> {
    prefix: &'i str,
    offset: u64,
    depth: usize,
}

impl<'a> Compiler<'_, '_, 'a> {
    /// Read all of a structure or union.
    pub(super) fn compile_structure(
        &self,
        value: &Value,
        composite: &Composite<'a>,
        is_union: bool,
        span: &Range<usize>,
    ) -> Result<CompiledPath> {
        let type_name = value.ty.name(self.btf()).with_span(span)?;
        if self.is_secret(value.ty, "", span)? {
            return type_error(span, SECRET);
        }
        if !self.whole {
            let members = self.btf().member_names(composite).with_span(span)?;
            return type_error(
                span,
                format!(
                    "`{type_name}` is a structure, which has no value of its own here: name a member: {}",
                    list_members(&members)
                ),
            );
        }
        let most = match value.holds {
            // What is passed in a register.
            ValueSource::Itself => 8,
            _ => MAX_READ,
        };
        if !(1..=most).contains(&composite.size) {
            let members = self.btf().member_names(composite).with_span(span)?;
            return Err(ExprError::new(
                ErrorClass::Limit,
                span,
                format!(
                    "`{type_name}` has {} bytes, and a read brings back 1 to {most}: name a member: {}",
                    composite.size,
                    list_members(&members)
                ),
            ));
        }
        let mut fields = Fields {
            found: Vec::new(),
            choose: self.choose,
            chosen: vec![false; self.choose.len()],
            span,
        };
        let top = EnclosingMember {
            prefix: "",
            offset: 0,
            depth: 0,
        };
        self.add_members(composite, is_union, top, &mut fields)?;
        if let Some(unused) = fields.chosen.iter().position(|used| !used) {
            let name = &self.choose[unused];
            return type_error(
                span,
                format!("`{type_name}` has no union with a member `{name}` that could be chosen"),
            );
        }
        if fields.found.is_empty() {
            return type_error(span, format!("`{type_name}` has no members"));
        }
        let decode = Decoder::Structure {
            type_name,
            fields: fields.found,
        };
        self.compile_load(value, composite.size, decode, span)
    }

    fn add_members(
        &self,
        composite: &Composite<'a>,
        is_union: bool,
        inside: EnclosingMember<'_>,
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
        let members = self.btf().members(composite).with_span(&span)?;
        if is_union {
            return self.add_union(composite, &members, inside, fields);
        }
        members.iter().try_for_each(|member| {
            if self.is_secret(composite.id.into(), member.name, &span)? {
                return self.add_unreadable(member.name, inside, SECRET, fields);
            }
            self.add_field(member, inside, fields)
        })
    }

    /// Add the member of a union that counts; of the others, that they do not.
    fn add_union(
        &self,
        composite: &Composite<'a>,
        members: &[BtfMember<'a>],
        inside: EnclosingMember<'_>,
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
                if self.member_names(member, &span)?.contains(&first) {
                    fields.chosen[number] = true;
                    if !picked.contains(&nth) {
                        picked.push(nth);
                    }
                }
            }
        }
        let picked = match picked.as_slice() {
            [] if self.are_alike(members, &span)? => Some(0),
            [] => None,
            [one] => Some(*one),
            _ => {
                return type_error(
                    &span,
                    format!(
                        "`choose` names more than one member of the union with {}",
                        list_members(&self.btf().member_names(composite).with_span(&span)?)
                    ),
                );
            }
        };
        let counts = picked.and_then(|nth| members.get(nth));
        if let Some(member) = counts {
            self.add_field(member, inside, fields)?;
        }
        let known = match counts {
            Some(member) => self.member_names(member, &span)?,
            None => Vec::new(),
        };
        for member in members {
            for name in self.member_names(member, &span)? {
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
                self.add_unreadable(name, inside, reason, fields)?;
            }
        }
        Ok(())
    }

    /// True if all members of a union are laid out in the same way, as those that group the members of a structure are.
    fn are_alike(&self, members: &[BtfMember<'a>], span: &Range<usize>) -> Result<bool> {
        let Some((first, others)) = members.split_first() else {
            return Ok(false);
        };
        let layout = |member: &BtfMember<'a>| -> Result<Option<Vec<BtfMember<'a>>>> {
            match self.btf().strip(member.type_id).with_span(span)?.ty {
                Type::Struct(composite) => {
                    Ok(Some(self.btf().members(&composite).with_span(span)?))
                }
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
    fn member_names(&self, member: &BtfMember<'a>, span: &Range<usize>) -> Result<Vec<&'a str>> {
        if !member.name.is_empty() {
            return Ok(vec![member.name]);
        }
        match self.btf().strip(member.type_id).with_span(span)?.ty {
            Type::Struct(inner) | Type::Union(inner) => {
                self.btf().member_names(&inner).with_span(span)
            }
            _ => Ok(Vec::new()),
        }
    }

    /// Add a member that has no value, with the reason.
    fn add_unreadable(
        &self,
        name: &str,
        inside: EnclosingMember<'_>,
        reason: impl Into<Reason>,
        fields: &mut Fields<'_>,
    ) -> Result<()> {
        let name = full_name(inside.prefix, name, fields.span)?;
        fields.push(name, inside.offset, Err(reason.into()));
        self.check_limit(fields)
    }

    fn check_limit(&self, fields: &Fields<'_>) -> Result<()> {
        if fields.found.len() <= MAX_FIELDS {
            return Ok(());
        }
        Err(ExprError::new(
            ErrorClass::Limit,
            fields.span,
            format!("it has more than {MAX_FIELDS} values: name a member"),
        ))
    }

    fn add_field(
        &self,
        member: &BtfMember<'a>,
        inside: EnclosingMember<'_>,
        fields: &mut Fields<'_>,
    ) -> Result<()> {
        let span = fields.span.clone();
        let offset = inside.offset + member.bit_offset / 8;
        if member.name.is_empty() {
            // A bit field without a name is padding.
            return match self.btf().strip(member.type_id).with_span(&span)?.ty {
                Type::Struct(inner) | Type::Union(inner) => {
                    let is_union = matches!(
                        self.btf().strip(member.type_id).with_span(&span)?.ty,
                        Type::Union(_)
                    );
                    let inside = EnclosingMember {
                        offset,
                        depth: inside.depth + 1,
                        ..inside
                    };
                    self.add_members(&inner, is_union, inside, fields)
                }
                _ => Ok(()),
            };
        }
        if member.bits != 0 {
            let name = full_name(inside.prefix, member.name, &span)?;
            let bit_offset = (member.bit_offset % 8) as u32;
            let ty = Ty::from(member.type_id);
            let decode = self.bit_field_decoder(ty, bit_offset, member.bits, &span)?;
            fields.push(name, offset, Ok(decode));
            return self.check_limit(fields);
        }
        self.add_value(
            member.name,
            member.type_id,
            EnclosingMember { offset, ..inside },
            fields,
        )
    }

    /// Add the value at a position, with everything inside it.
    fn add_value(
        &self,
        name: &str,
        type_id: TypeId,
        inside: EnclosingMember<'_>,
        fields: &mut Fields<'_>,
    ) -> Result<()> {
        let span = fields.span.clone();
        let name = full_name(inside.prefix, name, &span)?;
        let ty = Ty::from(type_id);
        let below = EnclosingMember {
            prefix: &format!("{name}."),
            offset: inside.offset,
            depth: inside.depth + 1,
        };
        let decode = match self.btf().strip(type_id).with_span(&span)?.ty {
            _ if self.is_secret(ty, "", &span)? => Err(Reason::from(SECRET)),
            Type::Struct(inner) => return self.add_members(&inner, false, below, fields),
            Type::Union(inner) => return self.add_members(&inner, true, below, fields),
            Type::Array { count: 0, .. } => Err(Reason::from(
                "it is an array of as many elements as another member says: read one of them by its own path, `[0]`",
            )),
            Type::Array { element, count } => {
                match self.btf().strip(element).with_span(&span)?.ty {
                    Type::Int(int) => {
                        let len = u64::from(int.size) * u64::from(count);
                        Ok(
                            match u32::try_from(len).ok().filter(|len| *len <= MAX_READ) {
                                Some(len) if int.character => Decoder::Text {
                                    max: len,
                                    whole: true,
                                },
                                Some(len) => Decoder::Bytes {
                                    len,
                                    of: len.into(),
                                    type_name: ty.name(self.btf()).with_span(&span)?,
                                },
                                // No larger than the structure around it, in a kernel's BTF.
                                None => return self.too_large_error(&span),
                            },
                        )
                    }
                    _ => return self.add_elements(element, count, below, fields),
                }
            }
            _ => match self.scalar_decoder(ty, &span)? {
                Some((_, decode)) => Ok(decode),
                None => Err(Reason::from(format!(
                    "a value of type `{}` cannot be read",
                    ty.name(self.btf()).with_span(&span)?
                ))),
            },
        };
        fields.push(name, inside.offset, decode);
        self.check_limit(fields)
    }

    fn too_large_error<T>(&self, span: &Range<usize>) -> Result<T> {
        Err(ExprError::new(
            ErrorClass::Btf,
            span,
            "the kernel's BTF has a member that is larger than what is around it",
        ))
    }

    /// Add the elements of an array, `e0`, `e1` and so on.
    fn add_elements(
        &self,
        element: TypeId,
        count: u32,
        inside: EnclosingMember<'_>,
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
        let size = self
            .btf()
            .size_of(element)
            .with_span(&span)?
            .unwrap_or_default();
        for index in 0..u64::from(count) {
            let inside = EnclosingMember {
                offset: inside.offset.saturating_add(index.saturating_mul(size)),
                ..inside
            };
            self.add_value(&format!("e{index}"), element, inside, fields)?;
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

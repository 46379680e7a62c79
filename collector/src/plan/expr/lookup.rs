//! Look-up of the types that a path names in the kernel's BTF.

use super::compile::{Compiler, Result, WithSpan, list_members, type_error, unknown_error};
use super::inner_members::find_inner_members;
use super::parse::{Name, TypeText};
use super::types::{ErrorClass, ExprError};
use super::value::Ty;
use crate::btf::{Btf, BtfError, BtfMember, Composite, NameKind, Type, TypeId, nearest};
use std::ops::Range;

impl Compiler<'_, '_, '_> {
    /// The type that `text` writes.
    pub fn find_type(&self, text: &TypeText) -> Result<Ty> {
        let base = match (text.tag, text.words.as_slice()) {
            (Some(tag), [name]) => self.find_tagged(tag, name, &text.span)?,
            (None, [name]) if name == "void" => TypeId::VOID,
            (_, words) => match integer_names(words) {
                Some(_) => self.find_integer(words, &text.span)?,
                None => {
                    self.find_unique(NameKind::Typedef, "type", &words.join(" "), &text.span)?
                }
            },
        };
        Ok(Ty {
            base,
            stars: text.stars,
            user: text.user,
        })
    }

    /// `struct NAME`, `union NAME` or `enum NAME`.
    pub fn find_tagged(&self, tag: &str, name: &str, span: &Range<usize>) -> Result<TypeId> {
        let wanted = match tag {
            "struct" => NameKind::Struct,
            "union" => NameKind::Union,
            _ => NameKind::Enum,
        };
        self.find_unique(wanted, tag, name, span)
    }

    /// The integer type that `words` write.
    pub fn find_integer(&self, words: &[String], span: &Range<usize>) -> Result<TypeId> {
        let names = integer_names(words).unwrap_or_default();
        names
            .iter()
            .find_map(|name| self.btf().find(NameKind::Int, name).first().copied())
            .ok_or_else(|| {
                ExprError::new(
                    ErrorClass::Unknown,
                    span,
                    format!("the kernel's BTF has no integer type `{}`", words.join(" ")),
                )
            })
    }

    /// The one type of this name; several that are laid out alike count as one.
    fn find_unique(
        &self,
        wanted: NameKind,
        what: &str,
        name: &str,
        span: &Range<usize>,
    ) -> Result<TypeId> {
        let found = self.btf().find(wanted, name);
        let Some((&first, others)) = found.split_first() else {
            let near = self.btf().nearest(wanted, name);
            let reason = format!("this kernel has no {what} `{name}`");
            return Err(ExprError::new(ErrorClass::Unknown, span, reason).with_nearest(near));
        };
        for &other in others {
            if !is_same_layout(self.btf(), first, other).with_span(span)? {
                return Err(ExprError::new(
                    ErrorClass::Type,
                    span,
                    format!(
                        "this kernel has {} different types called `{what} {name}`: reach it through a member that has the type, without a cast",
                        found.len()
                    ),
                ));
            }
        }
        Ok(first)
    }
}

impl<'a> Compiler<'_, '_, 'a> {
    /// The structure or union that `ty` is.
    pub(super) fn find_composite(&self, ty: Ty, span: &Range<usize>) -> Result<Composite<'a>> {
        if ty.stars > 0 {
            return self.no_members_error(ty, span);
        }
        let ty = self.complete_type(ty, span)?;
        match self.btf().strip(ty.base).with_span(span)?.ty {
            Type::Struct(composite) | Type::Union(composite) => Ok(composite),
            Type::Void => type_error(
                span,
                "it is a `void *`: say what it points to with a cast, `((struct NAME *)…)->…`",
            ),
            _ => self.no_members_error(ty, span),
        }
    }

    /// `ty` itself, or where it is only declared, its one definition in this kernel.
    pub(super) fn complete_type(&self, ty: Ty, span: &Range<usize>) -> Result<Ty> {
        if ty.stars == 0
            && let Type::Forward { name, union } = self.btf().strip(ty.base).with_span(span)?.ty
        {
            let tag = if union { "union" } else { "struct" };
            return Ok(self.find_tagged(tag, name, span)?.into());
        }
        Ok(ty)
    }

    pub(super) fn no_members_error<T>(&self, ty: Ty, span: &Range<usize>) -> Result<T> {
        let ty = ty.name(self.btf()).with_span(span)?;
        type_error(span, format!("`{ty}` has no members"))
    }

    pub(super) fn find_member(
        &self,
        composite: &Composite<'a>,
        name: &Name,
    ) -> Result<BtfMember<'a>> {
        let found = self.btf().find_member(composite, &name.text);
        if let Some(member) = found.with_span(&name.span)? {
            return Ok(member);
        }
        let members = self.btf().member_names(composite).with_span(&name.span)?;
        let ty = self.btf().type_name(composite.id).with_span(&name.span)?;
        let near = nearest(&name.text, members.iter().copied());
        let mut reason = format!("`{ty}` has no member `{}`", name.text);
        // The kernel's headers shorten a way into a structure by macros, which are not in its types: `sk->sk_family`.
        let inner = find_inner_members(self.btf(), composite, &name.text);
        if let Some(paths) = inner
            .with_span(&name.span)?
            .filter(|paths| !paths.is_empty())
        {
            reason.push_str(&format!(
                "; a member that ends alike is {}, which C may call so by a macro",
                paths.join(", ")
            ));
        } else if near.is_empty() {
            reason.push_str(&format!("; it has {}", list_members(&members)));
        }
        Err(unknown_error(&name.span, reason).with_nearest(near))
    }
}

/// Do two types of one name say the same, as far as a read can tell?
fn is_same_layout(btf: &Btf, one: TypeId, other: TypeId) -> std::result::Result<bool, BtfError> {
    let (one, other) = (btf.strip(one)?, btf.strip(other)?);
    Ok(match (&one.ty, &other.ty) {
        (Type::Struct(left), Type::Struct(right)) | (Type::Union(left), Type::Union(right)) => {
            let (ours, theirs) = (btf.members(left)?, btf.members(right)?);
            let mut same = left.size == right.size && ours.len() == theirs.len();
            for (our, their) in ours.iter().zip(&theirs) {
                same = same
                    && (our.name, our.bit_offset, our.bits)
                        == (their.name, their.bit_offset, their.bits)
                    && btf.type_name(our.type_id)? == btf.type_name(their.type_id)?
                    // Types of anonymous members may have the same name and differ in content, so their ids are compared.
                    && (!our.name.is_empty() || our.type_id == their.type_id);
            }
            same
        }
        (Type::Enum(left), Type::Enum(right)) => {
            left.size == right.size && left.values(btf)? == right.values(btf)?
        }
        _ => one.id == other.id || btf.type_name(one.id)? == btf.type_name(other.id)?,
    })
}

/// The compilers' names for the integer type that `words` write, GCC's first; `None` if they write none.
fn integer_names(words: &[String]) -> Option<&'static [&'static str]> {
    let count = |wanted: &str| words.iter().filter(|word| *word == wanted).count();
    let rest = words.len() - count("unsigned") - count("signed") - count("int") - count("long");
    let unsigned = count("unsigned") == 1;
    if words.is_empty() || count("unsigned") + count("signed") > 1 || count("int") > 1 || rest > 1 {
        return None;
    }
    let other = words
        .iter()
        .find(|word| !matches!(word.as_str(), "unsigned" | "signed" | "int" | "long"));
    Some(match (other.map(String::as_str), count("long"), unsigned) {
        (Some("char"), 0, true) => &["unsigned char"],
        (Some("char"), 0, false) if count("signed") == 1 => &["signed char"],
        (Some("char"), 0, false) => &["char"],
        (Some("short"), 0, true) => &["short unsigned int", "unsigned short"],
        (Some("short"), 0, false) => &["short int", "short"],
        (Some("__int128"), 0, true) => &["__int128 unsigned", "unsigned __int128"],
        (Some("__int128"), 0, false) => &["__int128"],
        (Some("bool" | "_Bool"), 0, false) => &["_Bool", "bool"],
        (None, 0, true) => &["unsigned int"],
        (None, 0, false) => &["int"],
        (None, 1, true) => &["long unsigned int", "unsigned long"],
        (None, 1, false) => &["long int", "long"],
        (None, 2, true) => &["long long unsigned int", "unsigned long long"],
        (None, 2, false) => &["long long int", "long long"],
        _ => return None,
    })
}

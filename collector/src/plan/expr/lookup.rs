//! Look-up of the types that a path names in the kernel's BTF.

use super::compile::{Compiler, WithSpan};
use super::parse::TypeText;
use super::types::{ErrorClass, ExprError};
use super::value::Ty;
use crate::btf::{Btf, BtfError, NameKind, Type, TypeId};
use std::ops::Range;

impl Compiler<'_, '_, '_> {
    /// The type that `text` writes.
    pub fn find_type(&self, text: &TypeText) -> Result<Ty, ExprError> {
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
    pub fn find_tagged(
        &self,
        tag: &str,
        name: &str,
        span: &Range<usize>,
    ) -> Result<TypeId, ExprError> {
        let wanted = match tag {
            "struct" => NameKind::Struct,
            "union" => NameKind::Union,
            _ => NameKind::Enum,
        };
        self.find_unique(wanted, tag, name, span)
    }

    /// The integer type that `words` write.
    pub fn find_integer(&self, words: &[String], span: &Range<usize>) -> Result<TypeId, ExprError> {
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
    ) -> Result<TypeId, ExprError> {
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

/// Do two types of one name say the same, as far as a read can tell?
fn is_same_layout(btf: &Btf, one: TypeId, other: TypeId) -> Result<bool, BtfError> {
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

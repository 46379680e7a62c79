//! The origin of what a path reads: a value as the kernel's types declare it, or a part of a pointer or of other memory that a
//! cast turns into a number.
//!
//! An address of a live machine is never published. All 64 bits together can be recognised as an address, but two of its bytes
//! look like any other number. So evidence marks each value that may be such a part, and no declaration of an author publishes
//! it.

use std::ops::Range;

use qed_evidence::secrets::is_secret_member as is_secret;

use super::compile::{Compiler, Result, WithSpan};
use super::value::{Origin, Pointee, Shape, Ty, Value};
use crate::btf::{Type, TypeId};

/// The most levels of nested structures that are searched for the first member.
const MAX_DEPTH: usize = 32;

/// A type on one side of a cast.
enum Side {
    /// A number of this many bytes.
    Number(u64),
    /// A pointer to this.
    Pointer(Ty),
}

impl<'a> Compiler<'_, '_, 'a> {
    /// The origin of `value` after a cast to the type `to`.
    pub(super) fn origin_of_cast(
        &self,
        value: &Value,
        to: Ty,
        span: &Range<usize>,
    ) -> Result<Origin> {
        let before = value.origin;
        if before == Origin::Secret {
            return Ok(before);
        }
        Ok(match (self.side(value.ty, span)?, self.side(to, span)?) {
            (Side::Number(from), Side::Number(to)) if from < 8 || to >= 8 => before,
            (_, Side::Number(..8)) => Origin::Retyped,
            (Side::Pointer(_), Side::Number(_)) => before.max(Origin::Erased),
            (Side::Number(_), Side::Number(_)) => before,
            (Side::Number(_), Side::Pointer(to)) => self.origin_of_unknown(before, to, span)?,
            (Side::Pointer(from), Side::Pointer(to)) => {
                if self.is_void(from, span)? {
                    self.origin_of_unknown(before, to, span)?
                } else if self.is_void(to, span)? {
                    before.max(Origin::Erased)
                } else if self.is_same_memory(from, to, span)? {
                    before
                } else {
                    Origin::Retyped
                }
            }
        })
    }

    /// The origin of a member of something of this type and origin.
    pub(super) fn origin_of_member(
        &self,
        before: Origin,
        of: Ty,
        member: &str,
        span: &Range<usize>,
    ) -> Result<Origin> {
        let secret = self.is_secret(of, member, span)?;
        Ok(if secret { Origin::Secret } else { before })
    }

    /// True if a member of a structure of this type holds a secret of the kernel.
    pub(super) fn is_secret(&self, of: Ty, member: &str, span: &Range<usize>) -> Result<bool> {
        let (written, bare) = (
            of.name(self.btf()).with_span(span)?,
            self.bare_name(of, span)?,
        );
        Ok([written, bare].iter().any(|name| is_secret(name, member)))
    }

    fn side(&self, ty: Ty, span: &Range<usize>) -> Result<Side> {
        Ok(match ty.shape(self.btf()).with_span(span)? {
            Shape::Pointer(Pointee { ty, .. }) => Side::Pointer(ty),
            Shape::Plain(plain) => match plain.ty {
                Type::Array { element, .. } => Side::Pointer(element.into()),
                _ => Side::Number(ty.size(self.btf()).with_span(span)?.unwrap_or_default()),
            },
        })
    }

    /// The origin of a pointer to `to` that was a pointer to an unknown type.
    fn origin_of_unknown(&self, before: Origin, to: Ty, span: &Range<usize>) -> Result<Origin> {
        let typed = !self.is_void(to, span)?;
        Ok(
            match typed && (before > Origin::Kernel || self.number_size(to, span)?.is_some()) {
                true => Origin::Retyped,
                false => before,
            },
        )
    }

    fn is_void(&self, ty: Ty, span: &Range<usize>) -> Result<bool> {
        Ok(ty.stars == 0 && matches!(self.btf().strip(ty.base).with_span(span)?.ty, Type::Void))
    }

    /// The size of a number.
    fn number_size(&self, ty: Ty, span: &Range<usize>) -> Result<Option<u32>> {
        if ty.stars > 0 {
            return Ok(None);
        }
        Ok(match self.btf().strip(ty.base).with_span(span)?.ty {
            Type::Int(int) => Some(int.size),
            Type::Enum(enumeration) => Some(enumeration.size),
            _ => None,
        })
    }

    /// True if the same memory can have both types: numbers of one size, or a structure and the one that it begins with.
    fn is_same_memory(&self, one: Ty, other: Ty, span: &Range<usize>) -> Result<bool> {
        if self.bare_name(one, span)? == self.bare_name(other, span)? {
            return Ok(true);
        }
        let sizes = (self.number_size(one, span)?, self.number_size(other, span)?);
        if let (Some(size), Some(other)) = sizes {
            return Ok(size == other);
        }
        if one.stars > 0 || other.stars > 0 {
            return Ok(false);
        }
        let (one, other) = (
            self.complete_type(one, span)?,
            self.complete_type(other, span)?,
        );
        Ok(self.begins_with(one.base, other, MAX_DEPTH, span)?
            || self.begins_with(other.base, one, MAX_DEPTH, span)?)
    }

    /// True if a structure is the wanted one, or has it as its first member.
    fn begins_with(
        &self,
        outer: TypeId,
        wanted: Ty,
        depth: usize,
        span: &Range<usize>,
    ) -> Result<bool> {
        let outer = self.btf().strip(outer).with_span(span)?;
        let (Type::Struct(composite) | Type::Union(composite)) = outer.ty else {
            return Ok(false);
        };
        // Those without a name would all be alike.
        let same = match self.btf().strip(wanted.base).with_span(span)? {
            stripped if stripped.id == outer.id => true,
            _ => {
                let name = self.bare_name(outer.id.into(), span)?;
                !name.contains('{') && name == self.bare_name(wanted, span)?
            }
        };
        if same || depth == 0 {
            return Ok(same);
        }
        for member in self.btf().members(&composite).with_span(span)? {
            if member.bit_offset == 0
                && self.begins_with(member.type_id, wanted, depth - 1, span)?
            {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

#[cfg(test)]
mod tests {
    use super::super::types::{Code, ReturnSlot};
    use crate::btf::Btf;
    use crate::btf::build::Builder;
    use crate::btf::{ArgumentLocation, Parameter, TypeId};
    use crate::plan::expr::{
        CompiledPath, ErrorClass, ExprError, ReadOptions, ReturnMeaning, Scope,
    };

    /// A file, a socket that begins with what all sockets have, a task with its canary, and a key.
    fn types() -> (Vec<u8>, TypeId) {
        let mut b = Builder::default();
        let short = b.int("short unsigned int", 2, false);
        let word = b.int("unsigned int", 4, false);
        let long = b.int("long unsigned int", 8, false);
        let character = b.int("char", 1, true);
        b.typedef("u16", short);
        b.typedef("u32", word);
        let text = b.pointer(character);
        let void = b.pointer(TypeId::VOID);
        let numbers = b.array(long, 2);
        let key = b.structure("", 16, &[("key", numbers, 0, 0)]);
        let key = b.typedef("siphash_key_t", key);
        let common = b.structure(
            "common",
            16,
            &[("family", short, 0, 0), ("hash", word, 32, 0)],
        );
        let sock = b.structure(
            "sock",
            32,
            &[("common", common, 0, 0), ("state", word, 128, 0)],
        );
        let common = b.pointer(common);
        b.pointer(sock);
        b.structure("pt_regs", 16, &[("ax", long, 0, 0), ("sp", long, 64, 0)]);
        b.structure(
            "task_struct",
            40,
            &[
                ("pid", word, 0, 0),
                ("stack_canary", long, 64, 0),
                ("secret", key, 128, 0),
                ("start", long, 256, 0),
            ],
        );
        let file = b.structure(
            "file",
            48,
            &[
                ("f_flags", word, 0, 0),
                ("f_op", void, 64, 0),
                ("private_data", void, 128, 0),
                ("name", text, 192, 0),
                ("common", common, 256, 0),
                ("f_pos", long, 320, 0),
            ],
        );
        let file = b.pointer(file);
        (b.bytes(), file)
    }

    fn read(path: &str) -> Result<CompiledPath, ExprError> {
        let (data, file) = types();
        let btf = Btf::parse(&data).unwrap();
        let parameter = Parameter {
            name: Some("file"),
            type_id: file,
            location: ArgumentLocation::Register(0),
        };
        let scope = Scope {
            btf: &btf,
            parameters: &[parameter],
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
        super::super::compile_wanted(path, &scope, wanted)
    }

    fn compiled(path: &str) -> CompiledPath {
        read(path).unwrap_or_else(|error| panic!("{path}: {error}"))
    }

    /// Check that every way to a part of a pointer is marked, and that what the kernel's types say is not.
    #[test]
    fn parts_of_pointers_are_marked() {
        for path in [
            "*(u16 *)(void *)&file->f_op",
            "((u16 *)file)[9]",
            "((u16 *)(void *)file)[9]",
            "((u16 *)(unsigned long)&file->f_op)[1]",
            "(u16)(unsigned long)file->f_op",
            "(u16)regs->sp",
            "((char *)regs->sp)[1]",
            "((u16 *)file->private_data)[1]",
            "(char *)file",
            "(char *)file->private_data",
            "(u32)file->f_pos",
            "((struct task_struct *)file)->pid",
            "((struct task_struct *)(void *)file)->pid",
            "((struct task_struct *)(unsigned long)file)->pid",
            "container_of(&file->f_flags, struct task_struct, pid)->start",
        ] {
            assert!(compiled(path).retyped, "{path}");
        }
        for path in [
            "file->f_flags",
            "file->f_op",
            "(void *)file->name",
            "file->name",
            "(const char *)file->name",
            "(unsigned long)file->f_op",
            "(u16)file->f_flags",
            "regs->sp",
            "(long)regs->sp",
            "((struct sock *)file->private_data)->state",
            "((struct sock *)file->common)->state",
            "((struct common *)(struct sock *)file->common)->family",
            "((struct file *)regs->ax)->f_flags",
            "task->pid",
        ] {
            let known = match read(path) {
                Err(error) if error.class == ErrorClass::Unknown && path.contains("(long)") => {
                    continue;
                }
                known => known.unwrap_or_else(|error| panic!("{path}: {error}")),
            };
            assert!(!known.retyped, "{path}");
        }
    }

    /// Check that a secret of the kernel stays one however it is reached, and is left out where all of a structure is read.
    #[test]
    fn secrets_are_marked() {
        for path in [
            "task->stack_canary",
            "*&task->stack_canary",
            "*(unsigned long *)&task->stack_canary",
            "(u32)task->stack_canary",
            "task->secret.key",
            "task->secret.key[1]",
        ] {
            let found = compiled(path);
            assert!(found.secret && found.retyped, "{path}");
        }
        for path in ["task->pid", "task->start"] {
            assert!(!compiled(path).secret, "{path}");
        }
        let crate::plan::expr::Decoder::Structure { fields, .. } = compiled("*task").decode else {
            panic!("no structure");
        };
        for field in fields {
            let secret = ["stack_canary", "secret"].contains(&field.name.as_str());
            assert_eq!(field.decode.is_err(), secret, "{}", field.name);
        }
        assert!(read("task->secret").is_err());
    }
}

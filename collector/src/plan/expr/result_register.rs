//! Reads of the register that holds a function's result: a result of fewer than 64 bits fills only its lower bits.
//!
//! At the exit of a function that returns `int`, `regs->ax` holds `-EEXIST` as 0x00000000ffffffef: as 64 bits that is not an
//! error but a large number. The ABIs leave the upper bits undefined (System V ABI for AMD64,
//! <https://gitlab.com/x86-psABIs/x86-64-ABI>; AAPCS64, <https://github.com/ARM-software/abi-aa>).

use std::ops::Range;

use qed_collector_ebpf::{form, root};

use super::compile::{Compiler, Result, WithSpan};
use super::decode::Decoder;
use super::types::{CompiledPath, ReturnMeaning};
use crate::btf::{Type, TypeId};
use crate::reason::Reason;

/// The part of the register that holds a result which does not fill it, or may not fill it.
enum ResultLimit {
    /// A value of this many bytes, to be decoded in this way.
    To(u32, Decoder),
    /// The width of the result is not known.
    Unknown,
}

impl Compiler<'_, '_, '_> {
    /// Limit a read of the result's register to the bytes of the function's result. If its type is not known, the number gets
    /// no type either: then no claim takes a 32-bit error for a large number.
    pub fn narrow_result(&self, compiled: &mut CompiledPath, span: &Range<usize>) -> Result<()> {
        let spec = &mut compiled.spec;
        let of_registers =
            spec.root == root::REGISTERS && spec.hop_count == 0 && spec.form == form::BYTES;
        if !of_registers {
            return Ok(());
        }
        let (Some(register), Some(narrow)) =
            (self.result_register(span)?, self.result_limit(span)?)
        else {
            return Ok(());
        };
        let start = i64::from(spec.offset);
        if let (Decoder::Int { size: read, .. }, ResultLimit::To(size, _)) =
            (&compiled.decode, &narrow)
            && start == register
            && read >= size
        {
            // The complete result, which is not an address.
            compiled.retyped = false;
        }
        match (&mut compiled.decode, narrow) {
            (Decoder::Structure { fields, .. }, narrow) => {
                let there = |offset: u64| start.checked_add_unsigned(offset) == Some(register);
                for field in fields.iter_mut().filter(|field| there(field.offset)) {
                    let decode = field.decode.as_mut().ok();
                    let wide = decode.is_some_and(|decode| is_wider(decode, &narrow));
                    match &narrow {
                        ResultLimit::To(_, decode) if wide => field.decode = Ok(decode.clone()),
                        ResultLimit::Unknown if wide => field.decode = Err(unknown_result_reason()),
                        _ => {}
                    }
                }
            }
            (decode, narrow) if start == register && is_wider(decode, &narrow) => match narrow {
                ResultLimit::To(size, result) => {
                    *decode = result;
                    spec.size = size;
                }
                ResultLimit::Unknown => {
                    if let Decoder::Int { type_name, .. } = decode {
                        type_name.clear();
                    }
                }
            },
            _ => {}
        }
        Ok(())
    }

    /// The offset of the result's register in `struct pt_regs`, if that has a member of its name.
    fn result_register(&self, span: &Range<usize>) -> Result<Option<i64>> {
        let registers = self.find_tagged("struct", "pt_regs", span)?;
        let Type::Struct(composite) = self.btf().strip(registers).with_span(span)?.ty else {
            return Ok(None);
        };
        let found = self
            .btf()
            .find_member(&composite, self.btf().arch().places().result)
            .with_span(span)?;
        Ok(found.and_then(|member| i64::try_from(member.bit_offset / 8).ok()))
    }

    /// The limit for reads of the register at this point; `None`: it holds no result, or one that fills it.
    fn result_limit(&self, span: &Range<usize>) -> Result<Option<ResultLimit>> {
        let result = match self.scope.returned {
            ReturnMeaning::NotYet | ReturnMeaning::SystemCall => return Ok(None),
            ReturnMeaning::Unknown | ReturnMeaning::Function(TypeId::VOID) => {
                return Ok(Some(ResultLimit::Unknown));
            }
            ReturnMeaning::Function(result) => result,
        };
        Ok(match self.scalar_decoder(result.into(), span)? {
            Some((8, _)) => None,
            Some((size, decode)) => Some(ResultLimit::To(size, decode)),
            None => Some(ResultLimit::Unknown),
        })
    }
}

/// True if a number is read of more bytes than the result has.
fn is_wider(decode: &Decoder, narrow: &ResultLimit) -> bool {
    let read = match decode {
        Decoder::Int { size, .. } | Decoder::Enum { size, .. } => *size,
        _ => return false,
    };
    match narrow {
        ResultLimit::To(size, _) => read > *size,
        ResultLimit::Unknown => read == 8,
    }
}

fn unknown_result_reason() -> Reason {
    "the type of the function's result is not known, nor therefore how much of the register it fills: read it alone, as \
     `(long)regs->ax`"
        .into()
}

#[cfg(test)]
mod tests {
    use super::super::types::{Code, ReturnSlot};
    use super::*;
    use crate::btf::Btf;
    use crate::btf::build::Builder;
    use crate::plan::expr::{ReadOptions, Scope, compile_wanted};

    /// Registers, and types of results by their names.
    fn types() -> Vec<u8> {
        let mut b = Builder::default();
        let int = b.int("int", 4, true);
        let long = b.int("long int", 8, true);
        let register = b.int("long unsigned int", 8, false);
        b.int("short unsigned int", 2, false);
        b.int("unsigned int", 4, false);
        let boolean = b.int("_Bool", 1, false);
        let pointer = b.pointer(TypeId::VOID);
        let pair = b.structure("pair", 16, &[("a", long, 0, 0), ("b", long, 64, 0)]);
        b.structure(
            "pt_regs",
            24,
            &[
                ("bx", register, 0, 0),
                ("ax", register, 64, 0),
                ("di", register, 128, 0),
            ],
        );
        for (name, result) in [
            ("ints", int),
            ("longs", long),
            ("bools", boolean),
            ("pointers", pointer),
            ("pairs", pair),
            ("nothing", TypeId::VOID),
        ] {
            let prototype = b.prototype(result, &[]);
            b.function(name, prototype);
        }
        b.bytes()
    }

    /// The meaning of a path at the exit of a function; of one without a name, of which nothing is known.
    fn at_exit(function: &str, path: &str) -> (u32, Decoder) {
        let data = types();
        let btf = Btf::parse(&data).unwrap();
        let returned = match btf.functions(function).unwrap().first() {
            Some(function) => ReturnMeaning::Function(function.signature.result),
            None => ReturnMeaning::Unknown,
        };
        let scope = Scope {
            btf: &btf,
            parameters: &[],
            returned,
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
        let compiled = compile_wanted(path, &scope, wanted)
            .unwrap_or_else(|error| panic!("{function}: {path}: {error}"));
        (compiled.spec.size, compiled.decode)
    }

    fn int(size: u32, signed: bool, type_name: &str) -> (u32, Decoder) {
        let type_name = type_name.into();
        (
            size,
            Decoder::Int {
                size,
                signed,
                big_endian: false,
                type_name,
            },
        )
    }

    /// Check that of the register of a result only the result is read, however the path gets at the register, that a narrower
    /// read and other registers stay what they are, and that a number of unknown width has no type.
    #[test]
    fn only_the_result() {
        let paths = [
            "regs->ax",
            "(long)regs->ax",
            "*(long *)&regs->ax",
            "((long *)regs)[1]",
            "(*regs).ax",
        ];
        for path in paths {
            assert_eq!(at_exit("ints", path), int(4, true, "int"), "{path}");
            assert_eq!(at_exit("bools", path), (1, Decoder::Bool), "{path}");
            for function in ["nothing", "pairs", ""] {
                let (size, decode) = at_exit(function, path);
                let signed = matches!(decode, Decoder::Int { signed: true, .. });
                assert_eq!((size, decode), int(8, signed, ""), "{function}: {path}");
            }
        }
        assert_eq!(at_exit("longs", "(long)regs->ax"), int(8, true, "long"));
        for function in ["longs", "pointers"] {
            assert_eq!(
                at_exit(function, "regs->ax"),
                int(8, false, "unsigned long")
            );
        }
        for function in ["ints", ""] {
            assert_eq!(
                at_exit(function, "regs->di"),
                int(8, false, "unsigned long")
            );
            assert_eq!(
                at_exit(function, "(unsigned int)regs->ax"),
                int(4, false, "unsigned int")
            );
            assert_eq!(
                at_exit(function, "(unsigned short)regs->ax"),
                int(2, false, "unsigned short")
            );
        }
    }

    /// Check that the register is narrowed among all registers too, or refused there.
    #[test]
    fn among_all_registers() {
        let field = |function: &str, name: &str| {
            let (size, Decoder::Structure { fields, .. }) = at_exit(function, "*regs") else {
                panic!("{function}: no structure");
            };
            assert_eq!(size, 24);
            let found = fields.into_iter().find(|field| field.name == name);
            found.unwrap().decode
        };
        assert_eq!(field("ints", "ax"), Ok(int(4, true, "int").1));
        assert_eq!(field("ints", "di"), Ok(int(8, false, "unsigned long").1));
        assert_eq!(field("longs", "ax"), Ok(int(8, false, "unsigned long").1));
        for function in ["nothing", ""] {
            let reason = field(function, "ax").unwrap_err().to_string();
            assert!(reason.contains("how much of the register"), "{reason}");
        }
    }
}

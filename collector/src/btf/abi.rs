//! The places of arguments: in the System V ABI of x86-64, and in the procedure call standard of arm64 (AAPCS64).

use super::error::BtfError;
use super::index::NameKind;
use super::kinds::TypeId;
use super::raw::Btf;
use super::types::{Composite, MAX_CHAIN, Type};
use crate::arch::Arch;

/// Registers in which the System V ABI passes integers and pointers.
/// <https://gitlab.com/x86-psABIs/x86-64-ABI>, section 3.2.3. AAPCS64 has eight,
/// <https://github.com/ARM-software/abi-aa/blob/main/aapcs64/aapcs64.rst>, section 6.8.2; the programs keep as many as on x86-64.
pub(super) const REGISTERS: u32 = qed_collector_ebpf::MAX_ARGS as u32;

const ON_STACK: &str = "it is passed on the stack: only the first six registers are kept";
const NOT_KEPT: &str =
    "only the first six registers are kept, and it is passed in a later one or on the stack";
pub(super) const BY_VALUE: &str =
    "it is a structure passed by value: only a pointer to one can be followed";
const WIDE: &str = "it is wider than a register";
pub(super) const FLOATING: &str = "it is a floating-point number";
const SHIFTED: &str = "it comes after a structure passed by value, and its place depends on how the compiler passed that";

/// The place in which an argument arrives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ArgumentLocation {
    /// In the argument register of this number, counted from 0 (`rdi`, `x0`), or a tracepoint's argument.
    Register(u32),
    /// An unreadable place, with the reason.
    Unreadable(&'static str),
}

/// Hands out argument registers in the order of the parameters.
pub(super) struct ArgumentRegisters {
    arch: Arch,
    next: u32,
    /// A parameter came whose registers are not certain: no place after it is.
    lost: bool,
}

impl ArgumentRegisters {
    pub(super) fn new(arch: Arch) -> Self {
        Self {
            arch,
            next: 0,
            lost: false,
        }
    }

    /// The place of the next argument, of type `type_id`.
    pub(super) fn place_argument<'a>(
        &mut self,
        btf: &Btf<'a>,
        type_id: TypeId,
    ) -> Result<ArgumentLocation, BtfError> {
        if self.lost {
            return Ok(ArgumentLocation::Unreadable(SHIFTED));
        }
        let needs = match btf.strip(type_id)?.ty {
            Type::Struct(composite) | Type::Union(composite) => {
                match composite.size {
                    // Larger ones are copied to the stack: on arm64 a register holds the address of the copy, on x86-64 none.
                    17.. => match self.arch {
                        Arch::X86_64 => {}
                        Arch::Aarch64 => drop(self.take_registers(1)),
                    },
                    1..=16 if btf.is_plain(&composite, 0, 0, &mut 0)? => {
                        self.take_registers(composite.size.div_ceil(8));
                    }
                    _ => self.lost = true,
                }
                return Ok(ArgumentLocation::Unreadable(BY_VALUE));
            }
            Type::Float { .. } => return Ok(ArgumentLocation::Unreadable(FLOATING)),
            Type::Int(int) if int.size > 8 => {
                if self.arch == Arch::Aarch64 {
                    // It begins at an even register.
                    self.next = self.next.next_multiple_of(2);
                }
                self.take_registers(2);
                return Ok(ArgumentLocation::Unreadable(WIDE));
            }
            Type::Int(_) | Type::Pointer(_) | Type::Enum(_) => 1,
            _ => {
                self.lost = true;
                return Ok(ArgumentLocation::Unreadable(
                    "its type is not one of a parameter",
                ));
            }
        };
        Ok(match self.take_registers(needs) {
            Some(register) => ArgumentLocation::Register(register),
            None => ArgumentLocation::Unreadable(match self.arch {
                Arch::X86_64 => ON_STACK,
                Arch::Aarch64 => NOT_KEPT,
            }),
        })
    }

    /// Registers for one argument: all that it needs or none (on x86-64 it then goes to the stack, and later, smaller ones may still
    /// find registers).
    fn take_registers(&mut self, needs: u32) -> Option<u32> {
        let first = self.next;
        let fits = first + needs <= REGISTERS;
        // On arm64 no later argument comes back to registers that were left over.
        if fits || self.arch == Arch::Aarch64 {
            self.next = first.saturating_add(needs);
        }
        fits.then_some(first)
    }
}

impl<'a> Btf<'a> {
    /// The architecture of the kernel: only one for arm64 has a structure of this name.
    pub fn arch(&self) -> Arch {
        match self.find(NameKind::Struct, "user_pt_regs").is_empty() {
            true => Arch::X86_64,
            false => Arch::Aarch64,
        }
    }

    /// Is `composite` passed like integers: all of it, recursively, made of aligned integers and pointers?
    fn is_plain(
        &self,
        composite: &Composite<'a>,
        start: u64,
        depth: usize,
        visits: &mut u32,
    ) -> Result<bool, BtfError> {
        for member in self.members(composite)? {
            *visits += 1;
            if depth > MAX_CHAIN || *visits > 64 || member.bits != 0 {
                return Ok(false);
            }
            let offset = start + member.bit_offset;
            let size = match self.strip(member.type_id)?.ty {
                Type::Int(int) => int.size,
                Type::Enum(enumeration) => enumeration.size,
                Type::Pointer(_) => 8,
                Type::Struct(inner) | Type::Union(inner) => {
                    if !self.is_plain(&inner, offset, depth + 1, visits)? {
                        return Ok(false);
                    }
                    1
                }
                _ => return Ok(false),
            };
            if !offset.is_multiple_of(u64::from(size) * 8) {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

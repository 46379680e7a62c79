//! Where the return address of a function is while it runs.

use super::aarch64::frame;
use super::instruction::{Instruction, ReturnAddress};
use crate::arch::Arch;

/// The place of the return address at a function's entry.
pub const fn entry_return_address(arch: Arch) -> ReturnAddress {
    match arch.link_register() {
        Some(_) => ReturnAddress::LinkRegister,
        None => ReturnAddress::Frame,
    }
}

/// The place of the return address when the instruction at `offset` of a function is about to run; `None` if it is not known. The
/// function's `code` begins at its entry.
pub fn return_address_at(arch: Arch, code: &[Instruction], offset: u64) -> Option<ReturnAddress> {
    match arch {
        Arch::X86_64 => Some(ReturnAddress::Frame),
        Arch::Aarch64 => frame::return_addresses(code).get(&offset).copied(),
    }
}

/// The distance in bytes from the stack pointer at a function's entry to the return address on the stack, once that is there. `None`:
/// not on every way through the function.
pub fn return_slot_offset(arch: Arch, code: &[Instruction]) -> Option<i64> {
    match arch {
        Arch::X86_64 => Some(0),
        Arch::Aarch64 => frame::stored_at(code),
    }
}

//! The decoder for x86-64.

use iced_x86::{Decoder, DecoderOptions, Formatter, IntelFormatter, Mnemonic, OpKind};

use super::instruction::{CallTarget, Instruction, Jumps};

/// The five-byte NOP that the kernel puts in place of a disabled call of the function tracer.
pub(super) const TRACER: &[&[u8]] = &[&[0x0f, 0x1f, 0x44, 0x00, 0x00]];

pub(super) fn disassemble(
    code: &[u8],
    address: u64,
    names: &dyn Fn(u64) -> Option<String>,
) -> Vec<Instruction> {
    let mut formatter = IntelFormatter::new();
    let options = formatter.options_mut();
    options.set_space_after_operand_separator(true);
    options.set_hex_prefix("0x");
    options.set_hex_suffix("");
    options.set_uppercase_hex(false);
    options.set_branch_leading_zeros(false);
    let decoder = Decoder::with_ip(64, code, address, DecoderOptions::NONE);
    let mut instructions = Vec::new();
    for decoded in decoder {
        if decoded.is_invalid() {
            break;
        }
        let offset = decoded.ip().wrapping_sub(address);
        let target =
            (decoded.op0_kind() == OpKind::NearBranch64).then(|| decoded.near_branch_target());
        let mut text = String::new();
        match target.and_then(names) {
            Some(name) => {
                formatter.format_mnemonic(&decoded, &mut text);
                text = format!("{} {name}", text.trim_end());
            }
            None => formatter.format(&decoded, &mut text),
        }
        let at = offset as usize;
        instructions.push(Instruction {
            offset,
            bytes: code
                .get(at..at + decoded.len())
                .unwrap_or_default()
                .to_vec(),
            text,
            calls: target.filter(|_| decoded.mnemonic() == Mnemonic::Call),
        });
    }
    instructions
}

/// The longest call through a pointer: prefix, opcode, ModRM, SIB and displacement.
const LONGEST_CALL: usize = 8;

pub(super) fn call_target(before: &[u8], return_address: u64) -> Option<CallTarget> {
    let decode = |length: usize| {
        let code = before.get(before.len().checked_sub(length)?..)?;
        let at = return_address.wrapping_sub(length as u64);
        let decoded = Decoder::with_ip(64, code, at, DecoderOptions::NONE).decode();
        (!decoded.is_invalid() && decoded.len() == length).then_some(decoded)
    };
    let direct = decode(5)
        .filter(|one| one.mnemonic() == Mnemonic::Call && one.op0_kind() == OpKind::NearBranch64);
    if let Some(direct) = direct {
        return Some(CallTarget::Address(direct.near_branch_target()));
    }
    let through = |length: &usize| {
        decode(*length).is_some_and(|one| {
            one.mnemonic() == Mnemonic::Call && one.op0_kind() != OpKind::NearBranch64
        })
    };
    (2..=LONGEST_CALL)
        .find(|length| through(length))
        .map(|_| CallTarget::Pointer)
}

pub(super) fn find_jumps(code: &[u8], address: u64) -> Jumps {
    let mut jumps = Jumps::default();
    let inside = address..address + code.len() as u64;
    for decoded in Decoder::with_ip(64, code, address, DecoderOptions::NONE) {
        let near = decoded.op0_kind() == OpKind::NearBranch64;
        match decoded.mnemonic() {
            Mnemonic::Call => {}
            Mnemonic::Jmp if !near => jumps.through_pointer = true,
            _ if near && !inside.contains(&decoded.near_branch_target()) => {
                jumps.to.push(decoded.near_branch_target());
            }
            _ => {}
        }
    }
    jumps
}

pub(super) fn only_returns(code: &[u8]) -> bool {
    let mut decoder = Decoder::new(64, code, DecoderOptions::NONE);
    let mut first = decoder.decode();
    if first.mnemonic() == Mnemonic::Endbr64 {
        first = decoder.decode();
    }
    first.mnemonic() == Mnemonic::Ret
}

//! The decoder for arm64, whose instructions all have four bytes.

pub(super) mod frame;

use yaxpeax_arch::{Decoder as _, U8Reader};
use yaxpeax_arm::armv8::a64::{InstDecoder, Instruction as Decoded, Opcode, Operand};

use super::instruction::{CallTarget, Instruction, Jumps};

/// Bytes of an instruction.
const SIZE: usize = 4;

/// What the function tracer keeps at the entry of a function while it does not trace it: `mov x9, x30; nop`.
/// (<https://elixir.bootlin.com/linux/v6.12.117/source/arch/arm64/kernel/ftrace.c#L398>)
pub(super) const TRACER: &[&[u8]] = &[&[0xe9, 0x03, 0x1e, 0xaa], &[0x1f, 0x20, 0x03, 0xd5]];

/// The instruction of four bytes; `None` where the decoder does not know it.
fn decode(word: &[u8]) -> Option<Decoded> {
    InstDecoder::default().decode(&mut U8Reader::new(word)).ok()
}

/// The address that a branch at `address` names; `None` for other instructions.
fn branch_target(decoded: &Decoded, address: u64) -> Option<u64> {
    let branches = matches!(
        decoded.opcode,
        Opcode::B
            | Opcode::BL
            | Opcode::Bcc(_)
            | Opcode::CBZ
            | Opcode::CBNZ
            | Opcode::TBZ
            | Opcode::TBNZ
    );
    let offset = decoded.operands.iter().find_map(|operand| match operand {
        Operand::PCOffset(offset) => Some(*offset),
        _ => None,
    });
    offset
        .filter(|_| branches)
        .map(|offset| address.wrapping_add_signed(offset))
}

pub(super) fn disassemble(
    code: &[u8],
    address: u64,
    names: &dyn Fn(u64) -> Option<String>,
) -> Vec<Instruction> {
    let words = code.chunks_exact(SIZE).zip((0..).step_by(SIZE));
    words
        .map_while(|(bytes, offset)| {
            let decoded = decode(bytes)?;
            let target = branch_target(&decoded, address.wrapping_add(offset));
            let written = decoded.to_string();
            // The decoder writes the target as a distance from the instruction.
            let text = match target {
                Some(target) => {
                    let before = written.rsplit_once(' ').map_or("", |(before, _)| before);
                    let name = names(target).unwrap_or_else(|| format!("{target:#x}"));
                    format!("{before} {name}")
                }
                None => written,
            };
            Some(Instruction {
                offset,
                bytes: bytes.to_vec(),
                text,
                calls: target.filter(|_| decoded.opcode == Opcode::BL),
            })
        })
        .collect()
}

/// True of a branch to where a register leads.
fn through_register(opcode: Opcode) -> bool {
    matches!(
        opcode,
        Opcode::BR | Opcode::BRAA | Opcode::BRAAZ | Opcode::BRAB | Opcode::BRABZ
    )
}

pub(super) fn call_target(before: &[u8], return_address: u64) -> Option<CallTarget> {
    let word = before.get(before.len().checked_sub(SIZE)?..)?;
    let decoded = decode(word)?;
    match decoded.opcode {
        Opcode::BL => {
            let target = branch_target(&decoded, return_address.wrapping_sub(SIZE as u64))?;
            Some(CallTarget::Address(target))
        }
        Opcode::BLR | Opcode::BLRAA | Opcode::BLRAAZ | Opcode::BLRAB | Opcode::BLRABZ => {
            Some(CallTarget::Pointer)
        }
        _ => None,
    }
}

pub(super) fn find_jumps(code: &[u8], address: u64) -> Jumps {
    let mut jumps = Jumps::default();
    let inside = address..address + code.len() as u64;
    for (word, at) in code.chunks_exact(SIZE).zip((address..).step_by(SIZE)) {
        let Some(decoded) = decode(word) else {
            // A newer branch, for all that is known. Zeros fill gaps, and are no instruction.
            jumps.through_pointer |= word != [0; SIZE];
            continue;
        };
        if through_register(decoded.opcode) {
            jumps.through_pointer = true;
        }
        if decoded.opcode == Opcode::BL {
            continue;
        }
        jumps
            .to
            .extend(branch_target(&decoded, at).filter(|target| !inside.contains(target)));
    }
    jumps
}

/// True of an instruction that a processor may take for none: `nop`, `bti`, `paciasp`.
/// (HINT, Arm Architecture Reference Manual for A-profile architecture, C4.1)
fn is_hint(word: &[u8]) -> bool {
    let word = word.try_into().map_or(0, u32::from_le_bytes);
    word & 0xffff_f01f == 0xd503_201f
}

pub(super) fn only_returns(code: &[u8]) -> bool {
    // A landing place for indirect calls may precede it.
    let mut words = code.chunks_exact(SIZE).skip_while(|word| is_hint(word));
    let first = words.next().and_then(decode);
    first.is_some_and(|decoded| decoded.opcode == Opcode::RET)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(words: &[u32]) -> Vec<u8> {
        words.iter().flat_map(|word| word.to_le_bytes()).collect()
    }

    const BTI_C: u32 = 0xd503_245f;
    const RET: u32 = 0xd65f_03c0;

    /// Check texts and targets: a named target by its name, another as an address.
    #[test]
    fn instructions() {
        // bti c; paciasp; stp x29, x30, [sp, #-16]!; bl +0x10; cbz x0, +8; svc #0; ret
        let code = bytes(&[
            BTI_C,
            0xd503_233f,
            0xa9bf_7bfd,
            0x9400_0004,
            0xb400_0040,
            0xd400_0001,
            RET,
        ]);
        let found = disassemble(&code, 0x1000, &|address| {
            (address == 0x101c).then(|| "callee".to_owned())
        });
        let texts: Vec<&str> = found.iter().map(|one| one.text.as_str()).collect();
        assert_eq!(
            texts,
            [
                // `bti c`, by its number among the hints.
                "hint #0x22",
                "paciasp",
                "stp x29, x30, [sp, #-0x10]!",
                "bl callee",
                "cbz x0, 0x1018",
                "svc #0x0",
                "ret",
            ]
        );
        assert_eq!(found[3].calls, Some(0x101c));
        assert_eq!(found[4].calls, None);
    }

    /// Check that direct calls and calls through registers, signed pointers among them, are found before a return address, and nothing
    /// else.
    #[test]
    fn calls() {
        let at = 0xffff_8000_8010_0100;
        let target = |word: u32| call_target(&bytes(&[RET, word]), at);
        assert_eq!(target(0x9400_0004), Some(CallTarget::Address(at + 12)));
        assert_eq!(target(0x97ff_ffff), Some(CallTarget::Address(at - 8)));
        assert_eq!(target(0xd63f_0060), Some(CallTarget::Pointer));
        assert_eq!(target(0xd73f_0861), Some(CallTarget::Pointer));
        assert_eq!(target(0x1400_0004), None);
        assert_eq!(call_target(&[0; 3], at), None);
    }

    /// Check that jumps within the function are none, that those out of it and through registers are told, and that an unknown word may
    /// be one.
    #[test]
    fn jumps_away() {
        let jumps = |words: &[u32]| find_jumps(&bytes(words), 0x1000);
        // b +4; b.ne to 0x2000; ret
        let out = jumps(&[0x1400_0001, 0x5400_0001 | ((0xffc / 4) << 5), RET]);
        assert_eq!((out.to, out.through_pointer), (vec![0x2000], false));
        // br x3; tbz to 0x1000 - 4
        assert!(jumps(&[0xd61f_0060]).through_pointer);
        assert_eq!(jumps(&[0x3607_ffe0]).to, [0xffc]);
        assert!(!jumps(&[0x9400_1000, RET, 0]).through_pointer);
        assert!(jumps(&[0xffff_ffff]).through_pointer);
        assert!(only_returns(&bytes(&[RET, 0])) && only_returns(&bytes(&[BTI_C, RET])));
        assert!(!only_returns(&bytes(&[0xd503_201f])) && !only_returns(&[]));
    }
}

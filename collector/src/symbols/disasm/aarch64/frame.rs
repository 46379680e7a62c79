//! Where the return address of a function is while it runs: in the link register (x30), or in the frame record to which the frame
//! pointer (x29) leads. A call leaves it in the register; the function's first instructions store both in a record, its last ones
//! take them back.
//! (Procedure Call Standard for the Arm 64-bit Architecture, "The Frame Pointer":
//! <https://github.com/ARM-software/abi-aa/blob/2024Q3/aapcs64/aapcs64.rst#the-frame-pointer>)

use std::collections::BTreeMap;

use yaxpeax_arm::armv8::a64::{Instruction as Decoded, Opcode, Operand};

use super::super::instruction::{Instruction, ReturnAddress};
use super::{SIZE, branch_target, decode, through_register};

/// The frame pointer.
const FP: u16 = 29;
/// The link register.
const LR: u16 = 30;
/// The stack pointer, where an operand can name it.
const SP: u16 = 31;
/// Bytes of a register on the stack.
const WORD: i64 = 8;

/// The places of the return address that are known, by the offset of the instruction that is about to run.
///
/// All ways to an instruction must agree. Those that nobody sees, as through a table of jumps, then agree as well: an unwinder
/// has to know the place by the address of the instruction alone.
pub(in super::super) fn return_addresses(code: &[Instruction]) -> BTreeMap<u64, ReturnAddress> {
    let words: BTreeMap<u64, Option<Decoded>> = code
        .iter()
        .map(|one| (one.offset, decode(&one.bytes)))
        .collect();
    let mut known: BTreeMap<u64, State> = BTreeMap::new();
    let mut waiting = vec![(0, State::ENTRY)];
    while let Some((at, state)) = waiting.pop() {
        let Some(decoded) = words.get(&at) else {
            continue; // Out of the function, or behind what is known of it.
        };
        let merged = known.get(&at).map_or(state, |before| before.merge(state));
        if known.insert(at, merged) == Some(merged) {
            continue;
        }
        let Some(decoded) = decoded else {
            continue;
        };
        let after = merged.after(decoded);
        waiting.extend(
            successors(decoded, at)
                .into_iter()
                .map(|next| (next, after)),
        );
    }
    known
        .into_iter()
        .filter_map(|(at, state)| Some((at, state.place?)))
        .collect()
}

/// The distance from the stack pointer at a function's entry to where the function stores the return address, in bytes; negative, as
/// the stack grows down. `None`: it stores none before its first branch, so not on every way through it.
pub(in super::super) fn stored_at(code: &[Instruction]) -> Option<i64> {
    let mut stack_pointer = 0;
    for one in code {
        let decoded = decode(&one.bytes)?;
        if branches(&decoded) || writes(&decoded, LR) {
            return None;
        }
        let (before, after) = stack_change(&decoded)?;
        stack_pointer += before;
        if let Some(offset) = link_store(&decoded) {
            return Some(stack_pointer + offset);
        }
        stack_pointer += after;
    }
    None
}

/// What is known at an instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct State {
    /// The place of the return address; `None` if it is not known.
    place: Option<ReturnAddress>,
    /// The frame record has been stored, and the frame pointer does not lead to it yet.
    stored: bool,
}

impl State {
    const ENTRY: Self = Self {
        place: Some(ReturnAddress::LinkRegister),
        stored: false,
    };
    const UNKNOWN: Self = Self {
        place: None,
        stored: false,
    };

    /// What holds on both of two ways.
    fn merge(self, other: Self) -> Self {
        match self.place == other.place {
            true => Self {
                place: self.place,
                stored: self.stored && other.stored,
            },
            false => Self::UNKNOWN,
        }
    }

    /// The state behind an instruction.
    fn after(self, decoded: &Decoded) -> Self {
        use ReturnAddress::{Frame, LinkRegister};
        let of = |place, stored| Self {
            place: Some(place),
            stored,
        };
        match self.place {
            None => self,
            Some(LinkRegister) if is_record(decoded, Opcode::STP) => of(LinkRegister, true),
            Some(LinkRegister) if self.stored && sets_frame_pointer(decoded) => of(Frame, false),
            Some(Frame) if is_record(decoded, Opcode::LDP) => of(LinkRegister, false),
            // What was called leaves the frame pointer as it was, and its own return address in the register.
            Some(Frame) if is_call(decoded.opcode) => self,
            _ if writes(decoded, FP) || is_call(decoded.opcode) => Self::UNKNOWN,
            // In a frame, the register is free for other things.
            Some(LinkRegister) if writes(decoded, LR) && !signs(decoded.opcode) => Self::UNKNOWN,
            Some(_) => self,
        }
    }
}

/// The offsets of the instructions that can run after the one at `at`.
fn successors(decoded: &Decoded, at: u64) -> Vec<u64> {
    let next = at + SIZE as u64;
    match decoded.opcode {
        Opcode::RET | Opcode::RETAA | Opcode::RETAB | Opcode::ERET | Opcode::UDF => Vec::new(),
        opcode if through_register(opcode) => Vec::new(),
        Opcode::B => branch_target(decoded, at).into_iter().collect(),
        Opcode::BL => vec![next],
        // `brk` as well: a warning goes on behind it.
        _ => branch_target(decoded, at)
            .into_iter()
            .chain([next])
            .collect(),
    }
}

fn is_call(opcode: Opcode) -> bool {
    matches!(
        opcode,
        Opcode::BL | Opcode::BLR | Opcode::BLRAA | Opcode::BLRAAZ | Opcode::BLRAB | Opcode::BLRABZ
    )
}

/// True of an instruction behind which not always the next one runs.
fn branches(decoded: &Decoded) -> bool {
    successors(decoded, 0) != [SIZE as u64] || is_call(decoded.opcode)
}

/// True of an instruction that puts a signature into the link register, or takes it out.
fn signs(opcode: Opcode) -> bool {
    matches!(
        opcode,
        Opcode::PACIASP | Opcode::PACIBSP | Opcode::AUTIASP | Opcode::AUTIBSP
    )
}

/// The number of a register that holds addresses.
fn register(operand: &Operand) -> Option<u16> {
    match operand {
        Operand::Register(_, number) | Operand::RegisterOrSP(_, number) => Some(*number),
        _ => None,
    }
}

/// True of a store or load, by `opcode`, of the frame pointer and the link register together, on the stack.
fn is_record(decoded: &Decoded, opcode: Opcode) -> bool {
    let [first, second, memory, _] = &decoded.operands;
    decoded.opcode == opcode
        && (register(first), register(second)) == (Some(FP), Some(LR))
        && base(memory) == Some(SP)
}

/// The base register of an operand in memory.
fn base(operand: &Operand) -> Option<u16> {
    match operand {
        Operand::RegPreIndex(base, ..)
        | Operand::RegPostIndex(base, _)
        | Operand::RegPostIndexReg(base, _)
        | Operand::RegRegOffset(base, ..) => Some(*base),
        _ => None,
    }
}

/// True of `add x29, sp, #N`, and of `mov x29, sp`, which is that with 0.
fn sets_frame_pointer(decoded: &Decoded) -> bool {
    let [to, from, ..] = &decoded.operands;
    decoded.opcode == Opcode::ADD && (register(to), register(from)) == (Some(FP), Some(SP))
}

/// True of an instruction that stores registers and leaves them as they are.
fn stores(opcode: Opcode) -> bool {
    matches!(
        opcode,
        Opcode::STP
            | Opcode::STR
            | Opcode::STUR
            | Opcode::STRB
            | Opcode::STRH
            | Opcode::STURB
            | Opcode::STURH
            | Opcode::STNP
            | Opcode::STLR
            | Opcode::STLRB
            | Opcode::STLRH
    )
}

/// True of an instruction that can write a register. More than one operand is taken for a result only where that is not known to be
/// wrong.
fn writes(decoded: &Decoded, number: u16) -> bool {
    let written_back = decoded.operands.iter().any(|operand| match operand {
        Operand::RegPreIndex(base, _, back) => *back && *base == number,
        Operand::RegPostIndex(base, _) | Operand::RegPostIndexReg(base, _) => *base == number,
        _ => false,
    });
    let results = match decoded.opcode {
        opcode if stores(opcode) => 0,
        Opcode::CBZ | Opcode::CBNZ | Opcode::TBZ | Opcode::TBNZ => 0,
        Opcode::ADD | Opcode::ADDS | Opcode::SUB | Opcode::SUBS | Opcode::ORR | Opcode::AND => 1,
        Opcode::LDR | Opcode::LDRB | Opcode::LDRH | Opcode::LDRSW | Opcode::LDUR => 1,
        _ => decoded.operands.len(),
    };
    let result = decoded.operands.iter().take(results);
    written_back || result.filter_map(register).any(|one| one == number)
}

/// How an instruction moves the stack pointer, in bytes: before it goes to memory, and after; `None` if that is not known.
fn stack_change(decoded: &Decoded) -> Option<(i64, i64)> {
    let by = |operand: &Operand| match operand {
        Operand::Immediate(number) => Some(i64::from(*number)),
        Operand::Imm64(number) => i64::try_from(*number).ok(),
        Operand::Imm16(number) => Some(i64::from(*number)),
        Operand::ImmShift(number, shift) => Some(i64::from(*number) << shift),
        _ => None,
    };
    let [to, from, amount, _] = &decoded.operands;
    let moves = matches!(to, Operand::RegisterOrSP(_, SP));
    if moves && matches!(from, Operand::RegisterOrSP(_, SP)) {
        return match decoded.opcode {
            Opcode::SUB => Some((-by(amount)?, 0)),
            Opcode::ADD => Some((by(amount)?, 0)),
            _ => None,
        };
    }
    if moves {
        return None;
    }
    let indexed = decoded.operands.iter().find_map(|operand| match operand {
        Operand::RegPreIndex(SP, offset, true) => Some((i64::from(*offset), 0)),
        Operand::RegPostIndex(SP, offset) => Some((0, i64::from(*offset))),
        _ => None,
    });
    Some(indexed.unwrap_or_default())
}

/// Bytes from the stack pointer, once it has been moved, to where an instruction stores the link register.
fn link_store(decoded: &Decoded) -> Option<i64> {
    let number = decoded
        .operands
        .iter()
        .position(|one| register(one) == Some(LR))?;
    let offset = decoded.operands.iter().find_map(|operand| match operand {
        Operand::RegPreIndex(SP, _, true) | Operand::RegPostIndex(SP, _) => Some(0),
        Operand::RegPreIndex(SP, offset, false) => Some(i64::from(*offset)),
        _ => None,
    })?;
    matches!(decoded.opcode, Opcode::STP | Opcode::STR | Opcode::STUR)
        .then_some(offset + WORD * number as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PACIASP: u32 = 0xd503_233f;
    const AUTIASP: u32 = 0xd503_23bf;
    const RET: u32 = 0xd65f_03c0;
    const NOP: u32 = 0xd503_201f;
    /// `mov x9, x30`, which the function tracer puts at entries.
    const TRACER: u32 = 0xaa1e_03e9;
    /// `stp x29, x30, [sp, #-32]!`
    const PUSH: u32 = 0xa9be_7bfd;
    /// `mov x29, sp`
    const SET: u32 = 0x9100_03fd;
    /// `ldp x29, x30, [sp], #32`
    const POP: u32 = 0xa8c2_7bfd;
    /// `bl` to somewhere else.
    const CALL: u32 = 0x9400_1000;

    fn code(words: &[u32]) -> Vec<Instruction> {
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        super::super::disassemble(&bytes, 0x1000, &|_| None)
    }

    /// One letter for each instruction: `r` for the register, `f` for the frame, `-` for what is not known.
    fn places(words: &[u32]) -> String {
        let found = return_addresses(&code(words));
        (0..words.len() as u64)
            .map(|at| match found.get(&(at * SIZE as u64)) {
                Some(ReturnAddress::LinkRegister) => 'r',
                Some(ReturnAddress::Frame) => 'f',
                None => '-',
            })
            .collect()
    }

    /// Check that the return address is in the register until the frame pointer leads to its record, and again after that was taken back.
    #[test]
    fn a_plain_function() {
        let words = [
            TRACER, NOP, PACIASP, PUSH, SET, CALL, NOP, POP, AUTIASP, RET,
        ];
        assert_eq!(places(&words), "rrrrrfffrr");
        assert_eq!(stored_at(&code(&words)), Some(-24));
        // `sub sp, sp, #48; stp x29, x30, [sp, #16]; add x29, sp, #16`
        let words = [0xd100_c3ff, 0xa901_7bfd, 0x9100_43fd, CALL, RET];
        assert_eq!(places(&words), "rrrff");
        assert_eq!(stored_at(&code(&words)), Some(-48 + 16 + 8));
    }

    /// Check that a way without a frame keeps the register, that of the other one does not spoil it, and that what both reach in different
    /// states is not known.
    #[test]
    fn ways_that_differ() {
        // `cbz x0, +6` over the part with the frame, to `ret`.
        let words = [0xb400_00c0, PUSH, SET, CALL, POP, RET, RET];
        assert_eq!(places(&words), "rrrffrr");
        assert_eq!(stored_at(&code(&words)), None);
        // `cbz x0, +3`: into the middle of it.
        let words = [0xb400_0060, PUSH, SET, CALL, POP, RET];
        assert_eq!(places(&words), "rrr---");
    }

    /// Check that a call without a frame, and a frame pointer that is used for something else, leave nothing known, and that code which no
    /// branch leads to is not known.
    #[test]
    fn unknown() {
        assert_eq!(places(&[CALL, NOP, RET]), "r--");
        // `mov x29, x0`
        assert_eq!(places(&[0xaa00_03fd, NOP]), "r-");
        // A frame pointer to a record that was not stored.
        assert_eq!(places(&[SET, NOP]), "r-");
        // `br x3; nop`
        assert_eq!(places(&[0xd61f_0060, NOP]), "r-");
        // `mov x30, x0`
        assert_eq!(places(&[0xaa00_03fe, NOP]), "r-");
        assert_eq!(places(&[RET, PUSH]), "r-");
        assert_eq!(places(&[]), "");
        for words in [&[CALL, PUSH][..], &[0xaa00_03fe, PUSH], &[NOP, RET], &[]] {
            assert_eq!(stored_at(&code(words)), None);
        }
    }

    /// Check that members of the frame are read and written without a doubt about the frame, and a warning goes on.
    #[test]
    fn in_a_frame() {
        // `add x0, x29, #16; ldr x1, [x29, #16]; str x30, [x29, #24]; ldp x19, x20, [sp, #16]; brk #0x800`
        let inside = [
            0x9100_43a0,
            0xf940_0ba1,
            0xf900_0fbe,
            0xa941_53f3,
            0xd421_0000,
        ];
        let words = [&[PUSH, SET][..], &inside, &[POP, RET]].concat();
        assert_eq!(places(&words), "rrffffffr");
    }
}

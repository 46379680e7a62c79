//! A disassembler for the code around the workload's call, and for addresses within a kernel function at which a probe can be
//! placed. Pure: bytes in, instructions out.

mod aarch64;
mod frame;
mod instruction;
mod x86_64;

use qed_evidence::investigation::Position;

use crate::arch::Arch;
use frame::return_address_at;
pub use frame::{entry_return_address, return_slot_offset};
pub use instruction::{CallTarget, Instruction, Jumps, ReturnAddress};

/// Length of the longest instruction of any architecture, in bytes: this much is read before a return address to find the call there.
pub const LONGEST_INSTRUCTION: usize = 15;

/// The instructions of `code` at `address`, up to the first that cannot be decoded. `names` turns the target of a jump or call
/// into a name.
pub fn disassemble(
    arch: Arch,
    code: &[u8],
    address: u64,
    names: &dyn Fn(u64) -> Option<String>,
) -> Vec<Instruction> {
    match arch {
        Arch::X86_64 => x86_64::disassemble(code, address, names),
        Arch::Aarch64 => aarch64::disassemble(code, address, names),
    }
}

/// The target of the call before `return_address`. `before` are the bytes that precede it, as far as they are known; `None`: no
/// call ends there. x86 code cannot be decoded backwards reliably: the caller has to compare the address of a direct call with
/// an expected one.
pub fn call_target(arch: Arch, before: &[u8], return_address: u64) -> Option<CallTarget> {
    match arch {
        Arch::X86_64 => x86_64::call_target(before, return_address),
        Arch::Aarch64 => aarch64::call_target(before, return_address),
    }
}

/// Find the jumps out of the code of a function at `address`.
pub fn find_jumps(arch: Arch, code: &[u8], address: u64) -> Jumps {
    match arch {
        Arch::X86_64 => x86_64::find_jumps(code, address),
        Arch::Aarch64 => aarch64::find_jumps(code, address),
    }
    .sorted()
}

/// True if code does nothing but return: who jumps there returns.
pub fn only_returns(arch: Arch, code: &[u8]) -> bool {
    match arch {
        Arch::X86_64 => x86_64::only_returns(code),
        Arch::Aarch64 => aarch64::only_returns(code),
    }
}

/// A position that is not one of a function's instructions.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LocateError {
    /// The offset points into an instruction.
    #[error(
        "no instruction begins {offset} bytes into the function: the nearest before it begins at {before}"
    )]
    Between {
        /// Bytes into the function.
        offset: u64,
        /// Offset of the instruction that holds it.
        before: u64,
    },
    /// The offset lies behind the code.
    #[error("the function's code is known for {known} bytes, and {offset} is behind them")]
    Behind {
        /// Bytes into the function.
        offset: u64,
        /// Length of the code, in bytes.
        known: u64,
    },
    /// The function has fewer instructions.
    #[error("the function has no instruction {number}: {known} of its instructions are known")]
    NoInstruction {
        /// From 1.
        number: u64,
        /// Number of instructions.
        known: usize,
    },
    /// The function's entry has no room for the function tracer.
    #[error("the function tracer has no bytes at the function's entry, or uses them now")]
    NotTraced,
    /// Nobody knows who called.
    #[error(
        "whether the return address is in a register or on the stack {offset:#x} bytes into the function does not show from its \
         instructions, and so it would not be known who called"
    )]
    NoReturnAddress {
        /// Bytes into the function.
        offset: u64,
    },
    /// Nothing is known behind the function tracer's bytes.
    #[error("the instruction after the function tracer's bytes is unknown")]
    BehindTracer,
    /// The called function has no address.
    #[error("the address of `{0}` is not known, so a call of it cannot be found")]
    NoTarget(String),
    /// The function has no direct call of the other one.
    #[error(
        "the function does not call `{0}` here: the compiler inlined it, jumps to it, or calls it through a pointer"
    )]
    NoCall(String),
    /// The function calls the other one in several places.
    #[error("the function calls `{name}` in {count} places: say which with `offset`")]
    SeveralCalls {
        /// The called function.
        name: String,
        /// Number of calls.
        count: usize,
    },
    /// Nothing is known behind the call.
    #[error("the instruction after the call of `{0}` is unknown")]
    BehindCall(String),
}

/// The place of a probe inside of a function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Located {
    /// The instruction that it waits for.
    pub instruction: Instruction,
    /// The place of the function's return address when that instruction is about to run.
    pub return_address: ReturnAddress,
}

/// The instruction of a function at which a probe of `position` goes. `target` is the address of the function that the
/// position names. `None`: the position is the function's entry, for which no code is needed.
pub fn locate(
    arch: Arch,
    code: &[Instruction],
    position: &Position,
    target: Option<u64>,
) -> Result<Option<Located>, LocateError> {
    let Some(instruction) = locate_instruction(arch, code, position, target)? else {
        return Ok(None);
    };
    let offset = instruction.offset;
    let return_address =
        return_address_at(arch, code, offset).ok_or(LocateError::NoReturnAddress { offset })?;
    Ok(Some(Located {
        instruction: instruction.clone(),
        return_address,
    }))
}

fn locate_instruction<'c>(
    arch: Arch,
    code: &'c [Instruction],
    position: &Position,
    target: Option<u64>,
) -> Result<Option<&'c Instruction>, LocateError> {
    let known = code
        .last()
        .map_or(0, |last| last.offset + last.bytes.len() as u64);
    let found = match position {
        Position::Entry => return Ok(None),
        Position::Offset(offset) => {
            let found = code.iter().find(|at| at.offset == *offset);
            found.ok_or_else(|| match code.iter().rfind(|at| at.offset < *offset) {
                Some(before) if *offset < known => LocateError::Between {
                    offset: *offset,
                    before: before.offset,
                },
                _ => LocateError::Behind {
                    offset: *offset,
                    known,
                },
            })?
        }
        Position::Instruction(number) => {
            let index = (*number as usize).wrapping_sub(1);
            code.get(index).ok_or(LocateError::NoInstruction {
                number: u64::from(*number),
                known: code.len(),
            })?
        }
        Position::Body => {
            let traced = match arch {
                Arch::X86_64 => x86_64::TRACER,
                Arch::Aarch64 => aarch64::TRACER,
            };
            // At most one instruction precedes them: the mark of an entry for indirect calls.
            let starts = |at: &usize| {
                let rest = code.iter().skip(*at).take(traced.len());
                rest.map(|one| one.bytes.as_slice())
                    .eq(traced.iter().copied())
            };
            let start = (0..2).find(starts).ok_or(LocateError::NotTraced)?;
            let behind = code.get(start + traced.len());
            behind.ok_or(LocateError::BehindTracer)?
        }
        Position::BeforeCall(name) | Position::AfterCall(name) => {
            let target = target.ok_or_else(|| LocateError::NoTarget(name.clone()))?;
            let calls: Vec<usize> = (0..code.len())
                .filter(|&at| code[at].calls == Some(target))
                .collect();
            let at = match calls.as_slice() {
                [at] => *at,
                [] => return Err(LocateError::NoCall(name.clone())),
                several => {
                    return Err(LocateError::SeveralCalls {
                        name: name.clone(),
                        count: several.len(),
                    });
                }
            };
            match position {
                Position::AfterCall(_) => {
                    let behind = code.get(at + 1);
                    behind.ok_or_else(|| LocateError::BehindCall(name.clone()))?
                }
                _ => &code[at],
            }
        }
    };
    Ok(Some(found))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// `nop; call +0x10; mov eax, eax; call +0x10 (again elsewhere); ret`
    const CODE: &[u8] = &[
        0x0f, 0x1f, 0x44, 0x00, 0x00, 0xe8, 0x10, 0x00, 0x00, 0x00, 0x89, 0xc0, 0xe8, 0x20, 0, 0,
        0, 0xc3,
    ];

    fn code() -> Vec<Instruction> {
        disassemble(Arch::X86_64, CODE, 0x1000, &|address| {
            (address == 0x101a).then(|| "callee".to_owned())
        })
    }

    /// Check offsets, bytes, texts and targets: a named target by its name, another as a number.
    #[test]
    fn instructions() {
        let lines: Vec<String> = code()
            .iter()
            .map(|i| format!("{:#x} {} {}", i.offset, hex::encode(&i.bytes), i.text))
            .collect();
        insta::assert_snapshot!(lines.join("\n"), @r"
        0x0 0f1f440000 nop [rax+rax]
        0x5 e810000000 call callee
        0xa 89c0 mov eax, eax
        0xc e820000000 call 0x1031
        0x11 c3 ret
        ");
        assert_eq!(code()[1].calls, Some(0x101a));
        assert_eq!(code()[4].calls, None);
    }

    /// Check that each way to say where finds its instruction, and that what is not there is refused with its reason.
    #[test]
    fn places() {
        let at = |position: Position, target| {
            locate(Arch::X86_64, &code(), &position, target)
                .map(|found| found.map(|found| found.instruction.offset))
        };
        assert_eq!(at(Position::Entry, None), Ok(None));
        assert_eq!(at(Position::Offset(10), None), Ok(Some(10)));
        assert_eq!(at(Position::Instruction(3), None), Ok(Some(10)));
        let callee = || "callee".to_owned();
        assert_eq!(
            at(Position::BeforeCall(callee()), Some(0x101a)),
            Ok(Some(5))
        );
        assert_eq!(
            at(Position::AfterCall(callee()), Some(0x101a)),
            Ok(Some(10))
        );
        assert_eq!(at(Position::Body, None), Ok(Some(5)));
        // With the mark of a place for indirect calls ahead; and where the tracer's bytes come too late, or are in use.
        let marked = [&[0xf3, 0x0f, 0x1e, 0xfa], CODE].concat();
        let body = |code: &[u8]| {
            let code = disassemble(Arch::X86_64, code, 0x1000, &|_| None);
            locate(Arch::X86_64, &code, &Position::Body, None)
                .map(|found| found.map(|found| found.instruction.offset))
        };
        assert_eq!(body(&marked), Ok(Some(9)));
        assert!(body(&[&marked[..4], &marked].concat()).is_err());
        assert!(body(&CODE[5..]).is_err());
        let refused: Vec<String> = [
            (Position::Offset(6), None),
            (Position::Offset(99), None),
            (Position::Instruction(6), None),
            (Position::BeforeCall(callee()), Some(0x5555)),
            (Position::BeforeCall(callee()), None),
        ]
        .map(|(position, target)| at(position, target).unwrap_err().to_string())
        .into();
        insta::assert_snapshot!(refused.join("\n"), @r"
        no instruction begins 6 bytes into the function: the nearest before it begins at 5
        the function's code is known for 18 bytes, and 99 is behind them
        the function has no instruction 6: 5 of its instructions are known
        the function does not call `callee` here: the compiler inlined it, jumps to it, or calls it through a pointer
        the address of `callee` is not known, so a call of it cannot be found
        ");
    }

    /// Check that a direct call and calls through pointers are read from the bytes before a return address, and nothing
    /// else.
    #[test]
    fn calls() {
        let at = 0xffff_ffff_8100_0100;
        let cases: [(&[u8], Option<CallTarget>); 6] = [
            (
                &[0x90, 0xe8, 0x10, 0, 0, 0],
                Some(CallTarget::Address(at + 0x10)),
            ),
            (&[0x90, 0x90, 0xff, 0xd0], Some(CallTarget::Pointer)),
            (&[0x41, 0xff, 0xd3], Some(CallTarget::Pointer)),
            (&[0x90, 0xff, 0x50, 0x08], Some(CallTarget::Pointer)),
            (&[0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0x90], None),
            (&[], None),
        ];
        for (before, wanted) in cases {
            assert_eq!(
                call_target(Arch::X86_64, before, at),
                wanted,
                "{before:02x?}"
            );
        }
    }

    /// Check that jumps within the function are none, that those out of it and through pointers are told, and what a
    /// function that only returns looks like.
    #[test]
    fn jumps_away() {
        // jmp +0; jne 0x2000 (from 0x1000); jmp rax; ret
        let code = [0xeb, 0x00, 0x0f, 0x85, 0xf8, 0x0f, 0, 0, 0xff, 0xe0, 0xc3];
        let found = find_jumps(Arch::X86_64, &code, 0x1000);
        assert_eq!(
            found,
            Jumps {
                to: vec![0x2000],
                through_pointer: true
            }
        );
        assert_eq!(
            find_jumps(Arch::X86_64, &[0xeb, 0x00, 0xc3], 0x1000),
            Jumps::default()
        );
        assert!(
            only_returns(Arch::X86_64, &[0xc3, 0xcc])
                && only_returns(Arch::X86_64, &[0xf3, 0x0f, 0x1e, 0xfa, 0xc3])
        );
        assert!(!only_returns(Arch::X86_64, &[0x90, 0xc3]) && !only_returns(Arch::X86_64, &[]));
    }

    proptest! {
        /// Check that any bytes are taken apart without a panic, into pieces that follow each other without a gap.
        #[test]
        fn any_bytes(code in proptest::collection::vec(any::<u8>(), 0..64), at in any::<u64>()) {
            let mut next = 0;
            for instruction in disassemble(Arch::X86_64, &code, at, &|_| None) {
                prop_assert_eq!(instruction.offset, next);
                next += instruction.bytes.len() as u64;
            }
            prop_assert!(next <= code.len() as u64);
        }
    }
}

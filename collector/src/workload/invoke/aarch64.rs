//! The instructions for arm64.

use std::arch::global_asm;

// x0: the address of seven words, the number and six arguments. A function of its own outside of any Rust code, so that the
// instruction has one address and nothing is added around it.
global_asm!(
    ".pushsection .text.qed_workload_call, \"ax\", @progbits",
    ".balign 4",
    ".globl qed_workload_call",
    ".type qed_workload_call, @function",
    "qed_workload_call:",
    "mov x9, x0",
    "ldr x8, [x9]",
    "ldp x0, x1, [x9, #8]",
    "ldp x2, x3, [x9, #24]",
    "ldp x4, x5, [x9, #40]",
    ".globl qed_workload_instruction",
    "qed_workload_instruction:",
    "svc #0",
    "ret",
    ".globl qed_workload_call_end",
    "qed_workload_call_end:",
    ".size qed_workload_call, . - qed_workload_call",
    ".popsection",
);

// The same for a call that returns twice. The other one may share this memory and this stack (`clone` with CLONE_VM), where all
// that it did would be done to the caller: it touches neither, and ends in the next call. Only registers, which each has for
// itself, tell the two apart: x10 holds the caller's thread id, and the kernel keeps all registers but x0.
// 178 is gettid, 93 is exit, which ends a thread that shares the process as well as a process.
global_asm!(
    ".pushsection .text.qed_workload_fork, \"ax\", @progbits",
    ".balign 4",
    ".globl qed_workload_fork",
    ".type qed_workload_fork, @function",
    "qed_workload_fork:",
    "mov x9, x0",
    "mov x10, x1",
    "ldr x8, [x9]",
    "ldp x0, x1, [x9, #8]",
    "ldp x2, x3, [x9, #24]",
    "ldp x4, x5, [x9, #40]",
    ".globl qed_workload_fork_instruction",
    "qed_workload_fork_instruction:",
    "svc #0",
    "cbnz x0, 2f",
    "mov x8, #178",
    "svc #0",
    "cmp x0, x10",
    "b.ne 3f",
    "mov x0, #0",
    "2:",
    "ret",
    "3:",
    "mov x0, #0",
    "mov x8, #93",
    "svc #0",
    "udf #0",
    ".globl qed_workload_fork_end",
    "qed_workload_fork_end:",
    ".size qed_workload_fork, . - qed_workload_fork",
    ".popsection",
);

// The mark that the task is back in user space: the next system call that it makes. It is made by an instruction of its
// own, which tells it from all others. 64 is write, here of nothing to no descriptor: no call may have forbidden it to the
// process, not even the strict mode of seccomp. In the section of the call, so that no page of code is missing between
// the two.
global_asm!(
    ".pushsection .text.qed_workload_call, \"ax\", @progbits",
    ".balign 4",
    ".globl qed_workload_back",
    ".type qed_workload_back, @function",
    "qed_workload_back:",
    "mov x8, #64",
    "mov x0, #-1",
    "mov x1, #0",
    "mov x2, #0",
    ".globl qed_workload_back_instruction",
    "qed_workload_back_instruction:",
    "svc #0",
    "ret",
    ".size qed_workload_back, . - qed_workload_back",
    ".popsection",
);

/// System calls that return in a new process or thread, too.
pub(super) const RETURN_TWICE: [i64; 2] = [libc::SYS_clone, libc::SYS_clone3];

/// The instruction of a system call.
#[cfg(test)]
pub(super) const INSTRUCTION: [u8; 4] = [0x01, 0, 0, 0xd4];

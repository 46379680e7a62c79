//! The instructions for x86-64.

use std::arch::global_asm;

// rdi: the address of seven words, the number and six arguments. A function of its own outside of any
// Rust code, so that the instruction has one address and nothing is added around it.
global_asm!(
    ".pushsection .text.qed_workload_call, \"ax\", @progbits",
    ".globl qed_workload_call",
    ".type qed_workload_call, @function",
    "qed_workload_call:",
    "mov rax, [rdi]",
    "mov rsi, [rdi + 16]",
    "mov rdx, [rdi + 24]",
    "mov r10, [rdi + 32]",
    "mov r8, [rdi + 40]",
    "mov r9, [rdi + 48]",
    "mov rdi, [rdi + 8]",
    ".globl qed_workload_instruction",
    "qed_workload_instruction:",
    "syscall",
    "ret",
    ".globl qed_workload_call_end",
    "qed_workload_call_end:",
    ".size qed_workload_call, . - qed_workload_call",
    ".popsection",
);

// The same for a call that returns twice. The other one may share this memory and this stack (`vfork`, `clone` with
// CLONE_VM), where all that it did would be done to the caller: it touches neither, and ends in the next call. Only
// registers, which each has for itself, tell the two apart: rsi holds the caller's thread id, and the kernel keeps rbx.
// 186 is gettid, 60 is exit, which ends a thread that shares the process as well as a process.
global_asm!(
    ".pushsection .text.qed_workload_fork, \"ax\", @progbits",
    ".globl qed_workload_fork",
    ".type qed_workload_fork, @function",
    "qed_workload_fork:",
    "push rbx",
    "mov rbx, rsi",
    "mov rax, [rdi]",
    "mov rsi, [rdi + 16]",
    "mov rdx, [rdi + 24]",
    "mov r10, [rdi + 32]",
    "mov r8, [rdi + 40]",
    "mov r9, [rdi + 48]",
    "mov rdi, [rdi + 8]",
    ".globl qed_workload_fork_instruction",
    "qed_workload_fork_instruction:",
    "syscall",
    "test rax, rax",
    "jnz 2f",
    "mov eax, 186",
    "syscall",
    "cmp rax, rbx",
    "jne 3f",
    "xor eax, eax",
    "2:",
    "pop rbx",
    "ret",
    "3:",
    "xor edi, edi",
    "mov eax, 60",
    "syscall",
    "ud2",
    ".globl qed_workload_fork_end",
    "qed_workload_fork_end:",
    ".size qed_workload_fork, . - qed_workload_fork",
    ".popsection",
);

// The mark that the task is back in user space: the next system call that it makes. It is made by an instruction of its
// own, which tells it from all others. 1 is write, here of nothing to no descriptor: no call may have forbidden it to the
// process, not even the strict mode of seccomp. In the section of the call, so that no page of code is missing between
// the two.
global_asm!(
    ".pushsection .text.qed_workload_call, \"ax\", @progbits",
    ".globl qed_workload_back",
    ".type qed_workload_back, @function",
    "qed_workload_back:",
    "mov eax, 1",
    "mov edi, -1",
    "xor esi, esi",
    "xor edx, edx",
    ".globl qed_workload_back_instruction",
    "qed_workload_back_instruction:",
    "syscall",
    "ret",
    ".size qed_workload_back, . - qed_workload_back",
    ".popsection",
);

/// System calls that return in a new process or thread, too.
pub(super) const RETURN_TWICE: [i64; 4] = [
    libc::SYS_fork,
    libc::SYS_vfork,
    libc::SYS_clone,
    libc::SYS_clone3,
];

/// The instruction of a system call.
#[cfg(test)]
pub(super) const INSTRUCTION: [u8; 2] = [0x0f, 0x05];

//! The instruction that makes the watched system call, in code whose bytes are known.

use std::arch::global_asm;

use nix::unistd::gettid;

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

/// The system call that marks the task's return to user space.
pub const MARKING_SYSCALL: &str = "write";

unsafe extern "C" {
    fn qed_workload_back() -> i64;
    static qed_workload_back_instruction: u8;
    fn qed_workload_call(words: *const [i64; 7]) -> i64;
    static qed_workload_instruction: u8;
    static qed_workload_call_end: u8;
    fn qed_workload_fork(words: *const [i64; 7], caller: i64) -> i64;
    static qed_workload_fork_instruction: u8;
    static qed_workload_fork_end: u8;
}

/// True of a system call that returns in a new process or thread, too.
fn returns_twice(number: i64) -> bool {
    [
        libc::SYS_fork,
        libc::SYS_vfork,
        libc::SYS_clone,
        libc::SYS_clone3,
    ]
    .contains(&number)
}

/// Make system call `words[0]` with the arguments `words[1..]`, and then the one that marks the return to user space. Return
/// the result of the first. If the call makes another process or thread, that one ends at once.
///
/// # Safety
/// Pointers among the arguments must be valid for what the call does with them.
pub(super) unsafe fn invoke(words: &[i64; 7]) -> i64 {
    // SAFETY: promised by the caller.
    let returned = unsafe { invoke_unmarked(words) };
    // SAFETY: the function clobbers what a C function may, and its call has no valid descriptor.
    unsafe { qed_workload_back() };
    returned
}

/// Like [`invoke`], without the marking call after it.
///
/// # Safety
/// As of [`invoke`].
pub(super) unsafe fn invoke_unmarked(words: &[i64; 7]) -> i64 {
    if returns_twice(words[0]) {
        let caller = gettid().as_raw().into();
        // SAFETY: as below; the second return of the call stays in the function.
        return unsafe { qed_workload_fork(words, caller) };
    }
    // SAFETY: the function clobbers what a C function may, and the kernel rcx and r11, which are among it;
    // the rest is promised by the caller.
    unsafe { qed_workload_call(words) }
}

/// Address of the function that makes system call `number`, address of its `syscall` instruction, and its code.
pub(super) fn call_code(number: i64) -> (u64, u64, Vec<u8>) {
    let (start, instruction, end) = if returns_twice(number) {
        (
            qed_workload_fork as *const () as *const u8,
            &raw const qed_workload_fork_instruction,
            &raw const qed_workload_fork_end,
        )
    } else {
        (
            qed_workload_call as *const () as *const u8,
            &raw const qed_workload_instruction,
            &raw const qed_workload_call_end,
        )
    };
    let size = end as usize - start as usize;
    // SAFETY: both labels are in the same section of this program's text, which is readable.
    let code = unsafe { std::slice::from_raw_parts(start, size) };
    (start as u64, instruction as u64, code.to_vec())
}

/// Address of the `syscall` instruction that marks that the task is back in user space.
pub(super) fn marking_instruction() -> u64 {
    &raw const qed_workload_back_instruction as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Check that number, arguments and result go through unchanged: all six arguments of a call that
    /// reports them back by its effects, and an error as the kernel returns it.
    #[test]
    fn calls_reach_the_kernel() {
        // SAFETY: no pointers.
        unsafe {
            assert_eq!(
                invoke(&[libc::SYS_getpid, 0, 0, 0, 0, 0, 0]),
                i64::from(std::process::id())
            );
            assert_eq!(
                invoke(&[libc::SYS_close, -1, 0, 0, 0, 0, 0]),
                -i64::from(libc::EBADF)
            );
            // mmap wants all six arguments right: offset 1 is refused, offset 0 is not.
            let map = |offset| {
                let flags = i64::from(libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
                invoke(&[libc::SYS_mmap, 0, 4096, 0, flags, -1, offset])
            };
            assert_eq!(map(1), -i64::from(libc::EINVAL));
            assert!(map(0) > 0);
        }
    }

    /// Check that the reported instruction is a `syscall` inside the reported code.
    #[test]
    fn the_instruction_is_where_it_is_said() {
        let (start, instruction, made) = call_code(libc::SYS_socket);
        let at = (instruction - start) as usize;
        assert_eq!(made[at..], [0x0f, 0x05, 0xc3]);
        let (start, instruction, made) = call_code(libc::SYS_vfork);
        let at = (instruction - start) as usize;
        assert_eq!(made[at..at + 2], [0x0f, 0x05]);
    }
}

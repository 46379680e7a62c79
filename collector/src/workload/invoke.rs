//! The system call itself: the one place that makes it, in code whose bytes are known.

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

unsafe extern "C" {
    fn qed_workload_call(words: *const [i64; 7]) -> i64;
    static qed_workload_instruction: u8;
    static qed_workload_call_end: u8;
}

/// Make system call `words[0]` with the arguments `words[1..]`; returns what the kernel returns.
///
/// # Safety
/// Pointers among the arguments must be valid for what the call does with them.
pub(super) unsafe fn invoke(words: &[i64; 7]) -> i64 {
    // SAFETY: the function clobbers what a C function may, and the kernel rcx and r11, which are among it;
    // the rest is promised by the caller.
    unsafe { qed_workload_call(words) }
}

/// Address of the function, address of its `syscall` instruction, and its code.
pub(super) fn code() -> (u64, u64, Vec<u8>) {
    let start = qed_workload_call as *const () as *const u8;
    let instruction = &raw const qed_workload_instruction;
    let end = &raw const qed_workload_call_end;
    let size = end as usize - start as usize;
    // SAFETY: both labels are in the same section of this program's text, which is readable.
    let code = unsafe { std::slice::from_raw_parts(start, size) };
    (start as u64, instruction as u64, code.to_vec())
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
        let (start, instruction, code) = code();
        let at = (instruction - start) as usize;
        assert_eq!(code[at..], [0x0f, 0x05, 0xc3]);
    }
}

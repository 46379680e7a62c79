//! The instruction that makes the watched system call, in code whose bytes are known.

#[cfg(target_arch = "aarch64")]
mod aarch64;
#[cfg(target_arch = "x86_64")]
mod x86_64;

#[cfg(target_arch = "aarch64")]
use aarch64 as instructions;
#[cfg(target_arch = "x86_64")]
use x86_64 as instructions;

use nix::unistd::gettid;

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
    instructions::RETURN_TWICE.contains(&number)
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
    // SAFETY: the function clobbers what a C function may, and the kernel what is among it (rcx and r11 on x86-64); the rest is
    // promised by the caller.
    unsafe { qed_workload_call(words) }
}

/// Address of the function that makes system call `number`, address of the instruction that makes it, and its code.
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

/// Address of the instruction of the system call that marks that the task is back in user space.
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

    /// Check that the reported instruction is a system call's inside of the reported code.
    #[test]
    fn the_instruction_is_where_it_is_said() {
        for number in [libc::SYS_socket, libc::SYS_clone] {
            let (start, instruction, made) = call_code(number);
            let at = (instruction - start) as usize;
            assert!(made[at..].starts_with(&instructions::INSTRUCTION));
        }
    }
}

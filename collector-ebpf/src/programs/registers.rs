//! The registers at a probe, as the kernel of each architecture lays them out. The verifier lets a program read its context at fixed
//! offsets only: so there is a program for each architecture, and the collector loads that of its kernel.

use aya_ebpf::bindings::pt_regs;

/// The registers of an architecture, at the start of its `struct pt_regs`.
///
/// Each method takes the context of a kprobe's program.
pub trait Registers {
    /// The address of the probed instruction, in the middle of a function.
    unsafe fn instruction(regs: *const Self) -> u64;
    /// What the registers of the first arguments hold.
    unsafe fn arguments(regs: *const Self) -> [u64; 6];
    /// The stack pointer.
    unsafe fn stack_pointer(regs: *const Self) -> u64;
    /// The return address, where a call leaves it in a register; else 0.
    unsafe fn link(regs: *const Self) -> u64;
    /// The address of the return address on the stack, from the stack pointer at a function's entry; 0 where it is in a register.
    fn return_slot(stack_pointer: u64) -> u64;
    /// What the function returned, at its return.
    unsafe fn result(regs: *const Self) -> u64;
    /// The stack pointer that the function had at its entry, from that at its return.
    fn entry_stack_pointer(at_return: u64) -> u64;
}

/// x86-64.
#[repr(transparent)]
pub struct X86_64(pt_regs);

impl Registers for X86_64 {
    #[inline(always)]
    unsafe fn instruction(regs: *const Self) -> u64 {
        // The trap, or the jump that replaces it, leaves the instruction pointer one byte behind the probed address.
        // https://elixir.bootlin.com/linux/v6.1/source/arch/x86/kernel/kprobes/core.c#L1005
        // https://elixir.bootlin.com/linux/v6.1/source/arch/x86/kernel/kprobes/opt.c#L185
        // SAFETY: promised by the caller.
        unsafe { (*regs).0.rip.wrapping_sub(1) }
    }

    #[inline(always)]
    unsafe fn arguments(regs: *const Self) -> [u64; 6] {
        // SAFETY: promised by the caller.
        let regs = unsafe { &(*regs).0 };
        [regs.rdi, regs.rsi, regs.rdx, regs.rcx, regs.r8, regs.r9]
    }

    #[inline(always)]
    unsafe fn stack_pointer(regs: *const Self) -> u64 {
        // SAFETY: promised by the caller.
        unsafe { (*regs).0.rsp }
    }

    #[inline(always)]
    unsafe fn link(_: *const Self) -> u64 {
        0
    }

    #[inline(always)]
    fn return_slot(stack_pointer: u64) -> u64 {
        stack_pointer
    }

    #[inline(always)]
    unsafe fn result(regs: *const Self) -> u64 {
        // SAFETY: promised by the caller.
        unsafe { (*regs).0.rax }
    }

    #[inline(always)]
    fn entry_stack_pointer(at_return: u64) -> u64 {
        // RET has taken the slot off the stack, and the trampoline reports the stack pointer as it was then.
        // https://elixir.bootlin.com/linux/v6.1/source/arch/x86/kernel/rethook.c#L83
        at_return.wrapping_sub(8)
    }
}

/// arm64: the start of `struct user_pt_regs`.
/// <https://elixir.bootlin.com/linux/v6.12/source/arch/arm64/include/uapi/asm/ptrace.h#L88>
#[repr(C)]
pub struct Aarch64 {
    /// x0 to x30.
    numbered: [u64; 31],
    stack_pointer: u64,
    instruction: u64,
}

impl Registers for Aarch64 {
    #[inline(always)]
    unsafe fn instruction(regs: *const Self) -> u64 {
        // SAFETY: promised by the caller.
        unsafe { (*regs).instruction }
    }

    #[inline(always)]
    unsafe fn arguments(regs: *const Self) -> [u64; 6] {
        // SAFETY: promised by the caller.
        let x = unsafe { &(*regs).numbered };
        [x[0], x[1], x[2], x[3], x[4], x[5]]
    }

    #[inline(always)]
    unsafe fn stack_pointer(regs: *const Self) -> u64 {
        // SAFETY: promised by the caller.
        unsafe { (*regs).stack_pointer }
    }

    #[inline(always)]
    unsafe fn link(regs: *const Self) -> u64 {
        // SAFETY: promised by the caller.
        unsafe { (*regs).numbered[30] }
    }

    #[inline(always)]
    fn return_slot(_: u64) -> u64 {
        0
    }

    #[inline(always)]
    unsafe fn result(regs: *const Self) -> u64 {
        // SAFETY: promised by the caller.
        unsafe { (*regs).numbered[0] }
    }

    #[inline(always)]
    fn entry_stack_pointer(at_return: u64) -> u64 {
        // RET takes the address from a register.
        at_return
    }
}

//! The eBPF programs: one set serves any function, tracepoint and LSM hook. What they read and do is
//! data, see the library of this crate.
//!
//! `kernel_entry` and `kernel_return` sit on functions, on arm64 `entry_aarch64` and `return_aarch64`, `tp_N` on raw tracepoints, `lsm_N` on LSM hooks,
//! `task_newtask`, `sched_process_exec` and `sys_exit` on the tracepoints of these names, which tell of a process's life,
//! and `read_kernel` runs on demand.
#![no_std]
#![no_main]

mod hit;
mod life;
mod maps;
mod read;
mod registers;
mod report;

use aya_ebpf::{
    EbpfContext as _,
    macros::{kprobe, kretprobe, lsm, raw_tracepoint},
    programs::{LsmContext, ProbeContext, RawTracePointContext, RetProbeContext},
};

#[kprobe]
fn kernel_entry(ctx: ProbeContext) -> u32 {
    hit::kernel_entry::<registers::X86_64>(ctx.regs.cast());
    0
}

#[kretprobe]
fn kernel_return(ctx: RetProbeContext) -> u32 {
    hit::kernel_return::<registers::X86_64>(ctx.regs.cast());
    0
}

#[kprobe]
fn entry_aarch64(ctx: ProbeContext) -> u32 {
    hit::kernel_entry::<registers::Aarch64>(ctx.regs.cast());
    0
}

#[kretprobe]
fn return_aarch64(ctx: RetProbeContext) -> u32 {
    hit::kernel_return::<registers::Aarch64>(ctx.regs.cast());
    0
}

#[raw_tracepoint]
fn read_kernel(_: RawTracePointContext) -> i32 {
    read::read_kernel();
    0
}

#[raw_tracepoint]
fn task_newtask(ctx: RawTracePointContext) -> i32 {
    life::task_created(ctx.as_ptr());
    0
}

#[raw_tracepoint]
fn sched_process_exec(_: RawTracePointContext) -> i32 {
    life::program_executed();
    0
}

#[raw_tracepoint]
fn sys_exit(_: RawTracePointContext) -> i32 {
    life::system_call_left();
    0
}

/// A raw tracepoint program cannot ask which tracepoint it is on, so each attachment has its own.
macro_rules! tracepoints {
    ($($name:ident $slot:literal),+) => {$(
        #[raw_tracepoint]
        fn $name(ctx: RawTracePointContext) -> i32 {
            hit::tracepoint(ctx.as_ptr(), $slot);
            0
        }
    )+
    const _: () = assert!([$($slot),+].len() == qed_collector_ebpf::TRACEPOINT_SLOTS);
    };
}
tracepoints!(
    tp_0 0, tp_1 1, tp_2 2, tp_3 3, tp_4 4, tp_5 5, tp_6 6, tp_7 7, tp_8 8, tp_9 9, tp_10 10, tp_11 11, tp_12 12,
    tp_13 13, tp_14 14, tp_15 15
);

/// An LSM program is loaded for one hook.
macro_rules! hooks {
    ($($name:ident $slot:literal),+) => {$(
        #[lsm]
        fn $name(ctx: LsmContext) -> i32 {
            hit::lsm(ctx.as_ptr(), $slot)
        }
    )+
    const _: () = assert!([$($slot),+].len() == qed_collector_ebpf::LSM_SLOTS);
    };
}
hooks!(lsm_0 0, lsm_1 1, lsm_2 2, lsm_3 3);

/// The kernel lends its tracing helpers to this licence string only (`license_is_gpl_compatible`,
/// <https://elixir.bootlin.com/linux/v6.1/source/include/linux/license.h#L5>).
#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";

#[panic_handler]
fn panic(_: &core::panic::PanicInfo) -> ! {
    // Bounds are tested before each use, so that no call to this is left in the object: the verifier
    // would refuse the endless loop.
    loop {}
}

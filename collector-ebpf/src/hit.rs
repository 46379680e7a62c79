//! From a hit of any kind to a [`Hit`]: who runs, which spec applies, what the arguments are.

use aya_ebpf::{
    bindings::pt_regs,
    cty::c_void,
    helpers::{
        bpf_get_current_pid_tgid,
        generated::{bpf_get_func_arg, bpf_get_func_ip, bpf_probe_read_kernel},
    },
};
use core::{
    hint::black_box,
    mem::{MaybeUninit, offset_of},
};
use qed_collector_ebpf::{
    Call, CallKey, Control, MAX_ARGS, ProbeKey, ProbeSpec, SlotKey, act, attachment, counter, side,
};

use crate::{
    maps::{CALLS, CONTROL, KEYS, SLOTS, SPECS, count},
    report::{Hit, report},
};

/// Who runs, and what the collector wants to know of it.
struct Scene {
    spec: *const ProbeSpec,
    probe: u32,
    control: Control,
    tgid: u32,
    tid: u32,
}

/// Find the spec for this site in the running experiment; `None` when there is nothing to report.
#[inline(always)]
fn scene(site: u64, attachment: u32) -> Option<Scene> {
    let control = *CONTROL.get(0)?;
    if control.target_tgid == 0 {
        return None;
    }
    let ids = bpf_get_current_pid_tgid();
    let tgid = (ids >> 32) as u32;
    let key = ProbeKey {
        site,
        experiment: control.experiment,
        attachment,
    };
    // SAFETY: the collector changes the table only while nothing is reported (`target_tgid` is 0).
    let probe = *unsafe { KEYS.get(key) }?;
    let spec = SPECS.get_ptr(probe)?;
    // SAFETY: the verifier knows `spec` as a pointer to a whole map value.
    let acts = unsafe { (*spec).acts };
    if tgid != control.target_tgid && acts & (act::ANY_TASK | act::FREE) == 0 {
        return None;
    }
    Some(Scene {
        spec,
        probe,
        control,
        tgid,
        tid: ids as u32,
    })
}

impl Scene {
    #[inline(always)]
    fn hit(&self, site: u64, side: u32) -> Hit {
        Hit {
            spec: self.spec,
            probe: self.probe,
            experiment: self.control.experiment,
            discard: self.control.discard,
            in_target: u32::from(self.tgid == self.control.target_tgid),
            tgid: self.tgid,
            tid: self.tid,
            site,
            side,
            args: no_args(),
            args_known: 0,
            return_value: 0,
            slot: 0,
            stack_pointer: 0,
            registers: 0,
        }
    }
}

/// Zeros, each stored by itself: LLVM would make one call of a byte-wise `memset` of them, which costs
/// the verifier a few hundred instructions.
#[inline(always)]
fn no_args() -> [u64; MAX_ARGS] {
    let mut args = MaybeUninit::<[u64; MAX_ARGS]>::uninit();
    for index in 0..MAX_ARGS {
        // SAFETY: inside the array; after the loop all of it is initialised.
        unsafe { args.as_mut_ptr().cast::<u64>().add(index).write_volatile(0) };
    }
    // SAFETY: as above.
    unsafe { args.assume_init() }
}

/// The probed function, or in the middle of one the probed instruction; and whether it is a function's
/// entry, where the stack pointer is the address of the return-address slot.
#[inline(always)]
fn site(regs: *mut pt_regs) -> (u64, bool) {
    // SAFETY: `regs` is the program's context.
    match unsafe { bpf_get_func_ip(regs.cast()) } {
        // Not at a function's entry: the trap, or the jump that replaces it, leaves the instruction
        // pointer one byte behind the probed address.
        // https://elixir.bootlin.com/linux/v6.1/source/arch/x86/kernel/kprobes/core.c#L1005
        // https://elixir.bootlin.com/linux/v6.1/source/arch/x86/kernel/kprobes/opt.c#L185
        0 => (unsafe { (*regs).rip }.wrapping_sub(1), false),
        address => (address, true),
    }
}

pub fn kernel_entry(regs: *mut pt_regs) {
    let (site, at_entry) = site(regs);
    let Some(scene) = scene(site, attachment::KPROBE) else {
        return;
    };
    let mut hit = scene.hit(site, side::ENTRY);
    // SAFETY: `regs` is the program's context, whose fields the verifier lets it read.
    unsafe {
        hit.args = [
            (*regs).rdi,
            (*regs).rsi,
            (*regs).rdx,
            (*regs).rcx,
            (*regs).r8,
            (*regs).r9,
        ];
        hit.stack_pointer = (*regs).rsp;
    }
    hit.args_known = 1;
    if at_entry {
        hit.slot = hit.stack_pointer;
        // SAFETY: a whole map value, see `scene`.
        let acts = unsafe { (*scene.spec).acts };
        remember(&hit, acts);
    } else {
        // A 0 that the verifier does not know, or it would look at all that follows once more for it.
        hit.slot = word(0);
    }
    report(regs.cast(), &mut hit);
}

/// Keep the slot, and if the function's return is probed too, the arguments.
#[inline(always)]
fn remember(hit: &Hit, acts: u32) {
    let newest = SlotKey {
        site: hit.site,
        tid: hit.tid,
        reserved: 0,
    };
    if acts & act::RETURNS != 0 {
        let key = CallKey {
            site: hit.site,
            slot: hit.slot,
            tid: hit.tid,
            experiment: hit.experiment,
        };
        // SAFETY: the value is this thread's own.
        let outer_slot = unsafe { SLOTS.get(newest) }.copied().unwrap_or(0);
        let call = Call {
            args: hit.args,
            outer_slot,
        };
        if CALLS.insert(key, call, 0).is_err() {
            count(counter::ENTRY_TABLE_FULL);
        }
    }
    if SLOTS.insert(newest, hit.slot, 0).is_err() {
        count(counter::ENTRY_TABLE_FULL);
    }
}

pub fn kernel_return(regs: *mut pt_regs) {
    let (site, _) = site(regs);
    let Some(scene) = scene(site, attachment::KPROBE) else {
        return;
    };
    let mut hit = scene.hit(site, side::RETURN);
    // SAFETY: `regs` is the program's context.
    unsafe {
        hit.return_value = (*regs).rax;
        hit.stack_pointer = (*regs).rsp;
    }
    // RET has taken the slot off the stack, and the trampoline reports the stack pointer as it was then.
    // https://elixir.bootlin.com/linux/v6.1/source/arch/x86/kernel/rethook.c#L83
    let key = CallKey {
        site,
        slot: hit.stack_pointer.wrapping_sub(8),
        tid: hit.tid,
        experiment: hit.experiment,
    };
    // SAFETY: the value is this thread's own call.
    if let Some(call) = unsafe { CALLS.get(key) } {
        hit.args = call.args;
        hit.args_known = 1;
        let newest = SlotKey {
            site,
            tid: hit.tid,
            reserved: 0,
        };
        if call.outer_slot == 0 {
            let _ = SLOTS.remove(newest);
        } else {
            let _ = SLOTS.insert(newest, call.outer_slot, 0);
        }
        let _ = CALLS.remove(key);
    }
    report(regs.cast(), &mut hit);
}

#[inline(never)]
pub fn tracepoint(ctx: *mut c_void, slot: u64) {
    let Some(scene) = scene(slot, attachment::TRACEPOINT) else {
        return;
    };
    let mut hit = scene.hit(slot, side::ENTRY);
    // SAFETY: a whole map value, see `scene`; the context holds `arg_count` words. They are not read as
    // fields of the context because the kernel would then refuse tracepoints with fewer than six.
    unsafe {
        let mut count = (*scene.spec).arg_count;
        if count > MAX_ARGS as u32 {
            count = MAX_ARGS as u32;
        }
        bpf_probe_read_kernel(hit.args.as_mut_ptr().cast(), count * 8, ctx);
    }
    hit.args_known = 1;
    // SAFETY: as above.
    let (acts, wanted) = unsafe { ((*scene.spec).acts, (*scene.spec).syscall) };
    if acts & act::SYSCALL != 0 {
        let regs = hit.args[0];
        let number = word(regs + offset_of!(pt_regs, orig_rax) as u64);
        if number as u32 != wanted {
            return;
        }
        hit.return_value = word(regs + offset_of!(pt_regs, rax) as u64);
        hit.registers = regs;
    }
    report(ctx, &mut hit);
}

/// 8 bytes of kernel memory, or 0.
#[inline(always)]
fn word(address: u64) -> u64 {
    let mut word = 0u64;
    // SAFETY: the helper writes 8 bytes, zeros when it fails.
    unsafe { bpf_probe_read_kernel((&raw mut word).cast(), 8, address as *const c_void) };
    word
}

#[inline(never)]
pub fn lsm(ctx: *mut c_void, slot: u64) -> i32 {
    let Some(scene) = scene(slot, attachment::LSM) else {
        return 0;
    };
    let mut hit = scene.hit(slot, side::ENTRY);
    for index in 0..MAX_ARGS {
        // SAFETY: the helper refuses positions behind the last argument and leaves the 0 there.
        unsafe { bpf_get_func_arg(ctx, index as u32, &raw mut hit.args[index]) };
    }
    hit.args_known = 1;
    report(ctx, &mut hit);
    // SAFETY: a whole map value, see `scene`.
    let (acts, errno) = unsafe { ((*scene.spec).acts, (*scene.spec).deny_errno) };
    if acts & act::DENY == 0 || hit.in_target == 0 {
        return 0;
    }
    // Newer kernels demand a provable range of -4095 to 0, and know nothing about the result of a
    // negation: it must be compared, and the compiler must not know better.
    // https://elixir.bootlin.com/linux/v6.12/source/kernel/bpf/bpf_lsm.c#L425
    let verdict = black_box(-i64::from(errno));
    if !(-4095..=0).contains(&verdict) {
        return 0;
    }
    count(counter::DENIED);
    verdict as i32
}

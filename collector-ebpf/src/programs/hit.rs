//! From a hit of any kind to a [`Hit`]: who runs, which spec applies, what the arguments are.

use aya_ebpf::{
    cty::c_void,
    helpers::{
        bpf_get_current_pid_tgid,
        generated::{
            bpf_get_current_task, bpf_get_func_arg, bpf_get_func_ip, bpf_get_smp_processor_id,
            bpf_probe_read_kernel,
        },
    },
};
use core::{hint::black_box, mem::offset_of};
use qed_collector_ebpf::{
    Call, CallKey, Control, Layout, MAX_ARGS, ProbeKey, ProbeSpec, SlotKey, act, attachment,
    counter, side,
};

use crate::{
    maps::{CALLS, CONTROL, FOLLOWED, KEYS, RUNS, SLOTS, SPECS, count},
    registers::Registers,
    report::{Hit, report},
};

/// A site that was reached and is to be reported: what the collector wants to know of it, and the task that runs.
struct Matched {
    spec: *const ProbeSpec,
    probe: u32,
    /// [`Control::experiment`]
    experiment: u32,
    /// [`Control::discard`]
    discard: u32,
    /// [`Control::layout`], which nothing changes. A copy of it would take the stack that the reads of a hit need.
    layout: *const Layout,
    /// 1 if a task of the workload runs, else 0.
    in_target: u32,
    tgid: u32,
    tid: u32,
}

/// Find the spec for this site in the running experiment; `None` when there is nothing to report.
#[inline(always)]
fn find_spec(site: u64, attachment: u32) -> Option<Matched> {
    let control: *const Control = CONTROL.get_ptr(0)?;
    // SAFETY: a whole map value. What is written to it meanwhile is one field at a time.
    let (target_tgid, experiment, discard, layout) = unsafe {
        (
            (*control).target_tgid,
            (*control).experiment,
            (*control).discard,
            &raw const (*control).layout,
        )
    };
    if target_tgid == 0 {
        return None;
    }
    let ids = bpf_get_current_pid_tgid();
    let tgid = (ids >> 32) as u32;
    let key = ProbeKey {
        site,
        experiment,
        attachment,
    };
    // SAFETY: the collector changes the table only while nothing is reported (`target_tgid` is 0).
    let probe = *unsafe { KEYS.get(key) }?;
    let spec = SPECS.get_ptr(probe)?;
    // SAFETY: the verifier knows `spec` as a pointer to a whole map value.
    let acts = unsafe { (*spec).acts };
    let in_target = equal(tgid, target_tgid) | is_followed(tgid);
    if in_target | acts & (act::ANY_TASK | act::FREE) == 0 {
        return None;
    }
    Some(Matched {
        spec,
        probe,
        experiment,
        discard,
        layout,
        in_target,
        tgid,
        tid: ids as u32,
    })
}

impl Matched {
    /// The part that all hits have in common. Nothing in it is a number that the verifier knows, but for `side`: where
    /// two ways meet, it goes on with one only if it knows the same of both.
    #[inline(always)]
    fn hit(&self, site: u64, side: u32) -> Hit {
        let zero = self.zero();
        Hit {
            spec: self.spec,
            probe: self.probe,
            experiment: self.experiment,
            discard: self.discard,
            in_target: self.in_target,
            compat: zero as u32,
            tgid: self.tgid,
            tid: self.tid,
            site,
            side,
            args: [zero; MAX_ARGS],
            args_known: zero as u32,
            return_value: zero,
            slot: zero,
            stack_pointer: zero,
            link: zero,
            registers: zero,
            preempt_count: preempt_count(self.layout()),
        }
    }

    #[inline(always)]
    fn layout(&self) -> &Layout {
        // SAFETY: a part of a whole map value, which nothing changes while the programs are attached.
        unsafe { &*self.layout }
    }

    /// [`ProbeSpec::zero`]
    #[inline(always)]
    fn zero(&self) -> u64 {
        // SAFETY: a whole map value, see `find_spec`. Volatile, or it would be loaded again for each use.
        unsafe { (&raw const (*self.spec).zero).read_volatile() }
    }
}

/// 1 or 0, without a branch: each costs the verifier a look at all that follows. The compiler would make one again, if
/// it knew that the numbers are short.
#[inline(always)]
fn equal(a: u32, b: u32) -> u32 {
    (black_box(u64::from(a ^ b)).wrapping_sub(1) >> 63) as u32
}

#[inline(always)]
pub fn kernel_entry<R: Registers>(regs: *mut R) {
    // SAFETY: `regs` is the program's context, whose fields the verifier lets it read.
    let (function, instruction) = unsafe { (bpf_get_func_ip(regs.cast()), R::instruction(regs)) };
    // All ones at a function's entry: addresses of the kernel have the highest bit. In the middle of one the helper
    // gives 0, and the registers say where.
    let at_entry = black_box(function as i64 >> 63) as u64;
    let site = function | instruction & !at_entry;
    count_run(site);
    let Some(matched) = find_spec(site, attachment::KPROBE) else {
        return;
    };
    let mut hit = matched.hit(site, side::ENTRY);
    // SAFETY: as above.
    unsafe {
        hit.args = R::arguments(regs);
        hit.stack_pointer = R::stack_pointer(regs);
        // The bit as a mask: a branch would cost the verifier a look at all that follows.
        let acts = black_box(u64::from((*matched.spec).acts));
        let in_register = (acts & u64::from(act::LINK_REGISTER)).wrapping_neg();
        hit.link = R::link(regs) & (at_entry | (in_register as i64 >> 63) as u64);
    }
    hit.args_known = 1;
    hit.registers = as_number(regs.cast());
    // It tells the calls of a function apart that run at once.
    hit.slot = hit.stack_pointer & at_entry;
    if function != 0 {
        // SAFETY: a whole map value, see `find_spec`.
        let acts = unsafe { (*matched.spec).acts };
        keep_call(&hit, acts, matched.zero());
    }
    hit.slot = R::return_slot(hit.slot);
    report(regs.cast(), &mut hit);
}

/// Count this run, before anything says that it is of no interest: the kernel counts hits, and some kernels do not
/// count those for which they ran no program.
#[inline(always)]
fn count_run(site: u64) {
    if let Some(runs) = RUNS.get_ptr_mut(site) {
        // SAFETY: this CPU's value, a whole one; nothing interrupts the program to run it again, for the kernel skips a
        // kprobe while another one's program runs on the CPU.
        unsafe { *runs += 1 };
    }
}

/// Keep the slot, and if the function's return is probed too, the arguments.
#[inline(always)]
fn keep_call(hit: &Hit, acts: u32, zero: u64) {
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
        let outer_slot = unsafe { SLOTS.get(newest) }.copied().unwrap_or(zero);
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

#[inline(always)]
pub fn kernel_return<R: Registers>(regs: *mut R) {
    // SAFETY: `regs` is the program's context. A return probe is of a function.
    let site = unsafe { bpf_get_func_ip(regs.cast()) };
    let Some(matched) = find_spec(site, attachment::KPROBE) else {
        return;
    };
    let mut hit = matched.hit(site, side::RETURN);
    // SAFETY: `regs` is the program's context.
    unsafe {
        hit.return_value = R::result(regs);
        hit.stack_pointer = R::stack_pointer(regs);
    }
    hit.registers = as_number(regs.cast());
    let key = CallKey {
        site,
        slot: R::entry_stack_pointer(hit.stack_pointer),
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

/// The mask of a number of arguments, and what it relies on.
const ARGS_MASK: u32 = 7;
const _: () = assert!(
    MAX_ARGS <= ARGS_MASK as usize
        && offset_of!(Hit, args) + ARGS_MASK as usize * 8 <= offset_of!(Hit, return_value) + 8
);

#[inline(never)]
pub fn tracepoint(ctx: *mut c_void, slot: u64) {
    let Some(matched) = find_spec(slot, attachment::TRACEPOINT) else {
        return;
    };
    let mut hit = matched.hit(slot, side::ENTRY);
    // SAFETY: a whole map value, see `find_spec`; the context holds `arg_count` words, at most MAX_ARGS. They are not read
    // as fields of the context because the kernel would then refuse tracepoints with fewer than six. A mask bounds them
    // without a branch; the word more that it would let through lies in the hit, too.
    unsafe {
        let count = (*matched.spec).arg_count & ARGS_MASK;
        bpf_probe_read_kernel(
            (&raw mut hit).byte_add(offset_of!(Hit, args)).cast(),
            count * 8,
            ctx,
        );
    }
    hit.args_known = 1;
    hit.compat = is_compat_call(matched.layout());
    // SAFETY: as above.
    let (acts, wanted) = unsafe { ((*matched.spec).acts, (*matched.spec).syscall) };
    if acts & act::SYSCALL_RESULT != 0 {
        hit.return_value = hit.args[1];
    }
    if acts & act::SYSCALL != 0 {
        let regs = hit.args[0];
        let layout = matched.layout();
        let number = read_word(regs + u64::from(layout.syscall_number));
        // A 32-bit system call of that number is another one.
        if number as u32 != wanted || hit.compat != 0 {
            if hit.compat & hit.in_target != 0 {
                count(counter::COMPAT_CALLS);
            }
            return;
        }
        hit.return_value = read_word(regs + u64::from(layout.syscall_result));
        hit.registers = regs;
        hit.slot = regs + u64::from(layout.user_address);
    }
    report(ctx, &mut hit);
}

/// 1 if the process belongs to the workload without being its own, else 0. Without a branch.
#[inline(always)]
fn is_followed(tgid: u32) -> u32 {
    let found = FOLLOWED
        .get_ptr(tgid)
        .map_or(core::ptr::null(), |found| found);
    let number = as_number(found.cast_mut().cast());
    1 - equal(number as u32 | (number >> 32) as u32, 0)
}

/// The preemption count of this CPU, or [`UNKNOWN_CONTEXT`](qed_collector_ebpf::UNKNOWN_CONTEXT). Without a branch.
#[inline(always)]
fn preempt_count(layout: &Layout) -> u32 {
    let (mut offset, mut count) = (0u64, 0u32);
    // SAFETY: the helpers write 8 and 4 bytes, zeros when they fail.
    let failed = unsafe {
        let cpu = bpf_get_smp_processor_id();
        let at = layout.cpu_offsets.wrapping_add(u64::from(cpu) * 8);
        let failed = bpf_probe_read_kernel((&raw mut offset).cast(), 8, at as *const c_void);
        let by_cpu = layout.preempt_count.wrapping_add(offset);
        let by_task = bpf_get_current_task().wrapping_add(u64::from(layout.task_preempt));
        let of_task = u64::from(equal(layout.task_preempt, 0)).wrapping_sub(1);
        let at = by_task & of_task | by_cpu & !of_task;
        let unread = bpf_probe_read_kernel((&raw mut count).cast(), 4, at as *const c_void);
        failed & !of_task as i64 | unread
    };
    // All ones of a failure.
    count | (failed >> 63) as u32
}

/// 1 if the task is in a 32-bit system call, else 0.
#[inline(always)]
fn is_compat_call(layout: &Layout) -> u32 {
    // SAFETY: a helper without arguments.
    let task = unsafe { bpf_get_current_task() };
    let status = read_word(task.wrapping_add(u64::from(layout.task_status))) as u32;
    1 - equal(status & layout.compat_mask, 0)
}

/// 8 bytes of kernel memory, or 0.
#[inline(always)]
pub fn read_word(address: u64) -> u64 {
    let mut word = 0u64;
    // SAFETY: the helper writes 8 bytes, zeros when it fails.
    unsafe { bpf_probe_read_kernel((&raw mut word).cast(), 8, address as *const c_void) };
    word
}

/// The address of the context as a plain number, which the verifier lets us add to: a copy made by a
/// helper has lost its pointer type.
#[inline(always)]
fn as_number(ctx: *mut c_void) -> u64 {
    let pointer = ctx as u64;
    let mut number = 0u64;
    // SAFETY: source and destination are 8 bytes of this program's stack.
    unsafe { bpf_probe_read_kernel((&raw mut number).cast(), 8, (&raw const pointer).cast()) };
    number
}

#[inline(never)]
pub fn lsm(ctx: *mut c_void, slot: u64) -> i32 {
    let Some(matched) = find_spec(slot, attachment::LSM) else {
        return 0;
    };
    let mut hit = matched.hit(slot, side::ENTRY);
    for index in 0..MAX_ARGS {
        // SAFETY: the helper refuses positions behind the last argument and leaves the 0 there.
        unsafe { bpf_get_func_arg(ctx, index as u32, &raw mut hit.args[index]) };
    }
    hit.args_known = 1;
    report(ctx, &mut hit);
    // SAFETY: a whole map value, see `find_spec`.
    let (acts, errno) = unsafe { ((*matched.spec).acts, (*matched.spec).deny_errno) };
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

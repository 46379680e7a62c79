//! From a [`Hit`] to an event in the ring buffer, and the acts on the way.

use aya_ebpf::{
    cty::c_void,
    helpers::{
        bpf_ktime_get_ns,
        generated::{
            bpf_get_current_comm, bpf_get_smp_processor_id, bpf_get_stack, bpf_loop,
            bpf_probe_read_kernel, bpf_send_signal,
        },
    },
};
use core::mem::offset_of;
use qed_collector_ebpf::{
    Event, MAX_ARGS, MAX_FRAMES, OBJECT_IS_RETURN, Object, ProbeSpec, act, counter, side, task_flag,
};

use crate::{
    maps::{EVENTS, OBJECTS, count},
    read::{Reads, read_one},
};

/// `BPF_RB_NO_WAKEUP`
const NO_WAKEUP: u64 = 1;

/// One hit of a probe.
#[repr(C)]
pub struct Hit {
    pub spec: *const ProbeSpec,
    pub site: u64,
    pub args: [u64; MAX_ARGS],
    pub return_value: u64,
    /// Address of the return-address slot, at a function's entry and in a system call; else 0, as where the address is in a register.
    pub slot: u64,
    /// The return address at a function's entry, where a call leaves it in a register, else 0.
    pub link: u64,
    /// Stack pointer of a kprobe or return probe, else 0.
    pub stack_pointer: u64,
    /// Address of the registers, if there are any, else 0.
    pub registers: u64,
    pub probe: u32,
    pub experiment: u32,
    pub side: u32,
    pub discard: u32,
    /// 1 if a task of the workload runs, else 0.
    pub in_target: u32,
    /// 1 at a tracepoint in a 32-bit system call, else 0.
    pub compat: u32,
    pub tgid: u32,
    pub tid: u32,
    pub args_known: u32,
    pub preempt_count: u32,
}

/// Do the acts of the spec and put the hit into the ring buffer.
#[inline(never)]
pub fn report(ctx: *mut c_void, hit: &mut Hit) {
    let spec = hit.spec;
    // SAFETY: a whole map value, and the verifier follows the pointer through the stack.
    let acts = unsafe { (*spec).acts };
    // SAFETY: as above.
    let mut object = unsafe { (*spec).zero };
    // SAFETY: as above.
    let at_object = unsafe { (*spec).object_side } == hit.side;
    if acts & act::FREE != 0 && !at_object {
        // Anybody's, and what it freed is gone.
        return;
    }
    if acts & (act::ALLOCATE | act::FREE) != 0 && at_object {
        let Some(found) = object_of(hit, acts) else {
            return;
        };
        object = found;
    }
    if acts & act::SIGNAL != 0 && hit.in_target != 0 {
        // SAFETY: as above.
        let (signal, at) = unsafe { ((*spec).signal, (*spec).signal_side) };
        if at == hit.side {
            // SAFETY: a helper without pointers.
            let result = unsafe { bpf_send_signal(signal) };
            // -1 for a failure, and no branch.
            count(counter::SIGNAL_SENT.wrapping_add((result >> 63) as u32));
        }
    }
    let Some(mut entry) = EVENTS.reserve::<Event>(0) else {
        count(counter::RING_FULL);
        return;
    };
    let event = entry.as_mut_ptr();
    // SAFETY: `event` points to the whole reserved record; each field is written before it is submitted.
    unsafe {
        clear(event);
        (*event).time_ns = bpf_ktime_get_ns();
        (*event).site = hit.site;
        (*event).args = hit.args;
        (*event).return_value = hit.return_value;
        (*event).stack_pointer = hit.slot;
        // At 0 nothing can be read, and the helper then leaves a 0.
        bpf_probe_read_kernel(
            (&raw mut (*event).return_slot).cast(),
            8,
            hit.slot as *const c_void,
        );
        (*event).return_slot |= hit.link;
        (*event).object = object;
        (*event).probe = hit.probe;
        (*event).experiment = hit.experiment;
        (*event).side = hit.side;
        (*event).cpu = bpf_get_smp_processor_id();
        (*event).tgid = hit.tgid;
        (*event).tid = hit.tid;
        (*event).args_known = hit.args_known;
        (*event).preempt_count = hit.preempt_count;
        (*event).task_flags = hit.in_target | hit.compat << 1;
        bpf_get_current_comm((&raw mut (*event).comm).cast(), 16);
        (*event).stack_bytes = bpf_get_stack(
            ctx,
            (&raw mut (*event).stack).cast(),
            (MAX_FRAMES * 8) as u32,
            0,
        ) as i32;
        let side = (hit.side & side::RETURN) as usize;
        let mut reads = Reads {
            list: (&raw const (*spec).reads[side]).cast(),
            event,
            registers: hit.registers,
            stack_pointer: hit.stack_pointer,
            spec,
        };
        bpf_loop(
            (*spec).read_counts[side],
            read_one as *mut c_void,
            (&raw mut reads).cast(),
            0,
        );
    }
    if hit.discard == 0 {
        entry.submit(0);
    } else {
        entry.discard(NO_WAKEUP);
    }
}

const _: () = assert!(task_flag::WORKLOAD == 1 && task_flag::COMPAT == 1 << 1);
const _: () = assert!(counter::SIGNAL_FAILED + 1 == counter::SIGNAL_SENT);

/// The mask of a position of an object, and what it relies on.
const OBJECT_MASK: u32 = 7;
const _: () = assert!(
    OBJECT_IS_RETURN <= OBJECT_MASK
        && offset_of!(Hit, args) + OBJECT_IS_RETURN as usize * 8 == offset_of!(Hit, return_value)
        && offset_of!(Hit, args) + (OBJECT_MASK as usize + 1) * 8 <= size_of::<Hit>()
);

/// Above it are errors in the place of pointers (`MAX_ERRNO`,
/// <https://elixir.bootlin.com/linux/v6.1/source/include/linux/err.h#L18>).
const LAST_POINTER: u64 = u64::MAX - 4095;

/// The object that the hit allocates or frees; `None` when a free is nobody's business.
#[inline(always)]
fn object_of(hit: &Hit, acts: u32) -> Option<u64> {
    // SAFETY: a whole map value; the mask keeps the load inside of the hit, where the return value follows the arguments.
    let (object, zero) = unsafe {
        let position = ((*hit.spec).object_arg & OBJECT_MASK) as usize;
        let first = (&raw const *hit).byte_add(offset_of!(Hit, args));
        (*first.cast::<u64>().add(position), (*hit.spec).zero)
    };
    if acts & act::FREE != 0 {
        // SAFETY: a stale copy is harmless, for `remove` decides.
        let known = *unsafe { OBJECTS.get(object) }?;
        // Of two copies of this program, the one whose removal succeeds reports.
        OBJECTS.remove(object).ok()?;
        if known.experiment != hit.experiment {
            return None;
        }
    } else if object.wrapping_sub(1) < LAST_POINTER {
        let value = Object {
            experiment: hit.experiment,
            probe: hit.probe,
        };
        if OBJECTS.insert(object, value, 0).is_err() {
            count(counter::OBJECT_TABLE_FULL);
        }
    }
    // The compiler knows that it may be 0 here; the verifier must not.
    Some(object | zero)
}

/// Zero the stack, the values and the results, which lie next to each other: a reserved record still
/// holds what an earlier event left there. The helper zeroes its whole destination when it cannot read
/// the source, and nothing can be read at 0: one call instead of hundreds of stores.
/// <https://elixir.bootlin.com/linux/v6.1/source/kernel/trace/bpf_trace.c#L226>
///
/// # Safety
/// `event` must point to a whole record.
#[inline(always)]
unsafe fn clear(event: *mut Event) {
    const SIZE: usize = offset_of!(Event, probe) - offset_of!(Event, stack);
    // SAFETY: promised by the caller.
    unsafe {
        bpf_probe_read_kernel(
            (&raw mut (*event).stack).cast(),
            SIZE as u32,
            core::ptr::null(),
        );
    }
}

//! The processes of the workload: it starts when its program is executed, and may start others.

use aya_ebpf::{
    cty::c_void,
    helpers::{bpf_get_current_pid_tgid, generated::bpf_probe_read_kernel},
};
use qed_collector_ebpf::{Control, counter};

use crate::{
    hit::read_word,
    maps::{CONTROL, FOLLOWED, count},
};

/// No process has this id: they are positive numbers of 31 bits.
const NO_PROCESS: u32 = u32::MAX;

/// Thread-group id of the process that runs.
#[inline(always)]
fn current_tgid() -> u32 {
    (bpf_get_current_pid_tgid() >> 32) as u32
}

/// A task was created, and has not run yet. Tracepoint `task_newtask`, in its parent, which io_uring's workers pass,
/// too:
/// <https://elixir.bootlin.com/linux/v6.1/source/kernel/fork.c#L2521>
pub fn task_created(ctx: *mut c_void) {
    let Some(control) = CONTROL.get(0) else {
        return;
    };
    if control.target_tgid == 0 {
        return;
    }
    let mut task = 0u64;
    // SAFETY: the context begins with the new task's address, and the helper writes 8 bytes.
    unsafe { bpf_probe_read_kernel((&raw mut task).cast(), 8, ctx) };
    let child = read_word(task.wrapping_add(u64::from(control.layout.task_tgid))) as u32;
    let parent = current_tgid();
    if child == parent {
        // A thread: its process is watched as a whole.
        return;
    }
    // SAFETY: the value is not looked at.
    if parent != control.target_tgid && unsafe { FOLLOWED.get(parent) }.is_none() {
        // Somebody else's. If its id was that of one of ours, that one has ended.
        let _ = FOLLOWED.remove(child);
        if child == control.target_tgid
            && let Some(control) = CONTROL.get_ptr_mut(0)
        {
            // SAFETY: a whole map value; the collector writes it as a whole when the experiment ends.
            unsafe { (*control).target_tgid = NO_PROCESS };
        }
        return;
    }
    count(counter::DESCENDANTS);
    if control.follow == 0 || FOLLOWED.insert(child, 1, 0).is_err() {
        count(counter::UNFOLLOWED);
    }
}

/// The process that runs has a new program. Tracepoint `sched_process_exec`:
/// <https://elixir.bootlin.com/linux/v6.1/source/fs/exec.c#L1785>
pub fn program_executed() {
    if let Some(control) = awaited() {
        // SAFETY: a whole map value, and the collector waits while there is an awaited process.
        unsafe { (*control).executed = 1 };
    }
}

/// The process that runs goes back to user space from a system call. Tracepoint `sys_exit`.
pub fn system_call_left() {
    if let Some(control) = awaited() {
        // SAFETY: as in `program_executed`.
        unsafe {
            if (*control).executed != 0 {
                (*control).target_tgid = (*control).awaited_tgid;
                (*control).awaited_tgid = 0;
            }
        }
    }
}

/// The current settings, if the process that runs is awaited.
#[inline(always)]
fn awaited() -> Option<*mut Control> {
    let control = CONTROL.get_ptr_mut(0)?;
    // SAFETY: a whole map value.
    let awaited = unsafe { (*control).awaited_tgid };
    (awaited != 0 && awaited == current_tgid()).then_some(control)
}

//! Following a [`ReadSpec`], and reading on demand.

use core::{hint::black_box, mem::MaybeUninit};

use aya_ebpf::{
    cty::{c_long, c_void},
    helpers::generated::{
        bpf_get_current_task, bpf_probe_read_kernel, bpf_probe_read_kernel_str,
        bpf_probe_read_user, bpf_probe_read_user_str,
    },
};
use qed_collector_ebpf::{
    Event, MAX_ARGS, MAX_HOPS, MAX_READ_BYTES, MAX_READS, ReadSpec, SlotKey, form, root,
};

use crate::maps::{FD_WALK, READ_REQUEST, SLOTS};

const ENOENT: i32 = -2;
const ENXIO: i32 = -6;
const EBADF: i32 = -9;
const EFAULT: i32 = -14;
const EINVAL: i32 = -22;
const ENODATA: i32 = -61;

/// The arguments of [`read_one`].
#[repr(C)]
pub struct Reads {
    /// The specs, [`MAX_READS`] of them.
    pub list: *const ReadSpec,
    /// The event, for the values, and with arguments and return value.
    pub event: *mut Event,
    /// Address of the hit's registers, or 0.
    pub registers: u64,
    /// The hit's stack pointer, or 0.
    pub stack_pointer: u64,
    /// [`ProbeSpec::unmapped_start`](qed_collector_ebpf::ProbeSpec::unmapped_start)
    pub unmapped_start: u64,
    /// [`ProbeSpec::unmapped_size`](qed_collector_ebpf::ProbeSpec::unmapped_size)
    pub unmapped_size: u64,
}

/// Do the read at `index`: the callback of `bpf_loop`, which the verifier looks at once instead of
/// once per read.
pub unsafe extern "C" fn read_one(index: u64, reads: *mut Reads) -> c_long {
    let index = index as usize;
    if index >= MAX_READS {
        return 1;
    }
    // SAFETY: `list` and `event` point to a whole list and a whole record, and `index` is inside.
    unsafe {
        let event = (*reads).event;
        let spec = (*reads).list.add(index);
        let value = (&raw mut (*event).values[index]).cast::<u8>();
        (*event).results[index] = match address(spec, reads) {
            Ok(address) => load(spec, address, value),
            Err(errno) => errno,
        };
    }
    0
}

/// From the root over the hops to the address that the spec names.
#[inline(always)]
unsafe fn address(spec: *const ReadSpec, reads: *const Reads) -> Result<u64, i32> {
    // SAFETY: as in `read_one`.
    unsafe {
        let event = (*reads).event;
        let mut at = match (*spec).root {
            root::ARGUMENT => {
                let position = (*spec).root_index as usize;
                if position >= MAX_ARGS {
                    return Err(EINVAL);
                }
                if (*event).args_known == 0 {
                    return Err(ENODATA);
                }
                (*event).args[position]
            }
            root::RETURN => (*event).return_value,
            root::REGISTERS => (*reads).registers,
            root::TASK => bpf_get_current_task(),
            root::RETURNED_FD => (*event).return_value,
            root::ADDRESS => (*spec).constant,
            root::RETURN_SLOT => slot(spec, (*event).tid, (*reads).stack_pointer)?,
            root::FD => (*spec).constant,
            _ => return Err(EINVAL),
        };
        // Once for both, and no way out of the loop below but its end: each branch costs the verifier a
        // copy of its state, and an emulated guest milliseconds.
        if (*spec).root == root::RETURNED_FD || (*spec).root == root::FD {
            at = file(at)?;
        }
        if (*spec).root == root::REGISTERS && at == 0 {
            return Err(ENODATA);
        }
        let hops = (*spec).hop_count as usize;
        let mut failed = 0;
        let mut lost = 0;
        for hop in 0..MAX_HOPS {
            if hop >= hops {
                break;
            }
            lost |= points_to_unmapped(at, reads);
            let from = at.wrapping_add((*spec).hops[hop] as i64 as u64) as *const c_void;
            // What cannot be read arrives as 0, from where no later hop can be read either.
            failed |= bpf_probe_read_kernel((&raw mut at).cast(), 8, from);
        }
        // An address that is not loaded from may be any.
        if (*spec).form != form::ADDRESS {
            lost |= points_to_unmapped(at, reads);
        }
        if lost != 0 {
            return Err(ENXIO);
        }
        if failed != 0 {
            return Err(EFAULT);
        }
        Ok(at.wrapping_add((*spec).offset as i64 as u64))
    }
}

/// 1 for a pointer into the range where nothing is, else 0. Without a branch, of which each costs the verifier a look
/// at all that follows, once per hop.
#[inline(always)]
unsafe fn points_to_unmapped(at: u64, reads: *const Reads) -> u64 {
    // SAFETY: promised by the caller.
    let (start, size) = unsafe { ((*reads).unmapped_start, (*reads).unmapped_size) };
    let distance = black_box(at.wrapping_sub(start));
    // The highest bit: the distance is less than the size, and not itself a negative number.
    (distance.wrapping_sub(size) & !distance) >> 63
}

/// Bring back what the spec wants of `address`; the result for [`Event::results`].
#[inline(always)]
unsafe fn load(spec: *const ReadSpec, address: u64, value: *mut u8) -> i32 {
    // SAFETY: `value` points to MAX_READ_BYTES bytes.
    unsafe {
        let mut size = (*spec).size;
        if size > MAX_READ_BYTES as u32 {
            size = MAX_READ_BYTES as u32;
        }
        let from = address as *const c_void;
        let to = value.cast::<c_void>();
        let result = match (*spec).form {
            form::ADDRESS => {
                value.cast::<u64>().write(address);
                0
            }
            form::BYTES => bpf_probe_read_kernel(to, size, from),
            form::STRING => bpf_probe_read_kernel_str(to, size, from),
            form::USER_BYTES => bpf_probe_read_user(to, size, from),
            form::USER_STRING => bpf_probe_read_user_str(to, size, from),
            _ => c_long::from(EINVAL),
        };
        result as i32
    }
}

/// The pointer stored at a kernel address, and whether it could not be read.
#[inline(always)]
fn pointer(address: u64, failed: &mut c_long) -> u64 {
    let mut word = MaybeUninit::<u64>::uninit();
    // SAFETY: the helper writes all 8 bytes, zeros when it fails.
    unsafe {
        *failed |= bpf_probe_read_kernel(word.as_mut_ptr().cast(), 8, address as *const c_void);
        word.assume_init()
    }
}

/// The `struct file` that the current task holds at a descriptor. What cannot be read is 0, from where nothing can be
/// read either: so one look at the end is enough, and spares the verifier the branches.
#[inline(always)]
fn file(fd: u64) -> Result<u64, i32> {
    let walk = FD_WALK.get(0).ok_or(EINVAL)?;
    // SAFETY: a helper without arguments.
    let task = unsafe { bpf_get_current_task() };
    let mut failed = 0;
    let files = pointer(task.wrapping_add(u64::from(walk.task_files)), &mut failed);
    let table = pointer(files.wrapping_add(u64::from(walk.files_fdt)), &mut failed);
    let limit = pointer(table.wrapping_add(u64::from(walk.fdt_max_fds)), &mut failed) as u32;
    let entries = pointer(table.wrapping_add(u64::from(walk.fdt_fd)), &mut failed);
    if failed != 0 {
        return Err(EFAULT);
    }
    // Behind the end of the table may be anything, and nobody looks at it.
    let file = pointer(entries.wrapping_add(fd.wrapping_mul(8)), &mut failed);
    if fd >= u64::from(limit) || failed == 0 && file == 0 {
        return Err(EBADF);
    }
    if failed != 0 {
        return Err(EFAULT);
    }
    Ok(file)
}

/// The return-address slot of the newest call of the spec's function, or on arm64 the stack pointer that it had at its entry, if what
/// the spec reads from there can still be there: what is below the stack pointer is gone.
#[inline(always)]
unsafe fn slot(spec: *const ReadSpec, tid: u32, stack_pointer: u64) -> Result<u64, i32> {
    // SAFETY: as in `read_one`.
    let (function, first) = unsafe {
        let offset = match (*spec).hop_count {
            0 => (*spec).offset,
            _ => (*spec).hops[0],
        };
        ((*spec).constant, offset)
    };
    let key = SlotKey {
        site: function,
        tid,
        reserved: 0,
    };
    // SAFETY: the value is this thread's own.
    let slot = *unsafe { SLOTS.get(key) }.ok_or(ENOENT)?;
    if slot.wrapping_add(first as i64 as u64) < stack_pointer {
        return Err(ENOENT);
    }
    Ok(slot)
}

/// Answer the request in the map.
#[inline(always)]
pub fn read_kernel() {
    let Some(request) = READ_REQUEST.get_ptr_mut(0) else {
        return;
    };
    // SAFETY: a whole map value; the collector waits while this runs.
    unsafe {
        let mut size = (*request).size;
        if size > MAX_READ_BYTES as u32 {
            size = MAX_READ_BYTES as u32;
        }
        let from = (*request).address as *const c_void;
        (*request).result =
            bpf_probe_read_kernel((&raw mut (*request).bytes).cast(), size, from) as i32;
    }
}

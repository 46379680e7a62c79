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
    Event, MAX_ARGS, MAX_HOPS, MAX_READ_BYTES, MAX_READS, NO_CPU, ProbeSpec, ReadSpec, SlotKey,
    THIS_CPU, form, root,
};

use crate::maps::{FD_WALK, READ_REQUEST, SLOTS};

/// Of [`Walk::problems`] the bit for what could not be read: that of the sign of an error.
const UNREADABLE: u64 = 1 << 63;
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
    /// The probe's spec, for what all of its reads have in common.
    pub spec: *const ProbeSpec,
}

/// The way to an address. It is kept in the room of the value that will be read, because the programs of one hit fill the stack.
#[repr(C)]
struct Walk {
    /// The address so far.
    at: u64,
    /// What is added to a per-CPU pointer.
    cpu: u64,
    /// [`UNREADABLE`], and the lowest bit for a pointer into the range where nothing is.
    problems: u64,
}

const _: () =
    assert!(size_of::<Walk>() <= MAX_READ_BYTES && align_of::<Event>() >= align_of::<Walk>());

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
        (*event).results[index] = match address(index, spec, reads, value.cast()) {
            Ok(address) => load(spec, address, value),
            Err(errno) => errno,
        };
    }
    0
}

/// From the root over the hops to the address that the spec of the read at `index` names. `walk` is all zeros, and is again in the end.
#[inline(always)]
unsafe fn address(
    index: usize,
    spec: *const ReadSpec,
    reads: *const Reads,
    walk: *mut Walk,
) -> Result<u64, i32> {
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
            root::READ => {
                let earlier = (*spec).root_index as usize;
                // The first test is for verifiers that learn nothing from a comparison of two variables (6.1). The compiler, which
                // does, would leave it out.
                if earlier >= MAX_READS || earlier >= black_box(index) {
                    return Err(EINVAL);
                }
                let result = (*event).results[earlier];
                if result < 0 {
                    return Err(result);
                }
                (&raw const (*event).values[earlier]).cast::<u64>().read()
            }
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
        if (*spec).cpu != NO_CPU {
            (*walk).cpu = cpu_offset((*spec).cpu, reads)?;
        }
        (*walk).at = at;
        for hop in 0..MAX_HOPS {
            if hop >= (&raw const (*spec).hop_count).read_volatile() as usize {
                break;
            }
            enter_cpu(walk, (*spec).per_cpu[hop], reads);
            (*walk).problems |= points_to_unmapped((*walk).at, reads);
            let from = (*walk).at.wrapping_add((*spec).hops[hop] as i64 as u64);
            // What cannot be read arrives as 0, from where no later hop can be read either.
            let failed =
                bpf_probe_read_kernel((&raw mut (*walk).at).cast(), 8, from as *const c_void);
            (*walk).problems |= failed as u64 & UNREADABLE;
        }
        enter_cpu(walk, (*spec).per_cpu[MAX_HOPS], reads);
        // An address that is not loaded from may be any.
        if (*spec).form != form::ADDRESS {
            (*walk).problems |= points_to_unmapped((*walk).at, reads);
        }
        let (at, problems) = ((*walk).at, (*walk).problems);
        // Volatile, or it would be a call of `memset`, for whose frame there is no room on the stack.
        for word in [
            &raw mut (*walk).at,
            &raw mut (*walk).cpu,
            &raw mut (*walk).problems,
        ] {
            word.write_volatile(0);
        }
        if problems & 1 != 0 {
            return Err(ENXIO);
        }
        if problems != 0 {
            return Err(EFAULT);
        }
        Ok(at.wrapping_add((*spec).offset as i64 as u64))
    }
}

/// Add the offset of the CPU if `mask` is -1, where there is a per-CPU pointer. Without a branch, as it is done once per hop.
#[inline(always)]
unsafe fn enter_cpu(walk: *mut Walk, mask: i8, reads: *const Reads) {
    let mask = mask as i64 as u64;
    // SAFETY: promised by the caller.
    unsafe {
        (*walk).problems |= not_per_cpu((*walk).at, reads) & mask;
        (*walk).at = (*walk).at.wrapping_add((*walk).cpu & mask);
    }
}

/// What is added to a per-CPU pointer for a CPU.
#[inline(always)]
unsafe fn cpu_offset(cpu: u32, reads: *const Reads) -> Result<u64, i32> {
    // SAFETY: promised by the caller.
    let (offsets, of_hit) = unsafe { ((*(*reads).spec).cpu_offsets, (*(*reads).event).cpu) };
    let number = match cpu {
        THIS_CPU => of_hit,
        number => number,
    };
    let mut failed = 0;
    let offset = pointer(offsets.wrapping_add(u64::from(number) * 8), &mut failed);
    if failed != 0 {
        return Err(EFAULT);
    }
    Ok(offset)
}

/// [`UNREADABLE`] for what is no per-CPU pointer, else 0: NULL, although there is memory at the sum of it and an offset, and a kernel
/// address outside of the image. The first chunk of per-CPU memory has pointers into the image, or small ones; those into other chunks
/// count from there to vmalloc's area, without the highest bit on x86-64. On arm64 some of them have it, and are refused. Without a branch.
#[inline(always)]
unsafe fn not_per_cpu(at: u64, reads: *const Reads) -> u64 {
    // The highest bit of the first is set for 0 alone.
    let (null, kernel) = (black_box(at.wrapping_sub(1)) & !at, at);
    // SAFETY: promised by the caller.
    let in_image = unsafe { points_to_unmapped(at, reads) };
    (null | kernel & in_image.wrapping_sub(1)) & UNREADABLE
}

/// 1 for a pointer into the range where nothing is, else 0. Without a branch, of which each costs the verifier a look
/// at all that follows, once per hop.
#[inline(always)]
unsafe fn points_to_unmapped(at: u64, reads: *const Reads) -> u64 {
    // SAFETY: promised by the caller.
    let (start, size) = unsafe {
        let spec = (*reads).spec;
        let (start, size) = (
            &raw const (*spec).unmapped_start,
            &raw const (*spec).unmapped_size,
        );
        (start.read_volatile(), size.read_volatile())
    };
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

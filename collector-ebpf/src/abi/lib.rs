//! The records that cross the boundary between the collector and its eBPF programs.
//!
//! The programs know no kernel structure and no function: one set of programs serves them all. What to
//! read at a probe, and what to do there, is data of the types below, which the collector computes from
//! the running kernel's BTF and writes into maps before the workload starts. What was seen comes back
//! as [`Event`]s through a ring buffer.
//!
//! Every type is `repr(C)` without implicit padding, so that no uninitialised byte leaves the kernel
//! and both sides agree on each offset; the tests below hold that.
#![cfg_attr(not(test), no_std)]

/// Pointers that one read may follow before its last load.
pub const MAX_HOPS: usize = 8;
/// Reads at one side (entry or return) of one probe.
pub const MAX_READS: usize = 24;
/// Bytes that one read may bring back.
pub const MAX_READ_BYTES: usize = 64;
/// Return addresses kept of a kernel stack, the innermost first: as many as a kernel gives whose
/// `kernel.perf_event_max_stack` nobody has changed (`PERF_MAX_STACK_DEPTH`,
/// <https://elixir.bootlin.com/linux/v6.1/source/include/uapi/linux/perf_event.h#L1214>).
pub const MAX_FRAMES: usize = 127;
/// Arguments that the x86-64 System V ABI passes in registers.
pub const MAX_ARGS: usize = 6;
/// [`ProbeSpec::object_arg`] of a probe whose object is what the function returns.
pub const OBJECT_IS_RETURN: u32 = MAX_ARGS as u32;
/// Distinct probes of all experiments of one capture.
pub const MAX_PROBES: usize = 512;
/// Experiments of one capture.
pub const MAX_EXPERIMENTS: usize = 64;
/// Raw tracepoint programs in the object. Such a program cannot tell which tracepoint it is on, so each
/// attachment takes a program of its own: its number is the slot.
pub const TRACEPOINT_SLOTS: usize = 16;
/// LSM programs in the object: a loaded one belongs to one hook.
pub const LSM_SLOTS: usize = 4;
/// [`ReadSpec::cpu`] of a read that has nothing to do with a CPU's own memory.
pub const NO_CPU: u32 = u32::MAX;
/// [`ReadSpec::cpu`]: the CPU that the hit is on.
pub const THIS_CPU: u32 = u32::MAX - 1;
/// Processes that an experiment can follow at a time.
pub const MAX_FOLLOWED: usize = 4096;

/// The start of a read: a value of [`ReadSpec::root`].
pub mod root {
    /// The argument at position `root_index`, as it was when the function was entered (also at its return).
    pub const ARGUMENT: u32 = 0;
    /// The result of the function or system call (`rax`).
    pub const RETURN: u32 = 1;
    /// The address of the `struct pt_regs` of this hit (of a tracepoint: argument 0 names its own).
    pub const REGISTERS: u32 = 2;
    /// The current `struct task_struct`.
    pub const TASK: u32 = 3;
    /// The `struct file` that the current task holds at the descriptor that the system call returned.
    pub const RETURNED_FD: u32 = 4;
    /// The address in `constant` (kernel text, a variable).
    pub const ADDRESS: u32 = 5;
    /// The stack slot that held the return address when the function at address `constant` was last
    /// entered by this task: the slot's *address*. Known only while that function has not returned.
    pub const RETURN_SLOT: u32 = 6;
    /// The `struct file` that the current task holds at the descriptor in `constant`.
    pub const FD: u32 = 7;
    /// The pointer that an earlier read of the same side brought back: that at position `root_index` among them.
    pub const READ: u32 = 8;
}

/// The form of what a read brings back: a value of [`ReadSpec::form`].
pub mod form {
    /// The address arrived at, itself (8 bytes), without a load.
    pub const ADDRESS: u32 = 0;
    /// `size` bytes loaded from kernel memory at the address arrived at.
    pub const BYTES: u32 = 1;
    /// A NUL-terminated string in kernel memory, cut at `size` bytes.
    pub const STRING: u32 = 2;
    /// `size` bytes of the task's user memory.
    pub const USER_BYTES: u32 = 3;
    /// A NUL-terminated string in the task's user memory, cut at `size` bytes.
    pub const USER_STRING: u32 = 4;
}

/// One read: `p = root; for each hop: p = *(u64 *)(p + hop); p += offset;` and then [`form`]. Where `per_cpu` says so, `p` is a
/// per-CPU pointer: what leads to the memory of a CPU is added.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadSpec {
    /// The address or the function, where [`root`] asks for one.
    pub constant: u64,
    /// The start: [`root`].
    pub root: u32,
    /// Argument position, counted from 0.
    pub root_index: u32,
    /// Offsets in bytes of the pointers to follow.
    pub hops: [i32; MAX_HOPS],
    /// Number of `hops` that count.
    pub hop_count: u32,
    /// Added after the last hop, in bytes.
    pub offset: i32,
    /// The form of what to bring back: [`form`].
    pub form: u32,
    /// Bytes to bring back, at most [`MAX_READ_BYTES`].
    pub size: u32,
    /// By the number of hops so far, and the last one for behind all of them: -1 where the offset of a CPU is added, else 0.
    pub per_cpu: [i8; MAX_HOPS + 1],
    /// Explicit padding.
    pub reserved: [u8; 3],
    /// That CPU's number, or [`THIS_CPU`] or [`NO_CPU`].
    pub cpu: u32,
}

/// The moment of a probed call that an event or a set of reads belongs to.
pub mod side {
    /// The function's first instruction, or a tracepoint.
    pub const ENTRY: u32 = 0;
    /// The function's return.
    pub const RETURN: u32 = 1;
}

/// Acts of a probe besides reporting: bits of [`ProbeSpec::acts`].
pub mod act {
    /// Send signal [`ProbeSpec::signal`](super::ProbeSpec::signal) to the workload when `signal_side` is reached.
    pub const SIGNAL: u32 = 1 << 0;
    /// Remember the object whose address is argument `object_arg` as allocated by the workload. NULL, or an error in
    /// the place of a pointer, is reported and not remembered.
    pub const ALLOCATE: u32 = 1 << 1;
    /// Report the hit only if argument `object_arg` is a remembered object, whoever runs, and forget it.
    pub const FREE: u32 = 1 << 2;
    /// Report this hit whoever runs (for probes in contexts that no task owns). Implies no filter.
    pub const ANY_TASK: u32 = 1 << 3;
    /// An LSM hook: refuse with errno `deny_errno`.
    pub const DENY: u32 = 1 << 4;
    /// A `sys_enter`/`sys_exit` tracepoint: report only system call number `syscall`.
    pub const SYSCALL: u32 = 1 << 5;
    /// A return probe is on the function too: keep the arguments of each call until it returns.
    /// The loader sets this from the attach request.
    pub const RETURNS: u32 = 1 << 6;
    /// A `sys_exit` tracepoint, of any system call: the return value is its second argument.
    pub const SYSCALL_RESULT: u32 = 1 << 7;
    /// A probe inside of a function that has not put its return address on the stack: report that of the link register.
    pub const LINK_REGISTER: u32 = 1 << 8;
}

/// The bits of an address of the kernel's code on arm64 in which it can have a signature (pointer authentication). Without one they are
/// set: the code is above the addresses of 48 bits, whatever the kernel's data can have. Bit 55, which is not of them, says that an
/// address is the kernel's. <https://docs.kernel.org/arch/arm64/pointer-authentication.html>
pub const SIGNATURE_BITS: u64 = 0xff7f_0000_0000_0000;

/// One probe of one experiment.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProbeSpec {
    /// Bits of [`act`].
    pub acts: u32,
    /// Signal number for [`act::SIGNAL`].
    pub signal: u32,
    /// [`side`] at which the signal is sent.
    pub signal_side: u32,
    /// Argument position of the object for [`act::ALLOCATE`] and [`act::FREE`]; [`OBJECT_IS_RETURN`]: the return value.
    pub object_arg: u32,
    /// Positive errno for [`act::DENY`], 1 to 4095.
    pub deny_errno: u32,
    /// System call number for [`act::SYSCALL`].
    pub syscall: u32,
    /// Number of `reads` that count, by [`side`].
    pub read_counts: [u32; 2],
    /// Tracepoints and LSM hooks: how many arguments there are, at most [`MAX_ARGS`] are taken. What lies
    /// behind the last one is not an argument, and reading it would report stale stack.
    pub arg_count: u32,
    /// [`side`] at which the object of [`act::ALLOCATE`] and [`act::FREE`] is known.
    pub object_side: u32,
    /// Readable memory without anything that a pointer could lead to: the first address. A pointer in there is
    /// a per-CPU pointer, or a stale one.
    pub unmapped_start: u64,
    /// Its length in bytes, less than 2^63; 0: there is no such range.
    pub unmapped_size: u64,
    /// [`Layout::cpu_offsets`]
    pub cpu_offsets: u64,
    /// Always 0. The programs load their zeros from here: to the kernel's verifier these are numbers like any other,
    /// so that it does not look at what follows once for each of them that may be 0 and once more where it is not.
    pub zero: u64,
    /// The reads, by [`side`]: when the function is entered (or at the tracepoint), and when it returns.
    pub reads: [[ReadSpec; MAX_READS]; 2],
}

impl ReadSpec {
    /// All zeros: a read of argument 0 as it is.
    pub const fn zero() -> Self {
        Self {
            constant: 0,
            root: root::ARGUMENT,
            root_index: 0,
            hops: [0; MAX_HOPS],
            hop_count: 0,
            offset: 0,
            form: form::ADDRESS,
            size: 0,
            per_cpu: [0; MAX_HOPS + 1],
            reserved: [0; 3],
            cpu: NO_CPU,
        }
    }
}

impl ProbeSpec {
    /// No acts and no reads.
    pub const fn zero() -> Self {
        Self {
            acts: 0,
            signal: 0,
            signal_side: side::ENTRY,
            object_arg: 0,
            deny_errno: 0,
            syscall: 0,
            read_counts: [0; 2],
            arg_count: 0,
            object_side: side::ENTRY,
            unmapped_start: 0,
            unmapped_size: 0,
            cpu_offsets: 0,
            zero: 0,
            reads: [[ReadSpec::zero(); MAX_READS]; 2],
        }
    }
}

/// The key under which a program finds the [`ProbeSpec`] index of the hit it is in.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ProbeKey {
    /// Function address (kprobes), or the program slot number (tracepoints, LSM hooks).
    pub site: u64,
    /// The experiment that is running: [`Control::experiment`].
    pub experiment: u32,
    /// A value of [`attachment`].
    pub attachment: u32,
}

/// The way in which a probe is attached: part of [`ProbeKey`].
pub mod attachment {
    /// kprobe and kretprobe of one function share one spec.
    pub const KPROBE: u32 = 0;
    /// Raw tracepoint, told apart by program slot.
    pub const TRACEPOINT: u32 = 1;
    /// BPF LSM hook, told apart by program slot.
    pub const LSM: u32 = 2;
}

/// The current settings of the programs; the only thing that changes while they are attached.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Control {
    /// Thread-group id of the workload, in the collector's pid namespace being the initial one. 0: report nothing.
    pub target_tgid: u32,
    /// Number of the running experiment.
    pub experiment: u32,
    /// 1: do all the work and throw the event away, to measure what the probes cost.
    pub discard: u32,
    /// Thread-group id of a command's process that has not executed the command yet: it becomes `target_tgid` when
    /// its `execve` returns. Until then it is still the collector's own program. 0: there is none.
    pub awaited_tgid: u32,
    /// 1 once the awaited process has a new program and is on its way back to user space. The programs set it.
    pub executed: u32,
    /// 1: the processes that the workload starts belong to it, and those that they start.
    pub follow: u32,
    /// The places of what the programs ask of each task and each CPU.
    pub layout: Layout,
}

/// Places in the kernel's memory, from its BTF and its symbols.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Layout {
    /// Address of the array that holds, for each CPU, what is added to a per-CPU symbol. 0: not known.
    pub cpu_offsets: u64,
    /// The per-CPU symbol of the preemption count, to which such an offset is added. 0: there is none, or it is not known.
    pub preempt_count: u64,
    /// Offset in bytes of the thread-group id in the task structure. 0: not known.
    pub task_tgid: u32,
    /// Offset in bytes, in the task structure, of the word one bit of which is set while the task is in a
    /// 32-bit system call.
    pub task_status: u32,
    /// That bit; 0: not known.
    pub compat_mask: u32,
    /// Offset in bytes of the preemption count in the task structure, where it is not a CPU's. 0: it is, or it is not known.
    pub task_preempt: u32,
    /// Offset in bytes, in `struct pt_regs`, of the number of the system call that entered.
    pub syscall_number: u32,
    /// Likewise of the register that holds a system call's result.
    pub syscall_result: u32,
    /// Likewise of the address at which user space goes on.
    pub user_address: u32,
    /// Keeps the size a multiple of 8.
    pub reserved: u32,
}

/// [`Event::preempt_count`] where it could not be read. No kernel nests that deeply.
pub const UNKNOWN_CONTEXT: u32 = u32::MAX;

/// Offsets in bytes, from BTF, of the walk task → files → descriptor table → file.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FdWalk {
    /// `task_struct.files`
    pub task_files: u32,
    /// `files_struct.fdt`
    pub files_fdt: u32,
    /// `fdtable.fd`
    pub fdt_fd: u32,
    /// `fdtable.max_fds` (`unsigned int`)
    pub fdt_max_fds: u32,
}

/// One hit of a probe, as it comes out of the ring buffer. Buffer order is event order.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event {
    /// `bpf_ktime_get_ns()`: nanoseconds since boot, monotonic.
    pub time_ns: u64,
    /// The function's address, or the slot number: [`ProbeKey::site`].
    pub site: u64,
    /// Argument registers in ABI order at the entry (also in return events), or the tracepoint's arguments.
    pub args: [u64; MAX_ARGS],
    /// Return value; 0 at an entry. With [`act::SYSCALL`]: `rax` or `x0`, which is the system call's result at
    /// `sys_exit` (and -ENOSYS at `sys_enter`).
    pub return_value: u64,
    /// At a function's entry: the stack pointer, which is the address of the return-address slot. With
    /// [`act::SYSCALL`]: where the kernel keeps the address that the call returns to in user space. Else 0, as on arm64, where a
    /// call leaves the return address in a register.
    pub stack_pointer: u64,
    /// The contents of that slot, read raw, or of the link register: the return trampoline once a return probe has been there.
    /// With [`act::LINK_REGISTER`]: of that register. Else 0.
    pub return_slot: u64,
    /// Address of the object for [`act::ALLOCATE`] and [`act::FREE`], else 0.
    pub object: u64,
    /// Return addresses as the kernel's unwinder reports them, the innermost first. At a kprobe the first
    /// is the probed instruction's own (plus 1, plus 5 behind an `endbr64`), at a return probe the one in the caller.
    /// At a tracepoint the innermost are the eBPF program's own and those of the tracepoint's machinery.
    pub stack: [u64; MAX_FRAMES],
    /// The bytes of the reads, in the order of the spec.
    pub values: [[u8; MAX_READ_BYTES]; MAX_READS],
    /// Per read: 0, or a negative errno (its value then means nothing): -EFAULT, a pointer on the way could
    /// not be followed; -ENXIO, one of them leads into [`ProbeSpec::unmapped_start`]; -ENODATA, the entry was not seen;
    /// -ENOENT, no frame of that function; -EBADF, no such descriptor; or that of the helper which did the last load.
    /// String reads: the length in bytes including the NUL.
    pub results: [i32; MAX_READS],
    /// Index of the [`ProbeSpec`].
    pub probe: u32,
    /// [`ProbeKey::experiment`].
    pub experiment: u32,
    /// [`side`].
    pub side: u32,
    /// CPU number.
    pub cpu: u32,
    /// Thread-group id ("process id") of the task that ran.
    pub tgid: u32,
    /// Thread id of the task that ran.
    pub tid: u32,
    /// Bytes of `stack` that count, or a negative errno.
    pub stack_bytes: i32,
    /// 1 if `args` of a return event are those saved at its entry; 0 if the entry was not seen.
    pub args_known: u32,
    /// The CPU's preemption count at the hit, which says whether an interrupt ran on top of the task, or
    /// [`UNKNOWN_CONTEXT`].
    pub preempt_count: u32,
    /// Bits of [`task_flag`].
    pub task_flags: u32,
    /// Name of the task that ran.
    pub comm: [u8; 16],
}

/// What is known of the task that a hit came in: bits of [`Event::task_flags`].
pub mod task_flag {
    /// It is one of the workload's.
    pub const WORKLOAD: u32 = 1 << 0;
    /// At a tracepoint: it is in a 32-bit system call, whose numbers mean other calls. Never set where
    /// [`Layout::compat_mask`](super::Layout::compat_mask) is not known.
    pub const COMPAT: u32 = 1 << 1;
}

impl Event {
    /// True if the task that ran is one of the workload's.
    pub fn is_of_workload(&self) -> bool {
        self.task_flags & task_flag::WORKLOAD != 0
    }

    /// True if the hit, of a tracepoint, came in a 32-bit system call.
    pub fn is_compat_call(&self) -> bool {
        self.task_flags & task_flag::COMPAT != 0
    }

    /// The return address of the function that ran, where it was in a register. The unwinder of such a kernel goes by the frames on
    /// the stack, and so leaves the caller out.
    pub fn link(&self) -> Option<u64> {
        let in_register = self.stack_pointer == 0 && self.side == side::ENTRY;
        Some(self.return_slot)
            .filter(|address| in_register && *address != 0)
            .map(|address| address | SIGNATURE_BITS)
    }

    /// The return addresses in [`Event::stack`]; none if the kernel could give none.
    pub fn frames(&self) -> &[u64] {
        let count = usize::try_from(self.stack_bytes).unwrap_or(0) / size_of::<u64>();
        self.stack.get(..count).unwrap_or(&self.stack)
    }
}

/// Indices of the per-CPU counters that say what did not arrive.
pub mod counter {
    /// Ring-buffer reservations that failed: events lost.
    pub const RING_FULL: u32 = 0;
    /// The table of entered functions was full: an exit read had no arguments.
    pub const ENTRY_TABLE_FULL: u32 = 1;
    /// The table of live objects was full: a free may go unseen.
    pub const OBJECT_TABLE_FULL: u32 = 2;
    /// `bpf_send_signal` failed.
    pub const SIGNAL_FAILED: u32 = 3;
    /// Signals sent. The programs rely on its place behind the failures.
    pub const SIGNAL_SENT: u32 = 4;
    /// LSM denials returned.
    pub const DENIED: u32 = 5;
    /// Processes that the workload started, and that those started which belong to it.
    pub const DESCENDANTS: u32 = 6;
    /// Those of them that could not be followed, because the table was full. The programs rely on its place.
    pub const UNFOLLOWED: u32 = 7;
    /// 32-bit system calls of the workload that a probe or marker of system calls came by.
    pub const COMPAT_CALLS: u32 = 8;
    /// Number of counters.
    pub const COUNT: u32 = 9;
}

/// A read on demand, outside any experiment: the collector fills it in, runs the program `read_kernel`, and takes `bytes`.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadRequest {
    /// Kernel address to read.
    pub address: u64,
    /// Bytes wanted, at most [`MAX_READ_BYTES`].
    pub size: u32,
    /// Explicit padding.
    pub reserved: u32,
    /// 0 after a successful read, a negative errno after a failed one, 1 while none was done.
    pub result: i32,
    /// Explicit padding.
    pub reserved2: u32,
    /// The bytes.
    pub bytes: [u8; MAX_READ_BYTES],
}

/// Key of the table of calls that have been entered and not left. The stack pointer tells nested calls of
/// one function apart: the return probe finds it 8 bytes higher, as RET has taken the slot off the stack.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CallKey {
    /// Function address.
    pub site: u64,
    /// Address of the return-address slot.
    pub slot: u64,
    /// Thread id.
    pub tid: u32,
    /// [`Control::experiment`].
    pub experiment: u32,
}

/// The record of an entered call.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Call {
    /// Argument registers in ABI order.
    pub args: [u64; MAX_ARGS],
    /// Return-address slot of the call of the same function that this one is nested in, or 0.
    pub outer_slot: u64,
}

/// Key of the table of the newest return-address slot of a function: [`root::RETURN_SLOT`].
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SlotKey {
    /// Function address.
    pub site: u64,
    /// Thread id.
    pub tid: u32,
    /// Explicit padding.
    pub reserved: u32,
}

/// The record of a live object, under its address.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Object {
    /// [`Control::experiment`] in which it was allocated.
    pub experiment: u32,
    /// Index of the [`ProbeSpec`] that saw the allocation.
    pub probe: u32,
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::mem::{offset_of, size_of};

    /// Check that no record has padding, in which uninitialised kernel memory could leave the kernel.
    #[test]
    fn records_have_no_padding() {
        assert_eq!(
            size_of::<ReadSpec>(),
            8 + 4 + 4 + 4 * MAX_HOPS + 4 * 4 + MAX_HOPS + 1 + 3 + 4
        );
        assert_eq!(
            size_of::<ProbeSpec>(),
            10 * 4 + 4 * 8 + 2 * MAX_READS * size_of::<ReadSpec>()
        );
        assert_eq!(size_of::<ProbeKey>(), 16);
        assert_eq!(size_of::<Layout>(), 48);
        assert_eq!(size_of::<Control>(), 24 + size_of::<Layout>());
        assert_eq!(size_of::<FdWalk>(), 16);
        assert_eq!(
            size_of::<Event>(),
            8 * (2 + MAX_ARGS + 4 + MAX_FRAMES) + MAX_READS * (MAX_READ_BYTES + 4) + 10 * 4 + 16
        );
        assert_eq!(size_of::<ReadRequest>(), 24 + MAX_READ_BYTES);
        assert_eq!(size_of::<CallKey>(), 24);
        assert_eq!(size_of::<Call>(), 8 * MAX_ARGS + 8);
        assert_eq!(size_of::<SlotKey>(), 16);
        assert_eq!(size_of::<Object>(), 8);
        assert_eq!(offset_of!(Event, comm) + 16, size_of::<Event>());
    }
}

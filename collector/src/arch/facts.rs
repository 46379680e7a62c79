//! The facts that each architecture has.

/// Where a kernel of an architecture keeps what is asked of each task: names of members, from BTF.
#[derive(Debug)]
pub struct Places {
    /// From `struct task_struct` to the word one bit of which says that the task is in a 32-bit system call.
    pub task_status: &'static [&'static str],
    /// The number of that bit.
    pub compat_bit: u32,
    /// From `struct task_struct` to the preemption count, where it is not a CPU's.
    pub task_preempt: Option<&'static [&'static str]>,
    /// The member of `struct pt_regs` with the number of a system call.
    pub syscall_number: &'static str,
    /// That with the result of a function or system call.
    pub result: &'static str,
    /// That with the address of the next instruction.
    pub instruction_pointer: &'static str,
}

/// What is known of an architecture.
pub(super) struct Facts {
    /// `uname -m`, and the name of QEMU's emulator behind `qemu-system-`.
    pub(super) machine: &'static str,
    /// Debian's name.
    pub(super) debian: &'static str,
    /// The package of the emulator in Debian.
    pub(super) emulator_package: &'static str,
    /// The emulator's program.
    pub(super) emulator: &'static str,
    /// QEMU's machine and processor.
    pub(super) qemu_machine: &'static [&'static str],
    /// QEMU's arguments for the port of progress lines, whose character device is `progress`.
    pub(super) progress_port: &'static [&'static str],
    /// The device of that port in the guest.
    pub(super) progress_device: &'static str,
    /// The file of the memory that a guest shares with its host, in the folder of its PCI device.
    pub(super) window_file: &'static str,
    /// The first words of the kernel's command line.
    pub(super) command_line: &'static str,
    /// Places in the kernel's memory.
    pub(super) places: Places,
    /// The eBPF programs for the entry and the return of a function.
    pub(super) programs: (&'static str, &'static str),
    /// Bytes of the instruction that makes a system call.
    pub(super) syscall_length: u64,
    /// Bytes into `struct pt_regs` of the register in which a call leaves the return address.
    pub(super) link_register: Option<u32>,
    /// The bits in which an address of the kernel's code can have a signature.
    pub(super) signature_bits: u64,
    /// `e_machine` of its ELF files.
    pub(super) elf_machine: u16,
    /// True if the beginning of a file is that of a kernel image that QEMU boots.
    pub(super) is_image: fn(&[u8]) -> bool,
}

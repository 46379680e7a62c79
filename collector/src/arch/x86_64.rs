//! x86-64.

use super::facts::{Facts, Places};

pub(super) const FACTS: Facts = Facts {
    machine: "x86_64",
    debian: "amd64",
    emulator: "qemu-system-x86_64",
    emulator_package: "qemu-system-x86",
    qemu_machine: &["-machine", "pc", "-cpu", "max"],
    progress_port: &["-serial", "chardev:progress"],
    progress_device: "/dev/ttyS1",
    window_file: "resource2",
    // Without `no_timer_check` the kernel looks for a broken timer: it counts ticks against loops, and panics ("IO-APIC + timer
    // doesn't work!") when a busy machine emulates the guest too slowly.
    command_line: "console=ttyS0 no_timer_check",
    places: Places {
        // `TS_COMPAT`: https://elixir.bootlin.com/linux/v6.12/source/arch/x86/include/asm/thread_info.h#L208
        task_status: &["thread_info", "status"],
        compat_bit: 1,
        task_preempt: None,
        syscall_number: "orig_ax",
        result: "ax",
        instruction_pointer: "ip",
    },
    programs: ("kernel_entry", "kernel_return"),
    syscall_length: 2,
    link_register: None,
    signature_bits: 0,
    // EM_X86_64
    elf_machine: 62,
    is_image,
};

/// The boot protocol's magic, `HdrS` at 0x202
/// (<https://docs.kernel.org/arch/x86/boot.html#the-real-mode-kernel-header>).
fn is_image(start: &[u8]) -> bool {
    start.get(0x202..0x206) == Some(b"HdrS")
}

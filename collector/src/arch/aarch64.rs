//! arm64.

use super::facts::{Facts, Places};

pub(super) const FACTS: Facts = Facts {
    machine: "aarch64",
    debian: "arm64",
    emulator: "qemu-system-aarch64",
    emulator_package: "qemu-system-arm",
    // Pointers are signed in a way that is cheap to emulate: the architecture's own cipher makes each call of a function slow.
    // With one processor, GICv3 or v2 makes no difference; without `its=off` the machine has an interrupt controller for PCI
    // messages that nothing here uses.
    qemu_machine: &[
        "-machine",
        "virt,gic-version=3,its=off",
        "-cpu",
        "max,pauth-impdef=on",
    ],
    // The machine has one port of its own.
    progress_port: &["-device", "pci-serial,chardev=progress"],
    progress_device: "/dev/ttyS0",
    // Write-combining: under its plain name the memory is mapped as that of a device, which takes no unaligned access.
    window_file: "resource2_wc",
    command_line: "console=ttyAMA0",
    places: Places {
        // `TIF_32BIT`: https://elixir.bootlin.com/linux/v6.12/source/arch/arm64/include/asm/thread_info.h#L81
        task_status: &["thread_info", "flags"],
        compat_bit: 22,
        task_preempt: Some(&["thread_info", "preempt", "count"]),
        syscall_number: "syscallno",
        // The first of the array.
        result: "regs",
        instruction_pointer: "pc",
    },
    programs: ("entry_aarch64", "return_aarch64"),
    syscall_length: 4,
    // `regs[30]`: https://elixir.bootlin.com/linux/v6.12/source/arch/arm64/include/uapi/asm/ptrace.h#L88
    link_register: Some(30 * 8),
    // Bit 55 tells the kernel's addresses: https://docs.kernel.org/arch/arm64/pointer-authentication.html
    signature_bits: 0xff7f_0000_0000_0000,
    // EM_AARCH64
    elf_machine: 183,
    is_image,
};

/// The magic of an uncompressed image, `ARM\x64` at 56 (<https://docs.kernel.org/arch/arm64/booting.html>).
fn is_image(start: &[u8]) -> bool {
    start.get(56..60) == Some(b"ARM\x64")
}

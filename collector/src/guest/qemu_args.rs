//! QEMU's command line and the kernel's. Each choice was measured.

use super::Accelerator;
use super::wire::WINDOW;
use crate::arch::Arch;

/// The word on the kernel's command line by which the binary recognises that it is a guest's init.
pub const MARK: &str = "qed.guest";

/// Prefix of the lines that a guest's init writes to the console when it has no other way out.
pub const LAST_WORDS: &str = "qed: ";

/// PCI vendor and device of the shared window (QEMU docs/specs/ivshmem-spec.txt).
pub const WINDOW_DEVICE: (u16, u16) = (0x1af4, 0x1110);

/// The files that QEMU inherits, as paths it can open.
#[derive(Debug)]
pub struct Paths<'a> {
    /// The kernel image.
    pub kernel: &'a str,
    /// The initramfs.
    pub initrd: &'a str,
    /// The window of shared memory.
    pub window: &'a str,
    /// The file for the console.
    pub console: &'a str,
    /// The file for progress lines.
    pub progress: &'a str,
}

/// The end of a socket by which a guest can be saved or resumed, as a number that QEMU inherits.
#[derive(Clone, Copy, Debug)]
pub struct Monitor {
    /// The socket.
    pub fd: std::os::fd::RawFd,
    /// True if QEMU has to wait for a saved guest, in the place of booting one.
    pub resumes: bool,
}

/// The arguments for a monitor. They are no part of the machine that the guest sees.
#[must_use]
pub fn monitor(monitor: Monitor) -> Vec<String> {
    let mut args = vec![
        "-chardev".to_owned(),
        format!("socket,id=monitor,fd={}", monitor.fd),
        "-mon".to_owned(),
        "chardev=monitor,mode=control".to_owned(),
    ];
    if monitor.resumes {
        args.extend(["-S", "-incoming", "defer"].map(str::to_owned));
    }
    args
}

/// The kernel's command line: ours, then the caller's words.
///
/// `quiet` keeps the boot from waiting for the serial port, and a panic still shows everything
/// (`panic` calls `console_verbose` first, <https://elixir.bootlin.com/linux/v6.1/A/ident/console_verbose>). `panic=-1`
/// reboots at once, which ends QEMU (`-no-reboot`). `slab_nomerge` keeps slab caches apart, so that
/// their names tell the truth. `cryptomgr.notests` leaves out the self-tests of ciphers, which take an
/// emulated processor 240 ms (6.1) and 440 ms (6.12). KASLR stays on.
#[must_use]
pub fn kernel_command_line(arch: Arch, extra: &str) -> String {
    let ours = format!(
        "{} quiet panic=-1 oops=panic slab_nomerge cryptomgr.notests {MARK}",
        arch.command_line()
    );
    if extra.trim().is_empty() {
        ours
    } else {
        format!("{ours} {}", extra.trim())
    }
}

/// QEMU's arguments.
///
/// The evidence leaves through memory that both sides see (`ivshmem-plain`), which needs no driver in
/// the guest. Measured in an emulated guest: a megabyte through it takes 22 ms, a quarter of one through a
/// serial port 216 ms.
#[must_use]
pub fn qemu_arguments(
    arch: Arch,
    accelerator: Accelerator,
    memory_mib: u32,
    cpus: u32,
    paths: &Paths,
    line: &str,
) -> Vec<String> {
    let accel = match accelerator {
        Accelerator::Kvm => "kvm",
        Accelerator::Tcg => "tcg",
    };
    let fixed = "-no-user-config -nodefaults -no-reboot -display none";
    let fixed = fixed.split(' ').chain(arch.qemu_machine().iter().copied());
    let mut args: Vec<String> = fixed.map(str::to_owned).collect();
    let mut pair = |key: &str, value: String| args.extend([key.to_owned(), value]);
    pair("-accel", accel.into());
    pair("-m", format!("{memory_mib}M"));
    pair("-smp", cpus.to_string());
    pair(
        "-chardev",
        format!("file,id=console,path={}", paths.console),
    );
    pair("-serial", "chardev:console".into());
    pair(
        "-chardev",
        format!("file,id=progress,path={}", paths.progress),
    );
    args.extend(arch.progress_port().iter().map(|word| (*word).to_owned()));
    let mut pair = |key: &str, value: String| args.extend([key.to_owned(), value]);
    pair(
        "-object",
        format!(
            "memory-backend-file,id=window,share=on,size={WINDOW},mem-path={}",
            paths.window
        ),
    );
    // Without `master` QEMU refuses to save the machine. The guest sees no difference.
    pair("-device", "ivshmem-plain,memdev=window,master=on".into());
    // Tells a resumed kernel that it is another one now, so that it draws other random numbers; of a booted one it asks nothing.
    if arch == Arch::X86_64 {
        pair("-device", "vmgenid,guid=auto".into());
    }
    pair("-kernel", paths.kernel.into());
    pair("-initrd", paths.initrd.into());
    pair("-append", line.into());
    args
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Check that nothing turns KASLR off, and that the caller's words come last, where they win.
    #[test]
    fn line() {
        assert!(!kernel_command_line(Arch::X86_64, "").contains("nokaslr"));
        assert!(
            kernel_command_line(Arch::X86_64, " loglevel=7 ").ends_with(" qed.guest loglevel=7")
        );
    }

    /// Check that the accelerator asked for is the one named, and that a guest can never reboot or open a window.
    #[test]
    fn arguments() {
        let paths = Paths {
            kernel: "k",
            initrd: "i",
            window: "w",
            console: "c",
            progress: "p",
        };
        let args = qemu_arguments(Arch::X86_64, Accelerator::Kvm, 256, 1, &paths, "a b").join("|");
        assert!(args.contains("-accel|kvm|-m|256M|-smp|1|"), "{args}");
        assert!(
            args.contains("-no-reboot|-display|none|-machine|pc|-cpu|max|"),
            "{args}"
        );
        assert!(args.ends_with("-append|a b"), "{args}");
    }
}

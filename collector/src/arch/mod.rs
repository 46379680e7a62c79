//! The architectures of kernels, and what differs between them: one file for each architecture, and nothing elsewhere that names a
//! register, an instruction or a file format of one.

mod aarch64;
mod facts;
mod x86_64;

use std::fmt;

use facts::Facts;
pub use facts::Places;

/// The architecture of a kernel, and of the programs that run on it.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Arch {
    /// x86-64, which Debian calls amd64.
    X86_64,
    /// The 64-bit state of ARM, which Debian calls arm64.
    Aarch64,
}

impl Arch {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::X86_64, Self::Aarch64];

    /// The architecture of this program.
    #[cfg(target_arch = "x86_64")]
    pub const HOST: Self = Self::X86_64;
    /// The architecture of this program.
    #[cfg(target_arch = "aarch64")]
    pub const HOST: Self = Self::Aarch64;

    const fn facts(self) -> &'static Facts {
        match self {
            Self::X86_64 => &x86_64::FACTS,
            Self::Aarch64 => &aarch64::FACTS,
        }
    }

    /// Its name as `uname -m` prints it.
    #[must_use]
    pub const fn machine(self) -> &'static str {
        self.facts().machine
    }

    /// Its name in Debian's archive.
    #[must_use]
    pub const fn debian(self) -> &'static str {
        self.facts().debian
    }

    /// The name of QEMU's emulator of it.
    #[must_use]
    pub const fn emulator(self) -> &'static str {
        self.facts().emulator
    }

    /// The package of that emulator in Debian.
    #[must_use]
    pub const fn emulator_package(self) -> &'static str {
        self.facts().emulator_package
    }

    /// QEMU's arguments that choose the machine and its processor.
    #[must_use]
    pub const fn qemu_machine(self) -> &'static [&'static str] {
        self.facts().qemu_machine
    }

    /// QEMU's arguments for the port of progress lines, whose character device is called `progress`.
    #[must_use]
    pub const fn progress_port(self) -> &'static [&'static str] {
        self.facts().progress_port
    }

    /// The device of the port of progress lines, in a guest.
    #[must_use]
    pub const fn progress_device(self) -> &'static str {
        self.facts().progress_device
    }

    /// The file of the memory that a guest shares with its host, in the folder of its PCI device in sysfs.
    #[must_use]
    pub const fn window_file(self) -> &'static str {
        self.facts().window_file
    }

    /// The words for the kernel's command line that only this architecture needs.
    #[must_use]
    pub const fn command_line(self) -> &'static str {
        self.facts().command_line
    }

    /// Places in the kernel's memory.
    #[must_use]
    pub const fn places(self) -> &'static Places {
        &self.facts().places
    }

    /// The eBPF program for the entry of a function.
    #[must_use]
    pub const fn entry_program(self) -> &'static str {
        self.facts().programs.0
    }

    /// The eBPF program for the return of a function.
    #[must_use]
    pub const fn return_program(self) -> &'static str {
        self.facts().programs.1
    }

    /// Bytes of the instruction that makes a system call.
    #[must_use]
    pub const fn syscall_length(self) -> u64 {
        self.facts().syscall_length
    }

    /// Bytes into `struct pt_regs` of the register in which a call leaves the return address; `None` where that is on the stack.
    #[must_use]
    pub const fn link_register(self) -> Option<u32> {
        self.facts().link_register
    }

    /// The bits in which an address of the kernel's code can have a signature; all are set in one without.
    #[must_use]
    pub const fn signature_bits(self) -> u64 {
        self.facts().signature_bits
    }

    /// `e_machine` of its ELF files.
    #[must_use]
    pub const fn elf_machine(self) -> u16 {
        self.facts().elf_machine
    }

    /// The architecture of a kernel image that QEMU boots, by its first [`Arch::HEADER`] bytes.
    #[must_use]
    pub fn of_image(start: &[u8]) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|arch| (arch.facts().is_image)(start))
    }

    /// Bytes of an image by which its architecture is known.
    pub const HEADER: u64 = 0x206;

    /// The architecture of a release of Debian's, such as `7.3.4+deb13-cloud-arm64`.
    #[must_use]
    pub fn of_release(release: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|arch| {
            let rest = release.strip_suffix(arch.debian());
            rest.is_some_and(|rest| rest.ends_with('-'))
        })
    }

    /// The architecture of an ELF file's `e_machine`.
    #[must_use]
    pub fn of_elf_machine(machine: u16) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|arch| arch.elf_machine() == machine)
    }
}

/// A name that is not that of an architecture.
#[derive(Debug, thiserror::Error)]
#[error("unknown architecture `{0}`; expected `amd64` or `arm64`")]
pub struct UnknownArch(String);

impl std::str::FromStr for Arch {
    type Err = UnknownArch;

    /// Parse Debian's name.
    fn from_str(name: &str) -> Result<Self, UnknownArch> {
        Self::ALL
            .into_iter()
            .find(|arch| arch.debian() == name)
            .ok_or_else(|| UnknownArch(name.to_owned()))
    }
}

impl fmt::Display for Arch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::X86_64 => "x86-64",
            Self::Aarch64 => "arm64",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Check that a release says its architecture, and that of another flavour none.
    #[test]
    fn releases() {
        let of = Arch::of_release;
        assert_eq!(of("7.3.4+deb13-cloud-arm64"), Some(Arch::Aarch64));
        assert_eq!(of("6.1.0-56-cloud-amd64"), Some(Arch::X86_64));
        for other in ["6.1.0-56-cloud-riscv64", "6.1.0", "6.1.0+arm64", "arm64"] {
            assert_eq!(of(other), None, "{other}");
        }
    }

    /// Check that images are told apart by their headers, and that a short or another file is no image.
    #[test]
    fn images() {
        let mut x86 = vec![0; 0x206];
        x86[0x202..].copy_from_slice(b"HdrS");
        let mut arm = vec![0; 0x40];
        arm[56..60].copy_from_slice(b"ARM\x64");
        assert_eq!(Arch::of_image(&x86), Some(Arch::X86_64));
        assert_eq!(Arch::of_image(&arm), Some(Arch::Aarch64));
        assert_eq!(Arch::of_image(&x86[..0x204]), None);
        assert_eq!(Arch::of_image(&arm[..59]), None);
        assert_eq!(Arch::of_image(b"\x7fELF"), None);
    }

    /// Check that a return address on arm64 loses its signature in the same bits, whether a read or a stack brings it.
    #[test]
    fn signatures() {
        let bits = Arch::Aarch64.signature_bits();
        assert_eq!(bits, qed_collector_ebpf::SIGNATURE_BITS);
        assert_eq!(Arch::X86_64.signature_bits(), 0);
    }

    /// Check that the numbers of ELF machines lead back to their architectures.
    #[test]
    fn elf_machines() {
        for arch in Arch::ALL {
            assert_eq!(Arch::of_elf_machine(arch.elf_machine()), Some(arch));
        }
        assert_eq!(Arch::of_elf_machine(243), None);
        for arch in Arch::ALL {
            assert_eq!(arch.debian().parse::<Arch>().unwrap(), arch);
        }
        assert!("x86_64".parse::<Arch>().is_err());
    }
}

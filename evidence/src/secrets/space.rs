//! The address spaces of the architectures: which numbers say where something is.
//!
//! All kernel addresses of both are in the range of [`is_canonical`]. What differs is how far the kernel's half reaches, where
//! programs are, and what the bits are for that no address needs.

use std::ops::Range;

use serde_json::Value as Json;

use crate::document::fields::key_of;
use crate::document::{ARCHITECTURES, Evidence, Kernel};

use super::secret::{FIRST_RANDOM, is_canonical, is_pattern};

/// The address space of one architecture.
#[derive(Debug)]
pub(crate) struct AddressSpace {
    /// The lowest address of the kernel's half with the usual page tables. Among bytes that begin anywhere only what is above is
    /// taken for an address.
    pub usual_half: u64,
    /// Addresses at which the kernel places programs, libraries and stacks of 64-bit tasks.
    programs: &'static [Range<u64>],
    /// Bits of a pointer that are no part of the address, but can be a signature or a tag.
    extra_bits: bool,
    /// The highest bits of a kernel address are random, too: by themselves they reveal much of the slide.
    random_upper_half: bool,
}

/// `ELF_ET_DYN_BASE` to `TASK_SIZE_MAX`: <https://elixir.bootlin.com/linux/v6.12/source/arch/x86/include/asm/elf.h>
const X86_64_PROGRAMS: Range<u64> = 0x5500_0000_0000..0x8000_0000_0000;

/// x86-64.
const X86_64: AddressSpace = AddressSpace {
    // <https://elixir.bootlin.com/linux/v6.12/source/Documentation/arch/x86/x86_64/mm.rst#L20>
    usual_half: 0xffff_8000_0000_0000,
    programs: std::slice::from_ref(&X86_64_PROGRAMS),
    extra_bits: false,
    random_upper_half: false,
};

/// arm64.
const AARCH64: AddressSpace = AddressSpace {
    // `PAGE_OFFSET` with 48 bits; with 52 it is 0xfff0_0000_0000_0000, with fewer higher:
    // <https://elixir.bootlin.com/linux/v6.12/source/arch/arm64/include/asm/memory.h#L44>
    usual_half: 0xffff_0000_0000_0000,
    // `ELF_ET_DYN_BASE`, two thirds of `DEFAULT_MAP_WINDOW_64`, to its end, for each `CONFIG_ARM64_VA_BITS` that there is (36, 39,
    // 42, 47, 48, 52): <https://elixir.bootlin.com/linux/v6.12/source/arch/arm64/include/asm/elf.h#L131>
    programs: &[
        0xa_aaaa_0000..0x10_0000_0000,
        0x55_5555_0000..0x80_0000_0000,
        0x2aa_aaaa_0000..0x400_0000_0000,
        0x5555_5555_0000..0x8000_0000_0000,
        0xaaaa_aaaa_0000..0x1_0000_0000_0000,
        0xa_aaaa_aaaa_0000..0x10_0000_0000_0000,
    ],
    // Pointer authentication and memory tags: <https://docs.kernel.org/arch/arm64/pointer-authentication.html>,
    // <https://docs.kernel.org/arch/arm64/memory-tagging-extension.html>
    extra_bits: true,
    // <https://elixir.bootlin.com/linux/v6.12/source/arch/arm64/kernel/pi/kaslr_early.c>
    random_upper_half: true,
};

/// Which bit tells a kernel address from a program's on arm64, whatever tag or signature is around it.
const KERNEL_BIT: u64 = 1 << 55;

/// The bits of an address with 48 of them, and with a signature that leaves 52.
const LOW_48: u64 = (1 << 48) - 1;
const LOW_52: u64 = (1 << 52) - 1;

/// The bits of a program's address that a tag leaves (`TBI`).
const UNTAGGED: u64 = (1 << 56) - 1;

/// With a tag or a signature, a number has to have an address of at least this size in it: a smaller one is flags with a high bit.
const SMALLEST_TAGGED: u64 = 1 << 20;

impl AddressSpace {
    /// The address space of an architecture, by the name that evidence has for it.
    pub fn of(arch: &str) -> &'static Self {
        match arch {
            "x86_64" => &X86_64,
            // Evidence of any other is refused; the stricter rules hold for it.
            _ => Self::STRICTEST,
        }
    }

    /// The address space in which most numbers are addresses: for what is of no known architecture.
    pub const STRICTEST: &'static Self = &AARCH64;

    /// The address space of the kernel that a document is about.
    pub fn of_evidence(evidence: &Evidence) -> &'static Self {
        Self::of(evidence.kernel.architecture())
    }

    /// [`AddressSpace::of_evidence`] of a document as it is written.
    pub fn of_document(document: &Json) -> &'static Self {
        let arch = &document[key_of!(Evidence, "kernel")][key_of!(Kernel, "arch")];
        Self::of(arch.as_str().unwrap_or(ARCHITECTURES[0]))
    }

    /// True if a plain number is an address of the kernel: in its half, and no pattern of bits.
    pub fn is_address(&self, number: u64) -> bool {
        is_canonical(number) && !is_pattern(number) || self.is_tagged(number)
    }

    /// True if a number is an address of the kernel with a tag or a signature.
    fn is_tagged(&self, number: u64) -> bool {
        let plain = number | !LOW_48;
        self.extra_bits
            && number & KERNEL_BIT != 0
            && number >> 48 != 0xffff
            && number & LOW_48 >= SMALLEST_TAGGED
            && is_canonical(plain)
            && !is_pattern(number)
            && !is_pattern(plain)
    }

    /// True if a number is where a program of this boot can be.
    pub fn is_of_program(&self, number: u64) -> bool {
        let plain = match self.extra_bits && number & KERNEL_BIT == 0 {
            true => number & UNTAGGED,
            false => number,
        };
        self.programs.iter().any(|range| range.contains(&plain))
    }

    /// What a pointer is without tag or signature, where that is another number: of a kernel address as a kernel with 48 bits
    /// writes it, and as one with 52 does.
    pub fn without_tag(&self, number: u64) -> Vec<u64> {
        let plain = match (self.extra_bits, number & KERNEL_BIT != 0) {
            (false, _) => Vec::new(),
            (true, true) if number >> 48 == 0xffff => Vec::new(),
            (true, true) => vec![number | !LOW_48, number | !LOW_52],
            (true, false) => vec![number & UNTAGGED],
        };
        let others = plain.into_iter().filter(|plain| *plain != number);
        others.filter(|plain| *plain >= FIRST_RANDOM).collect()
    }

    /// The upper half of an address of the kernel, where it alone reveals something.
    pub fn random_upper_half(&self, number: u64) -> Option<u64> {
        let random = number >> 32 & 0xffff;
        let telling = self.random_upper_half && self.is_address(number) && random & 0x7fff != 0;
        telling.then_some(number >> 32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ARM64: &AddressSpace = &AARCH64;

    /// Check that addresses of every region of an arm64 kernel are ones, with 36 to 52 bits, and that what a kernel of either
    /// architecture has as an error, a mask or a documented place is none.
    #[test]
    fn regions() {
        for address in [
            // The linear map with 52, 48, 47, 42, 39 and 36 bits.
            0xfff0_0000_4123_4000,
            0xffff_0000_0123_4000,
            0xffff_8000_4123_4000,
            0xffff_fc00_4123_4000,
            0xffff_ff80_4123_4000,
            0xffff_fff0_4123_4000,
            // Modules, the image at 0 and elsewhere, vmalloc, and the array of pages.
            0xffff_8000_7a12_3000,
            0xffff_8000_8001_0000,
            0xffff_9c1b_f960_0000,
            0xffff_bfff_1234_5000,
            0xffff_fdff_c012_3440,
            0xffff_ffff_bff1_2340,
        ] {
            for space in [ARM64, &X86_64] {
                assert!(space.is_address(address), "{address:#x}");
            }
        }
        for number in [
            0,
            4096,
            u64::MAX,
            (-22_i64).cast_unsigned(),
            0xffff_0000_0000_0000,
            0xffff_8000_8000_0000,
            0xffff_ffff_ffff_0000,
            0x7fff_ffff_ffff_ffff,
            1 << 55,
            1 << 55 | 3,
            0x8000_0000_0000_0000,
            0x5555_5555,
        ] {
            for space in [ARM64, &X86_64] {
                assert!(!space.is_address(number), "{number:#x}");
            }
        }
    }

    /// Check that places of programs are recognized, of each size of address space, and that sizes and descriptors are none.
    #[test]
    fn programs() {
        for address in [
            0xb_0000_1000,
            0x55_9000_1000,
            0x3ff_8000_1000,
            0x7fff_8000_1000,
            0xaaaa_c123_4000,
            0xffff_f7f8_1000,
            0xf_ffff_f7f8_1000,
            0xb400_ffff_9123_4000,
        ] {
            assert!(ARM64.is_of_program(address), "{address:#x}");
        }
        for number in [3, 4096, 1 << 30, 1 << 63, u64::MAX] {
            assert!(!ARM64.is_of_program(number), "{number:#x}");
        }
        assert!(X86_64.is_of_program(0x7ffd_1234_5678));
        assert!(!X86_64.is_of_program(0xaaaa_c123_4000));
    }

    proptest! {
        /// Check that a kernel address is recognized with every signature and every tag on arm64, and found again without it.
        #[test]
        fn signed(low in SMALLEST_TAGGED..1 << 48, upper in any::<u16>()) {
            let signed = u64::from(upper) << 48 | KERNEL_BIT | low;
            let plain = low | !LOW_48;
            prop_assume!(is_canonical(plain) && !is_pattern(plain) && !is_pattern(signed));
            prop_assert!(ARM64.is_address(signed), "{signed:#x}");
            let known = signed == plain || ARM64.without_tag(signed).contains(&plain);
            prop_assert!(known, "{signed:#x}");
            prop_assert!(X86_64.without_tag(signed).is_empty());
        }
    }
}

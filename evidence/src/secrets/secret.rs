//! Secrets: numbers and bytes that must not become known, and the test whether a number is one.

use std::collections::BTreeSet;

use crate::document::value::Address;

/// Below this no number says anything about where something is: a page.
pub(crate) const FIRST_PAGE: u64 = 0x1000;

/// The lowest address of the kernel's half on x86-64 with five-level page tables
/// (<https://elixir.bootlin.com/linux/v6.1/source/Documentation/x86/x86_64/mm.rst#L83>). On arm64 it is never lower than
/// 0xfff0_0000_0000_0000 (<https://elixir.bootlin.com/linux/v6.12/source/Documentation/arch/arm64/memory.rst>).
pub(super) const KERNEL_HALF: u64 = 0xff00_0000_0000_0000;

/// Errors in the place of a pointer begin here (`ERR_PTR`, `MAX_ERRNO` is 4095).
pub(super) const FIRST_ERROR: u64 = u64::MAX - 4094;

/// The end of the modules on x86-64. Above are only the fixed map and the vsyscall page, which are the same everywhere; and the
/// small negative numbers. On arm64 what moves ends below, too (`VMEMMAP_END`,
/// <https://elixir.bootlin.com/linux/v6.12/source/arch/arm64/include/asm/memory.h#L49>).
pub(super) const MODULES_END: u64 = 0xffff_ffff_ff00_0000;

/// Below this are the addresses of programs that are linked to a fixed place, which say nothing.
pub(super) const FIRST_RANDOM: u64 = 1 << 32;

/// Addresses that are the same on all machines: where the kernel's documentation puts its regions, where the image is
/// linked to be, and poison (`LIST_POISON1`, `LIST_POISON2`).
pub(super) const KNOWN_TO_ALL: &[u64] = &[
    // arm64, whose image has been linked behind 2 GiB of modules since 6.5, and behind 128 MiB before.
    0xfff0_0000_0000_0000,
    0xffff_0000_0000_0000,
    0xffff_8000_0800_0000,
    0xffff_8000_8000_0000,
    // x86-64.
    0xffff_8000_0000_0000,
    0xffff_8880_0000_0000,
    0xffff_c880_0000_0000,
    0xffff_c900_0000_0000,
    0xffff_ea00_0000_0000,
    0xffff_fe00_0000_0000,
    0xffff_ffff_8000_0000,
    0xffff_ffff_8100_0000,
    0xffff_ffff_a000_0000,
    0xffff_ffff_c000_0000,
    0xdead_0000_0000_0100,
    0xdead_0000_0000_0122,
];

/// The smallest slide that is looked for: a smaller number would be found everywhere, and no kernel is moved by less
/// (`CONFIG_PHYSICAL_ALIGN` is 2 MiB or more; on arm64 a kernel is moved by [`LARGE_SLIDE`] or more).
pub(super) const SMALLEST_SLIDE: u64 = 0x20_0000;

/// A distance of this size or more is so rare that none is equal by chance, and is found like an address: on arm64 a slide is an
/// eighth of the kernel's half or more (<https://elixir.bootlin.com/linux/v6.1/source/arch/arm64/kernel/kaslr.c>,
/// <https://elixir.bootlin.com/linux/v6.12/source/arch/arm64/kernel/pi/kaslr_early.c>).
pub(super) const LARGE_SLIDE: u64 = 1 << 36;

/// The lowest address of the kernel's image on x86-64, and how much room there is for it
/// (<https://elixir.bootlin.com/linux/v6.1/source/arch/x86/include/asm/page_64_types.h>, `__START_KERNEL_map` and
/// `KERNEL_IMAGE_SIZE` with KASLR).
pub(crate) const IMAGE: u64 = 0xffff_ffff_8000_0000;
pub(super) const IMAGE_SPACE: u64 = 1 << 30;

/// Every slide that a kernel for x86-64 can have, but for none: by the smallest alignment, anywhere in the room for the image. On
/// arm64 there are too many for a list.
pub fn slides() -> impl Iterator<Item = u64> {
    (SMALLEST_SLIDE..IMAGE_SPACE).step_by(SMALLEST_SLIDE as usize)
}

/// The kind of number that a secret is: it decides in which forms it is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SecretKind {
    /// An address.
    Pointer,
    /// Eight bytes of a piece of memory that would be an address, at a place where no compiler puts one: in machine code, where
    /// a call backwards ends in `ff ff`. Its lower half alone is as good as any four bytes of an instruction, and is not looked for.
    Word,
    /// A distance: between the running kernel and the file it came from.
    Slide,
    /// The bytes of a piece of memory.
    Memory,
}

/// Something that must not become known.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Secret {
    /// Its kind.
    pub kind: SecretKind,
    /// The number, the lowest byte first; of memory its bytes.
    pub(super) bytes: Vec<u8>,
}

impl std::fmt::Debug for Secret {
    /// Secrets are never printed.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}(…)", self.kind)
    }
}

impl Secret {
    pub(super) fn number(kind: SecretKind, number: u64) -> Self {
        let bytes = number.to_le_bytes().to_vec();
        Secret { kind, bytes }
    }

    /// A slide.
    pub fn slide(bytes: u64) -> Self {
        Secret::number(SecretKind::Slide, bytes)
    }

    /// A piece of memory or text, if a search for it makes sense: eight bytes or more, of which some differ. Shorter pieces
    /// would be found everywhere.
    pub(crate) fn memory(bytes: &[u8]) -> Option<Self> {
        let different: BTreeSet<&u8> = bytes.iter().collect();
        (bytes.len() >= 8 && different.len() >= 5).then(|| Secret {
            kind: SecretKind::Memory,
            bytes: bytes.to_vec(),
        })
    }

    /// True if there are so few numbers of its kind that another document can have it by chance: on x86-64 a slide, and an
    /// address in the kernel's image.
    pub fn is_guessable(&self) -> bool {
        let in_image = |number: u64| (IMAGE..IMAGE + IMAGE_SPACE).contains(&number);
        match self.kind {
            SecretKind::Slide => self.as_number().is_some_and(|slide| slide < LARGE_SLIDE),
            SecretKind::Pointer => self.as_number().is_some_and(in_image),
            SecretKind::Word | SecretKind::Memory => false,
        }
    }

    /// The number, if it is a slide.
    pub(crate) fn as_slide(&self) -> Option<u64> {
        self.as_number().filter(|_| self.kind == SecretKind::Slide)
    }

    /// The number, if it is one.
    pub(super) fn as_number(&self) -> Option<u64> {
        Some(u64::from_le_bytes(self.bytes.as_slice().try_into().ok()?))
            .filter(|_| self.kind != SecretKind::Memory)
    }
}

/// True if this number of pointer type says where something is.
pub fn is_pointer(number: u64) -> bool {
    (FIRST_PAGE..FIRST_ERROR).contains(&number) && !Address(number).is_pseudonym()
}

/// True if a plain number is in the kernel's half, where what is there moves.
pub(super) fn is_canonical(number: u64) -> bool {
    (KERNEL_HALF..MODULES_END).contains(&number)
}

/// True if a number is so simple that it reveals nothing: nearly all ones, or a well-known address.
pub(super) fn is_pattern(number: u64) -> bool {
    KNOWN_TO_ALL.contains(&number) || (!number).count_ones() <= 2
}

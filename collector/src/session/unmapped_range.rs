//! Address ranges that can be read although no pointer could validly lead there. Pure.

use crate::arch::Arch;

/// Memory that can be read although no valid pointer leads there: the part of the image that the kernel frees once it has
/// booted, and, where per-CPU variables have addresses in the image (x86-64 since 6.15; before, they are offsets from 0, where
/// nothing can be read), the range of per-CPU pointers. Pointers into the first chunk, from which allocations are served first,
/// lie behind the variables; those into all other chunks are as far away as vmalloc's area, where nothing can be read either.
///
/// <https://elixir.bootlin.com/linux/v6.18/source/mm/percpu.c#L88>
pub(super) fn unmapped_range(symbols: &dyn Fn(&str) -> Vec<u64>) -> Option<(u64, u64)> {
    let one = |name: &str| match symbols(name).as_slice() {
        [address] => Some(*address),
        _ => None,
    };
    let init = one("__init_begin").zip(one("__init_end"));
    let per_cpu = one("__per_cpu_start")
        .zip(one("__per_cpu_end"))
        .filter(|(start, _)| *start >= KERNEL_HALF)
        .map(|(start, end)| (start, end.saturating_add(FIRST_CHUNK)));
    match (init, per_cpu) {
        (Some((a, b)), Some((c, d))) => Some((a.min(c), b.max(d))),
        (range, None) | (None, range) => range,
    }
    .filter(|(start, end)| start < end)
}

/// The lowest address of the kernel.
const KERNEL_HALF: u64 = 1 << 63;

/// The range that the kernel's image is somewhere in. On x86-64 `__START_KERNEL_map`, and as much as it can have with KASLR,
/// <https://elixir.bootlin.com/linux/v6.18/source/arch/x86/include/asm/page_64_types.h#L47>; on arm64 all behind the linear map,
/// <https://elixir.bootlin.com/linux/v6.18/source/Documentation/arch/arm64/memory.rst>.
pub(super) const fn image_range(arch: Arch) -> (u64, u64) {
    match arch {
        Arch::X86_64 => (0xffff_ffff_8000_0000, 0xffff_ffff_c000_0000),
        Arch::Aarch64 => (0xffff_8000_0000_0000, 0xffff_ffff_ffff_f000),
    }
}

/// An upper bound for the first chunk's size behind the per-CPU variables: that is at most 64 KiB for modules and 80 KiB for
/// everything else. <https://elixir.bootlin.com/linux/v6.18/source/include/linux/percpu.h#L15>
const FIRST_CHUNK: u64 = 256 << 10;

//! Rules that a slide has to obey, and settings that turn KASLR off.

use super::report::{KaslrInputs, SlideCheck, SourceReport};

use crate::reason::Reason;

use crate::arch::Arch;

/// `__START_KERNEL_map`: <https://elixir.bootlin.com/linux/v6.1/source/arch/x86/include/asm/page_64_types.h>.
const START_KERNEL_MAP: u64 = 0xffff_ffff_8000_0000;
/// `KERNEL_IMAGE_SIZE` with `CONFIG_RANDOMIZE_BASE`, same file: the slide and the image stay within it.
const IMAGE_SIZE: u64 = 1 << 30;

/// `_PAGE_OFFSET(VA_BITS_MIN)` of arm64: addresses of the kernel have at least this many bits less one.
/// <https://elixir.bootlin.com/linux/v6.12/source/arch/arm64/include/asm/memory.h#L45>
const MAX_VA_BITS_MIN: u64 = 48;
/// The same with pages of 16 KiB, where a processor that has no more bits has one less (6.9 and later).
/// <https://elixir.bootlin.com/linux/v6.12/source/arch/arm64/include/asm/memory.h#L58>
const VA_BITS_MIN_16K: u64 = 47;
/// The space for modules between the linear map's end and the image of an arm64 kernel: since 6.5, and before.
/// <https://elixir.bootlin.com/linux/v6.12/source/arch/arm64/include/asm/memory.h#L49>
const MODULES: [u64; 2] = [2 << 30, 128 << 20];
/// `SEGMENT_ALIGN` of arm64: the least alignment of an image that the EFI stub or a boot loader may choose.
/// <https://elixir.bootlin.com/linux/v6.12/source/arch/arm64/include/asm/efi.h#L65>
const SEGMENT_ALIGN: u64 = 64 << 10;

/// Check a slide that all sources agree on against the rules.
pub(super) fn check_rules(
    inputs: &KaslrInputs<'_>,
    sources: &[SourceReport],
    slide: u64,
) -> Vec<SlideCheck> {
    vec![
        check_alignment(inputs, slide),
        check_range(inputs, slide),
        check_static_base(inputs, sources),
        check_core_symbols(sources),
    ]
}

fn config_number(inputs: &KaslrInputs<'_>, name: &str) -> Result<u64, Reason> {
    let value = inputs
        .config
        .as_ref()
        .map_err(Clone::clone)?
        .number(name)
        .map_err(Reason::from_error)?;
    value.ok_or_else(|| format!("the kernel's configuration does not set {name}").into())
}

/// Check the alignment: on x86-64 the image can only be at multiples of `CONFIG_PHYSICAL_ALIGN`:
/// <https://elixir.bootlin.com/linux/v6.1/source/arch/x86/boot/compressed/kaslr.c>, `find_random_virt_addr`.
fn check_alignment(inputs: &KaslrInputs<'_>, slide: u64) -> SlideCheck {
    if inputs.arch == Arch::Aarch64 {
        let rest = slide % SEGMENT_ALIGN;
        return SlideCheck {
            name: "alignment",
            detail: format!(
                "slide {slide:#x} modulo SEGMENT_ALIGN {SEGMENT_ALIGN:#x} is {rest:#x}"
            ),
            holds: Ok(rest == 0),
        };
    }
    let align = config_number(inputs, "CONFIG_PHYSICAL_ALIGN").and_then(|align| {
        match align.is_power_of_two() {
            true => Ok(align),
            false => Err(format!("CONFIG_PHYSICAL_ALIGN is {align:#x}, not a power of two").into()),
        }
    });
    let detail = match &align {
        Ok(align) => format!(
            "slide {slide:#x} modulo CONFIG_PHYSICAL_ALIGN {align:#x} is {:#x}",
            slide % align
        ),
        Err(why) => why.to_string(),
    };
    SlideCheck {
        name: "alignment",
        detail,
        holds: align.map(|align| slide.is_multiple_of(align)),
    }
}

fn check_range(inputs: &KaslrInputs<'_>, slide: u64) -> SlideCheck {
    let (start, size) = match inputs.arch {
        Arch::X86_64 => (START_KERNEL_MAP, IMAGE_SIZE),
        // The upper half of what the kernel maps: the image lies anywhere among what vmalloc gives out.
        Arch::Aarch64 => (
            (1_u64 << (MAX_VA_BITS_MIN - 1)).wrapping_neg(),
            1 << (MAX_VA_BITS_MIN - 1),
        ),
    };
    let image = inputs
        .live
        .as_ref()
        .ok()
        .map(|live| live.image())
        .filter(|image| !image.is_empty());
    let fits = image
        .as_ref()
        .is_none_or(|image| image.start >= start && image.end - start <= size);
    let detail = match &image {
        Some(image) => format!(
            "slide {slide:#x} < {size:#x}, image {:#x}-{:#x} within {size:#x} from {start:#x}",
            image.start, image.end
        ),
        None => format!("slide {slide:#x} < {size:#x}"),
    };
    SlideCheck {
        name: "range",
        detail,
        holds: Ok(slide < size && fits),
    }
}

/// Check that on x86-64 `__START_KERNEL = __START_KERNEL_map + ALIGN(CONFIG_PHYSICAL_START, CONFIG_PHYSICAL_ALIGN)`:
/// <https://elixir.bootlin.com/linux/v6.1/source/arch/x86/include/asm/page_types.h>. On arm64 it is `KIMAGE_VADDR`, behind the modules:
/// <https://elixir.bootlin.com/linux/v6.12/source/arch/arm64/include/asm/memory.h#L45>.
fn check_static_base(inputs: &KaslrInputs<'_>, sources: &[SourceReport]) -> SlideCheck {
    let source = match inputs.arch {
        Arch::X86_64 => "CONFIG_PHYSICAL_START",
        Arch::Aarch64 => "CONFIG_ARM64_VA_BITS",
    };
    let configured = config_number(inputs, source).and_then(|physical| {
        if inputs.arch == Arch::Aarch64 {
            let config = inputs.config.as_ref().map_err(Clone::clone)?;
            let small = config.is_built_in("CONFIG_ARM64_16K_PAGES");
            return Ok(arm64_bases(physical, small).to_vec());
        }
        let align = config_number(inputs, "CONFIG_PHYSICAL_ALIGN")?;
        let base = physical
            .checked_next_multiple_of(align.max(1))
            .and_then(|at| at.checked_add(START_KERNEL_MAP));
        base.map(|base| vec![base])
            .ok_or_else(|| format!("CONFIG_PHYSICAL_START {physical:#x} is out of range").into())
    });
    // A static side of another build says nothing of this kernel: only those that gave a slide are of this one.
    let tables = inputs.statics.iter().zip(sources);
    let table = tables
        .filter(|(_, source)| source.slide.is_ok())
        .find_map(|(fixed, _)| fixed.table.as_ref().ok());
    let by_image = sources
        .iter()
        .any(|source| source.name == "kallsyms-vmlinuz" && source.slide.is_ok());
    let image = inputs
        .image
        .as_ref()
        .ok()
        .filter(|_| by_image)
        .map(|image| image.base);
    let base = table.map(|table| table.base()).or(image);
    let base = base
        .ok_or_else(|| Reason::from("no static table or kernel image of this build is at hand"));
    match (base, configured) {
        (Ok(base), Ok(configured)) => {
            let places: Vec<String> = configured.iter().map(|at| format!("{at:#x}")).collect();
            let detail = format!(
                "static _text {base:#x}, {source} puts it at {}",
                places.join(" or ")
            );
            SlideCheck {
                name: "static_base",
                detail,
                holds: Ok(configured.contains(&base)),
            }
        }
        (Err(why), _) | (_, Err(why)) => SlideCheck {
            name: "static_base",
            detail: why.to_string(),
            holds: Err(why),
        },
    }
}

/// Where an arm64 kernel is linked to be, with so many bits of addresses, and pages of 16 KiB or others.
fn arm64_bases(va_bits: u64, pages_of_16k: bool) -> [u64; 2] {
    let most = match pages_of_16k {
        true => VA_BITS_MIN_16K,
        false => MAX_VA_BITS_MIN,
    };
    let linear_map_end = (1_u64 << (va_bits.clamp(1, most) - 1)).wrapping_neg();
    MODULES.map(|modules| linear_map_end.wrapping_add(modules))
}

fn check_core_symbols(sources: &[SourceReport]) -> SlideCheck {
    let compared: Vec<_> = sources
        .iter()
        .filter(|s| s.slide.is_ok())
        .filter_map(|s| s.comparison.as_ref())
        .collect();
    let (checked, differing): (u64, u64) = compared
        .iter()
        .fold((0, 0), |sum, c| (sum.0 + c.checked, sum.1 + c.differing));
    if compared.is_empty() {
        let why = Reason::from("no static symbol table of this build is at hand");
        return SlideCheck {
            name: "core_symbols",
            detail: why.to_string(),
            holds: Err(why),
        };
    }
    SlideCheck {
        name: "core_symbols",
        detail: format!("{checked} symbols compared, {differing} with another slide"),
        holds: Ok(differing == 0),
    }
}

/// The setting by which this kernel does not randomize its base, if there is one.
pub(super) fn disabling_setting(inputs: &KaslrInputs<'_>) -> Option<String> {
    if let Ok(config) = &inputs.config
        && !config.is_built_in("CONFIG_RANDOMIZE_BASE")
    {
        return Some("the kernel is built without CONFIG_RANDOMIZE_BASE".to_owned());
    }
    // What follows `--` is for init.
    let mut words = inputs
        .command_line?
        .split_ascii_whitespace()
        .take_while(|word| *word != "--");
    words
        .any(|word| word == "nokaslr")
        .then(|| "the kernel's command line says nokaslr".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Check that the base of an arm64 kernel follows from its configuration: the last was seen in Debian's kernel with pages of 16 KiB
    /// (7.2), whose `_text` less what VMCOREINFO calls its offset is that.
    #[test]
    fn arm64_bases_by_configuration() {
        for (bits, small, base) in [
            (48, false, 0xffff_8000_8000_0000),
            (52, false, 0xffff_8000_8000_0000),
            (48, false, 0xffff_8000_0800_0000),
            (39, false, 0xffff_ffc0_8000_0000),
            (47, true, 0xffff_c000_8000_0000),
            (52, true, 0xffff_c000_8000_0000),
        ] {
            let bases = arm64_bases(bits, small);
            assert!(bases.contains(&base), "{bits}, {small}: {bases:x?}");
        }
    }
}

//! The command `mdbook-qed`.

#![cfg_attr(not(test), warn(clippy::too_many_lines))]

#[cfg(target_os = "linux")]
use std::alloc::{GlobalAlloc, Layout};
use std::process::ExitCode;

#[cfg(target_os = "linux")]
use libmimalloc_sys::{
    mi_free, mi_malloc, mi_malloc_aligned, mi_realloc, mi_realloc_aligned, mi_zalloc,
    mi_zalloc_aligned,
};

use mdbook_qed::cli::args::{WorkflowSource, is_in_registry, run};

const IN_REGISTRY: bool = is_in_registry(env!("CARGO_MANIFEST_DIR"));

/// The allocator mimalloc. The crate of that name asks it for an alignment with each piece of memory, which takes twice as long.
#[cfg(target_os = "linux")]
struct MiMalloc;

#[cfg(target_os = "linux")]
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// True if every piece of `size` bytes has this alignment anyway: `mi_malloc_is_naturally_aligned` in mimalloc's `alloc-aligned.c`,
/// where 16 is `MI_MAX_ALIGN_SIZE`.
#[cfg(target_os = "linux")]
fn is_aligned_anyway(size: usize, align: usize) -> bool {
    align <= size && align <= 16
}

// SAFETY: each function does what the allocator's function of that name does, which keeps the contract of `GlobalAlloc`; those
// without an alignment are only called where it is given.
#[cfg(target_os = "linux")]
unsafe impl GlobalAlloc for MiMalloc {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let (size, align) = (layout.size(), layout.align());
        // SAFETY: any size and any power of two are allowed.
        unsafe {
            match is_aligned_anyway(size, align) {
                true => mi_malloc(size).cast(),
                false => mi_malloc_aligned(size, align).cast(),
            }
        }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        let (size, align) = (layout.size(), layout.align());
        // SAFETY: any size and any power of two are allowed.
        unsafe {
            match is_aligned_anyway(size, align) {
                true => mi_zalloc(size).cast(),
                false => mi_zalloc_aligned(size, align).cast(),
            }
        }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, _: Layout) {
        // SAFETY: the caller's pointer is from one of the functions above.
        unsafe { mi_free(pointer.cast()) };
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        let align = layout.align();
        // SAFETY: the caller's pointer is from one of the functions above. A piece that stays where it is keeps its alignment.
        unsafe {
            match is_aligned_anyway(size, align) {
                true => mi_realloc(pointer.cast(), size).cast(),
                false => mi_realloc_aligned(pointer.cast(), size, align).cast(),
            }
        }
    }
}

fn main() -> ExitCode {
    // Before anything that could fail: mdBook takes any other answer to `supports` as "no", skips this program in
    // silence and publishes the raw placeholders.
    let mut words = std::env::args_os().skip(1);
    let requested = words.next().is_some_and(|word| word == "supports");
    // No renderer is called so.
    let wants_help = words.any(|word| word == "--help" || word == "-h");
    if requested && !wants_help {
        return ExitCode::SUCCESS;
    }
    // Read here and not in the library, so that another commit compiles no more than this file.
    ExitCode::from(run(WorkflowSource::from_build(
        option_env!("QED_BUILT_FROM"),
        IN_REGISTRY,
    )))
}

//! The command `mdbook-qed`.

#![cfg_attr(not(test), warn(clippy::too_many_lines))]

use std::process::ExitCode;

use mdbook_qed::cli::args::{WorkflowSource, is_in_registry, run};

const IN_REGISTRY: bool = is_in_registry(env!("CARGO_MANIFEST_DIR"));

#[cfg(target_os = "linux")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

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

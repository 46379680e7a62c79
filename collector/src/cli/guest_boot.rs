//! One guest for one job.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use qed_evidence::document::FileRole;
use qed_programs::ProgramPart;

use super::companion;
use super::failure::Failure;
use crate::arch::Arch;
use crate::guest::cache::Cache;
use crate::guest::host_binaries::GuestFiles;
use crate::guest::protocol::GuestJob;
use crate::guest::{self, GuestRun, GuestSpec, KernelImage, KernelSource, Start, qemu};

/// Check that guests of a source can be booted here, as far as the source says what that takes: its emulator, and a collector for its
/// architecture. Nothing is downloaded for a machine that lacks them.
///
/// # Errors
/// What is missing.
pub fn check_bootable(source: &KernelSource) -> Result<(), Failure> {
    qemu::check_emulator(source)?;
    match source.arch() {
        Some(arch) => find_init(arch).map(drop),
        None => Ok(()),
    }
}

/// This program's file.
fn own_program() -> Result<PathBuf, Failure> {
    Ok(std::env::current_exe().context("failed to find this program's own file")?)
}

/// The first process of guests of an architecture.
///
/// # Errors
/// When there is none of the same sources.
pub fn find_init(arch: Arch) -> Result<PathBuf, Failure> {
    companion::find_init(&own_program()?, arch).map_err(|error| Failure::machine(error.to_string()))
}

/// Boot a guest for one job.
pub async fn boot(
    kernel: KernelImage,
    job: &GuestJob,
    files: GuestFiles,
    cache: Cache,
    limit: u64,
    say: &dyn Fn(&str),
) -> Result<GuestRun, Failure> {
    start(Start::Boot, kernel, job, files, cache, limit, say).await
}

/// Boot or resume a guest for one job.
pub async fn start(
    how: Start,
    kernel: KernelImage,
    job: &GuestJob,
    files: GuestFiles,
    cache: Cache,
    limit: u64,
    say: &dyn Fn(&str),
) -> Result<GuestRun, Failure> {
    let init = find_init(kernel.arch)?;
    let mut own = GuestFiles::default();
    // As a release and a checkout build it, this program needs none.
    if init == own_program()? && !cfg!(target_feature = "crt-static") {
        own.add(&find_libraries(&init)?)
            .context("failed to give this program's libraries to the guest")?;
    }
    let mut spec = GuestSpec::new(kernel, init, cache);
    spec.start = how;
    // A workload can run with the same libraries.
    let others = files.contents.into_iter();
    spec.files
        .extend(others.filter(|(name, content)| own.contents.get(name) != Some(content)));
    spec.own_files.extend(own.contents);
    spec.modes = files.modes;
    spec.files.push(job.to_file()?);
    spec.limit = Duration::from_secs(limit);
    Ok(guest::run(&spec, say).await?)
}

/// The loader and the libraries of a program that is not static; none of one that is.
fn find_libraries(program: &Path) -> anyhow::Result<Vec<ProgramPart>> {
    let name = program.to_string_lossy();
    let mut found = qed_programs::parts(&name, Path::new("/")).with_context(|| {
        format!(
            "failed to find the libraries of {name}, without which it does not start in a guest"
        )
    })?;
    found.retain(|part| part.role != FileRole::Program);
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Check that a program with libraries takes its loader and them along, and not itself; and a static one nothing.
    #[test]
    fn dynamic_and_static() {
        let names: Vec<String> = find_libraries(Path::new("/bin/sh"))
            .unwrap()
            .into_iter()
            .map(|part| part.name)
            .collect();
        assert!(
            names.iter().any(|name| name.contains("ld-linux")),
            "{names:?}"
        );
        assert!(
            names.iter().any(|name| name.contains("libc.so")),
            "{names:?}"
        );
        assert!(!names.iter().any(|name| name == "/bin/sh"), "{names:?}");
        if cfg!(target_feature = "crt-static") {
            let own = std::env::current_exe().unwrap();
            assert!(find_libraries(&own).unwrap().is_empty());
        }
    }
}

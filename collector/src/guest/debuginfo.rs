//! The debug information of a fetched kernel: its `vmlinux` (hundreds of megabytes) and real `System.map`.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use object::read::ReadCache;

use super::apt::Apt;
use super::cache::{Cache, Sidecar};
use super::{GuestError, KernelImage, elf, fetch};

/// A kernel's debug information on this disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DebugInfo {
    /// The uncompressed kernel with DWARF.
    pub vmlinux: PathBuf,
    /// The symbol table beside it, if any.
    pub system_map: Option<PathBuf>,
    /// GNU build id of the vmlinux, hex. Compare it with the running kernel's before believing a line.
    pub build_id: String,
}

/// The debug information of a kernel image that [`fetch::kernel`] fetched: cached, or downloaded now
/// (about 300 MB) where `download`. Blocking. `None` when it is not cached and `download` is false.
///
/// # Errors
/// [`GuestError::NoDebugInfo`] when it cannot be had.
pub fn of_package(
    kernel: &KernelImage,
    cache: &Cache,
    download: bool,
    progress: &(dyn Fn(&str) + Sync),
) -> Result<Option<DebugInfo>, GuestError> {
    let failed = |release: &str, reason: String| GuestError::NoDebugInfo {
        release: release.to_owned(),
        reason,
    };
    let Some(sidecar) = &kernel.package else {
        return Err(failed(
            // Without its folder, which is the user's: this gets into evidence.
            &kernel
                .path
                .file_name()
                .unwrap_or_default()
                .to_string_lossy(),
            "it did not come from a package".into(),
        ));
    };
    let release = &sidecar.release;
    let package = sidecar
        .package
        .debug()
        .ok_or_else(|| failed(release, "its package has an unknown name".into()))?;
    if let Some((folder, _)) = cache.find(&package) {
        return read(&folder, release).map(Some);
    }
    if !download {
        return Ok(None);
    }
    let lock = cache.lock(&|text| progress(text))?;
    if let Some((folder, _)) = cache.find(&package) {
        return read(&folder, release).map(Some);
    }
    let patterns = [
        "./usr/lib/debug/boot/vmlinux-*",
        "./usr/lib/debug/boot/System.map-*",
    ];
    let mut reasons = Vec::new();
    for apt in [Apt::system(cache.root()), Apt::own(cache.root())] {
        let size = apt.size(&package);
        let Some(size) = size else { continue };
        progress(&format!(
            "downloading {} {} ({} MB)",
            package.name,
            package.version,
            size / 1_000_000
        ));
        let stored = watched(cache, size, progress, || {
            fetch::store(
                &apt,
                &package,
                release.clone(),
                &patterns,
                "usr/lib/debug/boot",
                cache,
                &lock,
            )
        });
        match stored {
            Ok((folder, Sidecar { .. })) => return read(&folder, release).map(Some),
            Err(error @ GuestError::MissingProgram { .. }) => return Err(error),
            Err(error) => reasons.push(error.to_string()),
        }
    }
    if reasons.is_empty() {
        reasons.push(format!(
            "the distribution no longer serves {} {}",
            package.name, package.version
        ));
    }
    Err(failed(release, reasons.join("; ")))
}

/// A vmlinux that the user names, with the `System.map` of the same release beside it, if any.
///
/// # Errors
/// When it is no ELF file with a build id.
pub fn of_path(vmlinux: &Path) -> Result<DebugInfo, GuestError> {
    let build_id = build_id(vmlinux)?;
    let name = vmlinux.file_name().unwrap_or_default().to_string_lossy();
    let map = vmlinux.with_file_name(name.replacen("vmlinux", "System.map", 1));
    let system_map = (map != vmlinux && map.is_file()).then_some(map);
    Ok(DebugInfo {
        vmlinux: vmlinux.to_owned(),
        system_map,
        build_id,
    })
}

/// The GNU build id of an ELF file, reading only its headers and notes.
///
/// # Errors
/// When it cannot be read or has none.
pub fn build_id(path: &Path) -> Result<String, GuestError> {
    let file = std::fs::File::open(path).map_err(GuestError::io("open", path))?;
    let read = ReadCache::new(file);
    elf::build_id(&read).map_err(|e| GuestError::Unbootable {
        path: path.to_owned(),
        reason: e.to_string(),
    })
}

fn read(folder: &Path, release: &str) -> Result<DebugInfo, GuestError> {
    of_path(&folder.join(format!("vmlinux-{release}")))
}

/// Report how much has arrived while `work` runs.
fn watched<T>(
    cache: &Cache,
    total: u64,
    progress: &(dyn Fn(&str) + Sync),
    work: impl FnOnce() -> T,
) -> T {
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let watcher = scope.spawn(|| {
            let mut shown = 0;
            while !done.load(Ordering::Relaxed) {
                std::thread::park_timeout(Duration::from_millis(500));
                let percent = (arrived(&cache.kernels()) * 100 / total.max(1)).min(100);
                if percent >= shown + 5 {
                    shown = percent;
                    progress(&format!("downloading debug information: {percent} %"));
                }
            }
        });
        let result = work();
        done.store(true, Ordering::Relaxed);
        watcher.thread().unpark();
        result
    })
}

/// Bytes of packages in unfinished folders.
fn arrived(kernels: &Path) -> u64 {
    let folders = std::fs::read_dir(kernels).into_iter().flatten().flatten();
    let unfinished = folders.filter(|f| f.file_name().to_string_lossy().starts_with(".tmp"));
    let files =
        unfinished.flat_map(|f| std::fs::read_dir(f.path()).into_iter().flatten().flatten());
    files
        .filter_map(|f| f.metadata().ok())
        .filter(|m| m.is_file())
        .map(|m| m.len())
        .sum()
}

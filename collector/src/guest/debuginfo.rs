//! The debug information of a fetched kernel: its `vmlinux` (hundreds of megabytes) and real `System.map`.

use std::path::{Path, PathBuf};

use object::read::ReadCache;

use super::archive::ServedKernel;
use super::cache::Cache;
use super::{GuestError, KernelImage, ProgressFn, fetch};
use crate::symbols::elf;

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

/// Find, and if need be fetch, the debug information of a kernel image that [`fetch::find_kernel`] fetched: cached, or downloaded now
/// (about 300 MB) where `download`. Blocking. `None` when it is not cached and `download` is false.
///
/// # Errors
/// [`GuestError::NoDebugInfo`] when it is unavailable.
pub fn fetch_package_debuginfo(
    kernel: &KernelImage,
    cache: &Cache,
    download: bool,
    progress: ProgressFn<'_>,
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
    if let Some(folder) = cached_folder(release, cache) {
        return read_cached(&folder, release).map(Some);
    }
    if !download {
        return Ok(None);
    }
    let lock = cache.lock(progress)?;
    if let Some(folder) = cached_folder(release, cache) {
        return read_cached(&folder, release).map(Some);
    }
    let (kernels, _) = fetch::ask_served_kernels(kernel.arch, cache, false, &lock, progress)?;
    let package = kernel
        .debug
        .as_ref()
        .or_else(|| find_debuginfo_package(&kernels, release));
    let package = package.ok_or_else(|| {
        let reason = "Debian serves no package with the debug information of this release";
        failed(release, reason.into())
    })?;
    match fetch::store(&[package], release, cache, &lock, progress) {
        Ok((folder, _)) => read_cached(&folder, release).map(Some),
        Err(error @ GuestError::MissingProgram { .. }) => Err(error),
        Err(error) => Err(failed(release, error.to_string())),
    }
}

/// The package with the debug information of a release, where one is served.
fn find_debuginfo_package<'a>(
    kernels: &'a [ServedKernel],
    release: &str,
) -> Option<&'a super::archive::ServedPackage> {
    let kernel = kernels.iter().find(|kernel| kernel.release == release)?;
    kernel.debug.as_ref()
}

/// The folder in the cache with the debug information of a release.
fn cached_folder(release: &str, cache: &Cache) -> Option<PathBuf> {
    let name = format!("vmlinux-{release}");
    let mut folders = cache.packages().into_iter().map(|(folder, _)| folder);
    folders.find(|folder| folder.join(&name).is_file())
}

/// A vmlinux that the user names, with the `System.map` of the same release beside it, if any.
///
/// # Errors
/// When it is not an ELF file with a build id.
pub fn debuginfo_from_path(vmlinux: &Path) -> Result<DebugInfo, GuestError> {
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
    let found = elf::build_id(&read).map_err(|error| GuestError::Unbootable {
        path: path.to_owned(),
        reason: error.to_string(),
    })?;
    Ok(found.to_string())
}

fn read_cached(folder: &Path, release: &str) -> Result<DebugInfo, GuestError> {
    debuginfo_from_path(&folder.join(format!("vmlinux-{release}")))
}

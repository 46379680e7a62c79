//! The modules of a kernel that Debian serves, fetched when they are first needed: most captures need none, and they are larger
//! than the kernel.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use qed_evidence::lock::FILE;
use qed_programs::atomic::{PRIVATE, write_atomically};

use crate::arch::Arch;
use crate::guest::apt::Apt;
use crate::guest::archive::{Package, ServedPackage, holds_modules, layout, modules_package};
use crate::guest::cache::{Cache, Sidecar, read_json, write_json};
use crate::guest::fetch::ModulesPackage;
use crate::guest::{GuestError, ProgressFn, fetch, module_files};

/// The file of the cache that says which package modules came from. It is no module, and no package of a kernel.
const ORIGIN: &str = "modules.json";

/// The package that modules came from.
#[derive(Debug, serde::Serialize, serde::Deserialize)]
struct Origin {
    #[serde(flatten)]
    package: Package,
    /// SHA-256 of the `.deb`, hex.
    sha256: String,
}

/// The folder with the modules of a cached kernel. Blocking: takes the cache's lock and runs apt where they are not cached.
///
/// # Errors
/// When their package is unavailable, or a lock file pins others.
pub fn fetch_modules_folder(
    image: &Sidecar,
    wanted: &ModulesPackage,
    cache: &Cache,
    say: ProgressFn<'_>,
) -> Result<PathBuf, GuestError> {
    if matches!(wanted, ModulesPackage::Unpinned) {
        return Err(GuestError::UnpinnedModules {
            release: image.release.clone(),
            file: FILE,
        });
    }
    let target = cache.modules_folder(&image.package);
    if is_cached(&target, wanted) {
        return Ok(target);
    }
    let lock = cache.lock(say)?;
    // Another collector may have fetched them while this one waited.
    if is_cached(&target, wanted) {
        return Ok(target);
    }
    let none = || GuestError::NoModules {
        release: image.release.clone(),
    };
    let arch = fetch::arch_of_release(&image.release);
    let apt = Apt::new(cache.root(), arch);
    let package = match wanted {
        ModulesPackage::Pinned(package) => {
            ask_lists(arch, cache, &lock, say, || {
                Ok(apt.lists_package(&package.package())?.then_some(()))
            })?;
            package.clone()
        }
        _ => ask_lists(arch, cache, &lock, say, || {
            find_modules_package(image, &apt)
        })?
        .ok_or_else(none)?,
    };
    let scratch = cache.create_scratch(&lock)?;
    let release = &image.release;
    let sha256 = fetch::download_and_unpack(&package, &apt, cache, scratch.path(), say, &|path| {
        layout::module_name(path, release)
    })?;
    let mut files = std::fs::read_dir(scratch.path())
        .map_err(GuestError::io("list", scratch.path()))?
        .flatten();
    if files.all(|file| module_files::module_name(&file.file_name().to_string_lossy()).is_none()) {
        return Err(none());
    }
    let package = package.package();
    write_json(&scratch.path().join(ORIGIN), &Origin { package, sha256 })?;
    cache.publish_modules(scratch, &image.package)
}

/// True if the modules are cached, and are those of the pinned package if there is one. A cache of before did not remember which
/// package they came from.
fn is_cached(target: &Path, wanted: &ModulesPackage) -> bool {
    match wanted {
        ModulesPackage::Pinned(pinned) => read_json(&target.join(ORIGIN))
            .is_some_and(|origin: Origin| origin.sha256 == pinned.sha256),
        _ => target.is_dir(),
    }
}

/// The answer of apt's lists, which are fetched first if there are none, and again if those that are there have no answer.
fn ask_lists<T>(
    arch: Arch,
    cache: &Cache,
    lock: &File,
    say: ProgressFn<'_>,
    ask: impl Fn() -> Result<Option<T>, GuestError>,
) -> Result<Option<T>, GuestError> {
    for refresh in [false, true] {
        fetch::ask_served_kernels(arch, cache, refresh, lock, say)?;
        if let Some(answer) = ask()? {
            return Ok(Some(answer));
        }
    }
    Ok(None)
}

/// The package that serves the modules of a kernel, if the lists name it.
fn find_modules_package(image: &Sidecar, apt: &Apt) -> Result<Option<ServedPackage>, GuestError> {
    // Since 6.19 they have a package of their own; before, they come with the image.
    let own = Package {
        name: modules_package(&image.release),
        version: image.package.version.clone(),
    };
    match apt.find_package(&own)? {
        Some(own) => Ok(Some(own)),
        None => find_image_package(image, apt),
    }
}

/// The list of the modules that are a part of a cached kernel. Blocking: where it is not cached, takes the cache's lock and runs apt.
///
/// Up to 7.1 it comes with the modules; from 7.2 on it is in the package of the configuration.
///
/// # Errors
/// When its package is unavailable.
pub fn fetch_built_in_list(
    image: &Sidecar,
    cache: &Cache,
    say: ProgressFn<'_>,
) -> Result<String, GuestError> {
    let name = format!("{}-{}", module_files::BUILT_IN, image.release);
    let file = cache
        .kernels_folder()
        .join(image.package.folder())
        .join(&name);
    if let Ok(list) = std::fs::read_to_string(&file) {
        return Ok(list);
    }
    let lock = cache.lock(say)?;
    // Another collector may have fetched it while this one waited.
    if let Ok(list) = std::fs::read_to_string(&file) {
        return Ok(list);
    }
    let none = || GuestError::NoBuiltInList {
        release: image.release.clone(),
    };
    let arch = fetch::arch_of_release(&image.release);
    let apt = Apt::new(cache.root(), arch);
    let base = Package {
        name: format!("linux-base-{}", image.release),
        version: image.package.version.clone(),
    };
    let mut package =
        ask_lists(arch, cache, &lock, say, || apt.find_package(&base))?.ok_or_else(none)?;
    // The very one that the configuration came from.
    if let Some(sha256) = &image.base_sha256 {
        package.sha256.clone_from(sha256);
    }
    let scratch = cache.create_scratch(&lock)?;
    fetch::download_and_unpack(&package, &apt, cache, scratch.path(), say, &|path| {
        layout::cached_name(path, &image.release).filter(|found| *found == name)
    })?;
    let list = std::fs::read_to_string(scratch.path().join(&name)).map_err(|_| none())?;
    // That it cannot be kept only costs another download.
    let _ = write_atomically(&file, PRIVATE, |out| out.write_all(list.as_bytes()));
    Ok(list)
}

/// The package with the image, where it can hold modules, too: the very one that the image came from.
fn find_image_package(image: &Sidecar, apt: &Apt) -> Result<Option<ServedPackage>, GuestError> {
    if !holds_modules(&image.package) {
        return Ok(None);
    }
    let served = apt.find_package(&image.package)?;
    Ok(served.map(|served| ServedPackage {
        sha256: image.deb_sha256.clone(),
        ..served
    }))
}

//! The modules of a kernel that Debian serves, fetched when they are first needed: most captures need none, and they are larger
//! than the kernel.

use std::path::PathBuf;

use super::tree;
use crate::guest::apt::Apt;
use crate::guest::archive::{Package, ServedPackage, layout};
use crate::guest::cache::{Cache, Sidecar};
use crate::guest::{GuestError, ProgressFn, fetch};

/// The folder with the modules of a cached kernel. Blocking: takes the cache's lock and runs apt where they are not cached.
///
/// # Errors
/// When their package is unavailable.
pub fn folder(image: &Sidecar, cache: &Cache, say: ProgressFn<'_>) -> Result<PathBuf, GuestError> {
    let target = cache.modules(&image.package);
    if target.is_dir() {
        return Ok(target);
    }
    let lock = cache.lock(say)?;
    // Another collector may have fetched them while this one waited.
    if target.is_dir() {
        return Ok(target);
    }
    let none = || GuestError::NoModules {
        release: image.release.clone(),
    };
    let apt = Apt::at(cache.root());
    // Since 6.19 they have a package of their own; before, they come with the image.
    let own = Package {
        name: format!("linux-modules-{}", image.release),
        version: image.package.version.clone(),
    };
    let package = match apt.served(&own)? {
        Some(own) => own,
        None => with_image(image, &apt)?,
    };
    let scratch = cache.scratch(&lock)?;
    let release = &image.release;
    fetch::unpacked(&package, &apt, cache, scratch.path(), say, &|path| {
        layout::module_name(path, release)
    })?;
    let mut files = std::fs::read_dir(scratch.path())
        .map_err(GuestError::io("list", scratch.path()))?
        .flatten();
    if files.all(|file| tree::module_name(&file.file_name().to_string_lossy()).is_none()) {
        return Err(none());
    }
    cache.publish_modules(scratch, &image.package)
}

/// The package with the image, where it can hold modules, too: the very one that the image came from.
fn with_image(image: &Sidecar, apt: &Apt) -> Result<ServedPackage, GuestError> {
    let none = || GuestError::NoModules {
        release: image.release.clone(),
    };
    // What is called `linux-binary-…` holds an image and nothing else.
    if !image.package.name.starts_with("linux-image-") {
        return Err(none());
    }
    let mut served = apt.served(&image.package)?.ok_or_else(none)?;
    served.sha256.clone_from(&image.deb_sha256);
    Ok(served)
}

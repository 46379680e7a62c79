//! Resolution of a name such as `guest:debian-6.1` to a kernel image on this disk.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use sha2::{Digest, Sha256};

use super::apt::{self, Apt};
use super::archive::{self, ServedKernel, ServedPackage, layout};
use super::cache::{Cache, Sidecar};
use super::companion_files::{self, CompanionFiles};
use super::source::Selector;
use super::{GuestError, KernelSource, ProgressFn, download};
use crate::arch::Arch;

/// A kernel to boot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KernelImage {
    /// The image that QEMU boots: a compressed one (bzImage) for x86-64, a plain one for arm64.
    pub path: PathBuf,
    /// Its architecture.
    pub arch: Arch,
    /// The package it came from; none for a path that the user named.
    pub package: Option<Sidecar>,
    /// A note for the user, e.g. that the newest could not be fetched.
    pub note: Option<String>,
    /// The files around an image that the user named.
    pub companions: Box<CompanionFiles>,
    /// The package with its debug information, where a lock file says which.
    pub debug: Option<ServedPackage>,
    /// The package with its modules.
    pub modules: ModulesPackage,
}

/// The package that the modules of a kernel are taken from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum ModulesPackage {
    /// The one that is served in the version of the image; where modules come with the image, its own package.
    #[default]
    Served,
    /// The one that a lock file names.
    Pinned(ServedPackage),
    /// None: a lock file pins the image and not the modules.
    Unpinned,
}

impl KernelImage {
    /// The kernel's configuration, if it is available: for a package, beside the image (`config-RELEASE` by `vmlinuz-RELEASE`);
    /// for an image that the user named, the one that [`companion_files::find_companion_files`] found.
    #[must_use]
    pub fn config(&self) -> Option<PathBuf> {
        if self.package.is_none() {
            return self.companions.config.clone();
        }
        let name = self.path.file_name()?.to_str()?;
        let config = self
            .path
            .with_file_name(name.replacen("vmlinuz", "config", 1));
        (config != self.path && config.is_file()).then_some(config)
    }
}

/// Find, and if need be fetch, the kernel of a source. Blocking: takes the cache's lock and runs apt.
///
/// The archive is asked at most once a day, unless `refresh`; otherwise this reads two small files.
///
/// # Errors
/// [`GuestError::NoKernel`] when there is none, [`GuestError::Unbootable`] when a path is not a kernel image.
pub fn find_kernel(
    source: &KernelSource,
    cache: &Cache,
    refresh: bool,
    progress: ProgressFn<'_>,
) -> Result<KernelImage, GuestError> {
    match source {
        KernelSource::Path(path) => image_from_path(path),
        KernelSource::Debian(selector) => find_debian_kernel(*selector, cache, refresh, progress),
    }
}

fn find_debian_kernel(
    selector: Selector,
    cache: &Cache,
    refresh: bool,
    progress: ProgressFn<'_>,
) -> Result<KernelImage, GuestError> {
    if !refresh && let Some(image) = remembered_image(selector, cache) {
        return Ok(image);
    }
    let lock = cache.lock(progress)?;
    // Another collector may have fetched it while this one waited.
    if !refresh && let Some(image) = remembered_image(selector, cache) {
        return Ok(image);
    }
    let reason = match fetch_newest(selector, cache, refresh, &lock, progress) {
        Ok(image) => return Ok(image),
        Err(error @ GuestError::MissingProgram { .. })
            if cache.newest_image(selector).is_none() =>
        {
            return Err(error);
        }
        Err(GuestError::NoKernel { reason, .. }) => reason,
        Err(error) => error.to_string(),
    };
    let cached = cache.newest_image(selector).and_then(|found| {
        let note = format!(
            "{reason}; using {} {}, from the cache",
            found.1.package.name, found.1.package.version
        );
        cached_image(found, Some(note))
    });
    cached.ok_or_else(|| GuestError::NoKernel {
        selector: selector.to_string(),
        reason,
        cache: cache.kernels_folder(),
    })
}

/// The cached image of the kernel that a fresh answer of the archive names.
fn remembered_image(selector: Selector, cache: &Cache) -> Option<KernelImage> {
    let served = cache
        .served_kernels(selector.arch)
        .filter(|served| served.is_fresh(SystemTime::now()))?;
    let kernel = archive::select(&served.kernels, selector)?;
    let note = served.complaint.as_deref().map(|message| {
        let (name, version) = (&kernel.image.name, &kernel.image.version);
        format!(
            "{}; using {name} {version}, from the cache",
            old_complaint_warning(message)
        )
    });
    cached_image(cache.find(&kernel.image.package())?, note)
}

/// The newest kernel that the archive serves, downloaded if it is not cached.
fn fetch_newest(
    selector: Selector,
    cache: &Cache,
    refresh: bool,
    lock: &File,
    progress: ProgressFn<'_>,
) -> Result<KernelImage, GuestError> {
    let (kernels, note) = ask_served_kernels(selector.arch, cache, refresh, lock, progress)?;
    let kernel = archive::select(&kernels, selector).ok_or_else(|| {
        let reason = archive::not_served_reason(&kernels, selector);
        GuestError::NoKernel {
            selector: selector.to_string(),
            reason: match &note {
                Some(note) => format!("{reason}; {note}"),
                None => reason,
            },
            cache: cache.kernels_folder(),
        }
    })?;
    let cached = cache.find(&kernel.image.package());
    let place = if cached.is_some() {
        "from the cache"
    } else {
        "downloaded now"
    };
    let found = match cached {
        Some(found) => found,
        None => obtain(kernel, cache, lock, progress)?,
    };
    let note = note.map(|note| {
        let (name, version) = (&kernel.image.name, &kernel.image.version);
        format!("{note}; using {name} {version}, {place}")
    });
    cached_image(found, note).ok_or_else(|| GuestError::NoKernel {
        selector: selector.to_string(),
        reason: format!(
            "{} {} holds no kernel image where one is expected",
            kernel.image.name, kernel.image.version
        ),
        cache: cache.kernels_folder(),
    })
}

/// The warning about an answer that was not whole, and is not asked for again yet.
fn old_complaint_warning(complaint: &str) -> String {
    format!(
        "{complaint} (the archive was asked within the last ten minutes; `--refresh` asks again)"
    )
}

/// The kernels of an architecture that the archive serves, and what the user should know about the answer. Asks it at most once a day, or every ten minutes
/// where the answer was not whole, unless `refresh`. The caller holds the cache's lock.
///
/// # Errors
/// When the archive cannot be asked and has not been asked before.
pub fn ask_served_kernels(
    arch: Arch,
    cache: &Cache,
    refresh: bool,
    _lock: &File,
    progress: ProgressFn<'_>,
) -> Result<(Vec<ServedKernel>, Option<String>), GuestError> {
    let known = cache.served_kernels(arch);
    if !refresh
        && let Some(served) = &known
        && served.is_fresh(SystemTime::now())
    {
        let note = served.complaint.as_deref().map(old_complaint_warning);
        return match (&note, served.kernels.is_empty()) {
            (Some(reason), true) => Err(GuestError::NoLists {
                reason: reason.clone(),
                variable: apt::MIRROR_VARIABLE,
            }),
            _ => Ok((served.kernels.clone(), note)),
        };
    }
    let known = known.filter(|known| !known.kernels.is_empty());
    progress("asking Debian's archive which kernels it serves (once a day)");
    let apt = Apt::new(cache.root(), arch);
    let full_disk = |error: GuestError| error.on_full_disk(cache.root());
    let complaints = apt.update().map_err(full_disk)?;
    let kernels = apt.kernels().map_err(full_disk)?;
    if kernels.is_empty() {
        let reason = complaints.unwrap_or_else(|| "the package lists name no kernel".into());
        let Some(known) = known else {
            // With kernels in the cache there is work to do, which must not wait for a dead network at each of them.
            if !cache.cached_kernels(arch).is_empty() {
                let _ = cache.set_served_kernels(arch, &[], Some(&reason), SystemTime::now());
            }
            return Err(full_disk(GuestError::NoLists {
                reason,
                variable: apt::MIRROR_VARIABLE,
            }));
        };
        let note = format!("the package lists could not be fetched: {reason}");
        // A whole answer of today stays one. That this one cannot be kept only costs time.
        if known.complaint.is_some() || !known.is_fresh(SystemTime::now()) {
            let _ = cache.set_served_kernels(arch, &known.kernels, Some(&note), SystemTime::now());
        }
        return Ok((known.kernels, Some(note)));
    }
    let Some(message) = complaints else {
        cache.set_served_kernels(arch, &kernels, None, SystemTime::now())?;
        return Ok((kernels, None));
    };
    // What only a list has that did not arrive is still known from before.
    let before = known.map_or_else(Vec::new, |known| known.kernels);
    let kernels = archive::merge_previous(kernels, before);
    let note = format!("not all package lists are up to date: {message}");
    let _ = cache.set_served_kernels(arch, &kernels, Some(&note), SystemTime::now());
    let note = Some(note);
    Ok((kernels, note))
}

/// The kernels that can be booted now.
#[derive(Debug)]
pub struct AvailableKernels {
    /// The kernels, the oldest first.
    pub kernels: Vec<ServedKernel>,
    /// A warning for the user.
    pub note: Option<String>,
    /// True if the archive could not be asked, and never was: then these are the kernels in the cache.
    pub cached_only: bool,
}

/// The kernels that the archive serves, as [`ask_served_kernels`], or where that is not known those that are cached.
///
/// # Errors
/// When the archive cannot be asked and has not been asked before, and nothing is cached.
pub fn available_kernels(
    arch: Arch,
    cache: &Cache,
    refresh: bool,
    lock: &File,
    progress: ProgressFn<'_>,
) -> Result<AvailableKernels, GuestError> {
    let error = match ask_served_kernels(arch, cache, refresh, lock, progress) {
        Ok((kernels, note)) => {
            return Ok(AvailableKernels {
                kernels,
                note,
                cached_only: false,
            });
        }
        Err(error) => error,
    };
    let kernels = cache.cached_kernels(arch);
    if kernels.is_empty() {
        return Err(error);
    }
    Ok(AvailableKernels {
        note: Some(format!(
            "{error}. Only the kernels that are cached are known: {}",
            archive::format_series(&kernels)
        )),
        kernels,
        cached_only: true,
    })
}

/// The image of a kernel, cached or downloaded now, with its configuration.
///
/// # Errors
/// When it cannot be fetched.
pub fn obtain(
    kernel: &ServedKernel,
    cache: &Cache,
    lock: &File,
    progress: ProgressFn<'_>,
) -> Result<(PathBuf, Sidecar), GuestError> {
    if let Some(found) = cache.find(&kernel.image.package()) {
        return Ok(found);
    }
    let mut parts = vec![&kernel.image];
    parts.extend(&kernel.base);
    store(&parts, &kernel.release, cache, lock, progress)
}

/// Download packages, unpack the needed files, and put these into the cache under the name of the first package.
pub(super) fn store(
    parts: &[&ServedPackage],
    release: &str,
    cache: &Cache,
    lock: &File,
    progress: ProgressFn<'_>,
) -> Result<(PathBuf, Sidecar), GuestError> {
    let apt = Apt::new(cache.root(), arch_of_release(release));
    let target = cache.create_scratch(lock)?;
    let mut digests = Vec::new();
    for part in parts {
        let folder = target.path();
        digests.push(download_and_unpack(
            part,
            &apt,
            cache,
            folder,
            progress,
            &|path| layout::cached_name(path, release),
        )?);
    }
    let mut digests = digests.into_iter();
    let sidecar = Sidecar {
        package: parts[0].package(),
        release: release.to_owned(),
        deb_sha256: digests.next().unwrap_or_default(),
        base_sha256: digests.next(),
        fetched: jiff::Timestamp::now().to_string(),
    };
    super::cache::write_json(&target.path().join("package.json"), &sidecar)
        .map_err(|error| error.on_full_disk(cache.root()))?;
    Ok((cache.publish(target, &sidecar.package)?, sidecar))
}

/// The architecture of a kernel of Debian's. Only releases of known ones are looked for.
pub(super) fn arch_of_release(release: &str) -> Arch {
    Arch::of_release(release).unwrap_or(Arch::X86_64)
}

/// Download a package, and unpack into `folder` the files to which `name` gives a name. The digest of the package, hex.
pub(super) fn download_and_unpack(
    part: &ServedPackage,
    apt: &Apt,
    cache: &Cache,
    folder: &Path,
    progress: ProgressFn<'_>,
    name: &dyn Fn(&str) -> Option<String>,
) -> Result<String, GuestError> {
    let file = apt.download_path(&part.package());
    let deb = download::report_download(part, &file, progress, || apt.download(part));
    let deb = deb.map_err(|error| error.on_full_disk(cache.root()))?;
    let found = sha256(&deb)?;
    if found != part.sha256 {
        // Otherwise the next attempt would go on from it.
        let _ = std::fs::remove_file(&deb);
        return Err(GuestError::Damaged {
            package: format!("{} {}", part.name, part.version),
            expected: part.sha256.clone(),
            found,
            variable: apt::MIRROR_VARIABLE,
        });
    }
    apt::unpack(&deb, folder, name).map_err(|error| error.on_full_disk(cache.root()))?;
    std::fs::remove_file(&deb).map_err(GuestError::io("remove", &deb))?;
    Ok(found)
}

fn sha256(path: &Path) -> Result<String, GuestError> {
    let mut file = std::fs::File::open(path).map_err(GuestError::io("open", path))?;
    let mut hash = Sha256::new();
    std::io::copy(&mut file, &mut hash).map_err(GuestError::io("read", path))?;
    Ok(hex::encode(hash.finalize()))
}

pub(super) fn cached_image(
    (folder, sidecar): (PathBuf, Sidecar),
    note: Option<String>,
) -> Option<KernelImage> {
    let path = folder.join(format!("vmlinuz-{}", sidecar.release));
    path.is_file().then_some(KernelImage {
        path,
        arch: arch_of_release(&sidecar.release),
        package: Some(sidecar),
        note,
        companions: Box::default(),
        debug: None,
        modules: ModulesPackage::Served,
    })
}

/// The beginning of an image, by which its architecture is known.
fn read_header(path: &Path) -> std::io::Result<Vec<u8>> {
    use std::io::Read;
    let mut start = Vec::new();
    std::fs::File::open(path)?
        .take(Arch::HEADER)
        .read_to_end(&mut start)?;
    Ok(start)
}

/// The architecture of a kernel image; `None` if it cannot be read, or is none that a guest boots.
#[must_use]
pub fn arch_of_image(path: &Path) -> Option<Arch> {
    Arch::of_image(&read_header(path).ok()?)
}

fn image_from_path(path: &Path) -> Result<KernelImage, GuestError> {
    let unbootable = |reason: String| GuestError::Unbootable {
        path: path.to_owned(),
        reason,
    };
    let start = read_header(path)
        .map_err(|e| unbootable(format!("{e}; name a kernel image that you may read")))?;
    let arch = check_image(&start).map_err(|error| unbootable(error.to_string()))?;
    let beside = Box::new(companion_files::find_companion_files(path));
    Ok(KernelImage {
        path: path.to_owned(),
        arch,
        package: None,
        note: (!beside.notes.is_empty()).then(|| beside.notes.join("; ")),
        companions: beside,
        debug: None,
        modules: ModulesPackage::Served,
    })
}

/// A file that QEMU cannot boot.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
enum ImageError {
    /// A vmlinux.
    #[error("it is an ELF file; a guest boots the image that is made of it (vmlinuz)")]
    Elf,
    /// Something else.
    #[error(
        "it is not a Linux kernel image that a guest boots: neither one for x86 (`HdrS` at 0x202) nor an uncompressed one for arm64 \
         (`ARM\\x64` at 0x38)"
    )]
    NoMagic,
}

/// Find the architecture of an image, by its beginning.
fn check_image(start: &[u8]) -> Result<Arch, ImageError> {
    if start.starts_with(b"\x7fELF") {
        return Err(ImageError::Elf);
    }
    Arch::of_image(start).ok_or(ImageError::NoMagic)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Check that only a compressed image passes, and that a vmlinux is told apart from nonsense.
    #[test]
    fn images() {
        let mut image = vec![0; 0x206];
        assert_eq!(check_image(&image), Err(ImageError::NoMagic));
        image[0x202..].copy_from_slice(b"HdrS");
        assert_eq!(check_image(&image), Ok(Arch::X86_64));
        image[..4].copy_from_slice(b"\x7fELF");
        assert_eq!(check_image(&image), Err(ImageError::Elf));
        assert!(check_image(&image[..0x204]).is_err());
    }
}

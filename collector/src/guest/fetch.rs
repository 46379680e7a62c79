//! From `guest:debian-6.1` to a kernel image on this disk.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use sha2::{Digest, Sha256};

use super::apt::{self, Apt};
use super::cache::{Cache, Sidecar};
use super::debian::Package;
use super::{GuestError, Source};

/// How long an answer of the distribution is good for.
pub const ASK_EVERY: Duration = Duration::from_secs(24 * 3600);

/// A kernel to boot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KernelImage {
    /// The compressed image (bzImage).
    pub path: PathBuf,
    /// The package it came from; none for a path that the user named.
    pub package: Option<Sidecar>,
    /// What the user should know, e.g. that the newest could not be fetched.
    pub note: Option<String>,
}

impl KernelImage {
    /// The kernel's configuration beside the image (`config-RELEASE` by `vmlinuz-RELEASE`), if it is there.
    #[must_use]
    pub fn config(&self) -> Option<PathBuf> {
        let name = self.path.file_name()?.to_str()?;
        let config = self
            .path
            .with_file_name(name.replacen("vmlinuz", "config", 1));
        (config != self.path && config.is_file()).then_some(config)
    }
}

/// Find, and if need be fetch, the kernel of a source. Blocking: takes the cache's lock and runs apt.
///
/// The distribution is asked at most once per [`ASK_EVERY`], unless `refresh`; otherwise this reads two
/// small files.
///
/// # Errors
/// [`GuestError::NoKernel`] when there is none, [`GuestError::Unbootable`] when a path is no kernel image.
pub fn kernel(
    source: &Source,
    cache: &Cache,
    refresh: bool,
    progress: &dyn Fn(&str),
) -> Result<KernelImage, GuestError> {
    match source {
        Source::Path(path) => from_path(path),
        Source::Debian { series } => {
            if !refresh && let Some(image) = remembered(series, cache) {
                return Ok(image);
            }
            let lock = cache.lock(progress)?;
            // Another collector may have fetched it while this one waited.
            if !refresh && let Some(image) = remembered(series, cache) {
                return Ok(image);
            }
            ask(series, cache, refresh, &lock, progress)
        }
    }
}

fn remembered(series: &str, cache: &Cache) -> Option<KernelImage> {
    let asked = cache
        .asked(series)
        .filter(|a| a.is_fresh(SystemTime::now(), ASK_EVERY))?;
    image(cache.find(&asked.package)?, None)
}

fn ask(
    series: &str,
    cache: &Cache,
    refresh: bool,
    lock: &std::fs::File,
    progress: &dyn Fn(&str),
) -> Result<KernelImage, GuestError> {
    let reason = match latest(series, cache, refresh, progress) {
        Ok((apt, package)) => match obtain(&apt, &package, cache, lock, progress) {
            Ok(found) => {
                cache.set_asked(series, &package, SystemTime::now())?;
                if let Some(image) = image(found, None) {
                    return Ok(image);
                }
                format!("{} {} holds no kernel image", package.name, package.version)
            }
            Err(error @ GuestError::MissingProgram { .. }) => return Err(error),
            Err(error) => why(error),
        },
        Err(error @ GuestError::MissingProgram { .. }) if cache.newest(series).is_none() => {
            return Err(error);
        }
        Err(error) => why(error),
    };
    let cached = cache.newest(series).and_then(|found| {
        let note = format!("the newest kernel of series {series} could not be fetched ({reason}); using {} from the cache", found.1.package.version);
        image(found, Some(note))
    });
    cached.ok_or_else(|| GuestError::NoKernel {
        series: series.to_owned(),
        reason,
        cache: cache.kernels(),
    })
}

/// The reason alone of what is told as a whole in the end.
fn why(error: GuestError) -> String {
    match error {
        GuestError::NoKernel { reason, .. } => reason,
        error => error.to_string(),
    }
}

/// The newest package, and the lists that name it: the system's where they are fresh, else our own,
/// else (no network) whichever know one.
fn latest(
    series: &str,
    cache: &Cache,
    refresh: bool,
    progress: &dyn Fn(&str),
) -> Result<(Apt, Package), GuestError> {
    let (system, own) = (Apt::system(cache.root()), Apt::own(cache.root()));
    if !refresh
        && apt::system_is_fresh(SystemTime::now(), ASK_EVERY)
        && let Ok(Some(package)) = system.newest(series)
    {
        return Ok((system, package));
    }
    progress("asking the distribution for its newest kernels");
    let updated = own.update();
    let views = if updated.is_ok() {
        [own, system]
    } else {
        [system, own]
    };
    for view in views {
        if let Ok(Some(package)) = view.newest(series) {
            return Ok((view, package));
        }
    }
    updated?;
    Err(GuestError::NoKernel {
        series: series.to_owned(),
        reason: format!(
            "this machine's apt sources serve no linux-image-{series}.*-cloud-amd64-unsigned"
        ),
        cache: cache.kernels(),
    })
}

fn obtain(
    apt: &Apt,
    package: &Package,
    cache: &Cache,
    lock: &std::fs::File,
    progress: &dyn Fn(&str),
) -> Result<(PathBuf, Sidecar), GuestError> {
    if let Some(found) = cache.find(package) {
        return Ok(found);
    }
    progress(&format!("downloading {} {}", package.name, package.version));
    let release = package.release().unwrap_or_default().to_owned();
    store(
        apt,
        package,
        release,
        &["./boot/vmlinuz-*", "./boot/config-*"],
        "boot",
        cache,
        lock,
    )
}

/// Download a package, unpack `patterns` (all in `folder` of the package), and put them into the cache.
pub(super) fn store(
    apt: &Apt,
    package: &Package,
    release: String,
    patterns: &[&str],
    folder: &str,
    cache: &Cache,
    lock: &std::fs::File,
) -> Result<(PathBuf, Sidecar), GuestError> {
    let download = cache.scratch(lock)?;
    let deb = apt.download(package, download.path())?;
    let deb_sha256 = sha256(&deb)?;
    let unpacked = download.path().join("unpacked");
    std::fs::create_dir(&unpacked).map_err(GuestError::io("make the folder", &unpacked))?;
    apt::unpack(&deb, patterns, &unpacked)?;
    let sidecar = Sidecar {
        package: package.clone(),
        release,
        deb_sha256,
        fetched: jiff::Timestamp::now().to_string(),
    };
    let target = tempfile::Builder::new()
        .prefix(".tmp")
        .tempdir_in(cache.kernels());
    let target = target.map_err(GuestError::io("make a folder in", &cache.kernels()))?;
    let source = unpacked.join(folder);
    for entry in std::fs::read_dir(&source)
        .map_err(GuestError::io("list", &source))?
        .flatten()
    {
        let to = target.path().join(entry.file_name());
        std::fs::rename(entry.path(), &to).map_err(GuestError::io("move a file to", &to))?;
    }
    super::cache::write_json(&target.path().join("package.json"), &sidecar)?;
    Ok((cache.publish(target, package)?, sidecar))
}

fn sha256(path: &Path) -> Result<String, GuestError> {
    let mut file = std::fs::File::open(path).map_err(GuestError::io("open", path))?;
    let mut hash = Sha256::new();
    std::io::copy(&mut file, &mut hash).map_err(GuestError::io("read", path))?;
    Ok(hex::encode(hash.finalize()))
}

fn image((folder, sidecar): (PathBuf, Sidecar), note: Option<String>) -> Option<KernelImage> {
    let path = folder.join(format!("vmlinuz-{}", sidecar.release));
    path.is_file().then_some(KernelImage {
        path,
        package: Some(sidecar),
        note,
    })
}

fn from_path(path: &Path) -> Result<KernelImage, GuestError> {
    use std::io::Read;
    let unbootable = |reason: String| GuestError::Unbootable {
        path: path.to_owned(),
        reason,
    };
    let mut start = Vec::new();
    std::fs::File::open(path)
        .and_then(|file| file.take(0x206).read_to_end(&mut start))
        .map_err(|e| unbootable(format!("{e}; name a kernel image that you may read")))?;
    check_image(&start).map_err(|reason| unbootable(reason.to_owned()))?;
    Ok(KernelImage {
        path: path.to_owned(),
        package: None,
        note: None,
    })
}

/// The boot protocol's magic, `HdrS` at 0x202
/// (<https://docs.kernel.org/arch/x86/boot.html#the-real-mode-kernel-header>).
fn check_image(start: &[u8]) -> Result<(), &'static str> {
    if start.starts_with(b"\x7fELF") {
        return Err(
            "it is an ELF file; a guest boots the compressed image (vmlinuz), whose decompressor chooses the KASLR slide",
        );
    }
    if start.get(0x202..0x206) != Some(b"HdrS") {
        return Err("it is no x86 Linux kernel image (no HdrS at 0x202)");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Check that only a compressed image passes, and that a vmlinux is told apart from nonsense.
    #[test]
    fn images() {
        let mut image = vec![0; 0x206];
        assert!(check_image(&image).unwrap_err().contains("HdrS"));
        image[0x202..].copy_from_slice(b"HdrS");
        assert_eq!(check_image(&image), Ok(()));
        image[..4].copy_from_slice(b"\x7fELF");
        assert!(check_image(&image).unwrap_err().contains("vmlinuz"));
        assert!(check_image(&image[..0x204]).is_err());
    }
}

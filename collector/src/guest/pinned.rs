//! The exact kernel that a lock file names; no other one is used in its place.

use std::path::PathBuf;

use qed_evidence::lock::{FILE, LockedPackage, Packages, Pin};

use super::apt::Apt;
use super::archive::{self, Package, ServedKernel, ServedPackage};
use super::cache::{Cache, Sidecar};
use super::fetch::ModulesPackage;
use super::source::Selector;
use super::{GuestError, KernelImage, KernelSource, ProgressFn, fetch};

/// Find, and if need be fetch, the kernel to which `machine` is pinned. Blocking, as [`fetch::find_kernel`].
///
/// # Errors
/// [`GuestError::Pinned`] when it differs from the lock file, or is neither cached nor served any more;
/// [`GuestError::PinnedUnreachable`] when it is not cached and there is no network.
pub fn find_pinned_kernel(
    machine: &str,
    source: &KernelSource,
    pin: &Pin,
    cache: &Cache,
    progress: ProgressFn<'_>,
) -> Result<KernelImage, GuestError> {
    let refuse = |reason: String| GuestError::Pinned {
        machine: machine.to_owned(),
        pin: pin.to_string(),
        file: FILE,
        reason,
    };
    match (source, pin) {
        (KernelSource::Path(path), Pin::Image { sha256 }) => {
            let image = fetch::find_kernel(source, cache, false, progress)?;
            let found = qed_programs::digest(path).map_err(GuestError::io("read", path))?;
            if found != *sha256 {
                return Err(refuse(format!(
                    "the image that is there now has SHA-256 {found}. If it was changed on purpose, {}",
                    MOVE
                )));
            }
            Ok(image)
        }
        (KernelSource::Debian(selector), Pin::Packages(packages)) => {
            check_packages(packages, *selector).map_err(|error| refuse(error.to_string()))?;
            let found = obtain(machine, packages, *selector, cache, progress, &refuse)?;
            let image = fetch::cached_image(found, None);
            let mut image = image.ok_or_else(|| {
                refuse("its package holds no kernel image where one is expected".into())
            })?;
            image.debug = packages.debug_info.as_ref().map(served_of_lock);
            image.modules = match &packages.modules {
                Some(modules) => ModulesPackage::Pinned(served_of_lock(modules)),
                // Their digest is that of the image, which was checked.
                None if archive::holds_modules(&package_of_lock(&packages.image)) => {
                    ModulesPackage::Served
                }
                None => ModulesPackage::Unpinned,
            };
            Ok(image)
        }
        _ => Err(refuse(format!(
            "the machine is of another kind now; {MOVE}"
        ))),
    }
}

/// The remedy for a pin that does not fit.
const MOVE: &str = "run `qed-collector kernels update --book BOOK`, which says what moves";

/// A pin that cannot be followed.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
enum PinError {
    /// A package of another kernel is among them.
    #[error("{package} does not belong to kernel {release}; {}", MOVE)]
    OtherKernel { package: String, release: String },
    /// The packages are of another kernel than the machine's name says.
    #[error("Debian has no kernel {selector} of that name and version; {}", MOVE)]
    OtherSeries { selector: Selector },
    /// The cache holds another package of the same version.
    #[error(
        "{} in the cache came from a package with SHA-256 {found}, not {wanted}. Remove that folder to fetch it anew, or {}",
        .folder.display(),
        MOVE
    )]
    CachedDigest {
        folder: PathBuf,
        /// SHA-256, hex.
        found: String,
        /// SHA-256, hex.
        wanted: String,
    },
}

/// Check that packages are of one kernel, and of one that the machine's name can mean.
fn check_packages(packages: &Packages, selector: Selector) -> Result<(), PinError> {
    let image = package_of_lock(&packages.image);
    let parts = [Some(&packages.image), packages.config.as_ref()];
    let others = parts
        .into_iter()
        .flatten()
        .chain(packages.modules.as_ref())
        .chain(packages.debug_info.as_ref());
    for part in others {
        if archive::release_of(&package_of_lock(part)) != Some(packages.release.as_str()) {
            return Err(PinError::OtherKernel {
                package: part.package.clone(),
                release: packages.release.clone(),
            });
        }
    }
    if !archive::holds_image(&image) || !archive::matches_selector(&image, selector) {
        return Err(PinError::OtherSeries { selector });
    }
    Ok(())
}

/// The packages in the cache, or downloaded now.
fn obtain(
    machine: &str,
    packages: &Packages,
    selector: Selector,
    cache: &Cache,
    progress: ProgressFn<'_>,
    refuse: &dyn Fn(String) -> GuestError,
) -> Result<(PathBuf, Sidecar), GuestError> {
    if let Some(found) = find_cached(packages, cache).map_err(|error| refuse(error.to_string()))? {
        return Ok(found);
    }
    let lock = cache.lock(progress)?;
    // Another collector may have fetched it while this one waited.
    if let Some(found) = find_cached(packages, cache).map_err(|error| refuse(error.to_string()))? {
        return Ok(found);
    }
    let parts: Vec<ServedPackage> = std::iter::once(&packages.image)
        .chain(&packages.config)
        .map(served_of_lock)
        .collect();
    let apt = Apt::new(cache.root(), selector.arch);
    let all_served = || -> Result<bool, GuestError> {
        for part in &parts {
            if !apt.lists_package(&part.package())? {
                return Ok(false);
            }
        }
        Ok(true)
    };
    let unreachable = |reason: String| GuestError::PinnedUnreachable {
        machine: machine.to_owned(),
        pin: packages.package(),
        file: FILE,
        reason,
    };
    for refresh in [false, true] {
        let answer = fetch::ask_served_kernels(selector.arch, cache, refresh, &lock, progress);
        let (kernels, note) = answer.map_err(|error| unreachable(error.to_string()))?;
        if all_served()? {
            break;
        }
        match (refresh, note) {
            // The lock file may be newer than the lists.
            (false, _) => {}
            (true, Some(note)) => {
                return Err(unreachable(format!(
                    "Debian could not be asked for it: {note}"
                )));
            }
            (true, None) => return Err(refuse(not_served_reason(&kernels, selector))),
        }
    }
    let parts: Vec<&ServedPackage> = parts.iter().collect();
    fetch::store(&parts, &packages.release, cache, &lock, progress).map_err(|error| match error {
        GuestError::WrongDigest {
            package,
            expected,
            found,
        } => refuse(format!(
            "what Debian serves as {package} has SHA-256 {found}, not {expected}. A version never changes: one of the two was \
             tampered with. Compare the lock file with the one that was committed"
        )),
        other => other,
    })
}

/// The packages in the cache; nothing if they are not all known to be there.
fn find_cached(packages: &Packages, cache: &Cache) -> Result<Option<(PathBuf, Sidecar)>, PinError> {
    let Some((folder, sidecar)) = cache.find(&package_of_lock(&packages.image)) else {
        return Ok(None);
    };
    let pairs = [
        (Some(&sidecar.deb_sha256), Some(&packages.image.sha256)),
        (
            sidecar.base_sha256.as_ref(),
            packages.config.as_ref().map(|part| &part.sha256),
        ),
    ];
    for (found, wanted) in pairs {
        match (found, wanted) {
            (Some(found), Some(wanted)) if found != wanted => {
                return Err(PinError::CachedDigest {
                    folder,
                    found: found.clone(),
                    wanted: wanted.clone(),
                });
            }
            // A cache of before did not remember it.
            (None, Some(_)) => return Ok(None),
            _ => {}
        }
    }
    Ok(Some((folder, sidecar)))
}

/// The reason for a kernel that is served no more.
fn not_served_reason(kernels: &[ServedKernel], selector: Selector) -> String {
    let now = match archive::select(kernels, selector) {
        Some(kernel) => format!(
            "for guest:debian-{selector} Debian now serves {} {}",
            kernel.image.name, kernel.image.version
        ),
        None => archive::not_served_reason(kernels, selector),
    };
    format!(
        "Debian serves that no more (older patch releases leave the archive as new ones arrive), and it is not cached here; {now}. To \
         go on with that, {MOVE}. Evidence of the old kernel that is in recorded/ can still be shown"
    )
}

/// The pin of a kernel that is served; `modules`: with its modules.
#[must_use]
pub fn new_pin(kernel: &ServedKernel, modules: bool) -> Pin {
    let part = |served: &ServedPackage| LockedPackage {
        package: served.name.clone(),
        version: served.version.clone(),
        size: served.size,
        sha256: served.sha256.clone(),
    };
    Pin::Packages(Box::new(Packages {
        release: kernel.release.clone(),
        image: part(&kernel.image),
        config: kernel.base.as_ref().map(part),
        modules: kernel.modules.as_ref().filter(|_| modules).map(part),
        debug_info: kernel.debug.as_ref().map(part),
    }))
}

fn package_of_lock(part: &LockedPackage) -> Package {
    Package {
        name: part.package.clone(),
        version: part.version.clone(),
    }
}

fn served_of_lock(part: &LockedPackage) -> ServedPackage {
    ServedPackage {
        name: part.package.clone(),
        version: part.version.clone(),
        size: part.size,
        sha256: part.sha256.clone(),
        depends: Vec::new(),
        origins: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::guest::cache::write_json;

    const R: &str = "7.3.4+deb13-cloud-amd64";

    fn part(name: &str, digit: &str) -> LockedPackage {
        LockedPackage {
            package: format!("{name}-{R}"),
            version: "7.3.4-1".into(),
            size: 1,
            sha256: digit.repeat(64),
        }
    }

    fn packages() -> Packages {
        Packages {
            release: R.into(),
            image: part("linux-binary", "a"),
            config: Some(part("linux-base", "b")),
            modules: None,
            debug_info: None,
        }
    }

    fn put(cache: &Cache, packages: &Packages, base: Option<&str>) {
        let package = package_of_lock(&packages.image);
        let lock = cache.lock(&|_| {}).unwrap();
        let scratch = cache.create_scratch(&lock).unwrap();
        let sidecar = Sidecar {
            package: package.clone(),
            release: R.into(),
            deb_sha256: packages.image.sha256.clone(),
            base_sha256: base.map(|digit| digit.repeat(64)),
            fetched: "t".into(),
        };
        write_json(&scratch.path().join("package.json"), &sidecar).unwrap();
        std::fs::write(scratch.path().join(format!("vmlinuz-{R}")), "x").unwrap();
        cache.publish(scratch, &package).unwrap();
    }

    /// Check that what is cached is used without asking anybody, if its digests are those of the lock, and refused if
    /// they are others.
    #[test]
    fn from_the_cache() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::new(folder.path().join("qed"));
        let source = KernelSource::Debian("7.3".parse().unwrap());
        let ask = |packages: &Packages| {
            let pin = Pin::Packages(Box::new(packages.clone()));
            find_pinned_kernel("guest:debian-7.3", &source, &pin, &cache, &|_| {})
        };
        put(&cache, &packages(), Some("b"));
        assert!(
            ask(&packages())
                .unwrap()
                .path
                .ends_with(format!("vmlinuz-{R}"))
        );
        for other in ["image", "config"] {
            let mut packages = packages();
            match other {
                "image" => packages.image.sha256 = "c".repeat(64),
                _ => packages.config.as_mut().unwrap().sha256 = "c".repeat(64),
            }
            let error = ask(&packages).unwrap_err().to_string();
            assert!(error.contains(&"c".repeat(64)), "{error}");
            assert!(
                error.contains("qed.lock") && error.contains("kernels update"),
                "{error}"
            );
        }
        put(&cache, &packages(), None);
        assert_eq!(
            find_cached(&packages(), &cache),
            Ok(None),
            "not known to be whole"
        );
    }

    /// Check that a pin of another series, of packages that do not belong together, or of another kind is refused.
    #[test]
    fn pins_that_do_not_fit() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::new(folder.path().to_owned());
        let refused = |source: &KernelSource, packages: Packages| {
            let pin = Pin::Packages(Box::new(packages));
            find_pinned_kernel("guest:x", source, &pin, &cache, &|_| {})
                .unwrap_err()
                .to_string()
        };
        let debian = |text: &str| KernelSource::Debian(text.parse().unwrap());
        assert!(refused(&debian("7.2"), packages()).contains("no kernel 7.2"));
        assert!(refused(&debian("7.3.5"), packages()).contains("no kernel 7.3.5"));
        let mut mixed = packages();
        mixed.config.as_mut().unwrap().package = "linux-base-7.2.1-cloud-amd64".into();
        assert!(refused(&debian("7.3"), mixed).contains("does not belong to kernel"));
        let mut base = packages();
        base.image
            .package
            .clone_from(&base.config.as_ref().unwrap().package);
        assert!(refused(&debian("7.3"), base).contains("no kernel 7.3"));
        assert!(refused(&KernelSource::Path("/x".into()), packages()).contains("another kind"));
    }

    /// Check that an image is compared with its digest.
    #[test]
    fn images() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::new(folder.path().join("qed"));
        let path = folder.path().join("vmlinuz");
        let mut bytes = vec![0; 0x400];
        bytes[0x202..0x206].copy_from_slice(b"HdrS");
        std::fs::write(&path, &bytes).unwrap();
        let sha256 = qed_programs::digest(&path).unwrap();
        let source = KernelSource::Path(path.clone());
        let pin = Pin::Image { sha256 };
        let ask = || find_pinned_kernel("guest:mine", &source, &pin, &cache, &|_| {});
        assert_eq!(ask().unwrap().path, path);
        bytes[0] = 1;
        std::fs::write(&path, &bytes).unwrap();
        let error = ask().unwrap_err().to_string();
        assert!(
            error.contains("has SHA-256") && error.contains("on purpose"),
            "{error}"
        );
    }

    /// Check that a kernel which left the archive is told with what is served instead and how to move on.
    #[test]
    fn left_the_archive() {
        let kernel = |minor: u32| ServedKernel {
            series: crate::guest::source::Series { major: 7, minor },
            patch: 9,
            release: R.into(),
            image: ServedPackage {
                name: "linux-binary-x".into(),
                version: format!("7.{minor}.9-1"),
                ..ServedPackage::default()
            },
            base: None,
            modules: None,
            debug: None,
        };
        let report = |text: &str| not_served_reason(&[kernel(2), kernel(3)], text.parse().unwrap());
        assert!(report("7.3").contains("now serves linux-binary-x 7.3.9-1"));
        assert!(
            report("7.3.4").contains("it serves 7.3.9"),
            "{}",
            report("7.3.4")
        );
        assert!(report("7.3").contains("`qed-collector kernels update --book BOOK`"));
    }
}

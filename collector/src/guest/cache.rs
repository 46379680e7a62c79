//! Kernels kept in the user's cache folder.
//!
//! ```text
//! ~/.cache/qed/lock
//!             /kvm.json                  why KVM was given up, for one boot of this host
//!             /apt/archive/…             a private state of apt: lists of all suites, unfinished downloads; of arm64 `archive-arm64`
//!             /kernels/served.json       when the archive was last asked, and which kernels it serves; of arm64 `served-arm64.json`
//!             /kernels/PACKAGE_VERSION/  vmlinuz-RELEASE config-RELEASE modules.builtin-RELEASE package.json, or
//!                                        vmlinux-RELEASE System.map-RELEASE
//!             /kernels/PACKAGE_VERSION.modules/  the modules of that kernel, once an experiment wanted one, and the package that they
//!                                        came from
//! ```
//! A folder appears by one rename, so that it is whole or absent.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use qed_programs::atomic::{PRIVATE, replace_folder, write_atomically};
use serde::{Deserialize, Serialize};

use super::GuestError;
use super::archive::{self, Package, ServedKernel, ServedPackage};
use super::source::Selector;
use super::version::compare;
use crate::arch::Arch;

/// The sidecar of an unpacked package.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sidecar {
    /// Name and version.
    #[serde(flatten)]
    pub package: Package,
    /// The kernel's release, e.g. `6.1.0-56-cloud-amd64`.
    pub release: String,
    /// SHA-256 of the `.deb`, hex.
    pub deb_sha256: String,
    /// SHA-256 of the `.deb` with the configuration, hex, where that is another package.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base_sha256: Option<String>,
    /// The time at which it was fetched, RFC 3339.
    pub fetched: String,
}

/// The kernels that the archive serves, and when it was asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServedKernels {
    /// Seconds since 1970.
    pub at: u64,
    /// The kernels, the oldest first.
    pub kernels: Vec<ServedKernel>,
    /// The reason why they may not be all, or not the newest: not every list could be fetched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub complaint: Option<String>,
}

/// Time for which a whole answer of the archive is good.
const ASK_EVERY: Duration = Duration::from_secs(24 * 3600);

/// Time for which an answer is good that is not whole: so long, a sweep does not wait for a dead network at each of its kernels.
const ASK_AGAIN: Duration = Duration::from_secs(10 * 60);

impl ServedKernels {
    /// True if the archive need not be asked again: it was within a day, or within ten minutes if the answer was not whole. An answer from
    /// the future (a clock set back) is not fresh.
    #[must_use]
    pub fn is_fresh(&self, now: SystemTime) -> bool {
        let limit = match self.complaint {
            None => ASK_EVERY,
            Some(_) => ASK_AGAIN,
        };
        let now = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        now.checked_sub(self.at)
            .is_some_and(|age| age < limit.as_secs())
    }
}

/// The cache folder.
#[derive(Debug, Clone)]
pub struct Cache {
    root: PathBuf,
}

impl Cache {
    /// The cache of this user, in [`qed_programs::cache_folder`].
    ///
    /// # Errors
    /// When there is no such folder.
    pub fn for_user() -> Result<Self, GuestError> {
        let root = qed_programs::cache_folder().ok_or(GuestError::NoCache)?;
        Ok(Self { root })
    }

    /// A cache in a folder of the caller's choice.
    #[must_use]
    pub fn new(root: PathBuf) -> Self {
        Self { root }
    }

    /// The cache folder itself.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The folder of unpacked packages.
    #[must_use]
    pub fn kernels_folder(&self) -> PathBuf {
        self.root.join("kernels")
    }

    /// Wait for, and take, the lock that everything which changes the cache holds. It ends when the
    /// file is dropped, or its process dies.
    ///
    /// # Errors
    /// When the folder cannot be made or locked.
    pub fn lock(&self, progress: &dyn Fn(&str)) -> Result<File, GuestError> {
        fs::create_dir_all(self.kernels_folder())
            .map_err(GuestError::io("make the folder", &self.kernels_folder()))?;
        let path = self.root.join("lock");
        let file = File::create(&path).map_err(GuestError::io("open the lock", &path))?;
        if file.try_lock().is_err() {
            progress("waiting for another collector that is fetching a kernel");
            file.lock().map_err(GuestError::io("lock", &path))?;
        }
        Ok(file)
    }

    /// A new, empty folder that [`Cache::publish`] gives its name. Left-overs of killed runs are removed;
    /// the caller holds the lock.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn create_scratch(&self, _lock: &File) -> Result<tempfile::TempDir, GuestError> {
        let kernels = self.kernels_folder();
        for entry in fs::read_dir(&kernels).into_iter().flatten().flatten() {
            if entry.file_name().to_string_lossy().starts_with(".tmp") {
                // What cannot be removed is only lost space.
                let _ = fs::remove_dir_all(entry.path());
            }
        }
        let new = tempfile::Builder::new().prefix(".tmp").tempdir_in(&kernels);
        new.map_err(GuestError::io("make a folder in", &kernels))
    }

    /// Give a finished folder its name.
    ///
    /// # Errors
    /// When it cannot be renamed.
    pub fn publish(
        &self,
        scratch: tempfile::TempDir,
        package: &Package,
    ) -> Result<PathBuf, GuestError> {
        self.publish_as(scratch, self.kernels_folder().join(package.folder()))
    }

    /// The folder with the modules of the kernel in a package.
    #[must_use]
    pub fn modules_folder(&self, image: &Package) -> PathBuf {
        self.kernels_folder()
            .join(format!("{}.modules", image.folder()))
    }

    /// Give a finished folder with the modules of the kernel in a package its name.
    ///
    /// # Errors
    /// When it cannot be renamed.
    pub fn publish_modules(
        &self,
        scratch: tempfile::TempDir,
        image: &Package,
    ) -> Result<PathBuf, GuestError> {
        self.publish_as(scratch, self.modules_folder(image))
    }

    fn publish_as(
        &self,
        scratch: tempfile::TempDir,
        target: PathBuf,
    ) -> Result<PathBuf, GuestError> {
        // An incomplete entry may exist there, or modules of another package than the pinned one.
        replace_folder(scratch.path(), &target, None)
            .map_err(GuestError::io("rename the new folder to", &target))?;
        // Renamed away: nothing is left for the guard to remove.
        let _ = scratch.keep();
        Ok(target)
    }

    /// The sidecar of a package, when it is cached and complete.
    #[must_use]
    pub fn find(&self, package: &Package) -> Option<(PathBuf, Sidecar)> {
        let folder = self.kernels_folder().join(package.folder());
        let sidecar: Sidecar = read_json(&folder.join("package.json"))?;
        (sidecar.package == *package).then_some((folder, sidecar))
    }

    /// The newest cached kernel image that a selector means.
    #[must_use]
    pub fn newest_image(&self, selector: Selector) -> Option<(PathBuf, Sidecar)> {
        let images = self.packages().into_iter().filter(|cached| {
            let (_, sidecar) = cached;
            archive::holds_image(&sidecar.package)
                && archive::matches_selector(&sidecar.package, selector)
        });
        images.max_by(|(_, a), (_, b)| compare(&a.package.version, &b.package.version))
    }

    /// All cached packages that are complete, with their folders.
    #[must_use]
    pub fn packages(&self) -> Vec<(PathBuf, Sidecar)> {
        let folders = fs::read_dir(self.kernels_folder())
            .into_iter()
            .flatten()
            .flatten();
        let complete = folders.filter_map(|entry| {
            let folder = entry.path();
            let sidecar: Sidecar = read_json(&folder.join("package.json"))?;
            folder
                .ends_with(sidecar.package.folder())
                .then_some((folder, sidecar))
        });
        complete.collect()
    }

    /// The kernels of an architecture whose images are cached, the oldest first, as the archive served them once; sizes are 0, and nothing is known of
    /// packages that are not cached.
    #[must_use]
    pub fn cached_kernels(&self, arch: Arch) -> Vec<ServedKernel> {
        let packages = self.packages().into_iter();
        let packages = packages.filter(|(_, sidecar)| {
            let release = archive::release_of(&sidecar.package);
            release.and_then(Arch::of_release) == Some(arch)
        });
        let served: Vec<ServedPackage> = packages
            .map(|(_, sidecar)| ServedPackage {
                name: sidecar.package.name,
                version: sidecar.package.version,
                sha256: sidecar.deb_sha256,
                ..ServedPackage::default()
            })
            .collect();
        archive::find_kernels(&served)
    }

    /// The last answer of the archive about kernels of an architecture.
    #[must_use]
    pub fn served_kernels(&self, arch: Arch) -> Option<ServedKernels> {
        read_json(&self.served_file(arch))
    }

    fn served_file(&self, arch: Arch) -> PathBuf {
        self.kernels_folder().join(match arch {
            Arch::X86_64 => "served.json",
            Arch::Aarch64 => "served-arm64.json",
        })
    }

    /// Remember an answer of the archive about kernels of an architecture.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn set_served_kernels(
        &self,
        arch: Arch,
        kernels: &[ServedKernel],
        complaint: Option<&str>,
        now: SystemTime,
    ) -> Result<(), GuestError> {
        let served = ServedKernels {
            at: now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs(),
            kernels: kernels.to_vec(),
            complaint: complaint.map(str::to_owned),
        };
        write_json(&self.served_file(arch), &served)
    }
}

/// Read a JSON file of the cache; an absent or unreadable one is as good as none, for it can be made anew.
#[must_use]
pub fn read_json<T: serde::de::DeserializeOwned>(path: &Path) -> Option<T> {
    serde_json::from_slice(&fs::read(path).ok()?).ok()
}

/// Write a JSON file in one step.
///
/// # Errors
/// When it cannot be written.
pub fn write_json(path: &Path, value: &impl Serialize) -> Result<(), GuestError> {
    write_atomically(path, PRIVATE, |file| {
        let bytes = serde_json::to_vec_pretty(value)?;
        file.write_all(&bytes)
    })
    .map_err(GuestError::io("write", path))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(name: &str, version: &str) -> Package {
        Package {
            name: name.into(),
            version: version.into(),
        }
    }

    fn put(cache: &Cache, package: &Package) -> PathBuf {
        let lock = cache.lock(&|_| {}).unwrap();
        let scratch = cache.create_scratch(&lock).unwrap();
        let sidecar = Sidecar {
            package: package.clone(),
            release: "r".into(),
            deb_sha256: "0".into(),
            base_sha256: None,
            fetched: "t".into(),
        };
        write_json(&scratch.path().join("package.json"), &sidecar).unwrap();
        cache.publish(scratch, package).unwrap()
    }

    /// Check that the newest of a series is found, and only what is complete, and only by its own name.
    #[test]
    fn newest() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::new(folder.path().join("new/qed"));
        let find = |text: &str| {
            cache
                .newest_image(text.parse().unwrap())
                .map(|(_, s)| s.package)
        };
        assert_eq!(find("6.1"), None);
        let old = package("linux-image-6.1.0-9-cloud-amd64-unsigned", "6.1.27-1");
        let new = package("linux-image-6.1.0-56-cloud-amd64-unsigned", "6.1.192-2");
        let other = package(
            "linux-image-6.12.117+deb12-cloud-amd64-unsigned",
            "6.12.117-1",
        );
        let debug = package("linux-image-6.1.0-99-cloud-amd64-dbg", "6.1.999-1");
        for each in [&new, &old, &other, &debug] {
            put(&cache, each);
        }
        fs::create_dir(
            cache
                .kernels_folder()
                .join("linux-image-6.1.0-77-cloud-amd64-unsigned_6.1.777-1"),
        )
        .unwrap();
        assert_eq!(find("6.1").as_ref(), Some(&new));
        assert_eq!(find("6.1.27").as_ref(), Some(&old));
        assert_eq!(find("newest").as_ref(), Some(&other));
        assert_eq!(find("6.12"), Some(other));
        assert!(cache.find(&old).is_some());
        let kernels = cache.cached_kernels(Arch::X86_64);
        let known: Vec<&str> = kernels.iter().map(|k| k.image.version.as_str()).collect();
        assert_eq!(known, ["6.1.27-1", "6.1.192-2", "6.12.117-1"]);
        let moved = cache
            .kernels_folder()
            .join("linux-image-6.1.0-88-cloud-amd64-unsigned_6.1.888-1");
        fs::rename(cache.kernels_folder().join(new.folder()), moved).unwrap();
        assert_eq!(find("6.1"), Some(old));
    }

    /// Check that a killed run's folder goes, and that an incomplete one is replaced.
    #[test]
    fn left_over() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::new(folder.path().to_owned());
        let wanted = package("linux-image-6.1.0-9-cloud-amd64-unsigned", "1:6.1.27-1");
        let stale = cache.kernels_folder().join(".tmpdead");
        fs::create_dir_all(&stale).unwrap();
        let target = cache
            .kernels_folder()
            .join("linux-image-6.1.0-9-cloud-amd64-unsigned_1%3a6.1.27-1");
        fs::create_dir_all(target.join("half")).unwrap();
        assert!(cache.find(&wanted).is_none());
        assert_eq!(put(&cache, &wanted), target);
        assert!(!stale.exists() && !target.join("half").exists());
        assert!(cache.find(&wanted).is_some());
    }

    /// Check that a second holder waits, and says so once.
    #[test]
    fn locked() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::new(folder.path().to_owned());
        let first = cache.lock(&|_| panic!("nobody holds it")).unwrap();
        let waiting = std::sync::atomic::AtomicUsize::new(0);
        std::thread::scope(|scope| {
            let second = scope.spawn(|| {
                cache.lock(&|_| {
                    waiting.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
                })
            });
            while waiting.load(std::sync::atomic::Ordering::SeqCst) == 0 {
                std::thread::yield_now();
            }
            assert!(!second.is_finished());
            drop(first);
            second.join().unwrap().unwrap();
        });
        assert_eq!(waiting.into_inner(), 1);
    }

    /// Check that an answer ages, one that is not whole sooner, and that one from the future is not believed.
    #[test]
    fn served() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::new(folder.path().to_owned());
        assert_eq!(cache.served_kernels(Arch::X86_64), None);
        drop(cache.lock(&|_| {}).unwrap());
        let at = |seconds| UNIX_EPOCH + Duration::from_secs(seconds);
        for (complaint, limit) in [(None, 86_400), (Some("no network"), 600)] {
            cache
                .set_served_kernels(Arch::X86_64, &[], complaint, at(1000))
                .unwrap();
            let served = cache.served_kernels(Arch::X86_64).unwrap();
            let fresh = |seconds| served.is_fresh(at(seconds));
            assert!(fresh(1000) && fresh(999 + limit));
            assert!(!fresh(1000 + limit) && !fresh(999));
        }
    }
}

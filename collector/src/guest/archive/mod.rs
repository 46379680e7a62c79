//! The kernels that Debian's archive serves, from what `apt-cache show` prints. No I/O.
//!
//! A kernel is spread over packages, and differently in each generation:
//!
//! | series | image | configuration | modules | debug information |
//! | --- | --- | --- | --- | --- |
//! | 6.1 to 6.18 | `linux-image-R`, `linux-image-R-unsigned` | in the image package | in the image package | `linux-image-R-dbg`, not of all |
//! | 6.19 to 7.1 | `linux-binary-R` | `linux-base-R` | `linux-modules-R` | not served |
//! | from 7.2 | `linux-binary-R`, `linux-binary-unsigned-R` | `linux-base-R` | `linux-modules-R` | `linux-image-R-dbg` |
//!
//! `linux-image-R` without an image of its own depends on the package that has it; so do metapackages such as
//! `linux-image-6.12-cloud-amd64`.

mod control;
pub mod layout;
pub mod mirror;
mod package;

use std::collections::BTreeMap;

use super::source::{Selector, Series, VersionSelector};
use super::version::compare;
use crate::arch::Arch;
pub use control::{ServedPackage, add_origins, parse};
pub use package::Package;

/// One kernel that the archive serves.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct ServedKernel {
    /// Series of the upstream kernel.
    pub series: Series,
    /// Patch release of the upstream kernel: 192 of `6.1.192`.
    pub patch: u32,
    /// Its release, as `uname -r` prints it, e.g. `6.1.0-56-cloud-amd64`.
    pub release: String,
    /// The package with the compressed image.
    pub image: ServedPackage,
    /// The package with the configuration, where that is another one.
    pub base: Option<ServedPackage>,
    /// The package with the modules, where that is another one. Lists that were fetched by earlier versions do not name it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub modules: Option<ServedPackage>,
    /// The package with the debug information, where one is served.
    pub debug: Option<ServedPackage>,
}

/// The kernels that guests boot, before their architecture: small, and without drivers for hardware that a guest does not have.
const FLAVOUR: &str = "-cloud-";

/// The beginning of the name of a package with modules alone.
const MODULES: &str = "linux-modules-";

/// The package that holds the modules of a kernel of this release alone, since 6.19.
#[must_use]
pub fn modules_package(release: &str) -> String {
    format!("{MODULES}{release}")
}

/// The part of a kernel that a package holds, by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Role {
    /// An image whose signature has been left off; preferred, because its debug information comes from the same source.
    Unsigned,
    /// An image with a signature for secure boot.
    Signed,
    /// Configuration and module lists.
    Base,
    /// Modules.
    Modules,
    /// Debug information.
    Debug,
}

/// True if a package can hold a part of a kernel of this flavour.
#[must_use]
pub fn is_candidate(name: &str) -> bool {
    parse_role(name).is_some()
}

/// The release and the role that a package's name says.
fn parse_role(name: &str) -> Option<(&str, Role)> {
    let of_flavour = |release: &&str| {
        let before = Arch::of_release(release).and_then(|arch| release.strip_suffix(arch.debian()));
        before.is_some_and(|before| before.ends_with(FLAVOUR))
            && release.starts_with(|c: char| c.is_ascii_digit())
    };
    let (release, role) = if let Some(rest) = name.strip_prefix("linux-binary-unsigned-") {
        (rest, Role::Unsigned)
    } else if let Some(rest) = name.strip_prefix("linux-binary-") {
        (rest, Role::Signed)
    } else if let Some(rest) = name.strip_prefix("linux-base-") {
        (rest, Role::Base)
    } else if let Some(rest) = name.strip_prefix(MODULES) {
        (rest, Role::Modules)
    } else {
        let rest = name.strip_prefix("linux-image-")?;
        match (rest.strip_suffix("-unsigned"), rest.strip_suffix("-dbg")) {
            (Some(release), _) => (release, Role::Unsigned),
            (_, Some(release)) => (release, Role::Debug),
            _ => (rest, Role::Signed),
        }
    };
    Some((release, role)).filter(|(release, _)| of_flavour(release))
}

/// Series and patch release of a package version such as `6.1.192-2` or `1:7.3-1`; `None` for a release candidate.
#[must_use]
pub fn parse_upstream_version(version: &str) -> Option<(Series, u32)> {
    let version = version.split_once(':').map_or(version, |(_, rest)| rest);
    let upstream = version
        .split_once('-')
        .map_or(version, |(upstream, _)| upstream);
    let mut numbers = upstream.split('.').map(str::parse::<u32>);
    let (major, minor) = (numbers.next()?.ok()?, numbers.next()?.ok()?);
    let patch = match numbers.next() {
        None => 0,
        Some(patch) => patch.ok()?,
    };
    numbers
        .next()
        .is_none()
        .then_some((Series { major, minor }, patch))
}

/// True if a package with an image can hold the kernel's modules, too. What is called `linux-binary-…` holds an image and nothing
/// else.
#[must_use]
pub fn holds_modules(package: &Package) -> bool {
    package.name.starts_with("linux-image-")
}

/// True if a package is one that holds an image.
#[must_use]
pub fn holds_image(package: &Package) -> bool {
    is_image(&package.name)
}

/// The release of the kernel that a package is a part of: what `uname -r` prints.
#[must_use]
pub fn release_of(package: &Package) -> Option<&str> {
    parse_role(&package.name).map(|(release, _)| release)
}

/// True if a package is of a kernel that `selector` can mean.
#[must_use]
pub fn matches_selector(package: &Package, selector: Selector) -> bool {
    let arch = release_of(package).and_then(Arch::of_release);
    arch == Some(selector.arch)
        && parse_upstream_version(&package.version)
            .is_some_and(|version| matches(selector.version, version))
}

fn matches(selector: VersionSelector, version: (Series, u32)) -> bool {
    match selector {
        VersionSelector::Series(series) => version.0 == series,
        VersionSelector::Release(series, patch) => version == (series, patch),
        VersionSelector::Newest => true,
    }
}

/// The kernels among these packages, the oldest first. Metapackages and release candidates are left out.
#[must_use]
pub fn find_kernels(served: &[ServedPackage]) -> Vec<ServedKernel> {
    let mut by_release: BTreeMap<&str, BTreeMap<Role, &ServedPackage>> = BTreeMap::new();
    for package in served {
        let Some((release, role)) = parse_role(&package.name) else {
            continue;
        };
        if matches!(role, Role::Signed | Role::Unsigned) && package.depends_on(is_image) {
            continue;
        }
        let newest = by_release.entry(release).or_default().entry(role);
        newest
            .and_modify(|known| {
                if compare(&package.version, &known.version).is_gt() {
                    *known = package;
                }
            })
            .or_insert(package);
    }
    let mut kernels: Vec<ServedKernel> = by_release
        .into_iter()
        .filter_map(|(release, parts)| kernel_from_parts(release, &parts))
        .collect();
    sort_kernels(&mut kernels);
    kernels
}

/// Kernels of an answer that is not whole, and those of the answer before whose release is not among them.
#[must_use]
pub fn merge_previous(
    mut kernels: Vec<ServedKernel>,
    before: Vec<ServedKernel>,
) -> Vec<ServedKernel> {
    for old in before {
        if kernels.iter().all(|new| new.release != old.release) {
            kernels.push(old);
        }
    }
    sort_kernels(&mut kernels);
    kernels
}

/// Sort, the oldest first.
fn sort_kernels(kernels: &mut [ServedKernel]) {
    kernels.sort_by(|a, b| {
        (a.series, a.patch)
            .cmp(&(b.series, b.patch))
            .then_with(|| compare(&a.image.version, &b.image.version))
    });
}

/// A dependency on the image of a kernel.
fn is_image(name: &str) -> bool {
    parse_role(name).is_some_and(|(_, role)| matches!(role, Role::Signed | Role::Unsigned))
}

fn kernel_from_parts(
    release: &str,
    parts: &BTreeMap<Role, &ServedPackage>,
) -> Option<ServedKernel> {
    let part = |role| parts.get(&role).map(|package| (*package).clone());
    let image = part(Role::Unsigned).or_else(|| part(Role::Signed))?;
    let (series, patch) = parse_upstream_version(&image.version)?;
    Some(ServedKernel {
        series,
        patch,
        release: release.to_owned(),
        image,
        base: part(Role::Base),
        modules: part(Role::Modules),
        debug: part(Role::Debug),
    })
}

/// The kernel that a selector means: the newest that fits.
#[must_use]
pub fn select(kernels: &[ServedKernel], selector: Selector) -> Option<&ServedKernel> {
    kernels.iter().rfind(|kernel| {
        Arch::of_release(&kernel.release) == Some(selector.arch)
            && matches(selector.version, (kernel.series, kernel.patch))
    })
}

/// The series that are served, each with its newest patch release, in words: `6.1 (6.1.192), 6.12 (6.12.117)`.
#[must_use]
pub fn format_series(kernels: &[ServedKernel]) -> String {
    let mut newest: BTreeMap<Series, u32> = BTreeMap::new();
    for kernel in kernels {
        newest.insert(kernel.series, kernel.patch);
    }
    let words: Vec<String> = newest
        .iter()
        .map(|(series, patch)| format!("{series} ({series}.{patch})"))
        .collect();
    words.join(", ")
}

/// The reason why a selector fits nothing that is served, with the nearest that does.
#[must_use]
pub fn not_served_reason(kernels: &[ServedKernel], selector: Selector) -> String {
    if kernels.is_empty() {
        return "the package lists name no kernel".into();
    }
    let all = format_series(kernels);
    let near = match selector.version {
        VersionSelector::Release(series, _) => {
            let patches: Vec<String> = kernels
                .iter()
                .filter(|kernel| kernel.series == series)
                .map(|kernel| format!("{series}.{}", kernel.patch))
                .collect();
            if patches.is_empty() {
                nearest_series(kernels, series)
            } else {
                format!(
                    "older patch releases leave the archive as new ones arrive; of {series} it serves {}",
                    patches.join(", ")
                )
            }
        }
        VersionSelector::Series(series) => nearest_series(kernels, series),
        VersionSelector::Newest => String::new(),
    };
    format!("Debian serves no kernel {selector}; {near}. Series that are served: {all}")
}

/// The series next to one that is not served.
fn nearest_series(kernels: &[ServedKernel], wanted: Series) -> String {
    let distance = |series: &Series| {
        (
            series.major.abs_diff(wanted.major),
            series.minor.abs_diff(wanted.minor),
        )
    };
    let near = kernels
        .iter()
        .map(|kernel| kernel.series)
        .min_by_key(distance);
    near.map_or_else(String::new, |series| {
        format!("the nearest series is {series}")
    })
}

#[cfg(test)]
mod tests;

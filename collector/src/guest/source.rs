//! The kernel of a guest: the part after `guest:` of a machine's name.

use std::fmt;
use std::path::PathBuf;

use crate::arch::Arch;

/// The kernel to boot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KernelSource {
    /// A cloud kernel that Debian serves.
    Debian(Selector),
    /// A compressed kernel image on this machine.
    Path(PathBuf),
}

/// A choice among the kernels that Debian serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Selector {
    /// The version.
    pub version: VersionSelector,
    /// The architecture. A name without one means x86-64 on every machine, so that it means the same everywhere.
    pub arch: Arch,
}

/// A choice among the versions that Debian serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum VersionSelector {
    /// The newest patch release of a series: `6.12`.
    Series(Series),
    /// One patch release of the upstream kernel: `7.3.4`.
    Release(Series, u32),
    /// The newest patch release of the newest series.
    Newest,
}

/// A series of the upstream kernel.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
pub struct Series {
    /// 6 of `6.12`.
    pub major: u32,
    /// 12 of `6.12`.
    pub minor: u32,
}

impl fmt::Display for Series {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

impl fmt::Display for VersionSelector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Series(series) => write!(f, "{series}"),
            Self::Release(series, patch) => write!(f, "{series}.{patch}"),
            Self::Newest => f.write_str("newest"),
        }
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.arch {
            Arch::X86_64 => write!(f, "{}", self.version),
            arch => write!(f, "{}-{}", self.version, arch.debian()),
        }
    }
}

impl std::str::FromStr for Selector {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const PLAIN: &str = "a kernel for x86-64 is named without its architecture";
        let (version, arch) = match text.rsplit_once('-') {
            Some((_, "amd64")) => return Err(PLAIN),
            Some((version, "arm64")) => (version, Arch::Aarch64),
            _ => (text, Arch::X86_64),
        };
        let version = version.parse()?;
        Ok(Self { version, arch })
    }
}

impl std::str::FromStr for VersionSelector {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const FORM: &str = "a Debian kernel is a series (6.12), a release (6.12.117) or `newest`, for arm64 with `-arm64` behind it";
        if text == "newest" {
            return Ok(Self::Newest);
        }
        let number = |s: &str| -> Option<u32> {
            let plain = !s.is_empty() && s.len() <= 5 && s.bytes().all(|b| b.is_ascii_digit());
            plain.then(|| s.parse().ok()).flatten()
        };
        let numbers: Option<Vec<u32>> = text.split('.').map(number).collect();
        match numbers.as_deref() {
            Some([major, minor]) => Ok(Self::Series(Series {
                major: *major,
                minor: *minor,
            })),
            Some([major, minor, patch]) => Ok(Self::Release(
                Series {
                    major: *major,
                    minor: *minor,
                },
                *patch,
            )),
            _ => Err(FORM),
        }
    }
}

/// A name that does not denote a guest.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error(
    "unknown guest `guest:{name}`: {reason}; write guest:debian-SERIES (guest:debian-6.12, guest:debian-6.12-arm64), \
     guest:debian-RELEASE (guest:debian-6.12.117), guest:debian-newest or guest:PATH-TO-VMLINUZ. `qed-collector kernels` lists what Debian serves"
)]
pub struct SourceError {
    name: String,
    reason: &'static str,
}

impl KernelSource {
    /// The architecture, where the name says it: of an image, its content does.
    #[must_use]
    pub fn arch(&self) -> Option<Arch> {
        match self {
            Self::Debian(selector) => Some(selector.arch),
            Self::Path(_) => None,
        }
    }

    /// Parse `debian-6.1`, `debian-7.3.4`, `debian-newest` or `debian-7.3-arm64`.
    ///
    /// # Errors
    /// When it is the name of no distribution's kernel.
    pub fn parse(name: &str) -> Result<Self, SourceError> {
        let bad = |reason| SourceError {
            name: name.to_owned(),
            reason,
        };
        let Some(selector) = name.strip_prefix("debian-") else {
            return Err(bad(
                "it is neither a known distribution nor a path with a `/`",
            ));
        };
        selector.parse().map(Self::Debian).map_err(bad)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Check each form of a name, that it prints as it was written, and that a word in an apt pattern's clothes is
    /// refused.
    #[test]
    fn forms() {
        let series = Series {
            major: 6,
            minor: 12,
        };
        let of = |version, arch| Selector { version, arch };
        let x86 = |version| of(version, Arch::X86_64);
        let arm = |version| of(version, Arch::Aarch64);
        for (name, selector) in [
            ("debian-6.12", x86(VersionSelector::Series(series))),
            (
                "debian-6.12.117",
                x86(VersionSelector::Release(series, 117)),
            ),
            ("debian-newest", x86(VersionSelector::Newest)),
            ("debian-6.12-arm64", arm(VersionSelector::Series(series))),
            (
                "debian-6.12.117-arm64",
                arm(VersionSelector::Release(series, 117)),
            ),
            ("debian-newest-arm64", arm(VersionSelector::Newest)),
        ] {
            assert_eq!(
                KernelSource::parse(name),
                Ok(KernelSource::Debian(selector))
            );
            assert_eq!(format!("debian-{selector}"), name);
        }
        for bad in [
            "debian-6",
            "debian-6.1.3.4",
            "debian-6.*",
            "debian-6.1-amd64",
            "debian-6.1-riscv64",
            "debian--arm64",
            "debian-6.1rc1",
            "debian-oldest",
            "fedora-6.1",
            "vmlinuz",
            "",
            "debian-6.",
            "debian-123456.1",
        ] {
            assert!(KernelSource::parse(bad).is_err(), "{bad}");
        }
    }
}

//! The kernel of a guest: the part after `guest:` of a machine's name.

use std::fmt;
use std::path::PathBuf;

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
pub enum Selector {
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

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Series(series) => write!(f, "{series}"),
            Self::Release(series, patch) => write!(f, "{series}.{patch}"),
            Self::Newest => f.write_str("newest"),
        }
    }
}

impl std::str::FromStr for Selector {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const FORM: &str = "a Debian kernel is a series (6.12), a release (6.12.117) or `newest`";
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
    "unknown guest `guest:{name}`: {reason}; write guest:debian-SERIES (guest:debian-6.12), guest:debian-RELEASE (guest:debian-6.12.117), \
     guest:debian-newest or guest:PATH-TO-VMLINUZ. `qed-collector kernels` lists what Debian serves"
)]
pub struct SourceError {
    name: String,
    reason: &'static str,
}

impl KernelSource {
    /// Parse `debian-6.1`, `debian-7.3.4` or `debian-newest`.
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
        for (name, selector) in [
            ("debian-6.12", Selector::Series(series)),
            ("debian-6.12.117", Selector::Release(series, 117)),
            ("debian-newest", Selector::Newest),
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
            "debian-6.1-arm64",
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

//! Which guest: the part after `guest:` of a machine's name.

use std::path::PathBuf;

/// What to boot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// The newest cloud kernel of a series that the distribution serves, e.g. `6.1`.
    Debian {
        /// `MAJOR.MINOR`.
        series: String,
    },
    /// A compressed kernel image on this machine.
    Path(PathBuf),
}

/// Why a name means no guest.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error(
    "`guest:{name}` names no guest: {reason}; write guest:debian-MAJOR.MINOR (such as guest:debian-6.1) or guest:PATH-TO-VMLINUZ"
)]
pub struct SourceError {
    name: String,
    reason: &'static str,
}

impl Source {
    /// Understand `debian-6.1`.
    ///
    /// # Errors
    /// When it is the name of no distribution's kernel.
    pub fn parse(name: &str) -> Result<Self, SourceError> {
        let bad = |reason| SourceError {
            name: name.to_owned(),
            reason,
        };
        let Some(series) = name.strip_prefix("debian-") else {
            return Err(bad(
                "it is neither a known distribution nor a path with a `/`",
            ));
        };
        let number =
            |s: &str| !s.is_empty() && s.len() <= 4 && s.bytes().all(|b| b.is_ascii_digit());
        match series.split_once('.') {
            Some((major, minor)) if number(major) && number(minor) => Ok(Self::Debian {
                series: series.to_owned(),
            }),
            _ => Err(bad("a series is two numbers, without the patch release")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Check the form, and that a word in an apt pattern's clothes is refused.
    #[test]
    fn forms() {
        assert_eq!(
            Source::parse("debian-6.12"),
            Ok(Source::Debian {
                series: "6.12".into()
            })
        );
        for bad in [
            "debian-6",
            "debian-6.1.3",
            "debian-6.*",
            "fedora-6.1",
            "vmlinuz",
            "",
            "debian-6.",
        ] {
            assert!(Source::parse(bad).is_err(), "{bad}");
        }
    }
}

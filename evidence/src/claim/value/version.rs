//! Kernel versions and their order.
//!
//! Own code: `semver` refuses what kernels call themselves (`6.6`, `6.1.0-56-amd64`), and would order what is behind the numbers, which
//! only a distribution can tell.

use std::cmp::Ordering;

use super::failure::Failure;

/// A kernel version, comparable number by number; a release candidate is below its release.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::claim) struct Version {
    numbers: [u64; 3],
    candidate: u64,
    /// The text, where it does not say which release of its series it is: distributions that count their own builds
    /// write `6.1.0-56` for all of 6.1.
    vague: Option<String>,
}

/// The order of two versions; a failure where one of them does not say.
pub(in crate::claim) fn compare_versions(a: &Version, b: &Version) -> Result<Ordering, Failure> {
    for (vague, other) in [(a, b), (b, a)] {
        if let Some(text) = &vague.vague
            && vague.numbers[..2] == other.numbers[..2]
            && (other.numbers[2] != 0 || other.candidate != u64::MAX)
            && vague != other
        {
            return Err(Failure::Missing(format!(
                "`{text}` does not say which release of {}.{} it is; `kernel.version` or `kernel.package` may",
                vague.numbers[0], vague.numbers[1]
            )));
        }
    }
    Ok((a.numbers, a.candidate).cmp(&(b.numbers, b.candidate)))
}

impl std::fmt::Display for Version {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let [major, minor, patch] = self.numbers;
        write!(f, "{major}.{minor}.{patch}")?;
        match self.candidate {
            u64::MAX => Ok(()),
            candidate => write!(f, "-rc{candidate}"),
        }
    }
}

impl Version {
    /// The three numbers and the release candidate, in an order in which a candidate is below its release.
    pub fn order(&self) -> ([u64; 3], u64) {
        (self.numbers, self.candidate)
    }

    /// Read `uname -r`. Linux itself always writes three numbers: a release with two, such as `7.4-cloud-amd64`, was given its name by a
    /// distribution, and says no more than its series.
    pub fn from_release(text: &str) -> Option<Self> {
        let version = Self::parse(text)?;
        let end = text.find(|c: char| !c.is_ascii_digit() && c != '.');
        let head = &text[..end.unwrap_or(text.len())];
        let counted = head.trim_end_matches('.').matches('.').count() < 2;
        Some(Version {
            vague: version.vague.or_else(|| counted.then(|| text.to_owned())),
            ..version
        })
    }

    /// True if the text does not say which release of its series it is.
    pub fn is_vague(&self) -> bool {
        self.vague.is_some()
    }

    /// True for a release candidate.
    pub fn is_candidate(&self) -> bool {
        self.candidate != u64::MAX
    }

    /// The third number: the patch release.
    pub fn patch(&self) -> u64 {
        self.numbers[2]
    }

    /// The upstream version that the version string of a kernel of Debian's states:
    /// ```text
    /// #1 SMP PREEMPT_DYNAMIC Debian 6.1.192-3 (2026-11-26)
    /// #1 SMP PREEMPT_DYNAMIC Debian 7.4~rc2-1~exp1 (2026-11-26)
    /// ```
    pub fn from_debian(text: &str) -> Option<Self> {
        let mut words = text.split_ascii_whitespace();
        words.find(|word| *word == "Debian")?;
        // Without what follows, the number may not be whole: the kernel cuts this text at 64 characters.
        let (upstream, _) = words.next()?.split_once('-')?;
        let (numbers, candidate) = match upstream.split_once("~rc") {
            Some((numbers, candidate)) => (numbers, Some(candidate)),
            None => (upstream, None),
        };
        let digits = |text: &str, more: &str| {
            !text.is_empty() && text.chars().all(|c| c.is_ascii_digit() || more.contains(c))
        };
        if !digits(numbers, ".") || numbers.ends_with('.') {
            return None;
        }
        match candidate {
            None => Version::parse(numbers),
            Some(candidate) if digits(candidate, "") => {
                Version::parse(&format!("{numbers}-rc{candidate}"))
            }
            Some(_) => None,
        }
    }

    /// The series: the first two numbers.
    pub fn series(&self) -> [u64; 2] {
        [self.numbers[0], self.numbers[1]]
    }

    /// Read `6.6`, `6.12.117+deb12-cloud-amd64`, `6.7-rc1`.
    pub fn parse(text: &str) -> Option<Self> {
        let end = text
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .unwrap_or(text.len());
        let (head, rest) = text.split_at(end);
        let mut numbers = [0; 3];
        let mut count = 0;
        for part in head.trim_end_matches('.').split('.') {
            // Of no release: `6.01` could be 6.1 or 6.10 with a slip of the finger.
            if part.len() > 1 && part.starts_with('0') {
                return None;
            }
            *numbers.get_mut(count)? = part.parse().ok()?;
            count += 1;
        }
        let candidate = match rest.strip_prefix("-rc") {
            Some(rest) => {
                let digits =
                    rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
                rest[..digits].parse().ok()?
            }
            None => u64::MAX,
        };
        let counted = rest.strip_prefix('-').and_then(|rest| rest.bytes().next());
        let vague = (count == 3 && numbers[2] == 0 && counted.is_some_and(|b| b.is_ascii_digit()))
            .then(|| text.to_owned());
        (count >= 2).then_some(Version {
            numbers,
            candidate,
            vague,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Check that Debian's version strings state the upstream version, and that others, or what was cut off, state none.
    #[test]
    fn version_strings() {
        let stated = |text: &str| Version::from_debian(text).map(|version| version.order());
        for (text, version) in [
            (
                "#1 SMP PREEMPT_DYNAMIC Debian 6.1.192-3 (2026-11-26)",
                Some("6.1.192"),
            ),
            (
                "#1 SMP PREEMPT_RT Debian 7.3.4-1~bpo13+1 (2026-11-15)",
                Some("7.3.4"),
            ),
            ("#1 SMP Debian 7.4~rc2-1~exp1 (2026-11-15)", Some("7.4-rc2")),
            ("#1 SMP Debian 7.0-1", Some("7.0")),
            ("#1 SMP Debian 6.1.19", None),
            ("#1 SMP Debian", None),
            ("#1 SMP Debian 6.1.-1", None),
            ("#1 SMP Debian 6.1.192~git-1", None),
            ("#1 SMP Debian 7.4~rc-1", None),
            ("#101-Ubuntu SMP Tue Nov 14 13:30:08 UTC 2023", None),
            ("#1 SMP PREEMPT_DYNAMIC Wed Nov 26 2026", None),
            ("", None),
        ] {
            let version = version.map(|text| Version::parse(text).unwrap().order());
            assert_eq!(stated(text), version, "{text}");
        }
    }

    /// Check that versions compare by number, that a candidate is below its release, and that other text is none.
    #[test]
    fn versions() {
        let version = |text| Version::parse(text).unwrap();
        assert!(version("6.12") > version("6.6"));
        assert!(version("6.12.117+deb12-cloud-amd64") >= version("6.12.117"));
        assert!(version("6.1.0-56-cloud-amd64") < version("6.6"));
        assert!(version("6.7-rc3") < version("6.7"));
        assert!(version("6.7-rc10") > version("6.7-rc9"));
        assert_eq!(version("6.6"), version("6.6.0"));
        for bad in [
            "",
            "6",
            "six",
            "6..1",
            "6.1.2.3",
            "99999999999999999999.1",
            "-rc1",
            "6.1-rc",
            "6.01",
            "06.1",
            "6.1.00",
        ] {
            assert_eq!(Version::parse(bad), None, "{bad}");
        }
    }
}

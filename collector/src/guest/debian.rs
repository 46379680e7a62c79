//! Debian's version order, and what `apt-cache` prints.

use std::cmp::Ordering;

/// A package and the version that `apt` would install.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Package {
    /// e.g. `linux-image-6.1.0-56-cloud-amd64-unsigned`
    pub name: String,
    /// e.g. `6.1.192-2`
    pub version: String,
}

impl Package {
    /// The kernel release inside, e.g. `6.1.0-56-cloud-amd64`.
    #[must_use]
    pub fn release(&self) -> Option<&str> {
        self.name
            .strip_prefix("linux-image-")?
            .strip_suffix("-unsigned")
    }

    /// The package with the debug information of this kernel image.
    #[must_use]
    pub fn debug(&self) -> Option<Self> {
        Some(Self {
            name: format!("linux-image-{}-dbg", self.release()?),
            version: self.version.clone(),
        })
    }

    /// A file name that is unique to name and version (an epoch's `:` as in apt's own archive names).
    #[must_use]
    pub fn folder(&self) -> String {
        format!("{}_{}", self.name, self.version.replace(':', "%3a"))
    }
}

/// The names among `pkgnames` (one a line, as `apt-cache pkgnames` prints) of a series' cloud kernels.
#[must_use]
pub fn kernel_packages(pkgnames: &str, series: &str) -> Vec<String> {
    let prefix = format!("linux-image-{series}.");
    let is_kernel = |n: &&str| n.starts_with(&prefix) && n.ends_with("-cloud-amd64-unsigned");
    pkgnames
        .lines()
        .map(str::trim)
        .filter(is_kernel)
        .map(str::to_owned)
        .collect()
}

/// The newest package in what `LC_ALL=C apt-cache policy NAME…` prints; those without a candidate, or
/// whose candidate only the local dpkg status knows, cannot be downloaded and do not count.
///
/// ```text
/// linux-image-6.1.0-56-cloud-amd64-unsigned:
///   Installed: (none)
///   Candidate: 6.1.192-2
///   Version table:
///      6.1.192-2 500
///         500 http://deb.debian.org/debian-security bookworm-security/main amd64 Packages
/// ```
#[must_use]
pub fn newest(policy: &str) -> Option<Package> {
    let mut best: Option<Package> = None;
    let mut name = None;
    let mut candidate: Option<Package> = None;
    let mut in_candidate = false;
    for line in policy.lines() {
        if !line.starts_with(' ') {
            name = line
                .strip_suffix(':')
                .map(|n| n.split(':').next().unwrap_or(n).to_owned());
            candidate = None;
            in_candidate = false;
            continue;
        }
        let words: Vec<&str> = line.split_whitespace().collect();
        match (words.as_slice(), &name) {
            (["Candidate:", version], Some(name)) if *version != "(none)" => {
                candidate = Some(Package {
                    name: name.clone(),
                    version: (*version).to_owned(),
                });
            }
            // A version line: ` *** 6.1.192-2 500` or `     6.1.192-2 500`.
            (["***", version, _] | [version, _], _) if indent(line) <= 5 => {
                in_candidate = candidate.as_ref().is_some_and(|c| c.version == *version);
            }
            // A place that serves it: `        500 http://… Packages`.
            ([_, place, ..], _) if in_candidate && *place != "/var/lib/dpkg/status" => {
                if let Some(found) = candidate.take()
                    && best
                        .as_ref()
                        .is_none_or(|b| compare(&found.version, &b.version).is_gt())
                {
                    best = Some(found);
                }
            }
            _ => {}
        }
    }
    best
}

fn indent(line: &str) -> usize {
    line.len() - line.trim_start().len()
}

/// `dpkg --compare-versions` (deb-version(7)): epoch, upstream version, revision.
#[must_use]
pub fn compare(a: &str, b: &str) -> Ordering {
    let (a, b) = (split(a), split(b));
    compare_part(a.0, b.0)
        .then_with(|| compare_part(a.1, b.1))
        .then_with(|| compare_part(a.2, b.2))
}

fn split(version: &str) -> (&str, &str, &str) {
    let (epoch, rest) = version.split_once(':').unwrap_or(("0", version));
    let (upstream, revision) = rest.rsplit_once('-').unwrap_or((rest, ""));
    (epoch, upstream, revision)
}

/// Alternate runs of non-digits and of digits; `~` sorts before everything, even the end, then letters,
/// then all else.
fn compare_part(a: &str, b: &str) -> Ordering {
    let (mut a, mut b) = (a.as_bytes(), b.as_bytes());
    while !a.is_empty() || !b.is_empty() {
        let (word_a, rest_a) = run(a, |c| !c.is_ascii_digit());
        let (word_b, rest_b) = run(b, |c| !c.is_ascii_digit());
        for at in 0..word_a.len().max(word_b.len()) {
            let order = weight(word_a.get(at)).cmp(&weight(word_b.get(at)));
            if order.is_ne() {
                return order;
            }
        }
        let (number_a, rest_a) = run(rest_a, u8::is_ascii_digit);
        let (number_b, rest_b) = run(rest_b, u8::is_ascii_digit);
        let (number_a, number_b) = (significant(number_a), significant(number_b));
        let order = number_a
            .len()
            .cmp(&number_b.len())
            .then_with(|| number_a.cmp(number_b));
        if order.is_ne() {
            return order;
        }
        (a, b) = (rest_a, rest_b);
    }
    Ordering::Equal
}

fn run(text: &[u8], of: impl Fn(&u8) -> bool) -> (&[u8], &[u8]) {
    text.split_at(text.iter().position(|c| !of(c)).unwrap_or(text.len()))
}

fn significant(digits: &[u8]) -> &[u8] {
    &digits[digits
        .iter()
        .position(|&d| d != b'0')
        .unwrap_or(digits.len())..]
}

fn weight(c: Option<&u8>) -> i32 {
    match c {
        Some(b'~') => -1,
        None => 0,
        Some(c) if c.is_ascii_alphabetic() => i32::from(*c),
        Some(c) => i32::from(*c) + 256,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Ordering::{Equal, Greater, Less};

    /// Check the order against what `dpkg --compare-versions` (1.21) says of each pair.
    #[test]
    fn order() {
        for (a, b, expected) in [
            ("1.0", "1.0", Equal),
            ("1.0~rc1", "1.0", Less),
            ("6.1.192-2", "6.1.176-1", Greater),
            ("6.12.117-1~deb12u1", "6.12.117-1", Less),
            ("1:0.1", "2.0", Greater),
            ("1.0-1", "1.0", Greater),
            ("1.0a", "1.0+", Less),
            ("1.09", "1.9", Equal),
            ("6.12.100-1", "6.12.99-1", Greater),
            ("1.0~~", "1.0~", Less),
            ("1.0-1.1", "1.0-1", Greater),
            ("a", "b", Less),
        ] {
            assert_eq!(compare(a, b), expected, "{a} {b}");
            assert_eq!(compare(b, a), expected.reverse(), "{b} {a}");
        }
    }

    /// Check that a series takes neither its longer-named neighbour nor other flavours.
    #[test]
    fn names() {
        let printed = "linux-image-6.1.0-56-cloud-amd64-unsigned\nlinux-image-6.1.0-56-cloud-amd64\n\
            linux-image-6.1.0-56-rt-amd64-unsigned\nlinux-image-6.12.117+deb12-cloud-amd64-unsigned\n\
            linux-image-6.1.0-56-cloud-amd64-dbg\n";
        assert_eq!(
            kernel_packages(printed, "6.1"),
            ["linux-image-6.1.0-56-cloud-amd64-unsigned"]
        );
        assert_eq!(
            kernel_packages(printed, "6.12"),
            ["linux-image-6.12.117+deb12-cloud-amd64-unsigned"]
        );
    }

    /// Printed by apt-cache 2.6.1 on Debian 12, for a dpkg status file that says that 6.1.0-99, which no archive
    /// serves, and an older 6.1.0-50 are installed (its path here is the usual one).
    const POLICY: &str = "\
linux-image-6.1.0-50-cloud-amd64-unsigned:
  Installed: 6.1.100-1
  Candidate: 6.1.176-1
  Version table:
     6.1.176-1 500
        500 http://deb.debian.org/debian bookworm/main amd64 Packages
 *** 6.1.100-1 100
        100 /var/lib/dpkg/status
linux-image-6.1.0-99-cloud-amd64-unsigned:
  Installed: 6.1.999-1
  Candidate: 6.1.999-1
  Version table:
 *** 6.1.999-1 100
        100 /var/lib/dpkg/status
linux-image-6.1.0-56-cloud-amd64-unsigned:
  Installed: (none)
  Candidate: 6.1.192-2
  Version table:
     6.1.192-2 500
        500 http://deb.debian.org/debian-security bookworm-security/main amd64 Packages
linux-image-6.1.0-48-cloud-amd64-unsigned:
  Installed: (none)
  Candidate: (none)
  Version table:
linux-image-6.1.0-47-cloud-amd64-unsigned:
  Installed: (none)
  Candidate: 6.1.170-3
  Version table:
     6.1.170-3 500
        500 http://deb.debian.org/debian bookworm/main amd64 Packages
";

    /// Check that the newest candidate wins, whatever the order, and that what no archive serves does not count.
    #[test]
    fn newest_candidate() {
        let newest = newest(POLICY).unwrap();
        assert_eq!(newest.name, "linux-image-6.1.0-56-cloud-amd64-unsigned");
        assert_eq!(newest.version, "6.1.192-2");
        assert_eq!(newest.release(), Some("6.1.0-56-cloud-amd64"));
        assert_eq!(
            newest.debug().unwrap().name,
            "linux-image-6.1.0-56-cloud-amd64-dbg"
        );
        assert_eq!(newest.debug().unwrap().release(), None);
    }

    /// Check that an answer without any candidate is no package.
    #[test]
    fn none() {
        assert_eq!(super::newest(""), None);
        assert_eq!(
            super::newest("N: Unable to locate package linux-image-6.1-none-such\n"),
            None
        );
        assert_eq!(
            super::newest(
                "a:\n  Candidate: (none)\n  Version table:\n     1 -1\n        500 http://x y\n"
            ),
            None
        );
    }

    proptest::proptest! {
        /// Check that any two texts compare without failing, and the opposite way round when swapped.
        #[test]
        fn antisymmetric(a in "[0-9a-z.~+:-]{0,12}", b in "[0-9a-z.~+:-]{0,12}") {
            proptest::prop_assert_eq!(compare(&a, &b), compare(&b, &a).reverse());
        }
    }
}

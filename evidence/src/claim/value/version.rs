//! Kernel versions, and what is known of their order.
//!
//! Own code: `semver` refuses what kernels call themselves (`6.6`, `6.1.0-56-amd64`), and would order what is behind the numbers, which
//! only a distribution can tell.

use std::cmp::Ordering;

use super::failure::Failure;

/// The place of a version among others: three numbers, and the number of its release candidate, [`RELEASE`] if it is none.
type Order = ([u64; 3], u64);

/// In the place of the number of a release candidate: a release, which is above all its candidates.
const RELEASE: u64 = u64::MAX;

/// A kernel version, as far as its text says which one it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::claim) struct Version {
    order: Order,
    precision: Precision,
    /// The text without the numbers that have an order: `-57-cloud-amd64`, `+deb13-cloud-amd64`.
    build: String,
    text: String,
    /// An author wrote it, and no kernel.
    is_written: bool,
}

/// What the text of a version leaves open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Precision {
    /// Nothing: it is one release, or one candidate.
    Exact,
    /// An author wrote a series, `6.12`: its first release, or all of them.
    Series,
    /// A kernel's release that says no more than its series. Distributions that count their own builds write `6.1.0-56` for all of
    /// 6.1; others leave the third number away, which Linux itself always writes. `candidates`: it may be a candidate as well.
    Vague { candidates: bool },
}

/// A text of an author's that is not a version, or more than one.
#[derive(Debug, thiserror::Error)]
pub(in crate::claim) enum WrittenError {
    #[error("`{0}` is not a kernel version such as 6.12")]
    NoVersion(String),
    /// Behind the numbers there is more.
    #[error(
        "knows no order of what stands behind the numbers, and `{text}` says more than {version}"
    )]
    SaysMore {
        /// The text.
        text: String,
        /// The part of it that has an order.
        version: String,
    },
}

impl From<WrittenError> for Failure {
    fn from(error: WrittenError) -> Self {
        let message = error.to_string();
        match error {
            WrittenError::NoVersion(_) => Failure::value(message),
            WrittenError::SaysMore { text, version } => Failure::kinds(
                message,
                Some(format!(
                    "write `{version}`; builds of one version are told apart by their texts: `starts_with(kernel.release, '{text}')`"
                )),
            ),
        }
    }
}

/// The answer of a comparison of two versions, where each order that their texts leave open gives the same.
///
/// # Errors
/// They leave several open, and the answer depends on which it is.
pub(in crate::claim) fn test_versions(
    a: &Version,
    b: &Version,
    test: fn(Ordering) -> bool,
) -> Result<bool, Failure> {
    let possible = possible_orders(a, b);
    let is_true = possible.iter().any(|order| test(*order));
    let is_false = possible.iter().any(|order| !test(*order));
    match (is_true, is_false) {
        (true, true) => Err(undecided(a, b)),
        (is_true, _) => Ok(is_true),
    }
}

/// The order of two versions.
///
/// # Errors
/// They do not say.
pub(in crate::claim) fn compare_versions(a: &Version, b: &Version) -> Result<Ordering, Failure> {
    match possible_orders(a, b)[..] {
        [order] => Ok(order),
        _ => Err(undecided(a, b)),
    }
}

/// Every order that two versions may have: at least one.
fn possible_orders(a: &Version, b: &Version) -> Vec<Ordering> {
    if a == b {
        return vec![Ordering::Equal];
    }
    let ([a_first, a_last], [b_first, b_last]) = (a.range(), b.range());
    let both_exact = [a, b].iter().all(|one| one.precision == Precision::Exact);
    // What an author writes means all builds of that version.
    let measured = !a.is_written && !b.is_written;
    let builds_differ = both_exact && measured && a.order == b.order && a.build != b.build;
    let of_series = |series: &Version, one: &Version| {
        series.precision == Precision::Series
            && series.series() == one.series()
            && !one.is_candidate()
    };
    let less = a_first < b_last || builds_differ;
    let equal = a_first <= b_last && b_first <= a_last || of_series(a, b) || of_series(b, a);
    let greater = a_last > b_first || builds_differ;
    [
        (less, Ordering::Less),
        (equal, Ordering::Equal),
        (greater, Ordering::Greater),
    ]
    .into_iter()
    .filter_map(|(possible, order)| possible.then_some(order))
    .collect()
}

/// The failure of a comparison whose answer depends on what two versions leave open.
fn undecided(a: &Version, b: &Version) -> Failure {
    let [major, minor] = a.series();
    if let Some(vague) = [a, b].into_iter().find(|one| one.is_vague()) {
        return Failure::Missing(format!(
            "`{}` does not say which release of {major}.{minor} it is; `kernel.version` or `kernel.package` may",
            vague.text
        ));
    }
    for (series, other) in [(a, b), (b, a)] {
        if series.precision == Precision::Series {
            return Failure::kinds(
                format!(
                    "`{}` can be the series or its first release, and {other} is a later one: `>=` and `<` say the same of both, \
                     other comparisons do not",
                    series.text
                ),
                Some(format!(
                    "write `{major}.{minor}.0` for the release; for all of the series, compare with `>=` {major}.{minor} and `<` {major}.{}",
                    minor.saturating_add(1)
                )),
            );
        }
    }
    Failure::Missing(format!(
        "`{}` and `{}` are builds of one version, {a}, and only their distribution knows in which order",
        a.text, b.text
    ))
}

impl std::fmt::Display for Version {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let ([major, minor, patch], candidate) = self.order;
        write!(f, "{major}.{minor}.{patch}")?;
        match candidate {
            RELEASE => Ok(()),
            candidate => write!(f, "-rc{candidate}"),
        }
    }
}

impl Version {
    /// The three numbers and the release candidate, in an order in which a candidate is below its release; where the text does not say
    /// which release of its series it is, those of the first.
    pub fn order(&self) -> ([u64; 3], u64) {
        self.order
    }

    /// The first and the last version that it can be.
    fn range(&self) -> [Order; 2] {
        let [major, minor] = self.series();
        match self.precision {
            Precision::Exact | Precision::Series => [self.order; 2],
            Precision::Vague { candidates } => {
                let first = if candidates { 0 } else { RELEASE };
                [
                    ([major, minor, 0], first),
                    ([major, minor, u64::MAX], RELEASE),
                ]
            }
        }
    }

    /// Read what a kernel says of itself, such as `uname -r`: `6.12.117+deb12-cloud-amd64`, `6.7.0-rc1`, `6.1.0-56-cloud-amd64`.
    pub fn measured(text: &str) -> Option<Self> {
        let (version, count) = Self::read(text)?;
        let counted = version.build.strip_prefix('-');
        let counted = counted.filter(|counted| counted.starts_with(|c: char| c.is_ascii_digit()));
        let precision = match counted {
            _ if version.is_candidate() => Precision::Exact,
            _ if count < 3 => Precision::Vague { candidates: true },
            Some(counted) if version.patch() == 0 => Precision::Vague {
                // Debian gives candidates the number 0.
                candidates: counted
                    .split(|c: char| !c.is_ascii_alphanumeric() && c != '.')
                    .next()
                    == Some("0"),
            },
            _ => Precision::Exact,
        };
        Some(Version {
            precision,
            ..version
        })
    }

    /// Read what an author writes: `6.6`, `6.12.117`, `6.7-rc1`.
    ///
    /// # Errors
    /// It is none, or says more than versions do.
    pub fn written(text: &str) -> Result<Self, WrittenError> {
        let read = Self::read(text).filter(|_| !text.contains("..") && !text.ends_with('.'));
        let (version, count) = read.ok_or_else(|| WrittenError::NoVersion(text.into()))?;
        if !version.build.is_empty() {
            let end = text.len() - version.build.len();
            return Err(WrittenError::SaysMore {
                text: text.into(),
                version: text[..end].trim_end_matches('.').into(),
            });
        }
        let precision = match count {
            2 if !version.is_candidate() => Precision::Series,
            _ => Precision::Exact,
        };
        Ok(Version {
            precision,
            is_written: true,
            ..version
        })
    }

    /// True if the text of a kernel does not say which release of its series it is.
    pub fn is_vague(&self) -> bool {
        matches!(self.precision, Precision::Vague { .. })
    }

    /// True for a release candidate.
    pub fn is_candidate(&self) -> bool {
        self.order.1 != RELEASE
    }

    /// The third number: the patch release.
    pub fn patch(&self) -> u64 {
        self.order.0[2]
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
            None => Version::written(numbers).ok(),
            Some(candidate) if digits(candidate, "") => {
                Version::written(&format!("{numbers}-rc{candidate}")).ok()
            }
            Some(_) => None,
        }
    }

    /// The series: the first two numbers.
    pub fn series(&self) -> [u64; 2] {
        [self.order.0[0], self.order.0[1]]
    }

    /// The numbers of a text, exact unless it is known to be less, and how many of them it states.
    fn read(text: &str) -> Option<(Self, usize)> {
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
        let (candidate, build) = match rest.strip_prefix("-rc") {
            Some(rest) => {
                let build = rest.trim_start_matches(|c: char| c.is_ascii_digit());
                let digits = &rest[..rest.len() - build.len()];
                (digits.parse().ok()?, build)
            }
            None => (RELEASE, rest),
        };
        let version = Version {
            order: (numbers, candidate),
            precision: Precision::Exact,
            build: build.into(),
            text: text.into(),
            is_written: false,
        };
        (count >= 2).then_some((version, count))
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
            let version = version.map(|text| Version::written(text).unwrap().order());
            assert_eq!(stated(text), version, "{text}");
        }
    }

    /// Check that versions compare by number, that a candidate is below its release, and that other text is none.
    #[test]
    fn versions() {
        let order = |text| Version::measured(text).unwrap().order();
        assert!(order("6.12") > order("6.6"));
        assert!(order("6.12.117+deb12-cloud-amd64") >= order("6.12.117"));
        assert!(order("6.1.0-56-cloud-amd64") < order("6.6"));
        assert!(order("6.7-rc3") < order("6.7"));
        assert!(order("6.7-rc10") > order("6.7-rc9"));
        assert_eq!(order("6.6"), order("6.6.0"));
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
            assert_eq!(Version::measured(bad), None, "{bad}");
            assert!(Version::written(bad).is_err(), "{bad}");
        }
    }

    /// Check which orders are possible between what a kernel says and what an author writes, and between what two kernels say: never
    /// fewer than the texts leave open.
    #[test]
    fn orders() {
        const ALL: &str = "<=>";
        let symbols = |orders: Vec<Ordering>| -> String {
            let symbol = |order| match order {
                Ordering::Less => '<',
                Ordering::Equal => '=',
                Ordering::Greater => '>',
            };
            orders.into_iter().map(symbol).collect()
        };
        for (measured, written, orders) in [
            ("6.12.118+deb13", "6.12.118", "="),
            ("6.12.118+deb13", "6.12.117", ">"),
            ("6.12.118", "6.12.119", "<"),
            // The series, or its first release.
            ("6.12.118", "6.12", "=>"),
            ("6.12.0", "6.12", "="),
            ("6.12.0-rc3", "6.12", "<"),
            ("6.12.118", "6.11", ">"),
            ("6.12.118", "6.13", "<"),
            ("6.12.0-rc3-mine", "6.12-rc3", "="),
            ("6.12.0-rc3", "6.12-rc4", "<"),
            // A distribution's own count.
            ("6.1.0-57-cloud-amd64", "6.1.0", "=>"),
            ("6.1.0-57-cloud-amd64", "6.1", "=>"),
            ("6.1.0-57-cloud-amd64", "6.1.192", ALL),
            ("6.1.0-57-cloud-amd64", "6.1-rc3", ">"),
            ("6.1.0-57-cloud-amd64", "6.2", "<"),
            ("6.1.0-0-amd64", "6.1", ALL),
            ("6.1.0-0.deb11.5-amd64", "6.1", "=>"),
            // No more than the series.
            ("7.4-cloud-amd64", "7.4", ALL),
            ("7.4-cloud-amd64", "7.4.1", ALL),
            ("7.4", "7.4.1", ALL),
            ("7.4-cloud-amd64", "7.3.9", ">"),
            ("7.4-rc2-amd64", "7.4-rc2", "="),
        ] {
            let (kernel, author) = (
                Version::measured(measured).unwrap(),
                Version::written(written).unwrap(),
            );
            let found = symbols(possible_orders(&kernel, &author));
            assert_eq!(found, orders, "{measured} {written}");
            let mut turned: Vec<Ordering> = possible_orders(&author, &kernel);
            turned.reverse();
            let turned = symbols(turned.into_iter().map(Ordering::reverse).collect());
            assert_eq!(turned, orders, "{written} {measured}");
        }
        for (a, b, orders) in [
            ("6.12.118+deb13", "6.12.118+deb13", "="),
            ("6.12.118+deb13", "6.12.118+deb12", ALL),
            ("6.12.118+deb13", "6.12.118", ALL),
            ("6.1.0-57", "6.1.0-57", "="),
            ("6.1.0-57", "6.1.0-58", ALL),
            ("6.1.0-57", "6.6.0-1", "<"),
        ] {
            let [one, other] = [a, b].map(|text| Version::measured(text).unwrap());
            assert_eq!(symbols(possible_orders(&one, &other)), orders, "{a} {b}");
        }
    }

    /// Check that an author's text that says more than a version is refused, with the part that has an order.
    #[test]
    fn written_texts_that_say_more() {
        for (text, version) in [
            ("6.1.0-58", "6.1.0"),
            ("6.12.118+deb99-foo", "6.12.118"),
            ("7.3.4x", "7.3.4"),
            ("6.7-rc1-mine", "6.7-rc1"),
            ("6.6-", "6.6"),
        ] {
            match Version::written(text) {
                Err(WrittenError::SaysMore { version: part, .. }) => assert_eq!(part, version),
                other => panic!("{text}: {other:?}"),
            }
        }
        assert!(matches!(
            Version::written("6.6."),
            Err(WrittenError::NoVersion(_))
        ));
    }
}

//! The kernels on which a claim holds: inside of the interval it has to be true, outside of it false.

use std::cmp::Ordering;
use std::fmt;

use crate::diagnostic::Diagnostic;
use crate::document::Kernel;

use super::parse::Expression;
use super::source_map::SourceMap;
use super::value::Version;

/// The place of a kernel release among others: three numbers, and the number of its release candidate.
pub type ReleaseOrder = ([u64; 3], u64);

/// The statements of a kernel about its version.
#[derive(Clone, Copy, Debug)]
pub struct KernelVersion<'k> {
    /// `uname -r`, such as `6.12.118+deb13-cloud-amd64`. Distributions that count their own builds write `6.1.0-56` for all
    /// releases of 6.1.
    pub release: &'k str,
    /// `uname -v`, in which Debian states the upstream version; `None`: not known.
    pub version: Option<&'k str>,
}

impl<'k> From<&'k Kernel> for KernelVersion<'k> {
    fn from(kernel: &'k Kernel) -> Self {
        Self {
            release: &kernel.release,
            version: Some(&kernel.version),
        }
    }
}

impl KernelVersion<'_> {
    /// The place of the kernel among others, as far as it says which release it is; `None` if its release is not a version, or
    /// contradicts what it says otherwise.
    pub fn order(self) -> Option<ReleaseOrder> {
        self.upstream().ok().map(|version| version.order())
    }

    /// The upstream version: the one that the version string states, or else that of the release.
    fn upstream(self) -> Result<Version, ReleaseError> {
        let wrong = || ReleaseError::Version(self.release.into());
        let release = Version::measured(self.release).ok_or_else(wrong)?;
        let Some(stated) = self.version.and_then(Version::from_debian) else {
            return Ok(release);
        };
        // A release candidate says exactly which one it is.
        let same = match release.is_candidate() {
            true => release.order() == stated.order(),
            false => {
                release.series() == stated.series()
                    && (release.patch() == 0 || release.patch() == stated.patch())
            }
        };
        match same {
            true => Ok(stated),
            false => Err(ReleaseError::Contradiction {
                release: self.release.into(),
                stated: stated.to_string(),
            }),
        }
    }
}

/// The release, and the upstream version where it does not say that.
impl fmt::Display for KernelVersion<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.release)?;
        match self.upstream() {
            Ok(stated)
                if Version::measured(self.release).is_some_and(|said| said.is_vague())
                    && !stated.is_vague() =>
            {
                write!(f, " ({stated})")
            }
            _ => Ok(()),
        }
    }
}

/// The text before the expression in its negation.
pub(super) const NOT: &str = "!(";

/// An interval of kernel versions, both ends included, and the expression that has to be true outside it.
#[derive(Clone, Debug)]
pub struct KernelInterval {
    text: String,
    from: Option<Bound>,
    to: Option<Bound>,
    pub(super) negation: Box<Expression>,
}

/// One end of an interval.
#[derive(Clone, Debug)]
struct Bound {
    version: Version,
    /// True if it names a series (`7.0`), with all of its patch releases, and not one release (`7.0.3`).
    series: bool,
}

impl KernelInterval {
    /// Parse `6.6..7.0`, `6.6..` or `..7.0` at `place`, for a claim with this expression. The errors point there, or into the
    /// expression.
    pub(super) fn parse(
        text: &str,
        place: &SourceMap,
        expression: &Expression,
    ) -> Result<Self, Vec<Diagnostic>> {
        let (from, to) = parse_interval(text).map_err(|error| {
            let help = "write the first and the last kernel version with `..` between them: `6.6..7.0`; one of them \
                        may be left out: `..7.0`, `6.6..`";
            vec![
                place
                    .error(&(0..text.len()), error.to_string())
                    .help(help),
            ]
        })?;
        let negated = format!("{NOT}{})", expression.text());
        let negation = Expression::parse(&negated, expression.place().with_prefix_len(NOT.len()))?;
        Ok(KernelInterval {
            text: text.to_owned(),
            from,
            to,
            negation: Box::new(negation),
        })
    }

    /// The interval as it is written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// True if this kernel is inside.
    ///
    /// # Errors
    /// [`ReleaseError`]: neither its release nor its version string says.
    pub(super) fn contains(&self, kernel: KernelVersion<'_>) -> Result<bool, ReleaseError> {
        let version = kernel.upstream()?;
        let compared = |bound: &Option<Bound>, outside: Ordering| match bound {
            None => Ok(true),
            Some(bound) => match bound.compare(&version) {
                Some(found) => Ok(found != outside),
                None => Err(ReleaseError::Vague {
                    release: kernel.release.into(),
                    series: version.series(),
                }),
            },
        };
        let from = compared(&self.from, Ordering::Less);
        let to = compared(&self.to, Ordering::Greater);
        match (from, to) {
            (Ok(false), _) | (_, Ok(false)) => Ok(false),
            (Err(reason), _) | (_, Err(reason)) => Err(reason),
            (Ok(true), Ok(true)) => Ok(true),
        }
    }
}

impl Bound {
    /// The order of a version and this bound, if the version is exact enough.
    fn compare(&self, version: &Version) -> Option<Ordering> {
        if self.series || version.series() != self.version.series() {
            return Some(version.series().cmp(&self.version.series()));
        }
        (!version.is_vague()).then(|| version.order().cmp(&self.version.order()))
    }
}

/// A text that is not an interval of kernel versions.
#[derive(Debug, thiserror::Error)]
enum IntervalError {
    #[error("`{0}` is not an interval of kernel versions")]
    Form(String),
    #[error("an interval without ends holds on every kernel")]
    Endless,
    #[error("the interval `{0}` is empty: its first version is above its last")]
    Empty(String),
    #[error("`{0}` is not a kernel version such as 7.0 or 7.0.3")]
    Version(String),
}

/// A kernel that does not say on which side of a bound it is.
#[derive(Debug, thiserror::Error)]
pub(super) enum ReleaseError {
    #[error("`{0}` is not a kernel version such as 6.12")]
    Version(String),
    /// Neither text says which release of its series it is.
    #[error(
        "`{release}` does not say which release of {}.{} it is, and its version string (`uname -v`) states no version of Debian's", .series[0], .series[1]
    )]
    Vague {
        /// `uname -r`.
        release: String,
        /// The first two numbers.
        series: [u64; 2],
    },
    /// The two texts are of different kernels.
    #[error(
        "its release is `{release}`, and its version string (`uname -v`) states version {stated}"
    )]
    Contradiction {
        /// `uname -r`.
        release: String,
        /// The upstream version.
        stated: String,
    },
}

/// The ends of an interval.
fn parse_interval(text: &str) -> Result<(Option<Bound>, Option<Bound>), IntervalError> {
    let (from, to) = text
        .split_once("..")
        .ok_or_else(|| IntervalError::Form(text.into()))?;
    let (from, to) = (parse_bound(from)?, parse_bound(to)?);
    match (&from, &to) {
        (None, None) => Err(IntervalError::Endless),
        (Some(first), Some(last))
            if first.version.order() > last.version.order() && !first.is_in_series_of(last) =>
        {
            Err(IntervalError::Empty(text.into()))
        }
        _ => Ok((from, to)),
    }
}

impl Bound {
    /// True if this version belongs to the series that `other` names.
    fn is_in_series_of(&self, other: &Bound) -> bool {
        other.series && self.version.series() == other.version.series()
    }
}

/// One end.
fn parse_bound(text: &str) -> Result<Option<Bound>, IntervalError> {
    if text.is_empty() {
        return Ok(None);
    }
    let series = text.bytes().filter(|b| *b == b'.').count() == 1;
    match Version::written(text) {
        Ok(version) if !version.is_candidate() => Ok(Some(Bound { version, series })),
        _ => Err(IntervalError::Version(text.into())),
    }
}

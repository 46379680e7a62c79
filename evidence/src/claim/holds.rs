//! The kernels on which a claim holds: inside of the interval it has to be true, outside of it false.

use std::cmp::Ordering;

use crate::diagnostic::Diagnostic;

use super::parse::Expression;
use super::source_map::SourceMap;
use super::value::{Failure, Version, compare_versions};

/// The place of a kernel release among others: three numbers, and the number of its release candidate.
pub type ReleaseOrder = ([u64; 3], u64);

/// The place of a release such as `6.12.118+deb13-cloud-amd64` among others; `None` if it is not a version.
pub fn release_order(release: &str) -> Option<ReleaseOrder> {
    Version::parse(release).map(|version| version.order())
}

/// The text before the expression in its negation.
pub(super) const NOT: &str = "!(";

/// An interval of kernel versions, both ends included, and the expression that has to be true outside it.
#[derive(Clone, Debug)]
pub struct Holds {
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

impl Holds {
    /// Parse `6.6..7.0`, `6.6..` or `..7.0` at `place`, for a claim with this expression. The errors point there, or into the
    /// expression.
    pub(super) fn parse(
        text: &str,
        place: &SourceMap,
        expression: &Expression,
    ) -> Result<Self, Vec<Diagnostic>> {
        let (from, to) = interval(text).map_err(|error| {
            let help = "write the first and the last kernel version with `..` between them: `6.6..7.0`; one of them \
                        may be left out: `..7.0`, `6.6..`";
            vec![
                place
                    .error(&(0..text.len()), error.to_string())
                    .help(help),
            ]
        })?;
        let negated = format!("{NOT}{})", expression.text());
        let negation = Expression::parse(&negated, expression.place().behind(NOT.len()))?;
        Ok(Holds {
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
    /// [`ReleaseError`]: its release does not say.
    pub(super) fn contains(&self, release: &str) -> Result<bool, ReleaseError> {
        let version =
            Version::parse(release).ok_or_else(|| ReleaseError::Version(release.into()))?;
        let compared = |bound: &Option<Bound>, outside: Ordering| match bound {
            None => Ok(true),
            Some(bound) => bound.compare(&version).map(|found| found != outside),
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
    /// The order of a version and this bound, if its text says so.
    fn compare(&self, version: &Version) -> Result<Ordering, ReleaseError> {
        if self.series {
            return Ok(version.series().cmp(&self.version.series()));
        }
        compare_versions(version, &self.version).map_err(|failure| match failure {
            Failure::Kinds { message, .. }
            | Failure::Value(message)
            | Failure::Missing(message) => ReleaseError::Compare(message),
        })
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

/// A kernel release that does not say on which side of a bound it is.
#[derive(Debug, thiserror::Error)]
pub(super) enum ReleaseError {
    #[error("`{0}` is not a kernel version such as 6.12")]
    Version(String),
    /// The comparison failed for this reason.
    #[error("{0}")]
    Compare(String),
}

/// The ends of an interval.
fn interval(text: &str) -> Result<(Option<Bound>, Option<Bound>), IntervalError> {
    let (from, to) = text
        .split_once("..")
        .ok_or_else(|| IntervalError::Form(text.into()))?;
    let (from, to) = (bound(from)?, bound(to)?);
    match (&from, &to) {
        (None, None) => Err(IntervalError::Endless),
        (Some(first), Some(last)) if first.version > last.version && !first.within(last) => {
            Err(IntervalError::Empty(text.into()))
        }
        _ => Ok((from, to)),
    }
}

impl Bound {
    /// True if this version belongs to the series that `other` names.
    fn within(&self, other: &Bound) -> bool {
        other.series && self.version.series() == other.version.series()
    }
}

/// One end.
fn bound(text: &str) -> Result<Option<Bound>, IntervalError> {
    if text.is_empty() {
        return Ok(None);
    }
    let plain = text.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    let series = text.bytes().filter(|b| *b == b'.').count() == 1;
    match Version::parse(text).filter(|_| plain && !text.ends_with('.')) {
        Some(version) => Ok(Some(Bound { version, series })),
        None => Err(IntervalError::Version(text.into())),
    }
}

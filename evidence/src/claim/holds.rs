//! The kernels on which a claim holds: inside of the interval it has to be true, outside of it false.

use std::cmp::Ordering;

use crate::diagnostic::Diagnostic;
use crate::document::value::{Datum, Value};
use crate::path_index::resolve::Indexed;

use super::Claim;
use super::eval::Failure;
use super::expression::Expression;
use super::gather::Replaced;
use super::judge::{Judgement, Verdict};
use super::place::Place;
use super::typed::{Version, compare_versions};

/// The place of a kernel release among others: three numbers, and the number of its release candidate.
pub type ReleaseOrder = ([u64; 3], u64);

/// The place of a release such as `6.12.118+deb13-cloud-amd64` among others; `None` if it is not a version.
pub fn release_order(release: &str) -> Option<ReleaseOrder> {
    Version::parse(release).map(|version| version.order())
}

/// The text before the expression in its negation.
const NOT: &str = "!(";

/// The leaf that says which kernel it is.
const RELEASE: &str = "kernel.release";

/// An interval of kernel versions, both ends included, and what has to be true outside of it.
#[derive(Clone, Debug)]
pub struct Holds {
    text: String,
    from: Option<Bound>,
    to: Option<Bound>,
    negation: Box<Expression>,
}

/// One end of an interval.
#[derive(Clone, Debug)]
struct Bound {
    version: Version,
    /// It names a series (`7.0`), with all of its patch releases, and not one release (`7.0.3`).
    series: bool,
}

impl Holds {
    /// Parses `6.6..7.0`, `6.6..` or `..7.0`, which stands at `place`, for a claim of this expression. The errors point
    /// there, or into the expression.
    pub(super) fn parse(
        text: &str,
        place: &Place,
        expression: &Expression,
    ) -> Result<Self, Vec<Diagnostic>> {
        let (from, to) = interval(text).map_err(|message| {
            let help = "write the first and the last kernel version with `..` between them: `6.6..7.0`; one of them \
                        may be left out: `..7.0`, `6.6..`";
            vec![place.error(&(0..text.len()), message).help(help)]
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

    /// Whether this kernel is inside. The error is the reason why its release does not say.
    fn contains(&self, release: &str) -> Result<bool, String> {
        let version = Version::parse(release)
            .ok_or_else(|| format!("`{release}` is not a kernel version such as 6.12"))?;
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

    /// Whether the claim has to be true on this machine. The error is the reason why that is not known.
    fn expects_true(&self, machine: &Indexed<'_>, replaced: Replaced<'_>) -> Result<bool, String> {
        match replaced.iter().find(|(path, _)| *path == RELEASE) {
            None => self.contains(&machine.evidence.kernel.release),
            Some((_, Datum::Value(Value::Text { value }))) => self.contains(value),
            Some((_, Datum::Value(_))) => Err("it is not a text".into()),
            Some((_, Datum::Unavailable(reason))) => Err(reason.unavailable.clone()),
        }
    }
}

impl Bound {
    /// How a version compares with this bound. The error is the reason why its text does not say.
    fn compare(&self, version: &Version) -> Result<Ordering, String> {
        if self.series {
            return Ok(version.series().cmp(&self.version.series()));
        }
        compare_versions(version, &self.version).map_err(|failure| match failure {
            Failure::Kinds { message, .. }
            | Failure::Value(message)
            | Failure::Missing(message) => message,
        })
    }
}

/// The ends of an interval. The error is a reason.
fn interval(text: &str) -> Result<(Option<Bound>, Option<Bound>), String> {
    let (from, to) = text
        .split_once("..")
        .ok_or_else(|| format!("`{text}` is not an interval of kernel versions"))?;
    let (from, to) = (bound(from)?, bound(to)?);
    match (&from, &to) {
        (None, None) => Err("an interval without ends holds on every kernel".into()),
        (Some(first), Some(last)) if first.version > last.version && !first.within(last) => Err(
            format!("the interval `{text}` is empty: its first version is above its last"),
        ),
        _ => Ok((from, to)),
    }
}

impl Bound {
    /// Whether this version belongs to the series that `other` names.
    fn within(&self, other: &Bound) -> bool {
        other.series && self.version.series() == other.version.series()
    }
}

/// One end. The error is a reason.
fn bound(text: &str) -> Result<Option<Bound>, String> {
    if text.is_empty() {
        return Ok(None);
    }
    let plain = text.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    let series = text.bytes().filter(|b| *b == b'.').count() == 1;
    match Version::parse(text).filter(|_| plain && !text.ends_with('.')) {
        Some(version) => Ok(Some(Bound { version, series })),
        None => Err(format!(
            "`{text}` is not a kernel version such as 7.0 or 7.0.3"
        )),
    }
}

/// The claim that has to be true on this machine: the claim itself, or outside of its interval its negation. The error
/// is the reason why that is not known.
pub(super) fn stated(
    claim: &Claim,
    machine: &Indexed<'_>,
    replaced: Replaced<'_>,
) -> Result<Option<Claim>, String> {
    let Some(holds) = &claim.holds else {
        return Ok(None);
    };
    Ok((!holds.expects_true(machine, replaced)?).then(|| Claim {
        id: claim.id.clone(),
        when: claim.when.clone(),
        expression: (*holds.negation).clone(),
        holds: None,
        negated: true,
    }))
}

/// The judgement on the negation, told as one on the claim.
pub(super) fn of_negation(
    mut judgement: Judgement,
    claim: &Claim,
    machine: &Indexed<'_>,
) -> Judgement {
    for operand in &mut judgement.operands {
        let range = &operand.range;
        operand.range = range.start.saturating_sub(NOT.len())..range.end.saturating_sub(NOT.len());
    }
    let holds = claim.holds.as_ref().map_or("", Holds::text);
    let release = &machine.evidence.kernel.release;
    match judgement.verdict {
        Verdict::NotApplicable => return judgement,
        Verdict::Fail => {
            judgement.reason = Some(format!(
                "still true on {release}, which is outside of `{holds}`"
            ));
        }
        _ => {}
    }
    judgement.outside = Some(format!(
        "{release} is outside of `{holds}`: there it has to be false"
    ));
    judgement
}

/// The judgement where it is not known whether the claim has to be true or false.
pub(super) fn undecided(mut judgement: Judgement, reason: &str, holds: &str) -> Judgement {
    if !matches!(judgement.verdict, Verdict::Pass | Verdict::Fail) {
        return judgement;
    }
    judgement.verdict = Verdict::Unverified;
    judgement.control = None;
    judgement.idle.clear();
    judgement.reason = Some(format!(
        "whether this kernel is inside of `{holds}` is not known: {reason}"
    ));
    judgement
}

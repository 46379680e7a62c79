//! Judgement of claims on kernels outside their interval: there the negation has to be true.

use crate::document::value::{Datum, Value};
use crate::path_index::resolve::Indexed;

use super::bind::Replaced;
use super::definition::Claim;
use super::holds::{KernelInterval, KernelVersion, NOT, ReleaseError};
use super::verdict::{Judgement, Verdict};

/// The leaves that say which kernel it is.
const RELEASE: &str = "kernel.release";
const VERSION: &str = "kernel.version";

/// The error for a kernel of which it is not known whether it is in a claim's interval.
#[derive(Debug, thiserror::Error)]
pub(super) enum UndecidedError {
    #[error(transparent)]
    Release(#[from] ReleaseError),
    #[error("it is not a text")]
    Kind,
    /// The release is not there, and this is why.
    #[error("{0}")]
    Missing(String),
}

/// The truth that the claim must have on this machine.
fn expects_true(
    holds: &KernelInterval,
    machine: &Indexed<'_>,
    replaced: Replaced<'_>,
) -> Result<bool, UndecidedError> {
    let kernel = &machine.evidence.kernel;
    Ok(holds.contains(KernelVersion {
        release: leaf_text(RELEASE, &kernel.release, replaced)?,
        version: Some(leaf_text(VERSION, &kernel.version, replaced)?),
    })?)
}

/// The text of a leaf, as it is or was replaced.
fn leaf_text<'t>(
    leaf: &str,
    own: &'t str,
    replaced: Replaced<'t>,
) -> Result<&'t str, UndecidedError> {
    match replaced.iter().find(|(path, _)| *path == leaf) {
        None => Ok(own),
        Some((_, Datum::Value(Value::Text { value }))) => Ok(value),
        Some((_, Datum::Value(_))) => Err(UndecidedError::Kind),
        Some((_, Datum::Missing(reason))) => Err(UndecidedError::Missing(reason.to_string())),
    }
}

/// The claim that has to be true on this machine: the claim itself, or outside its interval its negation.
pub(super) fn claim_to_judge(
    claim: &Claim,
    machine: &Indexed<'_>,
    replaced: Replaced<'_>,
) -> Result<Option<Claim>, UndecidedError> {
    let Some(holds) = &claim.holds else {
        return Ok(None);
    };
    Ok((!expects_true(holds, machine, replaced)?).then(|| Claim {
        id: claim.id.clone(),
        when: claim.when.clone(),
        expression: (*holds.negation).clone(),
        holds: None,
        negated: true,
    }))
}

/// The judgement on the negation, expressed as one on the claim.
pub(super) fn convert_negated_judgement(
    mut judgement: Judgement,
    claim: &Claim,
    machine: &Indexed<'_>,
) -> Judgement {
    for operand in &mut judgement.operands {
        let range = &operand.range;
        operand.range = range.start.saturating_sub(NOT.len())..range.end.saturating_sub(NOT.len());
    }
    let holds = claim.holds.as_ref().map_or("", KernelInterval::text);
    let kernel = KernelVersion::from(&machine.evidence.kernel);
    match judgement.verdict {
        Verdict::NotApplicable => return judgement,
        Verdict::Fail => {
            judgement.reason = Some(format!(
                "still true on {kernel}, which is outside of `{holds}`"
            ));
        }
        _ => {}
    }
    judgement.outside = Some(format!(
        "{kernel} is outside of `{holds}`: there it has to be false"
    ));
    judgement
}

/// Make UNVERIFIED the judgement on a claim that is false outside its interval, and that no machine shows to be true inside.
pub(super) fn mark_never_shown(judgement: &mut Judgement, claim: &Claim) {
    let holds = claim.holds.as_ref().map_or("", KernelInterval::text);
    judgement.verdict = Verdict::Unverified;
    judgement.control = None;
    judgement.reason = Some(format!(
        "no machine of this book shows that the claim is true inside of `{holds}`"
    ));
}

/// The judgement where it is not known whether the claim has to be true or false.
pub(super) fn undecided_judgement(
    mut judgement: Judgement,
    reason: &UndecidedError,
    holds: &str,
) -> Judgement {
    if !matches!(judgement.verdict, Verdict::Pass | Verdict::Fail) {
        return judgement;
    }
    judgement.verdict = Verdict::Unverified;
    judgement.control = None;
    judgement.insensitive_to.clear();
    judgement.reason = Some(format!(
        "whether this kernel is inside of `{holds}` is not known: {reason}"
    ));
    judgement
}

//! Claims as the record of a sweep keeps them.

use qed_evidence::claim::{Claim, Judgement, Verdict};

use crate::claims::collect::Claims;
use crate::claims::timeline::Answer;
use crate::evidence::sweep_record::{
    ClaimText, LoadedSweep, SweepRecord, SweepState, SweptClaim, SweptVerdict,
};

/// A claim with its judgement on each kernel of a sweep, in their order, as a record keeps it.
pub fn swept_claim(claim: &Claim, judgements: &[Judgement]) -> SweptClaim {
    let verdicts = judgements.iter().map(|judgement| SweptVerdict {
        verdict: judgement.verdict.name().into(),
        values: match judgement.verdict {
            Verdict::Pass | Verdict::Fail => {
                operand_values(judgement).map(|(_, value)| value).collect()
            }
            _ => Vec::new(),
        },
        reason: judgement.reason.clone(),
    });
    SweptClaim {
        expression: claim.expression.text().into(),
        when: claim.when.as_ref().map(|when| when.text().into()),
        holds: claim.holds.as_ref().map(|holds| holds.text().into()),
        operands: judgements.first().map_or_else(Vec::new, |first| {
            operand_values(first)
                .map(|(text, _)| text.to_owned())
                .collect()
        }),
        verdicts: verdicts.collect(),
    }
}

/// The answers of a recorded claim on each kernel; none if the book claims something else by now.
pub fn recorded_answers(
    claim: &Claim,
    swept: &SweptClaim,
    record: &SweepRecord,
) -> Option<Vec<Answer>> {
    let kernels = record.kernels.iter();
    swept.matches(ClaimText::from(claim)).then(|| {
        swept
            .verdicts
            .iter()
            .zip(kernels)
            .map(|(swept, kernel)| {
                Answer::from_recorded(&swept.verdict, claim.expected_truth(kernel.version()))
            })
            .collect()
    })
}

/// The reason why a claim has no answers in a record, which holds this of its id.
pub fn missing_answer_reason(swept: Option<&SweptClaim>) -> &'static str {
    match swept {
        Some(_) => "changed since the sweep",
        None => "newer than the sweep",
    }
}

/// The state of a record in a book that makes these claims. A site's pages state what the record's own comparison did not know.
pub fn sweep_state(sweep: &LoadedSweep, claims: &Claims) -> SweepState {
    let mut state = sweep.state.clone();
    let texts = claims.iter().map(|judged| ClaimText::from(&judged.claim));
    if let Some(reason) = sweep.record.describe_changed_claims(texts)
        && !state.stale.contains(&reason)
    {
        state.stale.push(reason);
    }
    state
}

/// The operands of a judgement with their values, as texts.
pub fn operand_values(judgement: &Judgement) -> impl Iterator<Item = (&str, String)> {
    judgement.operands.iter().map(|operand| {
        let value = operand.value.as_ref().map(ToString::to_string);
        let value = value.unwrap_or_else(|| "not evaluated".into());
        (operand.text.as_str(), value)
    })
}

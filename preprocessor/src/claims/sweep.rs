//! Claims as the record of a sweep keeps them.

use qed_evidence::claim::{Claim, Judgement, Verdict};

use crate::evidence::sweep_record::{SweptClaim, SweptVerdict};

/// A claim with its judgement on each kernel of a sweep, in their order, as a record keeps it.
pub fn swept_claim(claim: &Claim, judgements: &[Judgement]) -> SweptClaim {
    let verdicts = judgements.iter().map(|judgement| SweptVerdict {
        verdict: judgement.verdict.word().into(),
        values: match judgement.verdict {
            Verdict::Pass | Verdict::Fail => values(judgement).map(|(_, value)| value).collect(),
            _ => Vec::new(),
        },
        reason: judgement.reason.clone(),
    });
    SweptClaim {
        expression: claim.expression.text().into(),
        when: claim.when.as_ref().map(|when| when.text().into()),
        holds: claim.holds.as_ref().map(|holds| holds.text().into()),
        operands: judgements.first().map_or_else(Vec::new, |first| {
            values(first).map(|(text, _)| text.to_owned()).collect()
        }),
        verdicts: verdicts.collect(),
    }
}

/// The operands of a judgement with their values, as texts.
pub fn values(judgement: &Judgement) -> impl Iterator<Item = (&str, String)> {
    judgement.operands.iter().map(|operand| {
        let value = operand.value.as_ref().map(ToString::to_string);
        let value = value.unwrap_or_else(|| "not evaluated".into());
        (operand.text.as_str(), value)
    })
}

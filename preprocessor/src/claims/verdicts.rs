//! Judgement of claims on raw evidence, and redaction of the results.

use qed_evidence::claim::{Claim, Judgement, Verdict, judge};
use qed_evidence::redact::{is_redacted, mask_unknown_words};
use qed_evidence::resolve::{Catalog, Indexed};

use crate::evidence::book_data::BookData;
use crate::evidence::disclosure::{claim_words, strip_numbers};
use crate::evidence::verdict_files::redact_control;

/// A verdict as it may be shown.
#[derive(Debug)]
pub struct PublicVerdict {
    /// The verdict on the raw evidence; operands, reason and control as they may be shown.
    pub judgement: Judgement,
    /// The verdict on the evidence that may be shown: the same, or UNVERIFIED if it needs withheld values.
    pub supported: Verdict,
}

/// The raw evidence of all machines.
pub struct RawJudge<'a> {
    raw: Vec<Indexed<'a>>,
}

impl<'a> RawJudge<'a> {
    /// Index raw evidence, if it differs from the evidence that is shown.
    pub fn new(book_data: &BookData<'a>) -> Self {
        let raw = book_data
            .evidence_set
            .loaded
            .iter()
            .zip(&book_data.indexed)
            .map(|(machine, shown)| match machine.raw.for_judging() {
                Some(raw) => Indexed::new(raw),
                None => shown.clone(),
            })
            .collect();
        RawJudge { raw }
    }

    /// Judge a claim on all machines, in their order.
    pub fn judge(&self, claim: &Claim, book_data: &BookData<'_>) -> Vec<PublicVerdict> {
        let catalog = Catalog {
            investigation: &book_data.evidence_set.investigation,
            machines: &self.raw,
        };
        let shown = book_data.indexed.iter();
        self.raw
            .iter()
            .zip(shown.zip(&book_data.evidence_set.loaded))
            .map(|(raw, (shown, loaded))| {
                let judgement = judge(claim, &book_data.catalog(), shown);
                let supported = judgement.verdict;
                let travelled = loaded.verdicts.as_ref().and_then(|v| v.verdict_on(claim));
                let judgement = match (loaded.raw.for_judging(), travelled) {
                    (Some(_), _) => strip_raw_values(judge(claim, &catalog, raw), judgement, claim),
                    (None, Some((verdict, travelled))) => {
                        let redacted = is_redacted(&loaded.evidence);
                        let judgement = merge_portable_verdict(verdict, redacted, judgement);
                        match verdict == supported || judgement.verdict != verdict {
                            true => judgement,
                            false => travelled.complete_judgement(judgement),
                        }
                    }
                    (None, None) => judgement,
                };
                PublicVerdict {
                    judgement,
                    supported,
                }
            })
            .collect()
    }
}

/// The judgement for evidence that was imported with a verdict. The verdict is trusted only if the claim needs withheld values;
/// otherwise the claim is judged again, with the same result, or it is an ERROR.
fn merge_portable_verdict(verdict: Verdict, redacted: bool, judgement: Judgement) -> Judgement {
    if verdict == judgement.verdict {
        return judgement;
    }
    if redacted && judgement.verdict == Verdict::Unverified {
        return Judgement {
            reason: None,
            verdict,
            ..judgement
        };
    }
    let reason = format!(
        "it was {verdict} where it was captured, and the evidence that came from there makes it {}",
        judgement.verdict
    );
    Judgement {
        reason: Some(reason),
        rests_on: Vec::new(),
        verdict: Verdict::Error,
        ..judgement
    }
}

/// The judgement on raw evidence, without anything that the one on redacted evidence does not contain.
fn strip_raw_values(raw: Judgement, mut judgement: Judgement, claim: &Claim) -> Judgement {
    if raw.verdict == judgement.verdict {
        return judgement;
    }
    let when = claim.when.as_ref().map(|when| when.text());
    let words = claim_words(claim.expression.text(), when);
    let without_values =
        |text: &str| mask_unknown_words(&strip_numbers(text), &|word| words.contains(word));
    judgement.verdict = raw.verdict;
    judgement.rests_on.clear();
    judgement.reason = match raw.verdict {
        Verdict::Pass | Verdict::Fail => None,
        _ => raw.reason.as_deref().map(without_values),
    };
    judgement.control = raw.control.map(redact_control);
    judgement.insensitive_to = raw.insensitive_to;
    judgement.diagnostic = raw.diagnostic.map(|mut diagnostic| {
        diagnostic.message = without_values(&diagnostic.message);
        diagnostic.label.clear();
        diagnostic.help = diagnostic.help.as_deref().map(without_values);
        diagnostic
    });
    judgement
}

#[cfg(test)]
mod tests {
    use super::*;
    use qed_evidence::claim::Control;

    fn judgement(verdict: Verdict, reason: Option<&str>, was: &str) -> Judgement {
        Judgement {
            verdict,
            operands: Vec::new(),
            when_operands: Vec::new(),
            reason: reason.map(str::to_owned),
            control: Some(Control {
                path: "a.b".into(),
                was: was.into(),
                became: was.into(),
                verdict: Verdict::Fail,
            }),
            rests_on: Vec::new(),
            insensitive_to: Vec::new(),
            outside: None,
            diagnostic: None,
        }
    }

    /// Check that a verdict that came along counts for what is withheld, and for nothing else: where the evidence itself
    /// says something else, neither is believed.
    #[test]
    fn verdicts_that_came_along() {
        use Verdict::{Error, Fail, Pass, Unverified};
        for (came, redacted, own, expected) in [
            (Pass, true, Unverified, Pass),
            (Fail, true, Unverified, Fail),
            (Pass, true, Pass, Pass),
            (Pass, true, Fail, Error),
            (Fail, true, Pass, Error),
            (Unverified, true, Pass, Error),
            (Pass, false, Unverified, Error),
            (Pass, false, Pass, Pass),
        ] {
            let judgement = merge_portable_verdict(came, redacted, judgement(own, None, "1"));
            assert_eq!(judgement.verdict, expected, "{came} on {own}");
            assert_eq!(judgement.reason.is_some(), expected == Error);
        }
    }

    /// Check that a verdict on raw evidence brings no value of it along.
    #[test]
    fn tells_nothing() {
        let raw = |verdict, reason| {
            let source = std::sync::Arc::new(qed_evidence::diagnostic::SourceText {
                name: "chapter.md".into(),
                text: String::new(),
            });
            let claim = qed_evidence::claim::Claim::parse(
                "a",
                "create.outcome.stdout == 'x'",
                qed_evidence::claim::SourceMap::new(source, 0),
                None,
            )
            .unwrap();
            strip_raw_values(
                judgement(verdict, reason, "0xffffffff91234568"),
                judgement(Verdict::Unverified, Some("withheld"), "pointer#1"),
                &claim,
            )
        };
        let judgement = raw(Verdict::Pass, None);
        assert_eq!((judgement.verdict, judgement.reason), (Verdict::Pass, None));
        assert_eq!(judgement.control.unwrap().was, "withheld");
        let judgement = raw(
            Verdict::Error,
            Some("`create.outcome.stdout` is `zebra-7`, not 7 of `x`"),
        );
        assert_eq!(
            judgement.reason.as_deref(),
            Some("`create.outcome.stdout` is `…-7`, not … of `x`")
        );
    }
}

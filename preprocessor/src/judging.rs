//! Judging claims on what was measured, and telling of it without what must not be known.

use std::collections::BTreeMap;

use qed_evidence::Evidence;
use qed_evidence::claim::{Claim, Control, Judgement, Verdict, judge};
use qed_evidence::redact::scrub;
use qed_evidence::resolve::{Catalog, Indexed};
use serde::{Deserialize, Serialize};

use crate::facts::{Facts, index_all};
use crate::store::Loaded;

/// A verdict as it may be told.
#[derive(Debug)]
pub struct Told {
    /// The verdict on the raw evidence; operands, reason and control as they may be shown.
    pub judgement: Judgement,
    /// What the evidence that may be shown comes to: the same, or UNVERIFIED where it takes what is withheld.
    pub supported: Verdict,
}

/// The ending of the file in which verdicts travel beside redacted evidence: `host.json`, `host.verdicts`.
pub const TRAVELLED: &str = "verdicts";

/// Verdicts that were reached where the raw evidence is, on their way with what was redacted there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Travelled {
    /// `run.id` of the evidence.
    run: String,
    /// By the claims' ids.
    claims: BTreeMap<String, TravelledVerdict>,
}

/// One of them. It counts for exactly this claim.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct TravelledVerdict {
    expression: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    when: Option<String>,
    verdict: String,
}

const VERDICTS: [Verdict; 5] = [
    Verdict::Pass,
    Verdict::Fail,
    Verdict::Unverified,
    Verdict::NotApplicable,
    Verdict::Error,
];

impl Travelled {
    /// The verdicts on this machine, for the way.
    pub fn new<'c>(
        evidence: &Evidence,
        verdicts: impl Iterator<Item = (&'c Claim, Verdict)>,
    ) -> Self {
        let claims = verdicts
            .map(|(claim, verdict)| {
                let travelled = TravelledVerdict {
                    expression: claim.expression.text().into(),
                    when: claim.when.as_ref().map(|when| when.text().into()),
                    verdict: verdict.word().into(),
                };
                (claim.id.clone(), travelled)
            })
            .collect();
        Travelled {
            run: evidence.run.id.clone(),
            claims,
        }
    }

    /// Reads what came with this evidence. The error is a reason.
    pub fn read(bytes: &[u8], evidence: &Evidence) -> Result<Self, String> {
        let read: Travelled = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
        if read.run != evidence.run.id {
            return Err("they belong to another capture".into());
        }
        Ok(read)
    }

    /// The verdict on this very claim.
    fn on(&self, claim: &Claim) -> Option<Verdict> {
        let found = self.claims.get(&claim.id)?;
        let same = found.expression == claim.expression.text()
            && found.when.as_deref() == claim.when.as_ref().map(|when| when.text());
        let verdict = VERDICTS.into_iter().find(|v| v.word() == found.verdict);
        verdict.filter(|_| same)
    }
}

/// The raw evidence of all machines.
pub struct Bench<'a> {
    raw: Vec<Indexed<'a>>,
}

impl<'a> Bench<'a> {
    /// Indexes it.
    pub fn new(loaded: &'a [Loaded]) -> Self {
        let raw = loaded
            .iter()
            .map(|machine| machine.raw.as_ref().unwrap_or(&machine.evidence));
        Bench {
            raw: index_all(raw),
        }
    }

    /// Judges a claim on all machines, in their order.
    pub fn judge(&self, claim: &Claim, facts: &Facts<'_>) -> Vec<Told> {
        let catalog = Catalog {
            investigation: facts.catalog.investigation,
            machines: &self.raw,
        };
        let shown = facts.catalog.machines.iter();
        self.raw
            .iter()
            .zip(shown.zip(facts.loaded))
            .map(|(raw, (shown, loaded))| {
                let told = judge(claim, &facts.catalog, shown);
                let supported = told.verdict;
                let travelled = loaded.verdicts.as_ref().and_then(|v| v.on(claim));
                let judgement = match (&loaded.raw, travelled) {
                    (Some(_), _) => tell(judge(claim, &catalog, raw), told),
                    // Only what is withheld is taken on trust; the rest is judged again.
                    (None, Some(verdict)) if supported == Verdict::Unverified => Judgement {
                        reason: told.reason.filter(|_| verdict == Verdict::Unverified),
                        verdict,
                        ..told
                    },
                    (None, _) => told,
                };
                Told {
                    judgement,
                    supported,
                }
            })
            .collect()
    }
}

/// The judgement on raw evidence with nothing in it that the one on redacted evidence does not say.
fn tell(raw: Judgement, mut told: Judgement) -> Judgement {
    if raw.verdict == told.verdict {
        return told;
    }
    told.verdict = raw.verdict;
    told.reason = match raw.verdict {
        Verdict::Pass | Verdict::Fail => None,
        _ => raw.reason.as_deref().map(without_numbers),
    };
    told.control = raw.control.map(|control| Control {
        was: "withheld".into(),
        became: "another value".into(),
        ..control
    });
    told.idle = raw.idle;
    told.diagnostic = raw.diagnostic.map(|mut diagnostic| {
        diagnostic.message = without_numbers(&diagnostic.message);
        diagnostic.label.clear();
        diagnostic
    });
    told
}

/// A reason without numbers that could be computed from an address.
fn without_numbers(reason: &str) -> String {
    let reason = scrub(reason);
    let long = |word: &str| word.len() >= 5 && word.bytes().any(|b| b.is_ascii_digit());
    reason
        .split_inclusive(|c: char| !c.is_ascii_alphanumeric())
        .map(|piece| {
            let word = piece.trim_end_matches(|c: char| !c.is_ascii_alphanumeric());
            if long(word) && word.chars().all(|c| c.is_ascii_hexdigit() || c == 'x') {
                piece.replacen(word, "…", 1)
            } else {
                piece.to_owned()
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Check that a reason keeps its words and small numbers and loses what could say where something is.
    #[test]
    fn numbers() {
        assert_eq!(
            without_numbers(
                "`x`: overflow: the result is 503316480, not 3 of 0x1e000000 at sock_alloc"
            ),
            "`x`: overflow: the result is …, not 3 of … at sock_alloc"
        );
    }

    /// Check that a verdict on raw evidence brings no value of it along.
    #[test]
    fn tells_nothing() {
        let judgement = |verdict, reason: Option<&str>, was: &str| Judgement {
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
            idle: Vec::new(),
            diagnostic: None,
        };
        let told = tell(
            judgement(Verdict::Pass, None, "0xffffffff91234568"),
            judgement(Verdict::Unverified, Some("withheld"), "pointer#1"),
        );
        assert_eq!((told.verdict, told.reason), (Verdict::Pass, None));
        assert_eq!(told.control.unwrap().was, "withheld");
    }
}

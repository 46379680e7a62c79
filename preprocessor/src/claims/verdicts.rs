//! Judging claims on what was measured, and telling of it without what must not be known.

use std::collections::{BTreeMap, BTreeSet};

use qed_evidence::Evidence;
use qed_evidence::claim::{Claim, Control, Judgement, Verdict, judge};
use qed_evidence::redact::{is_redacted, phrase, scrub};
use qed_evidence::resolve::{Catalog, Indexed};
use serde::{Deserialize, Serialize};

use crate::evidence::book_data::Facts;
use crate::publish::manifest::{PublishedClaim, Verdicts};

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
    /// SHA-256 of the evidence as it travels, hex: the verdicts count for exactly this document.
    evidence: String,
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
    /// Why, as it may be told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// The negative control, as it may be told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    control: Option<PublishedControl>,
}

/// The negative control of a verdict that rests on withheld values, as it may be told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PublishedControl {
    /// What was changed, a path or several.
    pub path: String,
    /// What came out.
    pub verdict: String,
}

impl PublishedControl {
    /// What may be told of a control.
    pub fn new(control: &Control) -> Self {
        PublishedControl {
            path: control.path.clone(),
            verdict: control.verdict.word().into(),
        }
    }
}

impl TravelledVerdict {
    /// The judgement with what was told beside the verdict.
    fn fill(&self, judgement: Judgement) -> Judgement {
        let control = self.control.as_ref().and_then(|told| {
            Some(withheld_control(Control {
                path: told.path.clone(),
                was: String::new(),
                became: String::new(),
                verdict: verdict_of(&told.verdict)?,
            }))
        });
        Judgement {
            reason: self.reason.clone(),
            control: control.or(judgement.control.clone()),
            ..judgement
        }
    }
}

/// The verdict of this word.
fn verdict_of(word: &str) -> Option<Verdict> {
    VERDICTS.into_iter().find(|verdict| verdict.word() == word)
}

/// A control without the values that were changed.
fn withheld_control(control: Control) -> Control {
    Control {
        was: "withheld".into(),
        became: "another value".into(),
        ..control
    }
}

const VERDICTS: [Verdict; 5] = [
    Verdict::Pass,
    Verdict::Fail,
    Verdict::Unverified,
    Verdict::NotApplicable,
    Verdict::Error,
];

/// The digest of a document in the form in which it is written.
fn digest(evidence: &Evidence) -> String {
    // What was read can be written; if not, it fits no digest.
    qed_evidence::reader::write(evidence).map_or_else(
        |_| String::new(),
        |text| crate::publish::manifest::digest(text.as_bytes()),
    )
}

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
                    reason: None,
                    control: None,
                };
                (claim.id.clone(), travelled)
            })
            .collect();
        Travelled {
            run: evidence.run.id.clone(),
            evidence: digest(evidence),
            claims,
        }
    }

    /// The verdicts on this machine that a site publishes beside its evidence.
    pub fn sealed(evidence: &Evidence, claims: &[PublishedClaim], verdicts: &Verdicts) -> Self {
        let on = |claim: &PublishedClaim| {
            let told = verdicts.get(&claim.id)?.get(&evidence.machine.name)?;
            let travelled = TravelledVerdict {
                expression: claim.expression.clone(),
                when: claim.when.clone(),
                verdict: told.verdict.clone(),
                reason: told.reason.clone(),
                control: told.control.clone(),
            };
            Some((claim.id.clone(), travelled))
        };
        Travelled {
            run: evidence.run.id.clone(),
            evidence: digest(evidence),
            claims: claims.iter().filter_map(on).collect(),
        }
    }

    /// Reads what came with this evidence. The error is a reason.
    pub fn read(bytes: &[u8], evidence: &Evidence) -> Result<Self, String> {
        let read: Travelled = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
        if read.run != evidence.run.id {
            return Err("they belong to another capture".into());
        }
        if read.evidence != digest(evidence) {
            return Err("the evidence was changed since they were reached on it".into());
        }
        Ok(read)
    }

    /// The verdict on this very claim, and what may be told of it.
    fn on(&self, claim: &Claim) -> Option<(Verdict, &TravelledVerdict)> {
        let found = self.claims.get(&claim.id)?;
        let same = found.expression == claim.expression.text()
            && found.when.as_deref() == claim.when.as_ref().map(|when| when.text());
        let verdict = verdict_of(&found.verdict);
        verdict.filter(|_| same).map(|verdict| (verdict, found))
    }
}

/// The raw evidence of all machines.
pub struct Bench<'a> {
    raw: Vec<Indexed<'a>>,
}

impl<'a> Bench<'a> {
    /// Indexes it, where it is not what is shown.
    pub fn new(facts: &Facts<'a>) -> Self {
        let raw = facts
            .loaded
            .iter()
            .zip(facts.catalog.machines)
            .map(|(machine, shown)| match &machine.raw {
                Some(raw) => Indexed::new(raw),
                None => shown.clone(),
            })
            .collect();
        Bench { raw }
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
                    (Some(_), _) => tell(judge(claim, &catalog, raw), told, claim),
                    (None, Some((verdict, told_there))) => {
                        let redacted = is_redacted(&loaded.evidence);
                        let judgement = travelled_verdict(verdict, redacted, told);
                        match verdict == supported || judgement.verdict != verdict {
                            true => judgement,
                            false => told_there.fill(judgement),
                        }
                    }
                    (None, None) => told,
                };
                Told {
                    judgement,
                    supported,
                }
            })
            .collect()
    }
}

/// The judgement where a verdict came along with the evidence. Only what is withheld is taken on trust; the rest is
/// judged again, and has to come to the same.
fn travelled_verdict(verdict: Verdict, redacted: bool, told: Judgement) -> Judgement {
    if verdict == told.verdict {
        return told;
    }
    if redacted && told.verdict == Verdict::Unverified {
        return Judgement {
            reason: None,
            verdict,
            ..told
        };
    }
    let reason = format!(
        "it was {verdict} where it was captured, and the evidence that came from there makes it {}",
        told.verdict
    );
    Judgement {
        reason: Some(reason),
        verdict: Verdict::Error,
        ..told
    }
}

/// The judgement on raw evidence with nothing in it that the one on redacted evidence does not say.
fn tell(raw: Judgement, mut told: Judgement, claim: &Claim) -> Judgement {
    if raw.verdict == told.verdict {
        return told;
    }
    let when = claim.when.as_ref().map(|when| when.text());
    let words = words_of(claim.expression.text(), when);
    let without_values = |text: &str| phrase(&without_numbers(text), &|word| words.contains(word));
    told.verdict = raw.verdict;
    told.reason = match raw.verdict {
        Verdict::Pass | Verdict::Fail => None,
        _ => raw.reason.as_deref().map(without_values),
    };
    told.control = raw.control.map(withheld_control);
    told.idle = raw.idle;
    told.diagnostic = raw.diagnostic.map(|mut diagnostic| {
        diagnostic.message = without_values(&diagnostic.message);
        diagnostic.label.clear();
        diagnostic.help = diagnostic.help.as_deref().map(without_values);
        diagnostic
    });
    told
}

/// The words that a claim says itself.
fn words_of<'c>(expression: &'c str, when: Option<&'c str>) -> BTreeSet<&'c str> {
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    let texts = [expression, when.unwrap_or_default()].into_iter();
    texts
        .flat_map(|text| text.split(move |c| !is_part(c)))
        .collect()
}

/// A reason without numbers, but for those that stand in backticks as parts of names and expressions.
fn without_numbers(reason: &str) -> String {
    let is_number = |word: &str| word.starts_with(|c: char| c.is_ascii_digit());
    without_addresses(reason)
        .split_inclusive('`')
        .enumerate()
        .map(|(index, piece)| match index % 2 {
            0 => replaced(piece, is_number),
            _ => piece.to_owned(),
        })
        .collect()
}

/// What is wrong with raw evidence: its place, and the reason without anything that the evidence says.
pub fn of_raw(message: &str) -> String {
    let message = without_addresses(message);
    let reason = |text: &str| phrase(text, &|_| false);
    match message
        .strip_prefix("at `")
        .and_then(|rest| rest.split_once("`: "))
    {
        Some((place, why)) => format!("at `{place}`: {}", reason(why)),
        None => reason(&message),
    }
}

/// A message without words that could be an address, a part of one, or a slide.
pub fn without_addresses(message: &str) -> String {
    let long = |word: &str| word.len() >= 5 && word.bytes().any(|b| b.is_ascii_digit());
    let is_hex = |word: &str| word.chars().all(|c| c.is_ascii_hexdigit() || c == 'x');
    replaced(&scrub(message), |word| long(word) && is_hex(word))
}

/// A text with an ellipsis in the place of such words.
fn replaced(text: &str, is_one: impl Fn(&str) -> bool) -> String {
    text.split_inclusive(|c: char| !c.is_ascii_alphanumeric())
        .map(|piece| {
            let word = piece.trim_end_matches(|c: char| !c.is_ascii_alphanumeric());
            match is_one(word) {
                true => piece.replacen(word, "…", 1),
                false => piece.to_owned(),
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Check that a reason keeps its words and loses what could say where something is.
    #[test]
    fn numbers() {
        assert_eq!(
            without_numbers(
                "`x > 3`: overflow: the result is 503316480, or 480 MiB, not 3 of 0x1e000000 at sock_alloc"
            ),
            "`x > 3`: overflow: the result is …, or … MiB, not … of … at sock_alloc"
        );
        assert_eq!(
            without_addresses(
                "line 3 column 17: `0xffffffff912345678` is no address, nor 91234568"
            ),
            "line 3 column 17: `…` is no address, nor …"
        );
    }

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
            idle: Vec::new(),
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
            let told = travelled_verdict(came, redacted, judgement(own, None, "1"));
            assert_eq!(told.verdict, expected, "{came} on {own}");
            assert_eq!(told.reason.is_some(), expected == Error);
        }
    }

    /// Check that a verdict on raw evidence brings no value of it along.
    #[test]
    fn tells_nothing() {
        let raw = |verdict, reason| {
            let source = std::sync::Arc::new(qed_evidence::diagnostic::Source {
                name: "chapter.md".into(),
                text: String::new(),
            });
            let claim = qed_evidence::claim::Claim::parse(
                "a",
                "create.outcome.stdout == 'x'",
                qed_evidence::claim::Place::new(source, 0),
                None,
            )
            .unwrap();
            tell(
                judgement(verdict, reason, "0xffffffff91234568"),
                judgement(Verdict::Unverified, Some("withheld"), "pointer#1"),
                &claim,
            )
        };
        let told = raw(Verdict::Pass, None);
        assert_eq!((told.verdict, told.reason), (Verdict::Pass, None));
        assert_eq!(told.control.unwrap().was, "withheld");
        let told = raw(
            Verdict::Error,
            Some("`create.outcome.stdout` is `zebra-7`, not 7 of `x`"),
        );
        assert_eq!(
            told.reason.as_deref(),
            Some("`create.outcome.stdout` is `…-7`, not … of `x`")
        );
    }

    /// Check that a message about raw evidence keeps its place and nothing that stands there.
    #[test]
    fn messages() {
        assert_eq!(
            of_raw(
                "at `/experiments/zebra/outcome`: invalid type: string \"zebra7\", expected a map at line 1 column 3"
            ),
            "at `/experiments/zebra/outcome`: invalid type: string \"…\", expected a map at line 1 column 3"
        );
    }
}

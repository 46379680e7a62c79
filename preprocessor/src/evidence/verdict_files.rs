//! Files with verdicts: those beside redacted evidence on its way to the site, and those in the site.

use std::collections::BTreeMap;

use qed_evidence::Evidence;
use qed_evidence::claim::{Claim, Control, Judgement, Verdict};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::util::digest::sha256_hex;

/// A claim as it is published.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PublishedClaim {
    /// Its id.
    pub id: String,
    /// Its chapter.
    pub chapter: String,
    /// Its expression.
    pub expression: String,
    /// Its condition.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when: Option<String>,
    /// The kernels on which it is true.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub holds: Option<String>,
    /// The machine that its chapter shows.
    pub shown: String,
}

/// A verdict as it is published.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PublishedVerdict {
    /// The verdict where it was captured.
    pub verdict: String,
    /// The verdict on the published evidence: the same, or UNVERIFIED if it needs withheld values.
    pub supported: String,
    /// The reason, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The negative control, of a verdict that the published evidence does not give again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub control: Option<PublishedControl>,
}

/// Verdicts by claim and machine.
pub type Verdicts = BTreeMap<String, BTreeMap<String, PublishedVerdict>>;

/// The ending of the file in which verdicts travel beside redacted evidence: `host.json`, `host.verdicts`.
pub const VERDICTS_EXTENSION: &str = "verdicts";

/// Verdicts that were reached where the raw evidence is, kept beside what was redacted there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PortableVerdicts {
    /// `run.id` of the evidence.
    run: String,
    /// SHA-256 of the evidence as it travels, hex: the verdicts count for exactly this document.
    evidence: String,
    /// By the claims' ids.
    claims: BTreeMap<String, PortableVerdict>,
}

/// One of them. It counts for exactly this claim.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PortableVerdict {
    expression: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    when: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    holds: Option<String>,
    verdict: String,
    /// The reason, as it may be published.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// The part of the negative control that may be published.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    control: Option<PublishedControl>,
}

/// The part that may be published of the negative control behind a verdict that depends on withheld values.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PublishedControl {
    /// The paths that were changed.
    pub path: String,
    /// The verdict.
    pub verdict: String,
}

/// Verdicts that do not count for the evidence that they lie beside.
#[derive(Debug, Error)]
pub enum VerdictsError {
    /// They are not JSON of this form.
    #[error(transparent)]
    Form(#[from] serde_json::Error),
    /// They were reached on another capture.
    #[error("they belong to another capture")]
    OtherCapture,
    /// The evidence is not what they were reached on.
    #[error("the evidence was changed since they were reached on it")]
    Changed,
}

impl PublishedControl {
    /// A control as it may be published.
    pub fn new(control: &Control) -> Self {
        PublishedControl {
            path: control.path.clone(),
            verdict: control.verdict.name().into(),
        }
    }
}

impl PortableVerdict {
    /// The judgement, completed with the details that were published with the verdict.
    pub(crate) fn complete_judgement(&self, judgement: Judgement) -> Judgement {
        let control = self.control.as_ref().and_then(|stated| {
            Some(redact_control(Control {
                path: stated.path.clone(),
                was: String::new(),
                became: String::new(),
                verdict: parse_verdict(&stated.verdict)?,
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
fn parse_verdict(word: &str) -> Option<Verdict> {
    VERDICTS.into_iter().find(|verdict| verdict.name() == word)
}

/// A control without the values that were changed.
pub(crate) fn redact_control(control: Control) -> Control {
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
fn evidence_digest(evidence: &Evidence) -> String {
    // What was read can be written; if not, it fits no digest.
    qed_evidence::reader::write(evidence)
        .map_or_else(|_| String::new(), |text| sha256_hex(text.as_bytes()))
}

impl PortableVerdicts {
    /// The verdicts on this machine, for the way.
    pub fn new<'c>(
        evidence: &Evidence,
        verdicts: impl Iterator<Item = (&'c Claim, Verdict)>,
    ) -> Self {
        let claims = verdicts
            .map(|(claim, verdict)| {
                let travelled = PortableVerdict {
                    expression: claim.expression.text().into(),
                    when: claim.when.as_ref().map(|when| when.text().into()),
                    holds: claim.holds.as_ref().map(|holds| holds.text().into()),
                    verdict: verdict.name().into(),
                    reason: None,
                    control: None,
                };
                (claim.id.clone(), travelled)
            })
            .collect();
        PortableVerdicts {
            run: evidence.run.id.clone(),
            evidence: evidence_digest(evidence),
            claims,
        }
    }

    /// The verdicts on this machine that a site publishes beside its evidence.
    pub fn from_published(
        evidence: &Evidence,
        claims: &[PublishedClaim],
        verdicts: &Verdicts,
    ) -> Self {
        let on = |claim: &PublishedClaim| {
            let stated = verdicts.get(&claim.id)?.get(&evidence.machine.name)?;
            let travelled = PortableVerdict {
                expression: claim.expression.clone(),
                when: claim.when.clone(),
                holds: claim.holds.clone(),
                verdict: stated.verdict.clone(),
                reason: stated.reason.clone(),
                control: stated.control.clone(),
            };
            Some((claim.id.clone(), travelled))
        };
        PortableVerdicts {
            run: evidence.run.id.clone(),
            evidence: evidence_digest(evidence),
            claims: claims.iter().filter_map(on).collect(),
        }
    }

    /// Read what came with this evidence. The error is a reason.
    pub fn read(bytes: &[u8], evidence: &Evidence) -> Result<Self, VerdictsError> {
        let read: PortableVerdicts = serde_json::from_slice(bytes)?;
        if read.run != evidence.run.id {
            return Err(VerdictsError::OtherCapture);
        }
        if read.evidence != evidence_digest(evidence) {
            return Err(VerdictsError::Changed);
        }
        Ok(read)
    }

    /// The verdict on exactly this claim, with the details that may be published.
    pub(crate) fn verdict_on(&self, claim: &Claim) -> Option<(Verdict, &PortableVerdict)> {
        let found = self.claims.get(&claim.id)?;
        let same = found.expression == claim.expression.text()
            && found.when.as_deref() == claim.when.as_ref().map(|when| when.text())
            && found.holds.as_deref() == claim.holds.as_ref().map(|holds| holds.text());
        let verdict = parse_verdict(&found.verdict);
        verdict.filter(|_| same).map(|verdict| (verdict, found))
    }
}

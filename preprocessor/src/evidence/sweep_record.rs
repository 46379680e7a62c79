//! The record of a sweep: the verdict on every claim on a kernel of each series. A book keeps it instead of some ten documents
//! of evidence, and publishes it with the site.

use std::collections::BTreeMap;

use qed_evidence::claim::{Claim, KernelVersion, Verdict};
use qed_evidence::document::ARCHITECTURES;
use qed_evidence::{Evidence, reader};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::evidence::verdict_files::PublishedClaim;
use crate::util::digest::sha256_hex;

/// The version of this form.
pub const VERSION: u32 = 1;

/// The command that makes one.
pub const MAKE: &str = "`qed-collector sweep`, then `mdbook-qed since --record`";

/// A sweep, as far as a book keeps it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SweepRecord {
    /// Version of this form.
    pub version: u32,
    /// SHA-256 of the investigation that ran on all kernels, hex.
    pub investigation: String,
    /// Version of the collector that captured on all kernels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub collector: Option<String>,
    /// SHA-256 of this collector's eBPF object, hex.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub object: Option<String>,
    /// The kernels: those of each architecture together, the oldest first.
    pub kernels: Vec<SweptKernel>,
    /// The claims, by id.
    pub claims: BTreeMap<String, SweptClaim>,
}

/// One kernel of a sweep.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SweptKernel {
    /// The throwaway machine on which it ran, `guest:debian-7.0`.
    pub machine: String,
    /// Its release, `7.0.13+deb13-cloud-amd64`.
    pub release: String,
    /// Its version string, in which Debian states the upstream version. Records that were made by earlier versions lack it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Its architecture, as `uname -m` prints it. Records of before lack it: all of them are of x86-64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub arch: Option<String>,
    /// Its package and version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub package: Option<String>,
    /// Its build id, hex.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub build_id: Option<String>,
    /// SHA-256 of its image, hex, where a file was booted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image_digest: Option<String>,
    /// SHA-256 of the evidence that was captured there, hex.
    pub evidence: String,
    /// The time of its capture, UTC, RFC 3339.
    pub time: String,
}

impl SweptKernel {
    /// The kernel of this evidence, which may be shown as it is.
    ///
    /// # Errors
    /// When the evidence cannot be written as JSON.
    pub fn new(evidence: &Evidence) -> serde_json::Result<Self> {
        let kernel = &evidence.kernel;
        Ok(SweptKernel {
            machine: evidence.machine.name.clone(),
            release: kernel.release.clone(),
            version: Some(kernel.version.clone()),
            arch: kernel.arch.clone(),
            package: kernel.package.clone(),
            build_id: kernel.build_id.value().map(ToString::to_string),
            image_digest: kernel.image_digest.clone(),
            evidence: sha256_hex(reader::write(evidence)?.as_bytes()),
            time: evidence.run.time.clone(),
        })
    }

    /// What the kernel says of its version.
    pub fn version(&self) -> KernelVersion<'_> {
        KernelVersion {
            release: &self.release,
            version: self.version.as_deref(),
        }
    }

    /// Its architecture, as `uname -m` prints it.
    pub fn architecture(&self) -> &str {
        self.arch.as_deref().unwrap_or(ARCHITECTURES[0])
    }

    /// True if this is what `found`, made from evidence, is; of an earlier record less is known.
    pub fn matches(&self, found: &Self) -> bool {
        let mut found = found.clone();
        if self.version.is_none() {
            found.version = None;
        }
        if self.arch.is_none() && found.architecture() == self.architecture() {
            found.arch = None;
        }
        found == *self
    }
}

/// A claim with its verdict on each kernel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SweptClaim {
    /// Its expression.
    pub expression: String,
    /// Its condition.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when: Option<String>,
    /// The kernels on which it holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub holds: Option<String>,
    /// Its operands, as they are written.
    pub operands: Vec<String>,
    /// Its verdicts, in the order of the kernels.
    pub verdicts: Vec<SweptVerdict>,
}

/// The text of a claim: what its verdicts depend on besides evidence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClaimText<'c> {
    /// Its id.
    pub id: &'c str,
    /// Its expression.
    pub expression: &'c str,
    /// Its condition.
    pub when: Option<&'c str>,
    /// The kernels on which it holds.
    pub holds: Option<&'c str>,
}

impl<'c> From<&'c Claim> for ClaimText<'c> {
    fn from(claim: &'c Claim) -> Self {
        ClaimText {
            id: &claim.id,
            expression: claim.expression.text(),
            when: claim.when.as_ref().map(|when| when.text()),
            holds: claim.holds.as_ref().map(|holds| holds.text()),
        }
    }
}

impl<'c> From<&'c PublishedClaim> for ClaimText<'c> {
    fn from(claim: &'c PublishedClaim) -> Self {
        ClaimText {
            id: &claim.id,
            expression: &claim.expression,
            when: claim.when.as_deref(),
            holds: claim.holds.as_deref(),
        }
    }
}

impl SweptClaim {
    /// True if this is the claim that was judged. The id is not compared.
    pub fn matches(&self, text: ClaimText<'_>) -> bool {
        self.expression == text.expression
            && self.when.as_deref() == text.when
            && self.holds.as_deref() == text.holds
    }
}

/// The place of an architecture among those of a sweep, whose kernels stand together.
pub fn arch_order(arch: &str) -> usize {
    let known = ARCHITECTURES.iter().position(|known| *known == arch);
    known.unwrap_or(ARCHITECTURES.len())
}

/// At most so many ids of claims are listed.
const LISTED: usize = 4;

impl SweepRecord {
    /// The difference between the claims that were judged and those of a book, in words; `None` if there is none.
    pub fn describe_changed_claims<'c>(
        &self,
        claims: impl Iterator<Item = ClaimText<'c>>,
    ) -> Option<String> {
        let made: BTreeMap<&str, ClaimText<'c>> = claims.map(|text| (text.id, text)).collect();
        let (mut changed, mut new) = (Vec::new(), Vec::new());
        for (id, text) in &made {
            match self.claims.get(*id) {
                None => new.push(*id),
                Some(swept) if !swept.matches(*text) => changed.push(*id),
                Some(_) => {}
            }
        }
        let known = self.claims.keys().map(String::as_str);
        let gone: Vec<&str> = known.filter(|id| !made.contains_key(id)).collect();
        let parts = [("changed", changed), ("new", new), ("no longer made", gone)];
        let parts: Vec<String> = parts
            .into_iter()
            .filter(|(_, ids)| !ids.is_empty())
            .map(|(what, ids)| format!("{what}: {}", format_ids(&ids)))
            .collect();
        (!parts.is_empty()).then(|| {
            format!(
                "the claims of the book are not those that it judged ({})",
                parts.join("; ")
            )
        })
    }
}

/// The first of some ids, and the number of the others.
fn format_ids(ids: &[&str]) -> String {
    let first: Vec<String> = ids
        .iter()
        .take(LISTED)
        .map(|id| format!("`{id}`"))
        .collect();
    let first = first.join(", ");
    match ids.len().saturating_sub(LISTED) {
        0 => first,
        more => format!("{first} and {more} more"),
    }
}

/// A verdict on one kernel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SweptVerdict {
    /// The word.
    pub verdict: String,
    /// The values of the operands, in their order. None where it was not judged.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<String>,
    /// The reason, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// The outcome of a comparison of a record with the state at which the book was built: phrases.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SweepState {
    /// The reasons for being out of date; empty if it is not, as far as it could be compared.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stale: Vec<String>,
    /// The parts that could not be compared, with the reason.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub not_compared: Vec<String>,
}

impl SweepState {
    /// True if the record is up to date, and everything could be compared.
    pub fn is_good(&self) -> bool {
        self.stale.is_empty() && self.not_compared.is_empty()
    }

    /// The reasons for being out of date, in words; `None` if it is not.
    pub fn stale_text(&self) -> Option<String> {
        (!self.stale.is_empty()).then(|| self.stale.join("; "))
    }

    /// The parts that could not be compared, in words; `None` if everything could be.
    pub fn uncompared_text(&self) -> Option<String> {
        (!self.not_compared.is_empty()).then(|| self.not_compared.join("; "))
    }
}

/// The record of a sweep, and how far it can be trusted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoadedSweep {
    /// The record.
    pub record: SweepRecord,
    /// The outcome of its comparison with the present state.
    pub state: SweepState,
}

/// A record of a sweep that is refused.
#[derive(Debug, Error)]
pub enum SweepRecordError {
    /// Not JSON of this form.
    #[error(transparent)]
    Form(#[from] serde_json::Error),
    /// A record of another version.
    #[error("it has version {0}, this program reads version {VERSION}")]
    Version(u32),
    /// A kernel's release cannot be ordered.
    #[error("`{0}` is not a kernel version such as 6.12, or its version string states another one")]
    Release(String),
    /// An older kernel follows a newer one.
    #[error("its kernels are not in their order")]
    Order,
    /// A claim, named by its id, has more or fewer verdicts than there are kernels.
    #[error("claim `{0}` has not one verdict for each kernel")]
    Verdicts(String),
    /// A verdict has a word that no verdict has.
    #[error("claim `{id}`: `{word}` is not a verdict")]
    Word {
        /// The claim.
        id: String,
        /// The word.
        word: String,
    },
    /// A verdict has more or fewer values than the claim has operands.
    #[error("claim `{id}`: a verdict {word} has {expected} values, not {found}")]
    Values {
        /// The claim.
        id: String,
        /// The verdict.
        word: String,
        /// The number of values that it must have.
        expected: usize,
        /// The number that it has.
        found: usize,
    },
}

/// Read a record.
///
/// # Errors
/// The reason why it is refused.
pub fn read(bytes: &[u8]) -> Result<SweepRecord, SweepRecordError> {
    let record: SweepRecord = serde_json::from_slice(bytes)?;
    if record.version != VERSION {
        return Err(SweepRecordError::Version(record.version));
    }
    let mut orders = Vec::new();
    for kernel in &record.kernels {
        let release = &kernel.release;
        let order = kernel
            .version()
            .order()
            .ok_or_else(|| SweepRecordError::Release(release.clone()))?;
        orders.push((arch_order(kernel.architecture()), order));
    }
    if !orders.is_sorted() {
        return Err(SweepRecordError::Order);
    }
    for (id, claim) in &record.claims {
        if claim.verdicts.len() != record.kernels.len() {
            return Err(SweepRecordError::Verdicts(id.clone()));
        }
        for stated in &claim.verdicts {
            let word = &stated.verdict;
            let judged = matches!(word.as_str(), "PASS" | "FAIL");
            if !judged && !GAPS.iter().any(|gap| gap.name() == word) {
                return Err(SweepRecordError::Word {
                    id: id.clone(),
                    word: word.clone(),
                });
            }
            let values = if judged { claim.operands.len() } else { 0 };
            if stated.values.len() != values {
                return Err(SweepRecordError::Values {
                    id: id.clone(),
                    word: word.clone(),
                    expected: values,
                    found: stated.values.len(),
                });
            }
        }
    }
    Ok(record)
}

/// The verdicts that are not judgements.
const GAPS: [Verdict; 3] = [Verdict::Unverified, Verdict::NotApplicable, Verdict::Error];

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> SweepRecord {
        let kernel = |series: &str| SweptKernel {
            machine: format!("guest:debian-{series}"),
            release: format!("{series}.1"),
            version: None,
            arch: None,
            package: None,
            build_id: None,
            image_digest: None,
            evidence: "00".repeat(32),
            time: "2026-11-28T00:00:00Z".into(),
        };
        let verdict = |word: &str, values: &[&str]| SweptVerdict {
            verdict: word.into(),
            values: values.iter().map(ToString::to_string).collect(),
            reason: None,
        };
        let claim = SweptClaim {
            expression: "a.b == 1".into(),
            when: None,
            holds: None,
            operands: vec!["a.b".into()],
            verdicts: vec![verdict("PASS", &["1"]), verdict("UNVERIFIED", &[])],
        };
        SweepRecord {
            version: VERSION,
            investigation: "11".repeat(32),
            collector: Some("0.1.0".into()),
            object: Some("22".repeat(32)),
            kernels: vec![kernel("6.9"), kernel("6.12")],
            claims: BTreeMap::from([("a".into(), claim)]),
        }
    }

    fn reread(record: &SweepRecord) -> Result<SweepRecord, SweepRecordError> {
        read(&serde_json::to_vec(record).unwrap())
    }

    /// Check that a record comes back as it was written, also one of a program that did not say which collector captured.
    #[test]
    fn round_trip() {
        assert_eq!(reread(&record()).unwrap(), record());
        let mut earlier = serde_json::to_value(record()).unwrap();
        let fields = earlier.as_object_mut().unwrap();
        fields.remove("collector");
        fields.remove("object");
        let read = read(earlier.to_string().as_bytes()).unwrap();
        assert_eq!((read.collector, read.object), (None, None));
    }

    /// Check that kernels for each architecture stand together in a record, those of before it was said being for x86-64, and that such a
    /// kernel is that of evidence which says so by now, but never one for another architecture.
    #[test]
    fn architectures() {
        let mut both = record();
        let mut arm = both.kernels[0].clone();
        arm.machine += "-arm64";
        arm.arch = Some("aarch64".into());
        both.kernels[1].arch = Some("x86_64".into());
        both.kernels.push(arm.clone());
        for claim in both.claims.values_mut() {
            claim.verdicts.push(claim.verdicts[1].clone());
        }
        assert_eq!(reread(&both).unwrap(), both);
        both.kernels.swap(0, 2);
        assert!(matches!(reread(&both), Err(SweepRecordError::Order)));
        let before = record().kernels.remove(0);
        let with = |arch: &str| SweptKernel {
            arch: Some(arch.into()),
            ..before.clone()
        };
        assert!(before.matches(&with("x86_64")));
        assert!(!before.matches(&with("aarch64")));
        assert!(!with("x86_64").matches(&with("aarch64")));
    }

    /// Check that each difference between the claims of a record and those of a book is told, and none between the same.
    #[test]
    fn other_claims() {
        let mut record = record();
        for n in 0..6 {
            let claim = record.claims["a"].clone();
            record.claims.insert(format!("c{n}"), claim);
        }
        let of = |record: &SweepRecord, change: &dyn Fn(&mut Vec<ClaimText<'_>>)| {
            let mut texts: Vec<ClaimText<'_>> = record
                .claims
                .iter()
                .map(|(id, claim)| ClaimText {
                    id,
                    expression: &claim.expression,
                    when: None,
                    holds: None,
                })
                .collect();
            change(&mut texts);
            record.describe_changed_claims(texts.into_iter())
        };
        assert_eq!(of(&record, &|_| {}), None);
        type Change = fn(&mut Vec<ClaimText<'_>>);
        let changes: [(Change, &str); 5] = [
            (|t| t[0].expression = "a.b == 2", "(changed: `a`)"),
            (|t| t[0].when = Some("a.b == 2"), "(changed: `a`)"),
            (|t| t[1].holds = Some("..7.0"), "(changed: `c0`)"),
            (|t| t[0].id = "b", "(new: `b`; no longer made: `a`)"),
            (
                |t| t.clear(),
                "(no longer made: `a`, `c0`, `c1`, `c2` and 3 more)",
            ),
        ];
        for (change, words) in changes {
            let told = of(&record, &change).unwrap();
            assert!(told.contains(words), "{words}: {told}");
        }
    }

    /// Check that a record that contradicts itself is refused with what is wrong with it.
    #[test]
    fn contradictions() {
        type Change = fn(&mut SweepRecord);
        let changes: [(Change, &str); 6] = [
            (|r| r.version = 9, "version 9"),
            (|r| r.kernels.reverse(), "not in their order"),
            (
                |r| r.kernels[0].release = "mine".into(),
                "`mine` is not a kernel version",
            ),
            (
                |r| drop(r.claims.get_mut("a").unwrap().verdicts.pop()),
                "not one verdict",
            ),
            (
                |r| r.claims.get_mut("a").unwrap().verdicts[0].verdict = "pass".into(),
                "`pass` is not a verdict",
            ),
            (
                |r| r.claims.get_mut("a").unwrap().verdicts[0].values.clear(),
                "has 1 values, not 0",
            ),
        ];
        for (change, message) in changes {
            let mut changed = record();
            change(&mut changed);
            let error = reread(&changed).unwrap_err().to_string();
            assert!(error.contains(message), "{error}");
        }
    }
}

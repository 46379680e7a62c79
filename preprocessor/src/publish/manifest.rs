//! The files beside the pages of a site, so that anybody can check them: evidence, claims, verdicts, and a
//! manifest of all files.
//!
//! Everything is in the folder [`FOLDER`] of the site. The site itself does not reveal a consistent change of a page and the
//! manifest; the manifest's own digest does, in an attestation over it.

use std::collections::BTreeMap;
use std::sync::Arc;

use qed_evidence::Evidence;
use qed_evidence::claim::{Claim, Scope, SourceMap, Verdict, judge};
use qed_evidence::diagnostic::{Diagnostic, SourceText};
use qed_evidence::investigation::Investigation;
use qed_evidence::resolve::{Catalog, Indexed};
use serde::{Deserialize, Serialize};

use crate::claims::collect::Claims;
use crate::config::Addresses;
use crate::evidence::book_data::BookData;
use crate::evidence::history::PastCapture;
use crate::evidence::locations::SITE_MANIFEST;
use crate::evidence::mentions::BookMentions;
use crate::evidence::verdict_files::{
    PublishedClaim, PublishedControl, PublishedVerdict, Verdicts,
};
use crate::util::digest::sha256_hex;

/// The folder in the site.
pub const FOLDER: &str = "qed";
/// The manifest in it.
pub const MANIFEST: &str = SITE_MANIFEST;
/// The investigation in it.
pub const INVESTIGATION: &str = "qed/investigation.toml";
/// The claims in it.
pub const CLAIMS: &str = "qed/claims.json";
/// The verdicts in it.
pub const VERDICTS: &str = "qed/verdicts.json";
/// The history of captures in it.
pub const HISTORY: &str = "qed/history.json";

/// The record of a sweep in it.
pub const SWEEP: &str = "qed/sweep.json";
/// The folder of evidence in it.
pub const EVIDENCE: &str = "qed/evidence";

/// The version of these files' form.
const VERSION: u32 = 2;

/// The level at which a file of a site equals what its sources and its evidence make.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Level {
    /// The pieces that this preprocessor wrote, and nothing else looks like one. The text around them can be another.
    Fragments,
    /// The whole chapter is, or every text that a search finds. What the theme puts around it can be another.
    Content,
    /// Every byte.
    Whole,
}

/// The digests of all files of a site but itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Version of this form.
    pub version: u32,
    /// The treatment of addresses of live machines, by the owner's decision.
    pub addresses: Addresses,
    /// SHA-256 of each file, hex, by its path with `/`.
    pub files: BTreeMap<String, String>,
    /// SHA-256 of each section, experiment and probe of the evidence of each machine, the first 16 hex digits: they
    /// name what was changed.
    pub parts: BTreeMap<String, BTreeMap<String, String>>,
    /// The level of each file when the site was published, by its path.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub made: BTreeMap<String, Level>,
}

/// The claims and verdicts of a book.
pub fn collect_claims(
    book_data: &BookData<'_>,
    claims: &Claims,
) -> (Vec<PublishedClaim>, Verdicts) {
    let mut list = Vec::new();
    let mut verdicts = Verdicts::new();
    for judged in claims.iter_in_book_order() {
        let claim = &judged.claim;
        list.push(PublishedClaim {
            id: claim.id.clone(),
            chapter: judged.chapter_name.clone(),
            expression: claim.expression.text().into(),
            when: claim.when.as_ref().map(|when| when.text().into()),
            holds: claim.holds.as_ref().map(|holds| holds.text().into()),
            shown: judged.shown_name(book_data).to_owned(),
        });
        let of_claim = book_data
            .evidence_set
            .loaded
            .iter()
            .zip(judged.judgements.iter().zip(&judged.supported))
            .map(|(machine, (judgement, supported))| {
                let published = PublishedVerdict {
                    verdict: judgement.verdict.name().into(),
                    supported: supported.name().into(),
                    reason: judgement.reason.clone(),
                    control: judgement
                        .control
                        .as_ref()
                        .filter(|_| judgement.verdict != *supported)
                        .map(PublishedControl::new),
                };
                (machine.machine.clone(), published)
            })
            .collect();
        verdicts.insert(claim.id.clone(), of_claim);
    }
    (list, verdicts)
}

/// A document as it is written into a site.
pub fn to_json(value: &impl Serialize) -> serde_json::Result<Vec<u8>> {
    let mut text = serde_json::to_string_pretty(value)?;
    text.push('\n');
    Ok(text.into_bytes())
}

/// The digests of the parts of a document: `kaslr`, `create`, `create.sock_alloc`.
pub fn part_digests(evidence: &Evidence) -> BTreeMap<String, String> {
    let mut out = BTreeMap::new();
    let short =
        |value: &serde_json::Value| sha256_hex(value.to_string().as_bytes())[..16].to_owned();
    let mut document = serde_json::to_value(evidence).unwrap_or_default();
    let experiments = document["experiments"].take();
    for (name, mut experiment) in experiments.as_object().cloned().unwrap_or_default() {
        let probes = experiment["probes"].take();
        for (probe, value) in probes.as_object().into_iter().flatten() {
            out.insert(format!("{name}.{probe}"), short(value));
        }
        out.insert(name, short(&experiment));
    }
    for (name, value) in document.as_object().into_iter().flatten() {
        if !value.is_null() {
            out.insert(name.clone(), short(value));
        }
    }
    out
}

/// True for the hidden file that mdBook writes into each site, a word to GitHub Pages. No manifest has it.
pub fn is_no_jekyll(name: &str) -> bool {
    name.rsplit('/').next() == Some(".nojekyll")
}

/// Complaints about files beside the pages that no site has there, a line each.
pub fn unknown_files<'f>(names: impl Iterator<Item = &'f str>) -> Vec<String> {
    let known = [MANIFEST, INVESTIGATION, CLAIMS, VERDICTS, HISTORY, SWEEP];
    let folders = [format!("{EVIDENCE}/"), format!("{FOLDER}/source/")];
    let beside = names.filter(|name| name.starts_with(&format!("{FOLDER}/")));
    beside
        .filter(|name| !known.contains(name) && !folders.iter().any(|f| name.starts_with(f)))
        .map(|name| format!("{name}: no such file belongs into a site"))
        .collect()
}

/// True if a file is hidden: uploads leave such files out, so a site has to be whole without them.
fn is_hidden(name: &str) -> bool {
    name.split('/').any(|part| part.starts_with('.'))
}

/// The manifest over these files: paths and contents, without the manifest itself.
pub fn build_manifest<'f>(
    files: impl Iterator<Item = (&'f str, &'f [u8])>,
    evidence: impl Iterator<Item = &'f Evidence>,
    addresses: Addresses,
    made: BTreeMap<String, Level>,
) -> Manifest {
    Manifest {
        version: VERSION,
        addresses,
        files: files
            .filter(|(name, _)| *name != MANIFEST && !is_hidden(name))
            .map(|(name, bytes)| (name.to_owned(), sha256_hex(bytes)))
            .collect(),
        parts: evidence
            .map(|evidence| (evidence.machine.name.clone(), part_digests(evidence)))
            .collect(),
        made,
    }
}

/// The differences between the files of a site and its manifest, a line each.
pub fn compare_with_manifest<'f>(
    manifest: &Manifest,
    files: impl Iterator<Item = (&'f str, &'f [u8])>,
    evidence: &[Evidence],
) -> Vec<String> {
    let mut wrong = Vec::new();
    if manifest.version != VERSION {
        let version = manifest.version;
        wrong.push(format!(
            "{MANIFEST}: it has version {version}, this program reads version {VERSION}"
        ));
    }
    let mut missing: BTreeMap<&str, &String> = manifest
        .files
        .iter()
        .map(|(name, digest)| (name.as_str(), digest))
        .collect();
    let is_covered = |name: &str| name != MANIFEST && !is_no_jekyll(name);
    for (name, bytes) in files.filter(|(name, _)| is_covered(name)) {
        match missing.remove(name) {
            None => wrong.push(format!(
                "{name}: the manifest has no such file, it was added"
            )),
            Some(expected) if sha256_hex(bytes) != *expected => {
                wrong.push(format!(
                    "{name}: it was changed, the manifest has another digest"
                ));
            }
            Some(_) => {}
        }
    }
    wrong.extend(
        missing
            .keys()
            .map(|name| format!("{name}: it is missing, and the manifest has it")),
    );
    let known = |name: &String| evidence.iter().any(|e| e.machine.name == *name);
    for machine in manifest.parts.keys().filter(|name| !known(name)) {
        wrong.push(format!(
            "{MANIFEST}: it has parts of {machine}, of which there is no evidence"
        ));
    }
    for evidence in evidence {
        let machine = &evidence.machine.name;
        let Some(expected) = manifest.parts.get(machine) else {
            wrong.push(format!("{MANIFEST}: it knows no machine {machine}"));
            continue;
        };
        let found = part_digests(evidence);
        let names: std::collections::BTreeSet<&String> =
            expected.keys().chain(found.keys()).collect();
        for name in names {
            if expected.get(name) != found.get(name) {
                wrong.push(format!("the evidence of {machine}: `{name}` was changed"));
            }
        }
    }
    wrong
}

/// The result of judging published claims again.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Rejudgement {
    /// Verdicts that the published evidence gives again.
    pub repeated: usize,
    /// Verdicts for which it does not suffice, because addresses are withheld.
    pub trusted: usize,
    /// The problems, a line each.
    pub wrong: Vec<String>,
}

/// The claim that was published, with what the published chapters tell.
pub(super) fn parse_published_claim(
    published: &PublishedClaim,
    book_mentions: &BookMentions,
) -> Result<Claim, Vec<Diagnostic>> {
    let place = |text: &str| {
        let source = SourceText {
            name: CLAIMS.into(),
            text: text.into(),
        };
        SourceMap::new(Arc::new(source), 0)
    };
    let when = published.when.as_deref();
    let claim = Claim::parse(
        &published.id,
        &published.expression,
        place(&published.expression),
        when.map(|when| (when, place(when))),
    )?;
    let claim = match published.holds.as_deref() {
        Some(holds) => claim.with_interval(holds, &place(holds))?,
        None => claim,
    };
    let tell = |scope: Scope, experiment: &str| {
        book_mentions.for_experiment(scope, &published.chapter, experiment)
    };
    Ok(claim.with_mentions(&tell))
}

/// Judge all published claims on the published evidence and on what the published chapters tell, and compare them.
pub fn rejudge(
    investigation: &Investigation,
    evidence: &[Evidence],
    book_mentions: &BookMentions,
    claims: &[PublishedClaim],
    verdicts: &Verdicts,
) -> Rejudgement {
    let machines: Vec<Indexed<'_>> = evidence.iter().map(Indexed::new).collect();
    let catalog = Catalog {
        investigation,
        machines: &machines,
    };
    let mut again = Rejudgement::default();
    for published in claims {
        let id = &published.id;
        let Some(of_claim) = verdicts.get(id) else {
            again
                .wrong
                .push(format!("claim `{id}`: {VERDICTS} has no verdict on it"));
            continue;
        };
        let claim = match parse_published_claim(published, book_mentions) {
            Ok(claim) => claim,
            Err(problems) => {
                let message = problems.first().map_or("", |p| p.message.as_str());
                again
                    .wrong
                    .push(format!("claim `{id}`: it cannot be read again: {message}"));
                continue;
            }
        };
        for machine in &machines {
            let name = &machine.evidence.machine.name;
            let Some(published) = of_claim.get(name) else {
                again
                    .wrong
                    .push(format!("claim `{id}`: {VERDICTS} has no verdict on {name}"));
                continue;
            };
            let found = judge(&claim, &catalog, machine).verdict;
            let redacted = qed_evidence::redact::is_redacted(machine.evidence);
            if found.name() != published.supported {
                again.wrong.push(format!(
                    "claim `{id}` on {name}: {VERDICTS} says that the evidence makes it {}, it makes it {found}",
                    published.supported
                ));
            } else if published.verdict == published.supported {
                again.repeated += 1;
            } else if redacted && found == Verdict::Unverified {
                again.trusted += 1;
            } else {
                again.wrong.push(format!(
                    "claim `{id}` on {name}: {VERDICTS} says {}, the evidence makes it {found}",
                    published.verdict
                ));
            }
        }
        for name in of_claim.keys() {
            if !machines.iter().any(|m| m.evidence.machine.name == *name) {
                again.wrong.push(format!(
                    "claim `{id}`: a verdict on {name}, of which there is no evidence"
                ));
            }
        }
    }
    for id in verdicts.keys() {
        if !claims.iter().any(|claim| claim.id == *id) {
            again.wrong.push(format!(
                "claim `{id}`: a verdict on it, and {CLAIMS} has no such claim"
            ));
        }
    }
    again
}

/// The contradictions between a site's history and its evidence and verdicts, a line each. The captures that the site
/// shows have to be in it as they are, and no slide of a machine that lives on.
pub fn compare_with_history(
    captures: &[PastCapture],
    evidence: &[Evidence],
    verdicts: &Verdicts,
) -> Vec<String> {
    let mut wrong: Vec<String> = captures
        .iter()
        .filter(|capture| capture.slide.is_some() && !capture.is_of_guest())
        .map(|capture| format!("{HISTORY}: it has a slide of {}", capture.machine))
        .collect();
    for evidence in evidence {
        let machine = &evidence.machine.name;
        let mut counts: BTreeMap<String, usize> = BTreeMap::new();
        for published in verdicts
            .values()
            .filter_map(|of_claim| of_claim.get(machine))
        {
            *counts.entry(published.verdict.clone()).or_insert(0) += 1;
        }
        let published = captures
            .iter()
            .find(|capture| capture.run == evidence.run.id && capture.machine == *machine);
        match published {
            None => wrong.push(format!("{HISTORY}: the capture of {machine} is not in it")),
            Some(capture)
                if capture.time != evidence.run.time
                    || capture.kernel != evidence.kernel.release
                    || capture.verdicts != counts =>
            {
                wrong.push(format!(
                    "{HISTORY}: the entry of {machine} differs from its capture"
                ));
            }
            Some(_) => {}
        }
    }
    wrong
}

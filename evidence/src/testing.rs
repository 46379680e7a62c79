//! A small book's worth of evidence, for the tests of this crate.

use std::sync::Arc;

use crate::claim::{Claim, Judgement, SourceMap, judge};
use crate::diagnostic::{Diagnostic, SourceText};
use crate::document::Evidence;
use crate::investigation::Investigation;
use crate::path_index::resolve::{Catalog, Indexed};

const INVESTIGATION: &str = include_str!("../testdata/two-experiments.toml");

const EVIDENCE: &str = include_str!("../testdata/two-experiments.json");

/// The investigation of [`evidence`].
pub(crate) fn investigation() -> Investigation {
    crate::investigation::parse("two-experiments.toml", INVESTIGATION)
        .unwrap_or_else(|errors| panic!("{errors:?}"))
}

/// A sound capture of two experiments.
pub(crate) fn evidence() -> Evidence {
    crate::validate::reader::read(EVIDENCE.as_bytes()).unwrap_or_else(|error| panic!("{error}"))
}

/// The text of [`evidence`].
pub(crate) fn evidence_text() -> &'static str {
    EVIDENCE
}

/// A place in a chapter that holds nothing but `text`.
pub(crate) fn place(text: &str) -> SourceMap {
    let source = Arc::new(SourceText {
        name: "chapter.md".into(),
        text: text.into(),
    });
    SourceMap::new(source, 0)
}

/// The claim `text`, or the complaints about it.
pub(crate) fn claim(text: &str) -> Result<Claim, Vec<Diagnostic>> {
    Claim::parse("a_claim", text, place(text), None)
}

/// The judgement on `text` on `evidence`.
pub(crate) fn judge_on(text: &str, evidence: &Evidence) -> Judgement {
    let claim = claim(text).unwrap_or_else(|errors| panic!("{text}: {}", errors[0]));
    judge_claim(&claim, evidence)
}

/// The judgement on `claim` on `evidence`.
pub(crate) fn judge_claim(claim: &Claim, evidence: &Evidence) -> Judgement {
    judge_planned(&investigation(), claim, evidence)
}

/// The judgement on `claim` on `evidence` of another investigation.
pub(crate) fn judge_planned(
    investigation: &Investigation,
    claim: &Claim,
    evidence: &Evidence,
) -> Judgement {
    let machines = [Indexed::new(evidence)];
    let catalog = Catalog {
        investigation,
        machines: &machines,
    };
    judge(claim, &catalog, &machines[0])
}

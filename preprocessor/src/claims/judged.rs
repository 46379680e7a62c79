//! A claim with its verdicts.

use std::ops::Range;

use qed_evidence::claim::{Claim, Judgement, Verdict};
use qed_evidence::diagnostic::Diagnostic;

use crate::config::OnMissing;
use crate::evidence::machine_id::MachineId;

/// One claim of the book with its verdicts.
#[derive(Debug)]
pub struct JudgedClaim {
    /// The claim.
    pub claim: Claim,
    /// Index of its chapter.
    pub chapter: usize,
    /// Index of its block in the chapter.
    pub block: usize,
    /// Path of the chapter, relative to `src`.
    pub chapter_name: String,
    /// The place of its block.
    pub range: Range<usize>,
    /// The machine that its chapter shows.
    pub shown: MachineId,
    /// The consequence of UNVERIFIED on that machine.
    pub on_unverified: OnMissing,
    /// The judgement on each machine that has evidence, in the book's order: as it may be published.
    pub judgements: Vec<Judgement>,
    /// The verdicts on the evidence that may be shown, in the same order.
    pub supported: Vec<Verdict>,
}

impl JudgedClaim {
    /// The judgement on the machine that its chapter shows.
    pub fn judgement(&self) -> &Judgement {
        self.judgement_on(self.shown)
    }

    /// The judgement on a machine.
    pub fn judgement_on(&self, machine: MachineId) -> &Judgement {
        &self.judgements[machine.index()]
    }

    /// A complaint about its expression.
    pub fn diagnostic(&self, message: impl Into<String>) -> Diagnostic {
        let expression = &self.claim.expression;
        let range = 0..expression.text().len();
        expression.place().error(&range, message)
    }
}

/// The rule that a claim with this verdict breaks.
pub fn rule_of(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Pass => "claim-pass",
        Verdict::Fail => "claim-fail",
        Verdict::Unverified => "claim-unverified",
        Verdict::NotApplicable => "claim-not-applicable",
        Verdict::Error => "claim-error",
    }
}

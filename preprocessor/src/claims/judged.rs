//! A claim with its verdicts.

use crate::evidence::machine_id::MachineId;
use std::ops::Range;

use qed_evidence::claim::{Claim, Judgement, Verdict};

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
    /// The judgement on each machine that has evidence, in the book's order: as it may be published.
    pub judgements: Vec<Judgement>,
    /// The verdicts on the evidence that may be shown, likewise.
    pub supported: Vec<Verdict>,
}

impl JudgedClaim {
    /// The judgement on the machine that its chapter shows.
    pub fn judgement(&self) -> &Judgement {
        &self.judgements[self.shown.index()]
    }
}

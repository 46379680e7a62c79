//! A claim with its verdicts.

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
    /// Where its block stands.
    pub range: Range<usize>,
    /// The machine that its chapter shows, an index of [`BookData::loaded`].
    pub shown: usize,
    /// What it comes to on each machine that has evidence, in the book's order: as it may be told.
    pub judgements: Vec<Judgement>,
    /// What the evidence that may be shown comes to, likewise.
    pub supported: Vec<Verdict>,
}

//! Verdicts on claims, with their operands and reasons.

use std::ops::Range;

use serde::Serialize;

use crate::diagnostic::Diagnostic;
use crate::document::value::Value;

/// The verdict on a claim on one machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub enum Verdict {
    /// Every value was measured, the expression is true, and with another value it would have been false.
    #[serde(rename = "PASS")]
    Pass,
    /// The claim's condition is false here.
    #[serde(rename = "N/A")]
    NotApplicable,
    /// This machine cannot show it.
    #[serde(rename = "UNVERIFIED")]
    Unverified,
    /// Every value was measured, and the expression is false.
    #[serde(rename = "FAIL")]
    Fail,
    /// The claim makes no sense, or the capture is not sound.
    #[serde(rename = "ERROR")]
    Error,
}

impl Verdict {
    /// The word as it is printed.
    pub const fn name(self) -> &'static str {
        match self {
            Verdict::Pass => "PASS",
            Verdict::NotApplicable => "N/A",
            Verdict::Unverified => "UNVERIFIED",
            Verdict::Fail => "FAIL",
            Verdict::Error => "ERROR",
        }
    }

    /// True if it has to fail a build.
    pub fn is_failure(self) -> bool {
        matches!(self, Verdict::Fail | Verdict::Error)
    }
}

impl std::fmt::Display for Verdict {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.name())
    }
}

/// A part of the expression whose value comes from the evidence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Operand {
    /// Its bytes in the expression's text.
    pub range: Range<usize>,
    /// Its text: a path, or a call of a function that reads evidence.
    pub text: String,
    /// The measured value, as it is in the evidence; for a call of a function, its result.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<Value>,
    /// The reason why there is no value.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub missing: Option<String>,
}

/// The negative control behind a PASS: one value was changed, everything else was the same, and the claim failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Control {
    /// The path that was changed, or several.
    pub path: String,
    /// The value before.
    pub was: String,
    /// The value that it was changed into.
    pub became: String,
    /// The outcome.
    pub verdict: Verdict,
}

/// The verdict on one claim on one machine, with everything that led to it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Judgement {
    /// The verdict.
    pub verdict: Verdict,
    /// Every operand of the expression, in its order.
    pub operands: Vec<Operand>,
    /// Every operand of the condition, in its order.
    pub when_operands: Vec<Operand>,
    /// The reason: what is missing and what would supply it, why it is an error, or why it does not apply.
    pub reason: Option<String>,
    /// The negative control that a PASS has survived.
    pub control: Option<Control>,
    /// For a PASS that rests on silence or on a count: what shows that nothing went unseen, one sentence for each of them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub rests_on: Vec<String>,
    /// Values that could have been anything: no change of one of them alone made the claim FAIL.
    pub insensitive_to: Vec<String>,
    /// The statement that the claim has to be false, where the kernel is outside of those on which it holds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outside: Option<String>,
    /// For an ERROR: the same with its place in the chapter.
    #[serde(skip)]
    pub diagnostic: Option<Diagnostic>,
}

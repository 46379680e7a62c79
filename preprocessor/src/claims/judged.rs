//! A claim with its verdicts.

use std::ops::Range;

use qed_evidence::claim::{Claim, Judgement, Verdict};
use qed_evidence::diagnostic::Diagnostic;

use crate::config::OnMissing;
use crate::evidence::book_data::BookData;
use crate::evidence::loader::describe_absence;
use crate::evidence::machine_id::MachineId;

/// The machine that a chapter shows a claim on.
#[derive(Clone, Debug)]
pub enum ShownMachine {
    /// One that has evidence.
    Measured(MachineId),
    /// The one that the claim names, and that has none.
    Absent {
        /// Its name.
        name: String,
        /// The judgement that nothing can be shown there.
        judgement: Box<Judgement>,
    },
}

impl ShownMachine {
    /// A machine of the book without evidence.
    pub fn absent(name: &str) -> Self {
        let (name, why) = describe_absence(name);
        ShownMachine::Absent {
            name,
            judgement: Box::new(Judgement {
                verdict: Verdict::Unverified,
                operands: Vec::new(),
                when_operands: Vec::new(),
                reason: Some(why),
                control: None,
                rests_on: Vec::new(),
                insensitive_to: Vec::new(),
                outside: None,
                diagnostic: None,
            }),
        }
    }

    /// The machine, if it has evidence.
    pub fn id(&self) -> Option<MachineId> {
        match self {
            ShownMachine::Measured(machine) => Some(*machine),
            ShownMachine::Absent { .. } => None,
        }
    }
}

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
    pub shown: ShownMachine,
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
        match &self.shown {
            ShownMachine::Measured(machine) => self.judgement_on(*machine),
            ShownMachine::Absent { judgement, .. } => judgement,
        }
    }

    /// True if its chapter shows the machine at this place among those that have evidence.
    pub fn is_shown_on(&self, index: usize) -> bool {
        self.shown.id().is_some_and(|shown| shown.index() == index)
    }

    /// The machine that the claim names and that has no evidence, with the judgement that its chapter shows.
    pub fn absent(&self) -> Option<(&str, &Judgement)> {
        match &self.shown {
            ShownMachine::Measured(_) => None,
            ShownMachine::Absent { name, judgement } => Some((name, judgement)),
        }
    }

    /// True if its chapter shows it as UNVERIFIED where that is not allowed.
    pub fn is_open_against_its_rule(&self) -> bool {
        self.judgement().verdict == Verdict::Unverified && self.on_unverified == OnMissing::Error
    }

    /// The name of the machine that its chapter shows.
    pub fn shown_name<'n>(&'n self, book_data: &'n BookData<'_>) -> &'n str {
        match &self.shown {
            ShownMachine::Measured(machine) => &book_data.machine(*machine).machine,
            ShownMachine::Absent { name, .. } => name,
        }
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

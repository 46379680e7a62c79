//! Claims over kernels: where each is true, where false, and between which two of them it turned.

use qed_evidence::claim::{Judgement, Verdict};

/// A claim on one kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Its expression is true there.
    True,
    /// Its expression is false there.
    False,
    /// It was not judged there: UNVERIFIED, N/A or ERROR.
    Gap(Verdict),
}

impl Answer {
    /// The answer of a judgement. A claim that passes outside of the kernels on which it holds is false there.
    pub fn of(judgement: &Judgement) -> Self {
        match (judgement.verdict, &judgement.outside) {
            (Verdict::Pass, None) | (Verdict::Fail, Some(_)) => Answer::True,
            (Verdict::Fail, None) | (Verdict::Pass, Some(_)) => Answer::False,
            (gap, _) => Answer::Gap(gap),
        }
    }

    /// The answer in a word.
    pub fn word(self) -> &'static str {
        match self {
            Answer::True => "true",
            Answer::False => "false",
            Answer::Gap(verdict) => verdict.word(),
        }
    }
}

/// Two kernels between which a claim turned: indexes of the older and the newer one. Those between them are gaps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Turn {
    /// The last kernel before.
    pub before: usize,
    /// The first kernel after.
    pub after: usize,
}

/// All turns of a claim, from its answers on each kernel, the oldest first.
pub fn turns(answers: &[Answer]) -> Vec<Turn> {
    let mut judged = answers
        .iter()
        .enumerate()
        .filter(|(_, answer)| !matches!(answer, Answer::Gap(_)));
    let Some(mut last) = judged.next() else {
        return Vec::new();
    };
    let mut found = Vec::new();
    for next in judged {
        if next.1 != last.1 {
            found.push(Turn {
                before: last.0,
                after: next.0,
            });
        }
        last = next;
    }
    found
}

/// A run of kernels on which a claim has the same answer: indexes of its first and last kernel. Gaps within a run do not end
/// it, and belong to none at its ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    /// The expression is true on these.
    pub holds: bool,
    /// The first.
    pub first: usize,
    /// The last.
    pub last: usize,
}

/// The runs of a claim, from its answers on each kernel, the oldest first.
pub fn runs(answers: &[Answer]) -> Vec<Run> {
    let mut found: Vec<Run> = Vec::new();
    for (index, answer) in answers.iter().enumerate() {
        let holds = match answer {
            Answer::True => true,
            Answer::False => false,
            Answer::Gap(_) => continue,
        };
        match found.last_mut() {
            Some(run) if run.holds == holds => run.last = index,
            _ => found.push(Run {
                holds,
                first: index,
                last: index,
            }),
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    const GAP: Answer = Answer::Gap(Verdict::Unverified);

    /// Check that a claim turns where it became false or true, and that kernels on which it was not judged are no turns.
    #[test]
    fn gaps_are_no_turns() {
        use Answer::{False, True};
        let turn = |before, after| Turn { before, after };
        for (answers, wanted) in [
            (vec![], vec![]),
            (vec![GAP, GAP], vec![]),
            (vec![True, True, GAP], vec![]),
            (vec![True, GAP, True], vec![]),
            (vec![True, False], vec![turn(0, 1)]),
            (vec![GAP, True, GAP, GAP, False, False], vec![turn(1, 4)]),
            (vec![True, False, GAP, True], vec![turn(0, 1), turn(1, 3)]),
        ] {
            assert_eq!(turns(&answers), wanted, "{answers:?}");
            let runs = runs(&answers);
            let between: Vec<Turn> = runs
                .windows(2)
                .map(|two| turn(two[0].last, two[1].first))
                .collect();
            assert_eq!(between, wanted, "{runs:?}");
        }
    }
}

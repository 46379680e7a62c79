//! Claims over kernels: the releases on which each is true or false, and the pairs between which it turned.

use qed_evidence::claim::{Judgement, Verdict};

/// A claim on one kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Its expression is true there.
    True,
    /// Its expression is false there.
    False,
    /// Not judged there: UNVERIFIED, N/A or ERROR.
    Gap(Verdict),
}

impl Answer {
    /// The answer of a judgement. A claim that passes outside its interval of kernels is false there.
    pub fn from_judgement(judgement: &Judgement) -> Self {
        match (judgement.verdict, &judgement.outside) {
            (Verdict::Pass, None) | (Verdict::Fail, Some(_)) => Answer::True,
            (Verdict::Fail, None) | (Verdict::Pass, Some(_)) => Answer::False,
            (gap, _) => Answer::Gap(gap),
        }
    }

    /// The answer of a recorded verdict, of a claim that has to be true there, or false.
    pub fn from_recorded(verdict: &str, expected: Option<bool>) -> Self {
        match (verdict, expected) {
            ("PASS", Some(true)) | ("FAIL", Some(false)) => Answer::True,
            ("FAIL", Some(true)) | ("PASS", Some(false)) => Answer::False,
            ("N/A", _) => Answer::Gap(Verdict::NotApplicable),
            ("ERROR", _) => Answer::Gap(Verdict::Error),
            _ => Answer::Gap(Verdict::Unverified),
        }
    }

    /// The answer in a word.
    pub fn as_str(self) -> &'static str {
        match self {
            Answer::True => "true",
            Answer::False => "false",
            Answer::Gap(verdict) => verdict.name(),
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
pub fn find_turns(answers: &[Answer]) -> Vec<Turn> {
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
pub struct Interval {
    /// The expression is true on these.
    pub holds: bool,
    /// The first.
    pub first: usize,
    /// The last.
    pub last: usize,
}

/// The runs of a claim, from its answers on each kernel, the oldest first.
pub fn find_runs(answers: &[Answer]) -> Vec<Interval> {
    let mut found: Vec<Interval> = Vec::new();
    for (index, answer) in answers.iter().enumerate() {
        let holds = match answer {
            Answer::True => true,
            Answer::False => false,
            Answer::Gap(_) => continue,
        };
        match found.last_mut() {
            Some(run) if run.holds == holds => run.last = index,
            _ => found.push(Interval {
                holds,
                first: index,
                last: index,
            }),
        }
    }
    found
}

/// The kernels on which a claim is true and those on which it is false, in words.
pub fn summarize(answers: &[Answer], releases: &[&str]) -> String {
    let found = find_runs(answers);
    if found.is_empty() {
        return "judged on none of these kernels".into();
    }
    let parts: Vec<String> = found
        .iter()
        .enumerate()
        .map(|(number, run)| describe_run(run, number == 0, number + 1 == found.len(), releases))
        .collect();
    parts.join("; ")
}

/// A run of equal answers, in words. The first may have begun before the first kernel, and the last is open-ended.
fn describe_run(run: &Interval, first: bool, last: bool, releases: &[&str]) -> String {
    let word = if run.holds { "true" } else { "false" };
    let (from, to) = (series(releases[run.first]), series(releases[run.last]));
    match (first, last) {
        (true, true) => format!("{word} on all that judge it, {from} to {to}"),
        (true, false) => format!("{word} up to {to}"),
        (false, true) => format!("{word} from {from} on"),
        (false, false) if from == to => format!("{word} on {from}"),
        (false, false) => format!("{word} from {from} to {to}"),
    }
}

/// The series of a release: `7.0` of `7.0.13+deb14-amd64`.
pub fn series(release: &str) -> String {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit());
    let (major, minor) = (numbers.next(), numbers.next());
    [major.unwrap_or("?"), ".", minor.unwrap_or("?")].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    const GAP: Answer = Answer::Gap(Verdict::Unverified);

    /// Check that a claim turns where it became false or true, and that a kernel on which it was not judged makes none.
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
            assert_eq!(find_turns(&answers), wanted, "{answers:?}");
            let runs = find_runs(&answers);
            let between: Vec<Turn> = runs
                .windows(2)
                .map(|two| turn(two[0].last, two[1].first))
                .collect();
            assert_eq!(between, wanted, "{runs:?}");
        }
    }

    /// Check that the runs of a claim are described from the first kernel to the last.
    #[test]
    fn runs_in_words() {
        let releases = ["6.1.0-56", "6.12.118", "7.0.13", "7.1.2", "7.3.4"];
        let run = |holds, first, last| Interval { holds, first, last };
        for (run, first, last, words) in [
            (
                run(true, 0, 4),
                true,
                true,
                "true on all that judge it, 6.1 to 7.3",
            ),
            (run(true, 0, 2), true, false, "true up to 7.0"),
            (run(false, 3, 4), false, true, "false from 7.1 on"),
            (run(true, 1, 1), false, false, "true on 6.12"),
            (run(true, 1, 3), false, false, "true from 6.12 to 7.1"),
        ] {
            assert_eq!(describe_run(&run, first, last, &releases), words);
        }
    }
}

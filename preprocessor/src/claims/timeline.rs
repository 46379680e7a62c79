//! Claims over kernels: the releases on which each is true or false, and the pairs between which it turned.

use std::fmt;
use std::ops::Range;

use qed_evidence::claim::{Judgement, Verdict};
use qed_evidence::document::{ARCHITECTURES, architecture_words};
use serde::Serialize;

use crate::evidence::sweep_record::SweptKernel;

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

/// A kernel of a sweep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SweepColumn<'a> {
    /// Its release, `7.0.13+deb14-amd64`.
    pub release: &'a str,
    /// Its architecture, as `uname -m` prints it.
    pub arch: &'a str,
}

impl SweepColumn<'_> {
    /// The series of its release, `7.0`, with the architecture behind it if that is not x86-64, as in the name of its guest.
    pub fn series(self) -> String {
        let mut numbers = self.release.split(|c: char| !c.is_ascii_digit());
        let (major, minor) = (numbers.next(), numbers.next());
        let series = [major.unwrap_or("?"), ".", minor.unwrap_or("?")].concat();
        match self.arch == ARCHITECTURES[0] {
            true => series,
            false => format!("{series}-{}", architecture_words(self.arch)),
        }
    }
}

impl fmt::Display for SweepColumn<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.release)
    }
}

impl Serialize for SweepColumn<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.release)
    }
}

impl<'a> From<&'a SweptKernel> for SweepColumn<'a> {
    fn from(kernel: &'a SweptKernel) -> Self {
        SweepColumn {
            release: &kernel.release,
            arch: kernel.architecture(),
        }
    }
}

/// The ranges of kernels of one architecture.
fn split_by_arch(kernels: &[SweepColumn<'_>]) -> Vec<Range<usize>> {
    let mut start = 0;
    let groups = kernels.chunk_by(|a, b| a.arch == b.arch);
    groups
        .map(|group| {
            let range = start..start + group.len();
            start = range.end;
            range
        })
        .collect()
}

/// All turns of a claim, from its answers on each kernel: of each architecture the oldest first. There is no turn from the kernel for one
/// architecture to that for another.
pub fn find_turns(answers: &[Answer], kernels: &[SweepColumn<'_>]) -> Vec<Turn> {
    let turns = split_by_arch(kernels).into_iter().flat_map(|range| {
        let own = answers.get(range.clone()).unwrap_or_default();
        let found = turns_of_one(own).into_iter();
        found.map(move |turn| Turn {
            before: range.start + turn.before,
            after: range.start + turn.after,
        })
    });
    turns.collect()
}

fn turns_of_one(answers: &[Answer]) -> Vec<Turn> {
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

/// The runs of a claim, from its answers on each kernel of one architecture, the oldest first.
fn find_runs(answers: &[Answer]) -> Vec<Interval> {
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
pub fn summarize(answers: &[Answer], kernels: &[SweepColumn<'_>]) -> String {
    let parts = split_by_arch(kernels).into_iter().map(|range| {
        let own = answers.get(range.clone()).unwrap_or_default();
        (
            kernels[range.start].arch,
            summarize_one(own, &kernels[range]),
        )
    });
    let parts: Vec<(&str, String)> = parts.collect();
    match parts.as_slice() {
        [] => summarize_one(&[], &[]),
        [(_, only)] => only.clone(),
        parts => {
            let parts = parts.iter();
            let parts = parts.map(|(arch, text)| format!("{}: {text}", architecture_words(arch)));
            parts.collect::<Vec<_>>().join(" | ")
        }
    }
}

fn summarize_one(answers: &[Answer], kernels: &[SweepColumn<'_>]) -> String {
    let found = find_runs(answers);
    if found.is_empty() {
        return "judged on none of these kernels".into();
    }
    let parts: Vec<String> = found
        .iter()
        .enumerate()
        .map(|(number, run)| describe_run(run, number == 0, number + 1 == found.len(), kernels))
        .collect();
    parts.join("; ")
}

/// The first and the last series of each architecture, in words.
pub fn describe_span(kernels: &[SweepColumn<'_>]) -> String {
    let spans = split_by_arch(kernels).into_iter().map(|range| {
        let (first, last) = (kernels[range.start], kernels[range.end - 1]);
        format!("{} to {}", first.series(), last.series())
    });
    let spans: Vec<String> = spans.collect();
    match spans.is_empty() {
        true => "? to ?".into(),
        false => spans.join(" and "),
    }
}

/// A run of equal answers, in words. The first may have begun before the first kernel, and the last is open-ended.
fn describe_run(run: &Interval, first: bool, last: bool, kernels: &[SweepColumn<'_>]) -> String {
    let word = if run.holds { "true" } else { "false" };
    let (from, to) = (kernels[run.first].series(), kernels[run.last].series());
    match (first, last) {
        (true, true) => format!("{word} on all that judge it, {from} to {to}"),
        (true, false) => format!("{word} up to {to}"),
        (false, true) => format!("{word} from {from} on"),
        (false, false) if from == to => format!("{word} on {from}"),
        (false, false) => format!("{word} from {from} to {to}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of<'a>(release: &'a str, arch: &'a str) -> SweepColumn<'a> {
        SweepColumn { release, arch }
    }

    /// Check that kernels for two architectures are told apart: in their names, in runs, and no turn leads from one to the other, even if
    /// their answers differ.
    #[test]
    fn two_architectures() {
        use Answer::{False, True};
        let kernels = [
            of("6.12.118+deb13-cloud-amd64", "x86_64"),
            of("7.3.4+deb13-cloud-amd64", "x86_64"),
            of("6.12.118+deb13-cloud-arm64", "aarch64"),
            of("7.0.1+deb13-cloud-arm64", "aarch64"),
            of("7.3.4+deb13-cloud-arm64", "aarch64"),
        ];
        let turns = |answers: [Answer; 5]| -> Vec<(usize, usize)> {
            let turns = find_turns(&answers, &kernels).into_iter();
            turns.map(|turn| (turn.before, turn.after)).collect()
        };
        assert_eq!(turns([True, True, False, False, False]), []);
        assert_eq!(turns([GAP, True, GAP, False, False]), []);
        assert_eq!(turns([False, True, False, GAP, True]), [(0, 1), (2, 4)]);
        let answers = [True, True, False, False, True];
        assert_eq!(
            summarize(&answers, &kernels),
            "x86-64: true on all that judge it, 6.12 to 7.3 | arm64: false up to 7.0-arm64; true from 7.3-arm64 on"
        );
        assert_eq!(
            describe_span(&kernels),
            "6.12 to 7.3 and 6.12-arm64 to 7.3-arm64"
        );
        assert_eq!(
            summarize(&answers[..2], &kernels[..2]),
            "true on all that judge it, 6.12 to 7.3"
        );
        assert_eq!(describe_span(&kernels[..2]), "6.12 to 7.3");
        assert_eq!(summarize(&[], &[]), "judged on none of these kernels");
    }

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
            assert_eq!(turns_of_one(&answers), wanted, "{answers:?}");
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
            let kernels = releases.map(|release| of(release, "x86_64"));
            assert_eq!(describe_run(&run, first, last, &kernels), words);
        }
    }
}

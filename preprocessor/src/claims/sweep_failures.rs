//! Claims that fail on kernels of a sweep, and records of a sweep that contradict themselves.

use qed_evidence::claim::{Claim, KernelVersion, Verdict};
use qed_evidence::diagnostic::Diagnostic;

use crate::claims::judged::{JudgedClaim, rule_of};
use crate::claims::timeline::SweepColumn;
use crate::evidence::locations::SWEEP;
use crate::evidence::sweep_record::{ClaimText, LoadedSweep, MAKE, SweptClaim, SweptVerdict};

/// A kernel of a sweep on which a claim is wrong about the kernels that it holds on, or could not be judged because the evidence is
/// broken. A claim that says nothing about other kernels only turns there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SweptFailure<'s> {
    /// Index of the kernel.
    pub kernel: usize,
    /// FAIL or ERROR.
    pub verdict: Verdict,
    /// The reason, if there is one.
    pub reason: Option<&'s str>,
}

/// The kernels of a sweep on which a claim fails, the oldest first.
pub fn find_failures(swept: &SweptClaim) -> Vec<SweptFailure<'_>> {
    let verdicts = swept.verdicts.iter().enumerate();
    verdicts
        .filter_map(|(kernel, swept_verdict)| {
            let verdict = match swept_verdict.verdict.as_str() {
                "FAIL" if swept.holds.is_some() => Verdict::Fail,
                "ERROR" => Verdict::Error,
                _ => return None,
            };
            Some(SweptFailure {
                kernel,
                verdict,
                reason: swept_verdict.reason.as_deref(),
            })
        })
        .collect()
}

/// The complaints about a claim that fails on kernels of a sweep with these releases, one for FAIL and one for ERROR.
pub fn failure_diagnostics(
    judged: &JudgedClaim,
    swept: &SweptClaim,
    releases: &[SweepColumn<'_>],
) -> Vec<Diagnostic> {
    let all = find_failures(swept);
    let of = |verdict: Verdict| {
        let mut found = all
            .iter()
            .filter(|failure| failure.verdict == verdict)
            .peekable();
        let reason = found.peek()?.reason;
        let on: Vec<&str> = found
            .map(|failure| releases[failure.kernel].release)
            .collect();
        let reason = reason.map_or(String::new(), |reason| format!(": {reason}"));
        let id = &judged.claim.id;
        let message = format!(
            "claim `{id}` is {verdict} in the sweep, on {}{reason}",
            on.join(", ")
        );
        let problem = judged.diagnostic(message).rule(rule_of(verdict));
        Some(problem.help(format!("`mdbook-qed since {id}` shows it on every kernel")))
    };
    [Verdict::Fail, Verdict::Error]
        .into_iter()
        .filter_map(of)
        .collect()
}

/// The complaints about a claim that fails on kernels of a recorded sweep. None by a record that is out of date, which is told
/// elsewhere.
pub fn recorded_failure_diagnostics(judged: &JudgedClaim, sweep: &LoadedSweep) -> Vec<Diagnostic> {
    let kernels = sweep.record.kernels.iter();
    let releases: Vec<SweepColumn<'_>> = kernels.map(SweepColumn::from).collect();
    match current_claim(judged, sweep).filter(|_| sweep.state.stale.is_empty()) {
        Some(swept) => failure_diagnostics(judged, swept, &releases),
        None => Vec::new(),
    }
}

/// The complaint about a recorded verdict on a claim that does not follow from the values beside it.
pub fn find_contradiction(judged: &JudgedClaim, sweep: &LoadedSweep) -> Option<Diagnostic> {
    let (claim, swept) = (&judged.claim, current_claim(judged, sweep)?);
    let mut verdicts = sweep.record.kernels.iter().zip(&swept.verdicts);
    let (kernel, verdict) = verdicts.find(|(kernel, verdict)| {
        contradicts_itself(claim, kernel.version(), &swept.operands, verdict)
    })?;
    let message = format!(
        "the record of the sweep, `{SWEEP}`, contradicts itself: claim `{}` is {} on {}, which does not follow from the values \
         that it states there",
        claim.id, verdict.verdict, kernel.release
    );
    let problem = judged.diagnostic(message).rule(rule_of(Verdict::Error));
    Some(problem.help(format!("make it anew: {MAKE}")))
}

/// What a record says of a claim, if it is still the one that was judged.
fn current_claim<'s>(judged: &JudgedClaim, sweep: &'s LoadedSweep) -> Option<&'s SweptClaim> {
    let swept = sweep.record.claims.get(&judged.claim.id)?;
    swept
        .matches(ClaimText::from(&judged.claim))
        .then_some(swept)
}

/// True if a recorded verdict is not that of the values beside it, as far as these decide.
fn contradicts_itself(
    claim: &Claim,
    kernel: KernelVersion<'_>,
    operands: &[String],
    stated: &SweptVerdict,
) -> bool {
    let passed = match stated.verdict.as_str() {
        "PASS" => true,
        "FAIL" => false,
        _ => return false,
    };
    let value = |text: &str| {
        let at = operands.iter().position(|operand| operand == text)?;
        stated.values.get(at).map(String::as_str)
    };
    let (truth, expected) = (claim.truth_of_shown(&value), claim.expected_truth(kernel));
    truth
        .zip(expected)
        .is_some_and(|(truth, expected)| (truth == expected) != passed)
}

//! Complaints about a claim that was judged.

use qed_evidence::claim::{Judgement, Verdict};
use qed_evidence::diagnostic::Diagnostic;

use crate::claims::judged::{JudgedClaim, rule_of};
use crate::claims::sweep_failures::{find_contradiction, recorded_failure_diagnostics};
use crate::config::{Lint, OnFail};
use crate::evidence::book_data::BookData;
use crate::markdown::chapter::Chapter;

/// Report the problems of a claim on any machine.
pub fn report_problems(
    judged: &JudgedClaim,
    chapter: &Chapter,
    book_data: &BookData<'_>,
    problems: &mut Vec<Diagnostic>,
) {
    let id = &judged.claim.id;
    let mut reported: Vec<&Diagnostic> = Vec::new();
    for (machine, judgement) in book_data.evidence_set.loaded.iter().zip(&judged.judgements) {
        let verdict = judgement.verdict;
        if !verdict.is_failure() {
            continue;
        }
        let mut problem = match &judgement.diagnostic {
            // A mistake of the claim itself is the same on every machine.
            Some(diagnostic) if reported.contains(&diagnostic) => continue,
            Some(diagnostic) => {
                reported.push(diagnostic);
                diagnostic.clone()
            }
            None => judged.diagnostic(""),
        };
        let what = match (&judgement.diagnostic, &judgement.reason) {
            (Some(diagnostic), _) => format!(": {}", diagnostic.message),
            (None, Some(reason)) => format!(": {reason}"),
            (None, None) => String::new(),
        };
        let message = format!("claim `{id}` is {verdict} on {}{what}", machine.machine);
        problem.message = message;
        problem.rule = Some(rule_of(verdict));
        if verdict == Verdict::Fail {
            problem.label = format_values(judgement);
        }
        if book_data.config.on_fail == OnFail::Warn {
            problem = problem.warning();
        }
        problems.push(problem);
    }
    if let Some(sweep) = &book_data.evidence_set.sweep {
        let failures = recorded_failure_diagnostics(judged, sweep).into_iter();
        problems.extend(failures.map(|problem| match book_data.config.on_fail {
            OnFail::Warn => problem.warning(),
            OnFail::Error => problem,
        }));
        problems.extend(find_contradiction(judged, sweep));
    }
    let applies = |judgement: &Judgement| judgement.verdict != Verdict::NotApplicable;
    if !judged.judgements.iter().any(applies) {
        let message =
            format!("claim `{id}` is never judged: its condition is false on every machine");
        let complaint = Diagnostic::error(&chapter.source, judged.range.clone(), message)
            .help("capture on a machine where it holds, or take the condition away");
        problems.push(
            book_data
                .config
                .apply_severity(Lint::UnshownClaim, complaint),
        );
    }
    if judged.is_open_against_its_rule() {
        let reason = judged
            .judgement()
            .reason
            .as_deref()
            .unwrap_or("no machine could show it");
        let message = format!("claim `{id}` is UNVERIFIED: {reason}");
        problems.push(
            judged
                .diagnostic(message)
                .rule(rule_of(Verdict::Unverified)),
        );
    }
}

/// The measured values of a judgement on one line.
fn format_values(judgement: &Judgement) -> String {
    let values: Vec<String> = judgement
        .operands
        .iter()
        .filter_map(|operand| Some(format!("{} = {}", operand.text, operand.value.as_ref()?)))
        .collect();
    values.join(", ")
}

//! Claims and machines that a check could not decide.

use qed_evidence::claim::Verdict;
use qed_evidence::diagnostic::Diagnostic;

use crate::claims::collect::Claims;
use crate::claims::judged::rule_of;
use crate::config::OnMissing;
use crate::evidence::book_data::BookData;

/// The rule of a machine without evidence.
pub const NO_EVIDENCE: &str = "machine-without-evidence";

/// Claims that are UNVERIFIED on some machine, one diagnostic for each, and machines without evidence. Those that are errors
/// are left out: they are among the complaints.
pub fn collect_gaps(claims: &Claims, book_data: &BookData<'_>) -> Vec<Diagnostic> {
    let mut gaps = Vec::new();
    for judged in claims.iter_in_book_order() {
        let each = book_data
            .evidence_set
            .loaded
            .iter()
            .zip(&judged.judgements)
            .enumerate();
        let absent = judged.absent();
        let absent = absent.filter(|_| judged.on_unverified != OnMissing::Error);
        let reasons: Vec<String> = each
            .filter(|(_, (_, judgement))| judgement.verdict == Verdict::Unverified)
            .filter(|(index, _)| {
                !judged.is_shown_on(*index) || judged.on_unverified != OnMissing::Error
            })
            .map(|(_, (machine, judgement))| (machine.machine.as_str(), judgement))
            .chain(absent)
            .map(|(machine, judgement)| {
                let reason = judgement.reason.as_deref().unwrap_or("no reason is known");
                format!("{machine}: {reason}")
            })
            .collect();
        if reasons.is_empty() {
            continue;
        }
        let message = format!(
            "claim `{}` is UNVERIFIED\n{}",
            judged.claim.id,
            reasons.join("\n")
        );
        gaps.push(
            judged
                .diagnostic(message)
                .rule(rule_of(Verdict::Unverified)),
        );
    }
    for (machine, reason) in &book_data.evidence_set.absent {
        let message = format!("nothing is judged on {machine}: {reason}");
        gaps.push(Diagnostic::error_without_place(message).rule(NO_EVIDENCE));
    }
    gaps
}

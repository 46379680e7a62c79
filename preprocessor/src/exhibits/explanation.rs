//! An explanation of one claim: each operand on each machine, and the reason of each verdict.

use crate::claims::judged::JudgedClaim;
use crate::evidence::book_data::BookData;
use crate::evidence::format::describe;
use crate::exhibits::claim_block::badge;
use crate::util::table::format_table;

/// The claim, and on each machine its verdict, its operands and why: plain text in several lines.
pub fn explain_claim(judged: &JudgedClaim, book_data: &BookData<'_>) -> String {
    let mut out = format!("claim {} in {}\n\n", judged.claim.id, judged.chapter_name);
    for line in judged.claim.expression.text().trim().lines() {
        out.push_str(&format!("    {line}\n"));
    }
    if let Some(when) = &judged.claim.when {
        out.push_str(&format!("    when {}\n", when.text()));
    }
    if let Some(holds) = &judged.claim.holds {
        out.push_str(&format!("    holds {}\n", holds.text()));
    }
    for (index, (machine, judgement)) in book_data
        .evidence_set
        .loaded
        .iter()
        .zip(&judged.judgements)
        .enumerate()
    {
        let shown = if judged.is_shown_on(index) {
            ", shown in the chapter"
        } else {
            ""
        };
        out.push_str(&format!(
            "\n{} on {}{shown}\n",
            badge(judgement.verdict),
            machine.machine
        ));
        let rows: Vec<Vec<String>> = judgement
            .when_operands
            .iter()
            .chain(&judgement.operands)
            .map(|operand| {
                let (value, kind) = match (&operand.value, &operand.missing) {
                    (Some(value), _) => (format!("= {value}"), describe(value)),
                    (None, Some(reason)) => (format!("unavailable: {reason}"), String::new()),
                    (None, None) => ("not evaluated".to_owned(), String::new()),
                };
                vec![format!("  {}", operand.text), value, kind]
            })
            .collect();
        out.push_str(&format_table(&rows));
        if let Some(outside) = &judgement.outside {
            out.push_str(&format!("  {outside}\n"));
        }
        if let Some(reason) = &judgement.reason {
            out.push_str(&format!("  because {reason}\n"));
        }
        for ground in &judgement.rests_on {
            out.push_str(&format!("  rests on {ground}\n"));
        }
        if let Some(control) = &judgement.control {
            out.push_str(&format!(
                "  control: {} changed from {} to {} gives {}\n",
                control.path, control.was, control.became, control.verdict
            ));
        }
        if !judgement.insensitive_to.is_empty() {
            out.push_str(&format!(
                "  no change of one of these alone makes it FAIL: {}\n",
                judgement.insensitive_to.join(", ")
            ));
        }
    }
    if let Some((machine, judgement)) = judged.absent() {
        let badge = badge(judgement.verdict);
        out.push_str(&format!("\n{badge} on {machine}, shown in the chapter\n"));
    }
    for (machine, reason) in &book_data.evidence_set.absent {
        out.push_str(&format!("\nnot judged on {machine}: {reason}\n"));
    }
    out
}

//! `explain`: explains one claim, with each operand on each machine.

use std::path::Path;

use qed_evidence::claim::Operand;
use qed_evidence::diagnostic::Diagnostic;
use serde_json::json;

use crate::claims::collect::{Claims, VerdictError};
use crate::claims::judged::JudgedClaim;
use crate::cli::common::{
    FAILED, Format, GOOD, print, report_bad_input, to_pretty_json, with_book,
};
use crate::evidence::book_data::BookData;
use crate::exhibits::explanation::explain_claim;
use crate::mdbook::build::finish_report;
use crate::mdbook::load::LoadedBook;
use crate::render::book::BookReport;
use crate::util::parallel::Parallelism;

/// Run the command.
pub fn run(root: &Path, id: &str, format: Format) -> u8 {
    with_book(root, Parallelism::default(), |book, book_data| {
        explain(book, book_data, id, format)
    })
}

fn explain(book: &LoadedBook, book_data: &BookData<'_>, id: &str, format: Format) -> u8 {
    let mut found = BookReport::default();
    let claims = Claims::collect(&book.chapters, book_data, &mut found.problems);
    let judged = match claims.find(id) {
        Ok(judged) => judged,
        Err(error) => {
            let problem = Diagnostic::error_without_place(error.to_string());
            let help = match (&error, error.near()) {
                (VerdictError::Unreadable(_), _) => "the other errors say why".to_owned(),
                (_, Some(near)) => format!("did you mean `{near}`?"),
                (_, None) => "`mdbook-qed check` lists all claims".to_owned(),
            };
            found.problems.push(problem.help(help));
            finish_report(&mut found, &book.paths);
            return report_bad_input(&found.problems);
        }
    };
    match format {
        Format::Text => print(&explain_claim(judged, book_data)),
        Format::Json => print(&to_pretty_json(&to_json(judged, book_data))),
    }
    if judged.judgements.iter().any(|j| j.verdict.is_failure()) {
        FAILED
    } else {
        GOOD
    }
}

/// The same as a document: the claim, and its judgement on each machine.
fn to_json(judged: &JudgedClaim, book_data: &BookData<'_>) -> serde_json::Value {
    let operand = |operand: &Operand| {
        json!({
            "text": operand.text,
            "value": operand.value.as_ref().map(ToString::to_string),
            "type": operand.value.as_ref().map(crate::evidence::format::describe),
            "missing": operand.missing,
        })
    };
    let machines = book_data
        .evidence_set
        .loaded
        .iter()
        .zip(&judged.judgements)
        .enumerate();
    let machines = machines
        .map(|(index, (machine, judgement))| {
            (
                machine.machine.as_str(),
                judgement,
                judged.is_shown_on(index),
            )
        })
        .chain(
            judged
                .absent()
                .map(|(name, judgement)| (name, judgement, true)),
        );
    let machines = machines.map(|(machine, judgement, is_shown)| {
        let operands = judgement.when_operands.iter().chain(&judgement.operands);
        json!({
            "machine": machine,
            "verdict": judgement.verdict.to_string(),
            "shown": is_shown,
            "reason": judgement.reason,
            "rests_on": judgement.rests_on,
            "operands": operands.map(operand).collect::<Vec<_>>(),
        })
    });
    json!({
        "id": judged.claim.id,
        "chapter": judged.chapter_name,
        "expression": judged.claim.expression.text().trim(),
        "when": judged.claim.when.as_ref().map(|when| when.text().to_owned()),
        "machines": machines.collect::<Vec<_>>(),
        "not_judged": book_data.evidence_set.absent.iter().map(|(machine, reason)| json!({
            "machine": machine.to_string(),
            "reason": reason.to_string(),
        })).collect::<Vec<_>>(),
    })
}

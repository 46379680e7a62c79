//! `explain`: one claim, each operand on each machine, and why.

use std::path::Path;

use qed_evidence::claim::Operand;
use qed_evidence::diagnostic::{Diagnostic, nearest};
use serde_json::json;

use crate::claims::collect::Claims;
use crate::claims::judged::JudgedClaim;
use crate::cli::common::{FAILED, Format, GOOD, pretty, print, refuse, table, with_book};
use crate::evidence::book_data::BookData;
use crate::exhibits::claim_block::badge;
use crate::mdbook::build::finish;
use crate::mdbook::load::LoadedBook;
use crate::render::book::BookReport;
use crate::util::parallel::Parallelism;

/// Runs the command.
pub fn run(root: &Path, id: &str, format: Format) -> u8 {
    with_book(root, Parallelism::default(), |book, book_data| {
        explain(book, book_data, id, format)
    })
}

fn explain(book: &LoadedBook, book_data: &BookData<'_>, id: &str, format: Format) -> u8 {
    let mut found = BookReport::default();
    let claims = Claims::collect(&book.chapters, book_data, &mut found.problems);
    let Some(judged) = claims.get(id) else {
        let problem = Diagnostic::error_without_place(format!("no chapter makes a claim `{id}`"));
        found.problems.push(match nearest(id, claims.ids()) {
            Some(near) => problem.help(format!("did you mean `{near}`?")),
            None => problem.help("`mdbook-qed check` lists all claims"),
        });
        finish(&mut found, &book.paths);
        return refuse(&found.problems);
    };
    match format {
        Format::Text => print(&text(judged, book_data)),
        Format::Json => print(&pretty(&json(judged, book_data))),
    }
    if judged.judgements.iter().any(|j| j.verdict.is_failure()) {
        FAILED
    } else {
        GOOD
    }
}

/// The same as a document: the claim, and its judgement on each machine.
fn json(judged: &JudgedClaim, book_data: &BookData<'_>) -> serde_json::Value {
    let operand = |operand: &Operand| {
        json!({
            "text": operand.text,
            "value": operand.value.as_ref().map(ToString::to_string),
            "type": operand.value.as_ref().map(crate::evidence::format::describe),
            "missing": operand.missing,
        })
    };
    let machines = book_data.loaded.iter().zip(&judged.judgements).enumerate();
    let machines = machines.map(|(index, (machine, judgement))| {
        let operands = judgement.when_operands.iter().chain(&judgement.operands);
        json!({
            "machine": machine.machine,
            "verdict": judgement.verdict.to_string(),
            "shown": index == judged.shown.index(),
            "reason": judgement.reason,
            "operands": operands.map(operand).collect::<Vec<_>>(),
        })
    });
    json!({
        "id": judged.claim.id,
        "chapter": judged.chapter_name,
        "expression": judged.claim.expression.text().trim(),
        "when": judged.claim.when.as_ref().map(|when| when.text().to_owned()),
        "machines": machines.collect::<Vec<_>>(),
        "not_judged": book_data.absent.iter().map(|(machine, reason)| json!({
            "machine": machine.to_string(),
            "reason": reason.to_string(),
        })).collect::<Vec<_>>(),
    })
}

fn text(judged: &JudgedClaim, book_data: &BookData<'_>) -> String {
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
    for (index, (machine, judgement)) in book_data.loaded.iter().zip(&judged.judgements).enumerate()
    {
        let shown = if index == judged.shown.index() {
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
                    (Some(value), _) => (
                        format!("= {value}"),
                        crate::evidence::format::describe(value),
                    ),
                    (None, Some(reason)) => (format!("unavailable: {reason}"), String::new()),
                    (None, None) => ("not evaluated".to_owned(), String::new()),
                };
                vec![format!("  {}", operand.text), value, kind]
            })
            .collect();
        out.push_str(&table(&rows));
        if let Some(outside) = &judgement.outside {
            out.push_str(&format!("  {outside}\n"));
        }
        if let Some(reason) = &judgement.reason {
            out.push_str(&format!("  because {reason}\n"));
        }
        if let Some(control) = &judgement.control {
            out.push_str(&format!(
                "  control: {} changed from {} to {} gives {}\n",
                control.path, control.was, control.became, control.verdict
            ));
        }
        if !judgement.idle.is_empty() {
            out.push_str(&format!(
                "  could have been anything: {}\n",
                judgement.idle.join(", ")
            ));
        }
    }
    for (machine, reason) in book_data.absent {
        out.push_str(&format!("\nnot judged on {machine}: {reason}\n"));
    }
    out
}

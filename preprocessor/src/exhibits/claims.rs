//! All claims of the book on all machines.

use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use serde::Serialize;

use crate::claims::judged::JudgedClaim;
use crate::exhibits::block::RenderedBlock;
use crate::exhibits::claim_block::{
    badge, is_long, missing_verdict_reason, text_badge, verdict_classes,
};
use crate::exhibits::request::ExhibitRequest;
use crate::markdown::syntax::SyntaxError;

#[derive(Serialize)]
struct ClaimsRow {
    id: String,
    href: String,
    chapter: String,
    badges: Vec<String>,
    /// The classes of the badges.
    classes: Vec<String>,
    reasons: Vec<Reason>,
}

/// The reason that a claim is not PASS, with the machines.
#[derive(Serialize)]
struct Reason {
    machines: String,
    text: String,
    long: bool,
}

fn reasons(judged: &JudgedClaim, machines: &[String]) -> Vec<Reason> {
    let mut out: Vec<Reason> = Vec::new();
    for (machine, judgement) in machines
        .iter()
        .map(String::as_str)
        .zip(&judged.judgements)
        .chain(judged.absent())
    {
        let Some(text) = missing_verdict_reason(judgement) else {
            continue;
        };
        match out.iter_mut().find(|reason| reason.text == text) {
            Some(known) => known.machines.push_str(&format!(", {machine}")),
            None => out.push(Reason {
                machines: machine.to_owned(),
                long: is_long(&text),
                text,
            }),
        }
    }
    out
}

#[derive(Serialize)]
struct ClaimsView {
    machines: Vec<String>,
    rows: Vec<ClaimsRow>,
    sum: String,
}

/// The characters that a path of a URL cannot hold: <https://url.spec.whatwg.org/#path-percent-encode-set>, `%` itself, and `:`, which could
/// end a scheme.
const NOT_IN_PATHS: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'%')
    .add(b':')
    .add(b'<')
    .add(b'>')
    .add(b'?')
    .add(b'[')
    .add(b'\\')
    .add(b']')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');

/// The link from one chapter to a claim in another. mdBook turns `.md` into `.html`, and README into index.
pub(super) fn claim_link(from: &str, judged: &JudgedClaim) -> String {
    let up = "../".repeat(from.matches('/').count());
    let target = &judged.chapter_name;
    let target = match target.strip_suffix("README.md") {
        Some(folder) => format!("{folder}index.md"),
        None => target.clone(),
    };
    format!(
        "{up}{}#claim-{}",
        utf8_percent_encode(&target, NOT_IN_PATHS),
        judged.claim.id
    )
}

/// Render the exhibit.
pub fn render(request: &ExhibitRequest<'_, '_>) -> Result<RenderedBlock, SyntaxError> {
    let book_data = request.book_data;
    let machines: Vec<String> = book_data
        .evidence_set
        .loaded
        .iter()
        .map(|m| m.machine.clone())
        .collect();
    let mut counts = std::collections::BTreeMap::new();
    let rows: Vec<ClaimsRow> = request
        .claims
        .iter_in_book_order()
        .map(|judged| {
            *counts.entry(judged.judgement().verdict).or_insert(0_usize) += 1;
            ClaimsRow {
                id: judged.claim.id.clone(),
                href: claim_link(request.chapter, judged),
                chapter: judged.chapter_name.clone(),
                badges: judged.judgements.iter().map(|j| badge(j.verdict)).collect(),
                classes: book_data
                    .machine_ids()
                    .map(|on| {
                        verdict_classes(judged.judgement_on(on).verdict, book_data.is_stale(on))
                    })
                    .collect(),
                reasons: reasons(judged, &machines),
            }
        })
        .collect();
    let counts: Vec<String> = counts
        .iter()
        .map(|(verdict, count)| format!("{count} {verdict}"))
        .collect();
    let sum = if rows.is_empty() {
        "The book makes no claim.".to_owned()
    } else {
        format!(
            "{} claims, each as its chapter shows it: {}",
            rows.len(),
            counts.join(", ")
        )
    };
    let mut text = Vec::new();
    for row in &rows {
        let verdicts: Vec<String> = machines
            .iter()
            .zip(&row.badges)
            .zip(book_data.machine_ids())
            .map(|((machine, badge), on)| {
                format!("{machine}: {}", text_badge(badge, book_data.is_stale(on)))
            })
            .collect();
        text.push(format!(
            "{} ({})  {}",
            row.id,
            row.chapter,
            verdicts.join("  ")
        ));
        text.extend(
            row.reasons
                .iter()
                .map(|r| format!("    {}: {}", r.machines, r.text)),
        );
    }
    text.push(sum.clone());
    Ok(RenderedBlock {
        html: book_data.evidence_set.templates.render(
            "claims",
            &ClaimsView {
                machines,
                rows,
                sum,
            },
        ),
        text: text.join("\n"),
        machines: book_data.machine_ids().collect(),
        ..RenderedBlock::default()
    })
}

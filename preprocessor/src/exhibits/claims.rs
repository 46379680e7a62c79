//! All claims of the book on all machines.

use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use serde::Serialize;

use crate::claims::judged::JudgedClaim;
use crate::evidence::book_data::BookData;
use crate::evidence::machine_id::MachineId;
use crate::exhibits::architectures::{ArchitectureGroup, group_machines};
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

/// A machine with its name.
type NamedMachine<'b> = (MachineId, &'b str);

fn reasons(judged: &JudgedClaim, machines: &[NamedMachine<'_>]) -> Vec<Reason> {
    let mut out: Vec<Reason> = Vec::new();
    for (machine, judgement) in machines
        .iter()
        .map(|(on, machine)| (*machine, judged.judgement_on(*on)))
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
struct ClaimsView<'b> {
    /// Empty if all machines are of one.
    architectures: Vec<ArchitectureGroup>,
    machines: Vec<&'b str>,
    /// For each machine, its architecture if it is the first of several; else empty.
    starts: Vec<&'static str>,
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

/// For each machine, in the order of the groups, its architecture if it is the first of that, else nothing.
fn group_starts(groups: &[ArchitectureGroup]) -> Vec<&'static str> {
    let starts = groups.iter().flat_map(|group| {
        let rest = std::iter::repeat_n("", group.width.saturating_sub(1));
        std::iter::once(group.name).chain(rest)
    });
    starts.collect()
}

/// Render the exhibit.
pub fn render(request: &ExhibitRequest<'_, '_>) -> Result<RenderedBlock, SyntaxError> {
    let book_data = request.book_data;
    let mut groups = group_machines(book_data);
    let machines: Vec<NamedMachine<'_>> = groups
        .iter()
        .flat_map(|group| &group.machines)
        .map(|on| (*on, book_data.machine(*on).machine.as_str()))
        .collect();
    if groups.len() == 1 {
        groups.clear();
    }
    let starts = match groups.is_empty() {
        true => vec![""; machines.len()],
        false => group_starts(&groups),
    };
    let mut counts = std::collections::BTreeMap::new();
    let rows: Vec<ClaimsRow> = request
        .claims
        .iter_in_book_order()
        .map(|judged| {
            *counts.entry(judged.judgement().verdict).or_insert(0_usize) += 1;
            let verdicts = machines
                .iter()
                .map(|(on, _)| (*on, judged.judgement_on(*on).verdict));
            ClaimsRow {
                id: judged.claim.id.clone(),
                href: claim_link(request.chapter, judged),
                chapter: judged.chapter_name.clone(),
                badges: verdicts
                    .clone()
                    .map(|(_, verdict)| badge(verdict))
                    .collect(),
                classes: verdicts
                    .map(|(on, verdict)| verdict_classes(verdict, book_data.is_stale(on)))
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
        text.push(row_text(row, &machines, &starts, book_data));
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
                architectures: groups,
                machines: machines.iter().map(|(_, name)| *name).collect(),
                starts,
                rows,
                sum,
            },
        ),
        text: text.join("\n"),
        machines: book_data.machine_ids().collect(),
        ..RenderedBlock::default()
    })
}

/// The verdicts on one claim in a line.
fn row_text(
    row: &ClaimsRow,
    machines: &[NamedMachine<'_>],
    starts: &[&str],
    book_data: &BookData<'_>,
) -> String {
    let cells = machines.iter().zip(starts).zip(&row.badges);
    let verdicts: Vec<String> = cells
        .map(|(((on, machine), start), badge)| {
            let badge = text_badge(badge, book_data.is_stale(*on));
            match start.is_empty() {
                true => format!("{machine}: {badge}"),
                false => format!("[{start}] {machine}: {badge}"),
            }
        })
        .collect();
    format!("{} ({})  {}", row.id, row.chapter, verdicts.join("  "))
}

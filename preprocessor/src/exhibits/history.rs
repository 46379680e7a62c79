//! The history of captures: what was measured, when, with which outcome, and what had changed since the capture before.

use serde::Serialize;

use crate::evidence::format::format_minute;
use crate::evidence::history::{self, PastCapture};
use crate::exhibits::block::RenderedBlock;
use crate::exhibits::request::ExhibitRequest;
use crate::markdown::syntax::SyntaxError;

/// The most captures that are shown, the latest first. The published file has more.
const SHOWN: usize = 60;

#[derive(Serialize)]
struct HistoryRow {
    time: String,
    machine: String,
    kernel: String,
    verdicts: String,
    slide: String,
    changed: String,
}

#[derive(Serialize)]
struct HistoryView {
    rows: Vec<HistoryRow>,
    sum: String,
}

fn build_row(captures: &[PastCapture], index: usize) -> HistoryRow {
    let capture = &captures[index];
    let before = captures[..index]
        .iter()
        .rev()
        .find(|other| other.machine == capture.machine);
    let changed = before.map(|before| history::describe_changes(before, capture));
    let verdicts: Vec<String> = capture
        .verdicts
        .iter()
        .map(|(word, count)| format!("{count} {word}"))
        .collect();
    HistoryRow {
        time: capture
            .time
            .parse()
            .map_or_else(|_| capture.time.clone(), format_minute),
        machine: capture.machine.clone(),
        kernel: capture.kernel.clone(),
        verdicts: verdicts.join(", "),
        slide: match capture.slide {
            Some(slide) => format!("{slide:#x}"),
            None if capture.is_of_guest() => "not recorded".into(),
            None => "withheld".into(),
        },
        changed: match changed {
            None => "the first capture".into(),
            Some(list) if list.is_empty() => "nothing".into(),
            Some(list) => list.join(", "),
        },
    }
}

/// Render the exhibit.
pub fn render(request: &ExhibitRequest<'_, '_>) -> Result<RenderedBlock, SyntaxError> {
    let book_data = request.book_data;
    let captures = crate::claims::history::record_captures(book_data, request.claims).captures;
    let rows: Vec<HistoryRow> = (0..captures.len())
        .rev()
        .take(SHOWN)
        .map(|index| build_row(&captures, index))
        .collect();
    let sum = match captures.len() - rows.len() {
        0 => format!("{} captures.", rows.len()),
        more => format!(
            "The latest {} captures, and {more} before them.",
            rows.len()
        ),
    };
    let mut text: Vec<String> = rows
        .iter()
        .map(|row| {
            format!(
                "{}  {}  Linux {}  {}  slide {}  changed: {}",
                row.time, row.machine, row.kernel, row.verdicts, row.slide, row.changed
            )
        })
        .collect();
    text.push(sum.clone());
    Ok(RenderedBlock {
        html: book_data
            .evidence_set
            .templates
            .render("history", &HistoryView { rows, sum }),
        text: text.join("\n"),
        machines: book_data.machine_ids().collect(),
        ..RenderedBlock::default()
    })
}

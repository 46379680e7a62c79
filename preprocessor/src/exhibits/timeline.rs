//! Claims over the kernels of a sweep: the kernels on which each is true or false, and its operands on both sides of a turn.

use qed_evidence::diagnostic::nearest;
use serde::Serialize;

use crate::claims::judged::JudgedClaim;
use crate::claims::sweep::{missing_answer_reason, recorded_answers, sweep_state};
use crate::claims::timeline::{Answer, SweepColumn, Turn, describe_span, find_turns, summarize};
use crate::evidence::format::format_minute;
use crate::evidence::sweep_record::{MAKE, SweepRecord, SweepState, SweptClaim};
use crate::exhibits::block::RenderedBlock;
use crate::exhibits::claims::claim_link;
use crate::exhibits::request::ExhibitRequest;
use crate::markdown::syntax::SyntaxError;

#[derive(Serialize)]
struct TimelineCell {
    kernel: String,
    word: &'static str,
    class: &'static str,
    reason: String,
}

#[derive(Serialize)]
struct OperandRow {
    text: String,
    before: String,
    after: String,
}

#[derive(Serialize)]
struct TurnView {
    before: String,
    after: String,
    operands: Vec<OperandRow>,
}

#[derive(Serialize)]
struct TimelineRow {
    id: String,
    href: String,
    cells: Vec<TimelineCell>,
    /// The number of kernels.
    width: usize,
    summary: String,
    turns: Vec<TurnView>,
}

#[derive(Serialize)]
struct TimelineView {
    notices: Vec<String>,
    kernels: Vec<String>,
    rows: Vec<TimelineRow>,
    sum: String,
}

fn build_row(
    judged: &JudgedClaim,
    request: &ExhibitRequest<'_, '_>,
    record: &SweepRecord,
) -> TimelineRow {
    let id = judged.claim.id.clone();
    let swept = record.claims.get(&id);
    let releases: Vec<SweepColumn<'_>> = record.kernels.iter().map(SweepColumn::from).collect();
    let href = claim_link(request.chapter, judged);
    let answered =
        swept.and_then(|swept| Some((recorded_answers(&judged.claim, swept, record)?, swept)));
    let Some((answers, swept)) = answered else {
        return TimelineRow {
            id,
            href,
            cells: Vec::new(),
            width: releases.len(),
            summary: missing_answer_reason(swept).into(),
            turns: Vec::new(),
        };
    };
    let cells = answers.iter().zip(&swept.verdicts).zip(&releases);
    TimelineRow {
        id,
        href,
        cells: cells
            .map(|((answer, swept), release)| TimelineCell {
                kernel: release.series(),
                word: match answer {
                    Answer::True => "true",
                    Answer::False => "false",
                    Answer::Gap(_) => "–",
                },
                class: match answer {
                    Answer::True => "qed-true",
                    Answer::False => "qed-false",
                    Answer::Gap(_) => "qed-dim",
                },
                reason: swept.reason.clone().unwrap_or_default(),
            })
            .collect(),
        width: releases.len(),
        summary: summarize(&answers, &releases),
        turns: find_turns(&answers, &releases)
            .into_iter()
            .map(|turn| turn_view(turn, swept, &releases))
            .collect(),
    }
}

fn turn_view(turn: Turn, swept: &SweptClaim, releases: &[SweepColumn<'_>]) -> TurnView {
    let (before, after) = (&swept.verdicts[turn.before], &swept.verdicts[turn.after]);
    let values = before.values.iter().zip(&after.values);
    TurnView {
        before: releases[turn.before].to_string(),
        after: releases[turn.after].to_string(),
        operands: swept
            .operands
            .iter()
            .zip(values)
            .map(|(text, (before, after))| OperandRow {
                text: text.clone(),
                before: before.clone(),
                after: after.clone(),
            })
            .collect(),
    }
}

/// The claims that the body names, one a line; all without a body, or with `only="turned"` those that turned.
fn selected_claims<'c>(
    request: &ExhibitRequest<'c, '_>,
) -> Result<Vec<&'c JudgedClaim>, SyntaxError> {
    if request.body.is_empty() {
        return Ok(request.claims.iter_in_book_order().collect());
    }
    let named = request.body.iter().map(|(line, span)| {
        let id = line.trim();
        request.claims.get(id).ok_or_else(|| {
            let near = nearest(id, request.claims.ids());
            let help = near.map(|near| format!("did you mean `{near}`?"));
            SyntaxError::new(
                span.clone(),
                format!("no chapter makes a claim `{id}`"),
                help,
            )
        })
    });
    named.collect()
}

/// Render the exhibit.
pub fn render(request: &ExhibitRequest<'_, '_>) -> Result<RenderedBlock, SyntaxError> {
    let book_data = request.book_data;
    let refused = |message: &str| {
        let help = Some(format!("make a record: {MAKE}"));
        SyntaxError::new(request.info.clone(), message, help)
    };
    let sweep = book_data
        .evidence_set
        .sweep
        .as_ref()
        .ok_or_else(|| refused("there is no record of a sweep, `recorded/sweep.json`"))?;
    let record = &sweep.record;
    if record.investigation != book_data.evidence_set.investigation.digest {
        return Err(refused(
            "the record of the sweep is out of date: it is of another investigation",
        ));
    }
    let only_turned = match request.words.option("only").map(|option| &option.value) {
        None => false,
        Some(value) if value.text == "turned" => true,
        Some(value) => {
            let message = format!("`only` cannot be `{}`", value.text);
            let help = Some("write only=\"turned\", or leave it out".to_owned());
            return Err(SyntaxError::new(value.span.clone(), message, help));
        }
    };
    let rows = selected_claims(request)?
        .into_iter()
        .map(|judged| build_row(judged, request, record))
        .filter(|row| !only_turned || !row.turns.is_empty());
    let rows: Vec<TimelineRow> = rows.collect();
    let turned = rows.iter().filter(|row| !row.turns.is_empty()).count();
    let columns: Vec<SweepColumn<'_>> = record.kernels.iter().map(SweepColumn::from).collect();
    let kernels: Vec<String> = columns.iter().map(|column| column.series()).collect();
    let since = capture_note(record);
    let sum = format!(
        "{} claims on {} kernels, {}; {turned} of them turned.{since}",
        rows.len(),
        kernels.len(),
        describe_span(&columns),
    );
    let notices = notices(&sweep_state(sweep, request.claims));
    let text = render_text(&notices, &rows, &sum);
    let view = TimelineView {
        notices,
        kernels,
        rows,
        sum,
    };
    Ok(RenderedBlock {
        html: book_data.evidence_set.templates.render("timeline", &view),
        text,
        ..RenderedBlock::default()
    })
}

/// Notices that the reader must see before believing the record.
fn notices(state: &SweepState) -> Vec<String> {
    let old = state.stale_text();
    let old =
        old.map(|reasons| format!("Out of date: this sweep was captured earlier, and {reasons}."));
    let open = state.uncompared_text();
    let open = open.map(|what| {
        format!(
            "Not compared: whether a sweep would find the same now is not known everywhere: {what}."
        )
    });
    old.into_iter().chain(open).collect()
}

/// The sentence that says when the kernels were captured, and by which collector.
fn capture_note(record: &SweepRecord) -> String {
    let times = record.kernels.iter();
    let first = times.filter_map(|kernel| kernel.time.parse::<jiff::Timestamp>().ok());
    let Some(first) = first.min() else {
        return String::new();
    };
    let by = record.collector.as_ref();
    let by = by.map_or_else(String::new, |version| {
        format!(" by qed-collector {version}")
    });
    format!(" Captured from {} on{by}.", format_minute(first))
}

fn render_text(notices: &[String], rows: &[TimelineRow], sum: &str) -> String {
    let mut lines = notices.to_vec();
    for row in rows {
        lines.push(format!("{}: {}", row.id, row.summary));
        for turn in &row.turns {
            lines.push(format!("    {} → {}", turn.before, turn.after));
            lines.extend(turn.operands.iter().map(|operand| {
                format!(
                    "      {}: {} → {}",
                    operand.text, operand.before, operand.after
                )
            }));
        }
    }
    lines.push(sum.to_owned());
    lines.join("\n")
}

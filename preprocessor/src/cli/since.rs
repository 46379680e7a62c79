//! `since`: shows the kernels of a sweep on which each claim is true, and the two between which it turned.

mod record;

use std::borrow::Cow;
use std::path::Path;

use qed_evidence::diagnostic::Diagnostic;
use serde::Serialize;

use crate::claims::collect::Claims;
use crate::claims::judged::JudgedClaim;
use crate::claims::sweep::{missing_answer_reason, recorded_answers, sweep_state, swept_claim};
use crate::claims::sweep_failures::{
    SweptFailure, failure_diagnostics, find_contradiction, find_failures,
};
use crate::claims::timeline::{Answer, SweepColumn, Turn, find_turns, summarize};
use crate::cli::common::Format;
use crate::cli::common::{FAILED, GOOD, format_table, print, report_bad_input, to_pretty_json};
use crate::cli::swept_book::{CAPTURED_SWEEP, MAKE_SWEEP, SweptBook, find_claim};
use crate::evidence::book_data::BookData;
use crate::evidence::cache::DerivedCache;
use crate::evidence::freshness::LocalMachine;
use crate::evidence::loader::{self, Ahead, EvidenceSet};
use crate::evidence::locations::SWEEP;
use crate::evidence::sweep_record::{SweepRecord, SweptClaim, SweptVerdict};
use crate::mdbook::load;
use crate::util::parallel::Parallelism;
use crate::util::report;

/// The request to the command.
#[derive(Clone, Copy)]
pub struct SinceRequest<'a> {
    /// The claim; without it, all.
    pub id: Option<&'a str>,
    /// The folder of the sweep's evidence, relative to the book's; `None`: [`CAPTURED_SWEEP`], or without a sweep there what the
    /// book recorded of one.
    pub from: Option<&'a Path>,
    /// The form of the output.
    pub format: Format,
    /// Writes what a book keeps of the sweep to its [`SWEEP`].
    pub record: bool,
}

/// Run the command on the claims of the book in `root`.
pub fn run(root: &Path, request: SinceRequest<'_>) -> u8 {
    let from = request.from.unwrap_or(Path::new(CAPTURED_SWEEP));
    let recorded = request.from.is_none() && !request.record && !has_evidence(&root.join(from));
    let told = match recorded && root.join(SWEEP).is_file() {
        true => answers_from_record(root, request),
        false => answers_from_sweep(root, from, request),
    };
    match told {
        Ok(answers) => {
            print(&answers.text);
            report::print_diagnostics(&answers.failures);
            match answers.failures.is_empty() {
                true => GOOD,
                false => FAILED,
            }
        }
        Err(problems) => report_bad_input(&problems),
    }
}

/// What the command prints.
struct SinceOutput {
    text: String,
    /// The claims that fail on kernels of the sweep.
    failures: Vec<Diagnostic>,
}

/// The answers that a sweep gives, whose evidence is at hand.
fn answers_from_sweep(
    root: &Path,
    from: &Path,
    request: SinceRequest<'_>,
) -> Result<SinceOutput, Vec<Diagnostic>> {
    let swept = SweptBook::read(root, from)?;
    let wanted = select_claims(&swept.claims, request.id).map_err(|problem| vec![problem])?;
    if request.record {
        record::write_record(root, &swept.evidence_set, &swept.claims)
            .map_err(|problem| vec![*problem])?;
    } else if let Some(problem) = outdated_record_diagnostic(&swept.evidence_set, &swept.claims) {
        report::print_diagnostics(&[problem]);
    }
    let rows: Vec<ClaimRow<'_>> = wanted.into_iter().map(ClaimRow::from_sweep).collect();
    let releases = swept.releases();
    let table = SinceTable {
        source: Source::Evidence,
        out_of_date: Vec::new(),
        releases: &releases,
        rows: &rows,
    };
    Ok(table.render(request))
}

/// The answers that a book recorded of a sweep, whose evidence is not at hand.
fn answers_from_record(
    root: &Path,
    request: SinceRequest<'_>,
) -> Result<SinceOutput, Vec<Diagnostic>> {
    let book = load::load(root, Parallelism::default()).map_err(|problem| vec![problem])?;
    let (here, cache) = (LocalMachine::read(), DerivedCache::default());
    let evidence_set = loader::load(&book.paths, &book.config, &here, Ahead::new(), cache)?;
    let Some(sweep) = &evidence_set.sweep else {
        let missing = format!("there is neither a sweep in `{CAPTURED_SWEEP}` nor `{SWEEP}`");
        return Err(vec![
            Diagnostic::error_without_place(missing).help(MAKE_SWEEP),
        ]);
    };
    if sweep.record.investigation != evidence_set.investigation.digest {
        let message = format!("the record `{SWEEP}` is of another investigation");
        return Err(vec![
            Diagnostic::error_without_place(message).help(MAKE_SWEEP),
        ]);
    }
    if evidence_set.loaded.is_empty() {
        let message = "the book has no evidence of its machines, which its claims are read with";
        let problem = Diagnostic::error_without_place(message);
        return Err(vec![problem.help("capture first: `qed-collector capture`")]);
    }
    let book_data = BookData::new(&book.config, &evidence_set);
    // `check` reports complaints about chapters.
    let claims = Claims::collect(&book.chapters, &book_data, &mut Vec::new());
    let wanted = select_claims(&claims, request.id).map_err(|problem| vec![problem])?;
    let contradictions: Vec<Diagnostic> = wanted
        .iter()
        .filter_map(|judged| find_contradiction(judged, sweep))
        .collect();
    if !contradictions.is_empty() {
        return Err(contradictions);
    }
    let state = sweep_state(sweep, &claims);
    let told = format!("there is no sweep in `{CAPTURED_SWEEP}`: this is from `{SWEEP}`");
    let told = match state.stale_text() {
        None => told,
        Some(reasons) => format!("{told}, which is out of date: {reasons}"),
    };
    report::print_diagnostics(&[Diagnostic::error_without_place(told).warning()]);
    let rows: Vec<ClaimRow<'_>> = wanted
        .into_iter()
        .map(|judged| ClaimRow::from_record(judged, &sweep.record))
        .collect();
    let kernels = sweep.record.kernels.iter();
    let releases: Vec<SweepColumn<'_>> = kernels.map(SweepColumn::from).collect();
    let table = SinceTable {
        source: Source::Record,
        out_of_date: state.stale,
        releases: &releases,
        rows: &rows,
    };
    Ok(table.render(request))
}

/// True if there is evidence in a folder.
fn has_evidence(folder: &Path) -> bool {
    let mut entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries.any(|entry| entry.path().extension().is_some_and(|end| end == "json"))
}

/// The claims to tell of.
fn select_claims<'c>(
    claims: &'c Claims,
    id: Option<&str>,
) -> Result<Vec<&'c JudgedClaim>, Diagnostic> {
    Ok(match id {
        Some(id) => vec![find_claim(claims, id)?],
        None => claims.iter_in_book_order().collect(),
    })
}

/// A complaint about the record that the book has, if it is out of date.
fn outdated_record_diagnostic(evidence_set: &EvidenceSet, claims: &Claims) -> Option<Diagnostic> {
    let reasons = sweep_state(evidence_set.sweep.as_ref()?, claims).stale_text()?;
    let message = format!("the record of an earlier sweep, `{SWEEP}`, is out of date: {reasons}");
    let problem = Diagnostic::error_without_place(message).warning();
    Some(problem.help("record this one: `mdbook-qed since --record`"))
}

/// A claim with its answers, the oldest kernel first.
struct ClaimRow<'c> {
    claim: &'c JudgedClaim,
    /// Its operands and verdicts; `None`: a record says nothing of this claim.
    swept: Option<Cow<'c, SweptClaim>>,
    /// Its answers; none in the latter case.
    answers: Vec<Answer>,
    /// The reason why there are none, if so.
    unjudged: Option<&'static str>,
}

impl<'c> ClaimRow<'c> {
    /// The claim as the evidence of a sweep has it.
    fn from_sweep(claim: &'c JudgedClaim) -> Self {
        ClaimRow {
            claim,
            swept: Some(Cow::Owned(swept_claim(&claim.claim, &claim.judgements))),
            answers: claim
                .judgements
                .iter()
                .map(Answer::from_judgement)
                .collect(),
            unjudged: None,
        }
    }

    /// The claim as a record has it.
    fn from_record(claim: &'c JudgedClaim, record: &'c SweepRecord) -> Self {
        let swept = record.claims.get(&claim.claim.id);
        let answers = swept.and_then(|swept| recorded_answers(&claim.claim, swept, record));
        match (answers, swept) {
            (Some(answers), Some(swept)) => ClaimRow {
                claim,
                swept: Some(Cow::Borrowed(swept)),
                answers,
                unjudged: None,
            },
            _ => ClaimRow {
                claim,
                swept: None,
                answers: Vec::new(),
                unjudged: Some(missing_answer_reason(swept)),
            },
        }
    }

    /// The kernels on which it is true, in words.
    fn summary(&self, releases: &[SweepColumn<'_>]) -> String {
        match self.unjudged {
            Some(reason) => reason.to_owned(),
            None => summarize(&self.answers, releases),
        }
    }

    /// Its failures, a line for each: `FAIL on 7.0.13: still true on …`.
    fn failures(&self, releases: &[SweepColumn<'_>]) -> String {
        let swept = self.swept.as_deref();
        let found = swept.map(find_failures).unwrap_or_default();
        let line = |failure: &SweptFailure<'_>| {
            let reason = failure
                .reason
                .map_or(String::new(), |reason| format!(": {reason}"));
            format!(
                "{} on {}{reason}\n",
                failure.verdict, releases[failure.kernel]
            )
        };
        found.iter().map(line).collect()
    }

    /// The operands on both sides of a turn.
    fn operands(&self, turn: Turn) -> Vec<SinceOperand<'_>> {
        let Some(swept) = self.swept.as_deref() else {
            return Vec::new();
        };
        let values = |at: usize| swept.verdicts[at].values.iter();
        let values = values(turn.before).zip(values(turn.after));
        let operands = swept.operands.iter().zip(values);
        operands
            .map(|(operand, (before, after))| SinceOperand {
                operand,
                before,
                after,
            })
            .collect()
    }
}

/// The claims, and the kernels on which they were judged.
struct SinceTable<'a> {
    source: Source,
    out_of_date: Vec<String>,
    releases: &'a [SweepColumn<'a>],
    rows: &'a [ClaimRow<'a>],
}

impl SinceTable<'_> {
    fn render(&self, request: SinceRequest<'_>) -> SinceOutput {
        let failures = |row: &ClaimRow<'_>| {
            let swept = row.swept.as_deref();
            swept.map_or_else(Vec::new, |swept| {
                failure_diagnostics(row.claim, swept, self.releases)
            })
        };
        SinceOutput {
            text: self.render_text(request),
            failures: self.rows.iter().flat_map(failures).collect(),
        }
    }

    fn render_text(&self, request: SinceRequest<'_>) -> String {
        match (request.format, self.rows) {
            (Format::Json, _) => self.render_json(),
            (Format::Text, [row]) if request.id.is_some() => render_claim(row, self.releases),
            (Format::Text, rows) => render_all_claims(rows, self.releases),
        }
    }

    fn render_json(&self) -> String {
        let claims = self.rows.iter().map(|row| json_claim(row, self.releases));
        let document = SinceDocument {
            source: self.source,
            out_of_date: &self.out_of_date,
            kernels: self.releases,
            claims: claims.collect(),
        };
        to_pretty_json(&document)
    }
}

/// One claim: its answers, and what its operands were on both sides of each turn.
fn render_claim(row: &ClaimRow<'_>, releases: &[SweepColumn<'_>]) -> String {
    let claim = &row.claim.claim;
    let mut out = format!("claim {} in {}\n\n", claim.id, row.claim.chapter_name);
    for line in claim.expression.text().trim().lines() {
        out.push_str(&format!("    {line}\n"));
    }
    if let Some(when) = &claim.when {
        out.push_str(&format!("    when {}\n", when.text()));
    }
    if let Some(holds) = &claim.holds {
        out.push_str(&format!("    holds {}\n", holds.text()));
    }
    out.push_str(&format!("\n{}\n", row.summary(releases)));
    out.push_str(&row.failures(releases));
    let Some(swept) = row.swept.as_deref() else {
        return out;
    };
    let lines: Vec<Vec<String>> = releases
        .iter()
        .zip(&row.answers)
        .zip(&swept.verdicts)
        .map(|((release, answer), verdict)| {
            let reason = match answer {
                Answer::Gap(_) => verdict.reason.clone().unwrap_or_default(),
                _ => String::new(),
            };
            vec![format!("  {release}"), answer.as_str().into(), reason]
        })
        .collect();
    out.push('\n');
    out.push_str(&format_table(&lines));
    for turn in find_turns(&row.answers, releases) {
        out.push_str(&render_turn(turn, row, releases));
    }
    out
}

/// The operands on both sides of a turn.
fn render_turn(turn: Turn, row: &ClaimRow<'_>, releases: &[SweepColumn<'_>]) -> String {
    let (before, after) = (releases[turn.before], releases[turn.after]);
    let mut rows = vec![vec![String::new(), before.to_string(), after.to_string()]];
    for operand in row.operands(turn) {
        rows.push(vec![
            format!("  {}", operand.operand),
            operand.before.to_owned(),
            operand.after.to_owned(),
        ]);
    }
    format!(
        "\nturned between {} and {}\n{}",
        before.series(),
        after.series(),
        format_table(&rows)
    )
}

/// All claims, one line each; then those that turned.
fn render_all_claims(rows: &[ClaimRow<'_>], releases: &[SweepColumn<'_>]) -> String {
    let sign = |answer: Option<&Answer>| match answer {
        Some(Answer::True) => "true",
        Some(Answer::False) => "false",
        Some(Answer::Gap(_)) | None => "-",
    };
    let mut lines = vec![
        std::iter::once("claim".to_owned())
            .chain(releases.iter().map(|release| release.series()))
            .collect::<Vec<_>>(),
    ];
    lines.extend(rows.iter().map(|row| {
        let answers = (0..releases.len()).map(|at| sign(row.answers.get(at)).to_owned());
        std::iter::once(row.claim.claim.id.clone())
            .chain(answers)
            .collect()
    }));
    let mut out = format_table(&lines);
    let turned = rows
        .iter()
        .filter(|row| !find_turns(&row.answers, releases).is_empty())
        .count();
    out.push_str(&format!(
        "\n{} claims on {} kernels, of which {turned} turned\n",
        rows.len(),
        releases.len(),
    ));
    let told = |row: &&ClaimRow<'_>| {
        row.unjudged.is_some()
            || !find_turns(&row.answers, releases).is_empty()
            || !row.failures(releases).is_empty()
    };
    for row in rows.iter().filter(told) {
        let id = &row.claim.claim.id;
        out.push_str(&format!("  {id}: {}\n", row.summary(releases)));
        for line in row.failures(releases).lines() {
            out.push_str(&format!("    {line}\n"));
        }
    }
    out
}

/// The origin of the answers.
#[derive(Clone, Copy, Serialize)]
#[serde(rename_all = "snake_case")]
enum Source {
    /// The evidence of a sweep, judged now.
    Evidence,
    /// The record that the book keeps.
    Record,
}

#[derive(Serialize)]
struct SinceDocument<'a> {
    /// `evidence` or `record`.
    source: Source,
    /// The reasons why a record is out of date.
    out_of_date: &'a [String],
    kernels: &'a [SweepColumn<'a>],
    claims: Vec<JsonClaim<'a>>,
}

#[derive(Serialize)]
struct JsonClaim<'a> {
    id: &'a str,
    chapter: &'a str,
    expression: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    when: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    holds: Option<&'a str>,
    /// The operands, as they are written.
    operands: &'a [String],
    /// Per kernel: `true`, `false`, or the verdict that says why it was not judged. None where a record says nothing of the claim.
    answers: Vec<&'static str>,
    /// Per kernel: the verdict with its reason, and the values of the operands where it is PASS or FAIL.
    verdicts: &'a [SweptVerdict],
    turns: Vec<SinceTurn<'a>>,
    /// The kernels on which it is FAIL although it says when it holds, or ERROR.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    failures: Vec<&'a str>,
    /// The reason why a record has no answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    unjudged: Option<&'static str>,
}

#[derive(Serialize)]
struct SinceTurn<'a> {
    before: &'a str,
    after: &'a str,
    operands: Vec<SinceOperand<'a>>,
}

/// An operand on both sides of a turn.
#[derive(Serialize)]
struct SinceOperand<'a> {
    operand: &'a str,
    before: &'a str,
    after: &'a str,
}

fn json_claim<'a>(row: &'a ClaimRow<'a>, releases: &[SweepColumn<'a>]) -> JsonClaim<'a> {
    let claim = &row.claim.claim;
    let swept = row.swept.as_deref();
    let turns = find_turns(&row.answers, releases)
        .into_iter()
        .map(|turn| SinceTurn {
            before: releases[turn.before].release,
            after: releases[turn.after].release,
            operands: row.operands(turn),
        });
    JsonClaim {
        id: &claim.id,
        chapter: &row.claim.chapter_name,
        expression: claim.expression.text(),
        when: claim.when.as_ref().map(|when| when.text()),
        holds: claim.holds.as_ref().map(|holds| holds.text()),
        operands: swept.map_or(&[], |swept| &swept.operands),
        answers: row.answers.iter().map(|answer| answer.as_str()).collect(),
        verdicts: swept.map_or(&[], |swept| &swept.verdicts),
        turns: turns.collect(),
        failures: swept
            .map(find_failures)
            .unwrap_or_default()
            .iter()
            .map(|failure| releases[failure.kernel].release)
            .collect(),
        unjudged: row.unjudged,
    }
}

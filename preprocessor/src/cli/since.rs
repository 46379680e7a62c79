//! `since`: shows the kernels of a sweep on which each claim is true, and the two between which it turned.

use std::path::{Path, PathBuf};

use qed_evidence::claim::Judgement;
use qed_evidence::diagnostic::Diagnostic;
use qed_evidence::document::Run;
use serde::Serialize;

use crate::claims::collect::Claims;
use crate::claims::judged::JudgedClaim;
use crate::claims::sweep::{swept_claim, values};
use crate::claims::timeline::{Answer, Turn, series, summary, turns};
use crate::cli::common::Format;
use crate::cli::common::{GOOD, pretty, print, refuse, table};
use crate::cli::swept_book::SweptBook;
use crate::evidence::loader::{EvidenceSet, MachineEvidence};
use crate::evidence::locations::SWEEP;
use crate::evidence::sweep_record::{self, SweepRecord, SweptKernel};
use crate::publish::manifest;
use crate::util::report;

/// The request to the command.
#[derive(Clone, Copy)]
pub struct SinceRequest<'a> {
    /// The claim; without it, all.
    pub id: Option<&'a str>,
    /// The folder of the sweep's evidence, relative to the book's.
    pub from: &'a Path,
    /// The form of the output.
    pub format: Format,
    /// Writes what a book keeps of the sweep to its [`SWEEP`].
    pub record: bool,
}

/// Run the command on the claims of the book in `root`.
pub fn run(root: &Path, request: SinceRequest<'_>) -> u8 {
    match since(root, request) {
        Ok(text) => {
            print(&text);
            GOOD
        }
        Err(problems) => refuse(&problems),
    }
}

fn since(root: &Path, request: SinceRequest<'_>) -> Result<String, Vec<Diagnostic>> {
    let SinceRequest {
        id,
        from,
        format,
        record,
    } = request;
    let swept = SweptBook::read(root, from)?;
    let releases = swept.releases();
    let wanted: Vec<&JudgedClaim> = match id {
        Some(id) => vec![swept.claim(id).map_err(|problem| vec![problem])?],
        None => swept.claims.in_order().collect(),
    };
    if record {
        write_record(root, &swept.evidence_set, &swept.claims).map_err(|problem| vec![*problem])?;
    } else if let Some(problem) = recorded_before(&swept.evidence_set) {
        report::print(&[problem]);
    }
    let rows: Vec<Row<'_>> = wanted.into_iter().map(Row::new).collect();
    Ok(match (format, &rows[..]) {
        (Format::Json, _) => json(&rows, &releases),
        (Format::Text, [row]) if id.is_some() => one(row, &releases),
        (Format::Text, _) => all(&rows, &releases),
    })
}

/// The reasons why no record of a sweep is written.
#[derive(Debug, thiserror::Error)]
enum SweepWriteError {
    #[error("{0} is a live machine; only guests can be recorded")]
    Live(String),
    #[error(
        "{first} and {other} were captured by different collectors: sweep again, `qed-collector sweep`"
    )]
    Collectors { first: String, other: String },
    #[error(transparent)]
    Json(#[from] serde_json::Error),
    #[error("`{}` cannot be written: {error}", .file.display())]
    Write {
        file: PathBuf,
        error: std::io::Error,
    },
}

/// Write what a book keeps of the sweep.
fn write_record(
    root: &Path,
    evidence_set: &EvidenceSet,
    claims: &Claims,
) -> Result<(), Box<Diagnostic>> {
    let refused =
        |error: SweepWriteError| Box::new(Diagnostic::error_without_place(error.to_string()));
    let kernels = evidence_set
        .loaded
        .iter()
        .map(kernel)
        .collect::<Result<_, _>>();
    let run = one_collector(evidence_set).map_err(refused)?;
    let record = SweepRecord {
        version: sweep_record::VERSION,
        investigation: evidence_set.investigation.digest.clone(),
        collector: run.map(|run| run.collector.clone()),
        object: run.map(|run| run.object_digest.clone()),
        kernels: kernels.map_err(refused)?,
        claims: claims
            .in_order()
            .map(|judged| {
                let swept = swept_claim(&judged.claim, &judged.judgements);
                (judged.claim.id.clone(), swept)
            })
            .collect(),
    };
    let text = manifest::json(&record).map_err(|error| refused(error.into()))?;
    let file = root.join(SWEEP);
    let folder = file.parent().unwrap_or(root);
    std::fs::create_dir_all(folder)
        .and_then(|()| std::fs::write(&file, text))
        .map_err(|error| refused(SweepWriteError::Write { file, error }))
}

/// A kernel as the record names it. Only what ran in a throwaway guest is recorded: the record is published.
fn kernel(loaded: &MachineEvidence) -> Result<SweptKernel, SweepWriteError> {
    match loaded.evidence.machine.ephemeral {
        true => Ok(SweptKernel::new(&loaded.evidence)?),
        false => Err(SweepWriteError::Live(loaded.machine.clone())),
    }
}

/// The run whose collector captured on all kernels.
fn one_collector(evidence_set: &EvidenceSet) -> Result<Option<&Run>, SweepWriteError> {
    let mut all = evidence_set.loaded.iter();
    let Some(first) = all.next() else {
        return Ok(None);
    };
    let run = &first.evidence.run;
    let collector = |run: &Run| (run.collector.clone(), run.object_digest.clone());
    match all.find(|other| collector(&other.evidence.run) != collector(run)) {
        None => Ok(Some(run)),
        Some(other) => Err(SweepWriteError::Collectors {
            first: first.machine.clone(),
            other: other.machine.clone(),
        }),
    }
}

/// A complaint about the record that the book has, if it is out of date.
fn recorded_before(evidence_set: &EvidenceSet) -> Option<Diagnostic> {
    let reasons = evidence_set.sweep.as_ref()?.state.out_of_date()?;
    let message = format!("the record of an earlier sweep, `{SWEEP}`, is out of date: {reasons}");
    let problem = Diagnostic::error_without_place(message).warning();
    Some(problem.help("record this one: `mdbook-qed since --record`"))
}

/// A claim with its answers, the oldest kernel first.
struct Row<'c> {
    claim: &'c JudgedClaim,
    answers: Vec<Answer>,
}

impl<'c> Row<'c> {
    fn new(claim: &'c JudgedClaim) -> Self {
        Row {
            claim,
            answers: claim.judgements.iter().map(Answer::of).collect(),
        }
    }
}

/// One claim: its answers, and what its operands were on both sides of each turn.
fn one(row: &Row<'_>, releases: &[&str]) -> String {
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
    out.push_str(&format!("\n{}\n\n", summary(&row.answers, releases)));
    let lines: Vec<Vec<String>> = releases
        .iter()
        .zip(&row.answers)
        .zip(&row.claim.judgements)
        .map(|((release, answer), judgement)| {
            let reason = match answer {
                Answer::Gap(_) => judgement.reason.clone().unwrap_or_default(),
                _ => String::new(),
            };
            vec![format!("  {release}"), answer.word().into(), reason]
        })
        .collect();
    out.push_str(&table(&lines));
    for turn in turns(&row.answers) {
        out.push_str(&turned(turn, &row.claim.judgements, releases));
    }
    out
}

/// The operands on both sides of a turn.
fn turned(turn: Turn, judgements: &[Judgement], releases: &[&str]) -> String {
    let Turn { before, after } = turn;
    let mut rows = vec![vec![
        String::new(),
        releases[before].to_owned(),
        releases[after].to_owned(),
    ]];
    let values = |index: usize| values(&judgements[index]);
    for ((text, old), (_, new)) in values(before).zip(values(after)) {
        rows.push(vec![format!("  {text}"), old, new]);
    }
    format!(
        "\nturned between {} and {}\n{}",
        series(releases[before]),
        series(releases[after]),
        table(&rows)
    )
}

/// All claims, one line each; then those that turned.
fn all(rows: &[Row<'_>], releases: &[&str]) -> String {
    let sign = |answer: &Answer| match answer {
        Answer::True => "true",
        Answer::False => "false",
        Answer::Gap(_) => "-",
    };
    let mut lines = vec![
        std::iter::once("claim".to_owned())
            .chain(releases.iter().map(|release| series(release)))
            .collect::<Vec<_>>(),
    ];
    lines.extend(rows.iter().map(|row| {
        std::iter::once(row.claim.claim.id.clone())
            .chain(row.answers.iter().map(|answer| sign(answer).to_owned()))
            .collect()
    }));
    let mut out = table(&lines);
    let turned: Vec<&Row<'_>> = rows
        .iter()
        .filter(|row| !turns(&row.answers).is_empty())
        .collect();
    out.push_str(&format!(
        "\n{} claims on {} kernels, of which {} turned\n",
        rows.len(),
        releases.len(),
        turned.len()
    ));
    for row in turned {
        let id = &row.claim.claim.id;
        out.push_str(&format!("  {id}: {}\n", summary(&row.answers, releases)));
    }
    out
}

#[derive(Serialize)]
struct SinceDocument<'a> {
    kernels: &'a [&'a str],
    claims: Vec<JsonClaim<'a>>,
}

#[derive(Serialize)]
struct JsonClaim<'a> {
    id: &'a str,
    chapter: &'a str,
    expression: &'a str,
    /// Per kernel: `true`, `false`, or the verdict that says why it was not judged.
    answers: Vec<&'static str>,
    turns: Vec<SinceTurn<'a>>,
}

#[derive(Serialize)]
struct SinceTurn<'a> {
    before: &'a str,
    after: &'a str,
}

fn json(rows: &[Row<'_>], releases: &[&str]) -> String {
    let claims = rows.iter().map(|row| JsonClaim {
        id: &row.claim.claim.id,
        chapter: &row.claim.chapter_name,
        expression: row.claim.claim.expression.text(),
        answers: row.answers.iter().map(|answer| answer.word()).collect(),
        turns: turns(&row.answers)
            .into_iter()
            .map(|turn| SinceTurn {
                before: releases[turn.before],
                after: releases[turn.after],
            })
            .collect(),
    });
    let document = SinceDocument {
        kernels: releases,
        claims: claims.collect(),
    };
    pretty(&document)
}

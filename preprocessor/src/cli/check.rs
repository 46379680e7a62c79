//! `check`: every claim on every machine, and everything else that would stop a build.

mod finding;
mod github;
mod junit;
mod sarif;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use qed_evidence::diagnostic::{Diagnostic, Severity};
use serde::Serialize;

use finding::Finding;

use crate::claims::collect::Claims;
use crate::claims::sweep::sweep_state;
use crate::cli::common::{
    BAD_INPUT, CANNOT, FAILED, GOOD, format_table, print, report_bad_input, try_with_book,
};
use crate::evidence::book_data::BookData;
use crate::evidence::locations::SWEEP;
use crate::mdbook::check::{CheckedBook, check_book};
use crate::mdbook::load::LoadedBook;
use crate::render::book::BookReport;
use crate::util::parallel::Parallelism;
use crate::util::report as complaints;

/// Output format of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum CheckFormat {
    /// A table.
    Text,
    /// One JSON document.
    Json,
    /// Annotations of GitHub Actions, at file and line.
    Github,
    /// A JUnit report: a suite for each machine.
    Junit,
    /// A SARIF 2.1.0 log, for code scanning and editors.
    Sarif,
}

impl CheckFormat {
    /// True for formats whose readers need the complaints in the output, even if the book cannot be loaded.
    fn is_report(self) -> bool {
        matches!(
            self,
            CheckFormat::Github | CheckFormat::Junit | CheckFormat::Sarif
        )
    }
}

#[derive(Serialize)]
struct Verdict<'a> {
    machine: &'a str,
    shown: bool,
    #[serde(flatten)]
    judgement: &'a qed_evidence::claim::Judgement,
}

#[derive(Serialize)]
struct Claim<'a> {
    id: &'a str,
    chapter: &'a str,
    expression: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    when: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    holds: Option<&'a str>,
    verdicts: Vec<Verdict<'a>>,
}

#[derive(Serialize)]
struct Problem {
    severity: &'static str,
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    column: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    help: Option<String>,
}

/// The comparison of a machine's evidence, or of the record of a sweep, with the current state.
#[derive(Serialize)]
struct Freshness<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    machine: Option<&'a str>,
    /// The reasons for being out of date.
    out_of_date: &'a [String],
    /// The parts that could not be compared, with the reason.
    not_compared: &'a [String],
}

/// A claim that could not be read.
#[derive(Serialize)]
struct UnreadClaim<'a> {
    id: &'a str,
    chapter: &'a str,
}

#[derive(Serialize)]
struct CheckDocument<'a> {
    machines: Vec<&'a str>,
    evidence: Vec<Freshness<'a>>,
    /// The record of a sweep, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    sweep: Option<Freshness<'a>>,
    claims: Vec<Claim<'a>>,
    /// Claims that could not be read, and have no verdict.
    unread_claims: Vec<UnreadClaim<'a>>,
    problems: Vec<Problem>,
    /// Placeholders that show UNVERIFIED, which the book allows.
    unverified_values: Vec<Problem>,
    good: bool,
}

fn problem(diagnostic: &Diagnostic) -> Problem {
    let place = diagnostic.line_column();
    Problem {
        severity: match diagnostic.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        },
        message: diagnostic.message.clone(),
        file: diagnostic
            .place
            .as_ref()
            .map(|(source, _)| source.name.clone()),
        line: place.map(|(line, _)| line),
        column: place.map(|(_, column)| column),
        help: diagnostic.help.clone(),
    }
}

/// The least number of chapters or claims for which all processors are used.
const PARALLEL_FROM: usize = 256;

/// Run the command.
pub fn run(root: &Path, format: CheckFormat) -> u8 {
    let checked = try_with_book(
        root,
        Parallelism::from_items(PARALLEL_FROM),
        |book, book_data| check(book, book_data, format),
    );
    checked.unwrap_or_else(|problems| {
        if format.is_report() {
            let folder = finding::folder_in_repository(root);
            let findings = finding::findings_from_problems(&problems, &folder);
            print_report(report_without_claims(&findings, &folder, format), BAD_INPUT);
        }
        report_bad_input(&problems)
    })
}

/// The report on a book that cannot be loaded.
fn report_without_claims(
    findings: &[Finding],
    folder: &Path,
    format: CheckFormat,
) -> serde_json::Result<String> {
    Ok(match format {
        CheckFormat::Sarif => sarif::render(findings, &settings_path(folder), BAD_INPUT)?,
        CheckFormat::Junit => junit::render(findings, None, &BTreeMap::new()),
        _ => github::render(findings),
    })
}

/// Print a report. Return the exit status: `status`, if there is a report.
fn print_report(report: serde_json::Result<String>, status: u8) -> u8 {
    match report {
        Ok(report) => {
            print(&report);
            status
        }
        Err(error) => report_bad_input(&[Diagnostic::error_without_place(format!(
            "the report cannot be written as JSON: {error}"
        ))]),
    }
}

/// The settings of the book in `folder` of its repository.
fn settings_path(folder: &Path) -> String {
    finding::name_in_repository(folder, Path::new("book.toml"))
}

fn check(book: &LoadedBook, book_data: &BookData<'_>, format: CheckFormat) -> u8 {
    let CheckedBook {
        claims,
        report: found,
        nothing_shown,
    } = check_book(&book.chapters, &book.paths, book_data, &book.paths.reader());
    let status = if found.false_claim {
        FAILED
    } else if nothing_shown {
        CANNOT
    } else if found.has_errors() {
        BAD_INPUT
    } else {
        GOOD
    };
    match format {
        CheckFormat::Text => {
            complaints::print_diagnostics(&found.problems);
            print(&render_text(book_data, &claims, &found));
        }
        CheckFormat::Json => print(&render_json(book_data, &claims, &found, status == GOOD)),
        _ => {
            let report = render_report(book, book_data, &claims, &found, format, status);
            return print_report(report, status);
        }
    }
    status
}

/// The report in one of the formats for programs, with all complaints and gaps in it.
fn render_report(
    book: &LoadedBook,
    book_data: &BookData<'_>,
    claims: &Claims,
    found: &BookReport,
    format: CheckFormat,
    status: u8,
) -> serde_json::Result<String> {
    let folder = finding::folder_in_repository(&book.paths.root);
    let mut findings = finding::findings_from_problems(&found.problems, &folder);
    findings.extend(finding::findings_from_open(&found.unverified, &folder));
    findings.extend(finding::findings_from_gaps(
        claims,
        book_data,
        &book.paths,
        &folder,
    ));
    Ok(match format {
        CheckFormat::Sarif => sarif::render(&findings, &settings_path(&folder), status)?,
        CheckFormat::Junit => {
            let places = finding::claim_locations(claims, &book.paths, &folder);
            junit::render(&findings, Some((claims, book_data)), &places)
        }
        _ => {
            let summary = claims.summary().map(|line| line + "\n").unwrap_or_default();
            github::render(&findings) + &summary
        }
    })
}

fn render_text(book_data: &BookData<'_>, claims: &Claims, found: &BookReport) -> String {
    let mut head = vec!["claim".to_owned()];
    head.extend(
        book_data
            .evidence_set
            .loaded
            .iter()
            .map(|m| m.machine.clone()),
    );
    // Machines without evidence that a claim names have a column, because the verdict of such a claim is the one there.
    let named: BTreeSet<&str> = claims
        .iter()
        .filter_map(|judged| Some(judged.absent()?.0))
        .collect();
    head.extend(named.iter().map(|name| (*name).to_owned()));
    head.push("chapter".into());
    let columns = book_data.evidence_set.loaded.len() + named.len();
    let mut rows = Vec::new();
    for judged in claims.iter_in_book_order() {
        let mut row = vec![judged.claim.id.clone()];
        for (machine, judgement) in judged.judgements.iter().enumerate() {
            // The star marks the machine that the chapter shows.
            let star = if judged.is_shown_on(machine) {
                " *"
            } else {
                ""
            };
            row.push(format!("{}{star}", judgement.verdict));
        }
        row.extend(named.iter().map(|name| match judged.absent() {
            Some((own, judgement)) if own == *name => format!("{} *", judgement.verdict),
            _ => "not judged".to_owned(),
        }));
        row.push(judged.chapter_name.clone());
        rows.push(((judged.chapter, judged.block), row));
    }
    rows.extend(claims.unreadable().iter().map(|unread| {
        let mut row = vec![unread.id.clone()];
        row.extend(std::iter::repeat_n("not read".to_owned(), columns));
        row.push(unread.chapter_name.clone());
        ((unread.chapter, unread.block), row)
    }));
    rows.sort_by_key(|(place, _)| *place);
    let rows = std::iter::once(head).chain(rows.into_iter().map(|(_, row)| row));
    let mut out = format_table(&rows.collect::<Vec<_>>());
    for (machine, reason) in &book_data.evidence_set.absent {
        out.push_str(&format!("{machine}: not judged, {reason}\n"));
    }
    for loaded in &book_data.evidence_set.loaded {
        let machine = &loaded.machine;
        if let Some(reasons) = loaded.stale_text() {
            out.push_str(&format!("{machine}: out of date, {reasons}\n"));
        }
        if let Some(what) = loaded.uncompared_text() {
            out.push_str(&format!("{machine}: not compared, {what}\n"));
        }
    }
    if let Some(sweep) = &book_data.evidence_set.sweep {
        let state = sweep_state(sweep, claims);
        if let Some(reasons) = state.stale_text() {
            out.push_str(&format!("{SWEEP}: out of date, {reasons}\n"));
        }
        if let Some(what) = state.uncompared_text() {
            out.push_str(&format!("{SWEEP}: not compared, {what}\n"));
        }
    }
    if let Some(line) = claims.summary() {
        out.push_str(&format!("\n{line} (* shown in the chapter)\n"));
    }
    if let Some(line) = found.summary_of_unverified() {
        out.push_str(&line);
        out.push('\n');
    }
    out
}

fn render_json(
    book_data: &BookData<'_>,
    claims: &Claims,
    found: &BookReport,
    good: bool,
) -> String {
    let swept = book_data
        .evidence_set
        .sweep
        .as_ref()
        .map(|sweep| sweep_state(sweep, claims));
    let unread = claims.unreadable().iter();
    let unread_claims = unread
        .map(|unread| UnreadClaim {
            id: &unread.id,
            chapter: &unread.chapter_name,
        })
        .collect();
    let claims = claims
        .iter_in_book_order()
        .map(|judged| Claim {
            id: &judged.claim.id,
            chapter: &judged.chapter_name,
            expression: judged.claim.expression.text(),
            when: judged.claim.when.as_ref().map(|when| when.text()),
            holds: judged.claim.holds.as_ref().map(|holds| holds.text()),
            verdicts: book_data
                .evidence_set
                .loaded
                .iter()
                .zip(&judged.judgements)
                .enumerate()
                .map(|(index, (machine, judgement))| Verdict {
                    machine: &machine.machine,
                    shown: judged.is_shown_on(index),
                    judgement,
                })
                .chain(judged.absent().map(|(machine, judgement)| Verdict {
                    machine,
                    shown: true,
                    judgement,
                }))
                .collect(),
        })
        .collect();
    let document = CheckDocument {
        machines: book_data
            .evidence_set
            .loaded
            .iter()
            .map(|m| m.machine.as_str())
            .collect(),
        evidence: book_data
            .evidence_set
            .loaded
            .iter()
            .map(|loaded| Freshness {
                machine: Some(&loaded.machine),
                out_of_date: &loaded.stale,
                not_compared: &loaded.not_compared,
            })
            .collect(),
        sweep: swept.as_ref().map(|state| Freshness {
            machine: None,
            out_of_date: &state.stale,
            not_compared: &state.not_compared,
        }),
        claims,
        unread_claims,
        problems: found.problems.iter().map(problem).collect(),
        unverified_values: found.unverified.iter().map(problem).collect(),
        good,
    };
    let mut text = serde_json::to_string_pretty(&document)
        .unwrap_or_else(|error| format!("{{\"error\": \"{error}\"}}"));
    text.push('\n');
    text
}

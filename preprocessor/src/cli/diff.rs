//! `diff`: shows what changed between two captures, sorted by how surprising it is, and the claims whose verdict it changes.

use std::path::Path;

use qed_evidence::Evidence;
use qed_evidence::claim::{Judgement, Verdict};
use qed_evidence::diagnostic::Diagnostic;
use qed_evidence::diff::{self, Change, ChangeKind, Report};
use qed_evidence::document::architecture_words;
use qed_evidence::path_index::Drift;
use qed_evidence::redact::redact;
use serde::Serialize;

use crate::claims::collect::Claims;
use crate::cli::common::{FAILED, GOOD, print, report_bad_input};
use crate::config::Addresses;
use crate::evidence::book_data::BookData;
use crate::evidence::cache::DerivedCache;
use crate::evidence::disclosure::redact_message;
use crate::evidence::history::History;
use crate::evidence::loader;
use crate::evidence::loader::{EvidenceSet, MachineEvidence, read_investigation};
use crate::evidence::locations::Origin;
use crate::markdown::escape::escape_invisible;
use crate::mdbook::load;
use crate::templates::Templates;
use crate::util::parallel::Parallelism;
use crate::util::report;
use crate::util::report::pluralize;

/// Output format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum DiffFormat {
    /// For a terminal.
    Text,
    /// One JSON document.
    Json,
    /// A table for a report or a pull request.
    Markdown,
}

/// One side of the comparison, with the facts that identify it to a reader.
#[derive(Serialize)]
struct Side {
    file: String,
    machine: String,
    kernel: String,
    /// As `uname -m` prints it.
    arch: String,
    time: String,
}

impl Side {
    fn new(file: &Path, evidence: &Evidence) -> Self {
        Side {
            file: file.display().to_string(),
            machine: evidence.machine.name.clone(),
            kernel: evidence.kernel.release.clone(),
            arch: evidence.kernel.architecture().to_owned(),
            time: evidence.run.time.clone(),
        }
    }

    fn describe(&self) -> String {
        let Side {
            file,
            machine,
            kernel,
            arch: _,
            time,
        } = self;
        let line = format!("{file}: {machine}, Linux {kernel}, {time}");
        escape_invisible(&line).into_owned()
    }
}

/// The sentence about two kernels of different architectures, which stands before all that differs with them.
fn architectures_note(old: &Side, new: &Side) -> Option<String> {
    let [old, new] = [old, new].map(|side| architecture_words(&side.arch));
    (old != new).then(|| {
        format!(
            "These kernels are for two architectures, {old} and {new}: registers, functions of system calls and layouts differ with that \
             alone."
        )
    })
}

/// The verdicts that are not the same on both sides.
#[derive(Default)]
struct ChangedVerdicts {
    /// The number of claims; `None` without a book.
    judged: Option<usize>,
    changes: Vec<Change>,
}

#[derive(Serialize)]
struct DiffDocument<'a> {
    old: &'a Side,
    new: &'a Side,
    drift: bool,
    /// The number of claims that were judged on both sides; absent without a book.
    #[serde(skip_serializing_if = "Option::is_none")]
    claims: Option<usize>,
    #[serde(flatten)]
    report: &'a Report,
}

/// Evidence as it may be shown, and raw evidence if that differs: only the former is printed, because output ends up in logs
/// and reports.
type ReadEvidence = (Evidence, Option<Evidence>);

fn read(path: &Path) -> Result<ReadEvidence, Diagnostic> {
    let problem = |reason: String| {
        let reason = redact_message(&reason);
        Diagnostic::error_without_place(format!(
            "the evidence {} was refused: {reason}",
            path.display()
        ))
    };
    let (evidence, _) = loader::read_evidence(path, &DerivedCache::default())
        .map_err(|error| problem(error.to_string()))?
        .ok_or_else(|| problem("there is no such file".into()))?;
    loader::redact_live(evidence, Addresses::Auto, redact)
        .map_err(|error| problem(error.to_string()))
}

/// Run the command. The claims are those of the book in `book`; if none is named, of the one in this folder, if
/// there is one.
pub fn run(old: &Path, new: &Path, all: bool, book: Option<&Path>, format: DiffFormat) -> u8 {
    let (before, after) = match (read(old), read(new)) {
        (Ok(before), Ok(after)) => (before, after),
        (before, after) => {
            let problems = [before.err(), after.err()];
            return report_bad_input(&problems.into_iter().flatten().collect::<Vec<_>>());
        }
    };
    let sides = (Side::new(old, &before.0), Side::new(new, &after.0));
    let mut changes = diff::diff(&before.0, &after.0);
    let turned = match (book, has_book(Path::new("."))) {
        (Some(root), _) => compare_verdicts(root, before, after),
        (None, true) => compare_verdicts(Path::new("."), before, after),
        (None, false) => Ok(ChangedVerdicts::default()),
    };
    let turned = match turned {
        Ok(turned) => turned,
        // A book that was not asked for must not keep the diff of the evidence back.
        Err(problems) if book.is_none() => {
            let message = "the book in this folder cannot be read, so its claims were not judged";
            let warning = Diagnostic::error_without_place(message).help("name another with --book");
            let warnings: Vec<Diagnostic> = problems.into_iter().map(Diagnostic::warning).collect();
            report::print_diagnostics(&warnings);
            report::print_diagnostics(&[warning.warning()]);
            ChangedVerdicts::default()
        }
        Err(problems) => return report_bad_input(&problems),
    };
    changes.extend(turned.changes);
    let report = Report::new(changes, if all { &[] } else { Report::FOLDED });
    print(&render(&sides, turned.judged, &report, format));
    if report.has_drift() { FAILED } else { GOOD }
}

fn has_book(root: &Path) -> bool {
    crate::util::files::read_text(&root.join("book.toml"))
        .is_ok_and(|text| text.contains("[preprocessor.qed]"))
}

fn render(
    sides: &(Side, Side),
    judged: Option<usize>,
    report: &Report,
    format: DiffFormat,
) -> String {
    let (old, new) = sides;
    let claims = match judged {
        Some(count) => format!("{} judged on both.\n", pluralize(count, "claim")),
        None => String::new(),
    };
    let note = architectures_note(old, new);
    match format {
        DiffFormat::Text => {
            let body = diff::text(report);
            let lines: Vec<_> = body.lines().map(|line| escape_invisible(line)).collect();
            format!(
                "- {}\n+ {}\n{}{}\n{claims}",
                old.describe(),
                new.describe(),
                note.map(|note| note + "\n").unwrap_or_default(),
                lines.join("\n")
            )
        }
        DiffFormat::Markdown => format!(
            "was: {}  \nis: {}\n\n{}{}\n{claims}",
            crate::markdown::escape::markdown(&old.describe()),
            crate::markdown::escape::markdown(&new.describe()),
            note.map(|note| note + "\n\n").unwrap_or_default(),
            diff::markdown(report)
        ),
        DiffFormat::Json => {
            let document = DiffDocument {
                old,
                new,
                drift: report.has_drift(),
                claims: judged,
                report,
            };
            let mut text = serde_json::to_string_pretty(&document)
                .unwrap_or_else(|error| format!("{{\"error\": \"{error}\"}}"));
            text.push('\n');
            text
        }
    }
}

/// Judge the claims of the book in `root` on both captures.
fn compare_verdicts(
    root: &Path,
    old: ReadEvidence,
    new: ReadEvidence,
) -> Result<ChangedVerdicts, Vec<Diagnostic>> {
    let book = load::load(root, Parallelism::default()).map_err(|problem| vec![problem])?;
    let side = |(evidence, raw): ReadEvidence| MachineEvidence {
        machine: evidence.machine.name.clone(),
        evidence,
        raw: raw.into(),
        verdicts: None,
        origin: Origin::Captured,
        file: Default::default(),
        stale: Vec::new(),
        not_compared: Vec::new(),
        age_s: None,
        digest: None,
    };
    let evidence_set = EvidenceSet {
        investigation: read_investigation(&book.paths.root, &book.config)?,
        loaded: vec![side(old), side(new)],
        absent: Vec::new(),
        history: History::default(),
        sweep: None,
        templates: Templates::default(),
        cache: DerivedCache::default(),
    };
    let book_data = BookData::new(&book.config, &evidence_set);
    // `check` reports what is wrong with a claim; here only its verdict on each side counts.
    let claims = Claims::collect(&book.chapters, &book_data, &mut Vec::new());
    let mut turned = ChangedVerdicts::default();
    let mut judged = 0;
    for claim in claims.iter_in_book_order() {
        let [old, new] = &claim.judgements[..] else {
            continue;
        };
        judged += 1;
        if old.verdict != new.verdict {
            turned.changes.push(Change {
                path: format!("claims.{}", claim.claim.id),
                class: drift_class(old.verdict, new.verdict),
                what: ChangeKind::Verdict,
                old: describe_verdict(old),
                new: describe_verdict(new),
            });
        }
    }
    turned.judged = Some(judged);
    Ok(turned)
}

/// The class of a changed verdict: whether a claim holds must never change; whether this machine can show it depends
/// on its kernel.
fn drift_class(old: Verdict, new: Verdict) -> Drift {
    if old.is_failure() || new.is_failure() {
        Drift::Invariant
    } else {
        Drift::PerKernel
    }
}

/// A verdict with the reason, or with what was measured.
fn describe_verdict(judgement: &Judgement) -> String {
    let measured = || {
        let values: Vec<String> = judgement
            .operands
            .iter()
            .filter_map(|operand| Some(format!("{} = {}", operand.text, operand.value.as_ref()?)))
            .collect();
        values.join(", ")
    };
    let why = match (&judgement.reason, judgement.verdict) {
        (Some(reason), _) => reason.clone(),
        (None, Verdict::Fail) => measured(),
        (None, _) => return judgement.verdict.to_string(),
    };
    format!("{}: {why}", judgement.verdict)
}

//! A whole book: parses every chapter, judges every claim, fills every chapter, and collects every complaint.

use qed_evidence::claim::Verdict;
use qed_evidence::diagnostic::{Diagnostic, Severity};
use qed_evidence::observation::{capture_notes, notes};

use crate::claims::collect::Claims;
use crate::claims::judged::rule_of;
use crate::claims::sweep::sweep_state;
use crate::config::OnMissing;
use crate::evidence::book_data::BookData;
use crate::evidence::locations::SWEEP;
use crate::evidence::names::Glossary;
use crate::evidence::provenance::Use;
use crate::evidence::sweep_record::MAKE;
use crate::exhibits::block::Target;
use crate::lint;
use crate::markdown::chapter::Chapter;
use crate::markdown::dialect::Markdown;
use crate::markdown::splice::Edit;
use crate::render::fill::{ChapterPlace, FilledChapter, fill};
use crate::util::parallel::{self, Parallelism};

/// The complaints about a book, and whether it can be built.
#[derive(Debug, Default)]
pub struct BookReport {
    /// Errors and warnings, sorted.
    pub problems: Vec<Diagnostic>,
    /// A claim is FAIL or ERROR.
    pub false_claim: bool,
    /// Placeholders that show UNVERIFIED, in the order of the chapters. They are no problems: the book allows them.
    pub unverified: Vec<Diagnostic>,
}

impl BookReport {
    /// True if the build has to stop.
    pub fn has_errors(&self) -> bool {
        self.problems.iter().any(|p| p.severity == Severity::Error)
    }

    /// The number of placeholders that show UNVERIFIED, and the first of them, in one line; `None`: there is none.
    pub fn summary_of_unverified(&self) -> Option<String> {
        let first = self.unverified.first()?;
        let place = first.place.as_ref().zip(first.line_column());
        let place = place.map_or_else(String::new, |((source, _), (line, column))| {
            format!("{}:{line}:{column}: ", source.name)
        });
        let message = &first.message;
        Some(match self.unverified.len() {
            1 => format!("1 value on a page is UNVERIFIED: {place}{message}"),
            many => format!("{many} values on pages are UNVERIFIED, the first: {place}{message}"),
        })
    }

    /// The exit status: 0, 1 for a claim that is false or broken, 2 for anything that cannot be understood.
    pub fn status(&self) -> u8 {
        match (self.has_errors(), self.false_claim) {
            (false, _) => 0,
            (true, true) => 1,
            (true, false) => 2,
        }
    }
}

/// A book's chapters, taken apart.
pub fn parse_all(
    chapters: &[(String, &mut String)],
    markdown: Markdown,
    parallelism: Parallelism,
) -> Vec<Chapter> {
    parallelism.map(chapters, |_, (name, text)| {
        Chapter::parse(name, text, markdown)
    })
}

/// The result of filling a book.
pub struct FilledBook {
    /// Text of each chapter.
    pub texts: Vec<String>,
    /// The places in it that were filled in, in order, by chapter.
    pub written: Vec<Vec<std::ops::Range<usize>>>,
    /// Everything that is shown, by chapter.
    pub uses: Vec<Vec<Use>>,
    /// The claims with their verdicts.
    pub claims: Claims,
    /// The complaints.
    pub report: BookReport,
}

/// Judge all claims and fill all chapters.
pub fn fill_all(chapters: &[Chapter], book_data: &BookData<'_>, target: Target) -> FilledBook {
    let mut report = BookReport::default();
    if target == Target::Nothing {
        book_data.evidence_set.templates.discard_output();
    }
    let mut texts = Vec::new();
    let mut written = Vec::new();
    let mut uses = Vec::new();
    let lint = || lint::check_chapters(chapters, book_data.config, Some(book_data));
    let parallelism = book_data.config.parallelism;
    let is_live = chapters.iter().any(Chapter::is_live);
    let (claims, filled, complaints) = std::thread::scope(|scope| {
        // It looks at no claim, and so takes what time the others leave.
        let linting = parallelism
            .applies_to(chapters.len())
            .then(|| scope.spawn(lint));
        let claims = Claims::collect(chapters, book_data, &mut report.problems);
        let glossary = Glossary::read(chapters);
        let filled = parallelism.map(chapters, |number, chapter| {
            let place = ChapterPlace { number, is_live };
            fill(chapter, place, book_data, &claims, &glossary, target)
        });
        (
            claims,
            filled,
            linting.map_or_else(lint, parallel::join_thread),
        )
    });
    report.false_claim = claims
        .iter()
        .any(|c| c.judgements.iter().any(|j| j.verdict.is_failure()))
        || report.problems.iter().any(is_false_claim);
    for (chapter, filled) in chapters.iter().zip(filled) {
        report.problems.extend(chapter.problems.iter().cloned());
        if !book_data.config.active_html {
            report.problems.extend(chapter.active.iter().cloned());
        }
        let FilledChapter {
            text,
            written: places,
            uses: shown,
            problems,
            unverified,
        } = filled;
        report.problems.extend(problems);
        report.unverified.extend(unverified);
        texts.push(text);
        written.push(places);
        uses.push(shown);
    }
    report
        .problems
        .extend(stale_diagnostics(book_data, &claims));
    let machines: Vec<_> = book_data
        .evidence_set
        .loaded
        .iter()
        .map(|one| &one.evidence)
        .collect();
    let noted = notes(&book_data.evidence_set.investigation, &machines);
    report.problems.extend(noted);
    let failed = capture_notes(&book_data.evidence_set.investigation, &machines);
    report.problems.extend(failed);
    report
        .problems
        .extend(book_data.evidence_set.templates.take_problems());
    // What could not be read uses nothing that could be known.
    let all_read = !report.has_errors() || report.false_claim;
    report.problems.extend(complaints);
    if all_read {
        report.problems.extend(lint::find_unused(&uses, book_data));
    }
    FilledBook {
        texts,
        written,
        uses,
        claims,
        report,
    }
}

/// True for a complaint about a claim that is false or broken.
fn is_false_claim(problem: &Diagnostic) -> bool {
    let rules = [Verdict::Fail, Verdict::Error].map(rule_of);
    problem.rule.is_some_and(|rule| rules.contains(&rule))
}

/// Complaints about evidence that is out of date.
fn stale_diagnostics(book_data: &BookData<'_>, claims: &Claims) -> Vec<Diagnostic> {
    let config = book_data.config;
    if config.on_stale == OnMissing::Show {
        return Vec::new();
    }
    let machines = book_data.evidence_set.loaded.iter().filter_map(|loaded| {
        let reasons = loaded.stale_text()?;
        let message = format!(
            "the evidence of {} is out of date: {reasons}",
            loaded.machine
        );
        let line = crate::evidence::loader::capture_command(config, &loaded.machine);
        Some(Diagnostic::error_without_place(message).help(format!("capture again: {line}")))
    });
    let sweep = book_data.evidence_set.sweep.as_ref().and_then(|sweep| {
        let reasons = sweep_state(sweep, claims).stale_text()?;
        let message = format!("the record of the sweep, `{SWEEP}`, is out of date: {reasons}");
        Some(Diagnostic::error_without_place(message).help(format!("make it again: {MAKE}")))
    });
    machines.chain(sweep).collect()
}

/// Take out the escapes alone: for a book that shows placeholders and fills none.
pub fn remove_escapes(chapter: &Chapter, target: Target) -> String {
    let escapes = chapter.escapes.iter().map(|at| Edit {
        range: *at..at + 1,
        text: String::new(),
    });
    let edits = crate::render::page_header::literals_edit(chapter, target)
        .into_iter()
        .chain(escapes)
        .collect();
    crate::markdown::splice::apply(&chapter.source.text, edits)
}

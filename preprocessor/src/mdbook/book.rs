//! A whole book: every chapter taken apart, every claim judged, every chapter filled, every complaint collected.

use std::mem::ManuallyDrop;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use qed_evidence::diagnostic::{Diagnostic, Severity, Source};

use crate::claims::judged::Claims;
use crate::config::{Config, OnFail, OnMissing};
use crate::evidence::book_data::{Facts, index};
use crate::evidence::cache::Kept;
use crate::evidence::loader::{Here, load};
use crate::evidence::names::Glossary;
use crate::evidence::provenance::Use;
use crate::lint;
use crate::markdown::chapter::Chapter;
use crate::markdown::source_map;
use crate::markdown::splice::Edit;
use crate::markdown::syntax::{Found, find};
use crate::mdbook::protocol::Markdown;
use crate::render::fill::{Filled, Target, fill};
use crate::util::parallel;

/// Where a book is.
#[derive(Clone, Debug)]
pub struct Place {
    /// Its root.
    pub root: PathBuf,
    /// The folder of its chapters, relative to the root.
    pub src: PathBuf,
    /// The folder of its theme, relative to the root.
    pub theme: PathBuf,
}

/// Why a book cannot be built, and everything else there is to say.
#[derive(Debug, Default)]
pub struct Report {
    /// Errors and warnings, sorted.
    pub problems: Vec<Diagnostic>,
    /// A claim is FAIL or ERROR.
    pub false_claim: bool,
}

impl Report {
    /// Whether the build has to stop.
    pub fn has_errors(&self) -> bool {
        self.problems.iter().any(|p| p.severity == Severity::Error)
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
pub fn parse(chapters: &[(String, &mut String)], markdown: Markdown) -> Vec<Chapter> {
    parallel::map(chapters, |_, (name, text)| {
        Chapter::parse(name, text, markdown)
    })
}

/// What a book comes to.
pub struct Outcome {
    /// Text of each chapter.
    pub texts: Vec<String>,
    /// Where in it stands what was filled in, in order, by chapter.
    pub written: Vec<Vec<std::ops::Range<usize>>>,
    /// Everything that is shown, by chapter.
    pub uses: Vec<Vec<Use>>,
    /// The claims with their verdicts.
    pub claims: Claims,
    /// What there is to say.
    pub report: Report,
}

/// Judges all claims and fills all chapters.
pub fn fill_all(chapters: &[Chapter], facts: &Facts<'_>, target: Target) -> Outcome {
    let mut report = Report::default();
    if target == Target::Nothing {
        facts.templates.unseen();
    }
    let mut texts = Vec::new();
    let mut written = Vec::new();
    let mut uses = Vec::new();
    let lint = || lint::chapters(chapters, facts.config, Some(facts));
    let (claims, filled, complaints) = std::thread::scope(|scope| {
        // It looks at no claim, and so takes what time the others leave.
        let linting = parallel::is_many(chapters.len()).then(|| scope.spawn(lint));
        let claims = Claims::collect(chapters, facts, &mut report.problems);
        let glossary = Glossary::read(chapters);
        let filled = parallel::map(chapters, |number, chapter| {
            fill(chapter, number, facts, &claims, &glossary, target)
        });
        (claims, filled, linting.map_or_else(lint, parallel::join))
    });
    report.false_claim = claims
        .iter()
        .any(|c| c.judgements.iter().any(|j| j.verdict.is_failure()));
    for (chapter, filled) in chapters.iter().zip(filled) {
        report.problems.extend(chapter.problems.iter().cloned());
        let Filled {
            text,
            written: places,
            uses: shown,
            problems,
        } = filled;
        report.problems.extend(problems);
        texts.push(text);
        written.push(places);
        uses.push(shown);
    }
    report.problems.extend(stale(facts));
    report.problems.extend(facts.templates.problems());
    // What could not be read uses nothing that could be known.
    let all_read = !report.has_errors() || report.false_claim;
    report.problems.extend(complaints);
    if all_read {
        report.problems.extend(lint::unused(&uses, facts));
    }
    Outcome {
        texts,
        written,
        uses,
        claims,
        report,
    }
}

/// Complaints about evidence that is out of date.
pub fn stale(facts: &Facts<'_>) -> Vec<Diagnostic> {
    let config = facts.config;
    if config.on_stale == OnMissing::Show {
        return Vec::new();
    }
    facts
        .loaded
        .iter()
        .filter_map(|loaded| {
            let reasons = loaded.out_of_date()?;
            let message = format!(
                "the evidence of {} is out of date: {reasons}",
                loaded.machine
            );
            let line = crate::evidence::loader::capture_line(config, &loaded.machine);
            Some(Diagnostic::error_without_place(message).help(format!("capture again: {line}")))
        })
        .collect()
}

/// Takes out the escapes alone: for a book that shows placeholders and fills none.
pub fn unescape(chapter: &Chapter, target: Target) -> String {
    let escapes = chapter.escapes.iter().map(|at| Edit {
        range: *at..at + 1,
        text: String::new(),
    });
    let edits = crate::render::fill::literals(chapter, target)
        .into_iter()
        .chain(escapes)
        .collect();
    crate::markdown::splice::apply(&chapter.source.text, edits)
}

/// Builds a book whose chapters are `texts`.
pub fn build(
    place: &Place,
    config: &Config,
    chapters: &[Chapter],
    target: Target,
) -> Result<Outcome, Report> {
    let here = Here::look();
    let live = chapters.iter().any(Chapter::is_live);
    let mut outcome = if live {
        let kept = Kept::of(&place.root);
        let (warnings, fresh) =
            crate::evidence::capture::refresh(&place.root, config, &here, &kept);
        // A capture takes its time, and what it found is not from the future.
        let here = Here {
            time: Timestamp::now(),
            ..here
        };
        match load(place, config, &here, fresh, kept) {
            Ok(store) => {
                // The program ends with this book: taking megabytes of evidence apart again would be for nothing.
                let store = ManuallyDrop::new(store);
                let indexed = ManuallyDrop::new(index(&store));
                let facts = Facts::new(config, &store, &indexed);
                let mut outcome = fill_all(chapters, &facts, target);
                outcome.report.problems.extend(warnings);
                outcome
            }
            Err(mut problems) => {
                problems.extend(warnings);
                problems.extend(chapters.iter().flat_map(|c| c.problems.iter().cloned()));
                let mut report = Report {
                    problems,
                    false_claim: false,
                };
                finish(&mut report, place);
                return Err(report);
            }
        }
    } else {
        Outcome {
            texts: chapters.iter().map(|c| unescape(c, target)).collect(),
            written: Vec::new(),
            uses: Vec::new(),
            claims: Claims::default(),
            report: Report {
                problems: chapters
                    .iter()
                    .flat_map(|c| c.problems.iter().cloned())
                    .chain(lint::chapters(chapters, config, None))
                    .collect(),
                false_claim: false,
            },
        }
    };
    let strays = lint::strays(place, chapters, config);
    outcome.report.problems.extend(strays);
    finish(&mut outcome.report, place);
    if config.on_fail == OnFail::Warn {
        outcome.report.false_claim = false;
    }
    if outcome.report.has_errors() {
        Err(outcome.report)
    } else {
        Ok(outcome)
    }
}

/// Complaints about placeholders in files that mdBook gives to no preprocessor: they would be published as they are.
fn out_of_reach(place: &Place) -> Vec<Diagnostic> {
    let files = [
        (
            "SUMMARY.md",
            "mdBook shows the names of chapters as they are, in the sidebar and in the search",
        ),
        ("404.md", "mdBook renders this page as it is"),
    ];
    let mut problems = Vec::new();
    for (file, why) in files {
        let path = place.src.join(file);
        let Ok(text) = std::fs::read_to_string(place.root.join(&path)) else {
            continue;
        };
        let name = path.display().to_string();
        let source = Arc::new(Source { name, text });
        for found in find(&source.text) {
            if let Found::Placeholder(span) | Found::Unclosed(span) | Found::Spaced(span) = found {
                let message = format!("no value may stand here: {why}");
                problems.push(Diagnostic::error(&source, span, message));
            }
        }
    }
    problems
}

/// Moves every complaint to the author's own file, and sorts them.
pub fn finish(report: &mut Report, place: &Place) {
    let mut known: Vec<(Arc<Source>, Vec<Arc<Source>>)> = Vec::new();
    for problem in &mut report.problems {
        let Some((source, _)) = &problem.place else {
            continue;
        };
        let source = Arc::clone(source);
        if !source.name.ends_with(".md") {
            continue;
        }
        if !known
            .iter()
            .any(|(chapter, _)| Arc::ptr_eq(chapter, &source))
        {
            let path = place.src.join(&source.name);
            let read = |path: &Path| std::fs::read_to_string(place.root.join(path)).ok();
            let files = source_map::files(&path, read)
                .into_iter()
                .map(|(path, text)| {
                    Arc::new(Source {
                        name: path.display().to_string(),
                        text,
                    })
                })
                .collect();
            known.push((Arc::clone(&source), files));
        }
        if let Some((_, files)) = known
            .iter()
            .find(|(chapter, _)| Arc::ptr_eq(chapter, &source))
        {
            source_map::diagnostic(problem, files);
        }
    }
    report.problems.extend(out_of_reach(place));
    qed_evidence::diagnostic::sort(&mut report.problems);
    report.problems.dedup();
}

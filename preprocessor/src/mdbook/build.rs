//! The build of a book: capture if the book asks for it, load evidence, fill chapters, and report complaints to the author.

use std::mem::ManuallyDrop;
use std::sync::Arc;

use jiff::Timestamp;
use qed_evidence::diagnostic::{Diagnostic, SourceText};

use crate::claims::collect::Claims;
use crate::config::{BookPaths, Config, OnFail, ReadText};
use crate::evidence::book_data::BookData;
use crate::evidence::cache::DerivedCache;
use crate::evidence::freshness::LocalMachine;
use crate::evidence::loader::load;
use crate::exhibits::block::Target;
use crate::lint;
use crate::markdown::chapter::Chapter;
use crate::markdown::source_map;
use crate::markdown::syntax::{Occurrence, find_placeholders};
use crate::render::book::{BookReport, FilledBook, fill_all, remove_escapes};

/// Build a book whose chapters are `texts`.
pub fn build(
    paths: &BookPaths,
    config: &Config,
    chapters: &[Chapter],
    target: Target,
) -> Result<FilledBook, BookReport> {
    let here = LocalMachine::read();
    let live = chapters.iter().any(Chapter::is_live);
    let mut outcome = if live {
        let cache = DerivedCache::for_book(&paths.root);
        let (warnings, fresh) =
            crate::evidence::capture::refresh(&paths.root, config, &here, &cache);
        // A capture takes a while, so the time is read after it: its evidence must not appear to be from the future.
        let here = LocalMachine {
            time: Timestamp::now(),
            ..here
        };
        match load(paths, config, &here, fresh, cache) {
            Ok(evidence_set) => {
                // The program ends with this book: taking megabytes of evidence apart again would be for nothing.
                let evidence_set = ManuallyDrop::new(evidence_set);
                let book_data = ManuallyDrop::new(BookData::new(config, &evidence_set));
                let mut outcome = fill_all(chapters, &book_data, target);
                outcome.report.problems.extend(warnings);
                outcome
            }
            Err(mut problems) => {
                problems.extend(warnings);
                problems.extend(chapters.iter().flat_map(|c| c.problems.iter().cloned()));
                let mut report = BookReport {
                    problems,
                    ..BookReport::default()
                };
                finish_report(&mut report, paths);
                return Err(report);
            }
        }
    } else {
        FilledBook {
            texts: chapters.iter().map(|c| remove_escapes(c, target)).collect(),
            written: Vec::new(),
            uses: Vec::new(),
            claims: Claims::default(),
            report: BookReport {
                problems: chapters
                    .iter()
                    .flat_map(|c| c.problems.iter().cloned())
                    .chain(lint::check_chapters(chapters, config, None))
                    .collect(),
                ..BookReport::default()
            },
        }
    };
    let strays = lint::find_orphans(paths, chapters, config);
    outcome.report.problems.extend(strays);
    let exposed = lint::find_exposed(paths, config);
    outcome.report.problems.extend(exposed);
    finish_report(&mut outcome.report, paths);
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
fn find_unreachable(paths: &BookPaths, read: &ReadText<'_>) -> Vec<Diagnostic> {
    let files = [
        (
            "SUMMARY.md",
            "mdBook shows the names of chapters as they are, in the sidebar and in the search",
        ),
        ("404.md", "mdBook renders this page as it is"),
    ];
    let mut problems = Vec::new();
    for (file, why) in files {
        let path = paths.src.join(file);
        let Some(text) = read(&path) else { continue };
        let name = path.display().to_string();
        let source = Arc::new(SourceText { name, text });
        for found in find_placeholders(&source.text) {
            if let Occurrence::Placeholder(span)
            | Occurrence::Unclosed(span)
            | Occurrence::Spaced(span) = found
            {
                let message = format!("no value may stand here: {why}");
                problems.push(Diagnostic::error(&source, span, message));
            }
        }
    }
    problems
}

/// Move every complaint to the author's own file, and sort them.
pub fn finish_report(report: &mut BookReport, paths: &BookPaths) {
    finish_report_with(report, paths, &paths.reader());
}

/// The same, where `read` gives the texts of the author's files.
pub fn finish_report_with(report: &mut BookReport, paths: &BookPaths, read: &ReadText<'_>) {
    move_to_authors_files(&mut report.problems, paths, read);
    move_to_authors_files(&mut report.unverified, paths, read);
    report.problems.extend(find_unreachable(paths, read));
    qed_evidence::diagnostic::sort(&mut report.problems);
    report.problems.dedup();
}

/// Move complaints from the text of a chapter, which may include other files, to the file that its author wrote. `read` gives
/// the texts of such files.
pub fn move_to_authors_files(problems: &mut [Diagnostic], paths: &BookPaths, read: &ReadText<'_>) {
    let mut known: Vec<(Arc<SourceText>, Vec<Arc<SourceText>>)> = Vec::new();
    for problem in problems {
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
            let path = paths.src.join(&source.name);
            let files = source_map::author_files(&path, read)
                .into_iter()
                .map(|(path, text)| {
                    Arc::new(SourceText {
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
            source_map::move_diagnostic(problem, files);
        }
    }
}

//! The check of a book while it is written, with the documents as an editor has them open. Nothing is captured.

use std::collections::BTreeSet;
use std::path::Path;

use qed_evidence::diagnostic::Diagnostic;

use crate::claims::gaps::collect_gaps;
use crate::evidence::book_data::BookData;
use crate::exhibits::explanation::explain_claim;
use crate::lsp::book_index::Explanations;
use crate::lsp::files::Documents;
use crate::lsp::workspace::Workspace;
use crate::mdbook::build::{finish_report_with, move_to_authors_files};
use crate::mdbook::check::check_book;
use crate::mdbook::load::{self, LoadedBook};
use crate::render::book::BookReport;

/// A check that is asked for.
#[derive(Clone, Debug, Default)]
pub struct CheckJob {
    /// The documents as they are.
    pub documents: Documents,
    /// True if chapters have changed on disk.
    pub reread: bool,
    /// Problems that were found before the check, to be shown with its own.
    pub problems: Vec<Diagnostic>,
}

/// The outcome of a check.
#[derive(Debug, Default)]
pub struct CheckOutcome {
    /// The problems found, in the author's own files.
    pub problems: Vec<Diagnostic>,
    /// The claims that could not be decided, in the author's own files.
    pub gaps: Vec<Diagnostic>,
    /// The claims, explained.
    pub claims: Explanations,
}

/// A book that is checked again and again.
pub struct Checker<'b, 'a> {
    book: LoadedBook,
    workspace: Workspace,
    book_data: &'b BookData<'a>,
    /// The chapters whose text in the book differs from that on disk.
    replaced: BTreeSet<String>,
}

impl<'b, 'a> Checker<'b, 'a> {
    /// A book, checked against `book_data`.
    pub fn new(book: LoadedBook, workspace: Workspace, book_data: &'b BookData<'a>) -> Self {
        Checker {
            book,
            workspace,
            book_data,
            replaced: BTreeSet::new(),
        }
    }

    /// Check the book with these documents.
    pub fn check(&mut self, job: &CheckJob) -> CheckOutcome {
        let mut report = BookReport {
            problems: job.problems.clone(),
            ..BookReport::default()
        };
        self.apply_documents(job, &mut report.problems);
        let paths = &self.workspace.paths;
        let read = self.workspace.reader(&job.documents);
        if self.book_data.evidence_set.loaded.is_empty() {
            let unread = self
                .book
                .chapters
                .iter()
                .flat_map(|chapter| chapter.problems.iter().cloned());
            report.problems.extend(unread);
            finish_report_with(&mut report, paths, &read);
            return CheckOutcome {
                problems: report.problems,
                ..CheckOutcome::default()
            };
        }
        let checked = check_book(&self.book.chapters, paths, self.book_data, &read);
        report.problems.extend(checked.report.problems);
        let mut open = collect_gaps(&checked.claims, self.book_data);
        move_to_authors_files(&mut open, paths, &read);
        let explained = |judged: &crate::claims::judged::JudgedClaim| {
            (
                judged.claim.id.clone(),
                explain_claim(judged, self.book_data),
            )
        };
        CheckOutcome {
            problems: report.problems,
            gaps: open,
            claims: checked.claims.iter().map(explained).collect(),
        }
    }

    /// Put the documents in the place of the files on disk.
    fn apply_documents(&mut self, job: &CheckJob, problems: &mut Vec<Diagnostic>) {
        let src = self.workspace.paths.root.join(&self.workspace.paths.src);
        let name = |file: &Path| Some(file.strip_prefix(&src).ok()?.display().to_string());
        let open: BTreeSet<String> = job
            .documents
            .iter()
            .filter_map(|(file, _)| name(file))
            .collect();
        if job.reread || !self.replaced.is_subset(&open) {
            match load::load(&self.book.paths.root, self.book.config.parallelism) {
                Ok(book) => {
                    self.book = book;
                    self.workspace = Workspace::new(&self.book);
                }
                Err(problem) => problems.push(problem),
            }
        }
        for (file, document) in job.documents.iter() {
            if let Some(name) = name(file)
                && let Err(problem) = self.book.replace(&name, &document.text)
            {
                problems.push(problem);
            }
        }
        self.replaced = open;
    }
}

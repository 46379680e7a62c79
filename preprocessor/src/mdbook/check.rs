//! The check of a book: judges every claim and collects every complaint, without rendering.

use qed_evidence::claim::Verdict::Pass;
use qed_evidence::diagnostic::Diagnostic;

use crate::claims::collect::Claims;
use crate::config::{BookPaths, ReadText};
use crate::evidence::book_data::BookData;
use crate::exhibits::block::Target;
use crate::lint;
use crate::markdown::chapter::Chapter;
use crate::markdown::structure::BlockKind;
use crate::mdbook::build::finish_report_with;
use crate::render::book::{BookReport, FilledBook, fill_all};

/// The outcome of a check.
#[derive(Debug)]
pub struct CheckedBook {
    /// The claims with their verdicts.
    pub claims: Claims,
    /// The complaints, in the author's own files.
    pub report: BookReport,
    /// True if there are claims, and not one of them could be decided on any machine.
    pub nothing_shown: bool,
}

/// Check a book whose chapters are `chapters`. `read` gives the texts of the author's files.
pub fn check_book(
    chapters: &[Chapter],
    paths: &BookPaths,
    book_data: &BookData<'_>,
    read: &ReadText<'_>,
) -> CheckedBook {
    let FilledBook {
        claims,
        report: mut found,
        ..
    } = fill_all(chapters, book_data, Target::Nothing);
    // One that could not be read is told with its place.
    let is_written = |chapter: &Chapter| chapter.blocks.iter().any(|b| b.kind == BlockKind::Claim);
    if !chapters.iter().any(is_written) {
        let message = "the book makes no claim, so there is nothing that could have been checked";
        found.problems.push(
            Diagnostic::error_without_place(message)
                .help("write a ```qed-claim block beside what it proves"),
        );
    }
    let verdicts = || {
        claims
            .iter()
            .flat_map(|c| c.judgements.iter().map(|j| j.verdict))
    };
    let nothing_shown =
        verdicts().next().is_some() && !verdicts().any(|v| v == Pass || v.is_failure());
    if nothing_shown {
        let message = "not one claim could be verified on any machine: nothing was checked";
        found.problems.push(
            Diagnostic::error_without_place(message)
                .help("`mdbook-qed explain ID` says what a claim lacks; `qed-collector doctor` what a machine lacks"),
        );
    }
    let loaded = &book_data.evidence_set.loaded;
    let is_fresh = |machine: &str| {
        let mut fresh = loaded.iter().filter(|one| one.stale.is_empty());
        fresh.any(|one| one.machine == machine)
    };
    let failures = crate::evidence::capture::earlier_failures(
        &paths.root,
        book_data.config,
        &book_data.evidence_set.investigation,
        &is_fresh,
    );
    found.problems.extend(failures);
    let strays = lint::find_orphans(paths, chapters, book_data.config);
    found.problems.extend(strays);
    let exposed = lint::find_exposed(paths, book_data.config);
    found.problems.extend(exposed);
    finish_report_with(&mut found, paths, read);
    CheckedBook {
        claims,
        report: found,
        nothing_shown,
    }
}

//! Lints: values typed by hand, unused evidence, chapters that prove nothing, claims that are not judged. `deny` in `book.toml`
//! turns each of them into an error.

mod chapters;
mod exposed;
mod findings;
mod hardcoded;
mod misspelt;
mod orphans;
mod text_map;
mod unused;

use qed_evidence::diagnostic::Diagnostic;

use crate::config::Config;
use crate::evidence::book_data::BookData;
use crate::evidence::provenance::Use;
use crate::lint::findings::LintFindings;
use crate::lint::hardcoded::measured::MeasuredValues;
use crate::markdown::chapter::{Chapter, to_diagnostic};

pub use exposed::find_exposed;
pub use orphans::find_orphans;

/// Check all chapters. `book_data` is given if the book shows any evidence.
pub fn check_chapters(
    chapters: &[Chapter],
    config: &Config,
    book_data: Option<&BookData<'_>>,
) -> Vec<Diagnostic> {
    let mut found = LintFindings {
        config,
        problems: Vec::new(),
    };
    let mut without_claim = Vec::new();
    let measured =
        std::cell::LazyCell::new(|| book_data.map(MeasuredValues::new).unwrap_or_default());
    for chapter in chapters {
        let text = chapter.source.text.as_str();
        chapters::report_misnamed_blocks(chapter, &mut found);
        found
            .problems
            .extend(misspelt::misspelt_placeholders(chapter));
        let claims_nothing = !chapters::makes_claim(chapter);
        if !hardcoded::literal::may_hold(text) && !text_map::may_hold_marks(text) {
            // All chapters that have nothing of QED share one complaint: only the first of them is parsed as a whole.
            let complains =
                !without_claim.is_empty() && !chapter.is_live() && text_map::has_text(text);
            if claims_nothing && complains {
                let place = Diagnostic::error(&chapter.source, 0..0, "");
                without_claim.push(place);
            }
            if !claims_nothing || complains {
                continue;
            }
        }
        let placeholders = chapter.placeholder_ranges();
        let reading = text_map::read_chapter(text, &placeholders, &chapter.markdown.options());
        for problem in &reading.problems {
            let problem = to_diagnostic(&chapter.source, problem.clone());
            found.problems.push(problem);
        }
        hardcoded::check(chapter, &reading, &measured, &mut found);
        chapters::check(
            chapter,
            &reading,
            claims_nothing,
            &mut without_claim,
            &mut found,
        );
    }
    chapters::report_chapters_without_claim(&without_claim, &mut found);
    found.problems
}

/// The blocks of a chapter that are marked with `qed:literal`, without the mark. A block with a claim or an exhibit in it is
/// not included: these show measured values, whatever mark precedes them.
pub fn literal_blocks(chapter: &Chapter) -> Vec<std::ops::Range<usize>> {
    let text = chapter.source.text.as_str();
    if !text_map::may_hold_marks(text) {
        return Vec::new();
    }
    let options = chapter.markdown.options();
    let marks = text_map::read_chapter(text, &chapter.placeholder_ranges(), &options).marks;
    let is_ours = |covers: &std::ops::Range<usize>| {
        let mut blocks = chapter.blocks.iter().map(|block| &block.range);
        blocks.any(|block| block.start < covers.end && covers.start < block.end)
    };
    let literal = |mark: text_map::Mark| {
        let quotes = mark.kind == text_map::MarkKind::Literal;
        (quotes && !mark.covers.is_empty() && !is_ours(&mark.covers)).then_some(mark.covers)
    };
    marks.into_iter().filter_map(literal).collect()
}

/// Find evidence that nothing uses. `uses` is everything that the book shows.
pub fn find_unused(uses: &[Vec<Use>], book_data: &BookData<'_>) -> Vec<Diagnostic> {
    let mut found = LintFindings {
        config: book_data.config,
        problems: Vec::new(),
    };
    unused::check(uses, book_data, &mut found);
    found.problems
}

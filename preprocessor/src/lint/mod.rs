//! Lints: values typed by hand, evidence that nothing uses, chapters that prove nothing, claims that
//! nobody judges. `deny` in `book.toml` turns each of them into an error.

mod chapters;
mod findings;
mod hardcoded;
mod orphans;
mod text_map;
mod unused;

use qed_evidence::diagnostic::Diagnostic;

use crate::config::Config;
use crate::evidence::book_data::BookData;
use crate::evidence::provenance::Use;
use crate::lint::findings::LintFindings;
use crate::lint::hardcoded::measured::Measured;
use crate::markdown::chapter::{Chapter, to_diagnostic};

pub use orphans::find_orphans;

/// Looks at all chapters. `facts` are there if the book shows any.
pub fn chapters(
    chapters: &[Chapter],
    config: &Config,
    facts: Option<&BookData<'_>>,
) -> Vec<Diagnostic> {
    let mut found = LintFindings {
        config,
        problems: Vec::new(),
    };
    let mut plain = Vec::new();
    let measured = std::cell::LazyCell::new(|| facts.map(Measured::new).unwrap_or_default());
    for chapter in chapters {
        let text = chapter.source.text.as_str();
        chapters::strangers(chapter, &mut found);
        let silent = !chapters::makes_claim(chapter);
        if !hardcoded::literal::may_hold(text) && !text_map::may_mark(text) {
            // Of the chapters that are about other things, only one is looked at to the end.
            let told = !plain.is_empty() && !chapter.is_live() && text_map::surely_reads(text);
            if silent && told {
                let place = Diagnostic::error(&chapter.source, 0..0, "");
                plain.push(place);
            }
            if !silent || told {
                continue;
            }
        }
        let placeholders = chapter.placeholder_ranges();
        let reading = text_map::read(text, &placeholders, &chapter.markdown.options());
        for problem in &reading.problems {
            let problem = to_diagnostic(&chapter.source, problem.clone());
            found.problems.push(problem);
        }
        hardcoded::check(chapter, &reading, &measured, &mut found);
        chapters::check(chapter, &reading, silent, &mut plain, &mut found);
    }
    chapters::tell_plain(&plain, &mut found);
    found.problems
}

/// Looks for evidence that nothing uses. `uses` is everything that the book shows.
pub fn unused(uses: &[Vec<Use>], facts: &BookData<'_>) -> Vec<Diagnostic> {
    let mut found = LintFindings {
        config: facts.config,
        problems: Vec::new(),
    };
    unused::check(uses, facts, &mut found);
    found.problems
}

//! Functions that the chapters of a book mention: by name, or in their exhibits `coverage`.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;

use qed_evidence::claim::{Mentions, Scope};
use qed_evidence::diagnostic::SourceText;

use crate::evidence::names::{Identifier, find_identifiers, split_words};
use crate::markdown::chapter::Chapter;
use crate::markdown::structure::{Block, BlockKind};
use crate::markdown::syntax::{self, SpannedWord, SyntaxError};

/// The name of the exhibit that says what a text covers.
pub const EXHIBIT: &str = "coverage";

/// The form of a line in the exhibit.
const FORM: &str = "write `below FUNCTION` of one that the text tells with all that it calls, `fold FUNCTION, FUNCTION: REASON`, or \
                    `after-exit: REASON` of what runs on the way back to user space";

/// Functions that a text leaves out, with all that they call.
#[derive(Clone, Debug)]
pub struct Fold {
    /// Their names.
    pub functions: Vec<SpannedWord>,
    /// The reason.
    pub reason: String,
}

/// The lines of an exhibit `coverage`.
#[derive(Clone, Debug, Default)]
pub struct CoverageLines {
    /// Functions that the text explains with all that they call.
    pub below: Vec<SpannedWord>,
    /// The functions that it leaves out, in order.
    pub folds: Vec<Fold>,
    /// The reason why it leaves out what ran after `sys_exit`.
    pub after_exit: Option<String>,
}

impl CoverageLines {
    /// Read the lines of a body, each with its place in the chapter.
    ///
    /// # Errors
    /// The first line that is neither `below`, `fold` nor `after-exit`, that names no function, or that leaves out without a reason.
    pub fn read(body: &[(String, Range<usize>)]) -> Result<Self, SyntaxError> {
        let mut lines = CoverageLines::default();
        for (line, span) in body {
            let wrong = |message: &str| {
                Err(SyntaxError::new(
                    span.clone(),
                    message.to_owned(),
                    FORM.to_owned(),
                ))
            };
            if let Some(reason) = line.strip_prefix("after-exit") {
                let Some(reason) = reason.strip_prefix(':').map(str::trim) else {
                    return wrong("`after-exit` takes no names, only a reason");
                };
                if reason.is_empty() {
                    return wrong("`after-exit` needs a reason");
                }
                lines.after_exit = Some(reason.to_owned());
                continue;
            }
            let Some((word, rest)) = line.split_once(' ') else {
                return wrong("this says nothing of a function");
            };
            let at = span.start + word.len() + 1;
            match (word, rest.split_once(':')) {
                ("below", None) => match parse_functions(rest, at) {
                    Some(functions) => lines.below.extend(functions),
                    None => return wrong("`below` needs names of functions"),
                },
                ("below", Some(_)) => {
                    return wrong("`below` needs no reason: the text tells what it is about");
                }
                ("fold", Some((list, reason))) if !reason.trim().is_empty() => {
                    let Some(functions) = parse_functions(list, at) else {
                        return wrong("`fold` needs names of functions");
                    };
                    lines.folds.push(Fold {
                        functions,
                        reason: reason.trim().to_owned(),
                    });
                }
                ("fold", _) => return wrong("`fold` needs a reason"),
                _ => return wrong("this is neither `below`, `fold` nor `after-exit`"),
            }
        }
        Ok(lines)
    }
}

/// Names with commas between them, which begin at byte `at` of the chapter; `None` if one of them cannot be a function's.
fn parse_functions(list: &str, at: usize) -> Option<Vec<SpannedWord>> {
    let mut out = Vec::new();
    let mut start = at;
    for part in list.split(',') {
        let name = part.trim();
        let from = start + part.len() - part.trim_start().len();
        start += part.len() + 1;
        let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.');
        if name.is_empty() || !name.chars().all(fits) {
            return None;
        }
        out.push(SpannedWord {
            text: name.to_owned(),
            span: from..from + name.len(),
        });
    }
    Some(out)
}

/// One exhibit `coverage`.
#[derive(Debug)]
struct CoverageExhibit {
    experiment: String,
    lines: CoverageLines,
}

/// The mentions of one chapter.
#[derive(Debug)]
struct ChapterMentions {
    source: Arc<SourceText>,
    identifiers: Vec<Identifier>,
    named: Arc<BTreeSet<String>>,
    exhibits: Vec<CoverageExhibit>,
}

/// The mentions of all chapters of a book. Empty for a book that never asks.
#[derive(Debug, Default)]
pub struct BookMentions {
    chapters: Vec<ChapterMentions>,
    named: Arc<BTreeSet<String>>,
}

impl BookMentions {
    /// Read all chapters, if one of them asks for coverage. An exhibit that cannot be parsed is ignored here; its mistake is
    /// reported when it is rendered.
    pub fn read(chapters: &[Chapter]) -> Self {
        let asks = |chapter: &Chapter| {
            let text = &chapter.source.text;
            chapter.is_live() && text.contains(EXHIBIT)
        };
        if !chapters.iter().any(asks) {
            return BookMentions::default();
        }
        let chapters: Vec<ChapterMentions> = chapters.iter().map(read_chapter).collect();
        let named = chapters
            .iter()
            .flat_map(|chapter| chapter.named.iter().cloned());
        BookMentions {
            named: Arc::new(named.collect()),
            chapters,
        }
    }

    /// [`find_identifiers`] of one of the chapters that were read, or of another one.
    pub fn identifiers(&self, chapter: &Chapter) -> Cow<'_, [Identifier]> {
        let mut chapters = self.chapters.iter();
        match chapters.find(|one| Arc::ptr_eq(&one.source, &chapter.source)) {
            Some(known) => Cow::Borrowed(&known.identifiers),
            None => Cow::Owned(find_identifiers(chapter)),
        }
    }

    /// The mentions of an experiment's functions by the chapter of this name, or by the book.
    pub fn for_experiment(&self, scope: Scope, chapter: &str, experiment: &str) -> Mentions {
        let own = self.chapters.iter().find(|one| one.source.name == chapter);
        let (named, lines) = match scope {
            Scope::Book => (&self.named, self.lines_about(None, experiment)),
            Scope::Chapter => match own {
                Some(own) => (&own.named, self.lines_about(Some(chapter), experiment)),
                None => return Mentions::default(),
            },
        };
        let mut mentions = Mentions {
            named: Arc::clone(named),
            ..Mentions::default()
        };
        for exhibits in lines {
            let below = exhibits.below.iter().map(|one| one.text.clone());
            mentions.below.extend(below);
            let folded = exhibits.folds.iter().flat_map(|fold| &fold.functions);
            mentions.folded.extend(folded.map(|one| one.text.clone()));
            mentions.after_exit |= exhibits.after_exit.is_some();
        }
        mentions
    }

    /// The lines about an experiment: of one chapter, or of all.
    pub fn lines_about(&self, chapter: Option<&str>, experiment: &str) -> Vec<&CoverageLines> {
        let chapters = self.chapters.iter();
        let chapters = chapters.filter(|one| chapter.is_none_or(|name| one.source.name == name));
        chapters
            .flat_map(|chapter| &chapter.exhibits)
            .filter(|exhibits| exhibits.experiment == experiment)
            .map(|exhibits| &exhibits.lines)
            .collect()
    }
}

/// Read one chapter. It names what stands as code in its text, and what its claims and other exhibits say, as far as a reader sees it.
fn read_chapter(chapter: &Chapter) -> ChapterMentions {
    let source = chapter.source.text.as_str();
    let identifiers = find_identifiers(chapter);
    let mut named: BTreeSet<String> = identifiers.iter().map(|one| one.name.clone()).collect();
    let mut exhibits = Vec::new();
    let dropped = chapter.dropped_notes();
    let is_shown = |block: &&Block| !dropped.iter().any(|note| note.contains(&block.range.start));
    for block in chapter.blocks.iter().filter(is_shown) {
        let exhibit = (block.kind == BlockKind::Exhibit)
            .then(|| syntax::split_words(source, block.info.clone()).ok())
            .flatten();
        let requested =
            exhibit.filter(|words| matches!(&words.words[..], [name] if name.text == EXHIBIT));
        match requested {
            Some(words) => {
                let lines = CoverageLines::read(&block.lines(source));
                if let (Some(experiment), Ok(lines)) = (words.option("experiment"), lines) {
                    exhibits.push(CoverageExhibit {
                        experiment: experiment.value.text.clone(),
                        lines,
                    });
                }
            }
            None => {
                let body = block.body.iter().map(|piece| &source[piece.clone()]);
                named.extend(body.flat_map(split_words).map(|(_, word)| word.to_owned()));
            }
        }
    }
    ChapterMentions {
        source: Arc::clone(&chapter.source),
        identifiers,
        named: Arc::new(named),
        exhibits,
    }
}

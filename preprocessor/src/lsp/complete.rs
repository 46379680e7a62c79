//! Completion at a position in a chapter.

use std::ops::Range;

use qed_evidence::Path;
use qed_evidence::claim::FUNCTIONS;

use crate::claims::parse::CLAIM_OPTIONS;
use crate::exhibits::registry;
use crate::lsp::book_index::{BookIndex, describe_target};
use crate::lsp::cursor::{CursorContext, OptionOwner, context_at};
use crate::lsp::values::shown_value;
use crate::markdown::chapter::{Chapter, placeholder_options};
use crate::markdown::style::{FORMATS, SIDES};

/// The kind of something that can be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CandidateKind {
    /// A name with others below it.
    Node,
    /// A name of a value.
    Leaf,
    /// A function of claims.
    Function,
    /// An option.
    Option,
    /// A word of a closed set.
    Word,
}

/// Something that can be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// The name by which it is offered and sought.
    pub label: String,
    /// The text to write.
    pub insert: String,
    /// The bytes that the text replaces.
    pub span: Range<usize>,
    /// Its kind.
    pub kind: CandidateKind,
    /// Its type and value, or a few words about it.
    pub detail: Option<String>,
    /// An explanation of it.
    pub help: Option<String>,
}

/// The completions at byte `at` of a chapter.
pub fn complete(chapter: &Chapter, at: usize, known: &BookIndex<'_, '_>) -> Vec<Candidate> {
    let text = chapter.source.text.as_str();
    match context_at(chapter, at) {
        Some(CursorContext::Path(span)) => path_candidates(text, &span, at, known),
        Some(CursorContext::Expression(span)) => {
            let mut found = path_candidates(text, &span, at, known);
            if !text[span.start..at].contains('.') {
                found.extend(function_candidates(&span));
            }
            found
        }
        Some(CursorContext::Exhibit(span)) => word_candidates(registry::names(), &span),
        Some(CursorContext::Fence(span)) => word_candidates(["qed-claim", "qed-exhibit"], &span),
        Some(CursorContext::Option(holder, span)) => option_candidates(holder, &span),
        Some(CursorContext::Value(holder, name, span)) => {
            value_candidates(holder, name, &span, known)
        }
        Some(CursorContext::Claim(_)) | None => Vec::new(),
    }
}

/// The names that can follow the last dot before `at`.
fn path_candidates(
    text: &str,
    word: &Range<usize>,
    at: usize,
    known: &BookIndex<'_, '_>,
) -> Vec<Candidate> {
    let before = &text[word.start..at];
    let base = &before[..before.rfind('.').map_or(0, |dot| dot + 1)];
    let start = word.start + base.len();
    let rest = &text[at..word.end];
    let span = start..at + rest.find('.').unwrap_or(rest.len());
    let candidate = |(name, is_leaf): (String, bool)| Candidate {
        detail: describe_name(base, &name, is_leaf, known),
        insert: name.clone(),
        label: name,
        span: span.clone(),
        kind: match is_leaf {
            true => CandidateKind::Leaf,
            false => CandidateKind::Node,
        },
        help: None,
    };
    known.children(base).into_iter().map(candidate).collect()
}

/// A few words about a name: the value on the machine that pages show, or what an experiment runs, or a probe watches.
fn describe_name(
    base: &str,
    name: &str,
    is_leaf: bool,
    known: &BookIndex<'_, '_>,
) -> Option<String> {
    let path = format!("{base}{name}");
    let investigation = &known.book_data.evidence_set.investigation;
    let mut names = path.split('.');
    match (names.next(), names.next(), names.next()) {
        (Some("claims"), Some(_), None) => None,
        (Some(name), None, _) => Some(investigation.experiment(name)?.workload_text()),
        (Some(experiment), Some(name), None) if !is_leaf => investigation
            .experiment(experiment)?
            .probe(name)
            .map(describe_target),
        _ if is_leaf => {
            let value = shown_value(known.book_data, &path.parse::<Path>().ok()?)?;
            Some(match value.kind {
                Some(kind) => format!("{} ({kind})", value.text),
                None => value.text,
            })
        }
        _ => None,
    }
}

fn function_candidates(span: &Range<usize>) -> impl Iterator<Item = Candidate> {
    let span = span.clone();
    FUNCTIONS.iter().map(move |function| Candidate {
        label: function.name.to_owned(),
        insert: format!("{}(", function.name),
        span: span.clone(),
        kind: CandidateKind::Function,
        detail: Some(function.usage.to_owned()),
        help: Some(function.help.to_owned()),
    })
}

fn option_candidates(holder: OptionOwner<'_>, span: &Range<usize>) -> Vec<Candidate> {
    let names: Vec<&str> = match holder {
        OptionOwner::Placeholder => placeholder_options().collect(),
        OptionOwner::Claim => CLAIM_OPTIONS.to_vec(),
        OptionOwner::Exhibit(name) => registry::options(name).unwrap_or_default().to_vec(),
    };
    let option = |name: &str| Candidate {
        label: name.to_owned(),
        insert: format!("{name}="),
        span: span.clone(),
        kind: CandidateKind::Option,
        detail: None,
        help: None,
    };
    names.into_iter().map(option).collect()
}

/// The values of an option, where there is a closed set of them.
fn value_candidates(
    holder: OptionOwner<'_>,
    name: &str,
    span: &Range<usize>,
    known: &BookIndex<'_, '_>,
) -> Vec<Candidate> {
    let investigation = &known.book_data.evidence_set.investigation;
    match (holder, name) {
        (_, "machine") | (OptionOwner::Exhibit(_), "beside") => {
            word_candidates(known.book_data.config.machines.iter(), span)
        }
        (OptionOwner::Placeholder, "as") => {
            word_candidates(FORMATS.iter().map(|(name, _)| name), span)
        }
        (OptionOwner::Placeholder, "align") => {
            word_candidates(SIDES.iter().map(|(name, _)| name), span)
        }
        (OptionOwner::Claim, "unverified") => word_candidates(["error", "show"], span),
        (OptionOwner::Exhibit(_), "experiment") => {
            word_candidates(investigation.experiments.iter().map(|one| &one.name), span)
        }
        (OptionOwner::Exhibit(_), "type") => word_candidates(&investigation.facts.types, span),
        _ => Vec::new(),
    }
}

fn word_candidates(
    words: impl IntoIterator<Item = impl ToString>,
    span: &Range<usize>,
) -> Vec<Candidate> {
    let word = |word: String| Candidate {
        label: word.clone(),
        insert: word,
        span: span.clone(),
        kind: CandidateKind::Word,
        detail: None,
        help: None,
    };
    words.into_iter().map(|one| word(one.to_string())).collect()
}

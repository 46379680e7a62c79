//! Completion at a position in a chapter.

use std::ops::Range;

use qed_evidence::Path;
use qed_evidence::claim::FUNCTIONS;

use crate::claims::parse::CLAIM_OPTIONS;
use crate::exhibits::registry;
use crate::lsp::book_index::{BookIndex, target};
use crate::lsp::cursor::{Holder, Spot, spot};
use crate::lsp::values::shown;
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
    match spot(chapter, at) {
        Some(Spot::Path(span)) => paths(text, &span, at, known),
        Some(Spot::Expression(span)) => {
            let mut found = paths(text, &span, at, known);
            if !text[span.start..at].contains('.') {
                found.extend(functions(&span));
            }
            found
        }
        Some(Spot::Exhibit(span)) => words(registry::names(), &span),
        Some(Spot::Fence(span)) => words(["qed-claim", "qed-exhibit"], &span),
        Some(Spot::Option(holder, span)) => options(holder, &span),
        Some(Spot::Value(holder, name, span)) => values(holder, name, &span, known),
        Some(Spot::Claim(_)) | None => Vec::new(),
    }
}

/// The names that can follow the last dot before `at`.
fn paths(text: &str, word: &Range<usize>, at: usize, known: &BookIndex<'_, '_>) -> Vec<Candidate> {
    let before = &text[word.start..at];
    let base = &before[..before.rfind('.').map_or(0, |dot| dot + 1)];
    let start = word.start + base.len();
    let rest = &text[at..word.end];
    let span = start..at + rest.find('.').unwrap_or(rest.len());
    let candidate = |(name, is_leaf): (String, bool)| Candidate {
        detail: detail(base, &name, is_leaf, known),
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
fn detail(base: &str, name: &str, is_leaf: bool, known: &BookIndex<'_, '_>) -> Option<String> {
    let path = format!("{base}{name}");
    let investigation = &known.book_data.evidence_set.investigation;
    let mut names = path.split('.');
    match (names.next(), names.next(), names.next()) {
        (Some("claims"), Some(_), None) => None,
        (Some(name), None, _) => Some(investigation.experiment(name)?.workload_text()),
        (Some(experiment), Some(name), None) if !is_leaf => investigation
            .experiment(experiment)?
            .probe(name)
            .map(target),
        _ if is_leaf => {
            let value = shown(known.book_data, &path.parse::<Path>().ok()?)?;
            Some(match value.kind {
                Some(kind) => format!("{} ({kind})", value.text),
                None => value.text,
            })
        }
        _ => None,
    }
}

fn functions(span: &Range<usize>) -> impl Iterator<Item = Candidate> {
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

fn options(holder: Holder<'_>, span: &Range<usize>) -> Vec<Candidate> {
    let names: Vec<&str> = match holder {
        Holder::Placeholder => placeholder_options().collect(),
        Holder::Claim => CLAIM_OPTIONS.to_vec(),
        Holder::Exhibit(name) => registry::options(name).unwrap_or_default().to_vec(),
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
fn values(
    holder: Holder<'_>,
    name: &str,
    span: &Range<usize>,
    known: &BookIndex<'_, '_>,
) -> Vec<Candidate> {
    let investigation = &known.book_data.evidence_set.investigation;
    match (holder, name) {
        (_, "machine") | (Holder::Exhibit(_), "beside") => {
            words(known.book_data.config.machines.iter(), span)
        }
        (Holder::Placeholder, "as") => words(FORMATS.iter().map(|(name, _)| name), span),
        (Holder::Placeholder, "align") => words(SIDES.iter().map(|(name, _)| name), span),
        (Holder::Claim, "unverified") => words(["error", "show"], span),
        (Holder::Exhibit(_), "experiment") => {
            words(investigation.experiments.iter().map(|one| &one.name), span)
        }
        (Holder::Exhibit(_), "type") => words(&investigation.facts.types, span),
        _ => Vec::new(),
    }
}

fn words(words: impl IntoIterator<Item = impl ToString>, span: &Range<usize>) -> Vec<Candidate> {
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

//! Reading the claim in a block.

use qed_evidence::claim::{Claim, SourceMap};
use std::sync::Arc;

use qed_evidence::diagnostic::{Diagnostic, SourceText};

use crate::claims::judged::ShownMachine;
use crate::config::OnMissing;
use crate::evidence::book_data::BookData;
use crate::markdown::chapter::{Chapter, to_diagnostic};
use crate::markdown::structure::Block;
use crate::markdown::syntax::{SyntaxError, Words, refuse_unknown_options, split_words};

/// The options of a claim.
pub const CLAIM_OPTIONS: &[&str] = &["when", "holds", "machine", "unverified"];

/// A claim as it is written in its block.
pub struct ParsedClaim {
    /// Its id.
    pub id: String,
    /// The claim, if its expression could be read.
    pub claim: Option<Claim>,
    /// The machine that the option `machine` names.
    pub machine: Option<ShownMachine>,
    /// The consequence of UNVERIFIED, where the option `unverified` says it, instead of the book's `on-unverified`.
    pub on_unverified: Option<OnMissing>,
}

/// The text between the fences, and pairs of a byte in it and the byte of the chapter where it stands.
fn block_body(chapter: &Chapter, block: &Block) -> (String, Vec<(usize, usize)>) {
    let mut body = String::new();
    let mut pieces = Vec::new();
    for piece in &block.body {
        pieces.push((body.len(), piece.start));
        body.push_str(&chapter.source.text[piece.clone()]);
    }
    (body, pieces)
}

/// Read one block. `None` if not even its id could be read.
pub fn parse(
    chapter: &Chapter,
    block: &Block,
    book_data: &BookData<'_>,
    problems: &mut Vec<Diagnostic>,
) -> Option<ParsedClaim> {
    let source = &chapter.source;
    let words = match split_words(&source.text, block.info.clone()) {
        Ok(words) => words,
        Err(error) => {
            problems.push(to_diagnostic(source, error));
            return None;
        }
    };
    let [id] = &words.words[..] else {
        let help = Some(
            "write ```qed-claim ID, with a name of your own that is unique in the book".to_owned(),
        );
        let error = SyntaxError::new(block.info.clone(), "a claim has one id", help);
        problems.push(to_diagnostic(source, error));
        return None;
    };
    if let Some(message) = Claim::refuse_id(&id.text) {
        let help =
            Some("use lower-case letters, digits and underscores, a letter first".to_owned());
        let error = SyntaxError::new(id.span.clone(), message, help);
        problems.push(to_diagnostic(source, error));
        return None;
    }
    if let Err(error) = refuse_unknown_options(&words, CLAIM_OPTIONS) {
        problems.push(to_diagnostic(source, error));
        return Some(ParsedClaim {
            id: id.text.clone(),
            claim: None,
            machine: None,
            on_unverified: None,
        });
    }
    let machine = parse_machine(&words, source, book_data, problems);
    let on_unverified = parse_on_unverified(&words, source, problems);
    let (body, pieces) = block_body(chapter, block);
    let trimmed = body.trim_end();
    if trimmed.is_empty() {
        let error = SyntaxError::new(
            block.range.clone(),
            format!("claim `{}` has no expression", id.text),
            Some("write one expression between the fences".to_owned()),
        );
        problems.push(to_diagnostic(source, error));
        return Some(ParsedClaim {
            id: id.text.clone(),
            claim: None,
            machine,
            on_unverified,
        });
    }
    let place = SourceMap::with_pieces(source.clone(), pieces);
    let option = |name: &str| {
        let value = &words.option(name)?.value;
        let place = SourceMap::new(source.clone(), value.span.start);
        Some((value.text.as_str(), place))
    };
    let (when, holds) = (option("when"), option("holds"));
    let parsed = Claim::parse(&id.text, trimmed, place, when);
    let parsed = parsed.and_then(|claim| match &holds {
        Some((interval, place)) => claim.with_interval(interval, place),
        None => Ok(claim),
    });
    let claim = match parsed {
        Ok(claim) => Some(claim),
        Err(errors) => {
            problems.extend(errors);
            None
        }
    };
    Some(ParsedClaim {
        id: id.text.clone(),
        claim,
        machine,
        on_unverified,
    })
}

/// The machine that the option `machine` names.
fn parse_machine(
    words: &Words,
    source: &Arc<SourceText>,
    book_data: &BookData<'_>,
    problems: &mut Vec<Diagnostic>,
) -> Option<ShownMachine> {
    let value = &words.option("machine")?.value;
    match book_data.find_machine(&value.text) {
        Ok(Some(machine)) => Some(ShownMachine::Measured(machine)),
        Ok(None) => Some(ShownMachine::absent(&value.text)),
        Err(unknown) => {
            let message = unknown.to_string();
            problems.push(Diagnostic::error(source, value.span.clone(), message));
            None
        }
    }
}

/// The value of the option `unverified`.
fn parse_on_unverified(
    words: &Words,
    source: &Arc<SourceText>,
    problems: &mut Vec<Diagnostic>,
) -> Option<OnMissing> {
    let value = &words.option("unverified")?.value;
    match value.text.as_str() {
        "error" => Some(OnMissing::Error),
        "show" => Some(OnMissing::Show),
        other => {
            let message = format!("`unverified` is \"error\" or \"show\", not \"{other}\"");
            problems.push(Diagnostic::error(source, value.span.clone(), message));
            None
        }
    }
}

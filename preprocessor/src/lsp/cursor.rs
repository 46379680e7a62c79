//! The item at one position in a chapter: a path, a word of a claim, an option or its value.

use std::ops::Range;

use crate::markdown::chapter::Chapter;
use crate::markdown::partial::{PlaceholderPart, part_at};
use crate::markdown::structure::{Block, BlockKind};
use crate::markdown::syntax::{OPEN, Occurrence, find_placeholders, inner_range};

/// The item at the cursor. Each span covers the whole word there, which may be empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CursorContext<'t> {
    /// A path.
    Path(Range<usize>),
    /// A path or the name of a function, in the expression of a claim.
    Expression(Range<usize>),
    /// The id of a claim, in its block.
    Claim(Range<usize>),
    /// The name of an exhibit.
    Exhibit(Range<usize>),
    /// The name of an option.
    Option(OptionOwner<'t>, Range<usize>),
    /// The value of an option.
    Value(OptionOwner<'t>, &'t str, Range<usize>),
    /// The first word of a fence.
    Fence(Range<usize>),
}

/// The owner of an option.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OptionOwner<'t> {
    /// A placeholder.
    Placeholder,
    /// A claim.
    Claim,
    /// The exhibit of this name.
    Exhibit(&'t str),
}

/// The item at byte `at` of a chapter, which may be unfinished.
pub fn context_at(chapter: &Chapter, at: usize) -> Option<CursorContext<'_>> {
    let text = chapter.source.text.as_str();
    if let Some(words) = placeholder_at(text, at) {
        return Some(match part_at(text, words, at) {
            PlaceholderPart::First(_) => CursorContext::Path(word_at(text, at)),
            PlaceholderPart::Name(span) => CursorContext::Option(OptionOwner::Placeholder, span),
            PlaceholderPart::Value { name, span } => {
                CursorContext::Value(OptionOwner::Placeholder, name, span)
            }
        });
    }
    let inside = |block: &&Block| (block.info.start..=block.range.end).contains(&at);
    match chapter.blocks.iter().find(inside) {
        Some(block) if at <= block.info.end => context_in_info(text, block, at),
        Some(block) => context_in_body(text, block, at),
        None => fence_at(text, at).map(CursorContext::Fence),
    }
}

/// The bytes between the prefix of the placeholder at `at` and its end, or the end of its line.
fn placeholder_at(text: &str, at: usize) -> Option<Range<usize>> {
    find_placeholders(text).into_iter().find_map(|found| {
        let words = match found {
            Occurrence::Placeholder(range) => inner_range(&range),
            Occurrence::Unclosed(range) => range.start + OPEN.len()..range.end,
            _ => return None,
        };
        (words.start..=words.end).contains(&at).then_some(words)
    })
}

fn context_in_info<'t>(text: &'t str, block: &Block, at: usize) -> Option<CursorContext<'t>> {
    let first = match part_at(text, block.info.clone(), block.info.end.min(at)) {
        PlaceholderPart::First(span) => {
            return Some(match block.kind {
                BlockKind::Claim => CursorContext::Claim(span),
                BlockKind::Exhibit => CursorContext::Exhibit(span),
            });
        }
        part => part,
    };
    let holder = match block.kind {
        BlockKind::Claim => OptionOwner::Claim,
        BlockKind::Exhibit => {
            let name = text[block.info.clone()].split_whitespace().next();
            OptionOwner::Exhibit(name.unwrap_or_default())
        }
    };
    Some(match first {
        PlaceholderPart::Value { name: "when", span } if holder == OptionOwner::Claim => {
            return context_in_expression(text, span.start, at);
        }
        PlaceholderPart::Value { name, span } => CursorContext::Value(holder, name, span),
        PlaceholderPart::Name(span) | PlaceholderPart::First(span) => {
            CursorContext::Option(holder, span)
        }
    })
}

fn context_in_body<'t>(text: &'t str, block: &Block, at: usize) -> Option<CursorContext<'t>> {
    let line = text[block.info.end..at].contains('\n');
    match block.kind {
        _ if !line => None,
        BlockKind::Claim => context_in_expression(text, block.info.end, at),
        BlockKind::Exhibit => Some(CursorContext::Path(word_at(text, at))),
    }
}

/// The word at `at` of an expression that begins at `start`, unless it is inside of a text.
fn context_in_expression(text: &str, start: usize, at: usize) -> Option<CursorContext<'_>> {
    (!ends_inside_quotes(&text[start..at])).then(|| CursorContext::Expression(word_at(text, at)))
}

/// True if a text is open at the end of an expression.
pub fn ends_inside_quotes(expression: &str) -> bool {
    let mut open = None;
    let mut chars = expression.chars();
    while let Some(c) = chars.next() {
        match (open, c) {
            (Some(_), '\\') => {
                chars.next();
            }
            (Some(quote), c) if c == quote => open = None,
            // No text goes over the end of its line.
            (Some(_), '\n') => open = None,
            (None, '\'' | '"') => open = Some(c),
            _ => {}
        }
    }
    open.is_some()
}

/// True for the characters of paths.
fn is_path_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || c == '.'
}

/// The word of characters of paths around `at`.
fn word_at(text: &str, at: usize) -> Range<usize> {
    let before = text[..at].trim_end_matches(is_path_char).len();
    let after = text[at..].find(|c| !is_path_char(c));
    before..after.map_or(text.len(), |n| at + n)
}

/// The words of characters of paths in `text[range]`.
pub fn words_in(text: &str, range: Range<usize>) -> Vec<Range<usize>> {
    let mut words = Vec::new();
    let mut at = range.start;
    while let Some(lead) = text[at..range.end].find(is_path_char) {
        let start = at + lead;
        let length = text[start..range.end].find(|c| !is_path_char(c));
        at = length.map_or(range.end, |n| start + n);
        words.push(start..at);
    }
    words
}

/// The first word of a fence, if it is being written at `at`.
fn fence_at(text: &str, at: usize) -> Option<Range<usize>> {
    let start = text[..at].rfind('\n').map_or(0, |n| n + 1);
    let line = text[start..at].trim_start_matches([' ', '>']);
    let word = line.trim_start_matches(['`', '~']);
    let is_fence = line.len() >= word.len() + 3;
    let is_word = !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase() || b == b'-');
    (is_fence && is_word).then(|| at - word.len()..at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::markdown::dialect::Markdown;
    use proptest::prelude::*;

    /// The thing at the mark `¦`, as kind and text.
    fn at(marked: &str) -> String {
        let at = marked.find('¦').unwrap();
        let text = marked.replace('¦', "");
        let chapter = Chapter::parse("c.md", &text, Markdown::default());
        match context_at(&chapter, at) {
            None => "nothing".into(),
            Some(CursorContext::Path(span)) => format!("path {}", &text[span]),
            Some(CursorContext::Expression(span)) => format!("expression {}", &text[span]),
            Some(CursorContext::Claim(span)) => format!("claim {}", &text[span]),
            Some(CursorContext::Exhibit(span)) => format!("exhibit {}", &text[span]),
            Some(CursorContext::Option(holder, span)) => {
                format!("option {holder:?} {}", &text[span])
            }
            Some(CursorContext::Value(holder, name, span)) => {
                format!("value {holder:?} {name} {}", &text[span])
            }
            Some(CursorContext::Fence(span)) => format!("fence {}", &text[span]),
        }
    }

    /// Check that each thing is found, finished or not, and nothing in prose.
    #[test]
    fn spots() {
        for (marked, expected) in [
            ("a {{qed cre¦ate.p.return}} b", "path create.p.return"),
            ("a {{qed create.¦", "path create."),
            ("a {{qed create.¦ and {{qed b}}", "path create."),
            ("a {{qed ¦", "path "),
            ("`{{qed a.b ¦}}`", "option Placeholder "),
            ("{{qed a.b as=\"h¦ex\"}}", "value Placeholder as hex"),
            ("{{qed a.b as=\"¦", "value Placeholder as "),
            ("a cre¦ate.p b", "nothing"),
            ("{{qed a}}¦ b", "nothing"),
            ("```qed-claim i¦d\na.b == 1\n```\n", "claim id"),
            ("```qed-claim id w¦\na.b == 1\n```\n", "option Claim w"),
            (
                "```qed-claim id when=\"a.¦b == 'x'\"\nc == 1\n```\n",
                "expression a.b",
            ),
            (
                "```qed-claim id unverified=\"e¦\"\nc == 1\n```\n",
                "value Claim unverified e",
            ),
            ("```qed-claim id\na.¦b == 1\n```\n", "expression a.b"),
            ("```qed-claim id\na.b == 1 && nev¦", "expression nev"),
            ("```qed-claim id\n¦\n```\n", "expression "),
            ("```qed-claim id\non_stack(a.b, 'so¦ck')\n```\n", "nothing"),
            (
                "> ```qed-claim id\n> a.b ==\n> c.¦d\n> ```\n",
                "expression c.d",
            ),
            ("```qed-exhibit tab¦le\na.b\n```\n", "exhibit table"),
            (
                "```qed-exhibit table m¦\na.b\n```\n",
                "option Exhibit(\"table\") m",
            ),
            (
                "```qed-exhibit table\nlabel: a.¦b as=\"hex\"\n```\n",
                "path a.b",
            ),
            (
                "```qed-exhibit graph experiment=\"c¦\"\n```\n",
                "value Exhibit(\"graph\") experiment c",
            ),
            ("text\n\n```qed-¦", "fence qed-"),
            ("text\n\n```¦", "nothing"),
            ("```c\ncre¦ate.p\n```\n", "nothing"),
        ] {
            assert_eq!(at(marked), expected, "{marked}");
        }
    }

    proptest! {
        /// Check that half a document is looked at without a panic, at every place of it.
        #[test]
        fn half_documents(cut in 0usize..200, at in 0usize..200) {
            let text = "# Ü\n\n{{qed create.p.return as=\"hex\"}} ü\n\n> ```qed-claim id when=\"a.b == 'x'\"\n> never(create.p) &&\n> a\n> ```\n\n\
                ```qed-exhibit table machine=\"host\"\ncreate.outcome.returned\n```\n";
            let mut cut = cut.min(text.len());
            while !text.is_char_boundary(cut) {
                cut -= 1;
            }
            let text = &text[..cut];
            let mut at = at.min(cut);
            while !text.is_char_boundary(at) {
                at -= 1;
            }
            let chapter = Chapter::parse("c.md", text, Markdown::default());
            if let Some(CursorContext::Path(span) | CursorContext::Expression(span)) = context_at(&chapter, at) {
                prop_assert!(span.start <= at && at <= span.end);
            }
        }
    }
}

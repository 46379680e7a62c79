//! Emphasis beside a placeholder: markup around a value must not change what is emphasised.

use std::ops::Range;

use mdbook_markdown::pulldown_cmark::{Event, TagEnd};
use mdbook_markdown::{MarkdownOptions, new_cmark_parser};

use crate::markdown::placeholder_context::PlaceholderContext;

/// Mark placeholders as bare where a tag would change the emphasis around them or close an open `<!` (`a <!b` is text as long
/// as nothing closes it).
pub fn mark_bare(
    masked: &str,
    placeholders: &[Range<usize>],
    options: &MarkdownOptions,
    contexts: &mut [PlaceholderContext],
) {
    let run = |c: char| matches!(c, '*' | '_' | '~');
    let declarations = open_declarations(masked);
    let declared = |at: usize| {
        let before = declarations.partition_point(|declaration| declaration.start < at);
        before > 0 && at < declarations[before - 1].end
    };
    let mut doubtful = Vec::new();
    for (index, range) in placeholders.iter().enumerate() {
        if let PlaceholderContext::CodeSpan { span, bare, .. } = &mut contexts[index] {
            // No paragraph reaches beyond a blank line.
            let start = masked[..span.start].rfind("\n\n").unwrap_or(0);
            *bare |= declared(span.start) && masked[start..span.start].contains("<!");
            continue;
        }
        if !matches!(contexts[index], PlaceholderContext::Prose { .. }) {
            continue;
        }
        if declared(range.start) {
            doubtful.push((index, true));
            continue;
        }
        // A run is of one character; what is beyond it decides what it can begin and end.
        let (before, after) = (&masked[..range.start], &masked[range.end..]);
        let left = before.chars().next_back().filter(|c| run(*c));
        let right = after.chars().next().filter(|c| run(*c));
        let beyond = [
            left.and_then(|c| before.trim_end_matches(c).chars().next_back()),
            right.and_then(|c| after.trim_start_matches(c).chars().next()),
        ];
        // Beside white space a tag does as well as a word.
        let beyond: Vec<char> = beyond
            .into_iter()
            .flatten()
            .filter(|c| !c.is_whitespace())
            .collect();
        if !beyond.is_empty() {
            let hugged = beyond.iter().any(|c| !c.is_ascii_punctuation());
            doubtful.push((index, hugged));
        }
    }
    if doubtful.is_empty() {
        return;
    }
    let expected = markup_outline(masked, options, &[]);
    // As few as are enough: none, those that a letter hugs, all.
    for bare in [|_| false, |hugged: bool| hugged, |_| true] {
        let (bare, tagged): (Vec<_>, Vec<_>) =
            doubtful.iter().partition(|(_, hugged)| bare(*hugged));
        let tags: Vec<&Range<usize>> = tagged.iter().map(|(i, _)| &placeholders[*i]).collect();
        let mut trial = masked.to_owned();
        for tag in &tags {
            let inside = "q".repeat(tag.len() - 2);
            trial.replace_range((*tag).clone(), &format!("<{inside}>"));
        }
        if tags.is_empty() || markup_outline(&trial, options, &tags) == expected {
            for (index, _) in bare {
                if let PlaceholderContext::Prose { bare, .. } = &mut contexts[index] {
                    *bare = true;
                }
            }
            return;
        }
    }
}

/// From each `<!` and a letter to the next `>`, or to the end.
fn open_declarations(text: &str) -> Vec<Range<usize>> {
    let starts = text.match_indices("<!").map(|(at, _)| at);
    let mut found: Vec<Range<usize>> = Vec::new();
    for start in starts {
        let letter = text[start + 2..].starts_with(|c: char| c.is_ascii_alphabetic());
        if letter && found.last().is_none_or(|last| last.end <= start) {
            let end = text[start..].find('>').map_or(text.len(), |at| start + at);
            found.push(start..end);
        }
    }
    found
}

/// The beginnings and ends of markup in a text, with their places. `tags` are tags that count as words.
fn markup_outline(
    text: &str,
    options: &MarkdownOptions,
    tags: &[&Range<usize>],
) -> Vec<(Option<TagEnd>, Range<usize>)> {
    new_cmark_parser(text, options)
        .into_offset_iter()
        .filter(|(event, range)| match event {
            Event::Text(_) => false,
            Event::InlineHtml(_) => !tags.contains(&range),
            _ => true,
        })
        .map(|(event, range)| match event {
            Event::Start(tag) => (Some(tag.to_end()), range),
            Event::End(tag) => (Some(tag), range),
            _ => (None, range),
        })
        .collect()
}

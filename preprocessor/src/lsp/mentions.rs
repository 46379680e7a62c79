//! Names of experiments, probes and claims in chapters, with their places.

use std::ops::Range;

use crate::lsp::cursor::{ends_inside_quotes, words_in};
use crate::markdown::chapter::Chapter;
use crate::markdown::partial::{PlaceholderPart, part_at};
use crate::markdown::structure::BlockKind;
use crate::markdown::syntax::{Occurrence, find_placeholders, inner_range, split_words};

/// Every word of a chapter in a place for paths: in placeholders, claims and exhibits.
pub fn path_words(chapter: &Chapter) -> Vec<Range<usize>> {
    let text = chapter.source.text.as_str();
    let mut found = Vec::new();
    for occurrence in find_placeholders(text) {
        if let Occurrence::Placeholder(range) = occurrence {
            let words = inner_range(&range);
            if let PlaceholderPart::First(span) =
                part_at(text, words.clone(), first_byte(text, words))
            {
                found.push(span);
            }
        }
    }
    for block in &chapter.blocks {
        if block.kind == BlockKind::Exhibit {
            found.extend(
                block
                    .body
                    .iter()
                    .flat_map(|line| words_in(text, line.clone())),
            );
            continue;
        }
        let Some(end) = block.body.last().map(|line| line.end) else {
            continue;
        };
        let when = split_words(text, block.info.clone()).ok();
        let when = when.and_then(|words| Some(words.option("when")?.value.span.clone()));
        let body = std::iter::once(block.info.end..end);
        for expression in when.into_iter().chain(body) {
            let plain =
                |word: &Range<usize>| !ends_inside_quotes(&text[expression.start..word.start]);
            found.extend(words_in(text, expression.clone()).into_iter().filter(plain));
        }
    }
    found
}

fn first_byte(text: &str, range: Range<usize>) -> usize {
    let lead = text[range.clone()].find(|c: char| !c.is_whitespace());
    range.start + lead.unwrap_or(0)
}

/// The places where a chapter names a probe of one of these experiments: the name of the probe alone, in order.
pub fn probe_mentions(chapter: &Chapter, experiments: &[&str], probe: &str) -> Vec<Range<usize>> {
    let text = chapter.source.text.as_str();
    let name = |word: Range<usize>| {
        let mut names = text[word.clone()].split('.');
        let experiment = names.next().filter(|name| experiments.contains(name))?;
        let start = word.start + experiment.len() + 1;
        (names.next() == Some(probe)).then_some(start..start + probe.len())
    };
    let words = path_words(chapter).into_iter();
    let mut found: Vec<Range<usize>> = words.filter_map(name).collect();
    found.sort_by_key(|span| span.start);
    found
}

/// The places where a chapter names an experiment: in paths, and in the option `experiment` of exhibits.
pub fn experiment_mentions(chapter: &Chapter, experiment: &str) -> Vec<Range<usize>> {
    let text = chapter.source.text.as_str();
    let name = |word: Range<usize>| {
        let is_it = text[word.clone()].split('.').next() == Some(experiment);
        is_it.then(|| word.start..word.start + experiment.len())
    };
    let mut found: Vec<Range<usize>> = path_words(chapter).into_iter().filter_map(name).collect();
    for block in &chapter.blocks {
        let Ok(words) = split_words(text, block.info.clone()) else {
            continue;
        };
        let option = words.option("experiment").map(|option| &option.value);
        found.extend(
            option
                .filter(|value| value.text == experiment)
                .map(|value| value.span.clone()),
        );
    }
    found
}

/// The id of the claim in a chapter that is called so, where it is made.
pub fn claim_definition(chapter: &Chapter, id: &str) -> Option<Range<usize>> {
    let text = chapter.source.text.as_str();
    let claims = chapter
        .blocks
        .iter()
        .filter(|block| block.kind == BlockKind::Claim);
    claims
        .map(|block| {
            part_at(
                text,
                block.info.clone(),
                first_byte(text, block.info.clone()),
            )
        })
        .find_map(|part| match part {
            PlaceholderPart::First(span) if &text[span.clone()] == id => Some(span),
            _ => None,
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::markdown::dialect::Markdown;

    const CHAPTER: &str = "A create.p in prose, {{qed create.p.return as=\"hex\"}} and {{qed create.pq.return}}.\n\n\
        ```qed-claim one when=\"fired(create.p) == 1\"\non_stack(create.p.stack, 'create.p') && create.q.return == create.p.return\n```\n\n\
        ```qed-exhibit table\nfrom create.p: create.p.hit1.return as=\"hex\"\n```\n\n```qed-exhibit graph experiment=\"create\"\n```\n\n\
        ```c\ncreate.p\n```\n";

    /// Check that a probe is found wherever it is meant, and nowhere else: not in prose, in texts of claims or in other code.
    #[test]
    fn probes() {
        let chapter = Chapter::parse("c.md", CHAPTER, Markdown::default());
        let found = probe_mentions(&chapter, &["create"], "p");
        assert_eq!(found.len(), 6, "{found:?}");
        for span in &found {
            assert_eq!(&CHAPTER[span.clone()], "p");
            assert!(CHAPTER[..span.start].ends_with("create."));
        }
        let of_experiment = experiment_mentions(&chapter, "create");
        assert_eq!(of_experiment.len(), found.len() + 3, "{of_experiment:?}");
    }

    /// Check that a claim is found where it is made.
    #[test]
    fn claims() {
        let chapter = Chapter::parse("c.md", CHAPTER, Markdown::default());
        let span = claim_definition(&chapter, "one").unwrap();
        assert!(CHAPTER[..span.start].ends_with("```qed-claim "));
        assert_eq!(claim_definition(&chapter, "on"), None);
    }
}

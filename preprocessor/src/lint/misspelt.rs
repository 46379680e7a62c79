//! Misspelt placeholders: texts in braces that nothing fills, so that they would be published as they are.

use std::ops::Range;

use qed_evidence::diagnostic::Diagnostic;

use crate::markdown::chapter::Chapter;

/// The word of a placeholder.
const WORD: &str = "qed";

/// A warning for each of them in a chapter.
pub fn misspelt_placeholders(chapter: &Chapter) -> Vec<Diagnostic> {
    let found = misspelt_ranges(&chapter.source.text).into_iter();
    let warnings = found.map(|span| {
        let message = "this is not a placeholder, and is published as it is";
        Diagnostic::error(&chapter.source, span, message)
            .help("a placeholder is written `{{qed PATH}}`; a backslash before it shows it as it is, without this warning")
            .warning()
    });
    warnings.collect()
}

/// Two braces and the word behind them where it is in capitals, behind a space, or before a colon or the like.
fn misspelt_ranges(text: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    for (start, _) in text.match_indices("{{") {
        let rest = &text[start + 2..];
        let word = rest.trim_start_matches([' ', '\t']);
        let spaces = rest.len() - word.len();
        let Some(written) = word.get(..WORD.len()) else {
            continue;
        };
        let behind = word[WORD.len()..].chars().next();
        let is_word = behind.is_some_and(|c| c.is_whitespace() || ":;,=.}".contains(c));
        if !written.eq_ignore_ascii_case(WORD) || !is_word {
            continue;
        }
        // It is correct, or the parser of placeholders reports it with its place.
        let is_read = spaces == 0 && written == WORD && behind.is_some_and(char::is_whitespace);
        let backslashes = text[..start]
            .bytes()
            .rev()
            .take_while(|b| *b == b'\\')
            .count();
        if !is_read && backslashes % 2 == 0 {
            found.push(start..start + 2 + spaces + WORD.len());
        }
    }
    found.extend(in_single_braces(text));
    found.sort_by_key(|span| span.start);
    found
}

/// `{qed PATH}`: one brace and the word behind it, up to the brace that closes it in the same line.
fn in_single_braces(text: &str) -> impl Iterator<Item = Range<usize>> {
    text.match_indices('{').filter_map(|(start, _)| {
        let before = text[..start].chars().next_back();
        if before.is_some_and(|c| "{$\\#%".contains(c)) {
            return None;
        }
        let line = text[start + 1..].lines().next()?;
        let inside = &line[..line.find('}')?];
        let mut words = inside.split_whitespace();
        let is_ours = words.next()?.eq_ignore_ascii_case(WORD);
        let is_path = |word: &str| {
            word.starts_with(|c: char| c.is_ascii_alphabetic())
                && word
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
        };
        let path = words.next().is_some_and(is_path);
        (is_ours && path).then(|| start..start + inside.len() + 2)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Check that what is almost a placeholder is found with its place, and that placeholders, shown ones, and words of
    /// other tools are not.
    #[test]
    fn almost() {
        for (text, word) in [
            ("a {{ qed kaslr.slide }} b", "{{ qed"),
            ("{{QED x}}", "{{QED"),
            ("{{Qed x}}", "{{Qed"),
            ("`{{qed: x}}`", "{{qed:"),
            ("{{qed}}", "{{qed"),
            ("{{\tqed x}}", "{{\tqed"),
            ("{{qed.x}}", "{{qed"),
            ("a {qed kaslr.slide} b", "{qed kaslr.slide}"),
            (
                "{ qed kernel.release as=\"x\" }}",
                "{ qed kernel.release as=\"x\" }",
            ),
        ] {
            let found = misspelt_ranges(text);
            assert_eq!(found.len(), 1, "{text}");
            assert_eq!(
                &text[found[0].clone()],
                word.trim_end_matches(':'),
                "{text}"
            );
        }
        for text in [
            "{{qed x}}",
            "{{qed\nx}}",
            "\\{{ qed x }}",
            "{{qedx}}",
            "{{ closure }}",
            "{{#include a.md}}",
            "${{ secrets.QED }}",
            "{{",
            "{{é",
            "{qed}",
            "${qed x}",
            "\\{qed x}",
            "{qed x\n}",
            "{qed: 1}",
            "{",
        ] {
            assert!(misspelt_ranges(text).is_empty(), "{text}");
        }
    }
}

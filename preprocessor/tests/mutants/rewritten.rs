//! Claims that were written otherwise: what is added says nothing, a part is turned round, a word is misspelt.

use std::sync::Arc;

use qed_evidence::claim::{self, Claim, SourceMap, Verdict};
use qed_evidence::diagnostic::SourceText;
use qed_evidence::resolve::{Catalog, Indexed};

/// The claim in all other ways.
pub fn all(text: &str) -> Vec<String> {
    additions(text)
        .into_iter()
        .chain(turned(text))
        .chain(misspelt(text))
        .collect()
}

/// The verdict on a claim; `None` if it is refused as it stands.
pub fn judge(
    body: &str,
    when: Option<&str>,
    holds: Option<&str>,
    catalog: &Catalog<'_>,
    machine: &Indexed<'_>,
) -> Option<Verdict> {
    let place = |text: &str| {
        let source = SourceText {
            name: "rewritten.md".into(),
            text: text.into(),
        };
        SourceMap::new(Arc::new(source), 0)
    };
    let when = when.map(|when| (when, place(when)));
    let mut claim = Claim::parse("rewritten", body, place(body), when).ok()?;
    if let Some(interval) = holds {
        claim = claim.holding(interval, &place(interval)).ok()?;
    }
    Some(claim::judge(&claim, catalog, machine).verdict)
}

/// The claim with something that says nothing.
fn additions(text: &str) -> Vec<String> {
    let mut list: Vec<String> = ["1 == 1", "true", "!false", "'a' != 'b'", "AF_INET == 2"]
        .into_iter()
        .flat_map(|part| {
            [
                format!("({text}) && {part}"),
                format!("{part} && ({text})"),
                format!("({text}) || {part}"),
            ]
        })
        .collect();
    for path in words(text).into_iter().map(|range| &text[range]) {
        if path.split('.').count() > 2 || path.starts_with("kaslr.") {
            list.push(format!("({text}) && {path} == {path}"));
            list.push(format!("({text}) || {path} == {path}"));
            list.push(format!(
                "({text}) && ({path} == {path} || {path} != {path})"
            ));
        }
    }
    list.push(format!("({text}) || !({text})"));
    list.push(format!("({text}) && (({text}) || !({text}))"));
    list.push(format!("({text}) // && false"));
    list.push(format!("({text}) && ''' ' ''' != kernel.release"));
    list
}

/// The claim with each of its parts turned round, or made to say nothing.
fn turned(text: &str) -> Vec<String> {
    let parts = conjuncts(text);
    let whole = |at: usize, other: String| {
        let mut parts: Vec<String> = parts.iter().map(|part| (*part).to_owned()).collect();
        parts[at] = other;
        parts.join(" && ")
    };
    (0..parts.len())
        .flat_map(|at| {
            let part = parts[at];
            [
                whole(at, format!("!({part})")),
                whole(at, format!("(({part}) || !({part}))")),
                whole(at, format!("(1 == 1 || ({part}))")),
            ]
        })
        .collect()
}

/// The claim with each of its words misspelt: two letters of it are exchanged, one is left out, one is doubled.
fn misspelt(text: &str) -> Vec<String> {
    let mut list = Vec::new();
    for range in words(text).into_iter().chain(quoted(text)) {
        let word = &text[range.clone()];
        let last = word.rfind('.').map_or(0, |at| at + 1);
        for other in misspellings(&word[last..]) {
            let (before, behind) = (&text[..range.start + last], &text[range.end..]);
            list.push(format!("{before}{other}{behind}"));
        }
    }
    list
}

fn misspellings(word: &str) -> Vec<String> {
    let letters: Vec<char> = word.chars().collect();
    let middle = letters.len() / 2;
    let apart = |at: &usize| {
        let (a, b) = (letters[*at], letters[*at + 1]);
        a.is_ascii_alphabetic() && b.is_ascii_alphabetic() && a != b
    };
    let Some(at) = (middle..letters.len().saturating_sub(1))
        .chain(0..middle.min(letters.len().saturating_sub(1)))
        .find(apart)
    else {
        return Vec::new();
    };
    let (mut swapped, mut doubled, mut shorter) = (letters.clone(), letters.clone(), letters);
    swapped.swap(at, at + 1);
    doubled.insert(at, doubled[at]);
    // Of a short word the rest may be another word: `ip` and `p`.
    shorter.remove(at);
    let mut list = vec![swapped, doubled];
    if shorter.len() > 4 {
        list.push(shorter);
    }
    list.into_iter()
        .map(|letters| letters.into_iter().collect())
        .collect()
}

/// The places of names and paths.
fn words(text: &str) -> Vec<std::ops::Range<usize>> {
    let outside = outside_of_texts(text);
    let mut list = Vec::new();
    let in_word = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '.';
    let mut start = None;
    for (at, c) in text.char_indices().chain([(text.len(), ' ')]) {
        let inside = in_word(c) && outside.get(at) == Some(&true);
        match (start, inside) {
            (None, true) => start = Some(at),
            (Some(from), false) => {
                if text[from..].starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') {
                    list.push(from..at);
                }
                start = None;
            }
            _ => {}
        }
    }
    list
}

/// The places of texts, without their quotes.
fn quoted(text: &str) -> Vec<std::ops::Range<usize>> {
    let outside = outside_of_texts(text);
    let mut list = Vec::new();
    let mut start = None;
    for (at, c) in text.char_indices() {
        let quote = matches!(c, '\'' | '"');
        match start {
            None if quote => start = Some(at + 1),
            Some(from) if quote && outside.get(at + 1) != Some(&false) => {
                list.push(from..at);
                start = None;
            }
            _ => {}
        }
    }
    list
}

/// Of each byte, whether it stands outside of a text.
fn outside_of_texts(text: &str) -> Vec<bool> {
    let mut open: Option<u8> = None;
    let mut list = Vec::with_capacity(text.len());
    for b in text.bytes() {
        match open {
            Some(quote) => {
                list.push(false);
                if b == quote {
                    open = None;
                }
            }
            None => {
                list.push(!matches!(b, b'\'' | b'"'));
                if matches!(b, b'\'' | b'"') {
                    open = Some(b);
                }
            }
        }
    }
    list
}

/// The parts between `&&`, outside of parentheses and texts.
fn conjuncts(text: &str) -> Vec<&str> {
    let outside = outside_of_texts(text);
    let mut parts = Vec::new();
    let (mut start, mut depth) = (0, 0_i32);
    for (at, b) in text.bytes().enumerate().filter(|(at, _)| outside[*at]) {
        match b {
            b'(' => depth += 1,
            b')' => depth -= 1,
            b'&' if depth == 0 && text[at..].starts_with("&&") => {
                parts.push(text[start..at].trim());
                start = at + 2;
            }
            _ => {}
        }
    }
    parts.push(text[start..].trim());
    parts
}

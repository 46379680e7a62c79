//! Claims that were written otherwise: what is added says nothing, a part is turned round, a word is misspelt.

use std::ops::Range;
use std::sync::Arc;

use qed_evidence::claim::{self, Claim, SourceMap, Verdict};
use qed_evidence::diagnostic::SourceText;
use qed_evidence::resolve::{Catalog, Indexed};

/// A claim in another way, and what may become of it.
#[derive(Debug, PartialEq, Eq)]
pub struct Rewritten {
    pub text: String,
    pub rule: Rule,
}

/// What may become of a rewritten claim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rule {
    /// It must not pass.
    Never,
    /// It may pass where this other text is true as well: a part of an answer of `?:` was made to say nothing, and of the other text
    /// that answer is turned round. Where both are true, the condition chooses the other answer on this machine. Then the claim is true
    /// of its kernel, and says what the chosen answer says, of which no part may say nothing.
    IfUnchosen(String),
    /// It may pass if it is true: a part that decides nothing was turned round, such as one of two alternatives of which the other
    /// one is true. Then the claim says something else than before, and that is true of the kernel as well.
    IfTrue,
}

/// The claim in all other ways.
pub fn all(text: &str) -> Vec<Rewritten> {
    let never = |text: String| Rewritten {
        text,
        rule: Rule::Never,
    };
    let additions = additions(text).into_iter().map(never);
    let misspelt = misspelt(text).into_iter().map(never);
    additions.chain(turned(text)).chain(misspelt).collect()
}

/// A claim and the verdict on it; `None` if it is refused as it stands.
pub fn judge(
    body: &str,
    when: Option<&str>,
    holds: Option<&str>,
    catalog: &Catalog<'_>,
    machine: &Indexed<'_>,
) -> Option<(Claim, Verdict)> {
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
        claim = claim.with_interval(interval, &place(interval)).ok()?;
    }
    let verdict = claim::judge(&claim, catalog, machine).verdict;
    Some((claim, verdict))
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

/// The claim inside of what few claims of the book are made of: alternatives, negations and conditions. Each is as true as the
/// claim where `true_here` is true and `false_here` is not.
pub fn wrapped(text: &str, true_here: &str, false_here: &str) -> [String; 5] {
    [
        format!("!(!({text}))"),
        format!("({text}) || {false_here}"),
        format!("{false_here} || ({text})"),
        format!("{true_here} ? ({text}) : {false_here}"),
        format!("{false_here} ? {false_here} : ({text})"),
    ]
}

/// The claim with each of its parts turned round, or made to say nothing.
pub fn turned(text: &str) -> Vec<Rewritten> {
    let mut list = Vec::new();
    let replaced = |part: &Range<usize>, other: &str| {
        format!("{}{other}{}", &text[..part.start], &text[part.end..])
    };
    for Part {
        range,
        decides,
        answer,
    } in parts(text)
    {
        let part = &text[range.clone()];
        for (other, negated) in [
            (format!("!({part})"), true),
            (format!("(({part}) || !({part}))"), false),
            (format!("(1 == 1 || ({part}))"), false),
        ] {
            let unchosen = |answer: &Range<usize>| {
                let turned = format!("!({})", &text[answer.clone()]);
                Rule::IfUnchosen(replaced(answer, &turned))
            };
            list.push(Rewritten {
                text: replaced(&range, &other),
                rule: match (negated, &answer) {
                    (true, _) if !decides => Rule::IfTrue,
                    (false, Some(answer)) => unchosen(answer),
                    _ => Rule::Never,
                },
            });
        }
    }
    list
}

/// A part of a claim that is true or false.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Part {
    range: Range<usize>,
    /// The whole claim is false as soon as this part is.
    decides: bool,
    /// The answer of `?:` that it belongs to.
    answer: Option<Range<usize>>,
}

/// All parts of a claim that are true or false: those of `&&`, `||`, `!` and `?:`, and those inside of parentheses around them.
fn parts(text: &str) -> Vec<Part> {
    let mut list = Vec::new();
    let whole = Part {
        range: 0..text.len(),
        decides: true,
        answer: None,
    };
    add_parts(text, whole, &mut list);
    list
}

fn add_parts(text: &str, part: Part, list: &mut Vec<Part>) {
    let whole = &text[part.range.clone()];
    let start = part.range.start + whole.len() - whole.trim_start().len();
    let own = whole.trim();
    let part = Part {
        range: start..start + own.len(),
        ..part
    };
    if !list.contains(&part) {
        list.push(part.clone());
    }
    let mut inside = |parts: &[Range<usize>], decides: bool, is_answer: bool| {
        for inner in parts {
            let range = start + inner.start..start + inner.end;
            let answer = part.answer.clone();
            let inner = Part {
                decides,
                answer: answer.or_else(|| is_answer.then(|| range.clone())),
                range,
            };
            add_parts(text, inner, list);
        }
    };
    if let [condition, answers] = &split(own, "?")[..] {
        let both = split(&own[answers.clone()], ":");
        let both = both
            .iter()
            .map(|one| answers.start + one.start..answers.start + one.end);
        inside(std::slice::from_ref(condition), false, false);
        return inside(&both.collect::<Vec<_>>(), false, true);
    }
    let alternatives = split(own, "||");
    if alternatives.len() > 1 {
        return inside(&alternatives, false, false);
    }
    let conjuncts = split(own, "&&");
    if conjuncts.len() > 1 {
        return inside(&conjuncts, part.decides, false);
    }
    if own.starts_with('!') && !own.starts_with("!=") {
        let negated = 1..own.len();
        return inside(std::slice::from_ref(&negated), false, false);
    }
    if own.starts_with('(') && closes_at_end(own) {
        let enclosed = 1..own.len() - 1;
        inside(std::slice::from_ref(&enclosed), part.decides, false);
    }
}

/// True if the parenthesis that opens a part is the one that closes it.
fn closes_at_end(part: &str) -> bool {
    let outside = outside_of_texts(part);
    let mut depth = 0_i32;
    for (at, b) in part.bytes().enumerate().filter(|(at, _)| outside[*at]) {
        depth += match b {
            b'(' => 1,
            b')' => -1,
            _ => 0,
        };
        if depth == 0 {
            return at == part.len() - 1;
        }
    }
    false
}

/// The claim with each of its words misspelt, each name of a path and each word of a text by itself: two letters of it are
/// exchanged, one is left out, one is doubled.
fn misspelt(text: &str) -> Vec<String> {
    let mut list = Vec::new();
    let is_apart = |c: char| !c.is_ascii_alphanumeric() && c != '_';
    for range in words(text).into_iter().chain(quoted(text)) {
        for word in text[range].split(is_apart) {
            let start = word.as_ptr().addr() - text.as_ptr().addr();
            let (before, behind) = (&text[..start], &text[start + word.len()..]);
            for other in misspellings(word) {
                list.push(format!("{before}{other}{behind}"));
            }
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
fn words(text: &str) -> Vec<Range<usize>> {
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
fn quoted(text: &str) -> Vec<Range<usize>> {
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

/// The places of the parts between an operator, outside of parentheses, brackets and texts.
fn split(text: &str, operator: &str) -> Vec<Range<usize>> {
    let outside = outside_of_texts(text);
    let mut parts = Vec::new();
    let (mut start, mut depth) = (0, 0_i32);
    for (at, b) in text.bytes().enumerate().filter(|(at, _)| outside[*at]) {
        match b {
            b'(' | b'[' => depth += 1,
            b')' | b']' => depth -= 1,
            _ if depth == 0 && text[at..].starts_with(operator) => {
                parts.push(start..at);
                start = at + operator.len();
            }
            _ => {}
        }
    }
    parts.push(start..text.len());
    parts
}

/// Check that each part and each word of a claim is reached: else the test of the book would pass by it.
#[test]
fn all_are_reached() {
    let text = "a.b == 1 && (c.d == 2 || !(e.f == 3)) && (g.h ? i.j == 4 : k.l == 5)";
    let found: Vec<(&str, bool)> = parts(text)
        .into_iter()
        .map(|part| (&text[part.range], part.decides))
        .collect();
    let answers: Vec<&str> = parts(text)
        .into_iter()
        .filter_map(|part| part.answer)
        .map(|answer| text[answer].trim())
        .collect();
    assert_eq!(answers, ["i.j == 4", "k.l == 5"]);
    let expected = [
        (text, true),
        ("a.b == 1", true),
        ("(c.d == 2 || !(e.f == 3))", true),
        ("c.d == 2 || !(e.f == 3)", true),
        ("c.d == 2", false),
        ("!(e.f == 3)", false),
        ("(e.f == 3)", false),
        ("e.f == 3", false),
        ("(g.h ? i.j == 4 : k.l == 5)", true),
        ("g.h ? i.j == 4 : k.l == 5", true),
        ("g.h", false),
        ("i.j == 4", false),
        ("k.l == 5", false),
    ];
    assert_eq!(found, expected);
    let all = misspelt("first.second.third == 'fourth_word fifth/sixth.c' && fn(x)");
    for other in [
        "fisrt.second.third ==",
        "first.secnod.third ==",
        "first.second.thrid ==",
        "'fourth_owrd fifth/",
        "'fourth_word fitfh/sixth.c'",
        "fifth/sitxh.c'",
    ] {
        assert!(
            all.iter().any(|text| text.contains(other)),
            "{other}: {all:#?}"
        );
    }
}

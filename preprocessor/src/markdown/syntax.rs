//! The syntax of placeholders, and of the info strings of claims and exhibits.
//!
//! Read from the raw text, byte for byte: pulldown-cmark decodes info strings, and handlebars accepts
//! unquoted, repeated and missing options in silence.

use std::ops::Range;

/// The beginning of a placeholder; nothing else is one.
pub const OPEN: &str = "{{qed ";
/// The same without the space.
const WORD: &str = "{{qed";
/// The end of a placeholder.
const CLOSE: &str = "}}";

/// A word with its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpannedWord {
    /// The text.
    pub text: String,
    /// Its place in the chapter.
    pub span: Range<usize>,
}

/// `name="value"`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attribute {
    /// The name.
    pub name: SpannedWord,
    /// The text between the quotes.
    pub value: SpannedWord,
}

/// The error of an option whose value, at the beginning of `rest`, is not in double quotes.
fn unquoted_error(option: &str, text: &str, rest: Range<usize>) -> SyntaxError {
    let end = text[rest.clone()]
        .find(char::is_whitespace)
        .map_or(rest.end, |n| rest.start + n);
    let value = text[rest.start..end].trim_matches('\'');
    let escaped = QUOTES.iter().any(|quote| value.starts_with(quote));
    let help = match escaped {
        true => "a preprocessor that ran before this one wrote its quotes so: let this one run first, with `before = [\"ITS-NAME\"]` \
                 under [preprocessor.qed] in book.toml"
            .to_owned(),
        false => format!("write {option}=\"{value}\""),
    };
    let message = format!("the value of `{option}` is not in double quotes");
    SyntaxError::new(rest.start..end, message, Some(help))
}

/// A double quote as other preprocessors write it when they put out a chapter again.
const QUOTES: &[&str] = &["&quot;", "&#34;", "&#x22;", "\\\"", "\u{201c}", "\u{201d}"];

/// Words, then options.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Words {
    /// Words without `=`.
    pub words: Vec<SpannedWord>,
    /// Options in the order written.
    pub options: Vec<Attribute>,
}

impl Words {
    /// The option of this name.
    pub fn option(&self, name: &str) -> Option<&Attribute> {
        self.options.iter().find(|o| o.name.text == name)
    }
}

/// Something that cannot be read, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyntaxError {
    /// Its place.
    pub span: Range<usize>,
    /// The problem.
    pub message: String,
    /// The remedy.
    pub help: Option<String>,
}

impl SyntaxError {
    /// An error at a place.
    pub fn new(
        span: Range<usize>,
        message: impl Into<String>,
        help: impl Into<Option<String>>,
    ) -> Self {
        SyntaxError {
            span,
            message: message.into(),
            help: help.into(),
        }
    }
}

/// One occurrence of [`OPEN`], or of something that an author can hardly have meant otherwise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Occurrence {
    /// A placeholder, braces included.
    Placeholder(Range<usize>),
    /// A placeholder that is to be shown literally: the place of its backslash.
    Escaped(usize),
    /// No end in this line.
    Unclosed(Range<usize>),
    /// A line end, a tab or another space where [`OPEN`] has its space, as left by an editor that breaks lines: this
    /// would be published as it is.
    Spaced(Range<usize>),
}

/// Find all placeholders, in order.
pub fn find_placeholders(text: &str) -> Vec<Occurrence> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(offset) = text[at..].find(WORD) {
        let start = at + offset;
        let Some(space) = text[start + WORD.len()..]
            .chars()
            .next()
            .filter(|c| c.is_whitespace())
        else {
            at = start + WORD.len();
            continue;
        };
        let inner = start + WORD.len() + space.len_utf8();
        let backslashes = text[..start]
            .bytes()
            .rev()
            .take_while(|b| *b == b'\\')
            .count();
        if backslashes % 2 == 1 {
            found.extend((space == ' ').then_some(Occurrence::Escaped(start - 1)));
            at = inner;
            continue;
        }
        if space != ' ' {
            found.push(Occurrence::Spaced(start..start + WORD.len()));
            at = inner;
            continue;
        }
        match find_placeholder_end(text, inner) {
            Some(end) => {
                found.push(Occurrence::Placeholder(start..end));
                at = end;
            }
            None => {
                let line = text[inner..]
                    .find(['\n', '\r'])
                    .map_or(text.len(), |n| inner + n);
                found.push(Occurrence::Unclosed(start..line));
                // No placeholder after it in this line has an end either: the line is reported once, and read once.
                at = line;
            }
        }
    }
    found
}

/// True if JSON can hold anything that [`find_placeholders`] finds in one of its strings.
pub fn may_be_in_json(json: &str) -> bool {
    json.match_indices(WORD).any(|(at, _)| {
        let rest = &json[at + WORD.len()..];
        rest.starts_with(char::is_whitespace) || rest.starts_with('\\')
    })
}

/// The end of the placeholder whose content begins at `inner`; quotes may hold braces.
fn find_placeholder_end(text: &str, inner: usize) -> Option<usize> {
    let mut quoted = false;
    let mut plain_end = None;
    for (index, byte) in text.as_bytes()[inner..].iter().enumerate() {
        let at = inner + index;
        match byte {
            b'\n' | b'\r' => break,
            b'"' => quoted = !quoted,
            b'}' if text[at..].starts_with(CLOSE) => {
                if !quoted {
                    return Some(at + CLOSE.len());
                }
                // If the quote is never closed, the first `}}` was meant.
                plain_end = plain_end.or(Some(at + CLOSE.len()));
            }
            _ => {}
        }
    }
    plain_end
}

/// Split the content of a placeholder or an info string. `text[range]` is what is split.
pub fn split_words(text: &str, range: Range<usize>) -> Result<Words, SyntaxError> {
    let mut out = Words::default();
    let mut at = range.start;
    let end = range.end;
    let space = |at: usize| {
        text[at..end]
            .find(|c: char| !c.is_whitespace())
            .map(|n| at + n)
    };
    while let Some(start) = space(at) {
        let stop = |c: char| c.is_whitespace() || c == '=' || c == '"';
        let word_end = text[start..end].find(stop).map_or(end, |n| start + n);
        let word = SpannedWord {
            text: text[start..word_end].to_owned(),
            span: start..word_end,
        };
        let rest = &text[word_end..end];
        if rest.starts_with('"') || word.text.is_empty() {
            return Err(SyntaxError::new(
                start..(word_end + 1).min(end),
                "an option is written name=\"value\"",
                None,
            ));
        }
        if !rest.starts_with('=') {
            if let Some(option) = out.options.last() {
                return Err(SyntaxError::new(
                    word.span,
                    format!(
                        "`{}` stands behind the option `{}`",
                        word.text, option.name.text
                    ),
                    Some("options come last, and their values are in double quotes".to_owned()),
                ));
            }
            out.words.push(word);
            at = word_end;
            continue;
        }
        let value_start = word_end + 1;
        let Some(quoted) = text[value_start..end].strip_prefix('"') else {
            return Err(unquoted_error(&word.text, text, value_start..end));
        };
        let Some(length) = quoted.find('"') else {
            return Err(SyntaxError::new(
                value_start..end,
                format!("the quote of `{}` is not closed", word.text),
                None,
            ));
        };
        let value = SpannedWord {
            text: quoted[..length].to_owned(),
            span: value_start + 1..value_start + 1 + length,
        };
        if out.option(&word.text).is_some() {
            return Err(SyntaxError::new(
                word.span,
                format!("the option `{}` is given twice", word.text),
                None,
            ));
        }
        at = value.span.end + 1;
        if !text[at..end].is_empty() && !text[at..end].starts_with(char::is_whitespace) {
            return Err(SyntaxError::new(
                at..at + 1,
                "a space is missing behind the closing quote",
                None,
            ));
        }
        out.options.push(Attribute { name: word, value });
    }
    Ok(out)
}

/// Refuse options that are not among `known`.
pub fn refuse_unknown_options(words: &Words, known: &[&str]) -> Result<(), SyntaxError> {
    for option in &words.options {
        if !known.contains(&option.name.text.as_str()) {
            let near = qed_evidence::diagnostic::nearest(&option.name.text, known.iter().copied());
            let help = match near {
                Some(near) => format!("did you mean `{near}`?"),
                None if known.is_empty() => "there are no options here".to_owned(),
                None if known.len() == 1 => format!("the only option here is `{}`", known[0]),
                None => format!("the options here are `{}`", known.join("`, `")),
            };
            return Err(SyntaxError::new(
                option.name.span.clone(),
                format!("no option `{}`", option.name.text),
                Some(help),
            ));
        }
    }
    Ok(())
}

/// The content of a placeholder: what stands between the prefix and the closing braces.
pub fn inner_range(placeholder: &Range<usize>) -> Range<usize> {
    placeholder.start + OPEN.len()..placeholder.end - CLOSE.len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(text: &str) -> Result<Words, String> {
        split_words(text, 0..text.len()).map_err(|e| format!("{} at {:?}", e.message, e.span))
    }

    /// Check that placeholders are found by their prefix alone, escapes and unclosed ones told apart, and other
    /// tools' braces left alone.
    #[test]
    fn finds_by_prefix() {
        assert_eq!(
            find_placeholders("a {{qed x.y}} b"),
            [Occurrence::Placeholder(2..13)]
        );
        assert_eq!(
            find_placeholders(r#"{{qed x as="}}"}}"#),
            [Occurrence::Placeholder(0..17)]
        );
        assert_eq!(find_placeholders(r"\{{qed x}}"), [Occurrence::Escaped(0)]);
        assert_eq!(
            find_placeholders(r"\\{{qed x}}"),
            [Occurrence::Placeholder(2..11)]
        );
        assert_eq!(
            find_placeholders("{{qed x\n}}"),
            [Occurrence::Unclosed(0..7)]
        );
        for spaced in ["{{qed\nx}}", "{{qed\r\nx}}", "{{qed\tx}}", "{{qed\u{a0}x}}"] {
            assert_eq!(
                find_placeholders(spaced),
                [Occurrence::Spaced(0..5)],
                "{spaced}"
            );
            assert_eq!(find_placeholders(&format!("\\{spaced}")), [], "{spaced}");
            assert!(may_be_in_json(&serde_json::to_string(spaced).unwrap()));
        }
        assert!(!may_be_in_json(r#""{{qed}} {{qedx y}}""#));
        for other in [
            "{{closure}}",
            "${{ qed x }}",
            "{{#include qed}}",
            "{{qed}}",
            "{{qedx y}}",
            "{{ qed x}}",
        ] {
            assert_eq!(find_placeholders(other), [], "{other}");
        }
    }

    /// Check that quotes which another preprocessor has escaped get advice about the order, and not the advice to keep them.
    #[test]
    fn escaped_quotes() {
        for quote in QUOTES {
            let text = format!("a as={quote}hex{quote}");
            let help = split_words(&text, 0..text.len()).unwrap_err().help.unwrap();
            assert!(
                help.contains("before = [") && !help.contains(quote),
                "{text}: {help}"
            );
        }
        let help = split_words("a as=hex", 0..8).unwrap_err().help.unwrap();
        assert_eq!(help, "write as=\"hex\"");
    }

    /// Check that options are refused unless they are quoted, known once and last.
    #[test]
    fn words_are_strict() {
        let good = read(r#"a.b as="mib" width="3""#).unwrap();
        assert_eq!(good.words[0].text, "a.b");
        assert_eq!(good.option("width").unwrap().value.text, "3");
        for (bad, why) in [
            ("a as=mib", "not in double quotes at 5..8"),
            ("a as='mib'", "not in double quotes at 5..10"),
            (r#"a as="x" as="y""#, "given twice at 9..11"),
            (r#"a as="x" b"#, "behind the option `as` at 9..10"),
            (r#"a as="x"#, "not closed at 5..7"),
            (r#"a "x""#, "name=\"value\" at 2..3"),
            (
                r#"a as="x"b="y""#,
                "a space is missing behind the closing quote at 8..9",
            ),
        ] {
            let error = read(bad).unwrap_err();
            assert!(error.ends_with(why), "{bad}: {error}");
        }
        let words = read(r#"a az="x""#).unwrap();
        let error = refuse_unknown_options(&words, &["as", "width"]).unwrap_err();
        assert_eq!(error.help.unwrap(), "did you mean `as`?");
        let words = read(r#"a experiment="x""#).unwrap();
        for (known, help) in [
            (&["as", "width"][..], "the options here are `as`, `width`"),
            (&["only"], "the only option here is `only`"),
            (&[], "there are no options here"),
        ] {
            let error = refuse_unknown_options(&words, known).unwrap_err();
            assert_eq!(error.help.unwrap(), help);
        }
    }

    proptest! {
        /// Check that splitting never panics and that spans give back the words.
        #[test]
        fn spans_are_true(text in "[a-z=\"' }{\\\\qed\n]{0,40}") {
            for hit in find_placeholders(&text) {
                if let Occurrence::Placeholder(range) = hit {
                    prop_assert!(text[range.clone()].starts_with(OPEN) && text[range].ends_with("}}"));
                }
            }
            if let Ok(words) = split_words(&text, 0..text.len()) {
                for word in &words.words {
                    prop_assert_eq!(&text[word.span.clone()], &word.text);
                }
            }
        }
    }
}

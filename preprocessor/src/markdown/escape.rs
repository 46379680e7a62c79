//! Escaping by place: whatever a value holds, it cannot break out of where it stands.

use std::borrow::Cow;
use std::sync::LazyLock;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::markdown::syntax::OPEN;

/// True for characters that change the order or the place of the text around them, or that are invisible.
fn is_treacherous(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{061c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// Write a character out as `\u{…}` (`\n`, `\r`, `\t` by their names).
fn push_visible(out: &mut String, c: char) {
    match c {
        '\n' => out.push_str("\\n"),
        '\r' => out.push_str("\\r"),
        '\t' => out.push_str("\\t"),
        c => out.push_str(&format!("\\u{{{:x}}}", u32::from(c))),
    }
}

/// The text on one line, with invisible characters escaped.
pub fn escape_invisible(text: &str) -> Cow<'_, str> {
    escape_where(text, is_treacherous)
}

/// The same for several lines: line ends and tabs stay.
pub fn escape_invisible_lines(text: &str) -> Cow<'_, str> {
    escape_where(text, |c| c != '\n' && c != '\t' && is_treacherous(c))
}

fn escape_where(text: &str, bad: impl Fn(char) -> bool) -> Cow<'_, str> {
    // In a page, a value that looks like a placeholder could not be distinguished from one that was not filled.
    let text: Cow<'_, str> = if text.contains(OPEN) {
        let shown = format!("{}\\u{{20}}", OPEN.trim_end());
        Cow::Owned(text.replace(OPEN, &shown))
    } else {
        Cow::Borrowed(text)
    };
    // Nearly all text is printable ASCII, which needs no escaping.
    let plain = |c: char| matches!(c, ' '..='~');
    if !text.chars().any(|c| !plain(c) && bad(c)) {
        return text;
    }
    let mut out = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        if bad(c) {
            push_visible(&mut out, c);
        } else {
            out.push(c);
        }
    }
    Cow::Owned(out)
}

/// For HTML text and quoted or unquoted attributes, inside Markdown or inside an HTML block: everything in
/// ASCII but letters, digits and spaces becomes a character reference, so neither Markdown (emphasis, smart
/// punctuation, table cells, line ends) nor HTML nor another preprocessor sees anything in it.
pub fn html(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 16);
    push_html(&mut out, text);
    out
}

/// [`html`] at the end of `out`.
pub fn push_html(out: &mut String, text: &str) {
    // Pages hold megabytes of it: the references are written once.
    static REFERENCES: LazyLock<Vec<String>> =
        LazyLock::new(|| (0..128).map(|code| format!("&#{code};")).collect());
    let references = REFERENCES.as_slice();
    out.reserve(text.len() + text.len() / 2);
    let mut start = 0;
    for (at, byte) in text.bytes().enumerate() {
        if byte.is_ascii_alphanumeric() || byte == b' ' || !byte.is_ascii() {
            continue;
        }
        // It is ASCII, so one byte, and no part of another character.
        out.push_str(&text[start..at]);
        out.push_str(&references[usize::from(byte)]);
        start = at + 1;
    }
    out.push_str(&text[start..]);
}

/// For an unquoted HTML attribute: spaces too.
pub fn html_unquoted(text: &str) -> String {
    html(text).replace(' ', "&#32;")
}

/// For the destination of a link: percent-encoded but for RFC 3986's unreserved characters
/// (<https://www.rfc-editor.org/rfc/rfc3986#section-2.3>), so that it can be no scheme and no path separator.
pub fn url(text: &str) -> String {
    const KEPT: &AsciiSet = &NON_ALPHANUMERIC
        .remove(b'-')
        .remove(b'.')
        .remove(b'_')
        .remove(b'~');
    utf8_percent_encode(text, KEPT).to_string()
}

/// For prose in Markdown that stays Markdown: backslashes only where something would be understood otherwise.
pub fn markdown(text: &str) -> String {
    let text = escape_invisible(text);
    let mut out = String::with_capacity(text.len() + 8);
    let mut previous = None;
    let mut only_digits = true;
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        let doubled = previous == Some(c) || chars.peek() == Some(&c);
        let escape = match c {
            '\\' | '`' | '*' | '_' | '[' | ']' | '<' | '>' | '&' | '|' | '~' | '#' | '{' | '}'
            | '"' | '\'' | '!' | '^' | '$' => true,
            '-' => previous.is_none() || doubled,
            '+' | '=' | ':' => previous.is_none(),
            '.' => doubled || only_digits,
            ')' => only_digits,
            _ => false,
        };
        if escape {
            out.push('\\');
        }
        out.push(c);
        only_digits &= c.is_ascii_digit();
        previous = Some(c);
    }
    out
}

/// For a formula that MathJax reads: what has a meaning in TeX is written as the character that it is, by its code point
/// (<https://docs.mathjax.org/en/v2.7/tex.html#unicode>). So a value can neither end the formula nor call a macro.
pub fn tex(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_alphanumeric() || " .,:;()+-=/".contains(c) {
            out.push(c);
        } else {
            out.push_str(&format!("\\unicode{{x{:X}}}", u32::from(c)));
        }
    }
    out
}

/// For a code span, which knows no escapes. A backtick could end the span, so it is written out.
pub fn code_span(text: &str, in_table: bool) -> String {
    let mut out = String::with_capacity(text.len());
    for c in escape_invisible(text).chars() {
        match c {
            '`' => push_visible(&mut out, c),
            // Inside a table `\|` is the only way to write a bar, and `\\|` would be read in two ways.
            '|' if in_table && out.ends_with('\\') => push_visible(&mut out, c),
            '|' if in_table => out.push_str("\\|"),
            c => out.push(c),
        }
    }
    out
}

/// For a code block, which knows no escapes. `prefix` is what stands before the placeholder in its line: if it
/// is nothing but indentation and quote marks, further lines get the same, else line ends are written out.
pub fn code_block(text: &str, prefix: &str) -> String {
    let text = escape_invisible_lines(text.strip_suffix('\n').unwrap_or(text));
    let alone = prefix.chars().all(|c| matches!(c, ' ' | '\t' | '>'));
    let could_close = text
        .lines()
        .any(|line| line.trim_start().starts_with(['`', '~']));
    if !(text.contains('\n') || alone && could_close) {
        return text.into_owned();
    }
    if alone && !could_close {
        return text.replace('\n', &format!("\n{prefix}"));
    }
    let mut out = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        if c == '\n' || (c == '`' || c == '~') && (out.is_empty() || out.ends_with("\\n")) {
            push_visible(&mut out, c);
        } else {
            out.push(c);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use mdbook_markdown::pulldown_cmark::{Event, Tag, TagEnd};
    use mdbook_markdown::{MarkdownOptions, new_cmark_parser};
    use proptest::prelude::*;

    /// Text that is out to break something.
    fn hostile() -> impl Strategy<Value = String> {
        prop_oneof![
            "[ -~]{0,20}",
            "[`~|<>&\"'\\\\*_\\[\\]{}#+.\\-=:!0-9a \n\r\t]{0,20}",
            ".{0,12}",
            "[\u{202e}\u{2066}\u{200f}a<`|]{0,8}",
        ]
    }

    /// The text that a reader sees of the only paragraph, or `None` if there is anything else.
    fn prose(source: &str) -> Option<String> {
        let mut seen = String::new();
        for event in new_cmark_parser(source, &MarkdownOptions::default()) {
            match event {
                Event::Start(Tag::Paragraph) | Event::End(TagEnd::Paragraph) => {}
                Event::Text(text) => seen.push_str(&text),
                _ => return None,
            }
        }
        Some(seen)
    }

    proptest! {
        /// Check that a value in prose is read as exactly its characters, alone in its paragraph and in a sentence.
        #[test]
        fn prose_is_inert(text in hostile()) {
            let shown = escape_invisible(&text).trim().to_owned();
            prop_assume!(!shown.is_empty());
            for escaped in [html(&shown), markdown(&shown)] {
                let source = format!("a {escaped} b");
                prop_assert_eq!(prose(&source), Some(format!("a {shown} b")), "{}", source);
            }
            let alone = markdown(&shown);
            prop_assert_eq!(prose(&alone), Some(shown), "{}", alone);
        }

        /// Check that a value in a code span neither ends it nor splits a table cell.
        #[test]
        fn code_span_is_inert(text in hostile()) {
            let shown = code_span(&text, false);
            let source = format!("x `a{shown}b` y");
            let events: Vec<Event> = new_cmark_parser(&source, &MarkdownOptions::default()).collect();
            prop_assert!(matches!(&events[2], Event::Code(code) if **code == format!("a{shown}b")), "{:?}", events);
            prop_assert_eq!(events.len(), 5);
            let source = format!("|a|b|\n|-|-|\n|`a{}b`|c|\n", code_span(&text, true));
            let cells = new_cmark_parser(&source, &MarkdownOptions::default())
                .filter(|event| matches!(event, Event::Start(Tag::TableCell))).count();
            prop_assert_eq!(cells, 4);
        }

        /// Check that a value in a fence cannot end it, in a quote and in a list as well.
        #[test]
        fn code_block_is_inert(text in hostile()) {
            for prefix in ["", "> ", "  ", "x"] {
                let outer = if prefix == "x" { "" } else { prefix };
                let filled = code_block(&text, prefix);
                let lead = if outer.trim().is_empty() && !outer.is_empty() { "- l\n\n" } else { "" };
                let source = format!("{lead}{outer}```\n{prefix}{filled}\n{outer}```\n\n# end\n");
                let mut blocks = 0;
                let mut headings = 0;
                for event in new_cmark_parser(&source, &MarkdownOptions::default()) {
                    match event {
                        Event::Start(Tag::CodeBlock(_)) => blocks += 1,
                        Event::Start(Tag::Heading { .. }) => headings += 1,
                        _ => {}
                    }
                }
                prop_assert_eq!((blocks, headings), (1, 1), "{}", source);
            }
        }
    }

    /// Check that a value in a formula has no macro, no delimiter and no group of its own.
    #[test]
    fn tex_is_inert() {
        assert_eq!(tex("0xff + a"), "0xff + a");
        assert_eq!(tex("\\)$}"), "\\unicode{x5C})\\unicode{x24}\\unicode{x7D}");
    }

    /// Check that a destination can neither leave its path segment nor name a scheme.
    #[test]
    fn url_is_one_segment() {
        assert_eq!(url("javascript:x/../ä"), "javascript%3Ax%2F..%2F%C3%A4");
    }
}

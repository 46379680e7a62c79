//! Properties of a filled chapter that hold however it was filled: shared with the fuzz target `fill`.
#![allow(dead_code, reason = "each user has its own part")]

use mdbook_markdown::pulldown_cmark::{Event, Tag, TagEnd};
use mdbook_markdown::{MarkdownOptions, new_cmark_parser};
use mdbook_qed::markdown::syntax::{Occurrence, find_placeholders};

/// The output of the test book's workload: no character of it needs escaping anywhere.
pub const VALUE: &str = "QQvalueQQ";
/// A placeholder that becomes [`VALUE`].
pub const PLACEHOLDER: &str = "{{qed create.outcome.stdout}}";
/// A placeholder of which the options hold what Markdown could take for its own.
pub const QUOTED: &str = "{{qed create.outcome.stdout machine=\"guest:test-1\"}}";

/// The structure that Markdown sees in a text, without the text itself and without our own markup.
pub fn skeleton(text: &str) -> Vec<String> {
    let mut out = Vec::new();
    for event in new_cmark_parser(text, &MarkdownOptions::default()) {
        match event {
            Event::Text(_) => {}
            Event::InlineHtml(tag)
                if tag.starts_with("<span class=\"qed") || &*tag == "</span>" => {}
            Event::Start(Tag::Link { link_type, .. }) => out.push(format!("link {link_type:?}")),
            Event::Start(Tag::Image { link_type, .. }) => out.push(format!("image {link_type:?}")),
            Event::Start(Tag::Heading { level, .. }) => out.push(format!("heading {level}")),
            Event::Start(Tag::CodeBlock(_)) => out.push("code".into()),
            Event::Start(tag) => out.push(format!("start {tag:?}")),
            Event::End(TagEnd::Paragraph) => out.push("end of paragraph".into()),
            Event::End(tag) => out.push(format!("end {tag:?}")),
            Event::Code(_) => out.push("code span".into()),
            Event::Html(_) => out.push("html".into()),
            Event::InlineHtml(_) => out.push("tag".into()),
            other => out.push(format!("{other:?}")),
        }
    }
    out
}

/// The page without what is put at its top.
pub fn without_sources(html: &str) -> String {
    match html.find("<div class=\"qed-page\"") {
        None => without(html, "<div hidden data-qed-literals=", "</div>\n\n"),
        // It comes first, or behind the heading that comes first.
        Some(0) => without(html, "<div class=\"qed-page\"", "</details></div>\n\n"),
        Some(_) => without(html, "\n\n<div class=\"qed-page\"", "</details></div>\n"),
    }
}

/// The text as if its author had written the value: placeholders replaced, backslashes before others dropped.
pub fn by_hand(text: &str) -> String {
    let mut out = String::new();
    let mut at = 0;
    for found in find_placeholders(text) {
        match found {
            Occurrence::Placeholder(range) => {
                out.push_str(&text[at..range.start]);
                out.push_str(VALUE);
                at = range.end;
            }
            Occurrence::Escaped(backslash) => {
                out.push_str(&text[at..backslash]);
                at = backslash + 1;
            }
            Occurrence::Unclosed(_) | Occurrence::Spaced(_) => {}
        }
    }
    out + &text[at..]
}

/// Text without every piece that begins with `open` and ends with `close`.
pub fn without(text: &str, open: &str, close: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(start) = rest.find(open) {
        out.push_str(&rest[..start]);
        rest = &rest[start + open.len()..];
        let end = rest.find(close).expect("what we open we close");
        rest = &rest[end + close.len()..];
    }
    out + rest
}

/// Text without the backslashes that keep placeholders from being filled.
pub fn unescaped(text: &str) -> String {
    let mut out = String::new();
    for (index, piece) in text.split("{{qed ").enumerate() {
        if index > 0 {
            let slashes = out.len() - out.trim_end_matches('\\').len();
            if slashes % 2 == 1 {
                out.pop();
            }
            out.push_str("{{qed ");
        }
        out.push_str(piece);
    }
    out
}

//! What stands between placeholders is not touched.

mod common;

use mdbook_markdown::pulldown_cmark::{Event, Tag, TagEnd};
use mdbook_markdown::{MarkdownOptions, new_cmark_parser};
use mdbook_qed::book::fill_all;
use mdbook_qed::chapter::Chapter;
use mdbook_qed::config::{self, Config};
use mdbook_qed::facts::{Facts, index};
use mdbook_qed::fill::Target;
use mdbook_qed::protocol::Markdown;
use mdbook_qed::store::{Loaded, Origin, Store};
use mdbook_qed::syntax::{Found, find};
use mdbook_qed::template::Templates;
use proptest::prelude::*;

/// What the test book's workload says: no character of it needs escaping anywhere.
const VALUE: &str = "QQvalueQQ";
/// A placeholder that becomes [`VALUE`].
const PLACEHOLDER: &str = "{{qed create.outcome.stdout}}";
/// A placeholder of which the options hold what Markdown could take for its own.
const QUOTED: &str = "{{qed create.outcome.stdout machine=\"guest:test-1\"}}";

/// The settings and the evidence of a book, without a disk.
fn store() -> (Config, Store) {
    let machine = "guest:test-1";
    let config = config::read(&serde_json::json!({ "machines": [machine] }), None).unwrap();
    let store = Store {
        investigation: qed_evidence::investigation::parse("test.toml", common::INVESTIGATION)
            .unwrap(),
        loaded: vec![Loaded {
            machine: machine.into(),
            evidence: common::evidence(machine, 0, VALUE),
            raw: None,
            verdicts: None,
            origin: Origin::Captured,
            file: "host.json".into(),
            stale: vec![],
            age_s: Some(0),
        }],
        absent: vec![],
        templates: Templates::default(),
    };
    (config, store)
}

/// Fills one chapter of a book that has another one with a value.
fn filled(text: &str, target: Target, book: &(Config, Store)) -> String {
    outcome(text, target, book).0
}

/// The same, and whether all of it could be filled.
fn outcome(text: &str, target: Target, (config, store): &(Config, Store)) -> (String, bool) {
    let chapters = [
        Chapter::parse("one.md", text, Markdown::default()),
        Chapter::parse("two.md", PLACEHOLDER, Markdown::default()),
    ];
    let indexed = index(store);
    let facts = Facts::new(config, store, &indexed);
    let mut outcome = fill_all(&chapters, &facts, target);
    (outcome.texts.remove(0), !outcome.report.has_errors())
}

/// What Markdown makes of a text, without the text itself and without our own markup.
fn skeleton(text: &str) -> Vec<String> {
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
fn without_sources(html: &str) -> String {
    match html.find("<div class=\"qed-page\"") {
        None => without(html, "<div hidden data-qed-literals=", "</div>\n\n"),
        // It comes first, or behind the heading that comes first.
        Some(0) => without(html, "<div class=\"qed-page\"", "</details></div>\n\n"),
        Some(_) => without(html, "\n\n<div class=\"qed-page\"", "</details></div>\n"),
    }
}

/// The text as if its author had written the value: placeholders replaced, backslashes before others dropped.
fn by_hand(text: &str) -> String {
    let mut out = String::new();
    let mut at = 0;
    for found in find(text) {
        match found {
            Found::Placeholder(range) => {
                out.push_str(&text[at..range.start]);
                out.push_str(VALUE);
                at = range.end;
            }
            Found::Escaped(backslash) => {
                out.push_str(&text[at..backslash]);
                at = backslash + 1;
            }
            Found::Unclosed(_) | Found::Spaced(_) => {}
        }
    }
    out + &text[at..]
}

/// Text without every piece that begins with `open` and ends with `close`.
fn without(text: &str, open: &str, close: &str) -> String {
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
fn unescaped(text: &str) -> String {
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

/// Pieces of Markdown and HTML, well-formed or not, with or without line ends of Windows.
fn chapter(placeholders: bool) -> impl Strategy<Value = String> {
    let pieces = [
        "a",
        "é",
        " ",
        "  ",
        "\n",
        "\r\n",
        "\n\n",
        "# ",
        "> ",
        "- ",
        "1. ",
        "    ",
        "\t",
        "`",
        "``",
        "```\n",
        "~~~",
        "|",
        "|a|b|\n|-|-|\n",
        "[",
        "](",
        "]: ",
        ")",
        "<",
        ">",
        "<b title=\"",
        "\"",
        "'",
        "<div>",
        "</div>",
        "<!-- ",
        " -->",
        "<a href=",
        "*",
        "_",
        "\\",
        "{{closure}}",
        "${{ x }}",
        "{{#x}}",
        "{{",
        "}}",
        "{{qed}}",
        "&amp;",
        "![",
        "\0",
        "\u{202e}",
        "<script>",
        "</script>",
        "[^1]",
        "[^1]: ",
        "===\n",
        "---\n",
        "https://a.b/",
        "<https://a.b/",
        "![x](y \"",
    ];
    let word = proptest::sample::select(pieces.to_vec()).boxed();
    let word = if placeholders {
        prop_oneof![4 => word, 1 => Just(PLACEHOLDER), 1 => Just(QUOTED)].boxed()
    } else {
        word
    };
    proptest::collection::vec(word, 0..40).prop_map(|words| words.concat())
}

proptest! {
    /// Check that a chapter without a placeholder comes out as it went in, for every renderer, in a book that is
    /// filled elsewhere.
    #[test]
    fn no_placeholder_no_change(text in chapter(false)) {
        prop_assume!(!text.contains("{{qed "));
        let book = store();
        for target in [Target::Html, Target::Text] {
            prop_assert_eq!(filled(&text, target, &book), &text[..]);
        }
    }

    /// Check that a chapter with placeholders anywhere is, once the values are taken out again together with the
    /// markup around them, what the author wrote.
    #[test]
    fn text_between_placeholders_stays(text in chapter(true)) {
        let book = store();
        let expected = unescaped(&text).replace(QUOTED, PLACEHOLDER);

        let html = filled(&text, Target::Html, &book);
        let html = without_sources(&html);
        let html = without(&html, "<span class=\"qed\"", ">").replace("</span>", "");
        prop_assert_eq!(html.replace(VALUE, PLACEHOLDER).replace(QUOTED, PLACEHOLDER), &expected[..]);

        let plain = filled(&text, Target::Text, &book);
        let plain = match plain.find("> Measured on ") {
            None => plain,
            Some(0) => without(&plain, "> Measured on ", "\n\n"),
            Some(_) => without(&plain, "\n\n> Measured on ", "\n"),
        };
        prop_assert_eq!(plain.replace(VALUE, PLACEHOLDER).replace(QUOTED, PLACEHOLDER), &expected[..], "{:?}", filled(&text, Target::Text, &book));
    }

    /// Check that Markdown makes of a filled chapter what it would make of one whose author typed the values.
    #[test]
    fn a_value_stands_like_a_word(text in chapter(true)) {
        let (html, good) = outcome(&text, Target::Html, &store());
        // How long a scheme is decides whether a link is one; a value is no scheme.
        if !good || text.contains("<{{qed ") {
            return Ok(());
        }
        let html = without_sources(&html);
        prop_assert_eq!(skeleton(&html), skeleton(&by_hand(&text)), "{}", html);
    }

    /// Check that taking any text apart never panics, and that its parts are where it says.
    #[test]
    fn any_text_can_be_taken_apart(text in "([a-z#>`~|*_\\[\\]()<>!\"'= \r\n\t{}\\\\-]|\\{\\{qed |\\}\\}|```qed-claim |as=\"hex\"|<div |<!--|-->|é){0,60}") {
        let chapter = Chapter::parse("c.md", &text, Markdown::default());
        for placeholder in &chapter.placeholders {
            let part = &text[placeholder.range.clone()];
            prop_assert!(part.starts_with("{{qed ") && part.ends_with("}}"));
        }
        for block in &chapter.blocks {
            prop_assert!(text[block.range.clone()].starts_with(['`', '~']));
        }
        let placeholders = find(&text).into_iter().filter(|f| matches!(f, Found::Placeholder(_))).count();
        prop_assert!(chapter.placeholders.len() + chapter.problems.len() >= placeholders);
    }

    /// Check that a text without our prefix has nothing to fill, whatever other braces it holds.
    #[test]
    fn other_braces_are_nobodys(text in "([a-z `\r\n]|\\{\\{|\\}\\}|\\{\\{closure\\}\\}|\\$\\{\\{ x \\}\\}|\\{\\{#include y\\}\\}|\\\\){0,60}") {
        prop_assume!(!text.contains("{{qed "));
        let chapter = Chapter::parse("c.md", &text, Markdown::default());
        prop_assert!(!chapter.is_live() && chapter.escapes.is_empty() && chapter.problems.is_empty());
        prop_assert_eq!(mdbook_qed::book::unescape(&chapter, mdbook_qed::fill::Target::Html), text);
    }
}

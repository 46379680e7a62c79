//! The text between placeholders is not touched.

use crate::common;
#[path = "common/filled.rs"]
mod filled;

use filled::{PLACEHOLDER, QUOTED, VALUE, by_hand, skeleton, unescaped, without, without_sources};
use mdbook_qed::config::{self, Config};
use mdbook_qed::evidence::book_data::BookData;
use mdbook_qed::evidence::loader::{EvidenceSet, MachineEvidence};
use mdbook_qed::evidence::locations::Origin;
use mdbook_qed::exhibits::block::Target;
use mdbook_qed::markdown::chapter::Chapter;
use mdbook_qed::markdown::dialect::Markdown;
use mdbook_qed::markdown::syntax::{Occurrence, find_placeholders};
use mdbook_qed::render::book::fill_all;
use proptest::prelude::*;

/// The settings and the evidence of a book, without a disk.
fn evidence_set() -> (Config, EvidenceSet) {
    let machine = "guest:test-1";
    let config = config::reader::read(&serde_json::json!({ "machines": [machine] }), None).unwrap();
    let investigation =
        qed_evidence::investigation::parse("test.toml", common::INVESTIGATION).unwrap();
    let evidence_set = EvidenceSet {
        loaded: vec![MachineEvidence {
            machine: machine.into(),
            evidence: common::evidence(machine, 0, VALUE),
            raw: None.into(),
            verdicts: None,
            origin: Origin::Captured,
            file: "host.json".into(),
            stale: vec![],
            not_compared: vec![],
            age_s: Some(0),
            digest: None,
        }],
        ..EvidenceSet::new(investigation)
    };
    (config, evidence_set)
}

/// Fill one chapter of a book that has another one with a value.
fn fill(text: &str, target: Target, book: &(Config, EvidenceSet)) -> String {
    outcome(text, target, book).0
}

/// The same, and whether all of it could be filled.
fn outcome(
    text: &str,
    target: Target,
    (config, evidence_set): &(Config, EvidenceSet),
) -> (String, bool) {
    let chapters = [
        Chapter::parse("one.md", text, Markdown::default()),
        Chapter::parse("two.md", PLACEHOLDER, Markdown::default()),
    ];
    let book_data = BookData::new(config, evidence_set);
    let mut outcome = fill_all(&chapters, &book_data, target);
    (outcome.texts.remove(0), !outcome.report.has_errors())
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
        let book = evidence_set();
        for target in [Target::Html, Target::Text] {
            prop_assert_eq!(fill(&text, target, &book), &text[..]);
        }
    }

    /// Check that a chapter with placeholders anywhere is, once the values are taken out again together with the
    /// markup around them, what the author wrote.
    #[test]
    fn text_between_placeholders_stays(text in chapter(true)) {
        let book = evidence_set();
        let expected = unescaped(&text).replace(QUOTED, PLACEHOLDER);

        let html = fill(&text, Target::Html, &book);
        let html = without_sources(&html);
        let html = without(&html, "<span class=\"qed\"", ">").replace("</span>", "");
        prop_assert_eq!(html.replace(VALUE, PLACEHOLDER).replace(QUOTED, PLACEHOLDER), &expected[..]);

        let plain = fill(&text, Target::Text, &book);
        let plain = match plain.find("> Measured on ") {
            None => plain,
            Some(0) => without(&plain, "> Measured on ", "\n\n"),
            Some(_) => without(&plain, "\n\n> Measured on ", "\n"),
        };
        prop_assert_eq!(plain.replace(VALUE, PLACEHOLDER).replace(QUOTED, PLACEHOLDER), &expected[..], "{:?}", fill(&text, Target::Text, &book));
    }

    /// Check that Markdown makes of a filled chapter what it would make of one whose author typed the values.
    #[test]
    fn a_value_stands_like_a_word(text in chapter(true)) {
        let (html, good) = outcome(&text, Target::Html, &evidence_set());
        // How long a scheme is decides whether a link is one; a value is not a scheme.
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
        let placeholders = find_placeholders(&text).into_iter().filter(|f| matches!(f, Occurrence::Placeholder(_))).count();
        prop_assert!(chapter.placeholders.len() + chapter.problems.len() >= placeholders);
    }

    /// Check that a text without our prefix has nothing to fill, whatever other braces it holds.
    #[test]
    fn other_braces_are_nobodys(text in "([a-z `\r\n]|\\{\\{|\\}\\}|\\{\\{closure\\}\\}|\\$\\{\\{ x \\}\\}|\\{\\{#include y\\}\\}|\\\\){0,60}") {
        prop_assume!(!text.contains("{{qed "));
        let chapter = Chapter::parse("c.md", &text, Markdown::default());
        prop_assert!(!chapter.is_live() && chapter.escapes.is_empty() && chapter.problems.is_empty());
        prop_assert_eq!(mdbook_qed::render::book::remove_escapes(&chapter, mdbook_qed::exhibits::block::Target::Html), text);
    }
}

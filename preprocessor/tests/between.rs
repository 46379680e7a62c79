//! What stands between placeholders is not touched.

use mdbook_markdown::MarkdownOptions;
use mdbook_qed::chapter::Chapter;
use mdbook_qed::syntax::{Found, find};
use proptest::prelude::*;

proptest! {
    /// Check that taking any text apart never panics, and that its parts are where it says.
    #[test]
    fn any_text_can_be_taken_apart(text in "([a-z#>`~|*_\\[\\]()<>!\"'= \r\n\t{}\\\\-]|\\{\\{qed |\\}\\}|```qed-claim |as=\"hex\"|<div |<!--|-->|é){0,60}") {
        let chapter = Chapter::parse("c.md", &text, &MarkdownOptions::default());
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
        let chapter = Chapter::parse("c.md", &text, &MarkdownOptions::default());
        prop_assert!(!chapter.is_live() && chapter.escapes.is_empty() && chapter.problems.is_empty());
        prop_assert_eq!(mdbook_qed::book::unescape(&chapter, mdbook_qed::fill::Target::Html), text);
    }
}

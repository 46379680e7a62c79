//! The flags of a book's Markdown.

use mdbook_markdown::MarkdownOptions;
use serde_json::Value;

/// Flags of the book's Markdown.
#[derive(Clone, Copy, Debug)]
pub struct Markdown {
    smart_punctuation: bool,
    definition_lists: bool,
    admonitions: bool,
    math: bool,
}

impl Default for Markdown {
    fn default() -> Self {
        Markdown::read(None)
    }
}

impl Markdown {
    /// For the parser.
    pub fn options(self) -> MarkdownOptions {
        let mut options = MarkdownOptions::default();
        options.smart_punctuation = self.smart_punctuation;
        options.definition_lists = self.definition_lists;
        options.admonitions = self.admonitions;
        options
    }

    /// True if the pages are read by MathJax.
    pub fn math(self) -> bool {
        self.math
    }

    /// From `[output.html]`, with the defaults of mdBook 0.5.
    pub fn read(html: Option<&Value>) -> Self {
        let flag = |name: &str| {
            html.and_then(|h| h.get(name))
                .and_then(Value::as_bool)
                .unwrap_or(true)
        };
        Markdown {
            smart_punctuation: flag("smart-punctuation"),
            definition_lists: flag("definition-lists"),
            admonitions: flag("admonitions"),
            math: html
                .and_then(|h| h.get("mathjax-support"))
                .and_then(Value::as_bool)
                .unwrap_or(false),
        }
    }
}

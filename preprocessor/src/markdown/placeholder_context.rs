//! The surroundings of a placeholder, which decide how a value is written there.

use std::ops::Range;

use crate::markdown::html_context;

/// The place of a placeholder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PlaceholderContext {
    /// Running text: paragraph, list, quote, table cell.
    Prose {
        /// Inside the text of a link.
        in_link: bool,
        /// Emphasis begins or ends beside it in a way that works with a word here and not with a tag, so no markup may
        /// stand around it (<https://spec.commonmark.org/0.31.2/#delimiter-run>).
        bare: bool,
    },
    /// A code span.
    CodeSpan {
        /// The whole span with its backticks.
        span: Range<usize>,
        /// Inside a table cell.
        in_table: bool,
        /// Inside the text of a link.
        in_link: bool,
        /// True in a place where no markup may surround it, such as the description of an image.
        bare: bool,
    },
    /// A formula of MathJax, which reads no markup.
    Math,
    /// A fenced or indented code block.
    CodeBlock,
    /// The destination of a link or an image.
    Destination,
    /// The title of a link, or the description of an image: text that takes no markup.
    PlainText,
    /// Raw HTML, see [`html_context::HtmlPosition`].
    Html(html_context::HtmlPosition),
    /// A place where no value may stand, and why.
    Refused(&'static str),
}

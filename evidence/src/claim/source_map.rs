//! The place of an expression in its chapter.

use std::ops::Range;
use std::sync::Arc;

use crate::diagnostic::{Diagnostic, SourceText};

/// The place of an expression's text in the file of its author, so that every complaint can point there.
#[derive(Clone, Debug)]
pub struct SourceMap {
    source: Arc<SourceText>,
    /// Pairs of a byte in the expression and the byte of the source where the text from there on stands.
    lines: Vec<(usize, usize)>,
}

impl SourceMap {
    /// The text stands at byte `offset` of `source`, in one piece.
    pub fn new(source: Arc<SourceText>, offset: usize) -> Self {
        SourceMap {
            source,
            lines: vec![(0, offset)],
        }
    }

    /// The text stands in `source` in several pieces (a fence in a quotation or a list, whose lines have
    /// prefixes). Each pair is a byte of the text and its byte in the source, in ascending order.
    pub fn with_pieces(source: Arc<SourceText>, pieces: Vec<(usize, usize)>) -> Self {
        SourceMap {
            source,
            lines: pieces,
        }
    }

    /// The place of the same text with `more` bytes in front of it.
    pub(super) fn with_prefix_len(&self, more: usize) -> Self {
        let first = self.lines.first().map(|(_, source)| (0, *source));
        let moved = self
            .lines
            .iter()
            .map(|(text, source)| (text + more, *source));
        SourceMap {
            source: self.source.clone(),
            lines: first.into_iter().chain(moved).collect(),
        }
    }

    /// The file.
    pub fn source(&self) -> &Arc<SourceText> {
        &self.source
    }

    /// The bytes of the source where these bytes of the text stand.
    pub fn locate(&self, range: &Range<usize>) -> Range<usize> {
        let start = self.source_offset(range.start);
        let end = match range.end.checked_sub(1) {
            Some(last) if range.end > range.start => self.source_offset(last) + 1,
            _ => start,
        };
        start..end.max(start)
    }

    fn source_offset(&self, at: usize) -> usize {
        let before = self.lines.partition_point(|(text, _)| *text <= at);
        match before
            .checked_sub(1)
            .and_then(|index| self.lines.get(index))
        {
            Some((text, source)) => source + (at - text),
            None => at,
        }
    }

    /// An error at these bytes of the text.
    pub fn error(&self, range: &Range<usize>, message: impl Into<String>) -> Diagnostic {
        Diagnostic::error(&self.source, self.locate(range), message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Check that bytes of an expression whose lines have prefixes are found in the file.
    #[test]
    fn finds_pieces() {
        let source = Arc::new(SourceText {
            name: "c.md".into(),
            text: "> ab\n> cd\n".into(),
        });
        let place = SourceMap::with_pieces(source, vec![(0, 2), (3, 7)]);
        assert_eq!(place.locate(&(0..2)), 2..4);
        assert_eq!(place.locate(&(3..5)), 7..9);
        assert_eq!(place.locate(&(1..4)), 3..8);
        assert_eq!(place.locate(&(5..5)), 9..9);
    }
}

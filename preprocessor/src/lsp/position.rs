//! Places in a text: bytes here, lines and UTF-16 code units in the protocol.
//!
//! Own code: crates for this keep an index of lines beside each text, which pays for many positions in one text and has to follow its
//! changes.

use std::ops::Range;

use lsp_types::Position;

/// The byte at a position. A position beyond the end of its line or of the text counts as that end, and one in the middle of a
/// character as its beginning.
pub fn offset(text: &str, position: Position) -> usize {
    let mut start = 0;
    for _ in 0..position.line {
        match line_end(&text[start..]) {
            Some((length, end)) => start += length + end,
            None => return text.len(),
        }
    }
    let line = &text[start..];
    let line = &line[..line_end(line).map_or(line.len(), |(length, _)| length)];
    let mut units = 0;
    for (at, c) in line.char_indices() {
        units += c.len_utf16();
        if units > position.character as usize {
            return start + at;
        }
    }
    start + line.len()
}

/// The position of a byte. A byte beyond the end of the text counts as the end, and one inside a character as its beginning.
pub fn position(text: &str, offset: usize) -> Position {
    let mut offset = offset.min(text.len());
    while !text.is_char_boundary(offset) {
        offset -= 1;
    }
    let (mut line, mut start) = (0, 0);
    while let Some((length, end)) = line_end(&text[start..]) {
        if start + length + end > offset {
            break;
        }
        start += length + end;
        line += 1;
    }
    let units = text[start..offset].encode_utf16().count();
    Position::new(line, u32::try_from(units).unwrap_or(u32::MAX))
}

/// The range of some bytes.
pub fn range(text: &str, span: &Range<usize>) -> lsp_types::Range {
    lsp_types::Range::new(position(text, span.start), position(text, span.end))
}

/// The length of the first line, and of its line end.
fn line_end(text: &str) -> Option<(usize, usize)> {
    let at = text.find(['\n', '\r'])?;
    let is_pair = text[at..].starts_with("\r\n");
    Some((at, if is_pair { 2 } else { 1 }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Check that characters outside of the basic plane count twice, and that all three line ends are known.
    #[test]
    fn code_units() {
        let text = "a😀b\r\nü{{qed\rx\ny";
        for (line, character, byte) in [
            (0, 0, 0),
            (0, 1, 1),
            (0, 3, 5),
            (0, 4, 6),
            (1, 1, 10),
            (2, 0, 16),
            (3, 1, 19),
        ] {
            let at = Position::new(line, character);
            assert_eq!((offset(text, at), position(text, byte)), (byte, at));
        }
        // In the middle of a character, behind a line, behind the text.
        assert_eq!(offset(text, Position::new(0, 2)), 1);
        assert_eq!(offset(text, Position::new(0, 99)), 6);
        assert_eq!(offset(text, Position::new(99, 0)), text.len());
        assert_eq!(position(text, 999), Position::new(3, 1));
        assert_eq!(position(text, 3), Position::new(0, 1));
    }

    proptest! {
        /// Check that the position of each character leads back to it.
        #[test]
        fn there_and_back(text in "[a😀ü\r\n]{0,12}") {
            for (at, _) in text.char_indices() {
                let inside_pair = text[..at].ends_with('\r') && text[at..].starts_with('\n');
                if !inside_pair {
                    prop_assert_eq!(offset(&text, position(&text, at)), at);
                }
            }
        }
    }
}

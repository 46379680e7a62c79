//! Texts in pieces, so that a page can keep numbers whole where a line is too narrow for them.

use serde::Serialize;

/// A part of a text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Piece {
    pub(super) text: String,
    /// True if it is a number, which is never broken.
    pub(super) number: bool,
    /// True if the line may be broken before it: at the beginning, and after a comma.
    pub(super) breaks: bool,
}

/// True for a word that begins with a digit.
pub(super) fn is_number(word: &str) -> bool {
    word.starts_with(|c: char| c.is_ascii_digit())
}

/// True for a number that is as long as an address.
pub(super) fn is_long_number(word: &str) -> bool {
    word.len() >= 10 && word.starts_with("0x")
}

/// The pieces of a text: its numbers, by what `is_number` says of each word, and what is between them.
pub(super) fn split_pieces(text: &str, is_number: fn(&str) -> bool) -> Vec<Piece> {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let mut out = Vec::new();
    for part in text.split_inclusive(',') {
        let (mut breaks, mut start) = (true, 0);
        let mut push = |from: usize, to: usize, number: bool| {
            if from < to {
                out.push(Piece {
                    text: part[from..to].to_owned(),
                    number,
                    breaks: std::mem::take(&mut breaks),
                });
            }
        };
        let mut at = 0;
        while let Some(begin) = part[at..].find(is_word).map(|found| at + found) {
            let length = part[begin..].find(|c| !is_word(c));
            at = length.map_or(part.len(), |length| begin + length);
            if is_number(&part[begin..at]) {
                push(start, begin, false);
                push(begin, at, true);
                start = at;
            }
        }
        push(start, part.len(), false);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Check that a list of numbers can be broken after each comma, never within a number, and that a digit in a name makes no
    /// number of it.
    #[test]
    fn numbers_stay_whole() {
        let found = split_pieces(
            ".Values.0xff113ceb1bbb6000,-12,__x64_sys_f,,a.c:7",
            is_number,
        );
        let shown: Vec<(&str, bool, bool)> = found
            .iter()
            .map(|piece| (&*piece.text, piece.number, piece.breaks))
            .collect();
        assert_eq!(
            shown,
            [
                (".Values.", false, true),
                ("0xff113ceb1bbb6000", true, false),
                (",", false, false),
                ("-", false, true),
                ("12", true, false),
                (",", false, false),
                ("__x64_sys_f,", false, true),
                (",", false, true),
                ("a.c:", false, true),
                ("7", true, false),
            ]
        );
    }

    /// Check that of a text beside an address nothing else is a piece of its own.
    #[test]
    fn addresses_alone() {
        let found = split_pieces("(res=0xff79ce74c065bd30) = 0 · 3.673 µs", is_long_number);
        let shown: Vec<(&str, bool)> = found.iter().map(|one| (&*one.text, one.number)).collect();
        assert_eq!(
            shown,
            [
                ("(res=", false),
                ("0xff79ce74c065bd30", true),
                (") = 0 · 3.673 µs", false)
            ]
        );
    }
}

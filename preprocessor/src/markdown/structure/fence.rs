//! Fenced blocks of this preprocessor: claims and exhibits, and blocks with similar names.

use std::ops::Range;

/// A fenced block that is a claim or an exhibit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// Claim or exhibit.
    pub kind: BlockKind,
    /// The whole block, without the line end behind it.
    pub range: Range<usize>,
    /// The info string behind the first word.
    pub info: Range<usize>,
    /// The lines of its body, without what encloses them (quote marks, indentation).
    pub body: Vec<Range<usize>>,
}

impl Block {
    /// The lines of its body in `source` that are not blank, trimmed, with their places.
    pub fn lines(&self, source: &str) -> Vec<(String, Range<usize>)> {
        let pieces = self.body.iter().flat_map(|piece| {
            let lines = source[piece.clone()].split_inclusive('\n');
            lines.scan(piece.start, |at, line| {
                let start = *at;
                *at += line.len();
                let trimmed = line.trim();
                let lead = line.len() - line.trim_start().len();
                let place = start + lead..start + lead + trimmed.len();
                Some((trimmed.to_owned(), place))
            })
        });
        pieces.filter(|(line, _)| !line.is_empty()).collect()
    }
}

/// The kind of a fenced block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BlockKind {
    /// `qed-claim`.
    Claim,
    /// `qed-exhibit`.
    Exhibit,
}

/// The first word of the block at `range`, or the first two, if it is called as if it were ours and is not.
pub(super) fn find_misnamed(text: &str, range: Range<usize>) -> Option<Range<usize>> {
    let line = text[range.clone()].lines().next()?;
    let words = line.trim_start_matches(['`', '~']).trim_start();
    let word = words.split_whitespace().next()?;
    let start = range.start + (line.len() - words.len());
    let lower = word.to_ascii_lowercase();
    let kinds = ["claim", "exhibit"];
    // In two words.
    if lower == "qed" {
        let behind = words[word.len()..].trim_start();
        let second = behind.split_whitespace().next().unwrap_or_default();
        let is_kind = kinds.contains(&second.to_ascii_lowercase().as_str());
        let end = words.len() - behind.len() + second.len();
        return Some(start..start + if is_kind { end } else { word.len() });
    }
    let ours = ["qed-claim", "qed-exhibit"].contains(&word);
    let looks_like_ours = lower.starts_with("qed-")
        || lower.starts_with("qed_")
        || kinds.contains(&lower.strip_prefix("qed").unwrap_or(&lower));
    (!ours && looks_like_ours).then(|| start..start + word.len())
}

/// The claim or exhibit at `range`, if it is one; its opening line is read from the raw text.
pub(super) fn parse_block(text: &str, range: Range<usize>) -> Option<Block> {
    let text = text[range.clone()].trim_end_matches(['\n', '\r']);
    let range = range.start..range.start + text.len();
    let fence = text.chars().next().filter(|c| matches!(c, '`' | '~'))?;
    let line = text.lines().next()?;
    let after_fence = line.trim_start_matches(fence);
    let words = after_fence.trim_start();
    let first = words.split_whitespace().next()?;
    let kind = match first {
        "qed-claim" => BlockKind::Claim,
        "qed-exhibit" => BlockKind::Exhibit,
        _ => return None,
    };
    let info = range.start + (line.len() - words.len()) + first.len();
    Some(Block {
        kind,
        info: info..range.start + line.len(),
        range,
        body: Vec::new(),
    })
}

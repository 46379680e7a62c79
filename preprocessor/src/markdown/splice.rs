//! Replacement by byte offset: text outside the edits is unchanged.

use std::ops::Range;

/// Bytes to replace, and by what. An empty range inserts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edit {
    /// The bytes to replace.
    pub range: Range<usize>,
    /// By what.
    pub text: String,
}

/// Apply edits that do not overlap, in any order; of several insertions at one place the first goes first.
///
/// # Panics
/// If edits overlap: that would be a mistake in this crate.
pub fn apply(text: &str, edits: Vec<Edit>) -> String {
    apply_with_insertions(text, edits).0
}

/// The same, with the places of the insertions in the new text, in order.
///
/// # Panics
/// If edits overlap: that would be a mistake in this crate.
pub fn apply_with_insertions(text: &str, mut edits: Vec<Edit>) -> (String, Vec<Range<usize>>) {
    edits.sort_by_key(|edit| (edit.range.start, edit.range.end));
    let grown: usize = edits.iter().map(|edit| edit.text.len()).sum();
    let mut out = String::with_capacity(text.len() + grown);
    let mut written = Vec::with_capacity(edits.len());
    let mut at = 0;
    for edit in &edits {
        assert!(
            edit.range.start >= at,
            "edits overlap at byte {}",
            edit.range.start
        );
        out.push_str(&text[at..edit.range.start]);
        let start = out.len();
        out.push_str(&edit.text);
        written.push(start..out.len());
        at = edit.range.end;
    }
    out.push_str(&text[at..]);
    (out, written)
}

/// The prefix of every further line of a block that replaces the one at `start`: the quote marks and
/// the indentation of its own line, with list markers turned into spaces.
pub fn line_prefix(text: &str, start: usize) -> String {
    let line = text[..start].rfind('\n').map_or(0, |n| n + 1);
    text[line..start]
        .chars()
        .map(|c| if matches!(c, '>' | '\t') { c } else { ' ' })
        .collect()
}

/// The edit that puts one line of HTML in the place of a block. HTML in Markdown ends at a blank line: one is
/// added where the author left none.
pub fn html_block_edit(text: &str, range: Range<usize>, html: &str) -> Edit {
    let prefix = line_prefix(text, range.start);
    let next = text[range.end..]
        .trim_start_matches('\r')
        .strip_prefix('\n');
    let next = next.and_then(|rest| rest.lines().next()).unwrap_or("");
    let blank = next.chars().all(|c| c.is_whitespace() || c == '>');
    let gap = if blank {
        String::new()
    } else {
        format!("\n{}", prefix.trim_end())
    };
    Edit {
        range,
        text: format!("{html}{gap}"),
    }
}

/// The edit that puts a block of plain text in the place of a block, as a fence.
pub fn text_block_edit(text: &str, range: Range<usize>, content: &str) -> Edit {
    let prefix = line_prefix(text, range.start);
    let longest = content.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest.max(2) + 1);
    let mut out = format!("{fence}text");
    for line in content.lines().chain([fence.as_str()]) {
        out.push('\n');
        out.push_str(&prefix);
        out.push_str(line);
    }
    Edit { range, text: out }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Check that blocks keep the quote or list that they stand in, and never swallow the next paragraph.
    #[test]
    fn blocks_stay_in_their_container() {
        let text = "> - ```x\n>   ```\n> next\n";
        let range = text.find("```x").unwrap()..text.find("\n> next").unwrap();
        assert_eq!(line_prefix(text, range.start), ">   ");
        let edit = html_block_edit(text, range.clone(), "<div></div>");
        assert_eq!(apply(text, vec![edit]), "> - <div></div>\n>\n> next\n");
        let edit = text_block_edit(text, range, "a ``` b\nc");
        assert_eq!(
            apply(text, vec![edit]),
            "> - ````text\n>   a ``` b\n>   c\n>   ````\n> next\n"
        );
    }

    proptest! {
        /// Check that all bytes between edits stay.
        #[test]
        fn keeps_the_rest(pieces in proptest::collection::vec(("[a-z\r\n{}\\\\]{0,6}", any::<bool>()), 0..12)) {
            let mut text = String::new();
            let mut edits = Vec::new();
            let mut expected = String::new();
            for (piece, replaced) in &pieces {
                let start = text.len();
                text.push_str(piece);
                if *replaced {
                    edits.push(Edit { range: start..text.len(), text: "XY".into() });
                    expected.push_str("XY");
                } else {
                    expected.push_str(piece);
                }
            }
            // Insertions at the very start of a replaced range keep their order.
            prop_assume!(pieces.windows(2).all(|p| !(p[0].1 && p[0].0.is_empty() && p[1].1)));
            prop_assert_eq!(apply(&text, edits), expected);
        }
    }
}

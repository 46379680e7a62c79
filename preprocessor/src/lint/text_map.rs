//! A chapter as a reader sees it: stretches of text with their places, and the marks that an author puts before them.
//!
//! A mark is a comment that stands alone: `<!-- qed:literal REASON -->` says that the paragraph or block after it quotes text
//! that looks like a measured value on purpose, `<!-- qed:no-claim REASON -->`, anywhere in a chapter, says why the chapter
//! makes no claim.

use std::ops::Range;

use mdbook_markdown::pulldown_cmark::{Event, Tag, TagEnd};
use mdbook_markdown::{MarkdownOptions, new_cmark_parser};
use qed_evidence::diagnostic::nearest;

use crate::markdown::structure::mask_placeholders;
use crate::markdown::syntax::SyntaxError;

/// A stretch of text that is read in one go: a paragraph, a heading, a table cell, a block of code.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Stretch {
    /// The text that is read; placeholders are letters.
    pub text: String,
    /// A byte of the text and its byte in the chapter, ascending, for each piece without markup.
    pieces: Vec<(usize, usize)>,
    /// True for a block of code.
    pub code: bool,
    /// True if it is beside a link to a line of a source that cannot change; see [`is_permalink`].
    pub cites: bool,
}

impl Stretch {
    /// The bytes of the chapter where these bytes of the text stand.
    pub fn locate(&self, range: &Range<usize>) -> Range<usize> {
        let byte = |at: usize| {
            let before = self.pieces.partition_point(|(text, _)| *text <= at);
            before.checked_sub(1).map_or(at, |index| {
                self.pieces[index].1 + (at - self.pieces[index].0)
            })
        };
        let start = byte(range.start);
        let end = range
            .end
            .checked_sub(1)
            .map_or(start, |last| byte(last) + 1);
        start..end.max(start)
    }

    fn push(&mut self, text: &str, at: usize) {
        self.pieces.push((self.text.len(), at));
        self.text.push_str(text);
    }
}

/// The kinds of marks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MarkKind {
    /// `qed:literal`: the block after it quotes values on purpose.
    Literal,
    /// `qed:no-claim`: the chapter makes no claim on purpose.
    NoClaim,
}

/// Every mark by name.
const MARKS: &[(&str, MarkKind)] = &[
    ("literal", MarkKind::Literal),
    ("no-claim", MarkKind::NoClaim),
];

/// A mark of the author's.
#[derive(Debug, PartialEq, Eq)]
pub struct Mark {
    /// Its kind.
    pub kind: MarkKind,
    /// Its bytes.
    pub range: Range<usize>,
    /// The block after it; empty if there is none in the enclosing element.
    pub covers: Range<usize>,
}

/// A chapter, read.
#[derive(Debug, Default)]
pub struct ChapterText {
    /// Its text, in order.
    pub stretches: Vec<Stretch>,
    /// Its marks, in order.
    pub marks: Vec<Mark>,
    /// HTML and comments, whose content Markdown does not look at.
    pub html: Vec<Range<usize>>,
    /// The first heading.
    pub heading: Option<Range<usize>>,
    /// Marks that cannot be read.
    pub problems: Vec<SyntaxError>,
}

/// True if the text could contain a mark, or a claim inside HTML.
pub fn may_hold_marks(text: &str) -> bool {
    text.contains("qed:") || text.contains("qed-claim")
}

/// True if there is something to read in the text, as far as can be told by its first letter.
pub fn has_text(text: &str) -> bool {
    let first = text.trim_start().chars().next();
    first.is_some_and(|c| c.is_alphanumeric() || c == '#') && text.trim().len() > 1
}

/// Read a chapter in which these (sorted) are its placeholders: no text of the author's.
pub fn read_chapter(
    text: &str,
    placeholders: &[Range<usize>],
    options: &MarkdownOptions,
) -> ChapterText {
    let masked = mask_placeholders(text, placeholders);
    let mut walk = TextWalk {
        text: &masked,
        out: ChapterText::default(),
        open: Stretch::default(),
        links: Vec::new(),
        row: None,
        ours: false,
        pending: Vec::new(),
        block: None,
    };
    for (event, range) in new_cmark_parser(&masked, options).into_offset_iter() {
        walk.handle_event(&event, range);
    }
    walk.close();
    walk.out.marks.append(&mut walk.pending);
    walk.out.marks.sort_by_key(|mark| mark.range.start);
    cite_code(&mut walk.out.stretches);
    walk.out
}

/// True if a link leads to a line of a source that cannot change: its path names a version, a tag or a commit.
pub fn is_permalink(url: &str) -> bool {
    let versioned = |part: &str| {
        let digits = part.strip_prefix('v').unwrap_or(part);
        let version = digits.starts_with(|c: char| c.is_ascii_digit())
            && digits.contains('.')
            && digits
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || ".-_".contains(c));
        let commit = part.len() >= 12 && part.bytes().all(|b| b.is_ascii_hexdigit());
        version || commit
    };
    let Some(rest) = url.strip_prefix("https://").or(url.strip_prefix("http://")) else {
        return false;
    };
    let path = rest.split_once('/').map_or("", |(_, path)| path);
    path.split(['/', '?', '=', '&', '#', ';']).any(versioned)
}

/// A block of code is cited by the stretch before or after it.
fn cite_code(stretches: &mut [Stretch]) {
    for index in 0..stretches.len() {
        if !stretches[index].code {
            continue;
        }
        let beside = [index.checked_sub(1), Some(index + 1)];
        stretches[index].cites = beside
            .into_iter()
            .flatten()
            .filter_map(|other| stretches.get(other))
            .any(|other| !other.code && other.cites);
    }
}

struct TextWalk<'a> {
    text: &'a str,
    out: ChapterText,
    open: Stretch,
    /// Open links and images; whether each is a citation.
    links: Vec<bool>,
    /// The first stretch of the table row that is open.
    row: Option<usize>,
    /// Inside a claim or an exhibit.
    ours: bool,
    /// Marks that wait for their block.
    pending: Vec<Mark>,
    /// The HTML block that is open.
    block: Option<Range<usize>>,
}

impl TextWalk<'_> {
    fn handle_event(&mut self, event: &Event<'_>, range: Range<usize>) {
        match event {
            Event::Start(tag) => self.handle_start(tag, range),
            Event::End(tag) => self.handle_end(*tag),
            Event::Text(_) | Event::Code(_) => self.handle_text(range),
            Event::SoftBreak | Event::HardBreak => self.open.push("\n", range.start),
            Event::InlineHtml(html) => {
                self.out.html.push(range.clone());
                if html.trim_start().starts_with("<!--") && mark_name(html).is_some() {
                    self.out.problems.push(SyntaxError::new(
                        range,
                        "put the mark on its own line, before the block that it applies to",
                        None,
                    ));
                }
            }
            Event::Html(_) => {
                if let Some(block) = &mut self.block {
                    block.end = block.end.max(range.end);
                }
            }
            _ => {}
        }
    }

    /// Take in running text. A link's text is the name of its target, so the text of a citation is not checked.
    fn handle_text(&mut self, range: Range<usize>) {
        if !self.ours && !self.links.contains(&true) {
            self.open.push(&self.text[range.clone()], range.start);
        }
    }

    fn handle_start(&mut self, tag: &Tag<'_>, range: Range<usize>) {
        match tag {
            Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. } => {
                let cites = is_permalink(dest_url);
                self.open.cites |= cites;
                self.links.push(cites);
                return;
            }
            Tag::Emphasis
            | Tag::Strong
            | Tag::Strikethrough
            | Tag::Superscript
            | Tag::Subscript => return,
            _ => {}
        }
        self.close();
        if !matches!(tag, Tag::HtmlBlock) || mark_name(&self.text[range.clone()]).is_none() {
            for mut mark in self.pending.drain(..) {
                mark.covers = range.clone();
                self.out.marks.push(mark);
            }
        }
        match tag {
            Tag::Heading { .. } if self.out.heading.is_none() => self.out.heading = Some(range),
            Tag::TableRow | Tag::TableHead => self.row = Some(self.out.stretches.len()),
            Tag::HtmlBlock => self.block = Some(range),
            Tag::CodeBlock(_) => {
                self.open.code = true;
                let info = self.text[range].trim_start_matches(['`', '~']).trim_start();
                self.ours = info.starts_with("qed-claim") || info.starts_with("qed-exhibit");
            }
            _ => {}
        }
    }

    fn handle_end(&mut self, tag: TagEnd) {
        match tag {
            TagEnd::Link | TagEnd::Image => {
                self.links.pop();
                return;
            }
            TagEnd::Emphasis
            | TagEnd::Strong
            | TagEnd::Strikethrough
            | TagEnd::Superscript
            | TagEnd::Subscript => return,
            TagEnd::HtmlBlock => {
                if let Some(block) = self.block.take() {
                    self.handle_html(block);
                }
            }
            _ => {}
        }
        self.close();
        if matches!(tag, TagEnd::TableRow | TagEnd::TableHead)
            && let Some(first) = self.row.take()
        {
            let row = &mut self.out.stretches[first..];
            let cites = row.iter().any(|cell| cell.cites);
            row.iter_mut().for_each(|cell| cell.cites |= cites);
        }
    }

    /// Take in a block of HTML: a mark, or text between tags.
    fn handle_html(&mut self, block: Range<usize>) {
        let text = &self.text[block.clone()];
        if let Some(name) = mark_name(text) {
            let range = block.start..block.start + text.trim_end().len();
            match read_mark(text, name) {
                Ok(kind) => self.pending.push(Mark {
                    kind,
                    covers: range.end..range.end,
                    range,
                }),
                Err((message, help)) => {
                    let error = SyntaxError::new(range, message, help);
                    self.out.problems.push(error);
                }
            }
            return;
        }
        self.out.html.push(block.clone());
        for piece in crate::markdown::html::text_pieces(text) {
            let at = block.start + piece.start;
            if !self.open.text.is_empty() {
                self.open.push(" ", at);
            }
            self.open.push(&text[piece], at);
        }
    }

    fn close(&mut self) {
        let done = std::mem::take(&mut self.open);
        self.ours = false;
        if !done.text.is_empty() || done.cites {
            self.out.stretches.push(done);
        }
    }
}

/// The name behind `qed:` if the text begins with a comment that is meant as a mark.
fn mark_name(text: &str) -> Option<&str> {
    let inner = text.trim_start().strip_prefix("<!--")?.trim_start();
    let rest = inner.strip_prefix("qed:")?;
    let end = rest
        .find(|c: char| !(c.is_ascii_alphanumeric() || c == '-' || c == '_'))
        .unwrap_or(rest.len());
    Some(&rest[..end])
}

/// Read a mark. The error is a message and what to do.
fn read_mark(text: &str, name: &str) -> Result<MarkKind, (String, Option<String>)> {
    let Some((_, says)) = MARKS.iter().find(|(known, _)| *known == name) else {
        let known = MARKS.iter().map(|(known, _)| *known);
        let help = match nearest(name, known) {
            Some(near) => format!("did you mean `qed:{near}`?"),
            None => "there is qed:literal and qed:no-claim".to_owned(),
        };
        return Err((format!("no mark `qed:{name}`"), Some(help)));
    };
    let Some((comment, behind)) = text.split_once("-->") else {
        return Err((
            "the mark's comment has no end".into(),
            Some("close it with `-->`".into()),
        ));
    };
    if !behind.trim().is_empty() {
        return Err((
            "text stands behind the mark in its line, where Markdown takes it for HTML".into(),
            Some("begin a new line behind `-->`".into()),
        ));
    }
    let reason = comment.split_once(name).map_or("", |(_, reason)| reason);
    if reason.trim().is_empty() {
        let example = match says {
            MarkKind::Literal => "<!-- qed:literal quoted from the first edition -->",
            MarkKind::NoClaim => "<!-- qed:no-claim a list of words -->",
        };
        return Err((
            format!("the mark `qed:{name}` gives no reason"),
            Some(format!(
                "say why, for whoever reads the chapter next: {example}"
            )),
        ));
    }
    Ok(*says)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reading(text: &str) -> ChapterText {
        read_chapter(text, &[], &MarkdownOptions::default())
    }

    /// Check that each block is one stretch without its markup, that a place in it leads back to the chapter, and that
    /// claims, destinations, comments and what citations are called are left out.
    #[test]
    fn stretches() {
        let text = "# A *b*\n\n> one `two`\n> [three](http://x/0xff) <!-- four -->\n\n|a|b|\n|-|-|\n|c|d|\n\n\
                    ```c\ne\nf\n```\n\n```qed-claim g\nh\n```\n\n<p title=\"i\">j</p>\n\n\
                    see [k.c:1](https://e.org/linux/v6.1/source/k.c#L1) l\n";
        let found = reading(text);
        let texts: Vec<&str> = found.stretches.iter().map(|s| s.text.as_str()).collect();
        assert_eq!(
            texts,
            [
                "A b",
                "one `two`\nthree ",
                "a",
                "b",
                "c",
                "d",
                "e\nf\n",
                "j \n",
                "see  l"
            ]
        );
        let second = &found.stretches[1];
        let at = second.text.find("three").unwrap();
        assert_eq!(&text[second.locate(&(at..at + 5))], "three");
        assert_eq!(found.stretches.last().map(|s| s.cites), Some(true));
        assert_eq!(found.stretches.iter().filter(|s| s.cites).count(), 1);
    }

    /// Check what pins a link to one text, and that a row and a block of code are cited by what stands beside it.
    #[test]
    fn citations() {
        for good in [
            "https://elixir.bootlin.com/linux/v6.12.117/source/net/socket.c#L53",
            "https://git.kernel.org/pub/scm/linux/kernel/git/torvalds/linux.git/tree/a.c?h=v6.1",
            "https://github.com/torvalds/linux/blob/0123456789abcdef0123/net/socket.c",
        ] {
            assert!(is_permalink(good), "{good}");
        }
        for bad in [
            "https://elixir.bootlin.com/linux/latest/source/net/socket.c",
            "https://github.com/torvalds/linux/blob/master/net/socket.c",
            "kaslr.md",
            "https://v6.1.example.org/",
        ] {
            assert!(!is_permalink(bad), "{bad}");
        }
        let link = "[s](https://e.org/v6.1/s.c)";
        let cited = |text: &str| {
            reading(text)
                .stretches
                .iter()
                .map(|s| s.cites)
                .collect::<Vec<_>>()
        };
        assert_eq!(
            cited(&format!("|a|b|\n|-|-|\n|c|{link}|\n")),
            [false, false, true, true]
        );
        assert_eq!(
            cited(&format!("{link}\n\n```c\nx\n```\n\ny\n")),
            [true, true, false]
        );
        assert_eq!(cited(&format!("```c\nx\n```\n\n{link}\n")), [true, true]);
    }

    /// Check that a mark covers the block behind it, whatever that is, and one at the end covers nothing.
    #[test]
    fn marks() {
        for (text, covered) in [
            ("<!-- qed:literal r -->\nab\n\ncd\n", "ab\n"),
            ("<!-- qed:literal r -->\n\n```c\nab\n```\n", "```c\nab\n```"),
            ("<!--qed:literal two\nlines-->\n- a\n- b\n", "- a\n- b\n"),
            ("- x\n\n  <!-- qed:literal r -->\n\n  y\n", "y\n"),
            ("<!-- qed:literal r -->\n<p>a</p>\n", "<p>a</p>\n"),
            ("<!-- qed:literal r -->\n|a|\n|-|\n|b|\n", "|a|\n|-|\n|b|\n"),
            ("x\n\n<!-- qed:literal r -->\n", ""),
        ] {
            let found = reading(text);
            assert!(found.problems.is_empty(), "{text}: {:?}", found.problems);
            assert_eq!(found.marks.len(), 1, "{text}");
            assert_eq!(&text[found.marks[0].covers.clone()], covered, "{text}");
        }
        let both = reading("<!-- qed:no-claim r -->\n<!-- qed:literal r -->\nx\n");
        assert_eq!(
            both.marks.iter().map(|mark| mark.kind).collect::<Vec<_>>(),
            [MarkKind::NoClaim, MarkKind::Literal]
        );
        assert!(both.marks.iter().all(|mark| !mark.covers.is_empty()));
    }

    /// Check that a misspelt mark is refused with what to do.
    #[test]
    fn bad_marks() {
        for (text, word) in [
            ("<!-- qed:literal -->\nx\n", "no reason"),
            ("<!-- qed:litteral r -->\nx\n", "no mark `qed:litteral`"),
            ("<!-- qed:literal r --> x\n", "behind the mark"),
            ("<!-- qed:literal r\nx\n", "no end"),
            ("x <!-- qed:literal r --> y\n", "on its own line"),
        ] {
            let found = reading(text);
            assert_eq!((found.problems.len(), found.marks.len()), (1, 0), "{text}");
            assert!(
                found.problems[0].message.contains(word),
                "{:?}",
                found.problems
            );
        }
    }
}

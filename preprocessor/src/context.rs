//! Where in a chapter each placeholder stands, as mdBook's own Markdown parser sees it.

use std::ops::Range;

use mdbook_markdown::pulldown_cmark::{CodeBlockKind, Event, LinkType, Tag, TagEnd};
use mdbook_markdown::{MarkdownOptions, new_cmark_parser};

use crate::html;

/// The place of a placeholder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Context {
    /// Running text: paragraph, list, quote, table cell.
    Prose {
        /// Inside the text of a link.
        in_link: bool,
    },
    /// A code span.
    CodeSpan {
        /// The whole span with its backticks.
        span: Range<usize>,
        /// Inside a table cell.
        in_table: bool,
        /// Inside the text of a link.
        in_link: bool,
    },
    /// A fenced or indented code block.
    CodeBlock,
    /// The destination of a link or an image.
    Destination,
    /// The title of a link, or the description of an image: text that takes no markup.
    PlainText,
    /// Raw HTML, see [`html::Place`].
    Html(html::Place),
    /// A place where no value may stand, and why.
    Refused(&'static str),
}

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

/// What a fenced block is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BlockKind {
    /// `qed-claim`.
    Claim,
    /// `qed-exhibit`.
    Exhibit,
}

/// The structure of a chapter as far as it matters here.
#[derive(Debug, Default)]
pub struct Structure {
    /// One per placeholder, in the same order.
    pub contexts: Vec<Context>,
    /// Claims and exhibits in order.
    pub blocks: Vec<Block>,
    /// The first heading, if nothing stands before it.
    pub first_heading: Option<Range<usize>>,
}

/// The structure of `text`, where `placeholders` (sorted) stand for something that is not there yet: they are
/// parsed as if each were a word, because what they hold (quotes, spaces) is not what will stand there.
pub fn structure(
    text: &str,
    placeholders: &[Range<usize>],
    options: &MarkdownOptions,
) -> Structure {
    let masked = mask(text, placeholders);
    let mut walk = Walk {
        text: &masked,
        placeholders,
        contexts: vec![None; placeholders.len()],
        next: 0,
        out: Structure::default(),
        in_heading: 0,
        in_table: 0,
        links: Vec::new(),
        link_ranges: Vec::new(),
        images: 0,
        code: None,
        html: None,
        depth: 0,
        seen_any: false,
    };
    let parser = new_cmark_parser(&masked, options);
    let definitions: Vec<Range<usize>> = parser
        .reference_definitions()
        .iter()
        .map(|(_, d)| d.span.clone())
        .collect();
    for (event, range) in parser.into_offset_iter() {
        walk.event(&event, range);
    }
    walk.finish(&definitions)
}

/// Replaces each placeholder by letters of the same length.
pub fn mask(text: &str, placeholders: &[Range<usize>]) -> String {
    let mut masked = String::with_capacity(text.len());
    let mut at = 0;
    for range in placeholders {
        masked.push_str(&text[at..range.start]);
        masked.extend(std::iter::repeat_n('q', range.len()));
        at = range.end;
    }
    masked.push_str(&text[at..]);
    masked
}

struct Walk<'a> {
    text: &'a str,
    placeholders: &'a [Range<usize>],
    contexts: Vec<Option<Context>>,
    /// All placeholders before this one were in events that are over.
    next: usize,
    out: Structure,
    in_heading: usize,
    in_table: usize,
    links: Vec<LinkType>,
    link_ranges: Vec<Range<usize>>,
    images: usize,
    code: Option<Option<Block>>,
    html: Option<Range<usize>>,
    depth: usize,
    seen_any: bool,
}

impl Walk<'_> {
    fn event(&mut self, event: &Event<'_>, range: Range<usize>) {
        if self.depth == 0 && !self.seen_any {
            if let Event::Start(Tag::Heading { .. }) = event {
                self.out.first_heading = Some(range.clone());
            }
            self.seen_any = true;
        }
        match event {
            Event::Start(tag) => {
                self.depth += 1;
                self.start(tag, range);
            }
            Event::End(tag) => {
                self.depth -= 1;
                self.end(*tag);
            }
            Event::Text(_) => match &mut self.code {
                Some(Some(block)) => block.body.push(range),
                Some(None) => self.assign(&range, |_, _| Context::CodeBlock),
                None => self.assign(&range, |walk, _| walk.text_context()),
            },
            Event::Code(_) => {
                let span = range.clone();
                self.assign(&range, |walk, _| match walk.text_context() {
                    Context::Prose { in_link } => Context::CodeSpan {
                        span: span.clone(),
                        in_table: walk.in_table > 0,
                        in_link,
                    },
                    other => other,
                });
            }
            Event::InlineHtml(_) => self.assign_html(&range),
            Event::Html(_) => {
                // All lines of a block are looked at together when it ends.
                if let Some(block) = &mut self.html {
                    block.end = block.end.max(range.end);
                } else {
                    self.assign_html(&range);
                }
            }
            _ => {}
        }
    }

    fn text_context(&self) -> Context {
        if self.in_heading > 0 {
            Context::Refused(
                "a measured value in a heading would move the heading's anchor with every build",
            )
        } else if self.images > 0 {
            Context::PlainText
        } else if self
            .links
            .iter()
            .any(|l| matches!(l, LinkType::Autolink | LinkType::Email))
        {
            Context::Destination
        } else {
            Context::Prose {
                in_link: !self.links.is_empty(),
            }
        }
    }

    /// Gives a context to all placeholders inside `range` that have none yet.
    fn assign(&mut self, range: &Range<usize>, context: impl Fn(&Self, &Range<usize>) -> Context) {
        let all = self.placeholders;
        while self.next < all.len() && all[self.next].end <= range.start {
            self.next += 1;
        }
        // Footnote definitions and table heads do not always come in the order of the text.
        if self.next > 0 && all[self.next - 1].start >= range.start {
            self.next = all.partition_point(|p| p.start < range.start);
        }
        for (index, placeholder) in all.iter().enumerate().skip(self.next) {
            if placeholder.start >= range.end {
                break;
            }
            if placeholder.end <= range.end && self.contexts[index].is_none() {
                self.contexts[index] = Some(context(self, placeholder));
            }
        }
    }

    fn assign_html(&mut self, range: &Range<usize>) {
        if self.in_heading > 0 {
            return self.assign(range, |walk, _| walk.text_context());
        }
        let places = html::places(self.text, range.clone(), self.placeholders);
        self.assign(range, |_, placeholder| {
            let place = places.binary_search_by_key(&placeholder.start, |(start, _)| *start);
            match place.map(|index| &places[index].1) {
                Ok(Ok(place)) => Context::Html(place.clone()),
                Ok(Err(why)) => Context::Refused(why),
                Err(_) => Context::Refused("this place in the HTML could not be understood"),
            }
        });
    }

    fn start(&mut self, tag: &Tag<'_>, range: Range<usize>) {
        match tag {
            Tag::Heading { .. } => self.in_heading += 1,
            Tag::TableCell => self.in_table += 1,
            Tag::Link { link_type, .. } => {
                self.links.push(*link_type);
                self.link_ranges.push(range);
            }
            Tag::Image { .. } => {
                self.images += 1;
                self.link_ranges.push(range);
            }
            Tag::HtmlBlock => self.html = Some(range),
            Tag::CodeBlock(kind) => {
                let block = match kind {
                    CodeBlockKind::Fenced(_) => self.block(range),
                    CodeBlockKind::Indented => None,
                };
                self.code = Some(block);
            }
            _ => {}
        }
    }

    fn end(&mut self, tag: TagEnd) {
        match tag {
            TagEnd::Heading(_) => self.in_heading -= 1,
            TagEnd::TableCell => self.in_table -= 1,
            TagEnd::Link => {
                self.links.pop();
            }
            TagEnd::Image => self.images -= 1,
            TagEnd::HtmlBlock => {
                if let Some(range) = self.html.take() {
                    self.assign_html(&range);
                }
            }
            TagEnd::CodeBlock => {
                if let Some(Some(block)) = self.code.take() {
                    self.assign(&block.range.clone(), |_, _| {
                        Context::Refused(
                            "a claim or exhibit names values by their paths, without braces",
                        )
                    });
                    self.out.blocks.push(block);
                }
            }
            _ => {}
        }
    }

    /// The claim or exhibit at `range`, if it is one; its opening line is read from the raw text.
    fn block(&self, range: Range<usize>) -> Option<Block> {
        let text = self.text[range.clone()].trim_end_matches(['\n', '\r']);
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

    fn finish(mut self, definitions: &[Range<usize>]) -> Structure {
        let inside = |ranges: &[Range<usize>], p: &Range<usize>| {
            ranges
                .iter()
                .rev()
                .find(|r| r.start <= p.start && p.end <= r.end)
                .cloned()
        };
        for (index, context) in self.contexts.iter_mut().enumerate() {
            if context.is_some() {
                continue;
            }
            let placeholder = &self.placeholders[index];
            let link = inside(&self.link_ranges, placeholder).or(inside(definitions, placeholder));
            *context = Some(match link {
                Some(link) => destination_or_title(&self.text[link.start..placeholder.start]),
                None => Context::Refused(
                    "this is neither text nor code nor an attribute (perhaps the info string of a \
                     code block, or a name that Markdown uses itself)",
                ),
            });
        }
        self.out.contexts = self.contexts.into_iter().flatten().collect();
        self.out
    }
}

/// Tells a link's title from its destination by what stands before: ` "`, ` '` or ` (` opens a title.
fn destination_or_title(before: &str) -> Context {
    let begin = before
        .rfind("](")
        .or(before.rfind("]:"))
        .map_or(0, |at| at + 2);
    let rest = before[begin..].trim_start();
    let title = [" \"", " '", " (", "\t\"", "\n\"", "\n'"]
        .iter()
        .any(|open| rest.contains(open));
    if title {
        Context::PlainText
    } else {
        Context::Destination
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::syntax::{Found, find};

    fn contexts(text: &str) -> Vec<Context> {
        let placeholders: Vec<_> = find(text)
            .into_iter()
            .filter_map(|f| match f {
                Found::Placeholder(range) => Some(range),
                _ => None,
            })
            .collect();
        structure(text, &placeholders, &MarkdownOptions::default()).contexts
    }

    /// Check that each kind of place is recognised, although placeholders hold spaces and quotes.
    #[test]
    fn places() {
        let prose = Context::Prose { in_link: false };
        for (text, expected) in [
            ("a {{qed x as=\"hex\"}} b", prose.clone()),
            ("- {{qed x}}", prose.clone()),
            ("> *{{qed x}}*", prose.clone()),
            ("|a|\n|-|\n|{{qed x}}|\n", prose.clone()),
            ("[{{qed x}}](y)", Context::Prose { in_link: true }),
            ("[y](http://a/{{qed x}})", Context::Destination),
            ("<http://a/{{qed x}}>", Context::Destination),
            ("[y]\n\n[y]: http://a/{{qed x}}\n", Context::Destination),
            ("[y](a \"t {{qed x}}\")", Context::PlainText),
            ("![{{qed x}}](y)", Context::PlainText),
            ("```c\n{{qed x}}\n```\n", Context::CodeBlock),
            ("    {{qed x}}\n", Context::CodeBlock),
            (
                "<b title=\"{{qed x}}\">",
                Context::Html(html::Place::Attribute { quoted: true }),
            ),
            (
                "<div>\n{{qed x}}\n</div>\n",
                Context::Html(html::Place::Text { plain: false }),
            ),
            ("<a href=\"{{qed x}}\">", Context::Html(html::Place::Url)),
            ("<!-- {{qed x}} -->", Context::Html(html::Place::Comment)),
        ] {
            assert_eq!(contexts(text), [expected], "{text}");
        }
        for refused in [
            "# a {{qed x}}",
            "a {{qed x}}\n===\n",
            "```{{qed x}}\n```\n",
            "<script>\n{{qed x}}\n</script>",
            "<b onclick=\"{{qed x}}\">",
            "```qed-claim a\n{{qed x}}\n```",
            "<{{qed x}}>",
        ] {
            assert!(
                matches!(contexts(refused)[..], [Context::Refused(_)]),
                "{refused}: {:?}",
                contexts(refused)
            );
        }
        let Context::CodeSpan { span, in_table, .. } =
            &contexts("|a|\n|-|\n| `a {{qed x}}` |\n")[0]
        else {
            panic!("not a code span");
        };
        assert_eq!((span.clone(), *in_table), (10..23, true));
    }

    /// Check that claims and exhibits are found with their info string and body, also in lists and quotes.
    #[test]
    fn blocks() {
        let text =
            "> ```qed-claim an_id when=\"a\"\n> x ==\n>   y\n> ```\n\n~~~ qed-exhibit b\n~~~\n";
        let found = structure(text, &[], &MarkdownOptions::default()).blocks;
        assert_eq!(found.len(), 2);
        assert_eq!(found[0].kind, BlockKind::Claim);
        assert_eq!(&text[found[0].info.clone()], " an_id when=\"a\"");
        let body: Vec<&str> = found[0].body.iter().map(|r| &text[r.clone()]).collect();
        assert_eq!(body.concat(), "x ==\n  y\n");
        assert_eq!(
            &text[found[0].range.clone()],
            "```qed-claim an_id when=\"a\"\n> x ==\n>   y\n> ```"
        );
        assert_eq!(&text[found[1].info.clone()], " b");
        assert!(
            structure("```c\n```qed-claim\n", &[], &MarkdownOptions::default())
                .blocks
                .is_empty()
        );
    }
}

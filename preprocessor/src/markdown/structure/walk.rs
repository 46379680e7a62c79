//! The walk over the events of mdBook's own Markdown parser, which gives each placeholder its context.

use std::ops::Range;

use mdbook_markdown::pulldown_cmark::{CodeBlockKind, Event, LinkType, Tag, TagEnd};

use crate::markdown::html_context;
use crate::markdown::html_rules::HtmlFindings;
use crate::markdown::math::MathState;
use crate::markdown::placeholder_context::PlaceholderContext;
use crate::markdown::structure::fence::{self, Block};

/// The structure of a chapter as far as it matters here.
#[derive(Debug, Default)]
pub struct ChapterStructure {
    /// One per placeholder, in the same order.
    pub contexts: Vec<PlaceholderContext>,
    /// Claims and exhibits in order.
    pub blocks: Vec<Block>,
    /// The first heading, if nothing stands before it.
    pub first_heading: Option<Range<usize>>,
    /// The first words of blocks that are called as if they were ours, and are not: `qed-clam`.
    pub misnamed_blocks: Vec<Range<usize>>,
    /// The complaints about raw HTML.
    pub html: HtmlFindings,
}

/// The state of the walk between two events.
pub(super) struct ContextWalk<'a> {
    text: &'a str,
    placeholders: &'a [Range<usize>],
    contexts: Vec<Option<PlaceholderContext>>,
    /// All placeholders before this one were in events that are over.
    next: usize,
    out: ChapterStructure,
    in_heading: usize,
    in_table: usize,
    in_term: usize,
    links: Vec<LinkType>,
    link_ranges: Vec<Range<usize>>,
    images: usize,
    code: Option<Option<Block>>,
    html: Option<Range<usize>>,
    /// Elements of raw HTML that are open.
    open: html_context::OpenElements,
    /// For what Markdown has open, how many elements were open before it.
    containers: Vec<usize>,
    math: Option<MathState>,
    seen_any: bool,
}

impl<'a> ContextWalk<'a> {
    /// A walk that has seen nothing yet of `text`, whose `placeholders` (sorted) are masked.
    pub(super) fn new(text: &'a str, placeholders: &'a [Range<usize>], math: bool) -> Self {
        ContextWalk {
            text,
            placeholders,
            contexts: vec![None; placeholders.len()],
            next: 0,
            out: ChapterStructure::default(),
            in_heading: 0,
            in_table: 0,
            in_term: 0,
            links: Vec::new(),
            link_ranges: Vec::new(),
            images: 0,
            code: None,
            html: None,
            open: html_context::OpenElements::default(),
            containers: Vec::new(),
            math: math.then(MathState::default),
            seen_any: false,
        }
    }

    /// Take the next event, at `range`.
    pub(super) fn handle_event(&mut self, event: &Event<'_>, range: Range<usize>) {
        if self.containers.is_empty() && !self.seen_any {
            if let Event::Start(Tag::Heading { .. }) = event {
                self.out.first_heading = Some(range.clone());
            }
            self.seen_any = true;
        }
        match event {
            Event::Start(tag) => {
                self.containers.push(self.open.depth());
                self.handle_start(tag, range);
            }
            Event::End(tag) => {
                let open = self.containers.pop();
                if let (Some(depth), false) = (open, *tag == TagEnd::HtmlBlock) {
                    self.open.close(depth);
                }
                self.handle_end(*tag);
            }
            Event::Text(text) => match &mut self.code {
                Some(Some(block)) => block.body.push(range),
                Some(None) => self.assign(&range, |_, _| PlaceholderContext::CodeBlock),
                None => self.handle_text(&range, text),
            },
            Event::Code(_) => {
                let span = range.clone();
                self.assign(&range, |walk, _| {
                    let (in_link, bare) = match walk.text_context() {
                        PlaceholderContext::Prose { in_link, .. } => (in_link, false),
                        PlaceholderContext::PlainText | PlaceholderContext::Html(_) => (true, true),
                        other => return other,
                    };
                    PlaceholderContext::CodeSpan {
                        in_table: walk.in_table > 0,
                        bare,
                        span: span.clone(),
                        in_link,
                    }
                });
            }
            Event::InlineHtml(_) => self.assign_html(&range, html_context::find_positions_in_tag),
            Event::Html(_) => {
                // All lines of a block are looked at together when it ends.
                if let Some(block) = &mut self.html {
                    block.end = block.end.max(range.end);
                } else {
                    self.assign_html(&range, html_context::find_positions);
                }
            }
            _ => {}
        }
    }

    /// Running text at `range`; `text` is what the reader sees of it.
    fn handle_text(&mut self, range: &Range<usize>, text: &str) {
        let Some(mut math) = self.math.take() else {
            return self.assign(range, |walk, _| walk.text_context());
        };
        let first = self.placeholders.partition_point(|p| p.start < range.start);
        let inside = self.placeholders[first..]
            .iter()
            .take_while(|p| p.end <= range.end);
        let mut at = range.start;
        let mut formulas = Vec::new();
        for placeholder in inside {
            math.feed(&self.text[at..placeholder.start]);
            formulas.extend(math.is_open().then_some(placeholder.start));
            at = placeholder.end;
        }
        // Without a placeholder, what is read is the text without the author's backslashes.
        math.feed(if at == range.start {
            text
        } else {
            &self.text[at..range.end]
        });
        self.math = Some(math);
        self.assign(range, |walk, placeholder| match walk.text_context() {
            PlaceholderContext::Prose { .. } if formulas.contains(&placeholder.start) => {
                PlaceholderContext::Math
            }
            other => other,
        });
    }

    fn text_context(&self) -> PlaceholderContext {
        if self.in_heading > 0 {
            PlaceholderContext::Refused(
                "a measured value in a heading would move the heading's anchor with every build",
            )
        } else if self.in_term > 0 {
            PlaceholderContext::Refused(
                "a measured value in a defined term would move the term's anchor with every build",
            )
        } else if self.images > 0 {
            PlaceholderContext::PlainText
        } else if self
            .links
            .iter()
            .any(|l| matches!(l, LinkType::Autolink | LinkType::Email))
        {
            PlaceholderContext::Destination
        } else {
            match self.open.text_position() {
                Err(place) => PlaceholderContext::Refused(place.reason()),
                Ok(html_context::HtmlPosition::Text { plain: true }) if !self.open.is_in_link() => {
                    PlaceholderContext::Html(html_context::HtmlPosition::Text { plain: true })
                }
                Ok(_) => PlaceholderContext::Prose {
                    in_link: !self.links.is_empty() || self.open.is_in_link(),
                    bare: false,
                },
            }
        }
    }

    /// Give a context to all placeholders inside `range` that have none yet.
    fn assign(
        &mut self,
        range: &Range<usize>,
        context: impl Fn(&Self, &Range<usize>) -> PlaceholderContext,
    ) {
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

    fn assign_html(&mut self, range: &Range<usize>, find: html_context::FindPositions) {
        if self.in_heading + self.in_term > 0 {
            return self.assign(range, |walk, _| walk.text_context());
        }
        let places = find(self.text, range.clone(), self.placeholders, &mut self.open);
        self.assign(range, |_, placeholder| {
            let place = places.binary_search_by_key(&placeholder.start, |(start, _)| *start);
            match place.map(|index| &places[index].1) {
                Ok(Ok(place)) => PlaceholderContext::Html(place.clone()),
                Ok(Err(place)) => PlaceholderContext::Refused(place.reason()),
                Err(_) => {
                    PlaceholderContext::Refused("this place in the HTML could not be understood")
                }
            }
        });
    }

    fn handle_start(&mut self, tag: &Tag<'_>, range: Range<usize>) {
        // A formula ends with its paragraph.
        if let (Some(math), Tag::Paragraph | Tag::TableCell | Tag::Item) = (&mut self.math, tag) {
            *math = MathState::default();
        }
        match tag {
            Tag::Heading { .. } => self.in_heading += 1,
            Tag::TableCell => self.in_table += 1,
            Tag::DefinitionListTitle => self.in_term += 1,
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
                    CodeBlockKind::Fenced(_) => {
                        let misnamed = fence::find_misnamed(self.text, range.clone());
                        self.out.misnamed_blocks.extend(misnamed);
                        fence::parse_block(self.text, range)
                    }
                    CodeBlockKind::Indented => None,
                };
                self.code = Some(block);
            }
            _ => {}
        }
    }

    fn handle_end(&mut self, tag: TagEnd) {
        match tag {
            TagEnd::Heading(_) => self.in_heading -= 1,
            TagEnd::TableCell => self.in_table -= 1,
            TagEnd::DefinitionListTitle => self.in_term -= 1,
            TagEnd::Link => {
                self.links.pop();
            }
            TagEnd::Image => self.images -= 1,
            TagEnd::HtmlBlock => {
                if let Some(range) = self.html.take() {
                    self.assign_html(&range, html_context::find_positions);
                }
            }
            TagEnd::CodeBlock => {
                if let Some(Some(block)) = self.code.take() {
                    self.assign(&block.range.clone(), |_, _| {
                        PlaceholderContext::Refused(
                            "a claim or exhibit names values by their paths, without braces",
                        )
                    });
                    self.out.blocks.push(block);
                }
            }
            _ => {}
        }
    }

    /// The structure, when all events were taken; `definitions` are those of links.
    pub(super) fn finish(mut self, definitions: &[Range<usize>]) -> ChapterStructure {
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
                Some(link) => link_part_context(&self.text[link.start..placeholder.start]),
                None => PlaceholderContext::Refused(
                    "this is neither text nor code nor an attribute (perhaps the info string of a \
                     code block, or a name that Markdown uses itself)",
                ),
            });
        }
        self.out.contexts = self.contexts.into_iter().flatten().collect();
        self.out
    }
}

/// Distinguish a link's title from its destination by the text before: ` "`, ` '` or ` (` opens a title.
fn link_part_context(before: &str) -> PlaceholderContext {
    let Some(begin) = before.rfind("](").or(before.rfind("]:")) else {
        return PlaceholderContext::Refused(
            "the label of a link is a name that Markdown uses itself",
        );
    };
    let rest = before[begin + 2..].trim_start();
    let title = [" \"", " '", " (", "\t\"", "\n\"", "\n'"]
        .iter()
        .any(|open| rest.contains(open));
    if title {
        PlaceholderContext::PlainText
    } else {
        PlaceholderContext::Destination
    }
}

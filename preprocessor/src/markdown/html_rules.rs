//! The rules for the HTML that authors write into chapters: nothing in it may look like what this program writes, and claims,
//! exhibits and values stand only inside of elements that show them.
//!
//! Elements are opened and closed as mdBook does it: an end tag ends the innermost element, or nothing.

use std::ops::Range;

use mdbook_markdown::pulldown_cmark::{CodeBlockKind, Event, Tag, TagEnd};

use crate::markdown::html::{TokenKind, tokenize_html};
use crate::markdown::syntax::SyntaxError;
pub use visible_elements::OpenElement;

mod visible_elements;

/// A mark for a placeholder in HTML that is read: a character that no text has.
const PLACEHOLDER: char = '\u{10fffd}';

/// The complaints about a chapter's HTML.
#[derive(Debug, Default)]
pub struct HtmlFindings {
    /// HTML that no chapter may have.
    pub refused: Vec<SyntaxError>,
    /// HTML that can change the look of a page after it was made.
    pub active: Vec<SyntaxError>,
}

/// The walk over the events of a chapter.
pub struct HtmlRules<'a> {
    text: &'a str,
    placeholders: &'a [Range<usize>],
    open: Vec<OpenElement>,
    /// For what Markdown has open, how many elements were open before it.
    containers: Vec<usize>,
    /// The lines of the HTML block that is open.
    block: Option<Vec<(String, Range<usize>)>>,
    found: HtmlFindings,
}

impl<'a> HtmlRules<'a> {
    /// A walk that has seen nothing yet of `text`, whose `placeholders` (sorted) are masked.
    pub fn new(text: &'a str, placeholders: &'a [Range<usize>]) -> Self {
        HtmlRules {
            text,
            placeholders,
            open: Vec::new(),
            containers: Vec::new(),
            block: None,
            found: HtmlFindings::default(),
        }
    }

    /// The complaints, when all events were taken.
    pub fn finish(self) -> HtmlFindings {
        self.found
    }

    /// Take the next event, at `range`.
    pub fn handle_event(&mut self, event: &Event<'_>, range: Range<usize>) {
        match event {
            Event::Start(Tag::HtmlBlock) => self.block = Some(Vec::new()),
            Event::End(TagEnd::HtmlBlock) => {
                let lines = self.block.take().unwrap_or_default();
                self.check_html(&lines);
            }
            Event::Start(tag) => {
                self.containers.push(self.open.len());
                self.handle_start(tag, range);
            }
            Event::End(_) => {
                let depth = self.containers.pop().unwrap_or_default();
                self.open.truncate(depth);
            }
            Event::Html(html) | Event::InlineHtml(html) => {
                let text = self.text.get(range.clone()).unwrap_or_default();
                let place = range.start..range.start + text.trim_end().len();
                let line = (self.mark_placeholders(html, &range), place);
                match &mut self.block {
                    Some(lines) => lines.push(line),
                    None => self.check_html(&[line]),
                }
            }
            Event::Text(_) | Event::Code(_) => self.check_values(&range),
            _ => {}
        }
    }

    fn handle_start(&mut self, tag: &Tag<'_>, range: Range<usize>) {
        match tag {
            Tag::Heading {
                id, classes, attrs, ..
            } => {
                let line = first_line(self.text, &range);
                for class in classes {
                    self.check_name(&line, "class", class);
                }
                if let Some(id) = id {
                    self.check_name(&line, "id", id);
                }
                for (name, value) in attrs {
                    self.check_name(&line, name, value.as_deref().unwrap_or_default());
                }
                // mdBook writes them into the heading's tag.
                let named = attrs.iter().map(|(name, value)| {
                    let value = value.as_deref().unwrap_or_default();
                    (name.to_string(), value.to_owned())
                });
                let id = id.iter().map(|id| ("id".to_owned(), id.to_string()));
                let own: Vec<(String, String)> = id
                    .chain([("class".to_owned(), classes.join(" "))])
                    .chain(named)
                    .collect();
                self.open.push(OpenElement::new("h1", &own, false));
            }
            Tag::CodeBlock(CodeBlockKind::Fenced(info)) => {
                let line = first_line(self.text, &range);
                // As mdBook makes classes of them.
                let mut words = info.split([' ', '\t', ',']).filter(|word| !word.is_empty());
                match words.next() {
                    Some("qed-claim") => self.refuse_unshown(&line, "a claim"),
                    Some("qed-exhibit") => self.refuse_unshown(&line, "an exhibit"),
                    _ => words.for_each(|class| self.check_name(&line, "class", class)),
                }
            }
            _ => {}
        }
    }

    /// The text of a line of HTML, with a mark for each placeholder in it.
    fn mark_placeholders(&self, html: &str, range: &Range<usize>) -> String {
        if self.text.get(range.clone()) != Some(html) {
            return html.to_owned();
        }
        let mut out = String::new();
        let mut at = range.start;
        for placeholder in self.placeholders_in(range) {
            out.push_str(&self.text[at..placeholder.start]);
            out.push(PLACEHOLDER);
            at = placeholder.end;
        }
        out.push_str(&self.text[at..range.end]);
        out
    }

    /// The placeholders that lie in `range`.
    fn placeholders_in(&self, range: &Range<usize>) -> &'a [Range<usize>] {
        let first = self.placeholders.partition_point(|p| p.start < range.start);
        let rest = &self.placeholders[first..];
        &rest[..rest.partition_point(|p| p.end <= range.end)]
    }

    /// Check values in text or code at `range`.
    fn check_values(&mut self, range: &Range<usize>) {
        if let Some(first) = self.placeholders_in(range).first() {
            self.refuse_unshown(first, "a value");
        }
    }

    /// Check a piece of HTML, and keep track of the elements that it opens and closes.
    fn check_html(&mut self, lines: &[(String, Range<usize>)]) {
        let html: String = lines.iter().map(|(line, _)| line.as_str()).collect();
        for token in tokenize_html(&html) {
            let at = line_range(lines, token.line);
            match &token.kind {
                TokenKind::Start { .. } => self.check_element(&token.kind, &at),
                TokenKind::End(name) => {
                    let floor = self.containers.last().copied().unwrap_or_default();
                    let innermost = self.open.last().is_some_and(|open| open.name == *name);
                    if innermost && self.open.len() > floor {
                        self.open.pop();
                    }
                }
                TokenKind::Text(text) if text.contains(PLACEHOLDER) => {
                    self.refuse_unshown(&at, "a value")
                }
                TokenKind::Text(_) | TokenKind::Comment(_) => {}
            }
        }
    }

    /// Check a start tag, whose element is open from then on.
    fn check_element(&mut self, kind: &TokenKind, at: &Range<usize>) {
        let TokenKind::Start {
            name,
            attributes,
            closed,
            ..
        } = kind
        else {
            return;
        };
        for (attribute, value) in attributes {
            self.check_name(at, attribute, value);
        }
        if let Some(what) = visible_elements::find_active_part(name, attributes) {
            self.found.active.push(SyntaxError::new(
                at.clone(),
                format!("{what} can change what the page shows of claims and values, and nothing checks it"),
                "take it out, or put it into the theme; `active-html = true` in [preprocessor.qed] publishes it, and `verify` \
                 names it as not covered"
                    .to_owned(),
            ));
        }
        let in_foreign = self.open.iter().any(|open| open.is_foreign());
        let around = OpenElement::new(name, attributes, in_foreign);
        // Browsers let elements of HTML not end themselves, and mdBook does.
        let ended = *closed && (around.is_foreign() || in_foreign || !around.hides_claims());
        if kind.can_have_content() && !ended {
            self.open.push(around);
        }
    }

    /// Refuse a name that is reserved for this program's own output.
    fn check_name(&mut self, at: &Range<usize>, attribute: &str, value: &str) {
        let starts = |word: &str, start: &str| {
            word.get(..start.len())
                .is_some_and(|begin| begin.eq_ignore_ascii_case(start))
        };
        let mut words = value.split_whitespace();
        let taken = match attribute.to_ascii_lowercase().as_str() {
            "class" => words.find(|word| starts(word, "qed") || word.contains(PLACEHOLDER)),
            "id" => words.find(|word| starts(word, "claim-") || word.contains(PLACEHOLDER)),
            name if name.starts_with("data-qed") => Some(value),
            _ => None,
        };
        let Some(taken) = taken else { return };
        let taken = taken.replace(PLACEHOLDER, "{{qed …}}");
        self.found.refused.push(SyntaxError::new(
            at.clone(),
            format!("`{attribute}=\"{taken}\"` would make this look like something that was measured"),
            "classes that begin with `qed`, ids that begin with `claim-` and attributes that begin with `data-qed` are those of \
             claims, exhibits and values: take another name, which no measured value may be part of"
                .to_owned(),
        ));
    }

    /// True if a value that stands here might not be seen by a reader.
    pub fn hides_values(&self) -> bool {
        self.open
            .iter()
            .any(|open| open.refusal_reason(true).is_some())
    }

    /// Refuse a claim, exhibit or value that a reader might not see.
    fn refuse_unshown(&mut self, at: &Range<usize>, what: &str) {
        let value = what == "a value";
        let Some(around) = self.open.iter().find_map(|open| open.refusal_reason(value)) else {
            return;
        };
        self.found.refused.push(SyntaxError::new(
            at.clone(),
            format!("{what} may not stand inside of {around}: a reader might not see it"),
            "close that element before, or use a plain one such as `<div>` or `<details>`, with neither `style` nor `hidden`"
                .to_owned(),
        ));
    }
}

/// The first line of what stands at `range`.
fn first_line(text: &str, range: &Range<usize>) -> Range<usize> {
    let line = text[range.clone()].lines().next().unwrap_or_default();
    range.start..range.start + line.len()
}

/// The place of line `number`, from 1, of a piece of HTML.
fn line_range(lines: &[(String, Range<usize>)], number: u64) -> Range<usize> {
    let mut left = usize::try_from(number).unwrap_or(usize::MAX);
    for (line, range) in lines {
        let ends = line.matches('\n').count().max(1);
        if left <= ends {
            return range.clone();
        }
        left -= ends;
    }
    lines.last().map_or(0..0, |(_, range)| range.clone())
}

#[cfg(test)]
mod tests {
    use crate::markdown::chapter::Chapter;
    use crate::markdown::dialect::Markdown;

    fn chapter(text: &str) -> Chapter {
        Chapter::parse("a.md", text, Markdown::default())
    }

    const CLAIM: &str = "```qed-claim a\nx == 1\n```\n";

    /// Check that names of this program's own are refused with their line, however they are written, and that text about
    /// them is not.
    #[test]
    fn names() {
        for text in [
            "<div class=\"qed-claim qed-pass\">✔ PASS</div>",
            "a <span class='x\tQED-badge'>b</span>",
            "a <span class=&#113;ed>5</span>",
            "<svg class=qed-svg></svg>",
            "> <div\n> class=\"qed-claim\">\n",
            "- a <b\n  class=qed-x>b</b>",
            "<p id=claim-x>",
            "<p data-qed-on=x>",
            "<p class=qedx>",
            "# a { .qed-badge }",
            "# a { #claim-b }",
            "# a { data-qed=x }",
            "```text,qed-badge\na\n```",
            "~~~text qed-claim\na\n~~~",
            "<p class={{qed a.b}}>c</p>",
            "a <b id=\"x-{{qed a.b}}\">c</b>",
        ] {
            let found = chapter(&format!("first\n\n{text}\n"));
            let problem = found.problems.first();
            let message = problem.map_or("nothing", |problem| &problem.message);
            assert!(
                message.contains("would make this look"),
                "{text}: {message}"
            );
            let (_, span) = problem.unwrap().place.clone().unwrap();
            assert!(span.start >= 7, "{text}: {span:?}");
        }
        for text in [
            "`<div class=\"qed-claim\">`",
            "```html\n<div class=\"qed-claim\">\n```",
            "<p class=\"x-qed\" title=\"qed-claim\">qed-claim</p>",
            "<!-- <p class=qed> -->",
            "[a](b.html#claim-c)",
            "```qed-badge\n```",
        ] {
            assert_eq!(chapter(text).problems.len(), 0, "{text}");
        }
    }

    /// Check that claims, exhibits and values stand in no element that could hide them.
    #[test]
    fn hidden() {
        for around in [
            "<div hidden>",
            "<div style=\"DISPLAY :  none\">",
            "<div style=\"dis\\70lay:none\">",
            "<div style=\"position:absolute;left:-9999px\">",
            "<div popover>",
            "<div class=\"a hidden\">",
            "<div class='&#104;idden'>",
            "<div aria-hidden=true>",
            "<div id=mdbook-menu-bar>",
            "<dialog>",
            "<dialog/>",
            "<dialog open>",
            "<video>",
            "<audio>",
            "<canvas>",
            "<template>",
            "<noscript>",
            "<object data=x>",
            "<svg>\n<defs><foreignObject>",
            "<math>\n<annotation-xml>",
            "<ruby>\n<rp>",
            "<select>\n<option>",
            "<x-y>",
            "<div hidden><table></div>",
            "<b>\n<div hidden></b>",
            "<section><div style=\"opacity:0\"></section>",
        ] {
            for what in [
                CLAIM,
                "```qed-exhibit claims\n```\n",
                "a {{qed a.b}}\n",
                "`{{qed a.b}}`\n",
            ] {
                let found = chapter(&format!("{around}\n\n{what}"));
                let message = found.problems.first().map_or("nothing", |p| &p.message);
                assert!(
                    message.contains("may not stand inside of"),
                    "{around}: {message}"
                );
            }
        }
        assert_eq!(chapter("<div hidden>a {{qed a.b}}</div>").problems.len(), 1);
        for heading in ["# a {{qed a.b}} {.hidden}", "a {{qed a.b}} {hidden=}\n---"] {
            let found = chapter(heading);
            let message = found.problems.first().map_or("nothing", |p| &p.message);
            assert!(
                message.contains("may not stand inside of"),
                "{heading}: {message}"
            );
        }
        let named = chapter("# a {#c .d}\n\n{{qed a.b}}");
        assert_eq!(named.problems.first().map(|p| p.message.clone()), None);
        for around in [
            "<div>",
            "<details open><summary>a</summary>",
            "<div hidden></div>",
            "<table><tr><td class=\"x\">",
            "<section id=a lang=en><figure>",
            "> <div hidden>\n\n",
            "<dialog></dialog>",
            "<br/><img src=a>",
        ] {
            for what in [CLAIM, "a {{qed a.b}}\n"] {
                let found = chapter(&format!("{around}\n\n{what}"));
                let complaint = found.problems.first().map(|p| &p.message);
                assert_eq!(complaint, None, "{around}");
            }
        }
        let svg = "<svg viewBox=\"0 0 1 1\"><g x=1><text y=2>{{qed a.b}}</text></g></svg>";
        assert_eq!(chapter(svg).problems.len(), 0);
    }

    /// Check that what can change a page afterwards is found, and that a chapter about it is not.
    #[test]
    fn active() {
        for text in [
            "<style>.a{}</style>",
            "<script>a</script>",
            "<link rel=stylesheet href=a.css>",
            "a <img src=x ONERROR=y> b",
            "<svg><style>a</style></svg>",
            "<p><a href=\"java&#115;cript:x()\">a</a></p>",
            "<base href=x>",
            "<meta http-equiv=refresh>",
            "<iframe src=x></iframe>",
        ] {
            assert_eq!(chapter(text).active.len(), 1, "{text}");
        }
        for text in ["`<script>`", "<p title=onload>a</p>", "<a href=\"a\">b</a>"] {
            assert_eq!(chapter(text).active.len(), 0, "{text}");
        }
    }
}

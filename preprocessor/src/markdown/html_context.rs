//! The position of a placeholder in a piece of raw HTML: text, attribute or comment.

use std::ops::Range;

use crate::markdown::html::{RAW, Token, TokenKind, tokenize_html};

/// A place in raw HTML where a value may stand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HtmlPosition {
    /// Between tags.
    Text {
        /// Inside an element that takes no further HTML, such as `svg` or `title`.
        plain: bool,
    },
    /// The value of an attribute.
    Attribute {
        /// Inside quotes.
        quoted: bool,
    },
    /// The value of an attribute that is an address.
    Url,
    /// A comment.
    Comment,
}

/// Attributes whose value is an address.
const URLS: &[&str] = &[
    "href",
    "src",
    "action",
    "formaction",
    "cite",
    "poster",
    "data",
    "srcset",
    "xlink:href",
    "background",
    "manifest",
    "ping",
];

/// Elements in which an HTML `span` would not be one, or would be shown as text.
const PLAIN: &[&str] = &["svg", "math", "title", "textarea", "option", "button", "a"];

/// Elements of these may hold a marked-up value, but nothing else that the reader could go to.
const INTERACTIVE: &[&str] = &["a", "button"];

/// The root elements of foreign content (SVG, MathML) in HTML.
const FOREIGN: &[&str] = &["svg", "math"];

/// A place in HTML where no value may stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.reason())]
pub enum ForbiddenPosition {
    /// The content of one of [`RAW`].
    NoText,
    /// A value would name something.
    Name,
    /// No browser would read the value.
    Nowhere,
    /// An attribute that is code.
    Code,
}

impl ForbiddenPosition {
    /// What the place is.
    pub fn reason(self) -> &'static str {
        match self {
            ForbiddenPosition::NoText => {
                "a script, a style or another element whose content is not text; a data- attribute can hold it"
            }
            ForbiddenPosition::Name => "the name of a tag or of an attribute",
            ForbiddenPosition::Nowhere => {
                "a tag that does not end, an end tag, or an attribute that its element has already: browsers leave it out"
            }
            ForbiddenPosition::Code => {
                "an attribute that holds code; a data- attribute can hold it"
            }
        }
    }
}

/// The elements that are open at some point of a chapter, as far as they matter to what may stand there. In Markdown
/// the tags of one element can be far from each other.
#[derive(Debug, Default)]
pub struct OpenElements {
    plain: Vec<String>,
    raw: Option<String>,
}

impl OpenElements {
    /// The position of its text.
    pub fn text_position(&self) -> Result<HtmlPosition, ForbiddenPosition> {
        match self.raw {
            Some(_) => Err(ForbiddenPosition::NoText),
            None => Ok(HtmlPosition::Text {
                plain: !self.plain.is_empty(),
            }),
        }
    }

    /// True if it is in nothing but a link or a button.
    pub fn is_in_link(&self) -> bool {
        !self.plain.is_empty()
            && self
                .plain
                .iter()
                .all(|name| INTERACTIVE.contains(&name.as_str()))
    }

    /// The number of open elements.
    pub fn depth(&self) -> usize {
        self.plain.len()
    }

    /// Close what was opened since there were `depth`: what Markdown opens and closes around tags ends their elements.
    pub fn close(&mut self, depth: usize) {
        self.plain.truncate(depth);
        self.raw = None;
    }

    /// Take in a start tag. In HTML only `svg` and `math` may end themselves
    /// (<https://html.spec.whatwg.org/multipage/syntax.html#start-tags>).
    fn start(&mut self, name: &str, closed: bool) {
        let ended = closed && FOREIGN.contains(&name);
        if PLAIN.contains(&name) && !ended {
            self.plain.push(name.to_owned());
        }
        self.raw = RAW.contains(&name).then(|| name.to_owned());
    }

    /// Take in an end tag.
    fn end(&mut self, name: &str) {
        if let Some(at) = self.plain.iter().rposition(|open| open == name) {
            self.plain.truncate(at);
        }
        self.raw = None;
    }

    /// The element whose content the tokenizer reads in a way of its own, if one is open.
    fn raw_text_element(&self) -> Option<&str> {
        let titled = || {
            let last = self.plain.last().map(String::as_str);
            last.filter(|name| ["title", "textarea"].contains(name))
        };
        self.raw.as_deref().or_else(titled)
    }
}

/// The beginning of a placeholder, and its position.
pub type PlacedPosition = (usize, Result<HtmlPosition, ForbiddenPosition>);

/// [`find_positions`] or [`find_positions_in_tag`].
pub type FindPositions =
    fn(&str, Range<usize>, &[Range<usize>], &mut OpenElements) -> Vec<PlacedPosition>;

/// The position of each of `placeholders` that lies inside `range` of `text`, by its start. The text is that
/// of one HTML block or one inline tag. `open`: the open elements, updated to those after the text.
///
/// html5ever does not say where a token stands, so each placeholder is given to it as a word of its own, and found again in
/// its tokens.
pub fn find_positions(
    text: &str,
    range: Range<usize>,
    placeholders: &[Range<usize>],
    open: &mut OpenElements,
) -> Vec<PlacedPosition> {
    let first = placeholders.partition_point(|p| p.start < range.start);
    let inside: Vec<&Range<usize>> = placeholders[first..]
        .iter()
        .take_while(|p| p.end <= range.end)
        .collect();
    let words = PlaceholderWords::new(&text[range.clone()]);
    let before = open.raw_text_element().map(|name| format!("<{name}>"));
    let read = |ending: &str| {
        let mut html = before.clone().unwrap_or_default();
        let mut at = range.start;
        for (index, placeholder) in inside.iter().enumerate() {
            html.push_str(&text[at..placeholder.start]);
            html.push_str(&words.word(index));
            html.push_str(ending);
            at = placeholder.end;
        }
        html.push_str(&text[at..range.end]);
        let mut tokens = tokenize_html(&html);
        tokens.drain(..usize::from(before.is_some()).min(tokens.len()));
        tokens
    };
    let mut found = vec![Err(ForbiddenPosition::Nowhere); inside.len()];
    let mut in_attribute = false;
    for token in read("") {
        in_attribute |= words.place_token(&token.kind, open, &mut found);
    }
    if in_attribute {
        // Outside of quotes, a space ends the value.
        for index in words.quoted_placeholders(&read(SPACED)) {
            if let Some(Ok(HtmlPosition::Attribute { quoted })) = found.get_mut(index) {
                *quoted = true;
            }
        }
    }
    let starts = inside.iter().map(|placeholder| placeholder.start);
    starts.zip(found).collect()
}

/// The same for tags in a line of Markdown. Where the content of an element is not text, Markdown and HTML disagree on what
/// is a tag, so no value may stand in one.
pub fn find_positions_in_tag(
    text: &str,
    range: Range<usize>,
    placeholders: &[Range<usize>],
    open: &mut OpenElements,
) -> Vec<PlacedPosition> {
    let in_raw = open.raw.is_some();
    let tags = text[range.clone()].to_ascii_lowercase();
    let begins = |name: &&str| tags.contains(&format!("<{name}"));
    let refused = in_raw || RAW.iter().any(begins);
    let mut found = find_positions(text, range, placeholders, open);
    if refused {
        found
            .iter_mut()
            .for_each(|(_, place)| *place = Err(ForbiddenPosition::NoText));
    }
    found
}

/// A mark after a placeholder's word that shows whether it is in quotes.
const SPACED: &str = " z";

/// Words for placeholders that the text does not have.
struct PlaceholderWords {
    begin: String,
}

impl PlaceholderWords {
    fn new(text: &str) -> Self {
        let text = text.to_ascii_lowercase();
        let mut begin = "qedword".to_owned();
        while text.contains(&begin) {
            begin.push('x');
        }
        PlaceholderWords { begin }
    }

    fn word(&self, index: usize) -> String {
        format!("{}{index}z", self.begin)
    }

    /// The placeholders in a text.
    fn find<'t>(&'t self, text: &'t str) -> impl Iterator<Item = usize> + 't {
        let after = text.split(self.begin.as_str()).skip(1);
        after.filter_map(|rest| rest.split_once('z')?.0.parse().ok())
    }

    /// Take in a token: into `found`, the places of the placeholders in it. True if one is the value of an attribute.
    fn place_token(
        &self,
        kind: &TokenKind,
        open: &mut OpenElements,
        found: &mut [Result<HtmlPosition, ForbiddenPosition>],
    ) -> bool {
        let mut set = |text: &str, place: Result<HtmlPosition, ForbiddenPosition>| {
            for index in self.find(text) {
                if let Some(found) = found.get_mut(index) {
                    *found = place.clone();
                }
            }
        };
        match kind {
            TokenKind::Text(text) => set(text, open.text_position()),
            TokenKind::Comment(text) => set(text, Ok(HtmlPosition::Comment)),
            TokenKind::End(name) => {
                set(name, Err(ForbiddenPosition::Name));
                open.end(name);
            }
            TokenKind::Start {
                name,
                attributes,
                closed,
                ..
            } => {
                set(name, Err(ForbiddenPosition::Name));
                for (name, value) in attributes {
                    set(value, attribute_position(name));
                    set(name, Err(ForbiddenPosition::Name));
                }
                open.start(name, *closed);
                let mut values = attributes.iter().map(|(_, value)| value);
                return values.any(|value| value.contains(&self.begin));
            }
        }
        false
    }

    /// Placeholders whose attribute value continues after them (quoted).
    fn quoted_placeholders(&self, tokens: &[Token]) -> Vec<usize> {
        let mut out = Vec::new();
        for token in tokens {
            let TokenKind::Start { attributes, .. } = &token.kind else {
                continue;
            };
            for (_, value) in attributes {
                let whole = |index: &usize| value.contains(&(self.word(*index) + SPACED));
                out.extend(self.find(value).filter(whole));
            }
        }
        out
    }
}

/// The place of the value of an attribute.
fn attribute_position(name: &str) -> Result<HtmlPosition, ForbiddenPosition> {
    if name.starts_with("on") || name == "style" || name == "srcdoc" {
        Err(ForbiddenPosition::Code)
    } else if URLS.contains(&name) {
        Ok(HtmlPosition::Url)
    } else {
        Ok(HtmlPosition::Attribute { quoted: false })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(html: &str) -> Result<HtmlPosition, ForbiddenPosition> {
        let at = html.find("qqq").unwrap();
        let placeholder = at..at + 3;
        let placeholders = std::slice::from_ref(&placeholder);
        find_positions(
            html,
            0..html.len(),
            placeholders,
            &mut OpenElements::default(),
        )
        .remove(0)
        .1
    }

    /// Check that text, attributes, comments and scripts are told apart, with quotes and odd spacing.
    #[test]
    fn tells_places_apart() {
        assert_eq!(
            place("<div>qqq</div>"),
            Ok(HtmlPosition::Text { plain: false })
        );
        assert_eq!(place("a < b qqq"), Ok(HtmlPosition::Text { plain: false }));
        assert_eq!(place("<!-- > qqq -->"), Ok(HtmlPosition::Comment));
        assert_eq!(
            place("<!-- x -->qqq"),
            Ok(HtmlPosition::Text { plain: false })
        );
        assert_eq!(
            place("<a b='>' c = 'qqq'>"),
            Ok(HtmlPosition::Attribute { quoted: true })
        );
        assert_eq!(
            place("<a b=qqq>"),
            Ok(HtmlPosition::Attribute { quoted: false })
        );
        assert_eq!(
            place("<i hidden b='x'>qqq"),
            Ok(HtmlPosition::Text { plain: false })
        );
        assert_eq!(place("<A HREF='x/qqq'>"), Ok(HtmlPosition::Url));
        assert_eq!(
            place("<style>a{}</style>qqq"),
            Ok(HtmlPosition::Text { plain: false })
        );
        assert_eq!(
            place("<svg><text>qqq</text></svg>"),
            Ok(HtmlPosition::Text { plain: true })
        );
        assert_eq!(
            place("<svg><text>a</text></svg>qqq"),
            Ok(HtmlPosition::Text { plain: false })
        );
        assert_eq!(
            place("<svg width='1'/>qqq"),
            Ok(HtmlPosition::Text { plain: false })
        );
        for refused in [
            "<script>qqq",
            "<style a='b'>x qqq",
            "<xmp>qqq",
            "<a onclick='qqq'>",
            "<a style=\"qqq\">",
            "<qqq>",
            "<a qqq>",
            "<a qqq='1'>",
        ] {
            assert!(place(refused).is_err(), "{refused}");
        }
    }

    /// Check that a place is found as a browser finds it: comments that end at `--!>`, attributes in upper case, without
    /// quotes or twice, ends of tags inside of values, and titles, whose content is text.
    #[test]
    fn reads_like_a_browser() {
        let text = |plain| Ok(HtmlPosition::Text { plain });
        let attribute = |quoted| Ok(HtmlPosition::Attribute { quoted });
        for (html, expected) in [
            ("<!-- x --!>qqq", text(false)),
            ("<!-->qqq", text(false)),
            ("<!-- x -- >qqq-->", Ok(HtmlPosition::Comment)),
            ("<!DOCTYPE x>qqq", text(false)),
            ("<?php qqq ?>", Ok(HtmlPosition::Comment)),
            ("<B TITLE=QQQ>", attribute(false)),
            ("<b title=a/qqq/>", attribute(false)),
            ("<b title = 'a=\"qqq\"'>", attribute(true)),
            ("<b title=a title2='qqq >'>", attribute(true)),
            ("<b a=b HREF=qqq>", Ok(HtmlPosition::Url)),
            ("<svg width=qqq/>", attribute(false)),
            ("<svg width=1 />qqq", text(false)),
            ("<title><b title='qqq'></title>", text(true)),
            ("<title><b></title>qqq", text(false)),
            ("<SCRIPT></SCRIPT>qqq", text(false)),
            ("qedword0z qedwordx <i title='qqq'>", attribute(true)),
        ] {
            let html = html.replace("QQQ", "qqq");
            assert_eq!(place(&html), expected, "{html}");
        }
        for refused in [
            "<b title='a' title='qqq'>",
            "<b title='qqq",
            "<script><!-- <script></script>qqq",
            "</b title=qqq>",
            "<IFRAME SRCDOC=qqq>",
            "<svg/onload=qqq>",
            "<plaintext></plaintext>qqq",
        ] {
            assert!(place(refused).is_err(), "{refused}");
        }
    }
}

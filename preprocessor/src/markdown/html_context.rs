//! The position of a placeholder in a piece of raw HTML: text, attribute or comment.

use std::ops::Range;

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

/// Elements whose content is not text, or is text that knows no character references.
const RAW: &[&str] = &[
    "script",
    "style",
    "xmp",
    "iframe",
    "noembed",
    "noframes",
    "plaintext",
];

/// The elements that are open at some point of a chapter, as far as they matter to what may stand there. In Markdown
/// the tags of one element can be far from each other.
#[derive(Debug, Default)]
pub struct Open {
    plain: Vec<String>,
    raw: Option<String>,
}

impl Open {
    /// The position of its text.
    pub fn text(&self) -> Result<HtmlPosition, &'static str> {
        match &self.raw {
            Some(name) => State::Raw(name.clone()).place(self),
            None => State::Text.place(self),
        }
    }

    /// True if it is in nothing but a link or a button.
    pub fn in_link(&self) -> bool {
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

    /// Closes what was opened since there were `depth`: what Markdown opens and closes around tags ends their elements.
    pub fn close(&mut self, depth: usize) {
        self.plain.truncate(depth);
        self.raw = None;
    }

    /// Takes in a tag, `/name` for one that ends an element.
    fn tag(&mut self, tag: &str) {
        match tag.strip_prefix('/') {
            Some(name) => {
                if let Some(at) = self.plain.iter().rposition(|open| open == name) {
                    self.plain.truncate(at);
                }
            }
            None if PLAIN.contains(&tag) => self.plain.push(tag.to_owned()),
            None => {}
        }
    }
}

/// The beginning of a placeholder, and its position.
pub type Placed = (usize, Result<HtmlPosition, &'static str>);

/// [`places`] or [`places_in_tag`].
pub type Find = fn(&str, Range<usize>, &[Range<usize>], &mut Open) -> Vec<Placed>;

/// The place of each of `placeholders` that lies inside `range` of `text`, by its start. The text is that
/// of one HTML block or one inline tag; in it each placeholder is a word. `open` is what is open before it, then what
/// is behind it.
pub fn places(
    text: &str,
    range: Range<usize>,
    placeholders: &[Range<usize>],
    open: &mut Open,
) -> Vec<Placed> {
    let first = placeholders.partition_point(|p| p.start < range.start);
    let mut wanted = placeholders[first..]
        .iter()
        .take_while(|p| p.end <= range.end)
        .peekable();
    let mut out = Vec::new();
    let mut state = match open.raw.take() {
        Some(name) => State::Raw(name),
        None => State::Text,
    };
    let mut at = range.start;
    while at < range.end {
        if let Some(placeholder) = wanted.next_if(|p| p.start == at) {
            out.push((at, state.place(open)));
            state.word();
            at = placeholder.end;
            continue;
        }
        let rest = &text[at..range.end];
        let c = rest.chars().next().unwrap_or_default();
        at += state.step(rest, c);
        if let State::AfterTag(tag) = &state {
            // Only these may end themselves (https://html.spec.whatwg.org/multipage/syntax.html#start-tags).
            let over = matches!(tag.as_str(), "svg" | "math") && text[..at].ends_with("/>");
            if !over {
                open.tag(tag);
            }
            state = State::behind(tag);
        }
    }
    open.raw = match state {
        State::Raw(name) => Some(name),
        _ => None,
    };
    out
}

/// The same for tags in a line of Markdown. Where the content of an element is not text, Markdown and HTML disagree on what
/// is a tag, so no value may stand in one.
pub fn places_in_tag(
    text: &str,
    range: Range<usize>,
    placeholders: &[Range<usize>],
    open: &mut Open,
) -> Vec<Placed> {
    let before = open.raw.clone();
    let tags = text[range.clone()].to_ascii_lowercase();
    let begins = |name: &&str| tags.contains(&format!("<{name}"));
    let raw = before.or(RAW.iter().copied().find(begins).map(str::to_owned));
    let mut found = places(text, range, placeholders, open);
    if let Some(name) = raw {
        let refused = State::Raw(name).place(open);
        found
            .iter_mut()
            .for_each(|(_, place)| *place = refused.clone());
    }
    found
}

/// The pieces of `html` that are text: neither tags nor comments, scripts or styles.
pub fn text_pieces(html: &str) -> Vec<Range<usize>> {
    let mut out: Vec<Range<usize>> = Vec::new();
    let mut state = State::Text;
    let mut at = 0;
    while let Some(c) = html[at..].chars().next() {
        let (start, was_text) = (at, matches!(state, State::Text));
        at += state.step(&html[start..], c);
        match &state {
            State::Text if was_text => match out.last_mut().filter(|last| last.end == start) {
                Some(last) => last.end = at,
                None => out.push(start..at),
            },
            State::AfterTag(tag) => state = State::behind(tag),
            _ => {}
        }
    }
    out
}

/// A small part of the HTML tokenizer (<https://html.spec.whatwg.org/multipage/parsing.html#tokenization>).
enum State {
    Text,
    /// A tag has just ended.
    AfterTag(String),
    /// In `script` or `style`, until its end tag.
    Raw(String),
    Comment,
    /// `<!DOCTYPE`, `<?`.
    Declaration,
    TagName(String),
    /// Between attributes.
    InTag(String),
    AttributeName(String, String),
    /// Behind `=`.
    BeforeValue(String, String),
    Value(String, String, Option<char>),
}

impl State {
    /// The state behind a tag.
    fn behind(tag: &str) -> Self {
        if RAW.contains(&tag) {
            State::Raw(tag.to_owned())
        } else {
            State::Text
        }
    }

    fn place(&self, open: &Open) -> Result<HtmlPosition, &'static str> {
        match self {
            State::Text | State::AfterTag(_) => Ok(HtmlPosition::Text {
                plain: !open.plain.is_empty(),
            }),
            State::Comment => Ok(HtmlPosition::Comment),
            State::Raw(_) => Err(
                "a script, a style or another element whose content is not text; a data- attribute can hold it",
            ),
            State::Value(_, name, _) | State::BeforeValue(_, name) => {
                let quoted = matches!(self, State::Value(_, _, Some(_)));
                if name.starts_with("on") || name == "style" || name == "srcdoc" {
                    Err("an attribute that holds code; a data- attribute can hold it")
                } else if URLS.contains(&name.as_str()) {
                    Ok(HtmlPosition::Url)
                } else {
                    Ok(HtmlPosition::Attribute { quoted })
                }
            }
            _ => Err("the name of a tag or of an attribute"),
        }
    }

    /// A placeholder was passed.
    fn word(&mut self) {
        if let State::BeforeValue(tag, name) = self {
            *self = State::Value(std::mem::take(tag), std::mem::take(name), None);
        }
    }

    /// Takes in one character, or a delimiter that is longer; gives back its length.
    fn step(&mut self, rest: &str, c: char) -> usize {
        let length = c.len_utf8();
        match self {
            State::Text if rest.starts_with("<!--") => {
                *self = State::Comment;
                return 4;
            }
            State::Text if c == '<' => match rest[1..].chars().next() {
                Some('!' | '?') => *self = State::Declaration,
                Some(next) if next.is_ascii_alphabetic() || next == '/' => {
                    *self = State::TagName(String::new());
                }
                _ => {}
            },
            State::Text | State::AfterTag(_) => {}
            State::Raw(name) => {
                let end = rest.strip_prefix("</").and_then(|r| r.get(..name.len()));
                if end.is_some_and(|end| end.eq_ignore_ascii_case(name)) {
                    *self = State::TagName("/".into());
                    return 2;
                }
            }
            State::Comment => {
                if rest.starts_with("-->") {
                    *self = State::Text;
                    return 3;
                }
            }
            State::Declaration => {
                if c == '>' {
                    *self = State::Text;
                }
            }
            State::TagName(tag) => match c {
                '>' => *self = State::AfterTag(std::mem::take(tag)),
                c if c.is_whitespace() => *self = State::InTag(std::mem::take(tag)),
                c => tag.push(c.to_ascii_lowercase()),
            },
            State::InTag(tag) => match c {
                '>' => *self = State::AfterTag(std::mem::take(tag)),
                '/' => {}
                c if c.is_whitespace() => {}
                c => {
                    *self =
                        State::AttributeName(std::mem::take(tag), c.to_ascii_lowercase().into());
                }
            },
            State::AttributeName(tag, name) => match c {
                '>' => *self = State::AfterTag(std::mem::take(tag)),
                '=' => *self = State::BeforeValue(std::mem::take(tag), std::mem::take(name)),
                c if c.is_whitespace() => {
                    if !rest.trim_start().starts_with('=') {
                        *self = State::InTag(std::mem::take(tag));
                    }
                }
                c => name.push(c.to_ascii_lowercase()),
            },
            State::BeforeValue(tag, name) => match c {
                '>' => *self = State::AfterTag(std::mem::take(tag)),
                c if c.is_whitespace() => {}
                c => {
                    let quote = matches!(c, '"' | '\'').then_some(c);
                    *self = State::Value(std::mem::take(tag), std::mem::take(name), quote);
                }
            },
            State::Value(tag, _, quote) => match (c, *quote) {
                (c, Some(quote)) if c == quote => *self = State::InTag(std::mem::take(tag)),
                (_, Some(_)) => {}
                ('>', None) => *self = State::AfterTag(std::mem::take(tag)),
                (c, None) if c.is_whitespace() => *self = State::InTag(std::mem::take(tag)),
                _ => {}
            },
        }
        length
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(html: &str) -> Result<HtmlPosition, &'static str> {
        let at = html.find("qqq").unwrap();
        let placeholder = at..at + 3;
        let placeholders = std::slice::from_ref(&placeholder);
        places(html, 0..html.len(), placeholders, &mut Open::default())
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

    /// Check that only text between tags is text.
    #[test]
    fn finds_text() {
        let html = "a < <b title='x > y'>c</b><!-- d --><style>e{}</style><script>f</script>g";
        let pieces: Vec<&str> = text_pieces(html).into_iter().map(|r| &html[r]).collect();
        assert_eq!(pieces, ["a < ", "c", "g"]);
    }
}

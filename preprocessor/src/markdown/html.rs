//! HTML as a browser reads it: html5ever's tokenizer, and the interpretation of its tokens.

use std::cell::RefCell;
use std::ops::Range;

use html5ever::tendril::StrTendril;
use html5ever::tokenizer::states::{RawKind, State};
use html5ever::tokenizer::{
    BufferQueue, Tag, TagKind, Token as Html, TokenSink, TokenSinkResult, Tokenizer, TokenizerOpts,
};

/// A tag, a text or a comment of a page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// The line on which it ends, from 1.
    pub line: u64,
    /// Its kind.
    pub kind: TokenKind,
}

/// The kind of a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TokenKind {
    /// A start tag.
    Start {
        /// The element, in lower case.
        name: String,
        /// Its attributes, sorted by name. Of several with one name it is the first, as in a browser.
        attributes: Vec<(String, String)>,
        /// True if it ends itself (`<path/>`).
        closed: bool,
        /// Attributes were left out because their names stood there twice.
        repeated: bool,
    },
    /// An end tag.
    End(String),
    /// Text between tags.
    Text(String),
    /// A comment.
    Comment(String),
}

/// Elements that have no end tag (<https://html.spec.whatwg.org/multipage/syntax.html#void-elements>).
const VOID: &[&str] = &[
    "area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track",
    "wbr",
];

/// Elements whose content is not text, or is text that knows no character references.
pub const RAW: &[&str] = &[
    "script",
    "style",
    "xmp",
    "iframe",
    "noembed",
    "noframes",
    "plaintext",
];

/// Elements whose content no reader sees.
const UNSEEN: &[&str] = &[
    "template", "noscript", "script", "style", "title", "textarea", "select", "iframe", "object",
    "datalist", "noframes", "noembed", "xmp",
];

impl TokenKind {
    /// True if more of its element follows.
    pub fn opens_element(&self) -> bool {
        match self {
            TokenKind::Start { name, closed, .. } => !closed && !VOID.contains(&name.as_str()),
            _ => false,
        }
    }

    /// True if it is the start tag of an element that can hold anything.
    pub fn can_have_content(&self) -> bool {
        matches!(self, TokenKind::Start { name, .. } if !VOID.contains(&name.as_str()))
    }

    /// The value of an attribute.
    pub fn attribute(&self, wanted: &str) -> Option<&str> {
        let TokenKind::Start { attributes, .. } = self else {
            return None;
        };
        let found = attributes.iter().find(|(name, _)| name == wanted);
        found.map(|(_, value)| value.as_str())
    }

    /// True if it is the start tag of something that this preprocessor writes, or that looks like it.
    pub fn is_own_output(&self) -> bool {
        let TokenKind::Start { attributes, .. } = self else {
            return false;
        };
        attributes.iter().any(|(name, value)| {
            let class = |word: &str| {
                let word = word.to_ascii_lowercase();
                word == "qed" || word.starts_with("qed-")
            };
            name.starts_with("data-qed")
                || name == "class" && value.split_ascii_whitespace().any(class)
        })
    }

    /// True if its content cannot be seen.
    pub fn hides_content(&self) -> bool {
        let TokenKind::Start { name, .. } = self else {
            return false;
        };
        let style = self.attribute("style").unwrap_or_default();
        let style: String = style.split_whitespace().collect();
        UNSEEN.contains(&name.as_str())
            || self.attribute("hidden").is_some()
            || style.contains("display:none")
            || style.contains("visibility:hidden")
    }

    /// The text of the token as HTML, for messages.
    pub fn to_html(&self) -> String {
        match self {
            TokenKind::Start {
                name, attributes, ..
            } => {
                let attributes = attributes
                    .iter()
                    .map(|(name, value)| format!(" {name}=\"{value}\""));
                format!("<{name}{}>", attributes.collect::<String>())
            }
            TokenKind::End(name) => format!("</{name}>"),
            TokenKind::Text(text) => text.clone(),
            TokenKind::Comment(text) => format!("<!--{text}-->"),
        }
    }
}

/// The tokenizer's state behind a start tag, which the parser of the document has to say
/// (<https://html.spec.whatwg.org/multipage/parsing.html#parsing-html-fragments>).
fn tokenizer_state_after(name: &str) -> TokenSinkResult<()> {
    match name {
        "script" => TokenSinkResult::RawData(RawKind::ScriptData),
        "style" | "xmp" | "iframe" | "noembed" | "noframes" => {
            TokenSinkResult::RawData(RawKind::Rawtext)
        }
        "textarea" | "title" => TokenSinkResult::RawData(RawKind::Rcdata),
        "plaintext" => TokenSinkResult::Plaintext,
        _ => TokenSinkResult::Continue,
    }
}

/// A sink that collects tokens.
#[derive(Default)]
struct TokenCollector {
    tokens: RefCell<Vec<Token>>,
}

impl TokenCollector {
    fn add_text(&self, line: u64, more: &str) {
        let mut tokens = self.tokens.borrow_mut();
        if let Some(Token {
            kind: TokenKind::Text(text),
            line: last,
        }) = tokens.last_mut()
        {
            text.push_str(more);
            *last = line;
            return;
        }
        let kind = TokenKind::Text(more.to_owned());
        tokens.push(Token { line, kind });
    }

    fn add_tag(&self, line: u64, tag: Tag) -> TokenSinkResult<()> {
        let name = tag.name.to_string();
        let (kind, next) = match tag.kind {
            TagKind::EndTag => (TokenKind::End(name), TokenSinkResult::Continue),
            TagKind::StartTag => {
                let mut attributes: Vec<(String, String)> = tag
                    .attrs
                    .iter()
                    .map(|a| (a.name.local.to_string(), a.value.to_string()))
                    .collect();
                attributes.sort();
                let next = tokenizer_state_after(&name);
                let kind = TokenKind::Start {
                    name,
                    attributes,
                    closed: tag.self_closing,
                    repeated: tag.had_duplicate_attributes,
                };
                (kind, next)
            }
        };
        self.tokens.borrow_mut().push(Token { line, kind });
        next
    }
}

impl TokenSink for TokenCollector {
    type Handle = ();

    fn process_token(&self, token: Html, line: u64) -> TokenSinkResult<()> {
        match token {
            Html::TagToken(tag) => return self.add_tag(line, tag),
            Html::CharacterTokens(text) => self.add_text(line, &text),
            Html::NullCharacterToken => self.add_text(line, "\0"),
            Html::CommentToken(text) => {
                let kind = TokenKind::Comment(text.to_string());
                self.tokens.borrow_mut().push(Token { line, kind });
            }
            Html::DoctypeToken(_) | Html::ParseError(_) | Html::EOFToken => {}
        }
        TokenSinkResult::Continue
    }
}

/// Feed a piece of HTML to a tokenizer.
fn feed<S: TokenSink<Handle = ()>>(tokenizer: &Tokenizer<S>, html: &str) {
    let input = BufferQueue::default();
    input.push_back(StrTendril::from(html));
    while !input.is_empty() {
        // A script stops it, and it goes on behind it.
        let _ = tokenizer.feed(&input);
    }
}

fn tokenize(html: &str, options: TokenizerOpts) -> Vec<Token> {
    let tokenizer = Tokenizer::new(TokenCollector::default(), options);
    feed(&tokenizer, html);
    tokenizer.end();
    tokenizer.sink.tokens.take()
}

/// All tokens of a page or of a piece of one, as a browser reads them.
pub fn tokenize_html(html: &str) -> Vec<Token> {
    tokenize(html, TokenizerOpts::default())
}

/// Resolve character references in text that has no markup.
pub fn decode_references(text: &str) -> String {
    if !text.contains('&') {
        return text.to_owned();
    }
    // Decode as RCDATA without an element name, so that no text can end it.
    let options = TokenizerOpts {
        initial_state: Some(State::RawData(RawKind::Rcdata)),
        discard_bom: false,
        ..TokenizerOpts::default()
    };
    let tokens = tokenize(text, options).into_iter();
    tokens
        .filter_map(|token| match token.kind {
            TokenKind::Text(text) => Some(text),
            _ => None,
        })
        .collect()
}

/// Sees of what kind the tokens of a piece are.
#[derive(Default)]
struct PieceSink {
    seen: RefCell<PieceTokens>,
}

#[derive(Default)]
struct PieceTokens {
    text: bool,
    markup: bool,
    /// The content of a script or the like.
    in_raw: bool,
}

impl TokenSink for PieceSink {
    type Handle = ();

    fn process_token(&self, token: Html, _: u64) -> TokenSinkResult<()> {
        let mut seen = self.seen.borrow_mut();
        match token {
            Html::TagToken(tag) => {
                seen.markup = true;
                let starts = tag.kind == TagKind::StartTag;
                seen.in_raw = starts && RAW.contains(&&*tag.name);
                if starts {
                    return tokenizer_state_after(&tag.name);
                }
            }
            Html::CharacterTokens(_) | Html::NullCharacterToken => seen.text = true,
            Html::CommentToken(_) | Html::DoctypeToken(_) => seen.markup = true,
            Html::ParseError(_) | Html::EOFToken => {}
        }
        TokenSinkResult::Continue
    }
}

/// The pieces of `html` that are text: neither tags nor comments, scripts or styles.
///
/// html5ever does not say where a token stands. So it is fed up to each place where a tag can begin or end, and asked what
/// that was.
pub fn text_pieces(html: &str) -> Vec<Range<usize>> {
    let mut out: Vec<Range<usize>> = Vec::new();
    let tokenizer = Tokenizer::new(PieceSink::default(), TokenizerOpts::default());
    let mut at = 0;
    while at < html.len() {
        let from = at + usize::from(html.as_bytes()[at] == b'<');
        let end = match html[from..].find(['<', '>']) {
            Some(next) => from + next + usize::from(html.as_bytes()[from + next] == b'>'),
            None => html.len(),
        };
        feed(&tokenizer, &html[at..end]);
        let mut seen = tokenizer.sink.seen.borrow_mut();
        if seen.text && !seen.markup && !seen.in_raw {
            match out.last_mut().filter(|last| last.end == at) {
                Some(last) => last.end = end,
                None => out.push(at..end),
            }
        }
        (seen.text, seen.markup) = (false, false);
        at = end;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Check that only text between tags is text, however comments end and attributes are written.
    #[test]
    fn finds_text() {
        for (html, expected) in [
            (
                "a < <b title='x > y'>c</b><!-- d --><style>e{}</style><script>f</script>g",
                &["a < ", "c", "g"] as &[&str],
            ),
            ("a < b > c", &["a < b > c"]),
            ("<!-- a > b --!>c<!-->d<!--->e", &["c", "d", "e"]),
            ("<B TITLE=x>a</B><I CLASS=\">\">b</I>", &["a", "b"]),
            ("<!DOCTYPE html><?php a ?>b", &["b"]),
            ("<SCRIPT>'</b>' < 1</Script >a", &["a"]),
            ("<title>a <b></title>c", &["a <b>", "c"]),
            ("é<b>ü</b>", &["é", "ü"]),
            ("<b title=\"never ended", &[]),
        ] {
            let pieces: Vec<&str> = text_pieces(html).into_iter().map(|r| &html[r]).collect();
            assert_eq!(pieces, expected, "{html}");
        }
    }

    /// Check that references are resolved like those of a page's text, and that nothing else changes.
    #[test]
    fn decodes() {
        for (text, expected) in [
            ("a", "a"),
            ("&lt;b&gt; &#x41;&#66; &middot;", "<b> AB ·"),
            (
                "</title></textarea> <!-- &amp; -->",
                "</title></textarea> <!-- & -->",
            ),
            ("&; & &unknown; &", "&; & &unknown; &"),
            ("&#xffffffff;", "\u{fffd}"),
        ] {
            assert_eq!(decode_references(text), expected, "{text}");
        }
    }
}

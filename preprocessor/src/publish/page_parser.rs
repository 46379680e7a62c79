//! Taking a page of HTML apart: its tokens, and the pieces of it that this preprocessor wrote.

use std::cell::RefCell;

use html5ever::tendril::StrTendril;
use html5ever::tokenizer::states::RawKind;
use html5ever::tokenizer::{
    BufferQueue, Tag, TagKind, Token as Html, TokenSink, TokenSinkResult, Tokenizer, TokenizerOpts,
};

/// A tag, a text or a comment of a page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// The line on which it ends, from 1.
    pub line: u64,
    /// Its kind.
    pub kind: Kind,
}

/// The kind of a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A start tag.
    Start {
        /// The element.
        name: String,
        /// Its attributes, by name.
        attributes: Vec<(String, String)>,
        /// It ends itself (`<path/>`).
        closed: bool,
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

/// Elements whose content no reader sees.
const UNSEEN: &[&str] = &[
    "template", "noscript", "script", "style", "title", "textarea", "select", "iframe", "object",
    "datalist", "noframes", "noembed", "xmp",
];

impl Kind {
    /// True if more of its element follows.
    fn opens(&self) -> bool {
        match self {
            Kind::Start { name, closed, .. } => !closed && !VOID.contains(&name.as_str()),
            _ => false,
        }
    }

    /// The value of an attribute.
    pub fn attribute(&self, wanted: &str) -> Option<&str> {
        let Kind::Start { attributes, .. } = self else {
            return None;
        };
        let found = attributes.iter().find(|(name, _)| name == wanted);
        found.map(|(_, value)| value.as_str())
    }

    /// True if it is the start tag of something that this preprocessor writes, or that looks like it.
    pub fn is_ours(&self) -> bool {
        let Kind::Start { attributes, .. } = self else {
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
    fn hides(&self) -> bool {
        let Kind::Start { name, .. } = self else {
            return false;
        };
        let style = self.attribute("style").unwrap_or_default();
        let style: String = style.split_whitespace().collect();
        UNSEEN.contains(&name.as_str())
            || self.attribute("hidden").is_some()
            || style.contains("display:none")
            || style.contains("visibility:hidden")
    }

    /// As it could stand in a page, for messages.
    pub fn shown(&self) -> String {
        match self {
            Kind::Start {
                name, attributes, ..
            } => {
                let attributes = attributes
                    .iter()
                    .map(|(name, value)| format!(" {name}=\"{value}\""));
                format!("<{name}{}>", attributes.collect::<String>())
            }
            Kind::End(name) => format!("</{name}>"),
            Kind::Text(text) => text.clone(),
            Kind::Comment(text) => format!("<!--{text}-->"),
        }
    }
}

/// Collects tokens.
#[derive(Default)]
struct Sink {
    tokens: RefCell<Vec<Token>>,
}

impl Sink {
    fn text(&self, line: u64, more: &str) {
        let mut tokens = self.tokens.borrow_mut();
        if let Some(Token {
            kind: Kind::Text(text),
            line: last,
        }) = tokens.last_mut()
        {
            text.push_str(more);
            *last = line;
            return;
        }
        let kind = Kind::Text(more.to_owned());
        tokens.push(Token { line, kind });
    }

    fn tag(&self, line: u64, tag: Tag) -> TokenSinkResult<()> {
        let name = tag.name.to_string();
        let kind = match tag.kind {
            TagKind::EndTag => Kind::End(name.clone()),
            TagKind::StartTag => {
                let mut attributes: Vec<(String, String)> = tag
                    .attrs
                    .iter()
                    .map(|a| (a.name.local.to_string(), a.value.to_string()))
                    .collect();
                attributes.sort();
                Kind::Start {
                    name: name.clone(),
                    attributes,
                    closed: tag.self_closing,
                }
            }
        };
        let starts = matches!(kind, Kind::Start { .. });
        self.tokens.borrow_mut().push(Token { line, kind });
        match name.as_str() {
            _ if !starts => TokenSinkResult::Continue,
            "script" => TokenSinkResult::RawData(RawKind::ScriptData),
            "style" | "xmp" | "iframe" | "noembed" | "noframes" => {
                TokenSinkResult::RawData(RawKind::Rawtext)
            }
            "textarea" | "title" => TokenSinkResult::RawData(RawKind::Rcdata),
            "plaintext" => TokenSinkResult::Plaintext,
            _ => TokenSinkResult::Continue,
        }
    }
}

impl TokenSink for Sink {
    type Handle = ();

    fn process_token(&self, token: Html, line: u64) -> TokenSinkResult<()> {
        match token {
            Html::TagToken(tag) => return self.tag(line, tag),
            Html::CharacterTokens(text) => self.text(line, &text),
            Html::NullCharacterToken => self.text(line, "\0"),
            Html::CommentToken(text) => {
                let kind = Kind::Comment(text.to_string());
                self.tokens.borrow_mut().push(Token { line, kind });
            }
            Html::DoctypeToken(_) | Html::ParseError(_) | Html::EOFToken => {}
        }
        TokenSinkResult::Continue
    }
}

/// The tokens of a page, as a browser reads them. Space between tags is left out: it differs between versions of mdBook.
pub fn tokens(html: &str) -> Vec<Token> {
    let input = BufferQueue::default();
    input.push_back(StrTendril::from(html));
    let tokenizer = Tokenizer::new(Sink::default(), TokenizerOpts::default());
    while !input.is_empty() {
        // A script stops it, and it goes on behind it.
        let _ = tokenizer.feed(&input);
    }
    tokenizer.end();
    let mut tokens = tokenizer.sink.tokens.take();
    tokens.retain(|token| !matches!(&token.kind, Kind::Text(text) if text.trim().is_empty()));
    tokens
}

/// The tokens inside of the first `main` element: the chapter, between what the theme puts around it.
pub fn main_of(tokens: &[Token]) -> Option<&[Token]> {
    let is = |kind: &Kind, wanted: &str| matches!(kind, Kind::Start { name, .. } if name == wanted);
    let start = tokens.iter().position(|token| is(&token.kind, "main"))? + 1;
    let end = tokens
        .iter()
        .rposition(|token| token.kind == Kind::End("main".into()))?;
    tokens.get(start..end)
}

/// A piece of a page that this preprocessor wrote, or that looks like it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fragment<'t> {
    /// The index of its first token in the page.
    pub start: usize,
    /// Its tokens.
    pub tokens: &'t [Token],
}

impl Fragment<'_> {
    /// Its name in messages.
    pub fn name(&self) -> String {
        self.tokens
            .first()
            .map_or_else(String::new, |t| name(&t.kind))
    }

    /// The line on which it begins.
    pub fn line(&self) -> u64 {
        self.tokens.first().map_or(0, |token| token.line)
    }

    /// True if it says the same.
    pub fn same(&self, other: &Fragment<'_>) -> bool {
        same(self.tokens, other.tokens)
    }
}

/// True if two lists of tokens are the same, wherever they stand.
pub fn same(a: &[Token], b: &[Token]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.kind == b.kind)
}

/// The name, for messages, of what a start tag of this preprocessor begins.
pub fn name(kind: &Kind) -> String {
    let class = kind.attribute("class").unwrap_or_default();
    if let Some(id) = kind.attribute("id").filter(|id| id.starts_with("claim-")) {
        return format!("claim `{}`", id.trim_start_matches("claim-"));
    }
    match kind.attribute("data-qed") {
        Some(path) => format!("the value `{path}`"),
        None if class.contains("qed-page") => "the notice at the top".into(),
        None => format!(
            "the block `{}`",
            class.split_whitespace().next().unwrap_or_default()
        ),
    }
}

/// All pieces that this preprocessor wrote, or that look like it, in order. One inside of another belongs to that.
pub fn fragments(tokens: &[Token]) -> Vec<Fragment<'_>> {
    let mut out = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        if !tokens[at].kind.is_ours() {
            at += 1;
            continue;
        }
        let start = at;
        let mut depth = 0_usize;
        loop {
            match &tokens[at].kind {
                kind @ Kind::Start { .. } => depth += usize::from(kind.opens()),
                Kind::End(_) => depth = depth.saturating_sub(1),
                _ => {}
            }
            at += 1;
            if depth == 0 || at == tokens.len() {
                break;
            }
        }
        out.push(Fragment {
            start,
            tokens: &tokens[start..at],
        });
    }
    out
}

/// The ids of elements in a page that a reader can see: those of elements that are hidden, or in such, are left out.
pub fn visible_ids(tokens: &[Token]) -> Vec<&str> {
    let mut out = Vec::new();
    // Names of the elements that are open, and whether they are hidden.
    let mut open: Vec<(&str, bool)> = Vec::new();
    for token in tokens {
        match &token.kind {
            kind @ Kind::Start { name, .. } => {
                let hidden = kind.hides() || open.last().is_some_and(|(_, hidden)| *hidden);
                if let (Some(id), false) = (kind.attribute("id"), hidden) {
                    out.push(id);
                }
                if kind.opens() {
                    open.push((name, hidden));
                }
            }
            Kind::End(name) => {
                if let Some(at) = open.iter().rposition(|(known, _)| known == name) {
                    open.truncate(at);
                }
            }
            _ => {}
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Check that pieces are found however their tags are written, with everything inside of them, and not inside of
    /// comments and scripts.
    #[test]
    fn finds_fragments() {
        let page = "<main><p>a <span class=\"x qed\">1<b>2</b></span> b</p>\n<DIV CLASS='QED-claim' id=claim-c>c<br>d</DIV>\
                    <!-- <i data-qed=\"no\"> --><script>var x = '<i data-qed=\"no\">';</script><i data-qed=p></i></main>";
        let all = tokens(page);
        let found = fragments(&all);
        let names: Vec<String> = found.iter().map(Fragment::name).collect();
        assert_eq!(names, ["the block `x`", "claim `c`", "the value `p`"]);
        assert_eq!(found[0].tokens.len(), 6);
        assert_eq!(found[1].tokens.len(), 5);
        assert_eq!((found[0].line(), found[1].line()), (1, 2));
        assert!(main_of(&all).unwrap().len() + 2 == all.len());
    }

    /// Check that equal pieces are equal wherever they stand, and that a changed tag, attribute or text is another.
    #[test]
    fn compares() {
        let piece = "<span class=\"qed\" data-qed=\"a\">1</span>";
        let page = tokens(piece);
        assert!(same(&page, &tokens(&format!("\n\n {piece}"))));
        for other in [
            "<span class=\"qed\" data-qed=\"b\">1</span>",
            "<span class=\"qed\">1</span>",
            "<span class=\"qed\" data-qed=\"a\">10</span>",
            "<b class=\"qed\" data-qed=\"a\">1</b>",
            "<span class=\"qed\" data-qed=\"a\">1<!-- --></span>",
        ] {
            assert!(!same(&page, &tokens(other)), "{other}");
        }
    }

    /// Check that an id inside of something hidden is none, and that the rest of the page is seen.
    #[test]
    fn sees_what_a_reader_sees() {
        let page = "<p id=a></p><div hidden><p id=b></p></div><template><p id=c></p></template><div style='display: none'>\
                    <p id=d></p></div><details><p id=e></p></details><img id=f><p id=g></p>";
        assert_eq!(visible_ids(&tokens(page)), ["a", "e", "f", "g"]);
    }
}

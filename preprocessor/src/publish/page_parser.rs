//! Parsing of an HTML page: its tokens, and the pieces of it that this preprocessor wrote.

use crate::markdown::html::{self, Token, TokenKind};
use crate::markdown::html_rules::OpenElement;

/// The tokens of a page. Space between tags is left out: it differs between versions of mdBook.
pub fn page_tokens(page: &str) -> Vec<Token> {
    let mut tokens = html::tokenize_html(page);
    tokens.retain(|token| !matches!(&token.kind, TokenKind::Text(text) if text.trim().is_empty()));
    tokens
}

/// The tokens inside of the first `main` element: the chapter, between what the theme puts around it.
pub fn main_content(tokens: &[Token]) -> Option<&[Token]> {
    let is = |kind: &TokenKind, wanted: &str| matches!(kind, TokenKind::Start { name, .. } if name == wanted);
    let start = tokens.iter().position(|token| is(&token.kind, "main"))? + 1;
    let end = tokens
        .iter()
        .rposition(|token| token.kind == TokenKind::End("main".into()))?;
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
            .map_or_else(String::new, |t| fragment_name(&t.kind))
    }

    /// The line on which it begins.
    pub fn line(&self) -> u64 {
        self.tokens.first().map_or(0, |token| token.line)
    }

    /// True if it says the same.
    pub fn has_same_tokens(&self, other: &Fragment<'_>) -> bool {
        are_same_tokens(self.tokens, other.tokens)
    }
}

/// True if two lists of tokens are the same, wherever they stand.
pub fn are_same_tokens(a: &[Token], b: &[Token]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.kind == b.kind)
}

/// The name, for messages, of what a start tag of this preprocessor begins.
pub fn fragment_name(kind: &TokenKind) -> String {
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
pub fn find_fragments(tokens: &[Token]) -> Vec<Fragment<'_>> {
    let mut out = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        if !tokens[at].kind.is_own_output() {
            at += 1;
            continue;
        }
        let start = at;
        let mut depth = 0_usize;
        loop {
            match &tokens[at].kind {
                kind @ TokenKind::Start { .. } => depth += usize::from(kind.opens_element()),
                TokenKind::End(_) => depth = depth.saturating_sub(1),
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

/// The ids of the claims in a page that a reader can see: of elements that look like one.
pub fn visible_claims(tokens: &[Token]) -> Vec<&str> {
    let visible = visible_start_tags(tokens).into_iter();
    let claims = visible.filter(|kind| {
        let class = kind.attribute("class").unwrap_or_default();
        class.split_ascii_whitespace().any(|word| word == CLAIM)
    });
    claims.filter_map(|kind| kind.attribute("id")).collect()
}

/// The class of a claim's element.
const CLAIM: &str = "qed-claim";

/// The start tags in a page of what a reader can see: elements that are hidden, or in such, are left out. In the chapter, an
/// element hides that no chapter may have around a claim.
fn visible_start_tags(tokens: &[Token]) -> Vec<&TokenKind> {
    let mut out = Vec::new();
    // Names of the elements that are open, and whether they are hidden.
    let mut open: Vec<(&str, bool)> = Vec::new();
    for token in tokens {
        match &token.kind {
            kind @ TokenKind::Start {
                name, attributes, ..
            } => {
                let hidden = kind.hides_content() || open.last().is_some_and(|(_, hidden)| *hidden);
                if !hidden {
                    out.push(kind);
                }
                if kind.opens_element() {
                    let in_chapter = open.iter().any(|(name, _)| *name == "main");
                    let around =
                        in_chapter && OpenElement::new(name, attributes, false).hides_claims();
                    open.push((name, hidden || around));
                }
            }
            TokenKind::End(name) => {
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
        let all = page_tokens(page);
        let found = find_fragments(&all);
        let names: Vec<String> = found.iter().map(Fragment::name).collect();
        assert_eq!(names, ["the block `x`", "claim `c`", "the value `p`"]);
        assert_eq!(found[0].tokens.len(), 6);
        assert_eq!(found[1].tokens.len(), 5);
        assert_eq!((found[0].line(), found[1].line()), (1, 2));
        assert!(main_content(&all).unwrap().len() + 2 == all.len());
    }

    /// Check that equal pieces are equal wherever they stand, and that a changed tag, attribute or text is another.
    #[test]
    fn compares() {
        let piece = "<span class=\"qed\" data-qed=\"a\">1</span>";
        let page = page_tokens(piece);
        assert!(are_same_tokens(
            &page,
            &page_tokens(&format!("\n\n {piece}"))
        ));
        for other in [
            "<span class=\"qed\" data-qed=\"b\">1</span>",
            "<span class=\"qed\">1</span>",
            "<span class=\"qed\" data-qed=\"a\">10</span>",
            "<b class=\"qed\" data-qed=\"a\">1</b>",
            "<span class=\"qed\" data-qed=\"a\">1<!-- --></span>",
        ] {
            assert!(!are_same_tokens(&page, &page_tokens(other)), "{other}");
        }
    }

    /// Check that an id inside of something hidden is none, and that the rest of the page is seen.
    #[test]
    fn sees_what_a_reader_sees() {
        let page = "<p id=a></p><div hidden><p id=b></p></div><template><p id=c></p></template><div style='display: none'>\
                    <p id=d></p></div><details><p id=e></p></details><img id=f><p id=g></p>";
        let all = page_tokens(page);
        let ids: Vec<&str> = (visible_start_tags(&all).iter())
            .filter_map(|kind| kind.attribute("id"))
            .collect();
        assert_eq!(ids, ["a", "e", "f", "g"]);
        let page = "<p id=a class='x qed-claim'></p><p id=b class=qed-claims></p><p id=c></p><div hidden><p id=d \
                    class=qed-claim></p></div>";
        assert_eq!(visible_claims(&page_tokens(page)), ["a"]);
    }
}

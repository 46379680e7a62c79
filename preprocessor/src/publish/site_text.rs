//! Reading of a rendered page: the values that it shows, and the origin that it states for each.

use crate::markdown::html::{RAW, Token, TokenKind, decode_references, tokenize_html};

/// A value that a page shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SiteValue {
    /// Its path.
    pub path: String,
    /// Its machine; empty if none could show it.
    pub machine: String,
    /// Its `as`.
    pub style: Option<String>,
    /// Its text.
    pub text: String,
    /// True if it is in the page's list, and stands somewhere else in the page without markup.
    pub listed: bool,
}

/// A page, read once.
#[derive(Debug)]
pub struct SitePage {
    tokens: Vec<Token>,
}

impl SitePage {
    /// Read a page.
    pub fn new(html: &str) -> Self {
        let tokens = tokenize_html(html);
        SitePage { tokens }
    }

    /// Everything that the page shows with its provenance.
    pub fn shown_values(&self) -> Vec<SiteValue> {
        let mut out = Vec::new();
        for (index, token) in self.tokens.iter().enumerate() {
            let kind = &token.kind;
            let Some(path) = kind.attribute("data-qed") else {
                continue;
            };
            let attribute = |name| kind.attribute(name).map(str::to_owned);
            let listed = attribute("data-qed-text");
            out.push(SiteValue {
                path: path.to_owned(),
                machine: attribute("data-qed-on").unwrap_or_default(),
                style: attribute("data-qed-as"),
                listed: listed.is_some(),
                text: listed.unwrap_or_else(|| element_text(&self.tokens[index..])),
            });
        }
        out
    }

    /// The verdicts that it shows in its claims: id and word, as the built-in template writes them.
    pub fn shown_verdicts(&self) -> Vec<(String, String)> {
        let mut out = Vec::new();
        let mut claim: Option<&str> = None;
        for (index, token) in self.tokens.iter().enumerate() {
            let id = token.kind.attribute("id");
            claim = id.and_then(|id| id.strip_prefix("claim-")).or(claim);
            let classes = token.kind.attribute("class").unwrap_or_default();
            let mut classes = classes.split_ascii_whitespace();
            if classes.any(|class| class == "qed-badge-own")
                && let Some(id) = claim.take()
            {
                let badge = element_text(&self.tokens[index..]);
                let word = badge.split_whitespace().next_back().unwrap_or_default();
                out.push((id.to_owned(), word.to_owned()));
            }
        }
        out
    }

    /// The number of placeholders that it shows on purpose, as it says itself.
    pub fn literals(&self) -> usize {
        self.tokens
            .iter()
            .filter_map(|token| {
                let number = token.kind.attribute("data-qed-literals")?;
                number.parse::<usize>().ok()
            })
            .fold(0, usize::saturating_add)
    }

    /// Its comments.
    pub fn comments(&self) -> impl Iterator<Item = String> {
        self.tokens.iter().filter_map(|token| match &token.kind {
            TokenKind::Comment(text) => Some(decode_references(text)),
            _ => None,
        })
    }

    /// Its text, and all attributes that hold no list of what it shows: those can show values, too.
    pub fn text(&self) -> String {
        let mut out = String::new();
        // Scripts know no character references, but who reads one may resolve them.
        let mut in_raw = false;
        for token in &self.tokens {
            match &token.kind {
                TokenKind::Text(text) if in_raw => out.push_str(&decode_references(text)),
                TokenKind::Text(text) => out.push_str(text),
                TokenKind::Comment(text) => out.push_str(&decode_references(text)),
                TokenKind::End(_) => in_raw = false,
                TokenKind::Start {
                    name, attributes, ..
                } => {
                    in_raw = RAW.contains(&name.as_str());
                    let is_list = |(name, _): &(String, String)| name.starts_with("data-qed");
                    if attributes.iter().any(is_list) {
                        continue;
                    }
                    for (name, value) in attributes {
                        out.extend([" ", name, "=\"", value, "\""]);
                    }
                    out.push(' ');
                }
            }
        }
        out
    }

    /// True if a browser leaves out an attribute of the page, because its element has one of this name already.
    pub fn has_repeated_attributes(&self) -> bool {
        self.tokens
            .iter()
            .any(|token| matches!(token.kind, TokenKind::Start { repeated: true, .. }))
    }
}

/// The text inside of the element that begins the tokens, up to its own end tag: part of a value may stand in an element
/// of its own.
fn element_text(tokens: &[Token]) -> String {
    let mut out = String::new();
    let Some(kind @ TokenKind::Start { name: element, .. }) =
        tokens.first().map(|token| &token.kind)
    else {
        return out;
    };
    if !kind.opens_element() {
        return out;
    }
    let mut depth = 1_usize;
    for token in &tokens[1..] {
        match &token.kind {
            kind @ TokenKind::Start { name, .. } if name == element && kind.opens_element() => {
                depth += 1
            }
            TokenKind::End(name) if name == element => depth -= 1,
            TokenKind::Text(text) => out.push_str(text),
            _ => {}
        }
        if depth == 0 {
            break;
        }
    }
    out
}

/// The page as a reader sees it, for the search for what must not be known: its text and its attributes. Of a page with
/// attributes that a browser leaves out, all of it follows with its character references resolved.
pub fn page_text(html: &str) -> String {
    let page = SitePage::new(html);
    let mut text = page.text();
    if page.has_repeated_attributes() {
        text.push('\n');
        text.push_str(&decode_references(html));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Check that values, lists, literals and plain text are read back from a page.
    #[test]
    fn reads_a_page() {
        let html = "<p>a &lt; <!-- <b data-qed=\"no\"> --><span class=\"qed\" data-qed=\"a.b\" data-qed-on=\"m\" \
                    data-qed-as=\"hex\" aria-description=\"x > y\">0x&#49;</span>.</p>\
                    <div data-qed=\"c\" data-qed-on=\"\" data-qed-text=\"5 &quot;\"></div>\
                    <i data-qed-literals=\"2\"></i><code title=\"t\">5 \"</code>";
        let page = SitePage::new(html);
        let shown = page.shown_values();
        assert_eq!(shown.len(), 2);
        assert_eq!(
            (
                shown[0].text.as_str(),
                shown[0].style.as_deref(),
                shown[0].listed
            ),
            ("0x1", Some("hex"), false)
        );
        assert_eq!(
            (
                shown[1].text.as_str(),
                shown[1].machine.as_str(),
                shown[1].listed
            ),
            ("5 \"", "", true)
        );
        assert_eq!(page.literals(), 2);
        // A part of a value that is marked belongs to it.
        let marked =
            SitePage::new("<dd data-qed=\"a\">66 <b class=\"x\">e8</b> <b>57</b></dd><b>no</b>");
        let marked = marked.shown_values();
        assert_eq!(marked[0].text, "66 e8 57");
        let text = page_text(html);
        assert!(
            text.contains("a < ") && text.contains("5 \"") && text.contains("0x1."),
            "{text}"
        );
        assert!(!text.contains("x > y"));
    }

    /// Check that damaged pages do no harm.
    #[test]
    fn survives_damage() {
        for html in [
            "<",
            "<a",
            "<a data-qed=\"",
            "<a data-qed=\"x\">",
            "&#xffffffff;",
            "&;",
            "<!-- ",
            "</",
            "<a \"><b>",
        ] {
            SitePage::new(html).shown_values();
            page_text(html);
        }
    }

    /// Check that values, verdicts and comments are found in a page that mdBook would not write so, and nothing of what
    /// stands in a comment or a script is taken for one.
    #[test]
    fn reads_any_spelling() {
        let page = SitePage::new(
            "<!-- a --!><SPAN DATA-QED=a.b data-qed-on='m'>1<span>2</span>3</SPAN>4<script>'<i data-qed=no>'</script>\
             <div class='x' id=claim-c><B CLASS='y qed-badge-own'>on <i>m</i> PASS</B></div><!-- <i data-qed=no> -->",
        );
        let shown = page.shown_values();
        assert_eq!(shown.len(), 1);
        assert_eq!(
            (shown[0].machine.as_str(), shown[0].text.as_str()),
            ("m", "123")
        );
        assert_eq!(page.shown_verdicts(), [("c".to_owned(), "PASS".to_owned())]);
        assert_eq!(page.comments().next().as_deref(), Some(" a "));
    }

    /// Check that the search for leaks sees what a browser leaves out or resolves, wherever it stands.
    #[test]
    fn leaves_nothing_out() {
        for html in [
            "<b title=a title='&#120;yz'>",
            "<script>&#120;yz</script>",
            "<!-- &#120;yz",
            "<b>x</b>yz",
            "<b TITLE=&#120;yz>",
            "<textarea>&#120;yz",
        ] {
            assert!(page_text(html).contains("xyz"), "{html}");
        }
    }
}

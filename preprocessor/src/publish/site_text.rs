//! Reading a rendered page again: what it shows, and where it says that comes from.

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
    /// It is in the page's list, and stands somewhere else in the page without markup.
    pub listed: bool,
}

/// One start tag.
struct Tag<'a> {
    /// The text between the angle brackets.
    inside: &'a str,
    /// The byte behind it.
    end: usize,
}

impl Tag<'_> {
    fn attribute(&self, name: &str) -> Option<String> {
        let marker = format!(" {name}=\"");
        let start = self.inside.find(&marker)? + marker.len();
        let length = self.inside[start..].find('"')?;
        Some(decode(&self.inside[start..start + length]))
    }
}

/// All tags of a page, as mdBook writes them: lower-case, attributes in double quotes.
fn tags(html: &str) -> impl Iterator<Item = Tag<'_>> {
    let mut at = 0;
    std::iter::from_fn(move || {
        loop {
            let start = at + html[at..].find('<')? + 1;
            let mut quoted = false;
            let length = html[start..].bytes().position(|b| {
                quoted ^= b == b'"';
                b == b'>' && !quoted
            })?;
            at = start + length + 1;
            if html[start..].starts_with(|c: char| c.is_ascii_alphabetic()) {
                return Some(Tag {
                    inside: &html[start..start + length],
                    end: at,
                });
            }
            if html[start..].starts_with("!--") {
                at = start + html[start..].find("-->")? + 3;
            }
        }
    })
}

/// Everything that a page shows with its provenance.
pub fn shown_values(html: &str) -> Vec<SiteValue> {
    let mut out = Vec::new();
    for tag in tags(html) {
        let Some(path) = tag.attribute("data-qed") else {
            continue;
        };
        let listed = tag.attribute("data-qed-text");
        let text = match &listed {
            Some(text) => text.clone(),
            None => {
                // Up to its own end tag: part of a value may stand in an element of its own.
                let rest = &html[tag.end..];
                let name = tag.inside.split_ascii_whitespace().next();
                let end = rest.find(&format!("</{}", name.unwrap_or_default()));
                let mut text = String::new();
                let mut inside = &rest[..end.unwrap_or(rest.len())];
                while let Some(start) = inside.find('<') {
                    text.push_str(&decode(&inside[..start]));
                    let after = &inside[start..];
                    inside = after.find('>').map_or("", |close| &after[close + 1..]);
                }
                text.push_str(&decode(inside));
                text
            }
        };
        out.push(SiteValue {
            path,
            machine: tag.attribute("data-qed-on").unwrap_or_default(),
            style: tag.attribute("data-qed-as"),
            text,
            listed: listed.is_some(),
        });
    }
    out
}

/// The number of placeholders that a page shows on purpose, as it says itself.
pub fn literals(html: &str) -> usize {
    tags(html)
        .filter_map(|tag| tag.attribute("data-qed-literals")?.parse::<usize>().ok())
        .fold(0, usize::saturating_add)
}

/// The comments of a page.
pub fn comments(html: &str) -> impl Iterator<Item = String> {
    html.split("<!--").skip(1).map(|rest| {
        let end = rest.find("-->").unwrap_or(rest.len());
        decode(&rest[..end])
    })
}

/// The page without its tags.
pub fn text_of(html: &str) -> String {
    let mut out = String::with_capacity(html.len() / 2);
    let mut at = 0;
    for tag in tags(html) {
        let start = tag.end - tag.inside.len() - 2;
        if start > at {
            strip_end_tags(&html[at..start], &mut out);
        }
        // Attributes can show values too: the page's own list says where.
        if !tag.inside.contains("data-qed") {
            out.push(' ');
            out.push_str(&decode(tag.inside));
            out.push(' ');
        }
        at = tag.end;
    }
    strip_end_tags(&html[at.min(html.len())..], &mut out);
    out
}

fn strip_end_tags(piece: &str, out: &mut String) {
    let mut rest = piece;
    while let Some(start) = rest.find("</") {
        out.push_str(&decode(&rest[..start]));
        rest = rest[start..]
            .find('>')
            .map_or("", |end| &rest[start + end + 1..]);
    }
    out.push_str(&decode(rest));
}

/// Resolves character references.
pub fn decode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find('&') {
        out.push_str(&rest[..start]);
        rest = &rest[start..];
        let known = rest.find(';').filter(|end| *end <= 10).and_then(|end| {
            let name = &rest[1..end];
            let c = match name {
                "amp" => '&',
                "lt" => '<',
                "gt" => '>',
                "quot" => '"',
                "apos" => '\'',
                _ => {
                    let number = name.strip_prefix('#')?;
                    let code = match number.strip_prefix(['x', 'X']) {
                        Some(hex) => u32::from_str_radix(hex, 16).ok()?,
                        None => number.parse().ok()?,
                    };
                    char::from_u32(code)?
                }
            };
            Some((c, end))
        });
        match known {
            Some((c, end)) => {
                out.push(c);
                rest = &rest[end + 1..];
            }
            None => {
                out.push('&');
                rest = &rest[1..];
            }
        }
    }
    out.push_str(rest);
    out
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
        let shown = shown_values(html);
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
        assert_eq!(literals(html), 2);
        // A part of a value that is marked belongs to it.
        let marked = shown_values("<dd data-qed=\"a\">66 <b class=\"x\">e8</b> 57</dd><b>no</b>");
        assert_eq!(marked[0].text, "66 e8 57");
        let text = text_of(html);
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
            shown_values(html);
            text_of(html);
        }
    }
}

//! Elements around measured values, and the check that they certainly show their content.

/// Elements that show their content: those of Markdown, and plain ones of HTML.
const SHOWN: &[&str] = &[
    "a",
    "abbr",
    "address",
    "article",
    "aside",
    "b",
    "bdi",
    "bdo",
    "big",
    "blockquote",
    "body",
    "caption",
    "center",
    "cite",
    "code",
    "data",
    "dd",
    "del",
    "details",
    "dfn",
    "div",
    "dl",
    "dt",
    "em",
    "figcaption",
    "figure",
    "footer",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "header",
    "hgroup",
    "i",
    "ins",
    "kbd",
    "label",
    "li",
    "main",
    "mark",
    "nav",
    "ol",
    "p",
    "pre",
    "q",
    "rb",
    "rt",
    "ruby",
    "s",
    "samp",
    "section",
    "small",
    "span",
    "strike",
    "strong",
    "sub",
    "summary",
    "sup",
    "table",
    "tbody",
    "td",
    "tfoot",
    "th",
    "thead",
    "time",
    "tr",
    "tt",
    "u",
    "ul",
    "var",
];

/// Attributes that leave an element where a reader sees it.
const HARMLESS: &[&str] = &[
    "align",
    "border",
    "cellpadding",
    "cellspacing",
    "cite",
    "class",
    "colspan",
    "datetime",
    "dir",
    "href",
    "id",
    "lang",
    "name",
    "open",
    "rel",
    "reversed",
    "role",
    "rowspan",
    "scope",
    "start",
    "tabindex",
    "target",
    "title",
    "translate",
    "type",
    "valign",
    "value",
];

/// Classes and ids that mdBook's style sheets hide
/// (<https://github.com/rust-lang/mdBook/tree/v0.5.2/crates/mdbook-html/front-end/css>).
const HIDDEN_NAMES: &[&str] = &[
    "boring",
    "checkbox-img",
    "checkbox-label",
    "hidden",
    "hide-boring",
    "img-wrapper",
    "left-buttons",
    "menu-bar",
    "menu-title",
    "mobile-nav-chapters",
    "nav-chapters",
    "nav-wide-wrapper",
    "nav-wrapper",
    "right-buttons",
    "sidebar",
    "spinner-wrapper",
    "theme-popup",
    "tooltiptext",
    "buttons",
    "searchbar-outer",
    "searchresults-outer",
    "sidebar-resize-indicator",
    "sidebar-resize-handle",
    "chapter",
    "chapter-fold-toggle",
];

/// The root elements of foreign content.
const FOREIGN: &[&str] = &["svg", "math"];

/// Elements in SVG and MathML that show a value, which is plain text there.
const SHOWN_FOREIGN: &[&str] = &[
    "svg", "g", "text", "tspan", "a", "title", "desc", "math", "mrow", "mi", "mn", "mo", "ms",
    "mtext", "mfrac", "msub", "msup", "msubsup", "msqrt", "mtable", "mtr", "mtd", "mstyle",
];

/// Attributes of these that can hide.
const HIDING_FOREIGN: &[&str] = &[
    "style",
    "class",
    "hidden",
    "display",
    "visibility",
    "opacity",
    "fill-opacity",
    "font-size",
    "clip-path",
    "mask",
    "filter",
];

/// An element that is open.
#[derive(Debug)]
pub struct OpenElement {
    /// Its name, in lower case.
    pub name: String,
    /// The reason why a claim may not stand in it.
    claim: Option<String>,
    /// The reason why a value may not stand in it.
    value: Option<String>,
}

impl OpenElement {
    /// An element with these attributes. `in_foreign`: it is inside SVG or MathML.
    pub fn new(name: &str, attributes: &[(String, String)], in_foreign: bool) -> Self {
        let whole = format!("`<{name}>`");
        let claim = match SHOWN.contains(&name) && !in_foreign {
            false => Some(whole.clone()),
            true => attributes.iter().find_map(|(attribute, value)| {
                may_hide_element(attribute, value).then(|| format_tag(name, attribute, value))
            }),
        };
        let foreign = in_foreign || FOREIGN.contains(&name);
        let value = match (foreign, name) {
            (true, _) if !SHOWN_FOREIGN.contains(&name) => Some(whole),
            (true, _) => attributes
                .iter()
                .find(|(attribute, _)| HIDING_FOREIGN.contains(&attribute.as_str()))
                .map(|(attribute, value)| format_tag(name, attribute, value)),
            (false, "button") => None,
            (false, _) => claim.clone(),
        };
        OpenElement {
            name: name.to_owned(),
            claim,
            value,
        }
    }

    /// The reason why a value, or else a claim or an exhibit, may not stand in it.
    pub fn refusal_reason(&self, value: bool) -> Option<&str> {
        match value {
            true => self.value.as_deref(),
            false => self.claim.as_deref(),
        }
    }

    /// True if a claim may not stand in it.
    pub fn hides_claims(&self) -> bool {
        self.claim.is_some()
    }

    /// True if it is the root of foreign content.
    pub fn is_foreign(&self) -> bool {
        FOREIGN.contains(&self.name.as_str())
    }
}

/// An element with the attribute that matters.
fn format_tag(name: &str, attribute: &str, value: &str) -> String {
    match value.is_empty() {
        true => format!("`<{name} {attribute}>`"),
        false => format!("`<{name} {attribute}=\"{value}\">`"),
    }
}

/// True if an attribute could hide its element.
fn may_hide_element(attribute: &str, value: &str) -> bool {
    if ["class", "id"].contains(&attribute) {
        let is_hidden = |word: &str| {
            let own = word.strip_prefix("mdbook-").unwrap_or(word);
            HIDDEN_NAMES.contains(&own) || word.starts_with("mdbook-") || word == "sr-only"
        };
        return value.split_whitespace().any(is_hidden);
    }
    let labels = attribute.starts_with("aria-") && attribute != "aria-hidden";
    !(HARMLESS.contains(&attribute) || attribute.starts_with("data-") || labels)
}

/// The name, for a message, of the part of an element that can change a page after it was made, if there is one.
pub fn find_active_part(name: &str, attributes: &[(String, String)]) -> Option<String> {
    const ACTIVE: &[&str] = &[
        "script", "style", "link", "base", "meta", "iframe", "frame", "frameset", "object", "embed",
    ];
    if ACTIVE.contains(&name) {
        return Some(format!("`<{name}>`"));
    }
    let handles = |(attribute, value): &&(String, String)| {
        // Browsers leave out what cannot be seen in front of the scheme, and line ends in it.
        let value: String = value
            .chars()
            .filter(|c| !c.is_control() && *c != ' ')
            .collect();
        let url = value.to_ascii_lowercase();
        attribute.starts_with("on") || url.starts_with("javascript:")
    };
    let found = attributes.iter().find(handles)?;
    Some(format!("the attribute `{}` of `<{name}>`", found.0))
}

//! Settings of mdBook that the pages of a site depend on.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// The keys of `[output.html]` that are published: those that the pages depend on and that name no file of the builder.
/// `additional-css` and `additional-js` name files of the site itself.
const HTML_KEYS: &[&str] = &[
    "additional-css",
    "additional-js",
    "admonitions",
    "cname",
    "code",
    "default-theme",
    "definition-lists",
    "edit-url-template",
    "fold",
    "git-repository-icon",
    "git-repository-url",
    "hash-files",
    "mathjax-support",
    "no-section-label",
    "playground",
    "preferred-dark-theme",
    "print",
    "redirect",
    "search",
    "sidebar-header-nav",
    "site-url",
    "smart-punctuation",
];

/// The keys of `[book]` that are published.
const BOOK_KEYS: &[&str] = &["title", "description", "src", "language", "text-direction"];

/// Settings of mdBook that the pages depend on.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Of the table `[book]`.
    pub book: Map<String, Value>,
    /// Of the table `[output.html]`.
    pub html: Map<String, Value>,
    /// `edition` of the table `[rust]`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub edition: Option<String>,
}

impl Settings {
    /// The settings of these tables that are published.
    pub fn new(book: &Value, html: &Value, edition: Option<String>) -> Self {
        Settings {
            book: select_keys(book, BOOK_KEYS),
            html: select_keys(html, HTML_KEYS),
            edition,
        }
    }

    /// The settings of a site, without anything that this program would not have published.
    pub fn into_publishable(self) -> Self {
        let Settings {
            book,
            html,
            edition,
        } = self;
        Settings::new(&Value::Object(book), &Value::Object(html), edition)
    }
}

fn select_keys(table: &Value, keys: &[&str]) -> Map<String, Value> {
    let known = |(key, value): (&String, &Value)| {
        let wanted = keys.contains(&key.as_str()) && !value.is_null();
        wanted.then(|| (key.clone(), value.clone()))
    };
    table
        .as_object()
        .into_iter()
        .flatten()
        .filter_map(known)
        .collect()
}

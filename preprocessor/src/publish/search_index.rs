//! The search index of a site: the titles and texts in the index that mdBook writes.

use serde_json::Value;

use crate::util::files::SiteFile;

/// The text before the index in its file
/// (<https://github.com/rust-lang/mdBook/blob/v0.5.4/crates/mdbook-html/src/html_handlebars/search.rs#L64-L75>).
const BEFORE: &str = "JSON.parse('";
const AFTER: &str = "'));";

/// True if a file of this name, without its folder, is a search index.
pub fn is_search_index(name: &str) -> bool {
    name.starts_with("searchindex") && name.ends_with(".js")
}

/// The index in a file, and the code before it; nothing if it is none.
fn parse_index(file: &str) -> Option<(&str, Value)> {
    let (code, rest) = file.trim_end().split_once(BEFORE)?;
    let quoted = rest.strip_suffix(AFTER)?;
    let mut text = String::with_capacity(quoted.len());
    let mut chars = quoted.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => text.push(chars.next()?),
            // It would end the text here.
            '\'' => return None,
            c => text.push(c),
        }
    }
    Some((code, serde_json::from_str(&text).ok()?))
}

/// A search index that is not that of the site's pages.
#[derive(Debug, thiserror::Error)]
pub enum IndexError {
    /// The book has no search.
    #[error("the book has none")]
    None,
    /// The index that was made again is not one.
    #[error("the index that was made again cannot be read")]
    Made,
    /// The site's index is not one.
    #[error("it is not a search index as mdBook writes it")]
    Form,
    /// An entry differs.
    #[error("the {field} of {page} is not what its page says")]
    Entry {
        /// Its part, such as the title.
        field: &'static str,
        /// The address of the page.
        page: String,
    },
    /// All entries are the same, and words lead to others.
    #[error("its words point to other places than the texts do")]
    Words,
}

/// Compare what a search finds; the error is the first difference.
pub fn compare(made: &str, actual: &str) -> Result<(), IndexError> {
    let Some((code, made)) = parse_index(made) else {
        return Err(IndexError::Made);
    };
    let Some((_, actual)) = parse_index(actual).filter(|(found, _)| *found == code) else {
        return Err(IndexError::Form);
    };
    if made == actual {
        return Ok(());
    }
    let docs = |index: &Value| {
        let docs = index.pointer("/index/documentStore/docs").cloned();
        docs.unwrap_or_default()
    };
    let (expected, found) = (docs(&made), docs(&actual));
    let empty = serde_json::Map::new();
    let (expected, found) = (
        expected.as_object().unwrap_or(&empty),
        found.as_object().unwrap_or(&empty),
    );
    let names: std::collections::BTreeSet<&String> = expected.keys().chain(found.keys()).collect();
    for name in names {
        let (expected, found) = (expected.get(name), found.get(name));
        if expected == found {
            continue;
        }
        let url = name
            .parse::<usize>()
            .ok()
            .and_then(|number| made["doc_urls"].get(number)?.as_str());
        let place = url.unwrap_or("a page that the book does not have");
        let what = ["title", "breadcrumbs", "body"]
            .into_iter()
            .find(|field| expected.map(|e| &e[field]) != found.map(|f| &f[field]));
        return Err(IndexError::Entry {
            field: what.unwrap_or("entry"),
            page: place.to_owned(),
        });
    }
    Err(IndexError::Words)
}

/// Put the search index of a site in the place of the one that was made again, if a search finds the same in both: the
/// order of its parts is not the same in every build of mdBook, and the name that other files call it by has its digest.
pub fn adopt_index(made: &mut [SiteFile], site: &[(&str, &SiteFile)]) {
    let Some((name, theirs)) = site.iter().find(|(name, _)| is_search_index(name)) else {
        return;
    };
    let Some(ours) = made.iter_mut().find(|file| is_search_index(&file.name)) else {
        return;
    };
    let same = ours.bytes == theirs.bytes
        || compare(
            &String::from_utf8_lossy(&ours.bytes),
            &String::from_utf8_lossy(&theirs.bytes),
        )
        .is_ok();
    if !same {
        return;
    }
    ours.bytes.clone_from(&theirs.bytes);
    let before = std::mem::replace(&mut ours.name, (*name).to_owned());
    if before == *name {
        return;
    }
    let texts = made.iter_mut();
    for file in texts.filter(|file| [".html", ".js"].iter().any(|end| file.name.ends_with(end))) {
        if let Ok(text) = std::str::from_utf8(&file.bytes)
            && text.contains(&before)
            && !is_search_index(&file.name)
        {
            file.bytes = text.replace(&before, name).into_bytes();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(body: &str) -> String {
        let json = serde_json::json!({
            "doc_urls": ["one.html#a"],
            "index": {"documentStore": {"docs": {"0": {"id": "0", "title": "One", "body": body, "breadcrumbs": "One"}}}},
        });
        let json = json.to_string().replace('\\', "\\\\").replace('\'', "\\'");
        format!("window.search = Object.assign(window.search, JSON.parse('{json}'));")
    }

    /// Check that an index that differs only in the order of its parts takes the place of the other, by its own name in all
    /// files, and that one that finds something else does not.
    #[test]
    fn adopts() {
        let named = |name: &str, text: String| SiteFile {
            name: name.into(),
            bytes: text.into_bytes(),
        };
        let index = file("a b");
        let other = index.replacen("\"id\":\"0\",", "", 1).replacen(
            "\"title\":",
            "\"id\":\"0\",\"title\":",
            1,
        );
        for (theirs, adopted) in [(other, true), (file("c"), false)] {
            let mut made = [
                named("searchindex-1.js", index.clone()),
                named("searcher.js", "load('searchindex-1.js')".into()),
            ];
            let theirs = named("searchindex-2.js", theirs);
            adopt_index(&mut made, &[("searchindex-2.js", &theirs)]);
            assert_eq!(made[0].bytes == theirs.bytes, adopted);
            let names = String::from_utf8_lossy(&made[1].bytes).contains("searchindex-2.js");
            assert_eq!(
                (made[0].name == "searchindex-2.js", names),
                (adopted, adopted)
            );
        }
    }

    /// Check that equal texts are equal, that a changed one is named by its page and field, and that code behind the index
    /// is refused.
    #[test]
    fn compares() {
        let good = file("it's \"PASS\" \\ x");
        assert!(compare(&good, &good).is_ok());
        let message = compare(&good, &file("it's \"FAIL\" \\ x"))
            .unwrap_err()
            .to_string();
        assert!(message.contains("the body of one.html#a"), "{message}");
        let message = compare(
            &good,
            &good.replace("\"title\":\"One\"", "\"title\":\"Two\""),
        );
        assert!(
            message
                .unwrap_err()
                .to_string()
                .contains("the title of one.html#a")
        );
        for bad in [
            format!("{good} alert(1);"),
            good.replace("JSON.parse('", "JSON.parse('' + '"),
            String::new(),
        ] {
            assert!(compare(&good, &bad).is_err(), "{bad}");
        }
    }
}

//! mdBook's own HTML renderer, run on a book that is not on disk.

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};

use mdbook_html::HtmlHandlebars;
use mdbook_renderer::book::Book;
use mdbook_renderer::config::{BookConfig, Config};
use mdbook_renderer::{RenderContext, Renderer};
use serde_json::{Map, Value};
use thiserror::Error;

use super::source::is_plain_relative;
use crate::mdbook::settings::Settings;
use crate::util::files::{self, FilesError, SiteFile};

/// A book whose pages cannot be made again.
#[derive(Debug, Error)]
pub enum RenderError {
    /// The folder for the pages cannot be made.
    #[error("the pages cannot be made again: {0}")]
    Folder(std::io::Error),
    /// The published settings cannot be used.
    #[error("the pages cannot be made again: {0}")]
    Settings(#[from] SettingsError),
    /// mdBook's renderer refuses the book.
    #[error("the pages cannot be made again: {0:#}")]
    Renderer(mdbook_renderer::errors::Error),
    /// mdBook's renderer panicked.
    #[error("the pages cannot be made again: mdBook's renderer gave up on the published chapters")]
    Panicked,
    /// The pages that were made cannot be read.
    #[error(transparent)]
    Files(#[from] FilesError),
}

/// Settings that mdBook cannot render a book with. The message begins with the table.
#[derive(Debug, Error)]
pub enum SettingsError {
    /// The table `[book]`.
    #[error("[book]: {0}")]
    Book(serde_json::Error),
    /// The folder of the chapters leads out of the book.
    #[error("the folder of the chapters is `{}`", .0.display())]
    Src(PathBuf),
    /// The table `[rust]`.
    #[error("[rust]: {0}")]
    Rust(serde_json::Error),
    /// The table `[output.html]`.
    #[error("[output.html]: {0:#}")]
    Html(mdbook_renderer::errors::Error),
    /// A style sheet or script cannot be put into the folder.
    #[error("`{name}` cannot be written: {error}")]
    File {
        /// Its name in the settings.
        name: String,
        /// The reason.
        error: std::io::Error,
    },
}

/// Make all files of a book's HTML. `site` are the files of the site that was made before, from which come the style
/// sheets and scripts that the settings name.
pub fn render(
    settings: &Settings,
    titles: &BTreeMap<PathBuf, String>,
    book: Book,
    site: &[(&str, &SiteFile)],
) -> Result<Vec<SiteFile>, RenderError> {
    let root = tempfile::tempdir().map_err(RenderError::Folder)?;
    let config = mdbook_config(settings, root.path(), site)?;
    std::fs::create_dir_all(root.path().join(&config.book.src)).map_err(RenderError::Folder)?;
    let made = root.path().join("made");
    let mut context = RenderContext::new(root.path(), book, config, &made);
    context.chapter_titles = titles.clone().into_iter().collect();
    // What a site publishes may be anything, and mdBook was made for books.
    let rendered =
        std::panic::catch_unwind(AssertUnwindSafe(|| HtmlHandlebars::new().render(&context)));
    match rendered {
        Ok(Ok(())) => Ok(files::read(&made)?),
        Ok(Err(error)) => Err(RenderError::Renderer(error)),
        Err(_) => Err(RenderError::Panicked),
    }
}

/// The configuration of mdBook; files that it needs are put below `root`.
fn mdbook_config(
    settings: &Settings,
    root: &Path,
    site: &[(&str, &SiteFile)],
) -> Result<Config, SettingsError> {
    let mut config = Config::default();
    let book: BookConfig = serde_json::from_value(Value::Object(settings.book.clone()))
        .map_err(SettingsError::Book)?;
    if !is_plain_relative(&book.src) {
        return Err(SettingsError::Src(book.src));
    }
    config.book = book;
    if let Some(edition) = &settings.edition {
        let edition = serde_json::from_value(Value::String(edition.clone()));
        config.rust.edition = Some(edition.map_err(SettingsError::Rust)?);
    }
    let mut html = settings.html.clone();
    for key in ["additional-css", "additional-js"] {
        let files = put_additional_files(&html, key, root, site)?;
        html.insert(key.into(), files);
    }
    if let Some(Value::Object(redirects)) = html.get_mut("redirect") {
        redirects.retain(|from, _| {
            let path = from.trim_start_matches('/').split('#').next();
            path.is_some_and(|path| is_plain_relative(Path::new(path)))
        });
    }
    config
        .set("output.html", Value::Object(html))
        .map_err(SettingsError::Html)?;
    Ok(config)
}

/// Those of the additional files under `key` that the site has, with their content put below `root`. What they hold is not
/// made again, but the pages name it.
fn put_additional_files(
    html: &Map<String, Value>,
    key: &str,
    root: &Path,
    site: &[(&str, &SiteFile)],
) -> Result<Value, SettingsError> {
    let names = html.get(key).and_then(Value::as_array);
    let mut files = Vec::new();
    for name in names.into_iter().flatten().filter_map(Value::as_str) {
        let path = Path::new(name);
        let Some(file) = is_plain_relative(path)
            .then(|| find_in_site(name, site))
            .flatten()
        else {
            continue;
        };
        let place = root.join(path);
        let written = std::fs::create_dir_all(place.parent().unwrap_or(root))
            .and_then(|()| std::fs::write(&place, &file.bytes));
        written.map_err(|error| SettingsError::File {
            name: name.to_owned(),
            error,
        })?;
        files.push(Value::String(name.to_owned()));
    }
    Ok(Value::Array(files))
}

/// True if a file is one of the additional ones, under its own name.
pub fn is_additional(settings: &Settings, file: &str) -> bool {
    ["additional-css", "additional-js"].iter().any(|key| {
        let names = settings.html.get(*key).and_then(Value::as_array);
        names
            .into_iter()
            .flatten()
            .any(|name| name.as_str() == Some(file))
    })
}

/// The file of the site that an additional file became: under its own name, or with its digest before the ending.
fn find_in_site<'f>(name: &str, site: &[(&str, &'f SiteFile)]) -> Option<&'f SiteFile> {
    let (stem, ending) = name.split_once('.')?;
    let hashed = |found: &str| {
        let digest = found.strip_prefix(stem).and_then(|rest| {
            rest.strip_prefix('-')?
                .strip_suffix(ending)?
                .strip_suffix('.')
        });
        digest.is_some_and(|digest| digest.len() == 8)
    };
    let found = site
        .iter()
        .find(|(found, _)| *found == name || hashed(found));
    found.map(|(_, file)| *file)
}

#[cfg(test)]
mod tests {
    use super::*;
    use mdbook_renderer::book::Chapter;
    use serde_json::json;

    /// Check that a page is made as mdBook makes it, with the style sheet of the site, and that a setting that leads out of
    /// the folder writes nothing there.
    #[test]
    fn makes_pages() {
        let mut book = Book::new();
        book.push_item(Chapter::new(
            "One",
            "# One\n\ntext\n".into(),
            "a/one.md",
            vec![],
        ));
        let sheet = SiteFile {
            name: "html/own-12345678.css".into(),
            bytes: b"p {}".to_vec(),
        };
        let settings = Settings::new(
            &json!({"title": "T"}),
            &json!({"additional-css": ["own.css", "gone.css", "../out.css"], "redirect": {"/../x.html": "y.html"}}),
            None,
        );
        let site = [("own-12345678.css", &sheet)];
        let made = render(&settings, &BTreeMap::new(), book, &site).unwrap();
        let page = made.iter().find(|file| file.name == "a/one.html").unwrap();
        let page = String::from_utf8_lossy(&page.bytes);
        assert!(
            page.contains("<title>One - T</title>") && page.contains("text"),
            "{page}"
        );
        assert!(page.contains("own-") && !page.contains("gone"), "{page}");
        assert!(
            made.iter()
                .any(|file| crate::publish::search_index::is_search_index(&file.name))
        );
        let out = Settings::new(&json!({"src": "/etc"}), &json!({}), None);
        let refused = render(&out, &BTreeMap::new(), Book::new(), &[])
            .unwrap_err()
            .to_string();
        assert!(refused.contains("`/etc`"), "{refused}");
    }
}

//! The input of a preprocessor: one JSON array of a context and a book.
//!
//! <https://rust-lang.github.io/mdBook/for_developers/preprocessors.html>

use std::path::PathBuf;

use mdbook_preprocessor::MDBOOK_VERSION;
use mdbook_preprocessor::book::{Book, BookItem};
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::markdown::dialect::Markdown;

/// The part of mdBook's context that is read.
#[derive(Debug)]
pub struct BookContext {
    /// The book's root.
    pub root: PathBuf,
    /// The folder of the chapters, relative to the root.
    pub src: PathBuf,
    /// The folder of the theme, relative to the root.
    pub theme: PathBuf,
    /// The renderer's name.
    pub renderer: String,
    /// The book's outputs: a renderer is run for each.
    pub outputs: Vec<String>,
    /// True under `mdbook serve`, which tells its pages where to ask for changes.
    pub serves: bool,
    /// The table `[preprocessor.qed]`.
    pub table: Value,
    /// The flags of the book's Markdown.
    pub markdown: Markdown,
}

/// The two halves of the input, the second one unread.
pub struct Input<'a> {
    /// The context.
    pub context: BookContext,
    /// The book as JSON.
    pub book: &'a str,
}

/// Input that is not of a preprocessor of this version of mdBook.
#[derive(Debug, thiserror::Error)]
pub enum ProtocolError {
    /// Not an array of a context and a book.
    #[error(
        "the input is not what mdBook gives to a preprocessor (a JSON array of a context and a book): {0}. This program is \
         run by mdbook; to look at a book, use `mdbook-qed check`"
    )]
    Input(serde_json::Error),
    /// The context has another form.
    #[error("the context from mdBook cannot be read: {0}")]
    Context(serde_json::Error),
    /// An input of another version.
    #[error(
        "this mdbook-qed speaks the protocol of mdbook 0.5 (built with {MDBOOK_VERSION}), but was called by mdbook {0}; install \
         mdbook 0.5, or a mdbook-qed made for {0}"
    )]
    Version(String),
    /// An input that names no version.
    #[error(
        "the input names no mdbook version; this mdbook-qed speaks the protocol of mdbook 0.5 (built with {MDBOOK_VERSION})"
    )]
    NoVersion,
    /// The book has another form.
    #[error("the book from mdBook cannot be read: {0}")]
    Book(serde_json::Error),
}

/// Read the input. The version is read first, from untyped JSON, so that another version is reported as such.
pub fn read_input(input: &str) -> Result<Input<'_>, ProtocolError> {
    let (context, book): (&RawValue, &RawValue) =
        serde_json::from_str(input).map_err(ProtocolError::Input)?;
    let context: Value = serde_json::from_str(context.get()).map_err(ProtocolError::Context)?;
    check_version(context.get("mdbook_version").and_then(Value::as_str))?;
    #[derive(Deserialize)]
    struct Typed {
        root: PathBuf,
        renderer: String,
        config: Value,
    }
    let typed: Typed = serde_json::from_value(context).map_err(ProtocolError::Context)?;
    let src = typed
        .config
        .pointer("/book/src")
        .and_then(Value::as_str)
        .unwrap_or("src");
    Ok(Input {
        context: BookContext {
            src: src.into(),
            theme: theme_folder(typed.config.pointer("/output/html")),
            table: typed
                .config
                .pointer("/preprocessor/qed")
                .cloned()
                .unwrap_or(Value::Null),
            markdown: Markdown::read(typed.config.pointer("/output/html")),
            outputs: typed
                .config
                .get("output")
                .and_then(Value::as_object)
                .map(|outputs| outputs.keys().cloned().collect())
                .unwrap_or_default(),
            serves: typed
                .config
                .pointer("/output/html/live-reload-endpoint")
                .is_some(),
            root: typed.root,
            renderer: typed.renderer,
        },
        book: book.get(),
    })
}

/// The folder of the theme, from `[output.html]`, with mdBook's default.
pub fn theme_folder(html: Option<&Value>) -> PathBuf {
    html.and_then(|h| h.get("theme"))
        .and_then(Value::as_str)
        .unwrap_or("theme")
        .into()
}

/// Any 0.5 will do.
fn check_version(theirs: Option<&str>) -> Result<(), ProtocolError> {
    match theirs {
        Some(version) if version == "0.5" || version.starts_with("0.5.") => Ok(()),
        Some(version) => Err(ProtocolError::Version(version.to_owned())),
        None => Err(ProtocolError::NoVersion),
    }
}

/// True if the book, as JSON, can hold anything that this program replaces. If not, it is given back as it came.
pub fn needs_processing(book: &str) -> bool {
    // A producer that writes letters as escapes could hide one.
    let hides = [
        "\\u007b", "\\u007B", "\\u0071", "\\u0020", "\\u002d", "\\u002D",
    ];
    crate::markdown::syntax::may_be_in_json(book)
        || crate::markdown::chapter::may_hold_blocks(book)
        || hides.iter().any(|escape| book.contains(escape))
}

/// Read the book.
pub fn read_book(json: &str) -> Result<Book, ProtocolError> {
    serde_json::from_str(json).map_err(ProtocolError::Book)
}

/// Name and text of every chapter that has a text, in the order of the book. The name is that of the author's
/// own file, relative to `src`.
pub fn chapters_mut(book: &mut Book) -> Vec<(String, &mut String)> {
    fn collect<'a>(items: &'a mut [BookItem], out: &mut Vec<(String, &'a mut String)>) {
        for item in items {
            if let BookItem::Chapter(chapter) = item {
                if !chapter.is_draft_chapter() {
                    let path = chapter.source_path.as_ref().or(chapter.path.as_ref());
                    let name =
                        path.map_or_else(|| chapter.name.clone(), |p| p.display().to_string());
                    out.push((name, &mut chapter.content));
                }
                collect(&mut chapter.sub_items, out);
            }
        }
    }
    let mut out = Vec::new();
    collect(&mut book.items, &mut out);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn input(version: &str) -> String {
        format!(r#"[{{"root":"/b","config":{{}},"renderer":"html"{version}}},{{"items":[]}}]"#)
    }

    /// Check that the version is told first, naming both, and that any 0.5 is taken.
    #[test]
    fn versions() {
        for good in ["0.5.0", "0.5.4", "0.5.99"] {
            assert!(read_input(&input(&format!(r#","mdbook_version":"{good}""#))).is_ok());
        }
        let error = read_input(&input(r#","mdbook_version":"0.4.52""#))
            .err()
            .unwrap()
            .to_string();
        assert!(
            error.contains("0.4.52") && error.contains(mdbook_preprocessor::MDBOOK_VERSION),
            "{error}"
        );
        assert!(read_input(&input("")).is_err());
        // Another version may have another context altogether.
        let error = read_input(r#"[{"mdbook_version":"1.0.0"},{}]"#)
            .err()
            .unwrap()
            .to_string();
        assert!(error.contains("1.0.0"), "{error}");
        assert!(
            read_input("")
                .err()
                .unwrap()
                .to_string()
                .contains("mdbook-qed check")
        );
    }

    /// Check that `mdbook serve` is told from a build.
    #[test]
    fn serve() {
        let config = |html: &str| {
            let text = input(r#","mdbook_version":"0.5.4""#);
            text.replace(
                r#""config":{}"#,
                &format!(r#""config":{{"output":{{"html":{html}}}}}"#),
            )
        };
        assert!(
            read_input(&config(r#"{"live-reload-endpoint":"__livereload"}"#))
                .unwrap()
                .context
                .serves
        );
        assert!(
            !read_input(&config(r#"{"site-url":"/"}"#))
                .unwrap()
                .context
                .serves
        );
        assert!(
            !read_input(&input(r#","mdbook_version":"0.5.4""#))
                .unwrap()
                .context
                .serves
        );
    }

    /// Check that names are those of the author's files and that drafts are left out, their children kept.
    #[test]
    fn chapter_names() {
        let chapter = |name: &str, path: &str, sub: &str| {
            format!(
                r#"{{"Chapter":{{"name":"{name}","content":"c","number":null,"sub_items":[{sub}],"path":{path},"source_path":{path},"parent_names":[]}}}}"#
            )
        };
        let inner = chapter("in", "\"a/in.md\"", "");
        let json = format!(
            r#"{{"items":[{},"Separator",{}]}}"#,
            chapter("draft", "null", &inner),
            chapter("x", "\"README.md\"", "")
        );
        let mut book = read_book(&json).unwrap();
        let names: Vec<String> = chapters_mut(&mut book)
            .into_iter()
            .map(|(name, _)| name)
            .collect();
        assert_eq!(names, ["a/in.md", "README.md"]);
    }
}

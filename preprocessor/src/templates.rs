//! The templates: every piece of HTML that is more than one element. A book may replace each of them.
//!
//! A book's own template is the file `qed/NAME.hbs` in its theme folder (`theme`, unless `output.html.theme` says otherwise),
//! written in [handlebars](https://handlebarsjs.com/guide/). It is given the same data as the built-in one, which
//! `mdbook-qed template NAME` prints. Every value is escaped for HTML; naming one that the data does not have is an error;
//! `{{code VALUE}}` shows text between backticks in it as code. Lines of the output are joined without the white space around
//! them, because a block of HTML in Markdown must stay in one piece.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};

use handlebars::{Context, Handlebars, Helper, HelperResult, Output, RenderContext};
use qed_evidence::diagnostic::{Diagnostic, SourceText, nearest};
use serde::Serialize;

use crate::markdown::escape;

/// Name and text of every template.
pub const BUILT_IN: &[(&str, &str)] = &[
    ("bytes", include_str!("../templates/bytes.hbs")),
    ("calltree", include_str!("../templates/calltree.hbs")),
    ("claim", include_str!("../templates/claim.hbs")),
    ("claims", include_str!("../templates/claims.hbs")),
    ("coverage", include_str!("../templates/coverage.hbs")),
    ("derivation", include_str!("../templates/derivation.hbs")),
    ("disassembly", include_str!("../templates/disassembly.hbs")),
    ("evidence", include_str!("../templates/evidence.hbs")),
    ("graph", include_str!("../templates/graph.hbs")),
    ("history", include_str!("../templates/history.hbs")),
    ("timeline", include_str!("../templates/timeline.hbs")),
    ("layout", include_str!("../templates/layout.hbs")),
    ("ledger", include_str!("../templates/ledger.hbs")),
    ("linkage", include_str!("../templates/linkage.hbs")),
    ("log", include_str!("../templates/log.hbs")),
    ("machines", include_str!("../templates/machines.hbs")),
    ("page", include_str!("../templates/page.hbs")),
    ("slides", include_str!("../templates/slides.hbs")),
    ("slot", include_str!("../templates/slot.hbs")),
    ("space", include_str!("../templates/space.hbs")),
    ("steps", include_str!("../templates/steps.hbs")),
    ("table", include_str!("../templates/table.hbs")),
    ("thread", include_str!("../templates/thread.hbs")),
    ("trace", include_str!("../templates/trace.hbs")),
    ("value", include_str!("../templates/value.hbs")),
];

/// The folder of a book's own templates, in its theme folder.
const FOLDER: &str = "qed";

fn escape_html(text: &str) -> String {
    escape::html(&escape::escape_invisible_lines(text))
}

/// The helper `{{code TEXT}}`: a text in which parts between backticks become code.
fn code_helper(
    helper: &Helper<'_>,
    _: &Handlebars<'_>,
    _: &Context,
    _: &mut RenderContext<'_, '_>,
    out: &mut dyn Output,
) -> HelperResult {
    let text = helper.param(0).and_then(|param| param.value().as_str());
    out.write(&render_code_spans(text.unwrap_or_default()))?;
    Ok(())
}

/// A text as HTML, in which what stands between backticks is code.
pub fn render_code_spans(text: &str) -> String {
    let pieces: Vec<&str> = text.split('`').collect();
    // Without its partner a backtick is one.
    if pieces.len().is_multiple_of(2) {
        return escape_html(text);
    }
    let pieces = pieces
        .iter()
        .enumerate()
        .map(|(index, piece)| match index % 2 {
            0 => escape_html(piece),
            _ => format!("<code>{}</code>", escape_html(piece)),
        });
    pieces.collect()
}

fn new_registry() -> Handlebars<'static> {
    let mut templates = Handlebars::new();
    templates.set_strict_mode(true);
    templates.register_escape_fn(escape_html);
    templates.register_helper("code", Box::new(code_helper));
    templates
}

static DEFAULTS: LazyLock<Handlebars<'static>> = LazyLock::new(|| {
    let mut templates = new_registry();
    for (name, text) in BUILT_IN {
        templates
            .register_template_string(name, text)
            .expect("the templates in this crate are well-formed, as its tests show");
    }
    templates
});

/// Parse the built-in templates ahead of their first use.
pub fn parse_built_in() {
    LazyLock::force(&DEFAULTS);
}

/// The templates of one book.
#[derive(Debug, Default)]
pub struct Templates {
    /// The book's own ones and the others, if it has any of its own.
    own: Option<Handlebars<'static>>,
    /// The files of its own ones, by name.
    sources: Vec<(&'static str, Arc<SourceText>)>,
    /// The problems of filling its own templates.
    problems: Mutex<Vec<Diagnostic>>,
    /// Nobody will see what comes out.
    unseen: AtomicBool,
}

impl Templates {
    /// Read the templates of the book in `root`, whose theme folder is `theme`.
    pub fn load(root: &Path, theme: &Path) -> Result<Self, Vec<Diagnostic>> {
        let folder = theme.join(FOLDER);
        let mut files = Vec::new();
        let mut problems = Vec::new();
        let entries = match std::fs::read_dir(root.join(&folder)) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Ok(Templates::default());
            }
            Err(error) => return Err(vec![unreadable_error(&folder, &error)]),
        };
        for entry in entries {
            let name = match entry {
                Ok(entry) => PathBuf::from(entry.file_name()),
                Err(error) => return Err(vec![unreadable_error(&folder, &error)]),
            };
            // What editors leave beside a file.
            let shown = name.to_string_lossy();
            if shown.starts_with('.') || shown.ends_with('~') {
                continue;
            }
            let file = folder.join(&name);
            match crate::util::files::read_text(&root.join(&file)) {
                Ok(text) => files.push((file, text)),
                Err(error) => problems.push(unreadable_error(&file, &error)),
            }
        }
        files.sort();
        match Templates::with(files) {
            Ok(templates) if problems.is_empty() => Ok(templates),
            Ok(_) => Err(problems),
            Err(more) => {
                problems.extend(more);
                Err(problems)
            }
        }
    }

    /// The templates of a book that has these files (name relative to the book's root, text) of its own.
    pub fn with(files: Vec<(PathBuf, String)>) -> Result<Self, Vec<Diagnostic>> {
        let mut problems = Vec::new();
        let mut templates = DEFAULTS.clone();
        let mut sources = Vec::new();
        for (file, text) in files {
            let stem = file.file_stem().unwrap_or_default().to_string_lossy();
            let is_template = file.extension().is_some_and(|e| e == "hbs");
            let known = BUILT_IN.iter().map(|(name, _)| *name);
            let Some(name) = known.clone().find(|name| is_template && **name == *stem) else {
                let message = format!("`{}` is not the name of a template", file.display());
                let help = match nearest(&stem, known.clone()) {
                    Some(near) => format!("did you mean `{near}.hbs`?"),
                    None => {
                        let names: Vec<String> = known.map(|name| format!("{name}.hbs")).collect();
                        format!("there is {}", names.join(", "))
                    }
                };
                problems.push(Diagnostic::error_without_place(message).help(help));
                continue;
            };
            let source = Arc::new(SourceText {
                name: file.display().to_string(),
                text,
            });
            match templates.register_template_string(name, &source.text) {
                Ok(()) => sources.push((name, source)),
                Err(error) => {
                    let message = format!(
                        "the template cannot be read: {}",
                        error_reason(error.reason())
                    );
                    problems.push(template_error(&source, error.pos(), message));
                }
            }
        }
        if problems.is_empty() {
            Ok(Templates {
                own: (!sources.is_empty()).then_some(templates),
                sources,
                problems: Mutex::default(),
                unseen: AtomicBool::default(),
            })
        } else {
            Err(problems)
        }
    }

    /// File name and text of each of the book's own templates.
    pub fn own_templates(&self) -> impl Iterator<Item = (String, &str)> {
        let own = self.sources.iter();
        own.map(|(name, source)| (format!("{name}.hbs"), source.text.as_str()))
    }

    /// Fill a template: one line of HTML, every value in it escaped. If one of the book's own templates fails, the error is
    /// stored for [`take_problems`](Self::take_problems), and the built-in one is used.
    ///
    /// # Panics
    /// If `data` lacks what the built-in template names: a mistake in this crate, which its tests would show.
    pub fn render(&self, name: &str, data: &impl Serialize) -> String {
        let own = self.sources.iter().find(|(known, _)| *known == name);
        if let (Some(templates), Some((_, source))) = (&self.own, own) {
            match templates.render(name, data) {
                Ok(text) => return join_lines(&text),
                Err(error) => {
                    let message = format!(
                        "the template cannot be filled: {}",
                        error_reason(error.reason())
                    );
                    let place = error.line_no.zip(error.column_no);
                    let problem = template_error(source, place, message).help(format!(
                        "`mdbook-qed template {name}` prints the built-in one, which names all that there is"
                    ));
                    self.lock_problems().push(problem);
                }
            }
        }
        if self.unseen.load(Ordering::Relaxed) {
            return String::new();
        }
        let text = DEFAULTS.render(name, data);
        join_lines(&text.unwrap_or_else(|error| panic!("template {name}: {error}")))
    }

    /// From now on the output is not used: so the built-in templates, which cannot fail, return nothing.
    pub fn discard_output(&self) {
        self.unseen.store(true, Ordering::Relaxed);
    }

    /// True if the book has its own template of this name, with which something can go wrong.
    pub fn has_own(&self, name: &str) -> bool {
        self.sources.iter().any(|(known, _)| *known == name)
    }

    /// Take what went wrong since the last time.
    pub fn take_problems(&self) -> Vec<Diagnostic> {
        std::mem::take(&mut *self.lock_problems())
    }

    fn lock_problems(&self) -> MutexGuard<'_, Vec<Diagnostic>> {
        self.problems.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A block of HTML in Markdown ends at a blank line, and in a list or a quote each line would need its prefix: so
/// what a template gives is one line. Line ends inside values are character references by then.
fn join_lines(text: &str) -> String {
    text.lines().map(str::trim).collect()
}

/// The first line of an error, which is a phrase; handlebars draws the place behind it, and so do we.
fn error_reason(error: &impl std::fmt::Display) -> String {
    let text = error.to_string();
    let line = text.lines().find(|line| !line.trim().is_empty());
    line.unwrap_or_default().trim().to_owned()
}

fn unreadable_error(path: &Path, error: &std::io::Error) -> Diagnostic {
    let message = format!("the template `{}` cannot be read: {error}", path.display());
    Diagnostic::error_without_place(message)
}

/// An error at line and column of a template, both from 1.
fn template_error(
    source: &Arc<SourceText>,
    place: Option<(usize, usize)>,
    message: String,
) -> Diagnostic {
    let (line, column) = place.unwrap_or((1, 1));
    let lines = source.text.split_inclusive('\n');
    let start: usize = lines.take(line.saturating_sub(1)).map(str::len).sum();
    let rest = source.text[start..].lines().next().unwrap_or_default();
    let at = rest
        .char_indices()
        .nth(column.saturating_sub(1))
        .map_or(rest.len(), |(at, _)| at);
    let end = rest[at..].chars().next().map_or(at, |c| at + c.len_utf8());
    Diagnostic::error(source, start + at..start + end, message)
}

/// The style sheet on one line.
pub fn style_sheet() -> &'static str {
    static STYLE: LazyLock<String> =
        LazyLock::new(|| include_str!("../templates/style.css").lines().collect());
    &STYLE
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Check that what stands between backticks is code, that all of it is escaped, and that a backtick without a partner stays.
    #[test]
    fn code_in_reasons() {
        let plain = |text: &str| render_code_spans(text).replace("&#32;", " ");
        assert_eq!(
            plain("no `a` of `b`"),
            format!(
                "{}<code>a</code>{}<code>b</code>",
                escape_html("no ").replace("&#32;", " "),
                escape_html(" of ").replace("&#32;", " ")
            )
        );
        assert_eq!(
            render_code_spans("`<b>`"),
            format!("<code>{}</code>", escape_html("<b>"))
        );
        assert_eq!(render_code_spans("a ` b"), escape_html("a ` b"));
        assert_eq!(render_code_spans(""), "");
    }
    use serde_json::json;

    fn own(name: &str, text: &str) -> Result<Templates, Vec<Diagnostic>> {
        Templates::with(vec![(
            PathBuf::from("theme/qed").join(name),
            text.to_owned(),
        )])
    }

    /// Check that a book's own template is used, escaped and joined to one line, and that the others stay.
    #[test]
    fn own_templates() {
        let templates = own(
            "table.hbs",
            "<ol>\n  {{#each rows}}\n  <li>{{this}}</li>\n  {{/each}}\n</ol>\n",
        )
        .unwrap();
        let html = templates.render("table", &json!({"rows": ["a\n<b>", "c"]}));
        assert_eq!(html, "<ol><li>a&#10;&#60;b&#62;</li><li>c</li></ol>");
        let html = templates.render("calltree", &json!({"caption": "c", "lines": []}));
        assert!(html.starts_with("<div class=\"qed-exhibit\">"), "{html}");
        assert_eq!(templates.take_problems(), []);
    }

    /// Check that a template that is not well-formed is refused at its line, and one that this program never asks
    /// for is refused by name.
    #[test]
    fn refuses_bad_templates() {
        let problems = own("table.hbs", "<p>\n{{#if rows}}x{{/each}}\n").unwrap_err();
        assert_eq!(problems[0].line_column().unwrap().0, 2, "{problems:?}");
        assert_eq!(
            problems[0].place.as_ref().unwrap().0.name,
            "theme/qed/table.hbs"
        );
        let problems = own("tabel.hbs", "x").unwrap_err();
        assert_eq!(
            problems[0].help.as_deref(),
            Some("did you mean `table.hbs`?")
        );
        assert!(own("table.html", "x").is_err());
        assert!(own("style.css", "x").is_err());
    }

    /// Check that naming what the data does not have is an error at its place, with the built-in template's output in
    /// its stead, and no panic.
    #[test]
    fn missing_data() {
        let templates = own("table.hbs", "<p>a</p>\n<p>{{rowz}}</p>\n").unwrap();
        let html = templates.render("table", &json!({"rows": []}));
        assert!(html.contains("<table>"), "{html}");
        let problems = templates.take_problems();
        assert_eq!(problems.len(), 1);
        assert_eq!(problems[0].line_column().unwrap().0, 2, "{problems:?}");
        assert!(problems[0].message.contains("rowz"), "{problems:?}");
        assert_eq!(templates.take_problems(), []);
    }
}

//! A table of values: each line of its body is `PATH as="…"`, with a `LABEL:` before it if wanted.

use serde::Serialize;

use super::Request;
use crate::facts::{NotWritten, What};
use crate::fill::Rendered;
use crate::format::{STYLE_OPTIONS, Style, describe};
use crate::page::{Use, machines};
use crate::syntax::{SyntaxError, only_options, words};

#[derive(Serialize)]
struct Row {
    label: String,
    path: String,
    machine: String,
    style: Option<String>,
    text: String,
    provenance: String,
    missing: bool,
}

#[derive(Serialize)]
struct Data {
    rows: Vec<Row>,
}

/// Renders the exhibit.
pub fn render(request: &Request<'_, '_>) -> Result<Rendered, SyntaxError> {
    let machine = request.machine()?;
    let facts = request.facts;
    let mut uses = Vec::new();
    let mut rows = Vec::new();
    if request.body.is_empty() {
        let help = "write one path in each line between the fences".to_owned();
        return Err(SyntaxError::new(
            request.info.clone(),
            "the table has no row",
            help,
        ));
    }
    for (line, span) in request.body {
        // A label may hold anything but a colon; paths and options hold none outside quotes.
        let colon = line.find(':').filter(|at| !line[..*at].contains('"'));
        let label = colon.map(|at| line[..at].trim().to_owned());
        let start = span.start + colon.map_or(0, |at| at + 1);
        let words = words(request.source, start..span.end)?;
        only_options(&words, STYLE_OPTIONS)?;
        let [name] = &words.words[..] else {
            return Err(SyntaxError::new(span.clone(), "a row has one path", None));
        };
        let path: qed_evidence::Path = name
            .text
            .parse()
            .map_err(|m: String| SyntaxError::new(name.span.clone(), m, None))?;
        let style = Style::read(&words)?;
        let shown = facts.show(&path, machine);
        let shown = shown.as_ref().as_ref().map_err(|error| {
            let help = error
                .nearest
                .as_ref()
                .map(|near| format!("did you mean `{near}`?"));
            SyntaxError::new(
                name.span.clone(),
                format!("unknown path: {}", error.message),
                help,
            )
        })?;
        let (text, note, missing) = match &shown.what {
            What::Value(value, _) => {
                match facts.write(shown.machine, Some(path.as_str()), value, style.format) {
                    Ok(text) => (text, describe(value), false),
                    Err(NotWritten::Withheld(reason)) => {
                        (format!("WITHHELD ({reason})"), "WITHHELD".into(), true)
                    }
                    Err(NotWritten::Cannot(reason)) => {
                        let message = format!("`{path}` cannot be shown so: {reason}");
                        return Err(SyntaxError::new(name.span.clone(), message, None));
                    }
                }
            }
            What::Missing(reason) => (format!("UNVERIFIED ({reason})"), "UNVERIFIED".into(), true),
            What::Broken(reason) => (format!("ERROR ({reason})"), "ERROR".into(), true),
        };
        let used = Use {
            path: path.to_string(),
            machine: shown.machine,
            style: words.option("as").map(|o| o.value.text.clone()),
            text,
            note,
            listed: false,
        };
        rows.push(Row {
            label: label.unwrap_or_else(|| used.path.clone()),
            path: used.path.clone(),
            machine: used.machine_name(facts),
            style: used.style.clone(),
            text: used.text.clone(),
            provenance: used.provenance(facts),
            missing,
        });
        uses.push(used);
    }
    let width = rows
        .iter()
        .map(|row| row.label.chars().count())
        .max()
        .unwrap_or(0);
    let text: Vec<String> = rows
        .iter()
        .map(|row| format!("{:<width$}  {}", row.label, row.text))
        .collect();
    Ok(Rendered {
        text: text.join("\n"),
        machines: machines(&uses, &[]),
        html: facts.templates.render("table", &Data { rows }),
        uses,
    })
}

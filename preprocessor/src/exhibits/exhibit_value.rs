//! Single values in exhibits: each with its provenance, or with the reason why it is missing.

use std::ops::Range;

use qed_evidence::path::ParsePathError;
use qed_evidence::{Path, Value};
use serde::Serialize;

use crate::evidence::book_data::{BookData, PathValue};
use crate::evidence::format::{describe, format, is_whole};
use crate::evidence::machine_id::MachineId;
use crate::evidence::provenance::Use;
use crate::exhibits::gap::ExhibitGap;
use crate::exhibits::request::ExhibitRequest;
use crate::markdown::style::{STYLE_OPTIONS, Style};
use crate::markdown::syntax::{SyntaxError, refuse_unknown_options, split_words};

/// A value in an exhibit, as a template shows it.
#[derive(Clone, Debug, Serialize)]
pub struct ShownRow {
    /// The text before it.
    pub label: String,
    path: String,
    machine: String,
    style: Option<String>,
    /// The value, or why there is none.
    pub text: String,
    provenance: String,
    /// True if there is no value.
    pub missing: bool,
    /// True if a line must not be broken inside it.
    whole: bool,
    #[serde(skip)]
    used: Option<Use>,
    #[serde(skip)]
    value: Option<Value>,
}

impl ShownRow {
    /// The value, if there is one and it may be known.
    pub fn value(&self) -> Option<&Value> {
        self.value.as_ref()
    }

    /// For the page's list of what it shows.
    pub fn to_use(&self) -> Option<Use> {
        self.used.clone()
    }
}

/// The line of an exhibit's body: `LABEL: PATH as="…"`, the label and the options if wanted.
pub fn parse_row(
    request: &ExhibitRequest<'_, '_>,
    line: &str,
    span: &Range<usize>,
    machine: Option<MachineId>,
) -> Result<ShownRow, SyntaxError> {
    // A label may hold anything but a colon; paths and options hold none outside quotes.
    let colon = line.find(':').filter(|at| !line[..*at].contains('"'));
    let label = colon.map(|at| line[..at].trim().to_owned());
    let start = span.start + colon.map_or(0, |at| at + 1);
    let words = split_words(request.source, start..span.end)?;
    refuse_unknown_options(&words, STYLE_OPTIONS)?;
    let [name] = &words.words[..] else {
        return Err(SyntaxError::new(span.clone(), "a row has one path", None));
    };
    let path: Path = name
        .text
        .parse()
        .map_err(|m: ParsePathError| SyntaxError::new(name.span.clone(), m.to_string(), None))?;
    let style = Style::read(&words)?;
    let written = words.option("as").map(|option| option.value.text.clone());
    let mut shown = build_row(
        request.book_data,
        &path,
        machine,
        &style,
        written,
        &name.span,
    )?;
    if let Some(label) = label {
        shown.label = label;
    }
    Ok(shown)
}

/// The value of a path that the program itself asks for.
pub fn row_at(
    book_data: &BookData<'_>,
    path: &str,
    machine: MachineId,
) -> Result<ShownRow, ExhibitGap> {
    let path: Path = path.parse()?;
    let style = Style::default();
    build_row(book_data, &path, Some(machine), &style, None, &(0..0)).map_err(ExhibitGap::Shown)
}

fn build_row(
    book_data: &BookData<'_>,
    path: &Path,
    machine: Option<MachineId>,
    style: &Style,
    written: Option<String>,
    span: &Range<usize>,
) -> Result<ShownRow, SyntaxError> {
    let shown = book_data.resolve(path, machine);
    let shown = shown.as_ref().as_ref().map_err(|error| {
        let help = error.nearest.as_ref();
        let help = help.map(|near| format!("did you mean `{near}`?"));
        let message = format!("unknown path: {}", error.message);
        SyntaxError::new(span.clone(), message, help)
    })?;
    let mut known = None;
    let (text, note, missing) = match &shown.what {
        PathValue::Value(value, _) => match format(value, style.format) {
            Ok(text) => {
                known = Some(value.clone());
                (text, describe(value), false)
            }
            Err(reason) => {
                let message = format!("`{path}` cannot be formatted: {reason}");
                return Err(SyntaxError::new(span.clone(), message, None));
            }
        },
        PathValue::Missing(reason) => {
            let (word, reason) = book_data.describe_gap(path, shown.machine, reason, style.format);
            (format!("{word} ({reason})"), word.into(), true)
        }
        PathValue::Broken(reason) => (format!("ERROR ({reason})"), "ERROR".into(), true),
    };
    let used = Use {
        path: path.to_string(),
        machine: shown.machine,
        style: written,
        text,
        note,
        listed: false,
    };
    Ok(ShownRow {
        label: used.path.clone(),
        path: used.path.clone(),
        machine: used.machine_name(book_data),
        style: used.style.clone(),
        text: used.text.clone(),
        provenance: used.provenance(book_data),
        missing,
        whole: is_whole(&used.text),
        value: known,
        used: Some(used),
    })
}

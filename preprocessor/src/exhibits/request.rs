//! The request for an exhibit, and the steps that several exhibits share.

use std::ops::Range;

use qed_evidence::diagnostic::nearest;
use qed_evidence::document::Experiment;
use qed_evidence::investigation::Experiment as PlannedExperiment;
use qed_evidence::path::ParsePathError;
use qed_evidence::{Path, Value};

use crate::claims::collect::Claims;
use crate::evidence::book_data::{BookData, PathValue, sound_experiment};
use crate::evidence::format::describe;
use crate::evidence::machine_id::MachineId;
use crate::evidence::names::Glossary;
use crate::evidence::provenance::Use;
use crate::exhibits::block::{RenderedBlock, Target};
use crate::exhibits::gap::ExhibitGap;
use crate::markdown::chapter::Chapter;
use crate::markdown::style::ValueFormat;
use crate::markdown::syntax::{SpannedWord, SyntaxError, Words};

/// The request for an exhibit.
pub struct ExhibitRequest<'a, 'f> {
    /// Its options.
    pub words: &'a Words,
    /// The place of the info string.
    pub info: Range<usize>,
    /// The lines of its body that are not blank, with their places in the chapter.
    pub body: &'a [(String, Range<usize>)],
    /// The chapter's text, for places in it.
    pub source: &'a str,
    /// The chapter's path relative to `src`.
    pub chapter: &'a str,
    /// The chapter.
    pub page: &'a Chapter,
    /// The evidence.
    pub book_data: &'a BookData<'f>,
    /// The book's claims.
    pub claims: &'a Claims,
    /// The terms that the book defines.
    pub glossary: &'a Glossary,
    /// The kind of output.
    pub target: Target,
}

impl<'f> ExhibitRequest<'_, 'f> {
    /// The machine that the option `machine` names; `None` if it does not.
    pub fn machine(&self) -> Result<Option<MachineId>, SyntaxError> {
        let Some(option) = self.words.option("machine") else {
            return Ok(None);
        };
        let span = option.value.span.clone();
        match self.book_data.find_machine(&option.value.text) {
            Ok(Some(index)) => Ok(Some(index)),
            Ok(None) => {
                let message = format!("there is no evidence of `{}` yet", option.value.text);
                let help = crate::evidence::loader::capture_command(
                    self.book_data.config,
                    &option.value.text,
                );
                Err(SyntaxError::new(
                    span,
                    message,
                    Some(format!("capture: {help}")),
                ))
            }
            Err(unknown) => Err(SyntaxError::new(span, unknown.to_string(), None)),
        }
    }

    /// The experiment that the option `experiment` names.
    pub fn planned_experiment(&self) -> Result<&'f PlannedExperiment, SyntaxError> {
        let planned = &self.book_data.evidence_set.investigation.experiments;
        let Some(option) = self.words.option("experiment") else {
            return Err(SyntaxError::new(
                self.info.clone(),
                "the exhibit needs an experiment",
                Some("write experiment=\"…\"".to_owned()),
            ));
        };
        let wanted = option.value.text.as_str();
        let Some(found) = planned.iter().find(|e| e.name == wanted) else {
            let near = nearest(wanted, planned.iter().map(|e| e.name.as_str()));
            let help = near.map(|near| format!("did you mean `{near}`?"));
            let message = format!("no experiment `{wanted}` in the investigation");
            return Err(SyntaxError::new(option.value.span.clone(), message, help));
        };
        Ok(found)
    }

    /// Show the experiment that the option `experiment` names, on the machine that the author or else the book
    /// prefers. `show` gets the machine, the experiment's name and the experiment, and gives back what there is to see
    /// or why there is nothing; an experiment that is not sound there is never shown.
    pub fn show_experiment(
        &self,
        show: impl FnOnce(MachineId, &'f str, &'f Experiment) -> Result<RenderedBlock, ExhibitGap>,
    ) -> Result<RenderedBlock, SyntaxError> {
        let found = self.planned_experiment()?;
        let machine = self
            .machine()?
            .unwrap_or_else(|| self.book_data.default_machine(&found.name));
        let shown = sound_experiment(&self.book_data.machine(machine).evidence, &found.name)
            .map_err(ExhibitGap::from)
            .and_then(|experiment| show(machine, &found.name, experiment));
        Ok(shown.unwrap_or_else(|gap| render_gap(self.book_data, machine, &gap.to_string())))
    }
}

/// A value that an exhibit shows.
pub struct ShownValue {
    /// The value as it is in the evidence; `None` if there is none, or it must not be believed.
    pub value: Option<Value>,
    /// The text in the page: the value, or the gap with its reason.
    pub used: Use,
    /// True if there is no value to show.
    pub missing: bool,
}

impl ExhibitRequest<'_, '_> {
    /// The value of a path that stands in the body: on `machine`, or on the one that the reader is shown.
    pub fn resolve(
        &self,
        name: &SpannedWord,
        machine: Option<MachineId>,
        style: (Option<ValueFormat>, Option<&str>),
    ) -> Result<ShownValue, SyntaxError> {
        let path: Path = name.text.parse().map_err(|m: ParsePathError| {
            SyntaxError::new(name.span.clone(), m.to_string(), None)
        })?;
        let shown = self.book_data.resolve(&path, machine);
        let shown = shown.as_ref().as_ref().map_err(|error| {
            let near = error.nearest.as_ref();
            let help = near.map(|near| format!("did you mean `{near}`?"));
            let message = format!("unknown path: {}", error.message);
            SyntaxError::new(name.span.clone(), message, help)
        })?;
        let (text, note, missing) = match &shown.what {
            PathValue::Value(value, _) => match crate::evidence::format::format(value, style.0) {
                Ok(text) => (text, describe(value), false),
                Err(reason) => {
                    let message = format!("`{path}` cannot be formatted: {reason}");
                    return Err(SyntaxError::new(name.span.clone(), message, None));
                }
            },
            PathValue::Missing(why) => {
                let (word, reason) =
                    self.book_data
                        .describe_gap(&path, shown.machine, why, style.0);
                (format!("{word} ({reason})"), word.into(), true)
            }
            PathValue::Broken(why) => (format!("ERROR ({why})"), "ERROR".into(), true),
        };
        Ok(ShownValue {
            value: match &shown.what {
                PathValue::Value(value, _) => Some(value.clone()),
                _ => None,
            },
            used: Use {
                path: path.to_string(),
                machine: shown.machine,
                style: style.1.map(str::to_owned),
                text,
                note,
                listed: false,
            },
            missing,
        })
    }
}

/// The exhibit for a machine without evidence.
pub fn render_without_evidence(book_data: &BookData<'_>, machine: &str) -> RenderedBlock {
    let known = book_data
        .evidence_set
        .absent
        .iter()
        .find(|(name, _)| name == machine);
    let why = known.map_or("there is no evidence of it", |(_, why)| why.as_str());
    render_unverified(format!("UNVERIFIED on {machine}: {why}"), Vec::new())
}

/// An exhibit that has nothing to show, and why.
pub fn render_gap(book_data: &BookData<'_>, machine: MachineId, why: &str) -> RenderedBlock {
    let name = &book_data.machine(machine).machine;
    render_unverified(format!("UNVERIFIED on {name}: {why}"), vec![machine])
}

fn render_unverified(text: String, machines: Vec<MachineId>) -> RenderedBlock {
    let html =
        crate::templates::render_code_spans(&crate::markdown::escape::escape_invisible(&text));
    RenderedBlock {
        html: format!("<div class=\"qed-exhibit qed-unverified\"><p>{html}</p></div>"),
        text,
        machines,
        ..RenderedBlock::default()
    }
}

/// The caption of an exhibit whose values have paths of their own: the machines that they are of. `None` where none has one.
pub fn origins_caption(book_data: &BookData<'_>, machines: &[MachineId]) -> Option<String> {
    let origins: Vec<String> = (machines.iter())
        .map(|machine| book_data.origin(*machine))
        .collect();
    (!origins.is_empty()).then(|| format!("Measured on {}", origins.join("; ")))
}

/// The caption of an exhibit.
pub fn caption(book_data: &BookData<'_>, machine: MachineId, what: &str) -> String {
    format!("{what} — {}", book_data.origin(machine))
}

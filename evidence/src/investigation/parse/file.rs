//! A whole file.

use std::collections::BTreeSet;
use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::check::FileChecker;
use super::raw::File;
use super::spanned::Spanned;
use crate::diagnostic::{Diagnostic, SourceText};
use crate::investigation::{Experiment, Investigation};
use crate::path::{is_identifier, is_name};

/// The most boots of one guest: each takes seconds, and a picture of more says no more.
const MAX_BOOTS: u32 = 256;

/// Parse and check an investigation. On failure every problem is reported at once.
///
/// `name` is how the author names the file.
pub fn parse(name: &str, text: &str) -> Result<Investigation, Vec<Diagnostic>> {
    let source = Arc::new(SourceText {
        name: name.into(),
        text: text.into(),
    });
    let file: File = match toml::from_str(text) {
        Ok(file) => file,
        Err(error) => {
            let span = error.span().unwrap_or(0..0);
            let message = format!("the investigation cannot be read: {}", error.message());
            return Err(vec![Diagnostic::error(&source, span, message)]);
        }
    };
    let mut check = FileChecker {
        source: Arc::clone(&source),
        problems: Vec::new(),
        refused: BTreeSet::new(),
    };
    let investigation = check.file(file);
    if check.problems.is_empty() {
        Ok(investigation)
    } else {
        crate::diagnostic::sort(&mut check.problems);
        Err(check.problems)
    }
}

/// SHA-256 of what the file says, hex: its keys and values in their order, as JSON. Comments, spaces and the way in which a
/// value is written change nothing that is run, so they make no evidence stale.
fn digest(text: &str) -> String {
    let normalized = toml::from_str::<toml::Table>(text)
        .ok()
        .and_then(|table| serde_json::to_vec(&table).ok());
    // Every file that is understood as an investigation is TOML; of any other the text itself is what counts.
    hex::encode(Sha256::digest(
        normalized.as_deref().unwrap_or(text.as_bytes()),
    ))
}

/// Advice about the symbol of a clone, `f.part.0`, which no path can name: dots are between the parts of a path.
pub(super) fn clone_advice(name: &str) -> Option<String> {
    let (function, rest) = name.split_once('.')?;
    (is_identifier(function) && !rest.is_empty()).then(|| {
        format!(
            "a path has dots between its parts, so it cannot name a clone: name `{function}` here, or watch the clone with a probe, \
             `function = \"{name}\"`, whose `address` is in the evidence"
        )
    })
}

impl FileChecker {
    pub(super) fn file(&mut self, file: File) -> Investigation {
        if file.experiment.is_empty() {
            self.error(0..0, "the investigation has no experiment").help =
                Some("add an `[[experiment]]` with a `name`, a `workload` and its probes".into());
        }
        let names = |check: &mut Self, list: Vec<Spanned<String>>, what: &str| {
            // The kernel's own names of symbols are written as they are; those of options in lower case.
            let (good, form): (fn(&str) -> bool, _) = match what {
                "symbol" => (is_identifier, "[A-Za-z_][A-Za-z0-9_]*"),
                _ => (is_name, "[a-z_][a-z0-9_]*"),
            };
            for item in &list {
                if !good(item.get_ref()) {
                    let message = format!("{what} `{}` does not match {form}", item.get_ref());
                    check.error(item.span(), message).help = clone_advice(item.get_ref());
                }
            }
            list.into_iter()
                .map(Spanned::into_inner)
                .collect::<Vec<_>>()
        };
        let symbols = names(self, file.symbols, "symbol");
        let config = names(self, file.config, "configuration option");
        let facts = self.facts(file.facts);
        if let Some(boots) = &file.boots
            && *boots.get_ref() > MAX_BOOTS
        {
            self.error(boots.span(), format!("boots must be at most {MAX_BOOTS}"));
        }
        let (setup, setup_programs) = self.setup(file.guest);
        let commands = self.commands(file.command);
        let mut experiments: Vec<Experiment> = Vec::new();
        for raw in file.experiment {
            if let Some(first) = experiments.iter().find(|e| e.name == *raw.name.get_ref()) {
                let first = self.line_of(first.span.start);
                let message = format!(
                    "experiment `{}` is already defined in line {first}",
                    raw.name.get_ref()
                );
                self.error(raw.name.span(), message);
                continue;
            }
            let name = raw.name.get_ref().clone();
            match self.experiment(raw, &experiments) {
                Some(experiment) => experiments.push(experiment),
                None => drop(self.refused.insert(name)),
            }
        }
        Investigation {
            digest: digest(&self.source.text),
            source: Arc::clone(&self.source),
            symbols,
            config,
            facts,
            boots: file.boots.map_or(0, Spanned::into_inner),
            setup,
            setup_programs,
            commands,
            experiments,
        }
    }
}

//! `redact`: the evidence of a book as it may leave this machine, with the verdicts that only this machine can reach.

use std::path::Path;

use qed_evidence::diagnostic::Diagnostic;
use qed_evidence::reader;

use super::{BAD_INPUT, FAILED, GOOD, print, refuse, with_book};
use crate::book::{fill_all, finish};
use crate::config::evidence_file;
use crate::facts::Facts;
use crate::fill::Target;
use crate::judging::{TRAVELLED, Travelled};
use crate::load::Loaded;

/// Runs the command.
pub fn run(root: &Path, to: &Path) -> u8 {
    with_book(root, |book, facts| redact(book, facts, to))
}

fn redact(book: &Loaded, facts: &Facts<'_>, to: &Path) -> u8 {
    let outcome = fill_all(&book.chapters, facts, Target::Text);
    if outcome.report.has_errors() {
        let mut report = outcome.report;
        finish(&mut report, &book.place);
        crate::report::print(&report.problems);
        return if report.false_claim {
            FAILED
        } else {
            BAD_INPUT
        };
    }
    for (index, loaded) in facts.loaded.iter().enumerate() {
        let file = to.join(evidence_file(&loaded.machine));
        let verdicts = outcome
            .claims
            .iter()
            .map(|judged| (&judged.claim, judged.judgements[index].verdict));
        let travelled = (loaded.raw.is_some() || loaded.verdicts.is_some())
            .then(|| Travelled::new(&loaded.evidence, verdicts));
        let written = reader::write(&loaded.evidence)
            .and_then(|text| {
                Ok((
                    text,
                    travelled
                        .map(|t| serde_json::to_string_pretty(&t))
                        .transpose()?,
                ))
            })
            .map_err(std::io::Error::other)
            .and_then(|(text, verdicts)| {
                std::fs::create_dir_all(to)?;
                std::fs::write(&file, text)?;
                match verdicts {
                    Some(verdicts) => {
                        std::fs::write(file.with_extension(TRAVELLED), verdicts + "\n")
                    }
                    None => Ok(()),
                }
            });
        if let Err(error) = written {
            let message = format!("{} cannot be written: {error}", file.display());
            return refuse(&[Diagnostic::error_without_place(message)]);
        }
        let how = if loaded.raw.is_some() {
            "redacted, with its verdicts"
        } else {
            "as it is"
        };
        print(&format!("{}: {how}\n", file.display()));
    }
    GOOD
}

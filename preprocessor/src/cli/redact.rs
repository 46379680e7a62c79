//! `redact`: writes the evidence of a book without anything that must not leave this machine, with the verdicts that only this
//! machine can reach.

use std::path::{Path, PathBuf};

use qed_evidence::diagnostic::Diagnostic;
use qed_evidence::{Evidence, reader};

use crate::claims::collect::Claims;
use crate::cli::common::{BAD_INPUT, FAILED, GOOD, print, report_bad_input, with_book};
use crate::config::evidence_file_name;
use crate::evidence::book_data::{BookData, UnknownMachine};
use crate::evidence::machine_id::MachineId;
use crate::evidence::verdict_files::{PortableVerdicts, VERDICTS_EXTENSION};
use crate::exhibits::block::Target;
use crate::mdbook::build::finish_report;
use crate::mdbook::load::LoadedBook;
use crate::publish::leak_check;
use crate::publish::quotations::QuotedBlocks;
use crate::render::book::fill_all;
use crate::util::parallel::Parallelism;

/// Run the command. `machines` says whose evidence is written; without any, that of all.
pub fn run(root: &Path, to: &Path, machines: &[String]) -> u8 {
    with_book(
        root,
        Parallelism::default(),
        |book, book_data| match choose_machines(book_data, machines) {
            Ok(chosen) => redact(book, book_data, &chosen, to),
            Err(error) => report_bad_input(&[Diagnostic::error_without_place(error.to_string())]),
        },
    )
}

/// A machine whose evidence cannot be written.
#[derive(Debug, thiserror::Error)]
enum MachineChoiceError {
    #[error(transparent)]
    Unknown(#[from] UnknownMachine),
    #[error("there is no evidence of `{machine}` yet; capture: {capture}")]
    NoEvidence { machine: String, capture: String },
}

/// A file that cannot leave this machine, because it cannot be written.
#[derive(Debug, thiserror::Error)]
enum RedactWriteError {
    #[error("{file} cannot be written: {error}")]
    Form {
        file: String,
        error: serde_json::Error,
    },
    #[error("{} cannot be written: {error}", .file.display())]
    Write {
        file: PathBuf,
        error: std::io::Error,
    },
}

/// Text of a live machine's files that must not be known, a line each, and that nothing was written.
struct Leaks(String);

/// The machines that are meant.
fn choose_machines(
    book_data: &BookData<'_>,
    names: &[String],
) -> Result<Vec<MachineId>, MachineChoiceError> {
    if names.is_empty() {
        return Ok(book_data.machine_ids().collect());
    }
    names
        .iter()
        .map(|name| match book_data.find_machine(name)? {
            Some(machine) => Ok(machine),
            None => Err(MachineChoiceError::NoEvidence {
                machine: name.clone(),
                capture: crate::evidence::loader::capture_command(book_data.config, name),
            }),
        })
        .collect()
}

fn redact(book: &LoadedBook, book_data: &BookData<'_>, machines: &[MachineId], to: &Path) -> u8 {
    let outcome = fill_all(&book.chapters, book_data, Target::Text);
    if outcome.report.has_errors() {
        let mut report = outcome.report;
        finish_report(&mut report, &book.paths);
        crate::util::report::print_diagnostics(&report.problems);
        return if report.false_claim {
            FAILED
        } else {
            BAD_INPUT
        };
    }
    let written = outgoing_files(book_data, machines, &outcome.claims)
        .map(|files| check_leaks(book_data, files))
        .and_then(|files| match files {
            Ok(files) => write_files(to, &files).map(|()| GOOD),
            Err(leaks) => {
                print(&leaks.0);
                Ok(FAILED)
            }
        });
    match written {
        Ok(status) => {
            for machine in machines.iter().filter(|_| status == GOOD) {
                let loaded = book_data.machine(*machine);
                let how = match loaded.raw.exists() {
                    true => "redacted",
                    false => "as it is",
                };
                let file = to.join(evidence_file_name(&loaded.machine));
                print(&format!("{}: {how}, with its verdicts\n", file.display()));
            }
            status
        }
        Err(error) => report_bad_input(&[Diagnostic::error_without_place(error.to_string())]),
    }
}

/// Name and content of a file that leaves this machine.
type OutgoingFile = (String, String);

/// The files that leave this machine.
fn outgoing_files(
    book_data: &BookData<'_>,
    machines: &[MachineId],
    claims: &Claims,
) -> Result<Vec<OutgoingFile>, RedactWriteError> {
    let mut files = Vec::new();
    for machine in machines {
        let loaded = book_data.machine(*machine);
        let name = evidence_file_name(&loaded.machine);
        let verdicts = claims
            .iter()
            .map(|judged| (&judged.claim, judged.judgement_on(*machine).verdict));
        let travelled = PortableVerdicts::new(&loaded.evidence, verdicts);
        let problem = |error| RedactWriteError::Form {
            file: name.clone(),
            error,
        };
        let text = reader::write(&loaded.evidence).map_err(problem)?;
        let verdicts = serde_json::to_string_pretty(&travelled).map_err(problem)? + "\n";
        let beside = Path::new(&name).with_extension(VERDICTS_EXTENSION);
        files.push((beside.display().to_string(), verdicts));
        files.push((name, text));
    }
    Ok(files)
}

/// The files, if no byte of them says what must not be known; else what was found, a line each.
fn check_leaks(
    book_data: &BookData<'_>,
    files: Vec<OutgoingFile>,
) -> Result<Vec<OutgoingFile>, Leaks> {
    let raw: Vec<Evidence> = book_data
        .evidence_set
        .loaded
        .iter()
        .map(|loaded| loaded.raw.for_searching(&loaded.evidence).clone())
        .collect();
    let mut leaks = String::new();
    // No chapter leaves with the evidence.
    let none = QuotedBlocks::default();
    for check in leak_check::prepare_checks(
        &raw,
        book_data.config.addresses,
        &book_data.evidence_set.history,
        &none,
    ) {
        print(&format!("{}\n", check.describe()));
        for (name, text) in &files {
            for leak in check.find_leaks(name, text.as_bytes()) {
                leaks.push_str(&leak);
                leaks.push('\n');
            }
        }
    }
    if leaks.is_empty() {
        Ok(files)
    } else {
        leaks.push_str("nothing was written\n");
        Err(Leaks(leaks))
    }
}

fn write_files(to: &Path, files: &[OutgoingFile]) -> Result<(), RedactWriteError> {
    for (name, text) in files {
        let file = to.join(name);
        std::fs::create_dir_all(to)
            .and_then(|()| std::fs::write(&file, text))
            .map_err(|error| RedactWriteError::Write { file, error })?;
    }
    Ok(())
}

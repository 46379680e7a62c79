//! Writing of what a book keeps of a sweep.

use std::path::{Path, PathBuf};

use qed_evidence::diagnostic::Diagnostic;
use qed_evidence::document::Run;

use crate::claims::collect::Claims;
use crate::claims::sweep::swept_claim;
use crate::evidence::loader::{EvidenceSet, MachineEvidence};
use crate::evidence::locations::SWEEP;
use crate::evidence::sweep_record::{self, SweepRecord, SweptKernel};
use crate::publish::manifest;

/// The reasons why no record of a sweep is written.
#[derive(Debug, thiserror::Error)]
enum SweepWriteError {
    #[error("{0} is a live machine; only guests can be recorded")]
    Live(String),
    #[error(
        "{first} and {other} were captured by different collectors: sweep again, `qed-collector sweep`"
    )]
    Collectors { first: String, other: String },
    #[error(transparent)]
    Json(#[from] serde_json::Error),
    #[error("`{}` cannot be written: {error}", .file.display())]
    Write {
        file: PathBuf,
        error: std::io::Error,
    },
}

/// Write what a book keeps of the sweep.
pub(super) fn write_record(
    root: &Path,
    evidence_set: &EvidenceSet,
    claims: &Claims,
) -> Result<(), Box<Diagnostic>> {
    let refused =
        |error: SweepWriteError| Box::new(Diagnostic::error_without_place(error.to_string()));
    let kernels = evidence_set
        .loaded
        .iter()
        .map(swept_kernel)
        .collect::<Result<_, _>>();
    let run = common_collector_run(evidence_set).map_err(refused)?;
    let record = SweepRecord {
        version: sweep_record::VERSION,
        investigation: evidence_set.investigation.digest.clone(),
        collector: run.map(|run| run.collector.clone()),
        object: run.map(|run| run.object_digest.clone()),
        kernels: kernels.map_err(refused)?,
        claims: claims
            .iter_in_book_order()
            .map(|judged| {
                let swept = swept_claim(&judged.claim, &judged.judgements);
                (judged.claim.id.clone(), swept)
            })
            .collect(),
    };
    let text = manifest::to_json(&record).map_err(|error| refused(error.into()))?;
    let file = root.join(SWEEP);
    let folder = file.parent().unwrap_or(root);
    std::fs::create_dir_all(folder)
        .and_then(|()| std::fs::write(&file, text))
        .map_err(|error| refused(SweepWriteError::Write { file, error }))
}

/// A kernel as the record names it. Only what ran in a throwaway guest is recorded: the record is published.
fn swept_kernel(loaded: &MachineEvidence) -> Result<SweptKernel, SweepWriteError> {
    match loaded.evidence.machine.ephemeral {
        true => Ok(SweptKernel::new(&loaded.evidence)?),
        false => Err(SweepWriteError::Live(loaded.machine.clone())),
    }
}

/// The run whose collector captured on all kernels.
fn common_collector_run(evidence_set: &EvidenceSet) -> Result<Option<&Run>, SweepWriteError> {
    let mut all = evidence_set.loaded.iter();
    let Some(first) = all.next() else {
        return Ok(None);
    };
    let run = &first.evidence.run;
    let collector = |run: &Run| (run.collector.clone(), run.object_digest.clone());
    match all.find(|other| collector(&other.evidence.run) != collector(run)) {
        None => Ok(Some(run)),
        Some(other) => Err(SweepWriteError::Collectors {
            first: first.machine.clone(),
            other: other.machine.clone(),
        }),
    }
}

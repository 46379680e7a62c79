//! Reasons to import nothing.

use std::path::PathBuf;

use qed_evidence::reader::ReadError;
use thiserror::Error;

use super::sweep::SweepError;
use crate::evidence::verdict_files::VerdictsError;
use crate::util::files::FilesError;

/// A handover that is refused, or cannot be written.
#[derive(Debug, Error)]
pub enum MergeError {
    /// The book's investigation cannot be read.
    #[error("the investigation cannot be read")]
    Investigation,
    /// The lock file cannot be read.
    #[error(transparent)]
    Lock(std::io::Error),
    /// The folder of what was handed over cannot be read.
    #[error("nothing was taken over: {0}")]
    Files(#[from] FilesError),
    /// The evidence that was handed over is refused.
    #[error("what was handed over in {}: {error}", .from.display())]
    Handover {
        /// The folder.
        from: PathBuf,
        /// The reason.
        error: HandoverError,
    },
    /// The parts of a sweep that were handed over are refused.
    #[error("what was handed over in {}: {error}", .from.display())]
    Sweep {
        /// The folder.
        from: PathBuf,
        /// The reason.
        error: SweepError,
    },
    /// A file or folder of the book cannot be written.
    #[error("{} cannot be written: {error}", .path.display())]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// The reason.
        error: std::io::Error,
    },
}

/// Evidence that is not what `redact` writes for this book. Files are named as they came.
#[derive(Debug, Error)]
pub enum HandoverError {
    /// A file is not evidence.
    #[error("{file} is refused: {error}")]
    Evidence {
        /// The file.
        file: String,
        /// The reason.
        error: ReadError,
    },
    /// The book does not have the machine.
    #[error("{file} is of `{machine}`, which is not a machine of this book")]
    OtherMachine {
        /// The file.
        file: String,
        /// The machine.
        machine: String,
    },
    /// A file has the name of another machine's.
    #[error("{file} is of `{machine}`")]
    Name {
        /// The file.
        file: String,
        /// The machine.
        machine: String,
    },
    /// The evidence holds addresses that must not be known.
    #[error(
        "{0} is the raw evidence of a machine whose addresses must not be known: it must never leave it. Write what may \
         leave with `mdbook-qed redact`"
    )]
    Raw(String),
    /// The evidence is of another investigation.
    #[error("{0} is of another investigation than this book's")]
    OtherInvestigation(String),
    /// The verdicts are not there.
    #[error("{0} came without its verdicts")]
    NoVerdicts(String),
    /// The verdicts do not count for the evidence.
    #[error("{file} is refused: {error}")]
    Verdicts {
        /// The file.
        file: String,
        /// The reason.
        error: VerdictsError,
    },
    /// Two files are of one machine.
    #[error("both {first} and {second} are of `{machine}`")]
    Twice {
        /// The one.
        first: String,
        /// The other.
        second: String,
        /// The machine.
        machine: String,
    },
    /// Nothing to take over.
    #[error("there is no evidence")]
    Empty,
    /// A file is neither evidence nor verdicts.
    #[error("{0} belongs to no evidence")]
    Stranger(String),
}

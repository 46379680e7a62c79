//! Reasons why an exhibit, or a part of one, shows nothing.

use qed_evidence::path::ParsePathError;
use qed_evidence::resolve::PathError;
use qed_evidence::value::Address;
use thiserror::Error;

use crate::evidence::book_data::UnsoundExperiment;
use crate::evidence::format::FormatError;
use crate::markdown::syntax::SyntaxError;

/// The reason why an exhibit cannot show something. The message is the text on the page.
#[derive(Debug, Error)]
pub enum ExhibitGap {
    /// The experiment is not sound on the machine.
    #[error(transparent)]
    Unsound(#[from] UnsoundExperiment),
    /// The investigation does not plan the experiment.
    #[error("it is not planned")]
    Unplanned,
    /// The experiment watches no allocation.
    #[error("the experiment watched no allocation")]
    NoLedger,
    /// The experiment's workload is a command.
    #[error("the experiment runs a command, whose code is not read")]
    NoCode,
    /// The evidence has no value there, for this reason.
    #[error("{0}")]
    Unavailable(String),
    /// The value is of another kind.
    #[error("it is of kind {0}")]
    Kind(&'static str),
    /// The value cannot be written as the exhibit does.
    #[error(transparent)]
    Format(#[from] FormatError),
    /// The program asked for a path that is not one.
    #[error(transparent)]
    Path(#[from] ParsePathError),
    /// The program asked for a path that nothing has.
    #[error(transparent)]
    Unknown(#[from] PathError),
    /// The value of a path that the program asked for cannot be shown.
    #[error("{}", .0.message)]
    Shown(SyntaxError),
    /// The addresses of a live machine.
    #[error("the addresses of this machine are withheld")]
    Withheld,
    /// The tree of a call on a live machine: interrupts in it tell of its devices.
    #[error(
        "the tree of a call on this machine is withheld: it would tell what other work it does"
    )]
    WithheldGraph,
    /// An address that the exhibit does not draw.
    #[error("{0} is outside of the region")]
    Outside(Address),
    /// A line of a file that says where a live machine's kernel is.
    #[error("withheld, because it would tell where this machine's kernel is")]
    WithheldLine,
}

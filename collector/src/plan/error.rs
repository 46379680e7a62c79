//! Failures of planning a probe. Each becomes the reason for which the probe is unavailable.

use crate::btf::BtfError;
use crate::reason::Reason;
use crate::symbols::disasm::LocateError;

/// Prefix of the reason where the kernel has nothing of a name.
pub const NO_SUCH: &str = "this kernel has no";

/// The reasons why a probe cannot be placed in this kernel, or cannot do there what the investigation asks for.
#[derive(Debug, thiserror::Error)]
pub(super) enum PlaceError {
    /// The kernel's types cannot be read.
    #[error("the kernel's BTF is damaged: {0}")]
    Damaged(#[from] BtfError),
    /// The kernel has nothing of this name.
    #[error("{} {kind} `{name}`{}", NO_SUCH, suggestion(.near.as_deref()))]
    NoSuch {
        /// Function, tracepoint or LSM hook.
        kind: &'static str,
        name: String,
        /// The nearest name that it has.
        near: Option<String>,
    },
    /// A symbol that an address is relative to does not exist.
    #[error("{} symbol `{name}`", NO_SUCH)]
    NoSymbol { name: String },
    /// Something that this kernel or machine does not offer.
    #[error("{0}")]
    NotOffered(Reason),
    /// The compiler left only clones of the function.
    #[error(
        "`{name}` has no code under that name in this kernel: the compiler made {} of it; probe that by its name, or say `clones = true`",
        .clones.join(", ")
    )]
    OnlyClones {
        name: String,
        /// Their symbols, each in backticks.
        clones: Vec<String>,
    },
    /// The function exists in the types alone.
    #[error(
        "`{0}` has no address of its own in this kernel: the compiler inlined it everywhere or changed its name"
    )]
    Inlined(String),
    /// Several functions have the name.
    #[error(
        "{count} functions of this kernel are called `{name}`: say which with `file`, or `clones = true` for all"
    )]
    SeveralFunctions { name: String, count: usize },
    /// Several symbols have the name.
    #[error("{count} symbols of this kernel are called `{name}`")]
    SeveralSymbols { name: String, count: usize },
    /// The file defines no function of the name that has an address.
    #[error(
        "{} function `{name}` of {file} with an address of its own: the debug info places none there",
        NO_SUCH
    )]
    NotInFile { name: String, file: String },
    /// The address in the investigation cannot be understood.
    #[error(transparent)]
    Address(#[from] qed_evidence::investigation::ProbeAddressError),
    /// A symbol has no static address.
    #[error("`{0}` is below the distance by which the kernel says it was moved")]
    BelowSlide(String),
    /// The position names no instruction of the function.
    #[error(transparent)]
    Position(#[from] LocateError),
    /// The system call does not exist.
    #[error("there is no system call `{0}`")]
    NoSystemCall(String),
    /// The signal does not exist.
    #[error("there is no signal `{0}`")]
    NoSignal(String),
    /// The argument that is an object does not exist.
    #[error("it has no argument `{name}` here (there is {})", .others.join(", "))]
    NoArgument {
        name: String,
        /// The names of those that do.
        others: Vec<String>,
    },
    /// The object is what copies of a function return that the compiler made.
    #[error(
        "what it returns is no known object: copies of the function that the compiler made are watched, and may return something else"
    )]
    ObjectOfClones,
    /// The argument that is an object is on the stack.
    #[error("its argument `{name}` is number {number}, and only {registers} come in registers")]
    OnStack {
        name: String,
        /// From 1.
        number: usize,
        registers: usize,
    },
}

impl From<Reason> for PlaceError {
    fn from(reason: Reason) -> Self {
        Self::NotOffered(reason)
    }
}

/// The end of a message that suggests a name.
pub(super) fn suggestion(near: Option<&str>) -> String {
    near.map_or_else(String::new, |near| {
        format!("; the nearest name is `{near}`")
    })
}

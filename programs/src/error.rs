//! Programs that cannot be found or read.

/// A program that is not whole on this machine.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProgramError {
    /// No folder of `PATH` has it.
    #[error("it is not in PATH")]
    NotInPath,
    /// The path leads to a folder or the like.
    #[error("it is not a file")]
    NotAFile,
    /// The file is not executable.
    #[error("it may not be run")]
    NotExecutable,
    /// Nothing is at the path.
    #[error("there is no such file")]
    Absent,
    /// The file cannot be accessed; the system's message.
    #[error("{0}")]
    Inaccessible(String),
    /// A file cannot be read.
    #[error("cannot read {file}: {reason}")]
    Unreadable {
        /// Its name, without a folder.
        file: String,
        /// The system's message.
        reason: String,
    },
    /// Scripts are nested deeper than the kernel follows them.
    #[error("{0} is a script of a script")]
    NestedScripts(String),
    /// The interpreter of a script is not whole.
    #[error("its {interpreter}: {error}")]
    Interpreter {
        /// Its path.
        interpreter: String,
        /// The reason.
        error: Box<ProgramError>,
    },
    /// `ldd` cannot be started.
    #[error("cannot start ldd: {0}")]
    Ldd(String),
    /// The loader finds no such library.
    #[error("its library {0} was not found")]
    NoLibrary(String),
}

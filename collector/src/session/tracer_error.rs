//! Errors of the kernel's tracer.

use std::path::PathBuf;

use thiserror::Error;

use crate::workload::WorkloadError;

/// The tracer could not be used, or the workload not be run under it.
#[derive(Debug, Error)]
pub enum TracerError {
    /// No tracefs.
    #[error(
        "cannot use tracefs ({0}): it takes all privileges and CONFIG_FUNCTION_GRAPH_TRACER; trace in a guest"
    )]
    NoTracefs(std::io::Error),
    /// The kernel has no such tracer.
    #[error(
        "this kernel has no function_graph tracer (CONFIG_FUNCTION_GRAPH_TRACER): it offers {0}"
    )]
    NoTracer(String),
    /// Somebody else is tracing.
    #[error(
        "somebody else uses the kernel's tracer ({file} is `{content}`): end that first, or trace in a guest"
    )]
    InUse {
        /// The file that says so.
        file: String,
        /// Its content.
        content: String,
    },
    /// A setting of the tracer was changed while it traced.
    #[error(
        "`{file}` was changed while the call was traced, so that functions may be missing: it is `{content}`"
    )]
    Changed {
        /// The file that says so.
        file: String,
        /// Its content.
        content: String,
    },
    /// A setting of the tracer was written while it traced, and may have been set back since.
    #[error(
        "{file} was written to while the call was traced, so that functions may be missing: keep the workload from the tracer's files"
    )]
    Written {
        /// The file.
        file: PathBuf,
    },
    /// A file of tracefs could not be read, written or watched.
    #[error("cannot {what} {path}: {error}")]
    File {
        /// "read", "write" or "watch".
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// The reason.
        error: std::io::Error,
    },
    /// The workload could not be run.
    #[error("the workload could not be run under the tracer: {0}")]
    Workload(#[from] WorkloadError),
}

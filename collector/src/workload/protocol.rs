//! Messages between collector and workload: one JSON value per line, to the workload over the pipe that is its descriptor 0,
//! from it over the one that is its descriptor 2. Pipes, because a killed process closes them, and because the release of a
//! socket would appear in a trace of sockets. Between the gate and [`ToChild::Report`] the workload sends nothing but
//! [`FromChild::Returned`], after the end of its last call was marked, because a message allocates kernel memory that would appear among
//! the traced allocations. Its standard output belongs to its calls alone.

use serde::{Deserialize, Serialize};

use super::spec::{WorkloadEnvironment, WorkloadKind};

/// The bytes before a message of the workload, which tell it apart from what its calls write to the same pipe: ASCII's record
/// separator, as in <https://www.rfc-editor.org/rfc/rfc7464>, and a token of this workload that nothing else knows. A call that writes
/// the text of a message does not speak for the workload.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct MessageMarker(String);

impl MessageMarker {
    /// The marker with this token, which is a line's part.
    pub(super) fn new(token: &str) -> Self {
        Self(format!("\u{1e}{token}:"))
    }

    /// Its bytes.
    pub(super) fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

/// The first line: what to run.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct WorkloadJob {
    pub kind: WorkloadKind,
    pub limits: Vec<(u32, u64)>,
    pub drop_capabilities: bool,
    pub warm_up: u32,
    pub threads: u32,
    pub around: WorkloadEnvironment,
    /// What the workload's messages begin with.
    pub marker: MessageMarker,
}

/// From the collector.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum ToChild {
    /// Make the call this many times, closing what it opens, and report how long one takes.
    Time(u32),
    /// Make the calls.
    Go,
    /// Report the outcome.
    Report,
    /// Release everything and exit.
    Release,
}

/// From the workload.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum FromChild {
    /// At the gate.
    Ready {
        /// Address of the `syscall` instruction.
        instruction: u64,
        /// Start of the function that holds it.
        function: u64,
        /// The function's machine code, in hexadecimal.
        code: String,
        /// Address of the `syscall` instruction that it makes its next system call with.
        marking_instruction: u64,
    },
    /// Median time of one call in nanoseconds.
    Timed(u64),
    /// The last call returned, or the next of several could not be made.
    Returned,
    /// The outcome.
    Done {
        returned: i64,
        /// The results of the calls before it, if it is the last of several.
        earlier: Vec<i64>,
        buffers: Vec<(String, String)>,
    },
    /// It, or the next of several calls, could not be prepared.
    Failed(String),
}

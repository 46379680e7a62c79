//! The calls that were traced, as JSON.

use serde::Serialize;

use crate::arch::Arch;
use crate::assemble::arguments::ArgumentValue;
use crate::assemble::graph::{CallFunctions, TracedFunction};
use crate::graph::{Frame, TracedCall};
use crate::workload::names;

/// The answer.
#[derive(Serialize)]
pub(super) struct Json<'a> {
    pub machine: &'a str,
    pub release: &'a str,
    pub workload: &'a str,
    pub system_calls: Vec<JsonCall<'a>>,
}

/// One system call.
#[derive(Serialize)]
pub(super) struct JsonCall<'a> {
    name: Option<&'static str>,
    number: i64,
    returned: Option<i64>,
    /// Tracing included.
    duration_ns: u64,
    functions: &'a [TracedFunction],
    /// In the order in which they began.
    calls: Vec<JsonFrame>,
}

#[derive(Serialize)]
struct JsonFrame {
    /// Place in `functions`, from 0.
    function: usize,
    depth: u32,
    start_ns: u64,
    duration_ns: Option<u64>,
    /// In the order of the function's `parameters`; null where the tracer does not see one.
    #[serde(skip_serializing_if = "Option::is_none")]
    arguments: Option<Vec<Option<ArgumentValue>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    returned: Option<u64>,
    interrupt: bool,
}

impl<'a> JsonCall<'a> {
    /// A call with the names of its functions.
    pub(super) fn new(arch: Arch, (call, functions): &'a (TracedCall, CallFunctions)) -> Self {
        let runs = call.frames.iter().zip(&functions.of_frame);
        Self {
            name: names::syscall_name(arch, call.number),
            number: call.number,
            returned: call.returned,
            duration_ns: call.duration_ns,
            functions: &functions.table,
            calls: runs
                .map(|(run, function)| JsonFrame::new(run, *function, &functions.table))
                .collect(),
        }
    }
}

impl JsonFrame {
    fn new(frame: &Frame, function: usize, table: &[TracedFunction]) -> Self {
        Self {
            function,
            depth: frame.depth,
            start_ns: frame.start_ns,
            duration_ns: frame.duration_ns,
            arguments: table[function].arguments(frame),
            returned: frame.returned,
            interrupt: frame.interrupt,
        }
    }
}

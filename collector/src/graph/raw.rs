//! The result of one run under the tracer, as plain data, which a guest sends to the host as bytes.

use serde::{Deserialize, Serialize};

/// The trace of one run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RawGraph {
    /// Thread id of the workload's task.
    pub tid: u32,
    /// tracefs's `format` files.
    pub formats: Formats,
    /// Per processor.
    pub cpus: Vec<RawCpu>,
}

/// The texts of tracefs's `format` files, each as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Formats {
    /// `events/header_page`.
    pub page: String,
    /// `events/ftrace/funcgraph_entry/format`.
    pub entry: String,
    /// `events/ftrace/funcgraph_exit/format`.
    pub exit: String,
    /// `events/raw_syscalls/sys_enter/format`.
    pub sys_enter: String,
    /// `events/raw_syscalls/sys_exit/format`.
    pub sys_exit: String,
}

/// The trace of one processor.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RawCpu {
    /// Its number.
    pub cpu: u32,
    /// `per_cpu/cpuN/stats`, as text.
    pub stats: String,
    /// All of `per_cpu/cpuN/trace_pipe_raw`.
    #[serde(with = "serde_bytes")]
    pub pages: Vec<u8>,
}

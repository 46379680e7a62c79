//! The raw result of a capture, before evidence is made from it.
//!
//! A guest sends it to the host as it is: symbols, lines and static addresses are looked up there, where debug information is
//! available and the processor is not emulated.

use qed_collector_ebpf::MAX_FRAMES;
use serde::{Deserialize, Serialize};

use super::build_facts::RawBuildFacts;
use crate::arch::Arch;
use crate::graph::raw::RawGraph;
use crate::kaslr::KaslrSourceError;
use crate::kaslr::vmcoreinfo::Vmcoreinfo;
use crate::plan::{Markers, PlannedExperiment};
use crate::probe::Losses;
use crate::reason::Reason;
use crate::workload::CallSite;

/// A finished capture of one machine.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RawCapture {
    /// Random, 32 hex digits.
    pub id: String,
    /// Its start, UTC, RFC 3339.
    pub time: String,
    /// The machine's statements about itself.
    pub facts: MachineFacts,
    /// The plan for its kernel.
    pub plan: Vec<PlannedExperiment>,
    /// Per experiment of the plan, the uses that mark its system call.
    pub markers: Vec<Option<Markers>>,
    /// Per attachment: why the kernel refused it, or `None`.
    pub refusals: Vec<Option<AttachFailure>>,
    /// Per attachment: its entries in the kernel's list of probes while it was attached, or why they are not known.
    pub listed: Vec<Result<String, Reason>>,
    /// True if 32-bit system calls could be distinguished from others.
    pub tells_compat: bool,
    /// Per experiment of the plan.
    pub experiments: Vec<RawExperiment>,
    /// The bytes in front of the return addresses on the stacks of events, as they stood in memory.
    pub code: Vec<(u64, Vec<u8>)>,
    /// Per command of the investigation that runs on the machine.
    pub commands: Vec<RawCommand>,
    /// Per experiment of the plan: its call under the function-graph tracer, or why there is none; `None`: not asked for.
    pub graphs: Vec<Option<Result<TracedGraph, Reason>>>,
    /// tracefs's `available_filter_functions`; empty where nothing was traced.
    pub traceable: String,
}

/// A call under the function-graph tracer.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TracedGraph {
    /// Number of the system call.
    pub number: i64,
    /// Its arguments that were known before.
    pub args: Vec<Option<i64>>,
    /// The records.
    pub graph: RawGraph,
}

/// One command that was run, or that could not be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RawCommand {
    /// The program and its arguments.
    pub argv: Vec<String>,
    /// Its exit status, or why there is none.
    pub ended: Result<i32, Reason>,
    /// The part of its output that was kept.
    #[serde(with = "serde_bytes")]
    pub stdout: Vec<u8>,
    /// Length of its output in bytes; `None`: it may have been more than what was seen.
    pub printed: Option<u64>,
    /// The part of its standard error that was kept. The evidence does not have it.
    #[serde(with = "serde_bytes")]
    pub stderr: Vec<u8>,
}

/// An attachment that the kernel refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttachFailure {
    /// The kernel's errno, where there was one.
    pub errno: Option<i32>,
    /// The attempt, the reason of the refusal, and what would have to change.
    pub reason: String,
}

/// A machine's statements about itself.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct MachineFacts {
    /// The architecture of the kernel.
    pub arch: Arch,
    /// `/proc/sys/kernel/random/boot_id`.
    pub boot_id: String,
    /// Model name of the first CPU.
    pub cpu_model: String,
    /// CPUs online.
    pub cpus: u32,
    /// `kernel.perf_event_max_stack`, if it can be read: no stack has more frames.
    pub max_stack: Option<usize>,
    /// `uname -r`.
    pub release: String,
    /// `uname -v`.
    pub version: String,
    /// GNU build id, hex.
    pub build_id: Result<String, Reason>,
    /// The kernel's BTF. Its digest is made on the host: an emulated processor is slow at SHA-256.
    #[serde(with = "serde_bytes")]
    pub btf: Vec<u8>,
    /// Facts of its build that no file of the build has.
    pub build: RawBuildFacts,
    /// Mode chosen in `/sys/kernel/security/lockdown`.
    pub lockdown: Result<String, Reason>,
    /// `/sys/kernel/security/lsm`.
    pub lsm: Result<String, Reason>,
    /// `/proc/cmdline`.
    pub command_line: String,
    /// The configuration as text, where the kernel or its `/boot` has it.
    pub config: Result<String, Reason>,
    /// The file that the configuration was read from.
    pub config_file: String,
    /// `/proc/kallsyms`, with real addresses.
    pub kallsyms: Result<String, KaslrSourceError>,
    /// VMCOREINFO.
    pub vmcoreinfo: Result<Vmcoreinfo, KaslrSourceError>,
    /// Physical address of "Kernel code" in `/proc/iomem`.
    pub physical_text: Result<u64, Reason>,
    /// The line that says so, and its number from 1.
    pub physical_line: Result<(u64, String), Reason>,
}

impl MachineFacts {
    /// The most frames that a stack of this capture can have: one with as many may have been cut. 0 if that is not known, so that
    /// each counts as cut.
    pub fn max_frames(&self) -> usize {
        self.max_stack.map_or(0, |most| most.min(MAX_FRAMES))
    }
}

/// One experiment that ran, or that could not.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RawExperiment {
    /// The end of the workload, or why it could not be run.
    pub outcome: Result<RawOutcome, Reason>,
    /// Events as they came out of the ring buffer, in order.
    pub events: Vec<RawEvent>,
    /// The processes of the collector itself while it ran: this program, what waits at the gate to become a workload, and what
    /// watches over it. Empty where no probe looks at every task.
    pub own: Vec<u32>,
    /// Losses on the way.
    pub losses: Losses,
    /// Time spent waiting for the last free, in nanoseconds.
    pub waited_ns: u64,
    /// Median time of the bare call and of the probed one, in nanoseconds, and over how many calls.
    pub cost: Option<(u64, u64, u32)>,
    /// The code that made the system call; `None` for a command.
    pub call: Option<CallSite>,
    /// The processes that the workload started; `None`: nothing watched for them.
    pub descendants: Option<RawDescendants>,
    /// Number of threads of the workload's process that its call started and that still ran when the watch ended. `None`: not known.
    pub threads_running: Option<u64>,
    /// The reason why probes of functions may have seen nothing, though they were attached.
    pub unarmed: Option<Reason>,
    /// Number of runs of its workload on this machine before this one, by the collector itself: those under the tracer, on a host.
    pub earlier_runs: u32,
    /// Missing marks of its beginning and end, with reasons.
    pub notes: Vec<String>,
}

impl RawExperiment {
    /// One that was not run, and why.
    pub fn not_run(reason: impl Into<Reason>) -> Self {
        Self {
            outcome: Err(reason.into()),
            events: Vec::new(),
            own: Vec::new(),
            losses: Losses::default(),
            waited_ns: 0,
            cost: None,
            call: None,
            descendants: None,
            threads_running: None,
            earlier_runs: 0,
            unarmed: None,
            notes: Vec::new(),
        }
    }
}

/// The processes that a workload started. (Of its own, because the document's leaves fields out, which no format
/// without names bears.)
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RawDescendants {
    /// Number in all.
    pub started: u64,
    /// Number of them that were watched.
    pub followed: u64,
    /// Number of those that still ran when the watch ended.
    pub running: u64,
}

/// One record of the ring buffer: the bytes of a [`qed_collector_ebpf::Event`].
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RawEvent(#[serde(with = "serde_bytes")] pub Vec<u8>);

/// The end of a workload.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RawOutcome {
    /// Thread-group id of its process.
    pub pid: u32,
    /// The result of the system call.
    pub returned: Option<i64>,
    /// Exit status.
    pub exit: Option<i32>,
    /// The signal that ended it.
    pub signal: Option<i32>,
    /// True if it did not end in time and was killed by the collector.
    pub timed_out: bool,
    /// The part of its output that was kept.
    #[serde(with = "serde_bytes")]
    pub stdout: Vec<u8>,
    /// Length of its output in bytes; `None`: it may have been more than what was seen.
    pub printed: Option<u64>,
    /// The part of its standard error that was kept.
    #[serde(with = "serde_bytes")]
    pub stderr: Vec<u8>,
    /// Length of its standard error in bytes; `None`: it may have been more than what was seen.
    pub complained: Option<u64>,
    /// Buffers read back, by name.
    pub buffers: Vec<(String, Vec<u8>)>,
    /// The results of the calls of the sequence before the last one.
    pub earlier: Vec<i64>,
}

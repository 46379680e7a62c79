//! The boundary between a session and the machine, as traits: everything that a session does to the machine or asks of it.
//!
//! [`live`](super::live) is the machine that this process runs on. The tests use a recorded one, so that the order of steps is
//! tested without a kernel.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use qed_collector_ebpf::Control;

use super::raw::{AttachFailure, RawEvent};
use crate::graph::raw::RawGraph;
use crate::probe::{Lifecycle, Losses, Setup};
use crate::reason::Reason;
use crate::workload::{CallSite, WorkloadOutcome, WorkloadSpec, WorkloadState};

/// The machine that is watched.
pub trait SessionMachine {
    /// Its eBPF programs, once they are loaded.
    type Programs: Programs;
    /// A process that waits at the gate, or has passed it.
    type Workload: Workload;

    /// Load the eBPF programs, which look at nothing yet.
    fn load(&mut self, setup: &Setup) -> anyhow::Result<Self::Programs>;

    /// Start a workload's process and wait until it is at its gate.
    async fn start(&mut self, spec: &WorkloadSpec) -> anyhow::Result<Self::Workload>;

    /// Run these workloads under the kernel's function-graph tracer, one after the other. Nothing may be attached. The tracer is left as it
    /// was, unless it is the `last` thing that is done before the machine is switched off.
    async fn trace_workloads(
        &mut self,
        specs: &[&WorkloadSpec],
        last: bool,
        progress: &dyn Fn(&str),
    ) -> Result<Traces, Reason>;

    /// Read `size` bytes of kernel memory at a live address, or say why that cannot be done.
    fn read_memory(&self, address: u64, size: usize) -> Result<Vec<u8>, Reason>;

    /// The kernel's list of its probes, as text, or why there is none.
    fn read_kprobe_list(&self) -> Result<String, Reason>;

    /// The reason why probes of functions see nothing now, though they are attached; `None`: they see what comes by.
    fn why_probes_are_disarmed(&self) -> Option<Reason>;

    /// The processes of this program that run now, itself among them: those that it has started to make a workload of, and those
    /// that watch over them.
    fn own_processes(&self) -> Vec<u32>;

    /// Count how many of these processes are still running.
    fn count_running(&self, processes: &[u32]) -> u64;

    /// The ids of the running threads of a process; none of one that is gone.
    fn list_threads(&self, process: u32) -> Result<BTreeSet<u32>, Reason>;

    /// Drop all privileges that are no longer needed, or return the reason why they are kept.
    fn drop_privileges(&mut self, release: &str) -> Result<(), Reason>;

    /// Let other processes run before this thread, or as it does by default. (While a watched process hits a probe and this thread runs in
    /// between, the kernel skips what this thread hits, and counts it.)
    fn set_low_priority(&self, low: bool);

    /// The time, by a clock that never goes back.
    fn now(&self) -> Instant;

    /// Wait.
    async fn sleep(&self, time: Duration);
}

/// Workloads under the function-graph tracer.
pub struct Traces {
    /// Per workload.
    pub calls: Vec<TracedCall>,
    /// The functions that the tracer sees: tracefs's `available_filter_functions`.
    pub traceable: String,
}

/// One workload under the function-graph tracer.
pub struct TracedCall {
    /// The records of its last run.
    pub graph: Result<RawGraph, Reason>,
    /// Number of its runs until no record was lost; at least 1, though it may not have come to its call.
    pub runs: u32,
}

/// The eBPF programs, their maps and the buffer of their events.
pub trait Programs {
    /// The attachments that hold, by their numbers in the plan.
    fn attached_indices(&self) -> Vec<usize>;

    /// Attach one. Refused is an answer.
    fn attach(&mut self, index: usize) -> Result<(), AttachFailure>;

    /// Take these away again.
    fn detach(&mut self, which: &[usize]);

    /// Let attachment `to` have what `from` has attached, if that is the same place in the kernel.
    fn hand_over(&mut self, from: usize, to: usize) -> bool;

    /// Watch processes begin; and, for `commands`, when they become another program.
    fn watch_lifecycle(&mut self, commands: bool) -> Lifecycle;

    /// Find the kernel's counters of skipped hits, for the probes that are attached now.
    fn find_counters(&mut self, memory: &MemoryReader<'_>) -> Result<(), Reason>;

    /// Report from now on what `control` says.
    fn set_control(&mut self, control: Control) -> anyhow::Result<()>;

    /// Look at nothing any more.
    fn stop(&mut self) -> anyhow::Result<()>;

    /// Clear the data of the last run from the maps.
    fn reset(&mut self) -> anyhow::Result<()>;

    /// All counters, as they are now.
    fn losses(&self, memory: &MemoryReader<'_>) -> anyhow::Result<Losses>;

    /// Count the objects that were allocated and not freed yet.
    fn live_objects(&self) -> anyhow::Result<usize>;

    /// The processes that belong to the workload besides its own, those that have ended included.
    fn followed_processes(&self) -> anyhow::Result<Vec<u32>>;

    /// The events that are there now.
    fn drain(&mut self) -> Vec<RawEvent>;

    /// Leave everything attached: the machine is about to be switched off.
    fn leave_attached(self);
}

/// A workload's process.
pub trait Workload {
    /// Its thread-group id.
    fn tgid(&self) -> u32;

    /// The code of its system call; `None` of a command.
    fn call_site(&self) -> Option<&CallSite>;

    /// Make the call over and over, still at the gate, and say the median time of one in nanoseconds.
    async fn measure_time(&mut self, calls: u32) -> anyhow::Result<u64>;

    /// Open the gate, and wait until the call has returned or the process has ended.
    async fn release_gate(&mut self) -> anyhow::Result<WorkloadState>;

    /// Have it report the result of the call.
    async fn report(&mut self) -> anyhow::Result<()>;

    /// Let the workload end, together with the processes that it started.
    async fn release(self) -> anyhow::Result<WorkloadOutcome>;
}

/// Reads the kernel's memory: this many bytes at an address, or the reason why they cannot be read.
pub type MemoryReader<'a> = dyn Fn(u64, usize) -> Result<Vec<u8>, Reason> + 'a;

/// A second look at each experiment by other means, while the first one is taken.
pub trait Observer {
    /// The workload of `experiment` is at its gate, as process `tgid`.
    fn begin(&self, experiment: &str, tgid: u32) -> anyhow::Result<()>;

    /// Its call has returned, and its objects are still open.
    fn end(&self, experiment: &str) -> anyhow::Result<()>;
}

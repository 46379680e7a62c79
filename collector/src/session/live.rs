//! The machine that this process runs on.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use qed_collector_ebpf::Control;
use rustix::process::setpriority_process;

use super::boundary::{MemoryReader, Programs, SessionMachine, TracedCall, Traces, Workload};
use super::core_memory::CoreMemory;
use super::raw::{AttachFailure, RawEvent};
use super::tracer::Tracer;
use super::{descendants, own_processes, privileges};
use crate::probe::{EventReader, Lifecycle, Losses, Probes, Setup, kprobe_list};
use crate::reason::Reason;
use crate::workload::{CallSite, RunningWorkload, WorkloadOutcome, WorkloadSpec, WorkloadState};

/// The nice value of those who come last.
const LOWEST_PRIORITY: i32 = 19;

/// This machine.
pub(super) struct ThisMachine {
    core: CoreMemory,
}

impl ThisMachine {
    /// Open what can be opened only while all privileges are there.
    pub(super) fn open() -> Self {
        Self {
            core: CoreMemory::open(),
        }
    }
}

impl SessionMachine for ThisMachine {
    type Programs = LoadedPrograms;
    type Workload = RunningWorkload;

    fn load(&mut self, setup: &Setup) -> anyhow::Result<LoadedPrograms> {
        let probes = Probes::load(setup).context("failed to load the eBPF programs")?;
        let events = probes.events().context("failed to open the ring buffer")?;
        Ok(LoadedPrograms { probes, events })
    }

    async fn start(&mut self, spec: &WorkloadSpec) -> anyhow::Result<RunningWorkload> {
        Ok(RunningWorkload::start(spec).await?)
    }

    async fn trace_workloads(
        &mut self,
        specs: &[&WorkloadSpec],
        last: bool,
        progress: &dyn Fn(&str),
    ) -> Result<Traces, Reason> {
        let tracer = Tracer::start(last).map_err(Reason::from_error)?;
        let traceable = tracer
            .read_traceable_functions()
            .map_err(Reason::from_error)?;
        let mut calls = Vec::new();
        for spec in specs {
            progress(&format!(
                "tracing call {} of {}",
                calls.len() + 1,
                specs.len()
            ));
            let traced = tracer.trace_until_complete(spec).await;
            calls.push(TracedCall {
                runs: traced.as_ref().map_or(1, |traced| traced.runs),
                graph: traced
                    .map(|traced| traced.graph)
                    .map_err(Reason::from_error),
            });
        }
        tracer.stop().map_err(Reason::from_error)?;
        Ok(Traces { calls, traceable })
    }

    fn read_memory(&self, address: u64, size: usize) -> Result<Vec<u8>, Reason> {
        self.core.read(address, size)
    }

    fn read_kprobe_list(&self) -> Result<String, Reason> {
        kprobe_list::read().map_err(Reason::from_error)
    }

    fn why_probes_are_disarmed(&self) -> Option<Reason> {
        kprobe_list::why_probes_are_disarmed().map(|reason| reason.into_owned().into())
    }

    fn own_processes(&self) -> Vec<u32> {
        own_processes::list_processes()
    }

    fn count_running(&self, processes: &[u32]) -> u64 {
        descendants::count_running(processes) as u64
    }

    fn list_threads(&self, process: u32) -> Result<BTreeSet<u32>, Reason> {
        descendants::list_threads(process).map_err(Reason::from_error)
    }

    fn drop_privileges(&mut self, release: &str) -> Result<(), Reason> {
        privileges::drop_all(release).map_err(Reason::from_error)
    }

    fn set_low_priority(&self, low: bool) {
        // What cannot be changed costs another run at most.
        let _ = setpriority_process(None, if low { LOWEST_PRIORITY } else { 0 });
    }

    fn now(&self) -> Instant {
        Instant::now()
    }

    async fn sleep(&self, time: Duration) {
        tokio::time::sleep(time).await;
    }
}

/// The programs in this machine's kernel.
pub(super) struct LoadedPrograms {
    probes: Probes,
    events: EventReader,
}

impl Programs for LoadedPrograms {
    fn attached_indices(&self) -> Vec<usize> {
        self.probes.attached_indices()
    }

    fn attach(&mut self, index: usize) -> Result<(), AttachFailure> {
        for (_, result) in self.probes.attach(&[index]) {
            result.map_err(|refusal| AttachFailure {
                errno: refusal.errno,
                reason: refusal.to_string(),
            })?;
        }
        Ok(())
    }

    fn detach(&mut self, which: &[usize]) {
        self.probes.detach(which);
    }

    fn hand_over(&mut self, from: usize, to: usize) -> bool {
        self.probes.hand_over(from, to)
    }

    fn watch_lifecycle(&mut self, commands: bool) -> Lifecycle {
        self.probes.watch_lifecycle(commands)
    }

    fn find_counters(&mut self, memory: &MemoryReader<'_>) -> Result<(), Reason> {
        self.probes.find_counters(memory)
    }

    fn set_control(&mut self, control: Control) -> anyhow::Result<()> {
        Ok(self.probes.set_control(control)?)
    }

    fn stop(&mut self) -> anyhow::Result<()> {
        (self.probes.stop()).context("failed to stop the eBPF programs")
    }

    fn reset(&mut self) -> anyhow::Result<()> {
        (self.probes.reset()).context("failed to clear the eBPF maps")
    }

    fn losses(&self, memory: &MemoryReader<'_>) -> anyhow::Result<Losses> {
        (self.probes.losses(memory)).context("failed to read the eBPF counters")
    }

    fn live_objects(&self) -> anyhow::Result<usize> {
        Ok(self.probes.live_objects()?.len())
    }

    fn followed_processes(&self) -> anyhow::Result<Vec<u32>> {
        Ok(self.probes.followed_processes()?)
    }

    fn drain(&mut self) -> Vec<RawEvent> {
        self.events.drain_raw().into_iter().map(RawEvent).collect()
    }

    fn leave_attached(self) {
        self.probes.leak();
    }
}

impl Workload for RunningWorkload {
    fn tgid(&self) -> u32 {
        RunningWorkload::tgid(self)
    }

    fn call_site(&self) -> Option<&CallSite> {
        RunningWorkload::call_site(self)
    }

    async fn measure_time(&mut self, calls: u32) -> anyhow::Result<u64> {
        Ok(RunningWorkload::measure_time(self, calls).await?)
    }

    async fn release_gate(&mut self) -> anyhow::Result<WorkloadState> {
        Ok(RunningWorkload::release_gate(self).await?)
    }

    async fn report(&mut self) -> anyhow::Result<()> {
        Ok(RunningWorkload::report(self).await?)
    }

    async fn release(self) -> anyhow::Result<WorkloadOutcome> {
        Ok(RunningWorkload::release(self).await?)
    }
}

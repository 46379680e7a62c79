//! A machine that answers from a record, and logs the requests in their order.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::rc::Rc;
use std::time::{Duration, Instant};

use qed_collector_ebpf::Control;

use super::super::boundary::{
    MemoryReader, Observer, Programs, SessionMachine, TracedCall, Traces, Workload,
};
use super::super::raw::{AttachFailure, RawEvent};
use crate::probe::{Lifecycle, Losses, Setup};
use crate::reason::Reason;
use crate::workload::{CallSite, Exit, WorkloadOutcome, WorkloadSpec, WorkloadState};

/// Everything that was asked for, in order; shared by the machine and all that it gave out.
pub type Log = Rc<RefCell<Vec<String>>>;

/// The answers.
#[derive(Default)]
pub struct Script {
    /// Attachments that the kernel refuses.
    pub refused: BTreeMap<usize, String>,
    /// The kernel's list of probes.
    pub list: String,
    /// Functions' probes are switched off.
    pub unarmed: bool,
    /// Per address, the bytes there at one look after the other; the last stay.
    pub memory: RefCell<BTreeMap<u64, VecDeque<Vec<u8>>>>,
    /// The counters at one look after the other; the last stay.
    pub losses: RefCell<VecDeque<Losses>>,
    /// The number of objects that are not freed yet at one look after the other; 0 behind the last.
    pub live_objects: RefCell<VecDeque<usize>>,
    /// The number of processes that still run at one look after the other; 0 behind the last.
    pub running: RefCell<VecDeque<u64>>,
    /// The threads of a process at one look after the other; none behind the last.
    pub threads: RefCell<VecDeque<BTreeSet<u32>>>,
    /// Processes, by how many were started before, that end in the call instead of returning.
    pub ended: BTreeSet<u32>,
    /// Runs of each call under the tracer. 0: there is none.
    pub traced_runs: u32,
    /// Processes, by how many were started before, that cannot be started.
    pub not_started: BTreeSet<u32>,
}

/// The machine.
pub struct RecordedMachine {
    pub log: Log,
    script: Rc<Script>,
    clock: Rc<Cell<Duration>>,
    origin: Instant,
    started: u32,
}

impl RecordedMachine {
    pub fn new(script: Script) -> Self {
        Self {
            log: Log::default(),
            script: Rc::new(script),
            clock: Rc::default(),
            origin: Instant::now(),
            started: 0,
        }
    }
}

fn note(log: &Log, line: impl Into<String>) {
    log.borrow_mut().push(line.into());
}

/// The next of a list whose last stays.
fn next<T: Clone + Default>(list: &mut VecDeque<T>) -> T {
    match list.len() {
        0 => T::default(),
        1 => list[0].clone(),
        _ => list.pop_front().unwrap_or_default(),
    }
}

impl SessionMachine for RecordedMachine {
    type Programs = RecordedPrograms;
    type Workload = RecordedWorkload;

    fn load(&mut self, _: &Setup) -> anyhow::Result<RecordedPrograms> {
        note(&self.log, "load");
        Ok(RecordedPrograms {
            log: Rc::clone(&self.log),
            script: Rc::clone(&self.script),
            attached: BTreeSet::new(),
        })
    }

    async fn start(&mut self, _: &WorkloadSpec) -> anyhow::Result<RecordedWorkload> {
        let number = self.started;
        self.started += 1;
        anyhow::ensure!(
            !self.script.not_started.contains(&number),
            "no such program"
        );
        note(&self.log, "start");
        Ok(RecordedWorkload {
            log: Rc::clone(&self.log),
            tgid: 100 + number,
            ends: self.script.ended.contains(&number),
        })
    }

    async fn trace_workloads(
        &mut self,
        specs: &[&WorkloadSpec],
        last: bool,
        _: &dyn Fn(&str),
    ) -> Result<Traces, Reason> {
        note(&self.log, format!("trace {}, last {last}", specs.len()));
        let call = |_: &&WorkloadSpec| TracedCall {
            graph: Err("the records were lost".into()),
            runs: self.script.traced_runs,
        };
        match self.script.traced_runs {
            0 => Err("this machine has no tracer".into()),
            _ => Ok(Traces {
                calls: specs.iter().map(call).collect(),
                traceable: String::new(),
            }),
        }
    }

    fn read_memory(&self, address: u64, _: usize) -> Result<Vec<u8>, Reason> {
        let mut memory = self.script.memory.borrow_mut();
        let bytes = memory.get_mut(&address).ok_or("nothing is there")?;
        note(&self.log, format!("memory {address:#x}"));
        Ok(next(bytes))
    }

    fn read_kprobe_list(&self) -> Result<String, Reason> {
        note(&self.log, "list");
        Ok(self.script.list.clone())
    }

    fn why_probes_are_disarmed(&self) -> Option<Reason> {
        self.script.unarmed.then(|| "it is switched off".into())
    }

    fn own_processes(&self) -> Vec<u32> {
        note(&self.log, "own processes");
        vec![1, 100]
    }

    fn count_running(&self, _: &[u32]) -> u64 {
        let left = self.script.running.borrow_mut().pop_front();
        left.unwrap_or_default()
    }

    fn list_threads(&self, _: u32) -> Result<BTreeSet<u32>, Reason> {
        let now = self.script.threads.borrow_mut().pop_front();
        Ok(now.unwrap_or_default())
    }

    fn drop_privileges(&mut self, _: &str) -> Result<(), Reason> {
        note(&self.log, "drop privileges");
        Ok(())
    }

    fn set_low_priority(&self, low: bool) {
        note(&self.log, format!("low priority {low}"));
    }

    fn now(&self) -> Instant {
        self.origin + self.clock.get()
    }

    async fn sleep(&self, time: Duration) {
        note(&self.log, format!("sleep {} ms", time.as_millis()));
        self.clock.set(self.clock.get() + time);
    }
}

/// Programs that attach what is not refused.
pub struct RecordedPrograms {
    log: Log,
    script: Rc<Script>,
    attached: BTreeSet<usize>,
}

impl Programs for RecordedPrograms {
    fn attached_indices(&self) -> Vec<usize> {
        self.attached.iter().copied().collect()
    }

    fn attach(&mut self, index: usize) -> Result<(), AttachFailure> {
        note(&self.log, format!("attach {index}"));
        if let Some(reason) = self.script.refused.get(&index) {
            return Err(AttachFailure {
                errno: Some(1),
                reason: reason.clone(),
            });
        }
        self.attached.insert(index);
        Ok(())
    }

    fn detach(&mut self, which: &[usize]) {
        note(&self.log, format!("detach {which:?}"));
        self.attached.retain(|index| !which.contains(index));
    }

    fn hand_over(&mut self, from: usize, to: usize) -> bool {
        from == to && self.attached.contains(&from)
    }

    fn watch_lifecycle(&mut self, commands: bool) -> Lifecycle {
        note(&self.log, format!("watch life, commands {commands}"));
        Lifecycle::default()
    }

    fn find_counters(&mut self, _: &MemoryReader<'_>) -> Result<(), Reason> {
        note(&self.log, format!("find counters of {:?}", self.attached));
        Ok(())
    }

    fn set_control(&mut self, control: Control) -> anyhow::Result<()> {
        let (tgid, experiment) = (control.target_tgid, control.experiment);
        let line = match control.awaited_tgid {
            0 if control.discard == 1 => format!("watch {tgid}, discarding"),
            0 => format!("watch {tgid} for experiment {experiment}"),
            awaited => format!("await {awaited} for experiment {experiment}"),
        };
        note(&self.log, line);
        Ok(())
    }

    fn stop(&mut self) -> anyhow::Result<()> {
        note(&self.log, "stop");
        Ok(())
    }

    fn reset(&mut self) -> anyhow::Result<()> {
        note(&self.log, "forget");
        Ok(())
    }

    fn losses(&self, _: &MemoryReader<'_>) -> anyhow::Result<Losses> {
        Ok(next(&mut self.script.losses.borrow_mut()))
    }

    fn live_objects(&self) -> anyhow::Result<usize> {
        let left = self.script.live_objects.borrow_mut().pop_front();
        Ok(left.unwrap_or_default())
    }

    fn followed_processes(&self) -> anyhow::Result<Vec<u32>> {
        Ok(Vec::new())
    }

    fn drain(&mut self) -> Vec<RawEvent> {
        note(&self.log, "drain");
        Vec::new()
    }

    fn leave_attached(mut self) {
        self.attached.clear();
        note(&self.log, "leave attached");
    }
}

impl Drop for RecordedPrograms {
    fn drop(&mut self) {
        if !self.attached.is_empty() {
            note(&self.log, format!("let go of {:?}", self.attached));
        }
    }
}

/// A process that does what it is told.
pub struct RecordedWorkload {
    log: Log,
    tgid: u32,
    ends: bool,
}

impl Workload for RecordedWorkload {
    fn tgid(&self) -> u32 {
        self.tgid
    }

    fn call_site(&self) -> Option<&CallSite> {
        None
    }

    async fn measure_time(&mut self, calls: u32) -> anyhow::Result<u64> {
        note(&self.log, format!("time {calls} calls"));
        Ok(u64::from(self.tgid))
    }

    async fn release_gate(&mut self) -> anyhow::Result<WorkloadState> {
        note(&self.log, "go");
        Ok(match self.ends {
            true => WorkloadState::Ended,
            false => WorkloadState::Returned,
        })
    }

    async fn report(&mut self) -> anyhow::Result<()> {
        note(&self.log, "report");
        Ok(())
    }

    async fn release(self) -> anyhow::Result<WorkloadOutcome> {
        note(&self.log, "release");
        Ok(WorkloadOutcome {
            returned: Some(3),
            errno: Some(0),
            exit: Exit::Exited(0),
            stdout: Vec::new(),
            printed: Some(0),
            stderr: Vec::new(),
            complained: Some(0),
            buffers: Vec::new(),
            earlier: Vec::new(),
        })
    }
}

/// An observer that only notes when it was called.
pub struct Noting(pub Log);

impl Observer for Noting {
    fn begin(&self, experiment: &str, tgid: u32) -> anyhow::Result<()> {
        note(&self.0, format!("observe {experiment} of {tgid}"));
        Ok(())
    }

    fn end(&self, experiment: &str) -> anyhow::Result<()> {
        note(&self.0, format!("observed {experiment}"));
        Ok(())
    }
}

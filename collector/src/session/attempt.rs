//! One run of one experiment: from empty maps to the events and losses of exactly this run.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use qed_collector_ebpf::Control;
use qed_evidence::investigation::{Action, Experiment};

use super::boundary::{Observer, Programs, SessionMachine, Workload};
use super::raw::{AttachFailure, RawDescendants, RawEvent, RawExperiment, RawOutcome};
use crate::plan::PlannedExperiment;
use crate::probe::{Lifecycle, Losses};
use crate::reason::Reason;
use crate::workload::{CallSite, Exit, WorkloadOutcome, WorkloadSpec, WorkloadState};

/// Error prefix of a workload that could not be started or released, or that did not answer.
const NOT_RUN: &str = "not run";
/// The reason not to run an experiment whose files would be written to a machine that somebody uses.
const FOR_GUESTS: &str = "not run, because its `files` are put into guests alone, never on a host";
/// Calls on each side when the cost of the probes is measured. Their median is reported, so up to half of them may be
/// disturbed.
pub(super) const COST_CALLS: u32 = 51;
/// Time between two looks at processes or objects that have yet to end.
const STEP: Duration = Duration::from_millis(1);

/// The reason not to run `experiment` here, if its files belong into guests and this is none. `ephemeral`: the machine is a guest.
pub(super) fn guests_only_reason(experiment: &Experiment, ephemeral: bool) -> Option<Reason> {
    let has_files = !experiment.workload.around.files.is_empty();
    (has_files && !ephemeral).then(|| FOR_GUESTS.into())
}

/// The reason why an experiment cannot be what it says it is: a probe that raises a signal or refuses a call is not
/// there.
pub(super) fn missing_actor_reason(
    experiment: &PlannedExperiment,
    refusals: &[Option<AttachFailure>],
) -> Option<String> {
    experiment
        .probes
        .iter()
        .filter(|probe| probe.acts)
        .find_map(|probe| {
            let reason = match &probe.source {
                Err(reason) => reason.to_string(),
                Ok(source) => refusals.get(source.attach)?.as_ref()?.reason.clone(),
            };
            Some(format!(
                "not run, because probe `{}` has to act in it and cannot: {reason}",
                probe.name
            ))
        })
}

/// Notes on what does not mark where a workload begins and ends. `missing`: why markers are missing.
pub(super) fn unmarked_notes<'a>(
    experiment: &Experiment,
    missing: impl Iterator<Item = &'a str>,
    life: &Lifecycle,
) -> Vec<String> {
    let mut notes: Vec<String> = missing
        .map(|reason| {
            format!(
                "events outside of the call may be counted, because its marker is missing: {reason}"
            )
        })
        .collect();
    if is_command(experiment)
        && let Some(reason) = &life.executed
    {
        notes.push(format!(
            "events of the collector's own process may be counted, because it was not seen when it became the command: {reason}"
        ));
    }
    notes
}

/// A workload that is a program of its own.
pub(super) fn is_command(experiment: &Experiment) -> bool {
    matches!(experiment.workload.action, Action::Command(_))
}

/// An experiment with everything attached that it wants.
pub(super) struct ExperimentRun<'a, M: SessionMachine> {
    pub(super) machine: &'a mut M,
    pub(super) programs: &'a mut M::Programs,
    pub(super) observer: Option<&'a dyn Observer>,
    pub(super) life: &'a Lifecycle,
    pub(super) experiment: &'a Experiment,
    pub(super) spec: &'a WorkloadSpec,
    /// Its number in the plan.
    pub(super) number: usize,
    /// The machine is a guest, where nothing else matters than the workload.
    pub(super) ephemeral: bool,
}

/// Everything that one run has brought so far; it stays where the run fails later.
#[derive(Default)]
struct CollectedRun {
    events: Vec<RawEvent>,
    /// The processes of the collector itself.
    own: Vec<u32>,
    call: Option<CallSite>,
    waited_ns: u64,
    /// Processes that belong to the workload and still ran when the watch ended.
    running: u64,
    /// Threads of the workload's process before its call. `None`: not known.
    threads_before: Option<BTreeSet<u32>>,
    /// Number of other threads of it that still ran when the watch ended. `None`: not known.
    threads_running: Option<u64>,
}

impl<M: SessionMachine> ExperimentRun<'_, M> {
    /// Run the experiment, once: a second run on the same machine would find what the first one left there, and be another call's.
    pub(super) async fn run(&mut self) -> anyhow::Result<RawExperiment> {
        self.programs.reset()?;
        self.programs.drain();
        let before = self.read_losses()?;
        let mut collected = CollectedRun::default();
        let before_run = self.machine.why_probes_are_disarmed();
        let outcome = self.run_workload(&mut collected).await;
        if self.ephemeral {
            self.machine.set_low_priority(false);
        }
        let outcome = outcome.map_err(|error| format!("{NOT_RUN}: {error:#}").into());
        self.programs.stop()?;
        let unarmed = before_run.or_else(|| self.machine.why_probes_are_disarmed());
        self.take_events(&mut collected);
        let losses = self.read_losses()?.since(&before);
        let descendants = RawDescendants {
            started: losses.descendants,
            followed: losses.descendants.saturating_sub(losses.unfollowed),
            running: collected.running,
        };
        let watched = self.life.created.is_none() && outcome.is_ok();
        Ok(RawExperiment {
            outcome,
            events: collected.events,
            own: collected.own,
            losses,
            waited_ns: collected.waited_ns,
            cost: None,
            call: collected.call,
            descendants: watched.then_some(descendants),
            threads_running: collected.threads_running,
            earlier_runs: 0,
            unarmed,
            notes: Vec::new(),
        })
    }

    fn read_losses(&self) -> anyhow::Result<Losses> {
        let machine = &*self.machine;
        self.programs
            .losses(&|address, size| machine.read_memory(address, size))
    }

    fn take_events(&mut self, collected: &mut CollectedRun) {
        collected.events.extend(self.programs.drain());
    }

    async fn run_workload(&mut self, collected: &mut CollectedRun) -> anyhow::Result<RawOutcome> {
        let started = self.machine.now();
        let mut running = self.machine.start(self.spec).await?;
        collected.call = running.call_site().cloned();
        let tgid = running.tgid();
        if self.experiment.probes.iter().any(|probe| probe.any_task) {
            collected.own = self.machine.own_processes();
        }
        // A command's process is the collector's own program until it has been executed.
        let awaited = is_command(self.experiment) && self.life.executed.is_none();
        self.programs.set_control(Control {
            target_tgid: if awaited { 0 } else { tgid },
            awaited_tgid: if awaited { tgid } else { 0 },
            follow: self.experiment.follow.into(),
            experiment: self.number as u32,
            ..Control::default()
        })?;
        if let Some(observer) = self.observer {
            observer.begin(&self.experiment.name, tgid)?;
        }
        collected.threads_before = self.machine.list_threads(tgid).ok();
        // Its process has begun, and would have inherited it.
        if self.ephemeral {
            self.machine.set_low_priority(true);
        }
        let finished = running.release_gate().await?;
        if let Some(observer) = self.observer {
            observer.end(&self.experiment.name)?;
        }
        let outcome = if finished == WorkloadState::Ended || self.experiment.until_exit {
            let limit = Duration::from_millis(self.experiment.timeout_ms);
            self.wait_until_exit(running, started + limit, collected)
                .await?
        } else {
            self.wait_until_return(running, collected).await?
        };
        Ok(raw_outcome(tgid, outcome))
    }

    /// Watch until the process has ended, and those that it started, or the time is over.
    async fn wait_until_exit(
        &mut self,
        mut running: M::Workload,
        deadline: Instant,
        collected: &mut CollectedRun,
    ) -> anyhow::Result<WorkloadOutcome> {
        running.report().await?;
        // A command's process group is killed when it is released, so its descendants are waited for before that.
        let command = is_command(self.experiment);
        if command {
            self.wait_for_descendants(deadline, collected).await?;
        }
        let outcome = running.release().await?;
        if !command {
            self.wait_for_descendants(deadline, collected).await?;
        }
        self.wait_for_frees(collected).await?;
        self.programs.stop()?;
        // No thread outlives its process.
        collected.threads_running = Some(0);
        Ok(outcome)
    }

    /// Watch until the call has returned. The objects of the process are still open then; what a failure had to free is
    /// freed by now, or soon.
    async fn wait_until_return(
        &mut self,
        mut running: M::Workload,
        collected: &mut CollectedRun,
    ) -> anyhow::Result<WorkloadOutcome> {
        self.wait_for_frees(collected).await?;
        // Before the watch ends: what ends between then and now would have gone on unseen.
        collected.running = self.descendants_running()?;
        let threads = self.machine.list_threads(running.tgid()).ok();
        let before = collected.threads_before.as_ref();
        let started = threads
            .zip(before)
            .map(|(now, before)| now.difference(before).count());
        collected.threads_running = started.map(|count| count as u64);
        self.programs.stop()?;
        running.report().await?;
        running.release().await
    }

    /// Wait until all processes that belong to the workload have ended, or its time is over; then count those that have
    /// not.
    async fn wait_for_descendants(
        &mut self,
        deadline: Instant,
        collected: &mut CollectedRun,
    ) -> anyhow::Result<()> {
        while self.experiment.follow
            && self.machine.now() < deadline
            && self.descendants_running()? > 0
        {
            self.machine.sleep(STEP).await;
            self.take_events(collected);
        }
        collected.running = self.descendants_running()?;
        Ok(())
    }

    /// Count the processes that belong to the workload, besides its own, and still run.
    fn descendants_running(&self) -> anyhow::Result<u64> {
        Ok(self
            .machine
            .count_running(&self.programs.followed_processes()?))
    }

    /// Wait until everything that was allocated is freed, or the investigation's time for it is over.
    async fn wait_for_frees(&mut self, collected: &mut CollectedRun) -> anyhow::Result<()> {
        let probes = &self.experiment.probes;
        if !probes.iter().any(|probe| probe.frees.is_some()) {
            return Ok(());
        }
        let started = self.machine.now();
        let grace = Duration::from_millis(self.experiment.grace_ms);
        while self.machine.now() - started < grace && self.programs.live_objects()? > 0 {
            self.machine.sleep(STEP).await;
            self.take_events(collected);
        }
        let waited = self.machine.now() - started;
        collected.waited_ns = u64::try_from(waited.as_nanos()).unwrap_or(u64::MAX);
        Ok(())
    }

    /// The median time of the call with all probes at work and their events thrown away, in nanoseconds.
    pub(super) async fn measure_cost(&mut self) -> anyhow::Result<u64> {
        let (programs, number) = (&mut *self.programs, self.number as u32);
        let result = measure_call_time(self.machine, self.spec, |tgid| {
            programs.set_control(Control {
                target_tgid: tgid,
                experiment: number,
                discard: 1,
                ..Control::default()
            })
        })
        .await;
        self.programs.stop()?;
        self.programs.reset()?;
        self.programs.drain();
        result
    }
}

/// The median time of the workload's call in nanoseconds, made repeatedly by a process of its own. `watch` gets the process
/// first.
pub(super) async fn measure_call_time<M: SessionMachine>(
    machine: &mut M,
    spec: &WorkloadSpec,
    watch: impl FnOnce(u32) -> anyhow::Result<()>,
) -> anyhow::Result<u64> {
    let mut running = machine.start(spec).await?;
    watch(running.tgid())?;
    let median_ns = running.measure_time(COST_CALLS).await?;
    running.release().await?;
    Ok(median_ns)
}

fn raw_outcome(pid: u32, outcome: WorkloadOutcome) -> RawOutcome {
    let (exit, signal) = match outcome.exit {
        Exit::Exited(status) => (Some(status), None),
        Exit::Signaled(signal) => (None, Some(signal)),
        Exit::TimedOut => (None, None),
    };
    RawOutcome {
        pid,
        returned: outcome.returned,
        exit,
        signal,
        timed_out: outcome.exit == Exit::TimedOut,
        stdout: outcome.stdout,
        printed: outcome.printed,
        stderr: outcome.stderr,
        complained: outcome.complained,
        buffers: outcome.buffers,
        earlier: outcome.earlier,
    }
}

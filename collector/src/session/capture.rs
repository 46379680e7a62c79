//! The order of a capture: attach, run each experiment, take what it caused, let go, time the bare calls.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use qed_evidence::investigation::Investigation;

use super::attempt::{
    COST_CALLS, ExperimentRun, guests_only_reason, is_command, missing_actor_reason, unmarked_notes,
};
use super::boundary::{Observer, Programs, SessionMachine};
use super::commands::Commands;
use super::cost::{measure_bare_calls, report_failure};
use super::graphs::{Graphs, is_graph_wanted, trace_graphs, untraced_graphs};
use super::kernel::ThisKernel;
use super::live::ThisMachine;
use super::raw::{AttachFailure, MachineFacts, RawCapture, RawCommand, RawExperiment};
use super::restore::{probed_instructions, wait_until_optimised, wait_until_restored};
use super::return_sites::code_before_returns;
use super::workload_spec::workload_spec;
use crate::plan::{Markers, Plan, PlannedExperiment};
use crate::probe::{AttachTarget, Lifecycle, Setup, kprobe_list};
use crate::random::random_hex;
use crate::reason::Reason;
use crate::workload::WorkloadSpec;

/// Choices that differ from the usual.
#[derive(Clone, Copy, Default)]
pub struct CaptureOptions<'a> {
    /// The machine is switched off afterwards: nothing is detached, because detaching takes longer than all
    /// the rest together, and no tracer is set back. Where calls are traced, that comes last, and all is detached before.
    pub ephemeral: bool,
    /// The folder in which the paths of the investigation begin on this machine, and its workloads; `None`: where this
    /// process is.
    pub folder: Option<&'a Path>,
    /// Looks at an experiment by other means as well.
    pub observer: Option<&'a dyn Observer>,
}

/// Run `investigation` on this machine. `commands` are its own, and were begun before.
///
/// # Errors
/// When the programs cannot be loaded, or their maps not be read. A probe that cannot be attached and a workload that
/// cannot be run are answers.
pub async fn capture(
    investigation: &Investigation,
    kernel: ThisKernel,
    plan: Plan,
    commands: Commands,
    options: CaptureOptions<'_>,
    progress: &dyn Fn(&str),
) -> anyhow::Result<RawCapture> {
    let began = jiff::Timestamp::now().to_string();
    // Before anything is timed, and while all privileges are there.
    let commands = commands.wait();
    if !commands.is_empty() {
        progress(&format!("{} commands have been run", commands.len()));
    }
    let request = SessionRequest {
        investigation,
        plan,
        options,
        progress,
    };
    let run_id = random_hex().context("failed to read /dev/urandom for the run's id")?;
    let facts = move || kernel.into_facts(&investigation.facts);
    let seen = run(&mut ThisMachine::open(), &request, facts).await?;
    Ok(request.into_capture(run_id, began, commands, seen))
}

/// The request to a session.
pub(super) struct SessionRequest<'a> {
    pub(super) investigation: &'a Investigation,
    pub(super) plan: Plan,
    pub(super) options: CaptureOptions<'a>,
    pub(super) progress: &'a dyn Fn(&str),
}

/// Everything that a session has seen.
pub(super) struct SessionResult {
    pub(super) facts: MachineFacts,
    pub(super) refusals: Vec<Option<AttachFailure>>,
    pub(super) listed: Vec<Result<String, Reason>>,
    pub(super) experiments: Vec<RawExperiment>,
    pub(super) code: Vec<(u64, Vec<u8>)>,
    pub(super) graphs: Graphs,
}

impl SessionRequest<'_> {
    fn into_capture(
        self,
        id: String,
        time: String,
        commands: Vec<RawCommand>,
        seen: SessionResult,
    ) -> RawCapture {
        RawCapture {
            id,
            time,
            facts: seen.facts,
            tells_compat: self.plan.setup.layout.compat_mask != 0,
            plan: self.plan.experiments,
            markers: self.plan.markers,
            refusals: seen.refusals,
            listed: seen.listed,
            experiments: seen.experiments,
            code: seen.code,
            commands,
            graphs: seen.graphs.traces,
            traceable: seen.graphs.traceable,
        }
    }
}

/// Run a session on `machine`. `facts` are read when everything that wants privileges is attached, and before they are
/// given up.
pub(super) async fn run<M: SessionMachine>(
    machine: &mut M,
    request: &SessionRequest<'_>,
    facts: impl FnOnce() -> MachineFacts,
) -> anyhow::Result<SessionResult> {
    let experiments = &request.investigation.experiments;
    let specs = experiments
        .iter()
        .zip(&request.plan.workloads)
        .map(|(experiment, planned)| {
            let spec = workload_spec(
                experiment,
                planned.as_ref().map_err(Clone::clone)?,
                request.options.folder,
            );
            spec.map_err(Reason::from_error)
        })
        .collect::<Vec<_>>();
    let ephemeral = request.options.ephemeral;
    let progress = request.progress;
    // To set the tracer back takes an emulated guest eight seconds, to detach everything less than one: there it comes last.
    let before = match ephemeral {
        false => Some(trace_graphs(machine, experiments, &specs, ephemeral, progress).await),
        true => None,
    };
    let started = machine.now();
    let programs = machine.load(&request.plan.setup)?;
    let loaded = machine.now() - started;
    (request.progress)(&format!("loaded in {} ms", loaded.as_millis()));
    let attachments = request.plan.setup.attaches.len();
    let mut session = CaptureSession {
        machine,
        programs,
        life: Lifecycle::default(),
        request,
        specs: specs.clone(),
        earlier_runs: before
            .as_ref()
            .map_or_else(|| vec![0; experiments.len()], |graphs| graphs.runs.clone()),
        probed: vec![None; experiments.len()],
        refusals: vec![None; attachments],
        listed: vec![Err("it was never attached".into()); attachments],
        experiments: vec![None; request.plan.experiments.len()],
    };
    session.life = session
        .programs
        .watch_lifecycle(experiments.iter().any(is_command));
    session.run_isolated().await?;
    session.attach_shared();
    // Everything that needs privileges is done: what follows only runs workloads and reads maps.
    let facts = facts();
    session.drop_privileges(&facts.release);
    session.run_shared().await?;
    let traced_next = before.is_none() && is_graph_wanted(experiments);
    let timed = session.probed.iter().any(Option::is_some);
    let left_over = match traced_next || timed {
        true => session.detach_all().await,
        false => None,
    };
    let probed = session.probed.clone();
    let mut seen = session.finish(facts);
    let bare = measure_bare_calls(
        machine,
        (experiments, &specs),
        &probed,
        left_over.as_deref(),
        progress,
    )
    .await;
    for (ran, (probed_ns, bare_ns)) in seen.experiments.iter_mut().zip(probed.iter().zip(bare)) {
        ran.cost = bare_ns
            .zip(*probed_ns)
            .map(|(bare_ns, probed_ns)| (bare_ns, probed_ns, COST_CALLS));
    }
    seen.graphs = match (before, left_over) {
        (Some(graphs), _) => graphs,
        (None, Some(reason)) => untraced_graphs(experiments, &reason.into()),
        (None, None) => trace_graphs(machine, experiments, &specs, ephemeral, progress).await,
    };
    Ok(seen)
}

/// A capture on its way.
struct CaptureSession<'a, M: SessionMachine> {
    machine: &'a mut M,
    programs: M::Programs,
    life: Lifecycle,
    request: &'a SessionRequest<'a>,
    specs: Vec<Result<WorkloadSpec, Reason>>,
    /// Per experiment, the runs of its workload before the probes watch one.
    earlier_runs: Vec<u32>,
    /// Per experiment, the median time of its call with all probes at work, in nanoseconds.
    probed: Vec<Option<u64>>,
    /// Per attachment.
    refusals: Vec<Option<AttachFailure>>,
    /// Per attachment.
    listed: Vec<Result<String, Reason>>,
    /// Per experiment, once it is over.
    experiments: Vec<Option<RawExperiment>>,
}

impl<M: SessionMachine> CaptureSession<'_, M> {
    fn setup(&self) -> &Setup {
        &self.request.plan.setup
    }

    fn planned_experiment(&self, number: usize) -> &PlannedExperiment {
        &self.request.plan.experiments[number]
    }

    fn report_progress(&self, line: &str) {
        (self.request.progress)(line);
    }

    /// The number of experiments that are done, of all, for progress.
    fn experiments_done(&self) -> String {
        let done = self.experiments.iter().flatten().count();
        format!(", {done} of {}", self.experiments.len())
    }

    /// The experiments that want a kernel in which nothing else is probed, or all others.
    fn experiment_numbers(&self, isolated: bool) -> Vec<usize> {
        let all = 0..self.request.plan.experiments.len();
        all.filter(|&number| self.planned_experiment(number).isolated == isolated)
            .collect()
    }

    /// The attachments of an experiment.
    fn experiment_attachments(&self, number: usize) -> Vec<usize> {
        let uses = self.setup().uses.iter();
        let own = uses.filter(|usage| usage.experiment as usize == number);
        let own: BTreeSet<usize> = own.map(|usage| usage.attach).collect();
        own.into_iter().collect()
    }

    /// Run the isolated experiments, before anything else is attached: a probed kernel cannot be compared with an
    /// unprobed one later without detaching, which takes longer than all the rest.
    async fn run_isolated(&mut self) -> anyhow::Result<()> {
        let alone = self.experiment_numbers(true);
        // The places inside of functions, and what stands there while no probe does.
        let probed = probed_instructions(&self.request.plan.experiments, &self.setup().attaches);
        let mut left_over = None;
        for (at, &number) in alone.iter().enumerate() {
            let which = self.experiment_attachments(number);
            self.attach(&which);
            let cannot = match left_over.clone() {
                None => self.not_runnable_reason(number, &which).await,
                reason => reason,
            };
            let result = self.run_experiment(number, cannot).await?;
            self.experiments[number] = Some(result);
            let done = self.experiments_done();
            self.report_progress(&format!(
                "{}: attached and run{done}",
                self.planned_experiment(number).name
            ));
            // Keep attached what the next experiment also needs; detach the rest.
            let next = alone
                .get(at + 1)
                .map_or_else(Vec::new, |&next| self.experiment_attachments(next));
            let own = self.attachments_to_remove(which, &next);
            self.programs.detach(&own);
            left_over = wait_until_restored(&*self.machine, &probed, &own)
                .await
                .or(left_over);
            self.report_progress("detached");
        }
        Ok(())
    }

    /// Those of `which` that have to go before the next experiment, which has the attachments `next`.
    fn attachments_to_remove(&mut self, which: Vec<usize>, next: &[usize]) -> Vec<usize> {
        let attaches = &self.request.plan.setup.attaches;
        which
            .into_iter()
            .filter(|&index| !matches!(attaches[index], AttachTarget::Tracepoint { .. }))
            .filter(|&index| !next.iter().any(|&to| self.programs.hand_over(index, to)))
            .collect()
    }

    /// Attach everything that the other experiments share.
    fn attach_shared(&mut self) {
        let experiments = self.experiment_numbers(false).into_iter();
        let shared: BTreeSet<usize> = experiments
            .flat_map(|number| self.experiment_attachments(number))
            .collect();
        let mut shared: Vec<usize> = shared.into_iter().collect();
        // Hooks first: where functions are probed already, 6.1 sleeps for a tenth of a second over the first hook.
        let attaches = &self.request.plan.setup.attaches;
        shared.sort_by_key(|&index| !matches!(attaches[index], AttachTarget::Lsm { .. }));
        let [functions, tracepoints, hooks] = self.attach(&shared).map(|time| time.as_millis());
        self.report_progress(&format!(
            "attached {} probes: functions {functions} ms, tracepoints {tracepoints} ms, LSM hooks {hooks} ms",
            shared.len()
        ));
    }

    /// Attach those of `which` that are not attached yet, and record refusals. Return the time that functions, tracepoints and
    /// hooks took.
    fn attach(&mut self, which: &[usize]) -> [Duration; 3] {
        let attached = self.programs.attached_indices();
        let mut spent = [Duration::ZERO; 3];
        for &index in which.iter().filter(|index| !attached.contains(index)) {
            let started = self.machine.now();
            // Once refused is refused: what worked for one experiment only cannot be told apart afterwards.
            if let Err(declined) = self.programs.attach(index) {
                self.refusals[index] = Some(declined);
            }
            let kind = match self.setup().attaches[index] {
                AttachTarget::Kprobe { .. } => 0,
                AttachTarget::Tracepoint { .. } => 1,
                AttachTarget::Lsm { .. } => 2,
            };
            spent[kind] += self.machine.now() - started;
        }
        self.record_kprobe_list(which);
        self.find_counters();
        spent
    }

    /// Record what the kernel's list of probes says about those of `which`.
    fn record_kprobe_list(&mut self, which: &[usize]) {
        let attaches = &self.request.plan.setup.attaches;
        let functions: Vec<(usize, u64, u64)> = which
            .iter()
            .filter_map(|&index| match &attaches[index] {
                AttachTarget::Kprobe {
                    address, offset, ..
                } => Some((index, *address, *offset)),
                _ => None,
            })
            .collect();
        if functions.is_empty() {
            return;
        }
        let list = self.machine.read_kprobe_list();
        for (index, address, offset) in functions {
            self.listed[index] = match &list {
                Ok(list) => {
                    kprobe_list::find_entries(list, address, offset).map_err(Reason::from_error)
                }
                Err(reason) => Err(reason.clone()),
            };
        }
    }

    /// Find the kernel's counters of what it skips. Where there are none, the evidence says so.
    fn find_counters(&mut self) {
        let machine = &*self.machine;
        let memory = |address, size| machine.read_memory(address, size);
        if let Err(reason) = self.programs.find_counters(&memory) {
            self.report_progress(&format!(
                "it will not be known which hits the kernel skips: {reason}"
            ));
        }
    }

    fn drop_privileges(&mut self, release: &str) {
        if !self.request.options.ephemeral
            && let Err(reason) = self.machine.drop_privileges(release)
        {
            self.report_progress(&format!("privileges are kept: {reason}"));
        }
    }

    /// Run all other experiments, one after the other, with everything attached that any of them wants.
    async fn run_shared(&mut self) -> anyhow::Result<()> {
        for number in self.experiment_numbers(false) {
            let which = self.experiment_attachments(number);
            let cannot = self.not_runnable_reason(number, &which).await;
            let started = self.machine.now();
            let result = self.run_experiment(number, cannot).await?;
            let spent = self.machine.now() - started;
            let ran = match &result.outcome {
                Ok(_) => format!("{} events in {} ms", result.events.len(), spent.as_millis()),
                Err(_) => "not run".into(),
            };
            self.experiments[number] = Some(result);
            let done = self.experiments_done();
            self.report_progress(&format!(
                "{}: {ran}{done}",
                self.planned_experiment(number).name
            ));
        }
        Ok(())
    }

    /// The reason why an experiment cannot be what it says it is, if so.
    async fn not_runnable_reason(&self, number: usize, which: &[usize]) -> Option<String> {
        if let Some(reason) = missing_actor_reason(self.planned_experiment(number), &self.refusals)
        {
            return Some(reason);
        }
        let experiment = &self.request.investigation.experiments[number];
        if let Some(reason) = guests_only_reason(experiment, self.request.options.ephemeral) {
            return Some(reason.to_string());
        }
        let limit = Duration::from_millis(experiment.settle_ms);
        let attaches = &self.setup().attaches;
        wait_until_optimised(&*self.machine, attaches, which, &self.listed, limit).await
    }

    /// Run one experiment with everything attached, unless it `cannot` be run.
    async fn run_experiment(
        &mut self,
        number: usize,
        cannot: Option<String>,
    ) -> anyhow::Result<RawExperiment> {
        let experiment = &self.request.investigation.experiments[number];
        let spec = match (cannot, &self.specs[number]) {
            (None, Ok(spec)) => spec,
            (Some(reason), _) => return Ok(RawExperiment::not_run(reason)),
            (None, Err(reason)) => return Ok(RawExperiment::not_run(format!("not run: {reason}"))),
        };
        let notes = unmarked_notes(experiment, self.missing_marker_reasons(number), &self.life);
        let mut run = ExperimentRun {
            machine: &mut *self.machine,
            programs: &mut self.programs,
            observer: self.request.options.observer,
            life: &self.life,
            experiment,
            spec,
            number,
            ephemeral: self.request.options.ephemeral,
        };
        let mut result = run.run().await?;
        // The cost is that of all probes together, and an isolated experiment has only its own.
        if experiment.cost && !experiment.isolated && result.outcome.is_ok() {
            let probed = run.measure_cost().await;
            self.probed[number] = report_failure(probed, &experiment.name, self.request.progress);
        }
        result.earlier_runs = self.earlier_runs[number];
        result.notes = notes;
        Ok(result)
    }

    /// The reasons why the markers of an experiment are missing.
    fn missing_marker_reasons(&self, number: usize) -> impl Iterator<Item = &str> {
        let markers = &self.request.plan.markers[number];
        let uses: BTreeSet<usize> = markers.iter().flat_map(Markers::uses).collect();
        let uses = uses.into_iter().filter_map(|at| self.setup().uses.get(at));
        uses.filter_map(|usage| Some(&*self.refusals.get(usage.attach)?.as_ref()?.reason))
    }

    /// Detach everything, and wait until the kernel has restored its code. Return the reason why it has not.
    async fn detach_all(&mut self) -> Option<String> {
        let plan = &self.request.plan;
        let probed = probed_instructions(&plan.experiments, &plan.setup.attaches);
        let attached = self.programs.attached_indices();
        self.programs.detach(&attached);
        wait_until_restored(&*self.machine, &probed, &attached).await
    }

    /// Take the code around the calls that were seen, and let go.
    fn finish(self, facts: MachineFacts) -> SessionResult {
        let experiments: Vec<RawExperiment> = self.experiments.into_iter().flatten().collect();
        let code = code_before_returns(&experiments, self.machine);
        let traced_next = is_graph_wanted(&self.request.investigation.experiments);
        let timed_next = self.probed.iter().any(Option::is_some);
        if self.request.options.ephemeral && !traced_next && !timed_next {
            self.programs.leave_attached();
        }
        SessionResult {
            facts,
            refusals: self.refusals,
            listed: self.listed,
            experiments,
            code,
            graphs: Graphs::default(),
        }
    }
}

//! The calls of experiments that want their tree, under the tracer, while nothing is attached.

use qed_evidence::investigation::Experiment;

use super::attempt::guests_only_reason;
use super::boundary::SessionMachine;
use super::raw::TracedGraph;
use crate::reason::Reason;
use crate::workload::{WorkloadKind, WorkloadSpec};

/// Per experiment its trace, or why there is none; and the functions that the tracer sees.
pub(super) type Graphs = (Vec<Option<Result<TracedGraph, Reason>>>, String);

/// True if an experiment wants its tree.
pub(super) fn is_graph_wanted(experiments: &[Experiment]) -> bool {
    experiments.iter().any(|experiment| experiment.graph)
}

/// The answers where nothing can be traced, for this reason.
pub(super) fn untraced_graphs(experiments: &[Experiment], reason: &Reason) -> Graphs {
    let answer = |experiment: &Experiment| experiment.graph.then(|| Err(reason.clone()));
    (experiments.iter().map(answer).collect(), String::new())
}

/// Trace the call of each experiment that wants it. On a machine that is `ephemeral` it is the last thing that is done. What fails is a
/// reason; the rest of the capture is none the worse.
pub(super) async fn trace_graphs<M: SessionMachine>(
    machine: &mut M,
    experiments: &[Experiment],
    specs: &[Result<WorkloadSpec, Reason>],
    ephemeral: bool,
    progress: &dyn Fn(&str),
) -> Graphs {
    if !is_graph_wanted(experiments) {
        return (vec![None; experiments.len()], String::new());
    }
    progress("switching the tracer on");
    let can_run = |(experiment, spec): (&Experiment, &Result<WorkloadSpec, Reason>)| {
        match guests_only_reason(experiment, ephemeral) {
            Some(reason) => Err(reason),
            None => spec.clone(),
        }
    };
    let requested: Vec<Option<Result<WorkloadSpec, Reason>>> = experiments
        .iter()
        .zip(specs)
        .map(|pair| pair.0.graph.then(|| can_run(pair)))
        .collect();
    let runnable: Vec<&WorkloadSpec> = requested.iter().flatten().flatten().collect();
    let traces = machine
        .trace_workloads(&runnable, ephemeral, progress)
        .await;
    let (runs, traceable) = match traces {
        Ok(traces) => (traces.runs, traces.traceable),
        Err(reason) => (vec![Err(reason); runnable.len()], String::new()),
    };
    let mut runs = runs.into_iter();
    let mut answer = |spec: WorkloadSpec| {
        let graph = runs
            .next()
            .unwrap_or_else(|| Err("it was not traced".into()))?;
        match spec.kind {
            WorkloadKind::Syscall { call, .. } => Ok(TracedGraph {
                number: call.number,
                args: call.known_args(),
                graph,
            }),
            WorkloadKind::Command(_) => Err("a tree is that of a system call".into()),
        }
    };
    let graphs = requested
        .into_iter()
        .map(|requested| requested.map(|spec| spec.and_then(&mut answer)))
        .collect();
    (graphs, traceable)
}

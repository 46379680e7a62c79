//! The calls of experiments that want their tree, under the tracer, while nothing is attached.

use qed_evidence::investigation::Experiment;

use super::attempt::guests_only_reason;
use super::boundary::SessionMachine;
use super::raw::TracedGraph;
use crate::reason::Reason;
use crate::workload::{WorkloadKind, WorkloadSpec};

/// The traced calls of a capture.
#[derive(Default)]
pub(super) struct Graphs {
    /// Per experiment its trace, or why there is none; `None`: none is wanted.
    pub(super) traces: Vec<Option<Result<TracedGraph, Reason>>>,
    /// Per experiment, the number of times that its workload ran under the tracer.
    pub(super) runs: Vec<u32>,
    /// The functions that the tracer sees.
    pub(super) traceable: String,
}

/// True if an experiment wants its tree.
pub(super) fn is_graph_wanted(experiments: &[Experiment]) -> bool {
    experiments.iter().any(|experiment| experiment.graph)
}

/// The answers where nothing can be traced, for this reason.
pub(super) fn untraced_graphs(experiments: &[Experiment], reason: &Reason) -> Graphs {
    let answer = |experiment: &Experiment| experiment.graph.then(|| Err(reason.clone()));
    Graphs {
        traces: experiments.iter().map(answer).collect(),
        runs: vec![0; experiments.len()],
        traceable: String::new(),
    }
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
        return untraced_graphs(experiments, &"no tree is wanted".into());
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
    let traces = match traces {
        Ok(traces) => traces,
        Err(reason) => return untraced_graphs(experiments, &reason),
    };
    let traceable = traces.traceable;
    let mut calls = traces.calls.into_iter();
    let mut answer = |spec: WorkloadSpec, runs: &mut u32| {
        let call = calls.next().ok_or("it was not traced")?;
        *runs = call.runs;
        let graph = call.graph?;
        match spec.kind {
            WorkloadKind::Syscall { call, .. } => Ok(TracedGraph {
                number: call.number,
                args: call.known_args(),
                graph,
            }),
            WorkloadKind::Command(_) => Err("a tree is that of a system call".into()),
        }
    };
    let mut runs = vec![0; experiments.len()];
    let traces = requested
        .into_iter()
        .zip(&mut runs)
        .map(|(requested, runs)| requested.map(|spec| spec.and_then(|spec| answer(spec, runs))))
        .collect();
    Graphs {
        traces,
        runs,
        traceable,
    }
}

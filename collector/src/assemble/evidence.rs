//! Construction of the evidence document from a raw capture and its context.

use std::collections::{BTreeMap, BTreeSet};

use qed_collector_ebpf::Event;
use qed_evidence::document::{
    Cost, Descendants, Evidence, Experiment, Graph, Quality, Run, SCHEMA_VERSION,
};
use qed_evidence::instances::Instances;
use qed_evidence::investigation::{Action, Experiment as RequestedExperiment};
use qed_evidence::validate::run_difference;

use super::context::Context;
use super::graph;
use super::observations::RawObservation;
use super::{correlate, facts, kaslr, kernel, name_tables, outcome};
use crate::probe::{OBJECT_SHA256, parse_event};
use crate::session::raw::{RawCapture, RawEvent, RawOutcome};

/// Make evidence of a capture.
pub fn assemble(raw: &RawCapture, context: &Context<'_>) -> Evidence {
    let name = &context.investigation.source.name;
    // All at once, because each pass over the debug info takes long; and before the stacks, which use the results.
    let copies = find_copies(raw, context);
    let never_return: BTreeSet<String> = copies
        .iter()
        .filter(|(_, copies)| copies.never_returns == Some(true))
        .map(|(name, _)| name.clone())
        .collect();
    let mut evidence = Evidence {
        schema: SCHEMA_VERSION,
        run: Run {
            id: raw.id.clone(),
            time: raw.time.clone(),
            investigation: name.rsplit('/').next().unwrap_or(name).to_owned(),
            investigation_digest: context.investigation.digest.clone(),
            collector: env!("CARGO_PKG_VERSION").into(),
            object_digest: OBJECT_SHA256.into(),
            marks_cuts: true,
        },
        machine: context.machine.clone(),
        kernel: kernel::assemble_kernel(&raw.facts, context, context.machine.ephemeral),
        kaslr: kaslr::assemble_kaslr(&raw.facts, context),
        boots: Vec::new(),
        commands: BTreeMap::new(),
        facts: facts::collect_facts(raw, context, &copies),
        instances: listed_instances(copies, raw, context),
        names: qed_evidence::names::Names::default(),
        experiments: raw
            .plan
            .iter()
            .enumerate()
            .filter_map(|(number, planned)| {
                let requested = context.investigation.experiment(&planned.name)?;
                let experiment =
                    assemble_experiment(raw, number, requested, context, &never_return);
                Some((planned.name.clone(), experiment))
            })
            .collect(),
    };
    add_graphs(&mut evidence, raw, context);
    evidence.names = name_tables::name_tables(&evidence, &raw.plan, context.names);
    evidence
}

/// Add the trees of calls.
fn add_graphs(evidence: &mut Evidence, raw: &RawCapture, context: &Context<'_>) {
    let kallsyms = raw.facts.kallsyms.as_deref().unwrap_or_default();
    let mut traceable = None;
    for (planned, traced) in raw.plan.iter().zip(&raw.graphs) {
        if let (Some(traced), Some(experiment)) =
            (traced, evidence.experiments.get_mut(&planned.name))
        {
            let seen = traceable.get_or_insert_with(|| {
                graph::traceable_symbols(&raw.traceable, kallsyms, &evidence.instances)
            });
            let graph = graph::assemble_graph(traced, context.names, seen.clone());
            let requested = context.investigation.experiment(&planned.name);
            experiment.graph = Some(graph_of_same_run(
                graph,
                experiment,
                requested,
                &evidence.instances,
            ));
        }
    }
}

/// The tree, or the reason why it is not that of the run which the probes watched.
fn graph_of_same_run(
    graph: Graph,
    watched: &Experiment,
    requested: Option<&RequestedExperiment>,
    instances: &BTreeMap<String, Instances>,
) -> Graph {
    let returns = watched.outcome.returned.value().is_some();
    if graph.unavailable.is_none() && graph.returned.is_none() && returns {
        let reason =
            "the call returned in the run that the probes watched, and did not under the tracer";
        return graph::unavailable_graph(reason.into(), false);
    }
    let difference =
        requested.and_then(|requested| run_difference(requested, watched, &graph, instances));
    match difference {
        Some(reason) => graph::unavailable_graph(reason, false),
        None => graph,
    }
}

/// The copies of each function that is probed, that claims about trees are to be about, that excuses an object, or that is named as a
/// fact.
fn find_copies(raw: &RawCapture, context: &Context<'_>) -> BTreeMap<String, Instances> {
    let facts = context.investigation.facts.functions.iter();
    let names: BTreeSet<&str> = requested_functions(raw)
        .into_iter()
        .chain(graph_functions(context))
        .chain(excuse_functions(context))
        .chain(facts.map(String::as_str))
        .collect();
    let names: Vec<&str> = names.into_iter().collect();
    context.names.instances(&names)
}

/// Those of them that evidence lists: of probed functions, of those that claims about trees are to be about, and of excuses, whose
/// absence from a stack has to be proved.
fn listed_instances(
    mut copies: BTreeMap<String, Instances>,
    raw: &RawCapture,
    context: &Context<'_>,
) -> BTreeMap<String, Instances> {
    let probes = || raw.plan.iter().flat_map(|experiment| &experiment.probes);
    let named: BTreeSet<&str> = graph_functions(context)
        .chain(excuse_functions(context))
        .collect();
    copies.retain(|name, _| {
        let probed = || probes().any(|probe| probe.target.function() == Some(name));
        named.contains(name.as_str()) || probed()
    });
    copies
}

fn graph_functions<'c>(context: &'c Context<'_>) -> impl Iterator<Item = &'c str> {
    let experiments = context.investigation.experiments.iter();
    experiments.flat_map(|experiment| experiment.graph_functions.iter().map(String::as_str))
}

fn excuse_functions<'c>(context: &'c Context<'_>) -> impl Iterator<Item = &'c str> {
    let experiments = context.investigation.experiments.iter();
    let excuses = experiments.flat_map(|experiment| &experiment.excuses);
    excuses.map(|excuse| excuse.within.as_str())
}

/// The events of an experiment by their times, and what is wrong with each record that is none.
// Boxed: an event has some kilobytes, and sorting would move it.
#[expect(clippy::vec_box)]
fn parse_events(records: &[RawEvent]) -> (Vec<Box<Event>>, Vec<String>) {
    let mut events = Vec::with_capacity(records.len());
    let mut damaged = Vec::new();
    for record in records {
        match parse_event(&record.0) {
            Ok(event) => events.push(event),
            Err(error) => damaged.push(error.to_string()),
        }
    }
    // The buffer is in the order of reservations. An interrupt can come between a reservation and the look at the
    // clock, and its event then has the earlier time.
    events.sort_by_key(|event| event.time_ns);
    (events, damaged)
}

/// True if the process ended in its call, or by a signal: functions that it had entered then do not return.
fn ends_inside_call(requested: &RequestedExperiment, outcome: &RawOutcome) -> bool {
    let is_call = matches!(requested.workload.action, Action::Syscall { .. });
    outcome.signal.is_some() || is_call && outcome.returned.is_none() && outcome.exit.is_some()
}

/// True if the process did not come back from a call that replaces its program. Then it went on as another one, until it ended.
fn is_replaced(requested: &RequestedExperiment, outcome: &RawOutcome) -> bool {
    let workload = &requested.workload;
    let last = match &workload.action {
        Action::Syscall { name, .. } => Some(name.as_str()),
        Action::Command(_) => None,
    };
    let mut calls = (workload.earlier_calls().map(|call| call.name.as_str())).chain(last);
    outcome.returned.is_none() && calls.any(|name| matches!(name, "execve" | "execveat"))
}

/// Make the evidence of experiment `number` of the plan.
fn assemble_experiment(
    raw: &RawCapture,
    number: usize,
    requested: &RequestedExperiment,
    context: &Context<'_>,
    never_return: &BTreeSet<String>,
) -> Experiment {
    let ran = &raw.experiments[number];
    let outcome = ran.outcome.as_ref();
    let (events, damaged) = parse_events(&ran.events);
    let assembled = correlate::assemble(&RawObservation {
        planned: &raw.plan[number],
        requested,
        events: &events,
        own: &ran.own,
        markers: raw.markers[number].as_ref(),
        marked: ran.notes.is_empty(),
        call: ran.call.as_ref(),
        arch: raw.facts.arch,
        tells_compat: raw.tells_compat,
        skipped: &ran.losses.skipped,
        armed: ran.unarmed.is_none(),
        not_run: outcome.err().map(|reason| &**reason),
        pid: outcome.map_or(0, |outcome| outcome.pid),
        ended_inside: outcome.is_ok_and(|outcome| ends_inside_call(requested, outcome)),
        replaced: outcome.is_ok_and(|outcome| is_replaced(requested, outcome)),
        refusals: &raw.refusals,
        listed: &raw.listed,
        max_frames: raw.facts.max_frames(),
        names: context.names,
        never_return,
    });
    let quality = Quality {
        events: assembled.accepted,
        lost: ran.losses.lost_events() + damaged.len() as u64 + assembled.lost,
        missed: assembled.missed,
        descendants: ran.descendants.map(|raw| Descendants {
            started: raw.started,
            followed: raw.followed,
            running: raw.running,
        }),
        threads_running: ran.threads_running.filter(|_| outcome.is_ok()),
        marked: outcome.is_ok().then_some(assembled.marked),
        until_user_space: assembled.until_user_space,
        compat_calls: (raw.tells_compat && outcome.is_ok()).then_some(ran.losses.compat_calls),
        attempts: outcome.is_ok().then_some(ran.earlier_runs + 1),
        notes: damaged
            .into_iter()
            .chain(assembled.notes)
            .chain(ran.notes.iter().cloned())
            .chain(ran.losses.notes())
            .chain(requested.excuses.iter().filter_map(|excuse| {
                let names = context.names;
                let absent = names.check_exists(&excuse.within).err();
                let doubt = absent.or_else(|| names.existence_doubt(&excuse.within))?;
                Some(excuse.doubt_text(&doubt))
            }))
            .chain((ran.unarmed.iter()).map(|why| {
                format!("it is not known what the probes of functions did not see, because {why}")
            }))
            .collect(),
    };
    let files = context.files.get(&raw.plan[number].name);
    Experiment {
        workload: requested.workload_text(),
        files: files.cloned().unwrap_or_default(),
        unavailable: outcome.err().map(ToString::to_string),
        call: ran
            .call
            .as_ref()
            .map(|call| outcome::disassemble_call_site(raw.facts.arch, call)),
        outcome: outcome::assemble_outcome(requested, &ran.outcome),
        quality,
        objects: assembled.ledger.map(|mut ledger| {
            ledger.waited_ns = ran.waited_ns;
            ledger
        }),
        cost: ran.cost.map(|(bare_ns, probed_ns, iterations)| Cost {
            bare_ns,
            probed_ns,
            iterations,
        }),
        graph: None,
        probes: assembled.probes,
    }
}

/// The functions that are probed, and those that have to be on the stacks of hits.
fn requested_functions(raw: &RawCapture) -> Vec<&str> {
    let probes = raw.plan.iter().flat_map(|experiment| &experiment.probes);
    let names = probes.flat_map(|probe| {
        let own = probe.target.function().into_iter();
        own.chain(probe.within.as_deref())
    });
    let names: BTreeSet<&str> = names.collect();
    names.into_iter().collect()
}

//! The grounds of silence: for a claim that passes because something did not happen, or not more often, what shows that it would
//! have been seen. The counterpart of the reasons beside it, for readers.

use std::collections::BTreeSet;

use super::bounds::{Demand, find_counts};
use super::ledger;
use super::lookup::{find_planned_probe, has_fired};
use super::short::undercount_reasons;
use crate::claim::ast::{Node, NodeKind, call_reads};
use crate::claim::builtins::Reads;
use crate::claim::graph::{GRAPH, find};
use crate::claim::read_result::ReadResult;
use crate::document::value::Value;
use crate::document::{Evidence, Experiment, Probe, Target};
use crate::investigation::{Experiment as PlannedExperiment, Probe as PlannedProbe};
use crate::path_index::resolve::{Catalog, Indexed};

/// The grounds of each silence and each count in an expression that is true, one sentence each.
pub(in crate::claim) fn grounds(
    root: &Node,
    catalog: &Catalog<'_>,
    machine: &Indexed<'_>,
) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    let mut add = |ground: Option<String>| {
        let new = ground.filter(|ground| !found.contains(ground));
        found.extend(new);
    };
    for name in silent_probes(root, machine) {
        add(probe_grounds(&name, catalog, machine));
    }
    root.walk(&mut |node| match &node.kind {
        NodeKind::Call(function, args) if matches!(function.reads, Reads::Ledger) => {
            let names = args.iter().filter_map(path_of);
            names.for_each(|name| add(ledger_grounds(name, catalog, machine)));
        }
        NodeKind::Call(function, args) if matches!(function.reads, Reads::AllRuns) => {
            let keys = call_reads(function, args);
            keys.iter().for_each(|key| add(tree_grounds(key, machine)));
        }
        NodeKind::Path(path) if path.as_str().contains(".objects.") => {
            add(ledger_grounds(path.as_str(), catalog, machine));
        }
        _ => {}
    });
    found
}

fn path_of(node: &Node) -> Option<&str> {
    match &node.kind {
        NodeKind::Path(path) => Some(path.as_str()),
        _ => None,
    }
}

/// The probes, `EXPERIMENT.PROBE`, of which an expression needs to know that they saw everything. A lower bound that was seen
/// needs no more than what was seen.
fn silent_probes(root: &Node, machine: &Indexed<'_>) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    root.walk(&mut |node| {
        if let NodeKind::Call(function, args) = &node.kind
            && matches!(function.reads, Reads::Absence)
        {
            let silent = |name: &&str| {
                find_probe(name, machine).is_none_or(|(_, probe)| probe.hits.is_empty())
            };
            let paths = args.iter().filter_map(path_of);
            names.extend(paths.filter(silent).map(str::to_owned));
        }
    });
    for (name, _, demand) in find_counts(root) {
        let hits = find_probe(&name, machine).map_or(0, |(_, probe)| probe.hits.len());
        match demand {
            Demand::AtLeast(least) if least <= hits as i128 => {}
            Demand::AtLeast(_) | Demand::Exact => {
                names.insert(name);
            }
        }
    }
    names
}

fn find_probe<'e>(name: &str, machine: &Indexed<'e>) -> Option<(&'e Experiment, &'e Probe)> {
    let (experiment, probe) = name.split_once('.')?;
    let experiment = machine.evidence.experiments.get(experiment)?;
    Some((experiment, experiment.probes.get(probe)?))
}

fn probe_grounds(name: &str, catalog: &Catalog<'_>, machine: &Indexed<'_>) -> Option<String> {
    let (experiment, plan) = find_planned_probe(name, catalog)?;
    let (seen, probe) = find_probe(name, machine)?;
    let mut parts = vec![describe_watched_places(probe, machine.evidence)];
    // A part of the claim that its verdict does not rest on may be unproved.
    if !undercount_reasons(experiment, plan, catalog, machine).is_empty() {
        return None;
    }
    if probe.skipped == Some(0) && seen.quality.lost == 0 {
        parts.push("no hit was lost or skipped".into());
    }
    if let Some(function) = &plan.within {
        parts.push(format!(
            "of each hit it is known whether it is within `{function}`"
        ));
    }
    parts.extend(describe_run_end(seen, plan));
    if probe.hits.is_empty() {
        let other = find_firing_experiment(experiment, plan, catalog, machine)?;
        parts.push(format!("it fired in `{other}`"));
    }
    Some(format!("`{name}`: {}", parts.join("; ")))
}

/// The places that a probe watched, in words.
fn describe_watched_places(probe: &Probe, evidence: &Evidence) -> String {
    let function = match &probe.target {
        Target::Tracepoint(name) => return format!("the tracepoint `{name}` was watched"),
        Target::Lsm(name) => return format!("the hook `{name}` was watched"),
        Target::Address(place) => return format!("`{place}` was watched"),
        Target::Function(function) => function,
    };
    let Some(instances) = evidence.instances.get(function) else {
        return format!("`{function}` was watched");
    };
    // A copy whose file is not known may be of the file that is meant.
    let of_file = |of: &Option<String>| match (&probe.file, of) {
        (Some(wanted), Some(file)) => wanted == file,
        _ => true,
    };
    let own = instances.copies.iter();
    let own = match own.filter(|copy| of_file(&copy.file)).count() {
        0 => format!("no copy of `{function}` has code of its own"),
        1 => format!("the one copy of `{function}` with code of its own was watched"),
        all => format!("all {all} copies of `{function}` with code of their own were watched"),
    };
    let watched = probe.places();
    let inlined = instances.inlined.iter().flatten();
    let (in_watched, in_silent): (Vec<_>, Vec<_>) = inlined
        .filter(|copy| of_file(&copy.file))
        .partition(|copy| copy.address.is_some_and(|at| watched.contains(&at)));
    let mut parts = vec![own];
    match (in_watched.len(), in_silent.len()) {
        (0, 0) => parts.push("none is inlined".into()),
        (own, others) => {
            if own > 0 {
                parts.push(format!("{own} inlined into code that was itself watched"));
            }
            if others > 0 {
                parts.push(format!("{others} inlined into functions that did not run"));
            }
        }
    }
    parts.join(", ")
}

/// The end of the run and of what it started.
fn describe_run_end(seen: &Experiment, plan: &PlannedProbe) -> Vec<String> {
    let mut parts = Vec::new();
    let outcome = &seen.outcome;
    match (outcome.exit.value(), outcome.signal.value()) {
        (Some(_), _) => parts.push("the workload ended by itself".into()),
        (
            None,
            Some(Value::Enum {
                name: Some(name), ..
            }),
        ) => {
            parts.push(format!("{name}, which a probe raised, ended the workload"));
        }
        (None, _) => {}
    }
    match seen.quality.descendants {
        _ if plan.any_task => {}
        Some(one) if one.started == 0 => parts.push("it started no other process".into()),
        Some(one) => parts.push(format!(
            "all {} processes that it started were watched to their end",
            one.started
        )),
        None => {}
    }
    parts
}

/// An experiment in which a probe of the same place fired.
fn find_firing_experiment<'c>(
    experiment: &str,
    plan: &PlannedProbe,
    catalog: &'c Catalog<'_>,
    machine: &Indexed<'_>,
) -> Option<String> {
    let others = catalog.investigation.experiments.iter();
    let mut others = others.filter(|other| other.name != experiment);
    others.find_map(|other: &'c PlannedExperiment| {
        let mut probes = other.probes.iter();
        let same = probes
            .find(|probe| probe.has_same_target(plan) && has_fired(machine, &other.name, probe))?;
        Some(format!("{}.{}", other.name, same.name))
    })
}

fn ledger_grounds(name: &str, catalog: &Catalog<'_>, machine: &Indexed<'_>) -> Option<String> {
    let name = name.split('.').next()?;
    let plan = catalog.investigation.experiment(name)?;
    machine.evidence.experiments.get(name)?.objects.as_ref()?;
    if !ledger::incomplete_ledger_reasons(name, catalog, machine).is_empty() {
        return None;
    }
    let named = |which: &dyn Fn(&PlannedProbe) -> bool| {
        let probes = plan.probes.iter().filter(|probe| which(probe));
        let names: Vec<String> = probes.map(|probe| format!("`{}`", probe.name)).collect();
        names.join(", ")
    };
    let allocates = named(&|probe| probe.allocates.is_some());
    let frees = named(&|probe| probe.frees.is_some());
    Some(format!(
        "objects of `{name}`: allocations were watched by {allocates}, frees by {frees}, both to the end, with no hit lost or skipped"
    ))
}

fn tree_grounds(key: &str, machine: &Indexed<'_>) -> Option<String> {
    let (experiment, rest) = key.split_once(GRAPH)?;
    let function = rest.split('#').next()?;
    let leaf = format!("{function}#all#runs");
    let ReadResult::Value(_) = find(experiment, &leaf, None, machine) else {
        return None;
    };
    let instances = machine.evidence.instances.get(function)?;
    let inlined = instances.inlined.as_ref()?.len();
    let inlined = match inlined {
        0 => "none is inlined".to_owned(),
        1 => "the function that holds an inlined one did not run".into(),
        count => format!("none of the functions that hold {count} inlined ones ran"),
    };
    Some(format!(
        "`{function}` in the tree of `{experiment}`: the tracer sees {} and lost no record; {inlined}",
        match instances.copies.len() {
            0 => "all code that holds it".to_owned(),
            1 => "its one copy with code of its own".to_owned(),
            all => format!("each of its {all} copies with code of their own"),
        }
    ))
}

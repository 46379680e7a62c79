//! Copies of a function that a probe did not watch: reasons why the function may have run more often than the probe counted.

use std::collections::BTreeSet;

use crate::document::value::Address;
use crate::document::{Evidence, Experiment, Probe};
use crate::investigation::{Experiment as PlannedExperiment, Position, Probe as PlannedProbe};

/// Addresses of functions that an experiment watched and in which nothing ran: whatever is inlined there did not run.
/// Only probes count that were to see every run. A probe with `frees` only has the hits that free an object of the experiment. If
/// `any_task`, there are none: a task may have been inside of a function since before the watch.
pub(crate) fn silent_addresses(
    experiment: &Experiment,
    planned: &PlannedExperiment,
    any_task: bool,
) -> BTreeSet<Address> {
    if any_task {
        return BTreeSet::new();
    }
    let mut watched: BTreeSet<Address> = BTreeSet::new();
    let mut ran: BTreeSet<Address> = BTreeSet::new();
    for (name, probe) in &experiment.probes {
        let requested = planned.probe(name);
        let whole = requested.is_some_and(|requested| {
            requested.target == probe.target
                && requested.position == Position::Entry
                && requested.within.is_none()
                && requested.frees.is_none()
        }) && probe.backend.is_some()
            && probe.unavailable.is_none()
            // A run whose hit the kernel skipped leaves no trace.
            && probe.skipped == Some(0)
            && probe.instruction.is_none()
            && probe.within.is_none();
        if whole {
            watched.extend(probe.places());
        }
        for hit in &probe.hits {
            match hit.copy(probe) {
                Some(address) => ran.extend([address]),
                // It may have been any of them.
                None => ran.extend(probe.places()),
            }
        }
    }
    watched.retain(|address| !ran.contains(address));
    watched
}

/// The reasons why the hits of a function's probe may be fewer than the function's runs.
pub(crate) fn unwatched_copy_reasons(
    evidence: &Evidence,
    (experiment, planned): (&Experiment, &PlannedExperiment),
    (probe, requested): (&Probe, &PlannedProbe),
    function: &str,
) -> Vec<String> {
    let Some(instances) = evidence.instances.get(function) else {
        return vec![format!(
            "this evidence does not say which copies of `{function}` the kernel has: capture again"
        )];
    };
    let mut seen = silent_addresses(experiment, planned, requested.any_task);
    seen.extend(probe.places());
    instances.gap_reasons(function, probe.file.as_deref(), &seen)
}

/// The probes of an experiment that watch a function which holds an inlined copy of the one that `probe` watches.
pub fn excluding_probes<'e>(
    evidence: &Evidence,
    experiment: &'e Experiment,
    probe: &Probe,
) -> Vec<&'e str> {
    let Some(function) = probe.target.function() else {
        return Vec::new();
    };
    let own = probe.places();
    let instances = evidence.instances.get(function);
    let inlined = instances.and_then(|instances| instances.inlined.as_deref());
    let holders: BTreeSet<Address> = inlined
        .unwrap_or_default()
        .iter()
        .filter_map(|copy| copy.address)
        .filter(|holder| !own.contains(holder))
        .collect();
    let watches = |other: &Probe| {
        other
            .places()
            .iter()
            .any(|address| holders.contains(address))
    };
    let others = experiment.probes.iter();
    others
        .filter(|(_, other)| watches(other))
        .map(|(name, _)| name.as_str())
        .collect()
}

//! The facts about probes on one machine that notes are made of: from its evidence, or from a plan for its kernel.

use std::collections::{BTreeMap, BTreeSet};

use crate::document::instances::Within;
use crate::document::{Context, Evidence, Experiment, Probe, Reads, UnwatchedCause};
use crate::investigation::Investigation;
use crate::value::{Datum, Value};

/// The experiments on one machine, by name.
pub type SeenExperiments = BTreeMap<String, SeenExperiment>;

/// An experiment on one machine.
#[derive(Clone, Debug, Default)]
pub struct SeenExperiment {
    /// True if it ran, or would run; otherwise it says nothing about its probes.
    pub ran: bool,
    /// The signal that ended the workload, in words.
    pub signal: Option<String>,
    /// Its probes, by name.
    pub probes: BTreeMap<String, SeenProbe>,
    /// The reasons why excuses may never hold, by their functions.
    pub excuses: BTreeMap<String, String>,
}

/// A probe on one machine.
#[derive(Clone, Debug, Default)]
pub struct SeenProbe {
    /// The reason why it cannot be attached, and what that is about.
    pub unavailable: Option<(UnwatchedCause, String)>,
    /// The reason why its `within` may hold at no hit.
    pub doubt: Option<String>,
    /// The reasons why reads are refused.
    pub refused: Reads,
    /// The names of its function's arguments.
    pub arguments: BTreeSet<String>,
    /// The reasons why arguments have a value at no hit, by name.
    pub unreadable: BTreeMap<String, String>,
    /// What could name the numbers of arguments, by their names, where the author did not say so. Only a plan knows.
    pub nameable: BTreeMap<String, String>,
    /// The number of its hits.
    pub hits: usize,
    /// Those of them that an interrupt caused on top of the task.
    pub interrupts: usize,
    /// The types of reads that give addresses.
    pub addresses: Reads,
}

/// The experiments of a machine's evidence.
pub(super) fn collect_seen_experiments(
    investigation: &Investigation,
    evidence: &Evidence,
) -> SeenExperiments {
    let experiments = evidence.experiments.iter();
    experiments
        .map(|(name, experiment)| {
            let mut seen = summarize_experiment(experiment);
            let planned = investigation.experiment(name);
            for excuse in planned.iter().flat_map(|planned| &planned.excuses) {
                let mut notes = experiment.quality.notes.iter();
                if let Some(doubt) = notes.find_map(|note| excuse.doubt_in(note)) {
                    seen.excuses.insert(excuse.within.clone(), doubt.to_owned());
                }
            }
            (name.clone(), seen)
        })
        .collect()
}

fn summarize_experiment(experiment: &Experiment) -> SeenExperiment {
    let probes = experiment.probes.iter();
    SeenExperiment {
        excuses: BTreeMap::new(),
        // One that did not run for want of a probe has its reasons at the probes.
        ran: experiment.unavailable.is_none()
            || experiment
                .probes
                .values()
                .any(|probe| probe.unavailable.is_some()),
        signal: experiment.outcome.signal.value().map(ToString::to_string),
        probes: probes
            .map(|(name, probe)| (name.clone(), summarize_probe(probe)))
            .collect(),
    }
}

fn summarize_probe(probe: &Probe) -> SeenProbe {
    let parameters = probe.parameters.iter();
    let mut found = SeenProbe {
        unavailable: probe
            .unavailable
            .as_ref()
            .map(|reason| (UnwatchedCause::from_reason(reason), reason.clone())),
        doubt: (probe.within.as_ref())
            .filter(|_| probe.hits.is_empty())
            .and_then(Within::undecided_reason),
        refused: probe.refused_reads.clone(),
        // One that the investigation names and the function does not have has no type.
        arguments: parameters
            .filter(|parameter| !parameter.type_name.is_empty())
            .map(|parameter| parameter.name.clone())
            .collect(),
        hits: probe.hits.len(),
        ..SeenProbe::default()
    };
    let has_value = |name: &String| {
        let mut values = probe.hits.iter().filter_map(|hit| hit.args.get(name));
        values.any(|datum| datum.value().is_some())
    };
    for hit in &probe.hits {
        found.interrupts += usize::from(matches!(
            hit.context,
            Some(Context::Hardirq | Context::Softirq)
        ));
        for (name, datum) in &hit.args {
            if let Datum::Missing(missing) = datum
                && !found.unreadable.contains_key(name)
                && !has_value(name)
            {
                found.unreadable.insert(name.clone(), missing.to_string());
            }
            if datum.value().is_some() && !found.arguments.contains(name) {
                found.arguments.insert(name.clone());
            }
        }
        let sides = [
            (&hit.entry, &mut found.addresses.entry),
            (&hit.exit, &mut found.addresses.exit),
        ];
        for (values, types) in sides {
            for (name, datum) in values {
                if let Datum::Value(Value::Address {
                    type_name: Some(type_name),
                    ..
                }) = datum
                    && !types.contains_key(name)
                {
                    types.insert(name.clone(), type_name.clone());
                }
            }
        }
    }
    found
}

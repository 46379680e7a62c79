//! The document, from a raw capture and its context.

use std::collections::{BTreeMap, BTreeSet};

use qed_evidence::document::{
    Descendants, Evidence, Experiment, Quality, Run, SCHEMA_VERSION, Target,
};

use super::context::Context;
use super::{correlate, kaslr, kernel, name_tables, outcome};
use crate::probe::{OBJECT_SHA256, parse_event};
use crate::session::raw::RawCapture;

/// Makes evidence of a capture.
pub fn assemble(raw: &RawCapture, context: &Context<'_>) -> Evidence {
    let ephemeral = context.machine.ephemeral;
    // All at once: each look through the debug info takes its time.
    let mut instances = context.names.instances(&asked_for(raw));
    let probed = |name: &String| {
        let target = Target::Function(name.clone());
        raw.plan
            .iter()
            .flat_map(|e| &e.probes)
            .any(|probe| probe.target == target)
    };
    instances.retain(|name, _| probed(name));
    let mut experiments = BTreeMap::new();
    for (number, planned) in raw.plan.iter().enumerate() {
        let Some(asked) = context.investigation.experiment(&planned.name) else {
            continue;
        };
        let raw_experiment = &raw.experiments[number];
        let mut events = Vec::with_capacity(raw_experiment.events.len());
        let mut notes = Vec::new();
        let mut damaged = 0;
        for record in &raw_experiment.events {
            match parse_event(&record.0) {
                Ok(event) => events.push(event),
                Err(error) => {
                    damaged += 1;
                    notes.push(error.to_string());
                }
            }
        }
        // The buffer is in the order of reservations. An interrupt can come between a reservation and the look at the
        // clock, and its event then has the earlier time.
        events.sort_by_key(|event| event.time_ns);
        let seen = correlate::Seen {
            planned,
            asked,
            events: &events,
            markers: raw.markers[number],
            marked: raw_experiment.notes.is_empty(),
            call: raw_experiment.call.as_ref(),
            skipped: &raw_experiment.losses.skipped,
            not_run: raw_experiment.outcome.as_ref().err().map(String::as_str),
            pid: raw_experiment
                .outcome
                .as_ref()
                .map_or(0, |outcome| outcome.pid),
            killed: raw_experiment
                .outcome
                .as_ref()
                .is_ok_and(|outcome| outcome.signal.is_some()),
            refusals: &raw.refusals,
            listed: &raw.listed,
            max_frames: raw.facts.max_frames(),
            names: context.names,
        };
        let assembled = correlate::assemble(&seen);
        notes.extend(assembled.notes);
        notes.extend(raw_experiment.notes.iter().cloned());
        notes.extend(raw_experiment.losses.notes());
        let quality = Quality {
            events: assembled.accepted,
            lost: raw_experiment.losses.lost() + damaged + assembled.lost,
            missed: assembled.missed,
            descendants: raw_experiment.descendants.map(|raw| Descendants {
                started: raw.started,
                followed: raw.followed,
                running: raw.running,
            }),
            marked: raw_experiment.outcome.is_ok().then_some(assembled.marked),
            compat_calls: (raw.tells_compat && raw_experiment.outcome.is_ok())
                .then_some(raw_experiment.losses.compat_calls),
            notes,
        };
        let experiment = Experiment {
            workload: asked.workload_text(),
            files: context
                .files
                .get(&planned.name)
                .cloned()
                .unwrap_or_default(),
            unavailable: raw_experiment.outcome.as_ref().err().cloned(),
            call: raw_experiment.call.as_ref().map(outcome::call),
            outcome: outcome::outcome(asked, &raw_experiment.outcome),
            quality,
            objects: assembled.ledger.map(|mut ledger| {
                ledger.waited_ns = raw_experiment.waited_ns;
                ledger
            }),
            cost: raw_experiment.cost.map(|(bare_ns, probed_ns, iterations)| {
                qed_evidence::document::Cost {
                    bare_ns,
                    probed_ns,
                    iterations,
                }
            }),
            probes: assembled.probes,
        };
        experiments.insert(planned.name.clone(), experiment);
    }
    let name = &context.investigation.source.name;
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
        kernel: kernel::kernel(&raw.facts, context, ephemeral),
        kaslr: kaslr::kaslr(&raw.facts, context),
        boots: Vec::new(),
        commands: BTreeMap::new(),
        instances,
        names: qed_evidence::names::Names::default(),
        experiments,
    };
    evidence.names = name_tables::names(&evidence, &raw.plan, context.names);
    evidence
}

/// The functions that are probed, and those that have to be on the stacks of hits.
fn asked_for(raw: &RawCapture) -> Vec<&str> {
    let probes = raw.plan.iter().flat_map(|experiment| &experiment.probes);
    let names = probes.flat_map(|probe| {
        let own = match &probe.target {
            Target::Function(name) => Some(name.as_str()),
            Target::Tracepoint(_) | Target::Lsm(_) | Target::Address(_) => None,
        };
        own.into_iter().chain(probe.within.as_deref())
    });
    let names: BTreeSet<&str> = names.collect();
    names.into_iter().collect()
}

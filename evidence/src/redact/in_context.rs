//! Rules of redaction that depend on other fields.

use crate::document::value::{Datum, Value};
use crate::document::{Allocation, Evidence, Experiment, Hit, Kaslr, Probe, Reading};

use crate::secrets::is_secret_member;

use super::keep::keep_if;
use super::kind::{check_kind, check_whole_address, is_listed};
use super::phrase::PublicTexts;
use super::reason::WithholdReason;
use super::tasks::{self, first_pid};

/// Applies the rules `InContext` and `Declared` of the tables.
pub(super) fn redact_in_context(evidence: &mut Evidence, known: &PublicTexts<'_>) {
    redact_readings(&mut evidence.kaslr, &evidence.kernel.release, known);
    for experiment in evidence.experiments.values_mut() {
        self::redact_experiment(experiment, known);
    }
}

/// Lines of files: only those that say nothing of where this kernel is.
fn redact_readings(kaslr: &mut Kaslr, release: &str, known: &PublicTexts<'_>) {
    for Reading {
        by: _,
        file,
        key,
        line,
        text,
    } in &mut kaslr.readings
    {
        if !file.starts_with("/proc/") && !file.starts_with("/boot/") {
            // Of a file on the building machine only its name.
            *file = file.rsplit('/').next().unwrap_or_default().to_owned();
        }
        keep_if(text, known, |value| match value {
            Value::Text { value } if value == release || is_listed(value, key) => Ok(()),
            _ => Err(WithholdReason::Slide),
        });
        // Where `/proc/iomem` has the kernel's code depends on how much memory is below it.
        line.take_if(|_| text.value().is_none());
    }
}

fn redact_experiment(experiment: &mut Experiment, known: &PublicTexts<'_>) {
    let own = first_pid(experiment);
    let workload = &experiment.workload;
    for probe in experiment.probes.values_mut() {
        let unpublished = unpublished_reads(probe);
        for hit in &mut probe.hits {
            redact_hit_values(hit, (&probe.public, &unpublished), known);
            let task = &mut hit.task;
            task.name =
                tasks::hitting_task_name(&task.name, Some(task.pid) == own, workload, known);
        }
    }
    let probes = &experiment.probes;
    for allocation in experiment
        .objects
        .iter_mut()
        .flat_map(|ledger| &mut ledger.allocations)
    {
        let hit = probes.get(&allocation.probe).and_then(|probe| {
            probe
                .hits
                .iter()
                .find(|h| [h.order, h.return_order].contains(&Some(allocation.order)))
        });
        redact_allocation(allocation, hit);
        if let Some(freed) = &mut allocation.freed {
            freed.task = tasks::freeing_task_name(&freed.task, freed.same_task, workload, known);
        }
    }
}

/// The reads of a probe that nothing publishes, as `entry.READ` and `exit.READ`: what may be a part of an address, and secrets
/// by the members that they take.
fn unpublished_reads(probe: &Probe) -> Vec<String> {
    let sides = [
        ("entry", &probe.members.entry),
        ("exit", &probe.members.exit),
    ];
    let members = sides.into_iter().flat_map(|(side, members)| {
        members
            .iter()
            .map(move |(name, member)| (side, name, member))
    });
    let secret = members.filter(|(_, _, member)| is_secret_member(&member.structure, &member.name));
    secret
        .map(|(side, name, _)| format!("{side}.{name}"))
        .chain(probe.retyped.iter().cloned())
        .collect()
}

/// Keep what a hit brought back: by its kind, or because the investigation declares it public, and what may be a part of an
/// address, or is a secret, for neither.
fn redact_hit_values(
    hit: &mut Hit,
    (public, retyped): (&[String], &[String]),
    known: &PublicTexts<'_>,
) {
    let is_in = |list: &[String], group: &str, name: &str| {
        let mut names = list.iter().filter_map(|path| path.strip_prefix(group));
        // Of a structure that is read whole the read is declared, and with it all that it brings back.
        let read = name.split('.').next();
        names.any(|rest| rest.strip_prefix('.') == read)
    };
    for (group, data) in [
        ("args", &mut hit.args),
        ("entry", &mut hit.entry),
        ("exit", &mut hit.exit),
    ] {
        for (name, datum) in data {
            let declared = is_in(public, group, name);
            let retyped = is_in(retyped, group, name);
            keep_if(datum, known, |value| match retyped {
                true => check_whole_address(value),
                false => check_kind(value, declared, known),
            });
        }
    }
    if let Some(datum) = &mut hit.return_value {
        let declared = public.iter().any(|path| path == "return");
        keep_if(datum, known, |value| check_kind(value, declared, known));
    }
}

/// The ledger repeats what hits say. What a hit does not tell any more, it does not tell either.
fn redact_allocation(allocation: &mut Allocation, hit: Option<&Hit>) {
    let told = |holds: &dyn Fn(&Value) -> bool| {
        hit.into_iter()
            .flat_map(|hit| {
                hit.args
                    .values()
                    .chain(hit.entry.values())
                    .chain(hit.exit.values())
            })
            .filter_map(Datum::value)
            .any(holds)
    };
    let cache = &mut allocation.cache;
    cache.take_if(|text| !told(&|value| matches!(value, Value::Text { value } if value == text)));
    let size = &mut allocation.size;
    size.take_if(|bytes| !told(&|value| value.as_integer() == Some(i128::from(*bytes))));
}

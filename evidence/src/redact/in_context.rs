//! Rules of redaction that need other fields.

use crate::document::value::{Datum, Value};
use crate::document::{Allocation, Evidence, Experiment, Hit, Kaslr, Reading};

use super::keep::keep_if;
use super::kind::{by_kind, is_listed};
use super::phrase::PublicTexts;
use super::reason::WithholdReason;
use super::tasks::{self, first_pid};

/// Applies the rules `InContext` and `Declared` of the tables.
pub(super) fn in_context(evidence: &mut Evidence, known: &PublicTexts<'_>) {
    readings(&mut evidence.kaslr, &evidence.kernel.release, known);
    for experiment in evidence.experiments.values_mut() {
        self::experiment(experiment, known);
    }
}

/// Lines of files: only those that say nothing of where this kernel is.
fn readings(kaslr: &mut Kaslr, release: &str, known: &PublicTexts<'_>) {
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

fn experiment(experiment: &mut Experiment, known: &PublicTexts<'_>) {
    let own = first_pid(experiment);
    let workload = &experiment.workload;
    for probe in experiment.probes.values_mut() {
        for hit in &mut probe.hits {
            declared(hit, &probe.public, known);
            let task = &mut hit.task;
            task.name = tasks::hitting(&task.name, Some(task.pid) == own, workload, known);
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
        told_by_hit(allocation, hit);
        if let Some(freed) = &mut allocation.freed {
            freed.task = tasks::freeing(&freed.task, freed.same_task, workload, known);
        }
    }
}

/// Keep what a hit brought back: by its kind, or because the investigation declares it public.
fn declared(hit: &mut Hit, public: &[String], known: &PublicTexts<'_>) {
    let is_declared = |group: &str, name: &str| {
        let mut names = public.iter().filter_map(|path| path.strip_prefix(group));
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
            let declared = is_declared(group, name);
            keep_if(datum, known, |value| by_kind(value, declared, known));
        }
    }
    if let Some(datum) = &mut hit.return_value {
        let declared = public.iter().any(|path| path == "return");
        keep_if(datum, known, |value| by_kind(value, declared, known));
    }
}

/// The ledger repeats what hits say. What a hit does not tell any more, it does not tell either.
fn told_by_hit(allocation: &mut Allocation, hit: Option<&Hit>) {
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

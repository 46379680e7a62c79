//! Checks of the ledger of objects: each row has its event, and agrees with what the probe saw there.

use super::finding::Finding;
use crate::document::{Experiment, Hit, Ledger};

/// Check that a probe saw what the ledger says.
pub(super) fn check_ledger(at: &str, experiment: &Experiment, ledger: &Ledger) -> Option<Finding> {
    let saw = |name: &str, order: u64| {
        let probe = experiment.probes.get(name)?;
        probe.backend?;
        let mut hits = probe.hits.iter();
        hits.find(|hit| hit.order == Some(order) || hit.return_order == Some(order))
    };
    // Descendants of the workload are of it, too.
    let followed = experiment.quality.descendants.map_or(0, |one| one.followed);
    let (alone, mut own) = (followed == 0, None);
    ledger
        .allocations
        .iter()
        .enumerate()
        .find_map(|(index, allocation)| {
            let at = format!("{at}/objects/allocations/{index}");
            let Some(hit) = saw(&allocation.probe, allocation.order) else {
                let reason = format!(
                    "`{}` has no event {} in the order of events, which would be this allocation",
                    allocation.probe, allocation.order
                );
                return Some((at, reason));
            };
            if let Some(time) = event_time(hit, allocation.order)
                && time != allocation.time_ns
            {
                let reason = format!(
                    "event {} came after {time} ns, not {}",
                    allocation.order, allocation.time_ns
                );
                return Some((format!("{at}/time_ns"), reason));
            }
            let freed = allocation.freed.as_ref()?;
            if freed.order <= allocation.order || freed.time_ns < allocation.time_ns {
                let reason = "the object is freed before it is allocated".into();
                return Some((format!("{at}/freed"), reason));
            }
            let Some(hit) = saw(&freed.probe, freed.order) else {
                let reason = format!(
                    "`{}` has no hit {} in the order of events, which would be this free",
                    freed.probe, freed.order
                );
                return Some((format!("{at}/freed"), reason));
            };
            if let Some(time) = event_time(hit, freed.order)
                && time != freed.time_ns
            {
                let reason = format!(
                    "event {} came after {time} ns, not {}",
                    freed.order, freed.time_ns
                );
                return Some((format!("{at}/freed/time_ns"), reason));
            }
            if freed.same_task && alone {
                let process = *own.get_or_insert(hit.task.pid);
                if process != hit.task.pid {
                    let reason = format!(
                        "the workload's own task freed it, and that is process {process}, not {}",
                        hit.task.pid
                    );
                    return Some((format!("{at}/freed/same_task"), reason));
                }
            }
            None
        })
        .or_else(|| check_freed_once(at, ledger))
        .or_else(|| check_tasks(at, ledger, own, &saw))
}

/// When an event of a hit came.
fn event_time(hit: &Hit, order: u64) -> Option<u64> {
    match hit.order == Some(order) {
        true => hit.time_ns,
        false => hit.return_time_ns,
    }
}

/// One event frees one object.
fn check_freed_once(at: &str, ledger: &Ledger) -> Option<Finding> {
    let mut taken = std::collections::BTreeSet::new();
    let mut rows = ledger.allocations.iter().enumerate();
    rows.find_map(|(index, allocation)| {
        let freed = allocation.freed.as_ref()?;
        (!taken.insert(freed.order)).then(|| {
            let reason = format!("event {} frees another object already", freed.order);
            (format!("{at}/objects/allocations/{index}/freed"), reason)
        })
    })
}

/// Check that the workload's own task did not free what another one did.
fn check_tasks<'a>(
    at: &str,
    ledger: &Ledger,
    own: Option<i32>,
    saw: &impl Fn(&str, u64) -> Option<&'a Hit>,
) -> Option<Finding> {
    let own = own?;
    let mut rows = ledger.allocations.iter().enumerate();
    rows.find_map(|(index, allocation)| {
        let freed = allocation.freed.as_ref().filter(|freed| !freed.same_task)?;
        (saw(&freed.probe, freed.order)?.task.pid == own).then(|| {
            let reason = format!("another task freed it, and that is the workload's process {own}");
            (
                format!("{at}/objects/allocations/{index}/freed/same_task"),
                reason,
            )
        })
    })
}

//! A probe by its name: as it is planned, and whether it fired.

use crate::document::Probe;
use crate::investigation::Probe as PlannedProbe;
use crate::path_index::resolve::{Catalog, Indexed};

/// The probe that `EXPERIMENT.PROBE` names, with its experiment.
pub(super) fn find_planned_probe<'a, 'n>(
    name: &'n str,
    catalog: &Catalog<'a>,
) -> Option<(&'n str, &'a PlannedProbe)> {
    let (experiment, probe) = name.split_once('.')?;
    let planned = catalog.investigation.experiment(experiment)?.probe(probe)?;
    Some((experiment, planned))
}

/// True if the probe as it is planned fired in this experiment.
pub(super) fn has_fired(machine: &Indexed<'_>, experiment: &str, plan: &PlannedProbe) -> bool {
    let Some(experiment) = machine.evidence.experiments.get(experiment) else {
        return false;
    };
    let fired = |probe: &Probe| {
        probe.unavailable.is_none() && !probe.hits.is_empty() && probe.target == plan.target
    };
    experiment.broken_reason().is_none()
        && experiment.unavailable.is_none()
        && experiment.probes.get(&plan.name).is_some_and(fired)
}

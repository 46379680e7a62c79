//! Reasons in the target of a probe: copies of its function that ran unwatched, and hits that may belong to other functions.

use crate::document::{Probe, Target};
use crate::investigation::Probe as PlannedProbe;
use crate::observation::copies::unwatched_copy_reasons;
use crate::path_index::resolve::{Catalog, Indexed};

/// The reason why a count of the hits of one probe may be short.
pub(super) fn reasons(
    experiment: &str,
    planned: &PlannedProbe,
    catalog: &Catalog<'_>,
    machine: &Indexed<'_>,
) -> Vec<String> {
    let requested = catalog.investigation.experiment(experiment);
    let (Some((seen, probe)), Some(requested)) =
        (find_seen_probe(experiment, planned, machine), requested)
    else {
        return Vec::new(); // Its leaves are missing, which says so.
    };
    let mut reasons = match (probe.target.function(), &probe.target) {
        (Some(function), _) => unwatched_copy_reasons(
            machine.evidence,
            (seen, requested),
            (probe, planned),
            function,
        ),
        (None, Target::Address(place)) => vec![format!(
            "which function stands at `{place}` is not known, nor which other copies of it ran: name it, as `live:NAME`"
        )],
        (None, _) => Vec::new(),
    };
    reasons.extend(undecided_hits_reason(planned, probe));
    reasons
}

/// The reason why a count of the hits of one probe may be too high: a piece that the compiler split off counts for
/// itself, and so does the copy that went on in it.
pub(super) fn double_count_reason(
    experiment: &str,
    planned: &PlannedProbe,
    machine: &Indexed<'_>,
) -> Option<String> {
    let (_, probe) = find_seen_probe(experiment, planned, machine)?;
    let Target::Function(function) = &probe.target else {
        return None;
    };
    if probe.watched.len() < 2 || probe.hits.len() < 2 {
        return None;
    }
    let copies = &machine.evidence.instances.get(function)?.copies;
    let part = copies.iter().find(|copy| {
        let suffix = copy.symbol.strip_prefix(function.as_str());
        let split_off = suffix.is_some_and(|suffix| suffix.contains(SPLIT_OFF));
        split_off
            && probe
                .hits
                .iter()
                .any(|hit| hit.copy(probe).is_none_or(|at| at == copy.address))
    })?;
    Some(format!(
        "`{}` is a piece of `{function}`, in which its other copies go on: one run can count twice",
        part.symbol
    ))
}

/// GCC's mark of a piece that it split off a function, which the whole function calls
/// (<https://gcc.gnu.org/onlinedocs/gcc/Optimize-Options.html#index-fpartial-inlining>).
const SPLIT_OFF: &str = ".part.";

/// The probe in the evidence, if it is the one that is planned.
pub(super) fn find_seen_probe<'e>(
    experiment: &str,
    planned: &PlannedProbe,
    machine: &Indexed<'e>,
) -> Option<(&'e crate::document::Experiment, &'e Probe)> {
    let experiment = machine.evidence.experiments.get(experiment)?;
    Some((experiment, experiment.probes.get(&planned.name)?))
}

/// The reason why a hit that was left out may have come before the hit of this number, or be another one beside the
/// only one.
pub(super) fn left_out_hit_reason(
    planned: &PlannedProbe,
    probe: &Probe,
    number: Option<u64>,
) -> Option<String> {
    let reason = undecided_hits_reason(planned, probe)?;
    let settled = probe.within.as_ref().and_then(|within| within.settled);
    let known = number.zip(settled);
    known
        .is_none_or(|(number, settled)| number > settled)
        .then_some(reason)
}

/// The reason why hits may be missing whose stacks do not say whether they count.
fn undecided_hits_reason(planned: &PlannedProbe, probe: &Probe) -> Option<String> {
    let function = planned.within.as_ref()?;
    let known = probe.within.as_ref();
    let Some(within) = known.filter(|within| within.function == *function) else {
        return Some(format!(
            "this evidence does not say of which hits it is known whether they are within `{function}`: capture again"
        ));
    };
    within.undecided_reason()
}

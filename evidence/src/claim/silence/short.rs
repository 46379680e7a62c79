//! Reasons why the hits of one probe may be fewer than there were.

use super::{experiment, hooks, instances};
use crate::investigation::Probe as PlannedProbe;
use crate::path_index::resolve::{Catalog, Indexed};

/// The reasons why the hits of one probe may be fewer than there were: what was not watched, and what may have gone on
/// unseen.
pub(super) fn undercount_reasons(
    experiment: &str,
    planned: &PlannedProbe,
    catalog: &Catalog<'_>,
    machine: &Indexed<'_>,
) -> Vec<String> {
    let mut reasons = experiment::reasons(experiment, planned, catalog, machine);
    reasons.extend(experiment::foreign_hit_reasons(
        experiment, planned, machine,
    ));
    reasons.extend(instances::reasons(experiment, planned, catalog, machine));
    reasons.extend(hooks::reasons(experiment, planned, catalog, machine));
    if planned.frees.is_some() {
        reasons.push(format!(
            "a probe with `frees` only has the hits that free an object which the experiment allocated, so those of `{}` say nothing \
             of other calls: add a probe of the same place without `frees`",
            planned.name
        ));
    }
    reasons
}

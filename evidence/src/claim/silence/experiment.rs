//! Reasons that hold of a whole experiment: what may have gone on in it that none of its probes could see.

use crate::resolve::Indexed;

/// Why any count in `experiment` may be short, whichever of its probes counts.
pub(super) fn reasons(_experiment: &str, _machine: &Indexed<'_>) -> Vec<String> {
    Vec::new()
}

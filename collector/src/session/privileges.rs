//! Dropping of privileges that are no longer needed, once everything is attached.

use caps::{CapSet, Capability};

/// The privilege that is still needed: writing evidence into somebody else's folder (`sudo` in a checkout).
const KEPT: Capability = Capability::CAP_DAC_OVERRIDE;

/// The first kernel in which the descriptor of a map is all that is needed to use it, whatever
/// `kernel.unprivileged_bpf_disabled` says: the change "bpf: refine kernel.unprivileged_bpf_disabled behaviour" of
/// Linux 5.19.
const SINCE: (u32, u32) = (5, 19);

/// Capabilities that were not given up.
#[derive(Debug, thiserror::Error)]
pub enum PrivilegesError {
    /// Old kernels want them until the end.
    #[error("Linux {release} requires CAP_BPF to read a BPF map")]
    StillNeeded {
        /// `uname -r`.
        release: String,
    },
    /// The system refused.
    #[error(transparent)]
    Refused(#[from] caps::errors::CapsError),
}

/// Give up all capabilities of this process but one, for good. A workload gets back what its user has when
/// it is executed.
///
/// # Errors
/// The reason why they are kept.
pub fn drop_all(release: &str) -> Result<(), PrivilegesError> {
    if !is_release_at_least(release, SINCE) {
        return Err(PrivilegesError::StillNeeded {
            release: release.to_owned(),
        });
    }
    for set in [CapSet::Effective, CapSet::Permitted] {
        let held = caps::read(None, set)?;
        let retained = held
            .into_iter()
            .filter(|capability| *capability == KEPT)
            .collect();
        caps::set(None, set, &retained)?;
    }
    Ok(())
}

/// True if `release` (`6.1.0-56-cloud-amd64`) is at least `wanted`.
fn is_release_at_least(release: &str, wanted: (u32, u32)) -> bool {
    let mut numbers = release
        .split(|c: char| !c.is_ascii_digit())
        .map_while(|n| n.parse().ok());
    match (numbers.next(), numbers.next()) {
        (Some(major), Some(minor)) => (major, minor) >= wanted,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Check that releases are compared as numbers, and that one that is not understood counts as old.
    #[test]
    fn releases() {
        assert!(is_release_at_least("6.1.0-56-cloud-amd64", SINCE));
        assert!(is_release_at_least("5.19", SINCE));
        assert!(!is_release_at_least("5.9.1", SINCE));
        assert!(!is_release_at_least("six", SINCE));
    }
}

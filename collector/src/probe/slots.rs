//! Assignment of program slots, and of the keys under which programs find their specs, for a setup. Pure.

use qed_collector_ebpf::{
    LSM_SLOTS, MAX_ARGS, MAX_EXPERIMENTS, MAX_PROBES, ProbeSpec, TRACEPOINT_SLOTS, act, attachment,
};

use super::attach_target::AttachTarget;
use super::setup::{LoadError, Setup};

/// Number of programs of an attachment to a tracepoint.
pub(super) fn copy_count(copies: u32) -> usize {
    copies.max(1) as usize
}

/// The first program slot of each tracepoint and LSM hook; `None` where it needs none, or none is left.
pub(super) fn assign_slots(attaches: &[AttachTarget]) -> Vec<Option<usize>> {
    let (mut tracepoints, mut hooks) = (0, 0);
    let take = |next: &mut usize, count: usize, limit: usize| {
        let first = *next;
        (first + count <= limit).then(|| {
            *next += count;
            first
        })
    };
    attaches
        .iter()
        .map(|attach| match attach {
            AttachTarget::Kprobe { .. } => None,
            AttachTarget::Tracepoint { copies, .. } => {
                take(&mut tracepoints, copy_count(*copies), TRACEPOINT_SLOTS)
            }
            AttachTarget::Lsm { .. } => take(&mut hooks, 1, LSM_SLOTS),
        })
        .collect()
}

/// The keys under which the programs of an attachment look for their spec.
pub(super) fn spec_keys(attach: &AttachTarget, slot: Option<usize>) -> Vec<(u64, u32)> {
    match (attach, slot) {
        (
            AttachTarget::Kprobe {
                address, offset, ..
            },
            _,
        ) => vec![(address.wrapping_add(*offset), attachment::KPROBE)],
        (AttachTarget::Tracepoint { copies, .. }, Some(first)) => (first
            ..first + copy_count(*copies))
            .map(|slot| (slot as u64, attachment::TRACEPOINT))
            .collect(),
        (AttachTarget::Lsm { .. }, Some(slot)) => vec![(slot as u64, attachment::LSM)],
        (_, None) => Vec::new(),
    }
}

/// Add to a spec what its attachment knows.
pub(super) fn complete_spec(mut spec: ProbeSpec, attach: &AttachTarget) -> ProbeSpec {
    match attach {
        AttachTarget::Kprobe {
            entry: true,
            return_probe: true,
            ..
        } => spec.acts |= act::RETURNS,
        AttachTarget::Tracepoint { arguments, .. } => {
            spec.arg_count = (*arguments).min(MAX_ARGS as u32)
        }
        _ => {}
    }
    spec
}

/// Refuse a setup that contradicts itself or the limits.
pub(super) fn check_setup(setup: &Setup) -> Result<(), LoadError> {
    let fail = |message: String| Err(LoadError::Setup(message));
    if setup.uses.len() > MAX_PROBES {
        return fail(format!(
            "{} probes are asked for, and {MAX_PROBES} is the limit; split the investigation",
            setup.uses.len()
        ));
    }
    let mut seen = std::collections::HashSet::new();
    for using in &setup.uses {
        let Some(attach) = setup.attaches.get(using.attach) else {
            return fail(format!(
                "a probe is at attachment {}, which is not there",
                using.attach
            ));
        };
        if using.experiment as usize >= MAX_EXPERIMENTS {
            return fail(format!(
                "more than {MAX_EXPERIMENTS} experiments; split the investigation"
            ));
        }
        if !seen.insert((using.experiment, using.attach)) {
            return fail(format!(
                "experiment {} has two probes at the {}; put their reads into one",
                using.experiment,
                attach.describe()
            ));
        }
    }
    for attach in &setup.attaches {
        if let AttachTarget::Kprobe {
            offset,
            return_probe,
            entry,
            ..
        } = attach
            && (*offset != 0 && *return_probe || !entry && !return_probe)
        {
            return fail(format!(
                "the {} must have an entry or a return, and in mid-function only an entry",
                attach.describe()
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
#[path = "slots_tests.rs"]
mod tests;

//! Reasons in the hooks of the BPF LSM: the kernel may not have asked them.

use super::{experiment, instances};
use crate::document::Target;
use crate::investigation::{Experiment as PlannedExperiment, Position, Probe as PlannedProbe};
use crate::path_index::resolve::{Catalog, Indexed};

/// The reason why a count of the hits of a hook may be short; none of another target.
pub(super) fn reasons(
    name: &str,
    planned: &PlannedProbe,
    catalog: &Catalog<'_>,
    machine: &Indexed<'_>,
) -> Option<String> {
    let Target::Lsm(hook) = &planned.target else {
        return None;
    };
    let requested = catalog.investigation.experiment(name)?;
    let hits = |probe: &PlannedProbe| {
        let (_, seen) = instances::find_seen_probe(name, probe, machine)?;
        Some(seen.hits.len())
    };
    let own = hits(planned)?;
    unasked_hook_reason(hook, planned, requested, |other| {
        let whole = experiment::reasons(name, other, catalog, machine).is_empty()
            && experiment::foreign_hit_reasons(name, other, machine).is_empty()
            && instances::reasons(name, other, catalog, machine).is_empty();
        whole && hits(other) == Some(own)
    })
}

/// The reason why a hook of the BPF LSM may not have been asked. The kernel asks the modules in order and stops at the first that
/// refuses (`call_int_hook` in <https://elixir.bootlin.com/linux/v6.12/source/security/security.c#L960>). That no other module
/// refused is shown by a probe on the function that asks them, if it watches the same tasks and `saw_as_much`.
fn unasked_hook_reason(
    hook: &str,
    probe: &PlannedProbe,
    requested: &PlannedExperiment,
    saw_as_much: impl Fn(&PlannedProbe) -> bool,
) -> Option<String> {
    let asks = asking_functions(hook);
    let is_asking = |other: &&PlannedProbe| {
        matches!(&other.target, Target::Function(name) if asks.contains(name))
            && other.position == Position::Entry
            && other.within.is_none()
            && other.frees.is_none()
            && other.any_task == probe.any_task
    };
    let mut asking = requested.probes.iter().filter(is_asking);
    (!asking.any(saw_as_much)).then(|| {
        format!(
            "another security module that the kernel asks before BPF may have refused, and the hook `{hook}` was not asked then: \
             a probe in the same experiment on the function that asks, such as `{}`, shows how often it did",
            asks[0]
        )
    })
}

/// The functions that may ask a hook, by its name; a kernel has one of them
/// (<https://elixir.bootlin.com/linux/v6.12/source/security/security.c>).
fn asking_functions(hook: &str) -> Vec<String> {
    match hook {
        "cred_prepare" => vec!["security_prepare_creds".into()],
        "cred_transfer" => vec!["security_transfer_creds".into()],
        "settime" => vec!["security_settime64".into()],
        "vm_enough_memory" => vec!["security_vm_enough_memory_mm".into()],
        _ => {
            let mut names = vec![format!("security_{hook}")];
            // `security_sk_alloc` asks `sk_alloc_security`.
            let short = hook.strip_suffix("_security");
            names.extend(short.map(|short| format!("security_{short}")));
            names.reverse();
            names
        }
    }
}

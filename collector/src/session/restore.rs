//! Waiting until the kernel has rewritten its own code. After attaching, a kprobe is a breakpoint until the kernel optimises it
//! to a jump; after detaching, the jump stays until the kernel removes it. An experiment during either would not run as it is
//! described.

use std::time::Duration;

use super::boundary::SessionMachine;
use crate::plan::PlannedExperiment;
use crate::probe::{AttachTarget, kprobe_list};
use crate::reason::Reason;

/// The breakpoint instruction.
const INT3: u8 = 0xcc;
/// The longest time that the kernel may take to restore the code under a probe after it was detached.
const RESTORE_LIMIT: Duration = Duration::from_secs(5);
/// The polling interval for code that the kernel has yet to restore.
const RESTORE_STEP: Duration = Duration::from_millis(2);
/// The polling interval for a breakpoint that the kernel has yet to replace.
const SETTLE_STEP: Duration = Duration::from_millis(5);

/// A probe inside a function: its attachment, the address, and the bytes of the instruction there without the probe.
pub(super) type ProbedInstruction = (usize, u64, Vec<u8>);

/// The probes inside functions.
pub(super) fn probed_instructions(
    planned: &[PlannedExperiment],
    attaches: &[AttachTarget],
) -> Vec<ProbedInstruction> {
    let probes = planned.iter().flat_map(|experiment| &experiment.probes);
    let inside = probes.filter_map(|probe| {
        let index = probe.source.as_ref().ok()?.attach;
        let bytes = &probe.instruction.as_ref()?.bytes;
        Some((
            index,
            instruction_address(attaches.get(index)?)?,
            bytes.clone(),
        ))
    });
    inside.collect()
}

/// The address of the probed instruction.
fn instruction_address(attach: &AttachTarget) -> Option<u64> {
    match attach {
        AttachTarget::Kprobe {
            address, offset, ..
        } => Some(address.wrapping_add(*offset)),
        _ => None,
    }
}

/// Wait, for at most `limit`, until the kernel has replaced the breakpoints of those of `which` that it has marked as
/// optimised: it replaces them some time after it marks them. Return the reason why the experiment would not run as described,
/// if so.
pub(super) async fn wait_until_optimised(
    machine: &impl SessionMachine,
    attaches: &[AttachTarget],
    which: &[usize],
    listed: &[Result<String, Reason>],
    limit: Duration,
) -> Option<String> {
    if limit.is_zero() {
        return None;
    }
    let started = machine.now();
    let marked = which.iter().filter_map(|&index| {
        let says = listed[index].as_ref().ok()?;
        let will_jump = says.contains(kprobe_list::WILL_JUMP);
        let address = instruction_address(&attaches[index]).filter(|_| will_jump)?;
        Some((index, address))
    });
    for (index, address) in marked {
        loop {
            match machine.read_memory(address, 1) {
                Ok(byte) if byte[..] != [INT3] => break,
                Ok(_) if machine.now() - started < limit => machine.sleep(SETTLE_STEP).await,
                Ok(_) => {
                    return Some(format!(
                        "not run, because the kernel had not replaced the breakpoint of the {} after {limit:?}",
                        attaches[index].describe()
                    ));
                }
                Err(reason) => {
                    return Some(format!(
                        "not run, because it is not known whether the kernel has replaced its breakpoints: {reason}"
                    ));
                }
            }
        }
    }
    None
}

/// Wait until the kernel has restored the code at the probes of `removed`: if it had replaced a breakpoint by a jump, it restores
/// the code some time after the probe has been detached. Return the reason why the next experiment would not run as described,
/// if so.
pub(super) async fn wait_until_restored(
    machine: &impl SessionMachine,
    probed_instructions: &[ProbedInstruction],
    removed: &[usize],
) -> Option<String> {
    let started = machine.now();
    for (_, address, bytes) in probed_instructions
        .iter()
        .filter(|(index, ..)| removed.contains(index))
    {
        loop {
            match machine.read_memory(*address, bytes.len()) {
                Ok(found) if found == *bytes => break,
                Ok(_) if machine.now() - started < RESTORE_LIMIT => {
                    machine.sleep(RESTORE_STEP).await;
                }
                Ok(_) => {
                    return Some(format!(
                        "not run, because the kernel had not taken away a probe of the experiment before after {RESTORE_LIMIT:?}"
                    ));
                }
                Err(reason) => {
                    return Some(format!(
                        "not run, because it is not known whether the kernel has taken away the probes of the experiment before: {reason}"
                    ));
                }
            }
        }
    }
    None
}

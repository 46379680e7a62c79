//! Waiting until the kernel has rewritten its own code: a probe is not what the experiment says as long as a breakpoint
//! stands where a jump will, and the next experiment is another one as long as the jump still stands there.

use std::time::Duration;

use super::boundary::Machine;
use crate::plan::PlannedExperiment;
use crate::probe::{Attach, kprobe_list};
use crate::reason::Reason;

/// The breakpoint instruction.
const INT3: u8 = 0xcc;
/// The longest that the kernel may take to put back the code under a probe that was taken away.
const RESTORE_LIMIT: Duration = Duration::from_secs(5);
/// Time between two looks at code that the kernel has yet to put back.
const RESTORE_STEP: Duration = Duration::from_millis(2);
/// Time between two looks at a breakpoint that the kernel has yet to replace.
const SETTLE_STEP: Duration = Duration::from_millis(5);

/// A probe inside of a function: its attachment, the address, and the bytes of the instruction that stand there without it.
pub(super) type ProbedInstruction = (usize, u64, Vec<u8>);

/// The probes inside of functions.
pub(super) fn probed_instructions(
    planned: &[PlannedExperiment],
    attaches: &[Attach],
) -> Vec<ProbedInstruction> {
    let probes = planned.iter().flat_map(|experiment| &experiment.probes);
    let inside = probes.filter_map(|probe| {
        let index = probe.source.as_ref().ok()?.attach;
        let bytes = &probe.instruction.as_ref()?.bytes;
        Some((index, address_of(attaches.get(index)?)?, bytes.clone()))
    });
    inside.collect()
}

/// The address of the probed instruction.
fn address_of(attach: &Attach) -> Option<u64> {
    match attach {
        Attach::Kprobe {
            address, offset, ..
        } => Some(address.wrapping_add(*offset)),
        _ => None,
    }
}

/// Wait, for at most `limit`, until the kernel has replaced the breakpoints of those of `which` that it marks for it: it
/// does so some time after it has said so. Gives back why the experiment is another one, if so.
pub(super) async fn settle(
    machine: &impl Machine,
    attaches: &[Attach],
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
        let address = address_of(&attaches[index]).filter(|_| will_jump)?;
        Some((index, address))
    });
    for (index, address) in marked {
        loop {
            match machine.memory(address, 1) {
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

/// Wait until the kernel has put back what stood where those of `gone` were: where it had replaced a breakpoint by a
/// jump, it does so some time after the probe has been taken away. Gives back why the next experiment is another one, if
/// so.
pub(super) async fn restored(
    machine: &impl Machine,
    probed_instructions: &[ProbedInstruction],
    gone: &[usize],
) -> Option<String> {
    let started = machine.now();
    for (_, address, bytes) in probed_instructions
        .iter()
        .filter(|(index, ..)| gone.contains(index))
    {
        loop {
            match machine.memory(*address, bytes.len()) {
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

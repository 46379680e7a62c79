//! The code around the calls that are on the stacks of events.

use std::collections::BTreeSet;

use super::boundary::SessionMachine;
use super::raw::RawExperiment;
use crate::probe::parse_event;
use crate::symbols::disasm::LONGEST_INSTRUCTION;

/// The bytes in front of all return addresses on the stacks of events: what was called there. Those that cannot be read
/// are left out.
pub(super) fn code_before_returns(
    experiments: &[RawExperiment],
    machine: &impl SessionMachine,
) -> Vec<(u64, Vec<u8>)> {
    let records = experiments.iter().flat_map(|experiment| &experiment.events);
    let events = records.filter_map(|record| parse_event(&record.0).ok());
    let addresses: BTreeSet<u64> = events
        .flat_map(|event| {
            let frames = event.frames().iter().skip(1).copied();
            frames.chain(event.link()).collect::<Vec<_>>()
        })
        .collect();
    let read = |address: u64| {
        let start = address.checked_sub(LONGEST_INSTRUCTION as u64)?;
        let bytes = machine.read_memory(start, LONGEST_INSTRUCTION).ok()?;
        Some((address, bytes))
    };
    addresses.into_iter().filter_map(read).collect()
}

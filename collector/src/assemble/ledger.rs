//! Pairing allocations with their frees, by address and in order.

use std::collections::HashMap;

use qed_evidence::document::{Allocation, Free, Ledger};
use qed_evidence::investigation::LeakExemption;
use qed_evidence::value::{Address, Frame};

use super::stack::{holds_function, running_frames};

/// A ledger that is being filled. Events must come in order.
#[derive(Default)]
pub struct LedgerBuilder {
    allocations: Vec<Allocation>,
    /// Address → the allocation that has it now.
    live: HashMap<u64, usize>,
}

/// One allocation or free of an object, from an event.
pub struct LedgerEvent {
    pub address: u64,
    pub probe: String,
    pub order: u64,
    pub time_ns: u64,
    pub stack: Vec<Frame>,
}

impl LedgerBuilder {
    /// Record that an object was allocated.
    pub fn record_allocation(
        &mut self,
        entry: LedgerEvent,
        cache: Option<String>,
        size: Option<u64>,
        excuses: &[LeakExemption],
    ) {
        let excused = excuses
            .iter()
            .find(|excuse| holds_function(running_frames(&entry.stack), &excuse.within))
            .map(LeakExemption::text);
        self.live.insert(entry.address, self.allocations.len());
        self.allocations.push(Allocation {
            address: Address(entry.address),
            probe: entry.probe,
            cache,
            size,
            order: entry.order,
            time_ns: entry.time_ns,
            stack: entry.stack,
            freed: None,
            excused,
        });
    }

    /// Record that an object was freed. Says whether it was one of ours.
    pub fn record_free(&mut self, entry: LedgerEvent, same_task: bool, task: String) -> bool {
        let Some(index) = self.live.remove(&entry.address) else {
            return false;
        };
        self.allocations[index].freed = Some(Free {
            probe: entry.probe,
            order: entry.order,
            time_ns: entry.time_ns,
            same_task,
            task,
            stack: entry.stack,
        });
        true
    }

    /// The finished ledger.
    pub fn finish(self) -> Ledger {
        Ledger {
            waited_ns: 0,
            allocations: self.allocations,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(address: u64, order: u64) -> LedgerEvent {
        LedgerEvent {
            address,
            probe: "p".into(),
            order,
            time_ns: order,
            stack: Vec::new(),
        }
    }

    /// Check that a free ends the latest allocation of its address and no other, and that a free of an
    /// address that was never allocated changes nothing.
    #[test]
    fn pairs_by_address_in_order() {
        let mut book = LedgerBuilder::default();
        book.record_allocation(entry(0x10, 1), None, None, &[]);
        assert!(book.record_free(entry(0x10, 2), true, "t".into()));
        book.record_allocation(entry(0x10, 3), None, None, &[]);
        assert!(!book.record_free(entry(0x20, 4), true, "t".into()));
        let ledger = book.finish();
        assert_eq!(
            ledger.allocations[0].freed.as_ref().map(|f| f.order),
            Some(2)
        );
        assert_eq!(ledger.allocations[1].freed, None);
    }
}

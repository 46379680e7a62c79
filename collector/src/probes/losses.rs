//! What did not arrive: counters of the programs and of the kernel.

use aya::maps::{HashMap, MapError, PerCpuArray};
use qed_collector_ebpf::{Call, CallKey, Object, counter};
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd};

use super::{Attach, LoadError, Probes, funnel::Raw};

/// Running totals since the programs were loaded; [`Losses::since`] gives those of one experiment.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Losses {
    /// Events lost because the ring buffer was full.
    pub ring_full: u64,
    /// Calls that could not be remembered: their return has no arguments.
    pub call_table_full: u64,
    /// Allocations that could not be remembered: their free goes unseen.
    pub object_table_full: u64,
    /// Signals that could not be sent.
    pub signal_failed: u64,
    /// Signals that were sent.
    pub signals_sent: u64,
    /// LSM denials returned.
    pub denied: u64,
    /// Hits that the kernel skipped because an interrupt came while the same program ran on that CPU, of
    /// programs without a second copy. Any task's, also those that no experiment asked for.
    pub skipped: u64,
    /// The same for programs with a second copy, which then sees the hit: not lost.
    pub skipped_but_copied: u64,
}

impl Losses {
    /// What was added since `earlier`.
    pub fn since(&self, earlier: &Self) -> Self {
        Self {
            ring_full: self.ring_full.saturating_sub(earlier.ring_full),
            call_table_full: self.call_table_full.saturating_sub(earlier.call_table_full),
            object_table_full: self
                .object_table_full
                .saturating_sub(earlier.object_table_full),
            signal_failed: self.signal_failed.saturating_sub(earlier.signal_failed),
            signals_sent: self.signals_sent.saturating_sub(earlier.signals_sent),
            denied: self.denied.saturating_sub(earlier.denied),
            skipped: self.skipped.saturating_sub(earlier.skipped),
            skipped_but_copied: self
                .skipped_but_copied
                .saturating_sub(earlier.skipped_but_copied),
        }
    }

    /// What went wrong, in words; empty if nothing did.
    pub fn notes(&self) -> Vec<String> {
        [
            (self.ring_full, "events did not fit into the ring buffer"),
            (
                self.call_table_full,
                "calls could not be remembered until their return",
            ),
            (
                self.object_table_full,
                "allocations could not be remembered until their free",
            ),
            (self.signal_failed, "signals could not be sent"),
            (
                self.skipped,
                "hits were skipped because an interrupt came while the same program ran",
            ),
        ]
        .into_iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, what)| format!("{count} {what}"))
        .collect()
    }

    /// Events that are known to be missing.
    pub fn lost(&self) -> u64 {
        self.ring_full + self.object_table_full + self.skipped
    }
}

/// An object that the workload allocated and nobody has freed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LiveObject {
    /// Kernel address.
    pub address: u64,
    /// Number of the experiment.
    pub experiment: u32,
    /// Index in [`Setup::uses`](super::Setup::uses) of the probe that saw the allocation.
    pub probe: u32,
}

impl Probes {
    /// The counters as they are now.
    pub fn losses(&self) -> Result<Losses, LoadError> {
        let mut losses = Losses::default();
        for (index, total) in [
            (counter::RING_FULL, &mut losses.ring_full),
            (counter::ENTRY_TABLE_FULL, &mut losses.call_table_full),
            (counter::OBJECT_TABLE_FULL, &mut losses.object_table_full),
            (counter::SIGNAL_FAILED, &mut losses.signal_failed),
            (counter::SIGNAL_SENT, &mut losses.signals_sent),
            (counter::DENIED, &mut losses.denied),
        ] {
            *total = self.counter(index)?;
        }
        for name in ["kernel_entry", "kernel_return"] {
            losses.skipped += self.skipped(name);
        }
        for (attach, slot) in self.attaches.iter().zip(&self.slots) {
            let Some(slot) = *slot else { continue };
            match attach {
                Attach::Tracepoint { copies, .. } if *copies > 1 => {
                    losses.skipped_but_copied += (slot..slot + *copies as usize)
                        .map(|slot| self.skipped(&format!("tp_{slot}")))
                        .sum::<u64>();
                }
                Attach::Tracepoint { .. } => losses.skipped += self.skipped(&format!("tp_{slot}")),
                Attach::Lsm { .. } => losses.skipped += self.skipped(&format!("lsm_{slot}")),
                Attach::Kprobe { .. } => {}
            }
        }
        Ok(losses)
    }

    fn counter(&self, index: u32) -> Result<u64, LoadError> {
        let fail = |source: MapError| LoadError::Map {
            map: "COUNTERS",
            source,
        };
        let map = self.ebpf.map("COUNTERS");
        let map = map.ok_or_else(|| LoadError::Missing("COUNTERS".to_owned()))?;
        let counters = PerCpuArray::<_, u64>::try_from(map).map_err(fail)?;
        Ok(counters.get(&index, 0).map_err(fail)?.iter().sum())
    }

    /// `recursion_misses` of a program; 0 while it is not loaded.
    fn skipped(&self, program: &str) -> u64 {
        let program = self.ebpf.program(program);
        program
            .and_then(|program| program.fd().ok())
            .and_then(|fd| fdinfo(fd.as_fd()))
            .map_or(0, |text| recursion_misses(&text))
    }

    /// Objects of all experiments that are still live.
    pub fn live_objects(&self) -> Result<Vec<LiveObject>, LoadError> {
        let fail = |source: MapError| LoadError::Map {
            map: "OBJECTS",
            source,
        };
        let map = self.ebpf.map("OBJECTS");
        let map = map.ok_or_else(|| LoadError::Missing("OBJECTS".to_owned()))?;
        let objects = HashMap::<_, u64, Raw<Object>>::try_from(map).map_err(fail)?;
        // An object freed while the table is read ends the walk early for that entry only.
        Ok(objects
            .iter()
            .flatten()
            .map(|(address, Raw(object))| LiveObject {
                address,
                experiment: object.experiment,
                probe: object.probe,
            })
            .collect())
    }

    /// Calls whose entry was seen and whose return was not: missed returns, or a task that never came back.
    pub fn unreturned(&self) -> Result<Vec<CallKey>, LoadError> {
        let fail = |source: MapError| LoadError::Map {
            map: "CALLS",
            source,
        };
        let map = self.ebpf.map("CALLS");
        let map = map.ok_or_else(|| LoadError::Missing("CALLS".to_owned()))?;
        let calls = HashMap::<_, Raw<CallKey>, Raw<Call>>::try_from(map).map_err(fail)?;
        Ok(calls.keys().flatten().map(|Raw(key)| key).collect())
    }
}

fn fdinfo(fd: BorrowedFd<'_>) -> Option<String> {
    std::fs::read_to_string(format!("/proc/self/fdinfo/{}", fd.as_raw_fd())).ok()
}

/// The number in a line such as `recursion_misses:\t3`.
/// <https://elixir.bootlin.com/linux/v6.1/source/kernel/bpf/syscall.c#L2162>
fn recursion_misses(fdinfo: &str) -> u64 {
    fdinfo
        .lines()
        .find_map(|line| line.strip_prefix("recursion_misses:"))
        .and_then(|number| number.trim().parse().ok())
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Check the parser against what a kernel writes for a program.
    #[test]
    fn recursion_misses_are_read() {
        let text = "pos:\t0\nprog_type:\t17\nrun_time_ns:\t0\nrun_cnt:\t0\nrecursion_misses:\t3\nverified_insns:\t68\n";
        assert_eq!(recursion_misses(text), 3);
        assert_eq!(recursion_misses("pos:\t0\n"), 0);
    }

    /// Check that totals of an earlier experiment do not count again, and that only missing events do.
    #[test]
    fn losses_are_differences() {
        let earlier = Losses {
            ring_full: 2,
            signals_sent: 1,
            ..Losses::default()
        };
        let now = Losses {
            ring_full: 5,
            signals_sent: 4,
            skipped: 1,
            skipped_but_copied: 9,
            ..Losses::default()
        };
        let since = now.since(&earlier);
        assert_eq!((since.ring_full, since.signals_sent), (3, 3));
        assert_eq!(since.lost(), 4);
    }
}

//! Lost events, from counters of the programs and of the kernel.

use aya::maps::{HashMap, MapError, PerCpuArray, PerCpuHashMap, PerCpuValues};
use qed_collector_ebpf::{Call, CallKey, Object, counter};
use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd};

use super::attach_target::AttachTarget;
use super::load::Probes;
use super::missed::{MemoryReader, sum_counters};
use super::pod::MapRecord;
use super::setup::LoadError;

use crate::reason::Reason;

/// Most readings of counts that do not fit together, before they are called unknown.
const ROUNDS: usize = 4;

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
    /// Processes that the workload started, and that those started which are followed.
    pub descendants: u64,
    /// Those of them that are not followed.
    pub unfollowed: u64,
    /// 32-bit system calls of the workload that a probe or marker of system calls came by.
    pub compat_calls: u64,
    /// Per attachment, the hits that the kernel skipped: of a kprobe inside another one's program, of a program inside itself.
    /// Hits of all tasks count, also those that no experiment asked for. `None`: not known.
    pub skipped: Vec<Option<u64>>,
    /// Per attachment, hits while its counts were read, which count as skipped. Those of two readings of equal length
    /// are the same.
    pub meanwhile: Vec<u64>,
}

impl Losses {
    /// The difference to `earlier`.
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
            descendants: self.descendants.saturating_sub(earlier.descendants),
            unfollowed: self.unfollowed.saturating_sub(earlier.unfollowed),
            compat_calls: self.compat_calls.saturating_sub(earlier.compat_calls),
            skipped: self
                .skipped
                .iter()
                .enumerate()
                .map(|(index, now)| {
                    // A counter that goes down was not that counter.
                    let added = (*now)?.checked_sub((*earlier.skipped.get(index)?)?);
                    let meanwhile = |losses: &Self| losses.meanwhile.get(index).copied();
                    added.filter(|_| meanwhile(self) == meanwhile(earlier))
                })
                .collect(),
            meanwhile: Vec::new(),
        }
    }

    /// A sentence about each loss; empty without any.
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
        ]
        .into_iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, what)| format!("{count} {what}"))
        .collect()
    }

    /// Events that are known to be missing.
    pub fn lost_events(&self) -> u64 {
        self.ring_full + self.object_table_full
    }
}

/// An object that the workload allocated and that was not freed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LiveObject {
    /// Kernel address.
    pub address: u64,
    /// Number of the experiment.
    pub experiment: u32,
    /// Index in [`Setup::uses`](super::load::Setup::uses) of the probe that saw the allocation.
    pub probe: u32,
}

/// Hits for which the kernel ran no program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct SkippedHits {
    /// Their number, which is too high by some of `meanwhile`.
    total: u64,
    /// Hits while the counts were read.
    meanwhile: u64,
}

/// Compare two readings of the kernel's count of hits with two of the program's runs, each of which was taken after one of the
/// former. `None`: they do not fit together, because a probe was hit in between whose program has not run yet, or never will.
fn compare_counts(
    hits: (Option<&u64>, Option<&u64>),
    runs: (Option<&u64>, Option<&u64>),
) -> Option<SkippedHits> {
    let ((before, after), (first, second)) = (hits.0.zip(hits.1)?, runs.0.zip(runs.1)?);
    let meanwhile = after.checked_sub(*before)?;
    let total = after.checked_sub(*first)?;
    (second.checked_sub(*first)? == meanwhile).then_some(SkippedHits { total, meanwhile })
}

impl Probes {
    /// Find the kernel's own counters of the kprobes that are attached now. If that fails, the number of skipped hits is not
    /// known.
    pub fn find_counters(&mut self, memory: MemoryReader<'_>) -> Result<(), Reason> {
        self.counters.clear();
        let wanted: BTreeSet<u64> = (self.attached_indices().into_iter())
            .filter_map(|index| probed_addresses(&self.attaches[index]))
            .flatten()
            .collect();
        if wanted.is_empty() {
            return Ok(());
        }
        let table = self.kprobes.as_ref();
        let table =
            table.ok_or("this kernel's types or symbols do not say where it keeps its kprobes")?;
        self.counters = table.find_counters(&wanted, memory)?;
        Ok(())
    }

    /// The counters as they are now. What the kernel counts itself is read with `memory`.
    pub fn losses(&self, memory: MemoryReader<'_>) -> Result<Losses, LoadError> {
        let mut losses = Losses::default();
        for (index, total) in [
            (counter::RING_FULL, &mut losses.ring_full),
            (counter::ENTRY_TABLE_FULL, &mut losses.call_table_full),
            (counter::OBJECT_TABLE_FULL, &mut losses.object_table_full),
            (counter::SIGNAL_FAILED, &mut losses.signal_failed),
            (counter::SIGNAL_SENT, &mut losses.signals_sent),
            (counter::DENIED, &mut losses.denied),
            (counter::DESCENDANTS, &mut losses.descendants),
            (counter::UNFOLLOWED, &mut losses.unfollowed),
            (counter::COMPAT_CALLS, &mut losses.compat_calls),
        ] {
            *total = self.read_counter(index)?;
        }
        let attached = self.attached_indices();
        let left_out = self.count_skipped(memory)?;
        for index in 0..self.attaches.len() {
            let left_out = probed_addresses(&self.attaches[index])
                .and_then(|mut places| left_out.get(&places.next()?).copied());
            let skipped = attached.binary_search(&index).ok().and_then(|_| {
                let left_out = left_out.map(|left_out| left_out.total);
                self.skipped_hits(index, left_out, memory)
            });
            losses.skipped.push(skipped);
            losses
                .meanwhile
                .push(left_out.map_or(0, |left_out| left_out.meanwhile));
        }
        Ok(losses)
    }

    /// Hits at each probed place for which the kernel ran no program, since the probe was made. A place is missing
    /// where that is not known, because its function runs while the counts are read, so that they do not fit together.
    fn count_skipped(
        &self,
        memory: MemoryReader<'_>,
    ) -> Result<BTreeMap<u64, SkippedHits>, LoadError> {
        let mut known = BTreeMap::new();
        let Some(events) = self.kprobes.as_ref().and_then(|table| table.events) else {
            return Ok(known);
        };
        let attached = self.attached_indices();
        let places = attached.iter().filter_map(|&index| {
            let attach = &self.attaches[index];
            let counters =
                probed_addresses(attach)?.find_map(|address| self.counters.get(&address))?;
            Some((counters.hits?, probed_addresses(attach)?.next()?))
        });
        // Per-CPU pointer, and the place as the programs know it.
        let mut open: BTreeMap<u64, u64> = places.collect();
        let cpus = aya::util::nr_cpus().unwrap_or(0);
        let mut last = BTreeMap::new();
        for round in 0..ROUNDS {
            let pointers: BTreeSet<u64> = open.keys().copied().collect();
            let count = || events.sum_per_cpu(&pointers, cpus, memory);
            if pointers.is_empty() {
                break;
            }
            let Ok(before) = count() else { break };
            let runs = self.count_runs(&open)?;
            let (Ok(after), runs_after) = (count(), self.count_runs(&open)?) else {
                break;
            };
            open.retain(|pointer, site| {
                let found = compare_counts(
                    (before.get(pointer), after.get(pointer)),
                    (runs.get(site), runs_after.get(site)),
                );
                let same = found.is_some() && last.insert(*site, found) == Some(found);
                // Reading runs some functions itself, always the same ones, and as often.
                let regular = same && round + 1 == ROUNDS;
                match found.filter(|found| found.meanwhile == 0 || regular) {
                    Some(found) => drop(known.insert(*site, found)),
                    None => return true,
                }
                false
            });
        }
        Ok(known)
    }

    /// Start counting the program's runs at an address. If that fails there is no count, and the number of skipped runs is not
    /// known.
    pub(super) fn count_runs_from_now(&mut self, site: u64) {
        let (Some(runs), Ok(cpus)) = (self.ebpf.map_mut("RUNS"), aya::util::nr_cpus()) else {
            return;
        };
        let Ok(mut runs) = PerCpuHashMap::<_, u64, u64>::try_from(runs) else {
            return;
        };
        // An old count must not stay.
        let _ = runs.remove(&site);
        if let Ok(none) = PerCpuValues::try_from(vec![0; cpus]) {
            let _ = runs.insert(site, none, 0);
        }
    }

    /// The number of runs of the program at each of these places.
    fn count_runs(&self, places: &BTreeMap<u64, u64>) -> Result<BTreeMap<u64, u64>, LoadError> {
        let fail = |source: MapError| LoadError::Map {
            map: "RUNS",
            source,
        };
        let map = self.ebpf.map("RUNS");
        let map = map.ok_or_else(|| LoadError::Missing("RUNS".to_owned()))?;
        let counts = PerCpuHashMap::<_, u64, u64>::try_from(map).map_err(fail)?;
        let mut runs = BTreeMap::new();
        for &site in places.values() {
            match counts.get(&site, 0) {
                Ok(count) => drop(runs.insert(site, count.iter().sum())),
                Err(MapError::KeyNotFound) => {}
                Err(error) => return Err(fail(error)),
            }
        }
        Ok(runs)
    }

    /// Hits of one attachment that the kernel skipped.
    fn skipped_hits(
        &self,
        index: usize,
        left_out: Option<u64>,
        memory: MemoryReader<'_>,
    ) -> Option<u64> {
        let slot = self.slots[index];
        match &self.attaches[index] {
            attach @ AttachTarget::Kprobe { .. } => {
                let counters =
                    probed_addresses(attach)?.find_map(|address| self.counters.get(&address))?;
                // A return that the program was left out of shows: its call has none.
                Some(sum_counters(&counters.missed, memory)? + left_out?)
            }
            // A hit is lost only if all copies were busy: so the copy that was busy least often gives the upper bound.
            AttachTarget::Tracepoint { copies, .. } => {
                let slots = slot?..slot? + (*copies).max(1) as usize;
                let each = slots.map(|slot| self.recursion_misses_of(&format!("tp_{slot}")));
                each.min_by_key(|skipped| skipped.unwrap_or(0))?
            }
            AttachTarget::Lsm { .. } => self.recursion_misses_of(&format!("lsm_{}", slot?)),
        }
    }

    fn read_counter(&self, index: u32) -> Result<u64, LoadError> {
        let fail = |source: MapError| LoadError::Map {
            map: "COUNTERS",
            source,
        };
        let map = self.ebpf.map("COUNTERS");
        let map = map.ok_or_else(|| LoadError::Missing("COUNTERS".to_owned()))?;
        let counters = PerCpuArray::<_, u64>::try_from(map).map_err(fail)?;
        Ok(counters.get(&index, 0).map_err(fail)?.iter().sum())
    }

    /// `recursion_misses` of a program; 0 while it is not loaded, and `None` where the kernel does not tell.
    fn recursion_misses_of(&self, program: &str) -> Option<u64> {
        match self.ebpf.program(program)?.fd() {
            Ok(fd) => recursion_misses(&fdinfo(fd.as_fd())?),
            Err(_) => Some(0),
        }
    }

    /// Objects of all experiments that are still live.
    pub fn live_objects(&self) -> Result<Vec<LiveObject>, LoadError> {
        let fail = |source: MapError| LoadError::Map {
            map: "OBJECTS",
            source,
        };
        let map = self.ebpf.map("OBJECTS");
        let map = map.ok_or_else(|| LoadError::Missing("OBJECTS".to_owned()))?;
        let objects = HashMap::<_, u64, MapRecord<Object>>::try_from(map).map_err(fail)?;
        // An object freed while the table is read ends the walk early for that entry only.
        Ok(objects
            .iter()
            .flatten()
            .map(|(address, MapRecord(object))| LiveObject {
                address,
                experiment: object.experiment,
                probe: object.probe,
            })
            .collect())
    }

    /// Calls whose entry was seen and whose return was not: missed returns, or a task that never came back.
    pub fn unreturned_calls(&self) -> Result<Vec<CallKey>, LoadError> {
        let fail = |source: MapError| LoadError::Map {
            map: "CALLS",
            source,
        };
        let map = self.ebpf.map("CALLS");
        let map = map.ok_or_else(|| LoadError::Missing("CALLS".to_owned()))?;
        let calls =
            HashMap::<_, MapRecord<CallKey>, MapRecord<Call>>::try_from(map).map_err(fail)?;
        Ok(calls.keys().flatten().map(|MapRecord(key)| key).collect())
    }
}

fn fdinfo(fd: BorrowedFd<'_>) -> Option<String> {
    std::fs::read_to_string(format!("/proc/self/fdinfo/{}", fd.as_raw_fd())).ok()
}

/// The number in a line such as `recursion_misses:\t3`.
/// <https://elixir.bootlin.com/linux/v6.1/source/kernel/bpf/syscall.c#L2162>
fn recursion_misses(fdinfo: &str) -> Option<u64> {
    fdinfo
        .lines()
        .find_map(|line| line.strip_prefix("recursion_misses:"))
        .and_then(|number| number.trim().parse().ok())
}

/// Addresses at which the kernel may have put a kprobe: the requested one, or the one after the instruction that marks the
/// target of an indirect jump, which is four bytes long
/// (<https://elixir.bootlin.com/linux/v6.12/source/arch/x86/kernel/kprobes/core.c#L340>).
fn probed_addresses(attach: &AttachTarget) -> Option<impl Iterator<Item = u64> + use<>> {
    let AttachTarget::Kprobe {
        address, offset, ..
    } = attach
    else {
        return None;
    };
    let at = address.wrapping_add(*offset);
    let behind = (*offset == 0).then(|| at.wrapping_add(4));
    Some([Some(at), behind].into_iter().flatten())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Check the parser against what a kernel writes for a program.
    #[test]
    fn recursion_misses_are_read() {
        let text = "pos:\t0\nprog_type:\t17\nrun_time_ns:\t0\nrun_cnt:\t0\nrecursion_misses:\t3\nverified_insns:\t68\n";
        assert_eq!(recursion_misses(text), Some(3));
        assert_eq!(recursion_misses("pos:\t0\n"), None);
    }

    /// Check that hits without a run are reported only if the counts fit together: not while a program that was hit has not
    /// run.
    #[test]
    fn hits_without_runs() {
        let report = |before, after, first, second| {
            let found =
                compare_counts((Some(&before), Some(&after)), (Some(&first), Some(&second)));
            found.map(|found| (found.total, found.meanwhile))
        };
        assert_eq!(report(9, 9, 9, 9), Some((0, 0)));
        assert_eq!(report(9, 9, 7, 7), Some((2, 0)));
        // Two came meanwhile, and ran.
        assert_eq!(report(9, 11, 8, 10), Some((3, 2)));
        assert_eq!(report(9, 11, 8, 9), None);
        assert_eq!(report(9, 9, 8, 9), None);
        // Fewer hits than runs, and counters that go down.
        assert_eq!(report(7, 7, 9, 9), None);
        assert_eq!(report(9, 8, 7, 7), None);
        assert_eq!(compare_counts((Some(&1), Some(&1)), (None, Some(&1))), None);
    }

    /// Check that totals of an earlier experiment do not count again, and that a counter that is unknown, or that went down,
    /// does not count as 0.
    #[test]
    fn losses_are_differences() {
        let earlier = Losses {
            ring_full: 2,
            signals_sent: 1,
            skipped: vec![Some(9), Some(1), Some(0), None, Some(2)],
            ..Losses::default()
        };
        let now = Losses {
            ring_full: 5,
            signals_sent: 4,
            skipped: vec![Some(9), Some(4), None, Some(4), Some(1)],
            ..Losses::default()
        };
        let since = now.since(&earlier);
        assert_eq!((since.ring_full, since.signals_sent), (3, 3));
        assert_eq!(since.lost_events(), 3);
        assert_eq!(since.skipped, [Some(0), Some(3), None, None, None]);
        // Another reading than the one before.
        let longer = Losses {
            meanwhile: vec![0, 2],
            ..now
        };
        let since = longer.since(&earlier);
        assert_eq!(since.skipped[1], None);
    }
}

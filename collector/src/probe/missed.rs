//! Hits of each kprobe that the kernel skipped, from counters in the kernel's memory.
//!
//! If the function of a kprobe is called while another kprobe's program runs on the same CPU, the kernel does not run the
//! kprobe and counts that in the probe itself (`kprobes_inc_nmissed_count`,
//! <https://elixir.bootlin.com/linux/v6.1/source/kernel/kprobes.c#L1257>). For probes that perf made, no file shows this count,
//! and only newer kernels report it with the BPF link; so it is read from the kernel's memory on all kernels alike.
//!
//! A kprobe that runs need not run the program that is attached to it: while the CPU is in another program, or in a part of
//! bpf(2) that programs must not interrupt, the kernel skips the program, and up to 6.6 does not count that (`trace_call_bpf`,
//! <https://elixir.bootlin.com/linux/v6.1/source/kernel/trace/bpf_trace.c#L110>; seen on 6.1.192: at a probed function inside
//! an update of a hash table by bpf(2), neither the program ran nor did any counter of the kernel change). It does count each
//! hit of the probe's event before that (`kprobe_dispatcher`,
//! <https://elixir.bootlin.com/linux/v6.1/source/kernel/trace/trace_kprobe.c#L1653>). The programs count their runs; the
//! difference between the two was skipped.

use std::collections::{BTreeMap, BTreeSet};

use crate::reason::Reason;

/// The place of the kernel's kprobes: an address from its symbols, and offsets in bytes from its BTF.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KprobeTable {
    /// Address of the array of buckets, each the address of the first link in it or 0.
    pub buckets: u64,
    /// Number of them.
    pub bucket_count: usize,
    /// The link in a probe to the next one of its bucket. Its first word is that address.
    pub link: u64,
    /// The list in a probe of those that share its address. Its first word is the address of the next one's list, at
    /// last that of the list itself.
    pub list: u64,
    /// The address that is probed.
    pub address: u64,
    /// The counter, an `unsigned long`.
    pub missed: u64,
    /// The kernel's counts of hits; `None`: not known.
    pub events: Option<KprobeEvents>,
}

/// The kernel's counters of hits of the events that programs are attached to: offsets in bytes, and addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KprobeEvents {
    /// Offset, in a kprobe, of the address of its handler.
    pub handler: u64,
    /// Address of the handler of all such events' kprobes.
    pub dispatcher: u64,
    /// Offset of the kprobe in the event.
    pub probe: u64,
    /// Offset, in the event, of a per-CPU pointer to the count of hits, an `unsigned long`.
    pub hits: u64,
    /// Address of the array that holds, for each CPU, the offset that is added to such a pointer.
    pub cpu_offsets: u64,
}

/// Reads kernel memory: this many bytes at an address, or the reason why they cannot be read.
pub type MemoryReader<'a> = &'a dyn Fn(u64, usize) -> Result<Vec<u8>, Reason>;

/// The kernel's counters of one probed address.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Addresses of the counters of skipped hits. Several probes may share one probed address: they all count the same hits.
    pub missed: Vec<u64>,
    /// The per-CPU pointer to the hit counter of the only event at this address; `None`: there are several, or it is not known.
    pub hits: Option<u64>,
}

/// The counters of each probed address.
pub type CountersByAddress = BTreeMap<u64, Counters>;

/// The most bytes between two counts that are read at once.
const NEAR: u64 = 4096;

/// Links followed in one bucket or list before it is called damaged.
const MAX_LINKS: usize = 1024;

impl KprobeTable {
    /// The counters of the probes at `wanted`, as far as the table holds them.
    pub fn find_counters(
        &self,
        wanted: &BTreeSet<u64>,
        memory: MemoryReader<'_>,
    ) -> Result<CountersByAddress, Reason> {
        let mut found = CountersByAddress::new();
        let heads = memory(self.buckets, self.bucket_count * 8)?;
        for head in heads.as_chunks::<8>().0 {
            let mut link = u64::from_le_bytes(*head);
            for _ in 0..MAX_LINKS {
                if link == 0 {
                    break;
                }
                let probe = link.wrapping_sub(self.link);
                let address = read_word(memory, probe.wrapping_add(self.address))?;
                if wanted.contains(&address) {
                    found.insert(address, self.find_shared_counters(probe, memory)?);
                }
                link = read_word(memory, link)?;
            }
        }
        Ok(found)
    }

    /// The counters of a probe and of all that share its address.
    fn find_shared_counters(
        &self,
        probe: u64,
        memory: MemoryReader<'_>,
    ) -> Result<Counters, Reason> {
        let first = probe.wrapping_add(self.list);
        let mut probes = vec![probe];
        let mut list = read_word(memory, first)?;
        while list != first {
            if probes.len() > MAX_LINKS {
                return Err("the kernel's list of the probes at one address has no end".into());
            }
            probes.push(list.wrapping_sub(self.list));
            list = read_word(memory, list)?;
        }
        let mut hits = Vec::new();
        for probe in &probes {
            if let Some(events) = &self.events
                && read_word(memory, probe.wrapping_add(events.handler))? == events.dispatcher
            {
                let event = probe.wrapping_sub(events.probe);
                hits.push(read_word(memory, event.wrapping_add(events.hits))?);
            }
        }
        let missed = probes.iter().map(|probe| probe.wrapping_add(self.missed));
        Ok(Counters {
            missed: missed.collect(),
            // Of two it is not known which is ours.
            hits: match hits[..] {
                [one] => Some(one),
                _ => None,
            },
        })
    }
}

impl KprobeEvents {
    /// The sum over all CPUs of what each of these per-CPU pointers counts.
    pub(super) fn sum_per_cpu(
        &self,
        pointers: &BTreeSet<u64>,
        cpus: usize,
        memory: MemoryReader<'_>,
    ) -> Result<BTreeMap<u64, u64>, Reason> {
        let mut sums: BTreeMap<u64, u64> = BTreeMap::new();
        let offsets = memory(self.cpu_offsets, cpus * 8)?;
        for offset in offsets.as_chunks::<8>().0 {
            let offset = u64::from_le_bytes(*offset);
            let mut block: Option<(u64, Vec<u8>)> = None;
            for &pointer in pointers {
                let held = |(start, bytes): &(u64, Vec<u8>)| {
                    let at = usize::try_from(pointer - start).ok()?;
                    bytes.get(at..)?.first_chunk::<8>().copied()
                };
                let found = match block.as_ref().and_then(held) {
                    Some(found) => found,
                    None => {
                        let near = pointers.range(pointer..=pointer.saturating_add(NEAR));
                        let size = near.last().map_or(0, |last| last - pointer) as usize + 8;
                        let bytes = memory(pointer.wrapping_add(offset), size)?;
                        let found = held(&(pointer, bytes.clone()));
                        block = Some((pointer, bytes));
                        found.ok_or("a count of hits could not be read")?
                    }
                };
                *sums.entry(pointer).or_default() += u64::from_le_bytes(found);
            }
        }
        Ok(sums)
    }
}

/// The sum of the counters now; `None` where one cannot be read, or where there is none.
pub(super) fn sum_counters(counters: &[u64], memory: MemoryReader<'_>) -> Option<u64> {
    let mut most = None;
    for &address in counters {
        let count = read_word(memory, address).ok()?;
        most = Some(most.unwrap_or(0).max(count));
    }
    most
}

fn read_word(memory: MemoryReader<'_>, address: u64) -> Result<u64, Reason> {
    let bytes = memory(address, 8)?;
    let word = bytes.first_chunk::<8>();
    word.map(|word| u64::from_le_bytes(*word)).ok_or_else(|| {
        format!(
            "only {} of 8 bytes at {address:#x} could be read",
            bytes.len()
        )
        .into()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: KprobeTable = KprobeTable {
        buckets: 0x1000,
        bucket_count: 2,
        link: 0,
        list: 16,
        address: 40,
        missed: 32,
        events: Some(KprobeEvents {
            handler: 48,
            dispatcher: 0xd15,
            probe: 8,
            hits: 64,
            cpu_offsets: 0x8000,
        }),
    };

    /// Two probes in the second bucket: one alone at 0x77, and one at 0x99 that stands for two others.
    fn words() -> BTreeMap<u64, u64> {
        let probe = |at: u64, next: u64, list: u64, missed: u64, address: u64| {
            // Where it is a probe of an event, that begins 8 bytes before it.
            [
                (0, next),
                (16, list),
                (32, missed),
                (40, address),
                (48, 0),
                (56, at + 0x100),
            ]
            .map(|(offset, word)| (at + offset, word))
        };
        let mut words = BTreeMap::from([(0x1000, 0), (0x1008, 0x2000)]);
        words.extend(probe(0x2000, 0x3000, 0x2010, 5, 0x77));
        words.extend(probe(0x3000, 0, 0x4010, 0, 0x99));
        words.extend(probe(0x4000, 0, 0x5010, 2, 0x99));
        words.extend(probe(0x5000, 0, 0x3010, 3, 0x99));
        // The first is an event's, and one of the two others is.
        words.extend([(0x2030, 0xd15), (0x4030, 0xd15)]);
        // Two CPUs, and what they count.
        words.extend([(0x8000, 0x10_0000), (0x8008, 0x20_0000)]);
        words.extend([
            (0x10_2100, 7),
            (0x20_2100, 1),
            (0x10_4100, 2),
            (0x20_4100, 0),
        ]);
        words
    }

    fn memory(words: &BTreeMap<u64, u64>) -> impl Fn(u64, usize) -> Result<Vec<u8>, Reason> {
        |address, size| {
            let all = (0..size as u64 / 8).map(|nth| {
                let word = words.get(&(address + nth * 8)).ok_or("nothing is there")?;
                Ok(word.to_le_bytes())
            });
            Ok(all.collect::<Result<Vec<_>, Reason>>()?.concat())
        }
    }

    /// Check that the counter of each probed address is found, also where several probes share it, and that a counter that
    /// cannot be read does not count as 0.
    #[test]
    fn counters_are_found() {
        let mut words = words();
        let wanted = BTreeSet::from([0x77, 0x99, 0xbb]);
        let found = TABLE.find_counters(&wanted, &memory(&words)).unwrap();
        assert_eq!(found.keys().copied().collect::<Vec<_>>(), [0x77, 0x99]);
        assert_eq!(sum_counters(&found[&0x77].missed, &memory(&words)), Some(5));
        assert_eq!(sum_counters(&found[&0x99].missed, &memory(&words)), Some(3));
        let pointers: BTreeSet<u64> = found.values().filter_map(|one| one.hits).collect();
        assert_eq!(pointers, BTreeSet::from([0x2100, 0x4100]));
        let events = TABLE.events.unwrap();
        let sums = events.sum_per_cpu(&pointers, 2, &memory(&words)).unwrap();
        assert_eq!(sums, BTreeMap::from([(0x2100, 8), (0x4100, 2)]));
        // Two events at one place: which is ours?
        words.insert(0x5030, 0xd15);
        let found = TABLE.find_counters(&wanted, &memory(&words)).unwrap();
        assert_eq!(found[&0x99].hits, None);
        assert_eq!(sum_counters(&[], &memory(&words)), None);
        words.remove(&0x5020);
        assert_eq!(sum_counters(&found[&0x99].missed, &memory(&words)), None);
        words.insert(0x5010, 0x4010);
        assert!(TABLE.find_counters(&wanted, &memory(&words)).is_err());
        assert!(
            TABLE
                .find_counters(&wanted, &|_, _| Err("no".into()))
                .is_err()
        );
    }
}

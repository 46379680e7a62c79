//! How many hits of each kprobe the kernel skipped: its own counters, in its own memory.
//!
//! A kprobe whose function is called while another kprobe's program runs on the same CPU is not run; the kernel counts that
//! in the probe itself (`kprobes_inc_nmissed_count`,
//! <https://elixir.bootlin.com/linux/v6.1/source/kernel/kprobes.c#L1257>). Of probes by perf no file shows the count, and
//! only newer kernels tell it by the link; so it is read where it stands, in all kernels alike.

use std::collections::{BTreeMap, BTreeSet};

/// Where the kernel keeps its kprobes: an address from its symbols, and offsets in bytes from its BTF.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KprobeTable {
    /// Address of the array of buckets, each the address of the first link in it or 0.
    pub buckets: u64,
    /// How many there are.
    pub bucket_count: usize,
    /// The link in a probe to the next one of its bucket. Its first word is that address.
    pub link: u64,
    /// The list in a probe of those that share its address. Its first word is the address of the next one's list, at last
    /// that of the list itself.
    pub list: u64,
    /// The address that is probed.
    pub address: u64,
    /// The counter, an `unsigned long`.
    pub missed: u64,
}

/// Reads kernel memory: so many bytes at an address, or why not.
pub type Memory<'a> = &'a dyn Fn(u64, usize) -> Result<Vec<u8>, String>;

/// Addresses of the counters of each probed address. Several may share one: they all count the same hits.
pub type Hits = BTreeMap<u64, Vec<u64>>;

/// Links followed in one bucket or list before it is called damaged.
const MAX_LINKS: usize = 1024;

impl KprobeTable {
    /// The counters of the probes at `wanted`, as far as the table holds them.
    pub fn find(&self, wanted: &BTreeSet<u64>, memory: Memory<'_>) -> Result<Hits, String> {
        let mut found = Hits::new();
        let heads = memory(self.buckets, self.bucket_count * 8)?;
        for head in heads.as_chunks::<8>().0 {
            let mut link = u64::from_le_bytes(*head);
            for _ in 0..MAX_LINKS {
                if link == 0 {
                    break;
                }
                let probe = link.wrapping_sub(self.link);
                let address = word(memory, probe.wrapping_add(self.address))?;
                if wanted.contains(&address) {
                    found.insert(address, self.sharing(probe, memory)?);
                }
                link = word(memory, link)?;
            }
        }
        Ok(found)
    }

    /// The counters of a probe and of all that share its address.
    fn sharing(&self, probe: u64, memory: Memory<'_>) -> Result<Vec<u64>, String> {
        let first = probe.wrapping_add(self.list);
        let mut counters = vec![probe.wrapping_add(self.missed)];
        let mut list = word(memory, first)?;
        while list != first {
            if counters.len() > MAX_LINKS {
                return Err("the kernel's list of the probes at one address has no end".into());
            }
            counters.push(list.wrapping_sub(self.list).wrapping_add(self.missed));
            list = word(memory, list)?;
        }
        Ok(counters)
    }
}

/// What the counters say now; `None` where one cannot be read, or where there is none.
pub(super) fn count(counters: &[u64], memory: Memory<'_>) -> Option<u64> {
    let mut most = None;
    for &address in counters {
        let count = word(memory, address).ok()?;
        most = Some(most.unwrap_or(0).max(count));
    }
    most
}

fn word(memory: Memory<'_>, address: u64) -> Result<u64, String> {
    let bytes = memory(address, 8)?;
    let word = bytes.first_chunk::<8>();
    word.map(|word| u64::from_le_bytes(*word)).ok_or_else(|| {
        format!(
            "only {} of 8 bytes at {address:#x} could be read",
            bytes.len()
        )
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
    };

    /// Two probes in the second bucket: one alone at 0x77, and one at 0x99 that stands for two others.
    fn words() -> BTreeMap<u64, u64> {
        let probe = |at: u64, next: u64, list: u64, missed: u64, address: u64| {
            [(0, next), (16, list), (32, missed), (40, address)]
                .map(|(offset, word)| (at + offset, word))
        };
        let mut words = BTreeMap::from([(0x1000, 0), (0x1008, 0x2000)]);
        words.extend(probe(0x2000, 0x3000, 0x2010, 5, 0x77));
        words.extend(probe(0x3000, 0, 0x4010, 0, 0x99));
        words.extend(probe(0x4000, 0, 0x5010, 2, 0x99));
        words.extend(probe(0x5000, 0, 0x3010, 3, 0x99));
        words
    }

    fn memory(words: &BTreeMap<u64, u64>) -> impl Fn(u64, usize) -> Result<Vec<u8>, String> {
        |address, size| {
            let all = (0..size as u64 / 8).map(|nth| {
                let word = words.get(&(address + nth * 8)).ok_or("nothing is there")?;
                Ok(word.to_le_bytes())
            });
            Ok(all.collect::<Result<Vec<_>, String>>()?.concat())
        }
    }

    /// Check that the counter of each probed address is found, also where several probes share it, and that what cannot be
    /// read is not taken for 0.
    #[test]
    fn counters_are_found() {
        let mut words = words();
        let wanted = BTreeSet::from([0x77, 0x99, 0xbb]);
        let found = TABLE.find(&wanted, &memory(&words)).unwrap();
        assert_eq!(found.keys().copied().collect::<Vec<_>>(), [0x77, 0x99]);
        assert_eq!(count(&found[&0x77], &memory(&words)), Some(5));
        assert_eq!(count(&found[&0x99], &memory(&words)), Some(3));
        assert_eq!(count(&[], &memory(&words)), None);
        words.remove(&0x5020);
        assert_eq!(count(&found[&0x99], &memory(&words)), None);
        words.insert(0x5010, 0x4010);
        assert!(TABLE.find(&wanted, &memory(&words)).is_err());
        assert!(TABLE.find(&wanted, &|_, _| Err("no".into())).is_err());
    }
}

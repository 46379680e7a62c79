//! The attachments of a capture: each function once for all experiments that share the kernel, and once more for each isolated
//! experiment.

use std::collections::HashMap;

use qed_collector_ebpf::{MAX_READS, ProbeSpec, ReadSpec, side};

use crate::probe::{AttachTarget, AttachmentUse};

/// The attachments and uses so far.
#[derive(Default)]
pub struct Attachments {
    pub attaches: Vec<AttachTarget>,
    /// Per attachment: the isolated experiment that it belongs to, if it does.
    owners: Vec<Option<u32>>,
    pub uses: Vec<AttachmentUse>,
    /// The nearest existing name of each unknown one that was asked for.
    nearest: HashMap<String, Option<String>>,
}

/// Reads of one probe did not fit together with those of others on the same attachment.
#[derive(Debug, PartialEq, Eq)]
pub struct SlotsFull;

impl Attachments {
    /// The first of the names that `look` finds for `name`; it looks only once.
    pub fn nearest(&mut self, name: &str, look: impl FnOnce() -> Vec<String>) -> Option<String> {
        let known = self.nearest.entry(name.to_owned());
        known.or_insert_with(|| look().into_iter().next()).clone()
    }

    /// The attachment for `wanted`: an equal one that may be shared, or a new one.
    ///
    /// Tracepoints are always shared: each would be a program of its own, which takes the verifier 45 to 70 ms in
    /// an emulated guest. They change nothing in the kernel's text, so an isolated experiment can share them.
    pub fn attach(&mut self, wanted: AttachTarget, owner: Option<u32>) -> usize {
        let owner = owner.filter(|_| !matches!(wanted, AttachTarget::Tracepoint { .. }));
        let found = (0..self.attaches.len())
            .find(|&at| self.owners[at] == owner && is_same_place(&self.attaches[at], &wanted));
        let Some(at) = found else {
            self.attaches.push(wanted);
            self.owners.push(owner);
            return self.attaches.len() - 1;
        };
        match (&mut self.attaches[at], wanted) {
            (
                AttachTarget::Kprobe {
                    entry,
                    return_probe,
                    ..
                },
                AttachTarget::Kprobe {
                    entry: also,
                    return_probe: also_return,
                    ..
                },
            ) => {
                *entry |= also;
                *return_probe |= also_return;
            }
            (
                AttachTarget::Tracepoint { copies, .. },
                AttachTarget::Tracepoint { copies: wanted, .. },
            ) => {
                *copies = (*copies).max(wanted);
            }
            _ => {}
        }
        at
    }

    /// The number of the one use of `attach` by `experiment`, which is added if there is none.
    pub fn add_use(&mut self, experiment: u32, attach: usize) -> usize {
        let found = self
            .uses
            .iter()
            .position(|usage| usage.experiment == experiment && usage.attach == attach);
        found.unwrap_or_else(|| {
            self.uses.push(AttachmentUse {
                experiment,
                attach,
                spec: ProbeSpec::zero(),
            });
            self.uses.len() - 1
        })
    }

    /// Add a read at the entry or the return and say which slot it has, the same in all of the uses; equal reads share one.
    pub fn add_read(
        &mut self,
        usages: &[usize],
        exit: bool,
        read: ReadSpec,
    ) -> Result<usize, SlotsFull> {
        let side = if exit { side::RETURN } else { side::ENTRY } as usize;
        let specs = || usages.iter().map(|usage| &self.uses[*usage].spec);
        let has = |spec: &ProbeSpec, slot: usize| {
            slot < spec.read_counts[side] as usize && spec.reads[side][slot] == read
        };
        let used = specs().map(|spec| spec.read_counts[side] as usize).max();
        let used = used.unwrap_or_default();
        if let Some(slot) = (0..used).find(|slot| specs().all(|spec| has(spec, *slot))) {
            return Ok(slot);
        }
        if used == MAX_READS {
            return Err(SlotsFull);
        }
        for usage in usages {
            let spec = &mut self.uses[*usage].spec;
            // A use that another probe shares may have more reads. The slots between are filled, so that none is read as a 0.
            let own = spec.read_counts[side] as usize;
            spec.reads[side][own..=used].fill(read);
            spec.read_counts[side] = used as u32 + 1;
        }
        Ok(used)
    }
}

fn is_same_place(a: &AttachTarget, b: &AttachTarget) -> bool {
    match (a, b) {
        (
            AttachTarget::Kprobe {
                address: a,
                offset: i,
                ..
            },
            AttachTarget::Kprobe {
                address: b,
                offset: j,
                ..
            },
        ) => (a, i) == (b, j),
        (
            AttachTarget::Tracepoint {
                name: a, nth: i, ..
            },
            AttachTarget::Tracepoint {
                name: b, nth: j, ..
            },
        ) => (a, i) == (b, j),
        (AttachTarget::Lsm { hook: a, .. }, AttachTarget::Lsm { hook: b, .. }) => a == b,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Check that an isolated experiment has functions of its own, shares tracepoints, and that the shared
    /// one has as many copies as its most demanding user wants.
    #[test]
    fn isolated_experiments_share_tracepoints_only() {
        let function = AttachTarget::Kprobe {
            function: "f".into(),
            address: 16,
            offset: 0,
            entry: true,
            return_probe: false,
        };
        let tracepoint = |copies| AttachTarget::Tracepoint {
            name: "sys_exit".into(),
            arguments: 2,
            copies,
            nth: 0,
        };
        let mut attachments = Attachments::default();
        let functions: Vec<usize> = [None, Some(1), Some(2), None]
            .map(|owner| attachments.attach(function.clone(), owner))
            .into();
        assert_eq!(functions, [0, 1, 2, 0]);
        let tracepoints: Vec<usize> = [(Some(1), 1), (Some(2), 2), (None, 1)]
            .map(|(owner, copies)| attachments.attach(tracepoint(copies), owner))
            .into();
        assert_eq!(tracepoints, [3, 3, 3]);
        assert_eq!(attachments.attaches[3], tracepoint(2));
    }

    /// Check that a read has one slot in all uses of a probe, also if one of them has reads of its own, and that every slot in front of it
    /// is filled there.
    #[test]
    fn reads_of_several_uses() {
        let read = |constant| ReadSpec {
            constant,
            ..ReadSpec::zero()
        };
        let mut attachments = Attachments::default();
        let (shared, other) = (attachments.add_use(0, 0), attachments.add_use(0, 1));
        for constant in [1, 2] {
            attachments
                .add_read(&[shared], false, read(constant))
                .unwrap();
        }
        let both = [other, shared];
        assert_eq!(attachments.add_read(&both, false, read(3)), Ok(2));
        assert_eq!(attachments.add_read(&both, false, read(4)), Ok(3));
        assert_eq!(attachments.add_read(&both, false, read(3)), Ok(2));
        assert_eq!(attachments.add_read(&both, true, read(3)), Ok(0));
        for (usage, constants) in [(shared, [1, 2, 3, 4]), (other, [3, 3, 3, 4])] {
            let spec = &attachments.uses[usage].spec;
            assert_eq!(spec.read_counts, [4, 1]);
            let reads = spec.reads[0][..4].iter().map(|read| read.constant);
            assert_eq!(reads.collect::<Vec<_>>(), constants);
        }
        for constant in 5..5 + (MAX_READS as u64 - 4) {
            attachments
                .add_read(&[shared], false, read(constant))
                .unwrap();
        }
        assert_eq!(
            attachments.add_read(&both, false, read(100)),
            Err(SlotsFull)
        );
    }
}

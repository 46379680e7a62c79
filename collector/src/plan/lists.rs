//! Lists that a read walks: the loads that follow the links, and what they say of the list's length in an event.

use qed_collector_ebpf::{Event, MAX_READS, ReadSpec};
use qed_evidence::constants::errno_name;
use qed_evidence::investigation::MAX_LIST;

use super::expr::CompiledList;
use super::types::PlannedList;

// The head, each element and what follows the last one, and a value of each.
const _: () = assert!(2 * MAX_LIST as usize + 2 <= MAX_READS);

/// The length of a list in an event, as far as it was walked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListLength {
    /// It has so many elements.
    Whole(usize),
    /// It has more elements than were to be read.
    More,
    /// The pointer to the element of this number could not be followed, for this reason.
    Broken(usize, String),
}

impl PlannedList {
    /// Give the links of a list their places, `limit` elements and one link more.
    ///
    /// # Errors
    /// Those of `add`, which adds a load and returns its place.
    pub(super) fn plan_links<E>(
        list: &CompiledList,
        limit: u32,
        mut add: impl FnMut(ReadSpec) -> Result<usize, E>,
    ) -> Result<Self, E> {
        let head = add(list.head)?;
        let mut links = vec![add(starting_at(list.first, head))?];
        for _ in 0..limit {
            let before = links.last().copied().unwrap_or(head);
            links.push(add(starting_at(list.next, before))?);
        }
        Ok(Self {
            kind: list.kind,
            head,
            links,
            elements: Vec::new(),
        })
    }

    /// The length of the list in an event.
    pub fn length(&self, event: &Event) -> ListLength {
        let pointer = |slot: &usize| match (event.values.get(*slot), event.results.get(*slot)) {
            (Some(bytes), Some(0..)) => {
                let bytes = bytes.first_chunk().copied().unwrap_or_default();
                Ok(u64::from_le_bytes(bytes))
            }
            (Some(_), Some(errno)) => {
                let name = errno_name(errno.unsigned_abs()).unwrap_or_default();
                Err(format!("the kernel could not read it ({name})"))
            }
            _ => Err("the event has no room for it".into()),
        };
        let head = match pointer(&self.head) {
            Ok(head) => head,
            Err(reason) => return ListLength::Broken(0, reason),
        };
        for (number, slot) in self.links.iter().enumerate() {
            match pointer(slot) {
                Ok(link) if self.kind.ends_at(link, head) => return ListLength::Whole(number),
                Ok(0) => return ListLength::Broken(number, "it is NULL".into()),
                Ok(_) => {}
                Err(reason) => return ListLength::Broken(number, reason),
            }
        }
        ListLength::More
    }
}

impl ListLength {
    /// The reason why there is no element of this number, or why it is not known whether there is one.
    pub fn refusal_reason(&self, number: usize) -> Option<String> {
        match self {
            Self::Whole(length) if number >= *length => Some(format!(
                "there is no element {number}, counted from 0: the list has {length}"
            )),
            Self::Broken(at, reason) if number >= *at => Some(broken_reason(*at, reason)),
            _ => None,
        }
    }

    /// The number of elements, or why it is not known.
    ///
    /// # Errors
    /// The reason.
    pub fn count(&self) -> Result<usize, String> {
        match self {
            Self::Whole(length) => Ok(*length),
            Self::More => Err(
                "the list has more elements than were read: a greater `limit` reads more".into(),
            ),
            Self::Broken(at, reason) => Err(broken_reason(*at, reason)),
        }
    }
}

fn broken_reason(at: usize, reason: &str) -> String {
    format!("the list could not be walked further than to the pointer to element {at}: {reason}")
}

/// The same load from the pointer that the read in this place brought back.
pub(super) fn starting_at(spec: ReadSpec, slot: usize) -> ReadSpec {
    ReadSpec {
        root_index: u32::try_from(slot).unwrap_or(u32::MAX),
        ..spec
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::expr::ListKind;
    use crate::probe::parse_event;

    const HEAD: u64 = 0xffff_8880_0000_1000;

    /// The length of a list of this kind by the links of it, each a pointer or an error.
    fn length(kind: ListKind, links: &[Result<u64, i32>]) -> ListLength {
        let mut event = parse_event(&vec![0; size_of::<Event>()]).unwrap();
        let all = std::iter::once(&Ok(HEAD)).chain(links);
        for (slot, link) in all.enumerate() {
            match link {
                Ok(pointer) => event.values[slot][..8].copy_from_slice(&pointer.to_le_bytes()),
                Err(errno) => event.results[slot] = *errno,
            }
        }
        let list = PlannedList {
            kind,
            head: 0,
            links: (1..=links.len()).collect(),
            elements: Vec::new(),
        };
        list.length(&event)
    }

    /// Check that each kind of list ends where the kernel ends it, that one which goes on is not taken for one that ends, and that a broken
    /// link ends what is known.
    #[test]
    fn ends() {
        use ListKind::{Hash, HashNulls, LockLess, Ring};
        use ListLength::{Broken, More, Whole};
        let (a, b) = (0xffff_8880_0000_2000, 0xffff_8880_0000_3000);
        let null = || "it is NULL".to_owned();
        for (kind, links, wanted) in [
            (Ring, &[Ok(HEAD), Ok(a), Ok(HEAD)][..], Whole(0)),
            (Ring, &[Ok(a), Ok(b), Ok(HEAD)], Whole(2)),
            (Ring, &[Ok(a), Ok(b), Ok(a)], More),
            (Ring, &[Ok(a), Ok(0), Ok(HEAD)], Broken(1, null())),
            (Ring, &[Ok(0), Ok(HEAD)], Broken(0, null())),
            (Hash, &[Ok(a), Ok(0), Err(-14)], Whole(1)),
            (Hash, &[Ok(0)], Whole(0)),
            (Hash, &[Ok(a), Ok(HEAD)], More),
            (LockLess, &[Ok(a), Ok(b), Ok(0)], Whole(2)),
            (HashNulls, &[Ok(a), Ok(3), Err(-14)], Whole(1)),
            (HashNulls, &[Ok(a), Ok(0)], Broken(1, null())),
        ] {
            assert_eq!(length(kind, links), wanted, "{kind:?} {links:?}");
        }
        let Broken(1, reason) = length(Ring, &[Ok(a), Err(-14), Err(-14)]) else {
            panic!("a link that could not be read")
        };
        assert!(reason.contains("EFAULT"), "{reason}");
    }

    /// Check that elements in front of the end have no reason to be missing, and those behind it and behind a broken link have one.
    #[test]
    fn elements_behind_the_end() {
        let (whole, broken) = (ListLength::Whole(2), ListLength::Broken(1, "bad".into()));
        assert_eq!(whole.refusal_reason(1), None);
        assert!(whole.refusal_reason(2).unwrap().contains("has 2"));
        assert_eq!(broken.refusal_reason(0), None);
        assert!(broken.refusal_reason(1).unwrap().contains("element 1: bad"));
        assert_eq!(ListLength::More.refusal_reason(9), None);
        assert_eq!(whole.count(), Ok(2));
        assert!(ListLength::More.count().is_err() && broken.count().is_err());
    }
}

//! The loads of a read, and their places among the values of an event.

use qed_collector_ebpf::{MAX_READ_BYTES, MAX_READS, ReadSpec};

use super::expr::CompiledPath;
use super::lists::starting_at;
use super::types::{PlannedElement, PlannedElements, PlannedLength, PlannedList};
use crate::reason::Reason;

/// The reason why a probe cannot read more.
pub(super) fn no_slot_reason() -> Reason {
    let reason = format!(
        "more than one probe can read: there is room for {MAX_READS} loads of {MAX_READ_BYTES} bytes at its entry, and as many \
         at its return"
    );
    reason.into()
}

/// The loads of a read.
pub(super) struct Loads {
    /// Those of its value, or of the first one of a list.
    pub own: PlannedElement,
    /// That of the number of elements.
    pub elements: Option<PlannedElements>,
    /// Those of a list.
    pub list: Option<PlannedList>,
}

/// Plan the loads of a read: of its value, of the number of elements (its path, and the element that is read), of the length of a text, and
/// of a list as many of them as are to be read. `add` adds a load and returns its place.
pub(super) fn plan_loads(
    compiled: &CompiledPath,
    limit: Option<u32>,
    number: Option<(&String, CompiledPath, u64)>,
    length: Option<&CompiledPath>,
    add: &mut impl FnMut(ReadSpec) -> Result<usize, Option<Reason>>,
) -> Result<Loads, Option<Reason>> {
    type Added = Result<usize, Option<Reason>>;
    let value = |link: Option<usize>, add: &mut dyn FnMut(ReadSpec) -> Added| {
        let mut place = |spec: &ReadSpec| match link {
            Some(link) => add(starting_at(*spec, link)),
            None => add(*spec),
        };
        let specs = std::iter::once(&compiled.spec).chain(&compiled.more);
        let slots = specs.map(&mut place).collect::<Result<Vec<_>, _>>()?;
        let length = match length {
            Some(length) => Some(PlannedLength {
                slot: place(&length.spec)?,
                decode: length.decode.clone(),
            }),
            None => None,
        };
        Ok::<_, Option<Reason>>(PlannedElement { slots, length })
    };
    let (own, list) = match (&compiled.list, limit) {
        (Some(list), Some(limit)) => {
            let mut list = PlannedList::plan_links(list, limit, &mut *add)?;
            for link in &list.links[..limit as usize] {
                list.elements.push(value(Some(*link), add)?);
            }
            let first = list.elements.first().cloned();
            (first.ok_or_else(|| Some(no_slot_reason()))?, Some(list))
        }
        _ => (value(None, add)?, None),
    };
    let elements = match number {
        Some((path, number, index)) => Some(PlannedElements {
            path: path.clone(),
            slot: add(number.spec)?,
            decode: number.decode,
            index,
        }),
        None => None,
    };
    Ok(Loads {
        own,
        elements,
        list,
    })
}

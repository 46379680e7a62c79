//! Conversion of records between Rust types and the bytes of maps and ring buffer; no other module does this.

use aya::Pod;
use qed_collector_ebpf::{
    Call, CallKey, Control, Event, FdWalk, Object, ProbeKey, ProbeSpec, ReadRequest, SlotKey,
};
use thiserror::Error;

/// A record in a map: aya wants its own marker trait on foreign types.
#[repr(transparent)]
#[derive(Clone, Copy)]
pub(super) struct MapRecord<T>(pub T);

/// Types of the boundary crate: integers and arrays of integers, `repr(C)`, without padding (a test there
/// holds that), so every bit pattern is a value and every byte is initialised.
pub(super) trait BoundaryRecord: Copy + 'static {}
impl BoundaryRecord for Call {}
impl BoundaryRecord for CallKey {}
impl BoundaryRecord for Control {}
impl BoundaryRecord for FdWalk {}
impl BoundaryRecord for Object {}
impl BoundaryRecord for ReadRequest {}
impl BoundaryRecord for ProbeKey {}
impl BoundaryRecord for ProbeSpec {}
impl BoundaryRecord for SlotKey {}

// SAFETY: see `BoundaryRecord`; `MapRecord` is transparent.
unsafe impl<T: BoundaryRecord> Pod for MapRecord<T> {}

/// A record of the ring buffer that is not an event.
#[derive(Debug, Error, PartialEq, Eq)]
#[error(
    "cannot read an event: the ring buffer holds a record of {got} bytes where one has {}: the \
     eBPF object and this program are not of the same build; build both again",
    size_of::<Event>()
)]
pub struct RecordError {
    /// Size of the record in bytes.
    pub got: usize,
}

/// The event in a record of the ring buffer.
pub fn parse_event(record: &[u8]) -> Result<Box<Event>, RecordError> {
    // The ring buffer rounds nothing: a record is as long as what was reserved.
    if record.len() != size_of::<Event>() {
        return Err(RecordError { got: record.len() });
    }
    // SAFETY: the size was tested; `Event` is a record in the sense of `BoundaryRecord`; the read is unaligned.
    Ok(Box::new(unsafe {
        record.as_ptr().cast::<Event>().read_unaligned()
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::mem::offset_of;

    /// Check that fields are read from the offsets at which the eBPF side writes them, at any alignment.
    #[test]
    fn fields_are_found() {
        let mut bytes = vec![0u8; size_of::<Event>() + 1];
        bytes[1..9].copy_from_slice(&77u64.to_ne_bytes());
        let at = 1 + offset_of!(Event, tid);
        bytes[at..at + 4].copy_from_slice(&42u32.to_ne_bytes());
        let event = parse_event(&bytes[1..]).unwrap();
        assert_eq!((event.time_ns, event.tid, event.tgid), (77, 42, 0));
    }

    /// Check that a record of another size is refused, one byte short or long.
    #[test]
    fn other_sizes_are_refused() {
        for got in [0, size_of::<Event>() - 1, size_of::<Event>() + 1] {
            assert_eq!(parse_event(&vec![0; got]).err(), Some(RecordError { got }));
        }
    }
}

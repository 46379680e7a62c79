//! The consumer of the ring buffer.

use std::io;

use aya::maps::{MapData, RingBuf};
use qed_collector_ebpf::Event;
use std::os::fd::{AsFd as _, OwnedFd};
use tokio::io::{Interest, unix::AsyncFd};

use super::pod::{RecordError, parse_event};

/// Takes events out of the ring buffer, in the order in which they happened.
pub struct EventReader {
    ring: RingBuf<MapData>,
    /// Made at the first wait: it needs a running tokio reactor.
    poll: Option<AsyncFd<OwnedFd>>,
}

impl EventReader {
    pub(super) fn new(ring: RingBuf<MapData>) -> Self {
        Self { ring, poll: None }
    }

    /// All events that are there now, without waiting.
    pub fn drain(&mut self) -> Result<Vec<Box<Event>>, RecordError> {
        let mut events = Vec::new();
        while let Some(record) = self.ring.next() {
            events.push(parse_event(&record)?);
        }
        Ok(events)
    }

    /// The records of all events that are there now, as they are, without waiting. They can be kept and
    /// [parsed](super::pod::parse_event) elsewhere.
    pub fn drain_raw(&mut self) -> Vec<Vec<u8>> {
        let mut records = Vec::new();
        while let Some(record) = self.ring.next() {
            records.push(record.to_vec());
        }
        records
    }

    /// Wait until there may be events. Needs a tokio runtime with I/O enabled.
    pub async fn readable(&mut self) -> io::Result<()> {
        if self.poll.is_none() {
            let fd = self.ring.as_fd().try_clone_to_owned()?;
            // SAFETY: an `OwnedFd` keeps its descriptor open and the same until it is dropped.
            let poll = unsafe { AsyncFd::register_with_interest(fd, Interest::READABLE) };
            self.poll = Some(poll?);
        }
        if let Some(poll) = &self.poll {
            poll.readable().await?.clear_ready();
        }
        Ok(())
    }
}

//! The pages of the kernel's ring buffer, as records with times.
//!
//! Every record has a header of four bytes (5 bits of type and length, 27 bits of time since the record before):
//! <https://elixir.bootlin.com/linux/v6.12/source/include/linux/ring_buffer.h#L15>.

use super::error::{GraphError, PageFault};
use super::layout::Layout;
use super::raw::RawCpu;

/// Type of a record that is none, or was taken back.
const PADDING: u32 = 29;
/// Type of a record that only lets time pass.
const TIME_EXTEND: u32 = 30;
/// Type of a record that says what time it is.
const TIME_STAMP: u32 = 31;
/// Bits of a page's `commit` that hold a length.
const LENGTH: u64 = (1 << 27) - 1;
/// Bits of a page's `commit` that say that records before it were lost:
/// <https://elixir.bootlin.com/linux/v6.12/source/kernel/trace/ring_buffer.c#L388>
const MISSED: u64 = 1 << 31 | 1 << 30;
/// Bits of a time that an absolute one leaves out.
const HIGH: u64 = 0xf8 << 56;
/// Counters of `stats` that have to be 0.
const LOSSES: [&str; 3] = ["overrun", "commit overrun", "dropped events"];

/// A record and its time by the trace's clock, in nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TimedRecord<'a> {
    pub time_ns: u64,
    pub bytes: &'a [u8],
}

/// Read all records of one processor, in order.
///
/// # Errors
/// When records were lost, or the pages are not as they say.
pub(super) fn read_records<'a>(
    raw: &'a RawCpu,
    layout: &Layout,
) -> Result<Vec<TimedRecord<'a>>, GraphError> {
    let cpu = raw.cpu;
    for counter in LOSSES {
        match parse_stat(&raw.stats, counter) {
            None => return Err(GraphError::Uncounted { cpu, counter }),
            Some(0) => {}
            Some(count) => {
                let counter = counter.to_owned();
                return Err(GraphError::Lost {
                    cpu,
                    counter,
                    count,
                });
            }
        }
    }
    let mut found = Vec::new();
    for (page, bytes) in raw.pages.chunks(layout.page).enumerate() {
        let broken = |what| GraphError::Page { cpu, page, what };
        let commit = layout
            .commit
            .read(bytes)
            .ok_or(broken(PageFault::NoHeader))?;
        let time = layout.time.read(bytes).ok_or(broken(PageFault::NoHeader))?;
        if commit & MISSED != 0 {
            return Err(broken(PageFault::Missed));
        }
        let end = layout.data + (commit & LENGTH) as usize;
        let data = bytes.get(layout.data..end);
        let data = data.ok_or(broken(PageFault::Short))?;
        page_records(data, time, &mut found).map_err(broken)?;
    }
    let counter = "entries";
    let wrote = parse_stat(&raw.stats, counter).ok_or(GraphError::Uncounted { cpu, counter })?;
    let read = found.len() as u64;
    match wrote == read {
        true => Ok(found),
        false => Err(GraphError::Count { cpu, wrote, read }),
    }
}

/// The number after `name: ` in the text of `stats`.
fn parse_stat(stats: &str, name: &str) -> Option<u64> {
    let value = |line: &str| {
        line.strip_prefix(name)?
            .strip_prefix(':')?
            .trim()
            .parse()
            .ok()
    };
    stats.lines().find_map(value)
}

fn page_records<'a>(
    mut data: &'a [u8],
    mut time: u64,
    found: &mut Vec<TimedRecord<'a>>,
) -> Result<(), PageFault> {
    while !data.is_empty() {
        let header = read_u32(data, 0).ok_or(PageFault::RecordHeader)?;
        let (kind, delta) = (header & 0x1f, u64::from(header >> 5));
        let more = || read_u32(data, 1).ok_or(PageFault::RecordLength);
        let (start, length) = match kind {
            // The rest of the page is empty.
            PADDING if delta == 0 => return Ok(()),
            PADDING => (4, more()? as usize),
            TIME_EXTEND => {
                time = time.wrapping_add((u64::from(more()?) << 27) + delta);
                (4, 4)
            }
            TIME_STAMP => {
                time = (time & HIGH) | ((u64::from(more()?) << 27) + delta);
                (4, 4)
            }
            0 => (8, more()? as usize),
            words => (4, 4 * words as usize),
        };
        let size = 4 + length;
        let whole = data.get(..size).filter(|_| size >= start);
        let whole = whole.ok_or(PageFault::Record)?;
        if kind < PADDING {
            time = time.wrapping_add(delta);
            found.push(TimedRecord {
                time_ns: time,
                bytes: &whole[start..],
            });
        }
        data = &data[size..];
    }
    Ok(())
}

fn read_u32(data: &[u8], index: usize) -> Option<u32> {
    let bytes = data.get(4 * index..4 * index + 4)?;
    Some(u32::from_le_bytes(bytes.try_into().ok()?))
}

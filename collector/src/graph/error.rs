//! The reasons to refuse a trace.

use thiserror::Error;

/// The fault in a page of a trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum PageFault {
    /// It is too short for a header.
    #[error("it has no header")]
    NoHeader,
    /// Its header says that records were lost.
    #[error("the kernel says that records before it were lost")]
    Missed,
    /// Its header says that it is longer.
    #[error("it is shorter than it says")]
    Short,
    /// It ends in the first word of a record.
    #[error("a record's header is cut")]
    RecordHeader,
    /// It ends in the second word of a record.
    #[error("a record's length is cut")]
    RecordLength,
    /// It ends in a record.
    #[error("a record is longer than its page")]
    Record,
}

/// A trace that does not tell all that ran, or not plainly.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum GraphError {
    /// A `format` file without a field that is needed, or with one of a size that cannot be read.
    #[error(
        "tracefs's format of {event} has no field `{field}` of 1, 2, 4 or 8 bytes, so its records cannot be read"
    )]
    Field {
        /// The event.
        event: &'static str,
        /// The field.
        field: &'static str,
    },
    /// A page that is not as its header says.
    #[error("the trace of CPU {cpu} is cut or damaged in page {page}: {what}")]
    Page {
        /// The processor.
        cpu: u32,
        /// Number of the page, from 0.
        page: usize,
        /// The fault in it.
        what: PageFault,
    },
    /// The kernel counted records that it could not keep.
    #[error(
        "the tracer lost records on CPU {cpu} (`{counter}` is {count}), so the tree would have holes: trace a shorter call"
    )]
    Lost {
        /// The processor.
        cpu: u32,
        /// The counter, by its name in tracefs's `stats`.
        counter: String,
        /// Records.
        count: u64,
    },
    /// A counter of losses that is not there.
    #[error(
        "tracefs does not say for CPU {cpu} how many records were lost: its `stats` have no `{counter}`"
    )]
    Uncounted {
        /// The processor.
        cpu: u32,
        /// The counter.
        counter: &'static str,
    },
    /// A record that ends before a field of it does.
    #[error("record {record} of the task is shorter than tracefs's format says")]
    Short {
        /// Number of the record among those of the task, from 0.
        record: usize,
    },
    /// Fewer or more records were read than the kernel says that it wrote.
    #[error("CPU {cpu} wrote {wrote} records into the trace and {read} were read")]
    Count {
        /// The processor.
        cpu: u32,
        /// Records by tracefs's `stats`.
        wrote: u64,
        /// Records in the pages.
        read: u64,
    },
    /// Calls below the depth that the tracer can follow.
    #[error(
        "{count} calls were deeper than the kernel's tracer can follow, and are not in the tree"
    )]
    Overrun {
        /// Calls.
        count: u64,
    },
    /// A return that belongs to no entry, or to another one than the innermost.
    #[error(
        "record {record} of the task is the return of a function that was not entered last, so records are missing"
    )]
    Unpaired {
        /// Number of the record among those of the task, from 0.
        record: usize,
    },
    /// A call at a depth that no recorded caller explains.
    #[error(
        "record {record} of the task is at depth {depth} where {expected} was next, so records are missing"
    )]
    Depth {
        /// Number of the record among those of the task, from 0.
        record: usize,
        /// Its depth.
        depth: u64,
        /// The depth below the innermost open function.
        expected: u64,
    },
    /// The task was preempted, and it is not seen where it went on.
    #[error(
        "another task got the processor in the middle of the call, and it is not seen where the call went on: capture again"
    )]
    Preempted,
    /// The trace ends before the task was back in user space.
    #[error(
        "the trace ends before the workload's task was back in user space, so what the call left for then is not in the tree"
    )]
    NoEnd,
    /// The call is not in the trace.
    #[error(
        "the trace does not hold the workload's call: no system call {number} of its task with its arguments"
    )]
    NoCall {
        /// Number of the system call.
        number: i64,
    },
}

//! Traces made by hand, of the forms that kernels write.

use super::raw::{Formats, RawCpu, RawGraph};
use super::{GraphError, TracedCall, find_in_order, find_matching, read_calls};

/// The formats of Linux 6.12.118, without its `print fmt`.
fn formats() -> Formats {
    let common = "format:\n\
        \tfield:unsigned short common_type;\toffset:0;\tsize:2;\tsigned:0;\n\
        \tfield:unsigned char common_flags;\toffset:2;\tsize:1;\tsigned:0;\n\
        \tfield:unsigned char common_preempt_count;\toffset:3;\tsize:1;\tsigned:0;\n\
        \tfield:int common_pid;\toffset:4;\tsize:4;\tsigned:1;\n\n";
    let event =
        |name: &str, id: u32, fields: &str| format!("name: {name}\nID: {id}\n{common}{fields}");
    Formats {
        page: "\tfield: u64 timestamp;\toffset:0;\tsize:8;\tsigned:0;\n\
            \tfield: local_t commit;\toffset:8;\tsize:8;\tsigned:1;\n\
            \tfield: char overwrite;\toffset:8;\tsize:1;\tsigned:0;\n\
            \tfield: char data;\toffset:16;\tsize:4080;\tsigned:0;\n"
            .into(),
        entry: event(
            "funcgraph_entry",
            11,
            "\tfield:unsigned long func;\toffset:8;\tsize:8;\tsigned:0;\n\
             \tfield:int depth;\toffset:16;\tsize:4;\tsigned:1;\n",
        ),
        exit: event(
            "funcgraph_exit",
            10,
            "\tfield:unsigned long func;\toffset:8;\tsize:8;\tsigned:0;\n\
             \tfield:int depth;\toffset:16;\tsize:4;\tsigned:1;\n\
             \tfield:unsigned int overrun;\toffset:20;\tsize:4;\tsigned:0;\n\
             \tfield:unsigned long long calltime;\toffset:24;\tsize:8;\tsigned:0;\n\
             \tfield:unsigned long long rettime;\toffset:32;\tsize:8;\tsigned:0;\n",
        ),
        sys_enter: event(
            "sys_enter",
            386,
            "\tfield:long id;\toffset:8;\tsize:8;\tsigned:1;\n\
             \tfield:unsigned long args[6];\toffset:16;\tsize:48;\tsigned:0;\n",
        ),
        sys_exit: event(
            "sys_exit",
            385,
            "\tfield:long id;\toffset:8;\tsize:8;\tsigned:1;\n\
             \tfield:long ret;\toffset:16;\tsize:8;\tsigned:1;\n",
        ),
    }
}

/// A trace on its way: records of one processor.
#[derive(Default)]
struct Trace {
    data: Vec<u8>,
    records: u64,
    flags: u8,
    tid: u32,
}

const HARD: u8 = 0x08;

impl Trace {
    fn new() -> Self {
        Self {
            tid: 71,
            ..Self::default()
        }
    }

    fn record(&mut self, kind: u16, body: &[u8]) -> &mut Self {
        let mut record = kind.to_le_bytes().to_vec();
        record.extend([self.flags, 0]);
        record.extend(self.tid.to_le_bytes());
        record.extend(body);
        let words = record.len() as u32 / 4;
        // One nanosecond and 100 after the one before.
        let header = words | 101 << 5;
        self.data.extend(header.to_le_bytes());
        self.data.extend(record);
        self.records += 1;
        self
    }

    fn entry(&mut self, function: u64, depth: i32) -> &mut Self {
        let mut body = function.to_le_bytes().to_vec();
        body.extend(depth.to_le_bytes());
        self.record(11, &body)
    }

    fn exit_with(&mut self, function: u64, depth: i32, overrun: u32) -> &mut Self {
        let mut body = function.to_le_bytes().to_vec();
        body.extend(depth.to_le_bytes());
        body.extend(overrun.to_le_bytes());
        body.extend(1000u64.to_le_bytes());
        body.extend(1500u64.to_le_bytes());
        self.record(10, &body)
    }

    fn exit(&mut self, function: u64, depth: i32) -> &mut Self {
        self.exit_with(function, depth, 0)
    }

    /// The functions 20 to 22 of an interrupt, one level deeper than they are.
    fn too_deep(&mut self) -> &mut Self {
        self.entry(20, 2)
            .entry(21, 3)
            .exit(21, 3)
            .exit(20, 2)
            .entry(22, 2)
            .exit(22, 2)
    }

    fn enter(&mut self, number: i64, first: u64) -> &mut Self {
        let words = [number as u64, first, 0, 0, 0, 0, 0];
        let body: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        self.record(386, &body)
    }

    fn leave(&mut self, number: i64, returned: i64) -> &mut Self {
        let body: Vec<u8> = [number, returned]
            .iter()
            .flat_map(|word| word.to_le_bytes())
            .collect();
        self.record(385, &body)
    }

    fn with_flags(&mut self, flags: u8) -> &mut Self {
        self.flags = flags;
        self
    }

    fn of(&mut self, tid: u32) -> &mut Self {
        self.tid = tid;
        self
    }

    fn raw(&self) -> RawGraph {
        let mut page = 5_000u64.to_le_bytes().to_vec();
        page.extend((self.data.len() as u64).to_le_bytes());
        page.extend(&self.data);
        page.resize(4096, 0);
        RawGraph {
            tid: 71,
            formats: formats(),
            cpus: vec![RawCpu {
                cpu: 0,
                stats: stats(self.records),
                pages: page,
            }],
        }
    }

    fn calls(&self) -> Result<Vec<TracedCall>, GraphError> {
        read_calls(&self.raw())
    }

    /// The call, with the one behind it that shows its end.
    fn call(&mut self) -> TracedCall {
        self.enter(1, u64::MAX);
        find_matching(self.calls().unwrap(), 41, &[Some(2)]).unwrap()
    }
}

fn stats(entries: u64) -> String {
    format!(
        "entries: {entries}\noverrun: 0\ncommit overrun: 0\nbytes: 9\ndropped events: 0\nread events: 0\n"
    )
}

/// Function, depth and whether it is an interrupt's.
fn shape(call: &TracedCall) -> Vec<(u64, u32, bool)> {
    let row = |frame: &super::Frame| (frame.address, frame.depth, frame.interrupt);
    call.frames.iter().map(row).collect()
}

/// Check that only what runs from the entry of the call to user space belongs to it: not what reports the events, nor other tasks, nor
/// other calls; and that what ran on the way back is told apart.
#[test]
fn from_entry_to_user_space() {
    let mut trace = Trace::new();
    // A function that began before the trace returns first.
    trace
        .exit(9, 0)
        .entry(1, 0)
        .enter(41, 2)
        .entry(2, 1)
        .exit(2, 1)
        .exit(1, 0);
    trace.entry(10, 0).of(72).entry(50, 0).exit(50, 0).of(71);
    trace
        .entry(11, 1)
        .exit(11, 1)
        .entry(11, 1)
        .exit(11, 1)
        .exit(10, 0);
    trace
        .entry(3, 0)
        .entry(4, 1)
        .exit(4, 1)
        .leave(41, 3)
        .entry(7, 1)
        .exit(7, 1)
        .exit(3, 0);
    trace.entry(5, 0).entry(8, 1).exit(8, 1).exit(5, 0);
    trace
        .entry(1, 0)
        .enter(1, 1)
        .entry(2, 1)
        .exit(2, 1)
        .exit(1, 0)
        .entry(6, 0)
        .exit(6, 0)
        .leave(1, 20);
    let call = trace.call();
    assert_eq!(
        shape(&call),
        [
            (10, 0, false),
            (11, 1, false),
            (11, 1, false),
            (5, 0, false),
            (8, 1, false)
        ]
    );
    assert_eq!(call.before_exit, 3);
    assert_eq!((call.number, call.returned, call.args[0]), (41, Some(3), 2));
    assert!(
        call.frames
            .iter()
            .all(|frame| frame.duration_ns == Some(500))
    );
    // The other task's records let time pass, too.
    assert_eq!(call.frames[1].start_ns - call.frames[0].start_ns, 3 * 101);
    let all = trace.calls().unwrap();
    assert_eq!(all.len(), 3);
    assert_eq!(shape(&all[1]), [(6, 0, false)]);
    for (number, args) in [(41, Some(3)), (42, None)] {
        assert_eq!(
            find_matching(all.clone(), number, &[args]),
            Err(GraphError::NoCall { number })
        );
    }
}

/// Check that a call is what was made by the functions that also called the one which reported its beginning, as on arm64, where the tracer
/// sees what enters the kernel; that what reports the events is not of it, nor what enters the kernel for the next one.
#[test]
fn made_by_functions_that_are_traced() {
    // 1 and 2 enter the kernel, 3 and 4 report the beginning, 10 and 11 are the call, 5 and 6 report its end.
    let mut trace = Trace::new();
    for (number, first) in [(41, 2), (1, u64::MAX)] {
        trace.entry(1, 0).entry(2, 1).entry(3, 2);
        trace.enter(number, first).entry(4, 3).exit(4, 3).exit(3, 2);
        trace.entry(10, 2).entry(11, 3).exit(11, 3).exit(10, 2);
        trace.entry(5, 2).leave(number, 3).entry(6, 3).exit(6, 3);
        trace.exit(5, 2).exit(2, 1).exit(1, 0);
    }
    let calls = trace.calls().unwrap();
    assert_eq!(calls.len(), 2);
    assert_eq!(shape(&calls[0]), [(10, 0, false), (11, 1, false)]);
    assert_eq!((calls[0].before_exit, calls[0].until_user_space), (2, true));
}

/// Check that calls of a sequence are found in their order, also two of the same number whose arguments are not known, and that one
/// which came too early is not there.
#[test]
fn calls_in_order() {
    let mut trace = Trace::new();
    for (number, result) in [(41, 3), (42, 0), (41, 4)] {
        trace
            .enter(number, 2)
            .entry(10, 0)
            .exit(10, 0)
            .leave(number, result);
    }
    trace.enter(1, u64::MAX);
    let all = trace.calls().unwrap();
    let returned = |wanted: &[i64]| {
        let wanted: Vec<_> = wanted.iter().map(|number| (*number, vec![None])).collect();
        let found = find_in_order(all.clone(), &wanted)?;
        Ok(found.iter().map(|call| call.returned).collect::<Vec<_>>())
    };
    assert_eq!(returned(&[41, 41]), Ok(vec![Some(3), Some(4)]));
    assert_eq!(returned(&[42, 41]), Ok(vec![Some(0), Some(4)]));
    assert_eq!(
        returned(&[41, 42, 42]),
        Err(GraphError::NoCall { number: 42 })
    );
}

/// Check that a trace that ends before the task is back in user space is refused.
#[test]
fn no_end() {
    let mut trace = Trace::new();
    trace
        .enter(41, 2)
        .entry(10, 0)
        .exit(10, 0)
        .leave(41, 3)
        .entry(5, 0)
        .exit(5, 0);
    let refused = find_matching(trace.calls().unwrap(), 41, &[]);
    assert_eq!(refused, Err(GraphError::NoEnd));
    assert!(
        find_matching(
            {
                trace.enter(1, 1);
                trace.calls().unwrap()
            },
            41,
            &[]
        )
        .is_ok()
    );
}

/// Check that an interrupt is told from the call: what runs in one, and what counts it in and out, with all that they call.
#[test]
fn interrupts() {
    let mut trace = Trace::new();
    trace.enter(41, 2).entry(10, 0);
    trace
        .entry(20, 1)
        .entry(24, 2)
        .exit(24, 2)
        .with_flags(HARD)
        .exit(20, 1);
    trace.entry(21, 1).entry(22, 2).exit(22, 2).exit(21, 1);
    trace
        .entry(23, 1)
        .with_flags(0)
        .entry(25, 2)
        .exit(25, 2)
        .exit(23, 1);
    trace.entry(11, 1).exit(11, 1).exit(10, 0).leave(41, 3);
    let interrupt = [20, 24, 21, 22, 23, 25];
    for (function, _, marked) in shape(&trace.call()) {
        assert_eq!(marked, interrupt.contains(&function), "{function}");
    }
}

/// Check that an interrupt between the record of a return and the return itself, which stands one level too deep, is understood.
#[test]
fn interrupt_in_a_return() {
    let mut trace = Trace::new();
    trace.enter(41, 2).entry(10, 0).entry(11, 1).exit(11, 1);
    trace.too_deep();
    trace.entry(12, 1).exit(12, 1).exit(10, 0).leave(41, 3);
    let shape = shape(&trace.call());
    assert_eq!(
        shape,
        [
            (10, 0, false),
            (11, 1, false),
            (20, 1, true),
            (21, 2, true),
            (22, 1, true),
            (12, 1, false)
        ]
    );
}

/// Check that an interrupt between a function's beginning and the record of it is understood, and that the function has to be recorded
/// then; and that any other gap in the depths is a lost record.
#[test]
fn interrupt_in_an_entry() {
    let mut trace = Trace::new();
    trace.enter(41, 2).entry(10, 0);
    trace.too_deep();
    trace.entry(12, 1).exit(12, 1).exit(10, 0).leave(41, 3);
    assert_eq!(
        shape(&trace.call()),
        [
            (10, 0, false),
            (20, 1, true),
            (21, 2, true),
            (22, 1, true),
            (12, 1, false)
        ]
    );
    let mut never = Trace::new();
    never
        .enter(41, 2)
        .entry(10, 0)
        .entry(20, 2)
        .exit(20, 2)
        .exit(10, 0)
        .leave(41, 3);
    assert_eq!(never.calls(), Err(GraphError::Unpaired { record: 4 }));
    let mut lost = Trace::new();
    lost.enter(41, 2)
        .entry(10, 0)
        .entry(11, 3)
        .exit(11, 3)
        .exit(10, 0)
        .leave(41, 3);
    let depth = GraphError::Depth {
        record: 2,
        depth: 3,
        expected: 1,
    };
    assert_eq!(lost.calls(), Err(depth));
}

/// Check that an interrupt in a function that has been counted out and whose return is not recorded yet, as older kernels have it,
/// is understood; and that a return that is missing is not taken for that.
#[test]
fn interrupt_in_a_function_that_is_counted_out() {
    let mut trace = Trace::new();
    trace.enter(41, 2).entry(10, 0).entry(11, 1);
    trace
        .entry(20, 1)
        .entry(21, 2)
        .exit(21, 2)
        .exit(20, 1)
        .entry(22, 1)
        .exit(22, 1)
        .exit(11, 1);
    trace.entry(12, 1).exit(12, 1).exit(10, 0).leave(41, 3);
    assert_eq!(
        shape(&trace.call()),
        [
            (10, 0, false),
            (11, 1, false),
            (20, 2, true),
            (21, 3, true),
            (22, 2, true),
            (12, 1, false)
        ]
    );
    let lost: [fn(&mut Trace); 5] = [
        // The return of 11.
        |trace| _ = trace.entry(12, 1).exit(12, 1).exit(10, 0),
        |trace| _ = trace.entry(12, 1).exit(12, 1),
        |trace| _ = trace.entry(12, 1).exit(12, 1).enter(1, 1),
        // Behind an interrupt, 11 calls no more.
        |trace| _ = trace.entry(20, 1).exit(20, 1).entry(12, 2).exit(12, 2),
        |trace| _ = trace.entry(20, 1).exit(20, 1).entry(12, 3).exit(12, 3),
    ];
    for (at, rest) in lost.iter().enumerate() {
        let mut trace = Trace::new();
        trace.enter(41, 2).entry(10, 0).entry(11, 1);
        rest(&mut trace);
        trace.leave(41, 3);
        assert!(trace.calls().is_err(), "{at}");
    }
}

/// Check that a call that does not return is there with what it ran, without an end.
#[test]
fn no_return() {
    let mut trace = Trace::new();
    trace
        .enter(41, 2)
        .entry(10, 0)
        .entry(11, 1)
        .exit(11, 1)
        .entry(12, 1);
    let call = trace.call();
    assert_eq!(call.returned, None);
    let ended: Vec<bool> = call
        .frames
        .iter()
        .map(|frame| frame.duration_ns.is_some())
        .collect();
    assert_eq!(ended, [false, true, false]);
}

/// Check that whatever may have left a function out refuses the whole trace.
#[test]
fn losses() {
    let mut whole = Trace::new();
    whole
        .enter(41, 2)
        .entry(10, 0)
        .entry(11, 1)
        .exit(11, 1)
        .exit(10, 0)
        .leave(41, 3);
    let raw = whole.raw();
    assert!(read_calls(&raw).is_ok());
    for counter in ["overrun", "commit overrun", "dropped events"] {
        let mut lossy = raw.clone();
        let (none, one) = (format!("\n{counter}: 0"), format!("\n{counter}: 1"));
        lossy.cpus[0].stats = lossy.cpus[0].stats.replace(&none, &one);
        assert!(
            matches!(read_calls(&lossy), Err(GraphError::Lost { count: 1, .. })),
            "{counter}"
        );
        lossy.cpus[0].stats = raw.cpus[0].stats.replace(&none, "\n");
        assert!(
            matches!(read_calls(&lossy), Err(GraphError::Uncounted { .. })),
            "{counter}"
        );
    }
    let mut fewer = raw.clone();
    fewer.cpus[0].stats = stats(whole.records + 1);
    assert!(matches!(read_calls(&fewer), Err(GraphError::Count { .. })));
    // The kernel's own mark on a page.
    for bit in [30, 31] {
        let mut marked = raw.clone();
        marked.cpus[0].pages[8 + bit / 8] |= 1 << (bit % 8);
        assert!(
            matches!(read_calls(&marked), Err(GraphError::Page { .. })),
            "{bit}"
        );
    }
    let mut cut = raw.clone();
    cut.cpus[0].pages.truncate(100);
    assert!(matches!(read_calls(&cut), Err(GraphError::Page { .. })));
    let mut formats = raw.clone();
    formats.formats.exit = formats.formats.exit.replace("overrun", "other");
    assert!(matches!(
        read_calls(&formats),
        Err(GraphError::Field {
            field: "overrun",
            ..
        })
    ));
    let broken: [fn(&mut Trace); 4] = [
        |trace| _ = trace.exit(12, 1),
        |trace| _ = trace.exit(11, 2),
        |trace| _ = trace.exit_with(11, 1, 1).exit_with(10, 0, 2),
        |trace| _ = trace.exit(11, 1).exit(10, 0).exit(8, 0),
    ];
    for (at, breaks) in broken.iter().enumerate() {
        let mut trace = Trace::new();
        trace
            .exit_with(9, 0, 1)
            .enter(41, 2)
            .entry(10, 0)
            .entry(11, 1);
        breaks(&mut trace);
        assert!(trace.calls().is_err(), "{at}");
    }
}

/// Check that the time of a record is understood in each form that the kernel gives it, and that records of any length are.
#[test]
fn times_and_lengths() {
    let mut trace = Trace::new();
    trace.enter(41, 2).entry(10, 0);
    // Time passes: type 30, 2^27 * 3 + 5.
    trace.data.extend((30u32 | 5 << 5).to_le_bytes());
    trace.data.extend(3u32.to_le_bytes());
    trace.entry(11, 1);
    // An absolute time: type 31.
    trace.data.extend((31u32 | 7 << 5).to_le_bytes());
    trace.data.extend(9u32.to_le_bytes());
    trace.exit(11, 1);
    // A record that was taken back, and one whose length stands behind the header.
    trace.data.extend((29u32 | 1 << 5).to_le_bytes());
    trace.data.extend(8u32.to_le_bytes());
    trace.data.extend([0; 4]);
    let before = trace.data.len();
    trace.exit(10, 0);
    let body = trace.data.split_off(before + 4);
    trace.data.truncate(before);
    trace.data.extend((101u32 << 5).to_le_bytes());
    trace.data.extend((body.len() as u32 + 4).to_le_bytes());
    trace.data.extend(body);
    trace.leave(41, 3);
    let mut raw = trace.raw();
    // Durations by the records' own times.
    raw.formats.exit = raw.formats.exit.replace("calltime", "other");
    let call = read_calls(&raw).unwrap().remove(0);
    assert_eq!(call.frames[0].start_ns, 101);
    assert_eq!(call.frames[1].start_ns, 101 + (3 << 27) + 5 + 101);
    let absolute = (9u64 << 27) + 7;
    let began = 5_000 + 2 * 101;
    assert_eq!(
        call.frames[1].duration_ns,
        Some(absolute + 101 - (began + (3 << 27) + 5 + 101))
    );
    assert_eq!(call.frames[0].duration_ns, Some(absolute + 202 - began));
}

/// Check that a record which is shorter than the kernel's description is refused, and not read as one of function 0, depth 0 or
/// another task.
#[test]
fn short_records() {
    let bodies: [(u16, &[u8]); 4] = [
        (11, &[0; 8]),
        (10, &[0; 12]),
        (386, &[0; 48]),
        (385, &[0; 8]),
    ];
    for (kind, body) in bodies {
        let mut trace = Trace::new();
        trace.enter(41, 2).entry(1, 0).record(kind, body);
        assert_eq!(
            trace.calls(),
            Err(GraphError::Short { record: 2 }),
            "{kind}"
        );
    }
}

/// Check that the argument registers behind an entry are read where the kernel records them, as many as there are, and that records
/// without them are read as before.
#[test]
fn argument_registers() {
    let mut raw = Trace::new().enter(41, 2).raw();
    raw.formats.entry += "\tfield:unsigned long args[];\toffset:20;\tsize:0;\tsigned:0;\n";
    let mut trace = Trace::new();
    trace.enter(41, 2);
    let mut body = 1u64.to_le_bytes().to_vec();
    body.extend(0i32.to_le_bytes());
    for word in [7u64, u64::MAX] {
        body.extend(word.to_le_bytes());
    }
    trace.record(11, &body).entry(2, 1).exit(2, 1).exit(1, 0);
    let with = trace.leave(41, 3).enter(1, u64::MAX).raw();
    raw.cpus = with.cpus;
    let registers = |raw: &RawGraph| {
        let call = find_matching(read_calls(raw).unwrap(), 41, &[Some(2)]).unwrap();
        let each = call.frames.iter().map(|frame| frame.registers.clone());
        each.collect::<Vec<_>>()
    };
    assert_eq!(registers(&raw), [vec![7, u64::MAX], Vec::new()]);
    raw.formats = formats();
    assert_eq!(registers(&raw), [Vec::<u64>::new(), Vec::new()]);
}

//! The trees that we read from the tracer's binary records, against the tracer's own text of the same buffer.
//! Needs QEMU, and the network or cached kernels.

use crate::job;
use crate::support;

use qed_collector::assemble::arguments::parameters;
use qed_collector::btf::Btf;
use qed_collector::graph::raw::RawGraph;
use qed_collector::graph::{Frame, TracedCall, find_matching, read_calls};
use qed_collector::symbols::Kallsyms;

use job::{TestJob, Traced};

/// System calls, with the arguments of an experiment's workload and those that are known before.
const CALLS: [(&str, i64, &str, &[Option<i64>]); 4] = [
    (
        "socket",
        41,
        "\"AF_INET\", \"SOCK_STREAM\", 0",
        &[Some(2), Some(1), Some(0)],
    ),
    (
        "openat",
        257,
        "\"AT_FDCWD\", { text = \"/proc/version\" }, \"O_RDONLY\"",
        &[Some(-100), None, Some(0)],
    ),
    (
        "pipe2",
        293,
        "{ buffer = \"ends\", size = 8 }, \"O_CLOEXEC\"",
        &[None, Some(0o2_000_000)],
    ),
    // CLONE_VM, _FS, _FILES, _SIGHAND, _THREAD and _SYSVSEM: a thread.
    (
        "clone",
        56,
        "\"0x50f00\", 0, 0, 0, 0",
        &[Some(0x50f00), Some(0)],
    ),
];

fn investigation() -> String {
    let experiment = |(name, _, args, _): &(&str, i64, &str, &[Option<i64>])| {
        format!(
            "[[experiment]]\nname = \"{name}\"\nworkload = {{ syscall = \"{name}\", args = [{args}] }}\ngraph = true\n"
        )
    };
    CALLS.iter().map(experiment).collect()
}

/// A line of the tracer's text that begins a function.
struct Line {
    /// Depth below the first function.
    depth: usize,
    name: String,
    /// Names and values of its arguments.
    arguments: Vec<(String, String)>,
}

impl Line {
    /// Read `vfs_open(path=0xffff8881…, file=0xffff8881…) {` or `vfs_open();`.
    fn new(depth: usize, text: &str) -> Self {
        let text = text.split("/*").next().unwrap_or_default();
        let (name, rest) = text.split_once('(').unwrap_or((text, ""));
        let inner = rest.rsplit_once(')').map_or("", |(inner, _)| inner);
        let arguments = inner.split(", ").filter_map(|one| one.split_once('='));
        Self {
            depth,
            name: name.to_owned(),
            arguments: arguments
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect(),
        }
    }
}

/// The functions in the tracer's text of one system call, until the next one of the task `tid`. Functions that are open where it
/// begins or ends are left out.
///
/// ```text
///  0)     exe-79    |               |  /* sys_enter: NR 41 (2, 1, 0, 0, 0, 0) */
///  0)     exe-79    |               |  __x64_sys_socket() {
///  0)     exe-79    |   0.802 us    |    _raw_spin_lock();
///  0)     exe-79    |               |  }
/// ```
fn by_text(trace: &str, tid: u32, number: i64) -> Vec<Line> {
    let (enter, exit) = (
        format!("/* sys_enter: NR {number} "),
        format!("/* sys_exit: NR {number} "),
    );
    let mut inside = false;
    // Where each function that is open stands in the list; `None` of what began before.
    let mut open: Vec<Option<usize>> = Vec::new();
    let mut found: Vec<Line> = Vec::new();
    for line in trace.lines().filter(|line| !line.starts_with('#')) {
        let mut columns = line.splitn(3, '|');
        let (Some(task), Some(_), Some(right)) = (columns.next(), columns.next(), columns.next())
        else {
            continue;
        };
        if !task.trim_end().ends_with(&format!("-{tid}")) {
            continue;
        }
        let right = right.trim();
        if right.starts_with(&enter) && !inside {
            inside = true;
            open.iter_mut().for_each(|one| *one = None);
        } else if (right.starts_with(&exit) || right.starts_with("/* sys_enter: ")) && inside {
            if let Some(first) = open.iter().find_map(|one| *one) {
                found.truncate(first);
            }
            open.iter_mut().for_each(|one| *one = None);
            if !right.starts_with(&exit) {
                return found;
            }
        } else if right.starts_with("/*") || right.is_empty() {
            continue;
        } else if right.starts_with('}') {
            open.pop();
        } else {
            let within = open.last().is_none_or(|one| one.is_some());
            let depth = open.iter().filter(|one| one.is_some()).count();
            let at = (inside && within).then(|| {
                found.push(Line::new(depth, right));
                found.len() - 1
            });
            match right
                .split("/*")
                .next()
                .unwrap_or_default()
                .trim_end()
                .ends_with('{')
            {
                true => open.push(at),
                false => assert!(right.contains(");"), "{line}"),
            }
        }
    }
    panic!("no end of system call {number} in:\n{trace}")
}

fn by_records(call: &TracedCall, kallsyms: &Kallsyms) -> Vec<(usize, Vec<String>)> {
    let names = |address| {
        let symbol = kallsyms.resolve(address).expect("a symbol");
        let all = std::iter::once(symbol.name).chain(symbol.aliases.iter().copied());
        all.map(str::to_owned).collect()
    };
    let rows = call.frames.iter();
    rows.map(|frame| (frame.depth as usize, names(frame.address)))
        .collect()
}

/// Check that the arguments of a run are those of the tracer's text, and count them. The tracer writes whole registers, of which a type
/// may use a part; of a structure by value it writes what it finds, and we say nothing.
fn compare_arguments(run: &Frame, line: &Line, btf: &Btf<'_>) -> usize {
    let Some(ours) = parameters(&line.name, btf) else {
        return 0;
    };
    let mut compared = 0;
    for (at, parameter) in ours.iter().enumerate() {
        let Some(value) = parameter.value(&run.registers) else {
            continue;
        };
        let Some((name, theirs)) = line.arguments.get(at) else {
            panic!(
                "{} has no {} in {:?}",
                line.name, parameter.name, line.arguments
            )
        };
        // `2 [CPUTIME_SYSTEM]`
        let (theirs, constant) = match theirs.split_once(" [") {
            Some((number, rest)) => (number, rest.strip_suffix(']')),
            None => (theirs.as_str(), None),
        };
        let register = match theirs.strip_prefix("0x") {
            Some(digits) => u64::from_str_radix(digits, 16).ok(),
            None => theirs.parse::<i64>().ok().map(|value| value as u64),
        };
        let register = register.unwrap_or_else(|| panic!("{}: {:?}", line.name, line.arguments));
        assert!(
            name.is_empty() || *name == parameter.name,
            "{}: {name} is {} here",
            line.name,
            parameter.name
        );
        assert_eq!(
            parameter.value(&[register; 6]),
            Some(value),
            "{} {name}={theirs}: {:x?}",
            line.name,
            run.registers
        );
        if let Some(constant) = constant {
            let shown = parameter
                .value(&run.registers)
                .map(|value| value.to_string());
            assert_eq!(shown.as_deref(), Some(constant), "{}", line.name);
        }
        compared += 1;
    }
    compared
}

/// Check the trees of all calls in a guest, and that arguments are there exactly where the kernel is known to record them.
fn agree(guest: &str, has_arguments: bool) {
    let job = TestJob::Graph {
        name: "graph.toml".into(),
        text: investigation(),
    };
    let answer = support::guest_job(guest, job.file().expect("a job"), Vec::new());
    let traced: Traced = postcard::from_bytes(&answer).expect("an answer");
    let kallsyms = Kallsyms::parse(traced.kallsyms, None).expect("symbols");
    let btf = Btf::parse(&traced.btf).expect("types");
    assert_eq!(traced.traces.len(), CALLS.len());
    for ((name, number, _, args), (raw, trace)) in CALLS.iter().zip(&traced.traces) {
        let raw: RawGraph = postcard::from_bytes(raw).expect("records");
        let all =
            read_calls(&raw).unwrap_or_else(|error| panic!("{guest} {name}: {error}\n{trace}"));
        let call = find_matching(all, *number, args)
            .unwrap_or_else(|error| panic!("{guest} {name}: {error}\n{trace}"));
        let ours = by_records(&call, &kallsyms);
        let theirs = by_text(trace, raw.tid, *number);
        for (at, (ours, theirs)) in ours.iter().zip(&theirs).enumerate() {
            assert!(
                ours.0 == theirs.depth && ours.1.contains(&theirs.name),
                "{guest} {name}: line {at} is {ours:?} here and {} {} in\n{trace}",
                theirs.depth,
                theirs.name
            );
        }
        let pairs = call.frames.iter().zip(&theirs);
        let arguments: usize = pairs
            .map(|(run, line)| compare_arguments(run, line, &btf))
            .sum();
        match has_arguments {
            true => assert!(arguments >= 20, "{guest} {name}: {arguments} arguments"),
            false => assert!(call.frames.iter().all(|run| run.registers.is_empty())),
        }
        assert_eq!(ours.len(), theirs.len(), "{guest} {name}:\n{trace}");
        // Fewer would mean that nothing was compared.
        assert!(ours.len() >= 20, "{guest} {name}: {} calls", ours.len());
        assert!(
            call.returned.is_some_and(|returned| returned >= 0),
            "{guest} {name}: {:?}",
            call.returned
        );
        println!(
            "{guest} {name}: {} calls, {arguments} arguments, 0 differences",
            ours.len()
        );
    }
}

/// Check that on 6.1 order and nesting of all functions are those of the tracer's own text.
#[test]
fn debian_6_1() {
    agree("debian-6.1", false);
}

/// Check that on 6.12 order and nesting of all functions are those of the tracer's own text.
#[test]
fn debian_6_12() {
    agree("debian-6.12", false);
}

/// Check that on 7.3 order and nesting of all functions and their arguments are those of the tracer's own text.
#[test]
fn debian_7_3() {
    agree("debian-7.3", true);
}

/// Check that a call which writes to a setting of the tracer has no tree, though it leaves the setting as it was, and that one
/// which writes elsewhere has.
#[test]
fn settings_that_the_call_writes() {
    let experiment = |name: &str, file: &str| {
        format!(
            r#"
[[experiment]]
name = "{name}"
graph = true
[experiment.workload]
before = [{{ syscall = "openat", args = ["AT_FDCWD", {{ text = "{file}" }}, "O_WRONLY"], result = "file" }}]
syscall = "write"
args = ["$file", {{ text = "0" }}, 1]
"#
        )
    };
    let text = experiment("plain", "/dev/null")
        + &experiment("setting", "/sys/kernel/tracing/max_graph_depth");
    let (evidence, _) = support::captured_from("debian-6.12", &text);
    let graph = |name: &str| evidence.experiments[name].graph.clone();
    let plain = graph("plain").unwrap();
    assert!(
        plain.functions.iter().any(|one| one == "vfs_write"),
        "{plain:?}"
    );
    let written = graph("setting").unwrap().unavailable;
    let reason = written.unwrap_or_default();
    assert!(reason.contains("was written to while"), "{reason}");
}

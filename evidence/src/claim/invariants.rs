//! Invariants of evidence: rules that every document satisfies and that a negative control may not break. A claim that fails
//! only on values that break them is true of all evidence, and says nothing about this evidence.

use crate::document::facts::is_prototype;
use crate::document::value::{Frame, Value};
use crate::path::{EXPERIMENT_SECTIONS, SECTIONS, hit_number};
use crate::path_index::words;

use super::value::Version;

/// The lowest release of which evidence can exist: every event of every collector came through a BPF ring buffer, which older
/// kernels do not have (`BPF_MAP_TYPE_RINGBUF`, <https://elixir.bootlin.com/linux/v5.8/source/include/uapi/linux/bpf.h>).
pub(super) const LOWEST_RELEASE: &str = "5.8.0";

/// The highest error number that a system call returns
/// (<https://elixir.bootlin.com/linux/v6.12/source/include/linux/err.h#L18>).
const MAX_ERRNO: i128 = 4095;

/// The longest name of a task, in bytes, without its end (`PR_SET_NAME`,
/// <https://man7.org/linux/man-pages/man2/PR_SET_NAME.2const.html>).
const LONGEST_TASK: usize = 15;

/// True if a kernel of this release could be captured, or if the text is none.
fn captured(release: &str) -> bool {
    let version = |text| Version::parse(text).map(|version| version.order());
    version(release).is_none_or(|release| Some(release) >= version(LOWEST_RELEASE))
}

/// True if the leaf under this path is the stack of a hit, which begins where the probe is.
pub(super) fn begins_at_probe(path: &str) -> bool {
    let segments: Vec<&str> = path.split('.').collect();
    Event::of(&segments).is_some_and(|event| event.leaf == "stack")
}

/// The function of a stack's innermost frame, if it is known: the probed one. A function that is inlined at that place may be
/// another one.
pub(super) fn beginning(stack: &[Frame]) -> Option<&str> {
    let first = stack.first()?;
    match &first.site {
        Some(site) => {
            let outermost = site.inlined_into.last();
            Some(outermost.map_or(&site.function, |outer| &outer.function))
        }
        None => first.symbol.as_deref(),
    }
}

/// True if a document could hold this value under `path`.
pub(super) fn possible(path: &str, value: &Value) -> bool {
    if path == "kernel.release"
        && let Value::Text { value } = value
        && !captured(value)
    {
        return false;
    }
    if let Value::Text { value } = value
        && value.len() > LONGEST_TASK
        && is_task(path)
    {
        return false;
    }
    if let Value::Text { value } = value
        && let Some(function) = declared_function(path)
        && !is_prototype(value, function)
    {
        return false;
    }
    if let Some(words) = words(path) {
        return words.contains(&value.to_string().as_str());
    }
    match value {
        Value::Fd { value } => i128::from(*value) >= -MAX_ERRNO,
        // As the kernel returns it.
        Value::Errno { value, .. } if is_result(path) => *value < 0,
        // An unwind begins where the probe is.
        Value::Stack { value } | Value::CutStack { value, .. } => !value.is_empty(),
        Value::Text { value } | Value::CutText { value, .. } => {
            !value.is_empty() || may_be_empty(path)
        }
        Value::Bytes { value } | Value::CutBytes { value, .. } => {
            !value.0.is_empty() || may_be_empty(path)
        }
        other => other
            .as_integer()
            .is_none_or(|number| range(path).is_none_or(|range| range.contains(&number))),
    }
}

/// The function whose prototype is under this path.
fn declared_function(path: &str) -> Option<&str> {
    path.strip_prefix("functions.")?.strip_suffix(".prototype")
}

/// Names of leaves that count something and so are never negative.
const COUNTS: &[&str] = &[
    "hits",
    "order",
    "return_order",
    "cpu",
    "events",
    "lost",
    "missed",
    "attempts",
    "attached",
    "planned",
    "descendants",
    "skipped",
    "distinct",
    "distinct_physical",
    "allocated",
    "freed",
    "excused",
    "leaked",
    "runs",
    "iterations",
    "cpus",
    "count",
    "checked",
    "differing",
];

/// True if a leaf counts something by its place (and is not a read that happens to have such a name).
pub(super) fn is_count(path: &str) -> bool {
    let mut segments = path.rsplit(['.', '#']);
    let last = segments.next().unwrap_or_default();
    COUNTS.contains(&last)
        && !segments
            .next()
            .is_some_and(|group| ["args", "entry", "exit"].contains(&group))
}

fn is_task(path: &str) -> bool {
    let segments: Vec<&str> = path.split('.').collect();
    Event::of(&segments).is_some_and(|event| event.leaf == "task")
}

/// True if a text under this path is always of one form: as long, digits where this one has digits, and all else the same.
/// Identifiers, digests and times, which the collector or the linker writes.
pub(super) fn has_form(path: &str) -> bool {
    let segments: Vec<&str> = path.split('.').collect();
    matches!(
        segments[..],
        [
            "run",
            "id" | "time" | "investigation_digest" | "object_digest"
        ] | ["machine", "boot_id"]
            | ["kernel", "build_id" | "image_digest" | "btf_digest"]
            | ["boots", _, "boot_id" | "time"]
    )
}

/// True if both texts are of one form.
pub(super) fn same_form(a: &str, b: &str) -> bool {
    let decimal = !a.bytes().any(|byte| (b'a'..=b'f').contains(&byte));
    let is_digit = |byte: u8| match decimal {
        true => byte.is_ascii_digit(),
        false => matches!(byte, b'0'..=b'9' | b'a'..=b'f'),
    };
    let alike = |(x, y): (u8, u8)| x == y || (is_digit(x) && is_digit(y));
    a.len() == b.len() && a.bytes().zip(b.bytes()).all(alike)
}

/// True if the investigation alone determines the value of this path, so that nothing in the kernel could have changed it.
pub(super) fn given(path: &str) -> bool {
    let segments: Vec<&str> = path.split('.').collect();
    match segments[..] {
        ["run", "investigation"] | ["commands", _, "run"] => true,
        [section, ..] if SECTIONS.contains(&section) => false,
        [_, "workload"] | [_, "quality", "planned"] => true,
        _ => false,
    }
}

/// True if this is what a system call of the workload returned.
pub(super) fn is_result(path: &str) -> bool {
    let mut segments = path.split('.').skip(1);
    segments.next() == Some("outcome") && matches!(segments.next(), Some("returned" | "results"))
}

/// True if a text or bytes under this path can be empty: those that are read from memory, or written by a program.
fn may_be_empty(path: &str) -> bool {
    let segments: Vec<&str> = path.split('.').collect();
    match segments[..] {
        ["kernel", "config", _] | ["kernel", "command_line" | "lsm"] => true,
        ["commands", _, leaf, ..] => leaf != "run",
        [section, ..] if SECTIONS.contains(&section) => false,
        [_, "call", ..] | [_, "workload"] => false,
        [_, "outcome", ..] => true,
        [_, _, leaf] => !["definition", "instruction", "code", "backend"].contains(&leaf),
        [_, _, "members", ..] => false,
        _ => true,
    }
}

/// The numbers that a leaf can hold; `None` where its own kind says all.
fn range(path: &str) -> Option<std::ops::RangeInclusive<i128>> {
    /// The largest number of a task (<https://elixir.bootlin.com/linux/v6.12/source/include/linux/threads.h#L34>).
    const PID_MAX_LIMIT: i128 = 4 * 1024 * 1024;
    if path.ends_with("#coverage") {
        return Some(0..=100);
    }
    let segments: Vec<&str> = path.split('.').collect();
    if let Some(event) = Event::of(&segments) {
        return match event.leaf {
            // Before it came the probe's hits that are numbered lower.
            "order" | "return_order" => Some(i128::try_from(event.hit).unwrap_or(1)..=i128::MAX),
            "pid" | "tid" => Some(0..=PID_MAX_LIMIT),
            "cpu" | "offset" => Some(0..=i128::MAX),
            "attach_errno" => Some(0..=MAX_ERRNO),
            _ => None,
        };
    }
    Some(match segments[..] {
        ["machine", "cpus"] | ["boots", "count" | "distinct" | "distinct_physical"] => {
            1..=i128::MAX
        }
        // A bit field begins in the byte at its offset.
        ["types", .., "bit"] => 0..=7,
        ["types", .., "bits"] => 1..=64,
        ["types" | "tracepoints", .., "size" | "offset"] | ["syscalls", _, "number"] => {
            0..=i128::MAX
        }
        [_, "cost", "iterations"] => 1..=i128::MAX,
        // An experiment that saw none is an error.
        [_, "quality", "attempts" | "planned" | "events"] => 1..=i128::MAX,
        [_, "outcome", "exit"] | ["commands", _, "exit"] => 0..=255,
        // As user space sees them.
        [_, "outcome", "errno"] => 0..=MAX_ERRNO,
        [_, _, "members", _, _, "offset"] => 0..=i128::MAX,
        // The last real-time signal (<https://man7.org/linux/man-pages/man7/signal.7.html>).
        [_, "outcome", "signal"] => 1..=64,
        _ => return None,
    })
}

/// A leaf of one hit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Event<'p> {
    pub experiment: &'p str,
    pub probe: &'p str,
    /// Counted from 1.
    pub hit: usize,
    pub leaf: &'p str,
}

impl<'p> Event<'p> {
    /// The leaf of a hit that a path of these segments leads to.
    pub fn of(segments: &[&'p str]) -> Option<Self> {
        let (experiment, probe, hit, leaf) = match *segments {
            [experiment, probe, leaf] => (experiment, probe, 1, leaf),
            [experiment, probe, hit, leaf] => (experiment, probe, hit_number(hit)?, leaf),
            _ => return None,
        };
        let probes = !SECTIONS.contains(&experiment) && !EXPERIMENT_SECTIONS.contains(&probe);
        probes.then_some(Event {
            experiment,
            probe,
            hit,
            leaf,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Check that values which no document holds are none that a leaf could have had, and others are.
    #[test]
    fn ranges_of_leaves() {
        let count = |value| crate::document::count(value);
        for (path, value, wanted) in [
            ("e.p.order", count(0), false),
            ("e.p.hit2.return_order", count(0), false),
            ("e.p.order", count(1), true),
            ("e.p.args.order", count(0), true),
            ("e.p.hits", count(0), true),
            ("e.quality.events", count(0), false),
            ("e.quality.events", count(1), true),
            ("e.quality.lost", count(0), true),
            ("kernel.release", Value::text("0.1.0"), false),
            ("kernel.release", Value::text("5.7.20"), false),
            ("kernel.release", Value::text("5.8.0"), true),
            ("kernel.release", Value::text("6.1.0-50-amd64"), true),
            ("kernel.release", Value::text("?6.1.0"), true),
            ("machine.cpu_model", Value::text("0.1.0"), true),
            ("e.outcome.exit", count(256), false),
            ("types.socket.size", Value::int(-1), false),
            ("types.socket.size", count(0), true),
            ("types.t.members.a.b.offset", Value::int(-1), false),
            ("types.t.members.m.bit", count(8), false),
            ("types.t.members.m.bit", count(7), true),
            ("types.t.members.m.bits", count(0), false),
            ("types.t.members.m.bits", count(65), false),
            ("types.t.ENUMERATOR", Value::int(-1), true),
            ("tracepoints.t.fields.f.size", Value::int(-1), false),
            ("tracepoints.t.fields.f.offset", Value::int(-1), false),
            ("syscalls.socket.number", Value::int(-1), false),
            ("e.graph#book#coverage", count(101), false),
            ("e.graph#book#coverage", count(100), true),
            ("e.p.stack", Value::Stack { value: Vec::new() }, false),
            ("kernel.release", Value::text(""), false),
            ("kernel.config.CONFIG_A", Value::text(""), true),
            ("e.outcome.stdout", Value::text(""), true),
            ("e.p.args.name", Value::text(""), true),
            ("e.p.hit1.args.name", Value::text(""), true),
            ("machine.kind", Value::text("qed"), false),
            ("machine.kind", Value::text("host"), true),
        ] {
            assert_eq!(possible(path, &value), wanted, "{path}: {value}");
        }
    }
}

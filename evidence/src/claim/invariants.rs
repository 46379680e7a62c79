//! Invariants of evidence: rules that every document satisfies and that a negative control may not break. A claim that fails
//! only on values that break them is true of all evidence, and says nothing about this evidence.

use std::ops::RangeInclusive;

use crate::document::facts::is_prototype;
use crate::document::fields::{
    Bounds, Changes, Drift, Form, LeafRule, MAX_ERRNO, leaf_rule, ledger_rule,
};
use crate::document::value::{Frame, Value};
use crate::path::{EXPERIMENT_SECTIONS, SECTIONS, hit_number, split_path};
use crate::path_index::leaf_words;

use super::graph::{COVERAGE, GRAPH, RUNS};
use super::value::Version;

/// The lowest release of which evidence can exist: every event of every collector came through a BPF ring buffer, which older
/// kernels do not have (`BPF_MAP_TYPE_RINGBUF`, <https://elixir.bootlin.com/linux/v5.8/source/include/uapi/linux/bpf.h>).
pub(super) const LOWEST_RELEASE: &str = "5.8.0";

/// The longest name of a task, in bytes, without its end (`PR_SET_NAME`,
/// <https://man7.org/linux/man-pages/man2/PR_SET_NAME.2const.html>).
const LONGEST_TASK: usize = 15;

/// The most frames that a stack is recorded with: `kernel.perf_event_max_stack` as nobody has changed it (`PERF_MAX_STACK_DEPTH`,
/// <https://elixir.bootlin.com/linux/v6.12/source/include/uapi/linux/perf_event.h>).
pub(super) const MOST_FRAMES: usize = 127;

/// True if a kernel of this release could be captured, or if the text is none.
fn is_supported_release(release: &str) -> bool {
    let version = |text| Version::measured(text).map(|version| version.order());
    version(release).is_none_or(|release| Some(release) >= version(LOWEST_RELEASE))
}

/// True if the leaf under this path is the stack of a hit, which begins where the probe is.
pub(super) fn begins_at_probe(path: &str) -> bool {
    let segments: Vec<&str> = split_path(path).collect();
    HitLeaf::from_segments(&segments).is_some_and(|event| event.leaf == "stack")
}

/// The function of a stack's innermost frame, if it is known: the probed one. A function that is inlined at that place may be
/// another one.
pub(super) fn innermost_function(stack: &[Frame]) -> Option<&str> {
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
pub(super) fn is_possible(path: &str, value: &Value) -> bool {
    if path == "kernel.release"
        && let Value::Text { value } = value
        && !is_supported_release(value)
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
        && let Some(function) = prototype_function(path)
        && !is_prototype(value, function)
    {
        return false;
    }
    if let Some(words) = leaf_words(path) {
        return words.contains(&value.to_string().as_str());
    }
    match value {
        Value::Fd { value } => i128::from(*value) >= -MAX_ERRNO,
        // As the kernel returns it.
        Value::Errno { value, .. } if is_result(path) => *value < 0,
        // An unwind begins where the probe is.
        Value::Stack { value } | Value::CutStack { value, .. } => {
            (1..=MOST_FRAMES).contains(&value.len())
        }
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
fn prototype_function(path: &str) -> Option<&str> {
    path.strip_prefix("functions.")?.strip_suffix(".prototype")
}

/// What is true of what a claim reads under this key, from the tables of the document; `None` of what has no row.
fn rule(key: &str) -> Option<LeafRule> {
    match key.split_once('#') {
        None => leaf_rule(key),
        Some(_) if key.contains(GRAPH) => graph_rule(key),
        // The ledger of one probe.
        Some((_, leaf)) => ledger_rule(leaf),
    }
}

/// What is true of what a claim reads of the tree of a call, which is no leaf.
fn graph_rule(key: &str) -> Option<LeafRule> {
    const PERCENT: (i128, i128) = (0, 100);
    let (_, leaf) = key.rsplit_once('#')?;
    let of = |form: Form, range: Option<(i128, i128)>| LeafRule {
        changes: Changes::Always(Drift::PerKernel),
        form,
        bounds: Bounds {
            range,
            ..Bounds::default()
        },
        optional: false,
    };
    match leaf {
        RUNS => Some(of(Form::Count, None)),
        COVERAGE => Some(of(Form::Plain, Some(PERCENT))),
        _ => None,
    }
}

/// True if a leaf counts something.
pub(super) fn is_count(key: &str) -> bool {
    rule(key).is_some_and(|rule| matches!(rule.form, Form::Count | Form::Order))
}

fn is_task(path: &str) -> bool {
    let segments: Vec<&str> = split_path(path).collect();
    HitLeaf::from_segments(&segments).is_some_and(|event| event.leaf == "task")
}

/// True if a text under this path is always of one form.
pub(super) fn has_form(path: &str) -> bool {
    rule(path).is_some_and(|rule| rule.bounds.formed)
}

/// True if both texts are of one form.
pub(super) fn have_same_form(a: &str, b: &str) -> bool {
    let decimal = !a.bytes().any(|byte| (b'a'..=b'f').contains(&byte));
    let is_digit = |byte: u8| match decimal {
        true => byte.is_ascii_digit(),
        false => matches!(byte, b'0'..=b'9' | b'a'..=b'f'),
    };
    let alike = |(x, y): (u8, u8)| x == y || (is_digit(x) && is_digit(y));
    a.len() == b.len() && a.bytes().zip(b.bytes()).all(alike)
}

/// True if the investigation alone determines the value of this path.
pub(super) fn is_given(path: &str) -> bool {
    rule(path).is_some_and(|rule| rule.bounds.given)
}

/// True if this is what a system call of the workload returned.
pub(super) fn is_result(path: &str) -> bool {
    rule(path).is_some_and(|rule| rule.form == Form::Returned)
}

/// True if a text or bytes under this path can be empty.
fn may_be_empty(path: &str) -> bool {
    rule(path).is_some_and(|rule| rule.bounds.may_be_empty)
}

/// The numbers that a leaf can hold; `None` where its own kind says all.
fn range(path: &str) -> Option<RangeInclusive<i128>> {
    let rule = rule(path)?;
    if rule.form == Form::Order {
        // Before it came the probe's hits that are numbered lower.
        let segments: Vec<&str> = split_path(path).collect();
        let hit = HitLeaf::from_segments(&segments)?.hit;
        return Some(i128::try_from(hit).unwrap_or(1)..=i128::MAX);
    }
    let (lowest, highest) = rule.bounds.range?;
    Some(lowest..=highest)
}

/// A leaf of one hit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct HitLeaf<'p> {
    pub experiment: &'p str,
    pub probe: &'p str,
    /// Counted from 1.
    pub hit: usize,
    pub leaf: &'p str,
}

impl<'p> HitLeaf<'p> {
    /// The leaf of a hit that a path of these segments leads to.
    pub fn from_segments(segments: &[&'p str]) -> Option<Self> {
        let (experiment, probe, hit, leaf) = match *segments {
            [experiment, probe, leaf] => (experiment, probe, 1, leaf),
            [experiment, probe, hit, leaf] => (experiment, probe, hit_number(hit)?, leaf),
            _ => return None,
        };
        let probes = !SECTIONS.contains(&experiment) && !EXPERIMENT_SECTIONS.contains(&probe);
        probes.then_some(HitLeaf {
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
        let count = |value| crate::document::count_value(value);
        let stack = |frames| {
            let frame = Frame {
                address: crate::document::value::Address(1 << 63),
                symbol: None,
                offset: None,
                site: None,
                interrupts: false,
            };
            vec![frame; frames]
        };
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
            ("e.p.stack", Value::Stack { value: stack(128) }, false),
            ("e.p.stack", Value::Stack { value: stack(127) }, true),
            ("kernel.release", Value::text(""), false),
            ("kernel.config.CONFIG_A", Value::text(""), true),
            ("e.outcome.stdout", Value::text(""), true),
            ("e.p.args.name", Value::text(""), true),
            ("e.p.hit1.args.name", Value::text(""), true),
            ("machine.kind", Value::text("qed"), false),
            ("machine.kind", Value::text("host"), true),
        ] {
            assert_eq!(is_possible(path, &value), wanted, "{path}: {value}");
        }
    }

    /// Check that the place of a leaf says whether it counts, and not its name alone: reads, results and options have names that
    /// others gave.
    #[test]
    fn counts() {
        for (key, wanted) in [
            ("e.p.hits", true),
            ("e.p.order", true),
            ("e.p.hit2.return_order", true),
            ("e.p.hit2.cpu", true),
            ("e.p.skipped", true),
            ("e.quality.events", true),
            ("e.quality.planned", true),
            ("e.quality.descendants", true),
            ("e.objects.leaked", true),
            ("e.p#leaked", true),
            ("e.cost.iterations", true),
            ("e.graph#f#runs", true),
            ("e.graph#f.part.0#all#runs", true),
            ("e.graph#f#parent", false),
            ("e.graph#book#coverage", false),
            ("boots.count", true),
            ("boots.distinct_physical", true),
            ("boots.differing", true),
            ("kaslr.checked", true),
            ("kaslr.differing", true),
            ("machine.cpus", true),
            ("e.cost.bare_ns", false),
            ("e.p.hit1.pid", false),
            ("e.p.args.hits", false),
            ("e.p.exit.pair.count", false),
            ("e.outcome.results.events", false),
            ("commands.c.values.count", false),
            ("kernel.config.order", false),
        ] {
            assert_eq!(is_count(key), wanted, "{key}");
        }
    }

    /// Check which leaves the investigation determines, which texts have a form, and which are results.
    #[test]
    fn other_rules() {
        let rules = |key| (is_given(key), has_form(key), is_result(key));
        let (given, formed, result) = (
            (true, false, false),
            (false, true, false),
            (false, false, true),
        );
        let none = (false, false, false);
        for (key, wanted) in [
            ("run.investigation", given),
            ("commands.c.run", given),
            ("e.workload", given),
            ("e.quality.planned", given),
            ("run.id", formed),
            ("run.time", formed),
            ("run.investigation_digest", formed),
            ("run.object_digest", formed),
            ("machine.boot_id", formed),
            ("machine.resumed", formed),
            ("kernel.build_id", formed),
            ("kernel.image_digest", formed),
            ("kernel.btf_digest", formed),
            ("boots.boot3.boot_id", formed),
            ("boots.boot3.time", formed),
            ("e.outcome.buffers.b", formed),
            ("e.outcome.returned", result),
            ("e.outcome.results.first", result),
            ("e.outcome.errno", none),
            ("kernel.config.time", none),
            ("e.p.args.build_id", none),
            ("e.p.exit.returned", none),
        ] {
            assert_eq!(rules(key), wanted, "{key}");
        }
    }
}

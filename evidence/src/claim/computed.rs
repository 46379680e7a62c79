//! Leaves that a document computes from others, or states in several places. A negative control that changed only one of them
//! would test a document that cannot exist, and a claim that they agree (`duration_ns == return_time_ns - time_ns`) would
//! appear able to fail.
//!
//! Values that were measured twice and are compared when evidence is read, such as the slide by several symbols, are not among
//! them: their agreement is a result of the measurement.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::graph::GRAPH;
use crate::document::Evidence;
use crate::document::value::{Address, Integer, Value};
use crate::investigation::Investigation;
use crate::path::{EXPERIMENT_SECTIONS, SECTIONS, hit_number, split_path};

/// Values by their paths.
pub(super) type Values = BTreeMap<String, Value>;

/// The ends of the keys of one count in a tree: of the runs that were seen, and of all.
const RUNS: &str = "#runs";
const ALL_RUNS: &str = "#all#runs";

/// The canonical name of all paths that lead to the same value: for a probe that fired once, each value has two paths, with
/// `hit1` and without; and a fact that is stated for several probes is the same fact.
pub(super) fn canonical_name<'p>(
    path: &'p str,
    investigation: &Investigation,
    evidence: &Evidence,
) -> Cow<'p, str> {
    let fired_once = |probe: &str| {
        let (experiment, probe) = probe.split_once('.')?;
        let found = evidence.experiments.get(experiment)?.probes.get(probe)?;
        (found.hits.len() == 1).then_some(())
    };
    let short = match path.split_once(".hit1.") {
        // That a function ran so often at least, and that it ran so often, is one count.
        None if path.contains(GRAPH) && path.ends_with(ALL_RUNS) => {
            Cow::Owned(format!("{}{RUNS}", path.trim_end_matches(ALL_RUNS)))
        }
        Some((probe, rest)) if fired_once(probe).is_some() => Cow::Owned(format!("{probe}.{rest}")),
        _ => Cow::Borrowed(path),
    };
    match shared_fact_name(&short, investigation, evidence) {
        Some(name) => Cow::Owned(name),
        None => short,
    }
}

/// The name of a fact that more than one probe states.
fn shared_fact_name(
    path: &str,
    investigation: &Investigation,
    evidence: &Evidence,
) -> Option<String> {
    let segments: Vec<&str> = split_path(path).collect();
    let [experiment, probe, rest @ ..] = &segments[..] else {
        return None;
    };
    if rest == ["insn1", "address"] && *probe == "call" {
        return Some(format!("{experiment}.call.function"));
    }
    let found = evidence.experiments.get(*experiment)?.probes.get(*probe)?;
    let of_hit = match rest {
        [hit, rest @ ..] if hit_number(hit).is_some() => rest,
        rest => rest,
    };
    if of_hit == ["caller"] {
        // Where it is known at all, it is where the function returned to.
        let (above, _) = path.rsplit_once('.')?;
        return Some(format!("{above}.returns_to"));
    }
    if of_hit == ["pid"] {
        // Only hits of the workload's own process are recorded.
        let requested = investigation.experiment(experiment)?;
        let watch = requested.probe(probe)?;
        let own = !requested.follow && !watch.any_task && watch.frees.is_none();
        return own.then(|| format!("{experiment}#pid"));
    }
    match rest {
        // What is in a structure is at the same place for all who read it.
        ["members", side, read, "offset"] => {
            let members = match *side {
                "entry" => &found.members.entry,
                _ => &found.members.exit,
            };
            let member = members.get(*read)?;
            Some(format!("{}#{}", member.structure, member.name))
        }
        // One function of one boot.
        [leaf @ ("address" | "definition")] => {
            evidence.experiments.iter().find_map(|(name, experiment)| {
                let (probe, _) = experiment.probes.iter().find(|(_, probe)| {
                    probe.target == found.target
                        && probe.file == found.file
                        && probe.address == found.address
                        && probe.definition == found.definition
                })?;
                Some(format!("{name}.{probe}.{leaf}"))
            })
        }
        _ => None,
    }
}

/// The computation of a leaf from the values of others.
type Compute = fn(&Derived<'_>, &[&Value]) -> Option<Value>;

/// A leaf that follows from others of the same expression.
pub(super) struct Derived<'p> {
    leaf: &'p str,
    from: Vec<&'p str>,
    compute: Compute,
    /// The distance of two addresses that move together.
    distance: u64,
}

impl<'p> Derived<'p> {
    /// Its path.
    pub fn leaf(&self) -> &'p str {
        self.leaf
    }

    /// Its value among those of the others.
    pub fn value<'v>(&self, read: &dyn Fn(&str) -> Option<&'v Value>) -> Option<Value> {
        let from: Option<Vec<&Value>> = self.from.iter().map(|path| read(path)).collect();
        (self.compute)(self, &from?)
    }
}

/// A leaf that an expression reads, and the one name that all its paths have.
pub(super) struct ReadLeaf<'p> {
    pub path: &'p str,
    pub name: Cow<'p, str>,
}

/// The leaves among these that follow from others of them.
pub(super) fn derived_leaves<'p>(
    values: &'p Values,
    read: &[ReadLeaf<'p>],
    name: &dyn Fn(&str) -> String,
) -> Vec<Derived<'p>> {
    let other = |path: String| {
        let name = name(&path);
        let known = read.iter().find(|leaf| leaf.name == name)?;
        Some(known.path)
    };
    let mut found: Vec<Derived<'p>> = read
        .iter()
        .filter_map(|leaf| {
            let (above, last) = leaf.path.rsplit_once('.')?;
            let (names, compute): (&[&str], Compute) = match last {
                "duration_ns" if is_event(leaf.path) => {
                    (&["return_time_ns", "time_ns"], difference)
                }
                "added_ns" if above.ends_with(".cost") => (&["probed_ns", "bare_ns"], difference),
                "leaked" if above.ends_with(".objects") => {
                    (&["allocated", "freed", "excused"], difference)
                }
                "errno" if above.ends_with(".outcome") => (&["returned"], error_number),
                "slide" if above.starts_with("kaslr.symbols.") => (&["live", "static"], difference),
                _ => return None,
            };
            let from = names.iter().map(|name| other(format!("{above}.{name}")));
            Some(Derived {
                leaf: leaf.path,
                from: from.collect::<Option<_>>()?,
                compute,
                distance: 0,
            })
        })
        .collect();
    found.extend(derived_code_addresses(values, read));
    found
}

/// The addresses of a workload's code, which are all counted from its beginning: all but the first that is read.
fn derived_code_addresses<'p>(values: &'p Values, read: &[ReadLeaf<'p>]) -> Vec<Derived<'p>> {
    let mut first: BTreeMap<&str, (&ReadLeaf<'p>, u64)> = BTreeMap::new();
    let mut found = Vec::new();
    for leaf in read {
        let segments: Vec<&str> = split_path(leaf.path).collect();
        let ([experiment, "call", "function" | "instruction" | "after"]
        | [experiment, "call", _, "address"]) = segments[..]
        else {
            continue;
        };
        let Some(Value::Address { value, .. }) = values.get(leaf.path) else {
            continue;
        };
        match first.get(experiment) {
            None => _ = first.insert(experiment, (leaf, value.0)),
            Some((base, _)) if base.name == leaf.name => {}
            Some((base, at)) => found.push(Derived {
                leaf: leaf.path,
                from: vec![base.path],
                compute: shift_address,
                distance: value.0.wrapping_sub(*at),
            }),
        }
    }
    found
}

/// True if a path leads to a leaf of a hit, and not to a read that has such a name.
fn is_event(path: &str) -> bool {
    let segments: Vec<&str> = split_path(path).collect();
    match segments[..] {
        [experiment, probe, _] => {
            !SECTIONS.contains(&experiment) && !EXPERIMENT_SECTIONS.contains(&probe)
        }
        [experiment, _, hit, _] => !SECTIONS.contains(&experiment) && hit_number(hit).is_some(),
        _ => false,
    }
}

fn number(value: &Value) -> Option<i128> {
    match value {
        Value::Address { value, .. } | Value::Symbol { address: value, .. } => {
            (!value.is_pseudonym()).then_some(value.0.into())
        }
        other => other.as_integer(),
    }
}

/// The first of them without the others, as the kind that such a leaf has.
fn difference(of: &Derived<'_>, from: &[&Value]) -> Option<Value> {
    let (first, others) = from.split_first()?;
    let others: Option<i128> = others.iter().map(|value| number(value)).sum();
    let rest = number(first)? - others?;
    let leaf = of.leaf.rsplit('.').next();
    Some(match leaf {
        Some("duration_ns") => Value::Time {
            ns: u64::try_from(rest).ok()?,
        },
        Some("slide") => Value::Offset {
            value: Integer::new(rest)?,
        },
        Some("leaked") => crate::document::count_value(u64::try_from(rest).ok()?),
        _ => Value::Int {
            value: Integer::new(rest)?,
            type_name: None,
        },
    })
}

/// The error number that user space sees of what a call returned.
fn error_number(_: &Derived<'_>, from: &[&Value]) -> Option<Value> {
    let value = match from.first()? {
        Value::Errno { value, .. } => value.checked_neg()?,
        _ => 0,
    };
    let name = match value {
        0 => "OK".into(),
        value => crate::constants::errno_name(value.unsigned_abs())?.into_owned(),
    };
    Some(Value::Errno { value, name })
}

fn shift_address(of: &Derived<'_>, from: &[&Value]) -> Option<Value> {
    match from.first()? {
        Value::Address {
            value: Address(at), ..
        } => Some(Value::address(at.wrapping_add(of.distance))),
        _ => None,
    }
}

//! The differences between two captures, sorted by when each of them may change.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::document::fields::leaf_rule;
use crate::document::value::{Address, Datum, Frame, Location, Value};
use crate::document::{Evidence, Experiment, Probe};
use crate::path_index::{Drift, Leaf, Leaves, leaves};

/// The kind of change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ChangeKind {
    /// A value is another.
    Value,
    /// A line of the source moved.
    Moved,
    /// A call is inlined where it was not, or no more where it was, or into another function.
    Inlined,
    /// A value where there was none.
    Appeared,
    /// The value no longer exists.
    Vanished,
    /// An experiment lost events, or does so no more.
    Soundness,
    /// The verdict on a claim flipped. Added by who judged both.
    Verdict,
}

/// One difference.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Change {
    /// The leaf, probe or experiment that changed.
    pub path: String,
    /// When such a change may happen without anything being wrong.
    pub class: Drift,
    /// The kind of change.
    pub what: ChangeKind,
    /// The old value, or why there was nothing.
    pub old: String,
    /// The new value, or why there is nothing.
    pub new: String,
}

/// The differences that matter, and how many do not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Report {
    /// The differences that are shown: invariant ones first, then per-kernel ones, and so on.
    pub changes: Vec<Change>,
    /// The number of those that were folded away, by class.
    pub folded: BTreeMap<Drift, usize>,
}

impl Report {
    /// Fold away the changes of the classes in `fold`. By default those are [`Report::FOLDED`].
    pub fn new(changes: Vec<Change>, fold: &[Drift]) -> Self {
        let mut folded = BTreeMap::new();
        let mut shown: Vec<Change> = Vec::new();
        for change in changes {
            if fold.contains(&change.class) {
                *folded.entry(change.class).or_default() += 1;
            } else {
                shown.push(change);
            }
        }
        shown.sort_by(|a, b| b.class.cmp(&a.class).then_with(|| a.path.cmp(&b.path)));
        Report {
            changes: shown,
            folded,
        }
    }

    /// The classes that change without anything being wrong.
    pub const FOLDED: &[Drift] = &[Drift::PerRun, Drift::PerBoot];

    /// True if anything changed that should not, or only does with the kernel.
    pub fn has_drift(&self) -> bool {
        self.changes
            .iter()
            .any(|change| !Self::FOLDED.contains(&change.class))
    }
}

/// The path of the architecture.
const ARCH: &str = "kernel.arch";

/// All differences between two captures, by path.
pub fn diff(old: &Evidence, new: &Evidence) -> Vec<Change> {
    let mut changes = Vec::new();
    let mut skip = BTreeSet::new();
    compare_structure(old, new, &mut changes, &mut skip);
    let (before, after) = (leaves(old), leaves(new));
    let paths: BTreeSet<&str> = before.paths().chain(after.paths()).collect();
    let (rank_before, rank_after) = (event_ranks(&before, &after), event_ranks(&after, &before));
    for path in paths {
        let rank = rank_before.get(path);
        if rank.is_some() && rank == rank_after.get(path) {
            continue;
        }
        let below_skipped = skip.iter().any(|prefix: &String| {
            path.strip_prefix(prefix.as_str())
                .is_some_and(|rest| rest.starts_with('.'))
        });
        // Each probe that is no longer attached, or planned, is reported by itself.
        let counted = path.ends_with(".quality.attached") || path.ends_with(".quality.planned");
        // Evidence of before the architecture was said is of one, too.
        let same_arch = path == ARCH && old.kernel.architecture() == new.kernel.architecture();
        if !below_skipped && !counted && !same_arch && !is_alias(path, old) && !is_alias(path, new)
        {
            changes.extend(compare_leaves(path, before.get(path), after.get(path)));
        }
    }
    changes.sort_by(|a, b| a.path.cmp(&b.path));
    changes
}

/// True if the path is below the `hit1` of a probe that fired once, and so has a shorter name.
fn is_alias(path: &str, evidence: &Evidence) -> bool {
    let mut segments = path.splitn(4, '.');
    let (Some(experiment), Some(probe), Some("hit1")) =
        (segments.next(), segments.next(), segments.next())
    else {
        return false;
    };
    evidence
        .experiments
        .get(experiment)
        .and_then(|experiment| experiment.probes.get(probe))
        .is_some_and(|probe| probe.hits.len() == 1)
}

/// Experiments and probes that come, go, or can be attached on one side only; all below them is skipped.
fn compare_structure(
    old: &Evidence,
    new: &Evidence,
    changes: &mut Vec<Change>,
    skip: &mut BTreeSet<String>,
) {
    let names: BTreeSet<&String> = old
        .experiments
        .keys()
        .chain(new.experiments.keys())
        .collect();
    for name in names {
        match (old.experiments.get(name), new.experiments.get(name)) {
            (Some(before), Some(after)) => compare_experiments(name, before, after, changes, skip),
            (before, _) => {
                let vanished = before.is_some();
                changes.push(appearance(
                    name.clone(),
                    Drift::Invariant,
                    vanished,
                    "an experiment",
                    "no such experiment",
                ));
                skip.insert(name.clone());
            }
        }
    }
}

fn appearance(path: String, class: Drift, vanished: bool, there: &str, not_there: &str) -> Change {
    let (what, old, new) = if vanished {
        (ChangeKind::Vanished, there, not_there)
    } else {
        (ChangeKind::Appeared, not_there, there)
    };
    Change {
        path,
        class,
        what,
        old: old.into(),
        new: new.into(),
    }
}

fn compare_experiments(
    name: &str,
    before: &Experiment,
    after: &Experiment,
    changes: &mut Vec<Change>,
    skip: &mut BTreeSet<String>,
) {
    let (was, is) = (before.broken_reason(), after.broken_reason());
    if was.is_some() != is.is_some() {
        changes.push(Change {
            path: name.into(),
            class: Drift::Invariant,
            what: ChangeKind::Soundness,
            old: was.unwrap_or_else(|| "sound".into()),
            new: is.unwrap_or_else(|| "sound".into()),
        });
    }
    let probes: BTreeSet<&String> = before.probes.keys().chain(after.probes.keys()).collect();
    for probe in probes {
        let path = format!("{name}.{probe}");
        let (was, is) = match (before.probes.get(probe), after.probes.get(probe)) {
            (Some(was), Some(is)) => (was, is),
            (was, _) => {
                changes.push(appearance(
                    path.clone(),
                    Drift::Invariant,
                    was.is_some(),
                    "a probe",
                    "no such probe",
                ));
                skip.insert(path);
                continue;
            }
        };
        let state = |probe: &Probe| match &probe.unavailable {
            Some(reason) => format!("unavailable: {reason}"),
            None => "attached".into(),
        };
        if was.unavailable.is_some() != is.unavailable.is_some() {
            changes.push(Change {
                path: path.clone(),
                class: Drift::PerKernel,
                what: if is.unavailable.is_some() {
                    ChangeKind::Vanished
                } else {
                    ChangeKind::Appeared
                },
                old: state(was),
                new: state(is),
            });
            skip.insert(path);
        } else if was.hits.len() != is.hits.len() {
            // The change of `hits` reports it; it is unknown which hit corresponds to which.
            changes.push(Change {
                path: format!("{path}.hits"),
                class: Drift::Invariant,
                what: ChangeKind::Value,
                old: was.hits.len().to_string(),
                new: is.hits.len().to_string(),
            });
            skip.insert(path);
        }
    }
}

fn compare_leaves(
    path: &str,
    before: Option<&Leaf<'_>>,
    after: Option<&Leaf<'_>>,
) -> Option<Change> {
    let class = before.or(after)?.drift.max(after.or(before)?.drift);
    let value = |leaf: Option<&Leaf<'_>>| match leaf.map(|leaf| leaf.datum.as_ref()) {
        Some(Datum::Value(value)) => Ok(value.clone()),
        Some(Datum::Missing(reason)) => Err(format!("unavailable: {}", reason)),
        None => Err("nothing".into()),
    };
    // Whether there is a value at all depends on the kernel, however often the value itself changes; except where the capture
    // decides.
    let presence = match leaf_rule(path) {
        Some(rule) if rule.optional => class,
        _ => Drift::PerKernel,
    };
    let (what, class, old, new) = match (value(before), value(after)) {
        (Ok(old), Ok(new)) if old == new => return None,
        (Ok(old), Ok(new)) => describe_change(&old, &new, class),
        (Ok(old), Err(new)) => (ChangeKind::Vanished, presence, full_text(&old), new),
        (Err(old), Ok(new)) => (ChangeKind::Appeared, presence, old, full_text(&new)),
        // Both are missing: a different wording of the reason is not drift.
        (Err(_), Err(_)) => return None,
    };
    Some(Change {
        path: path.into(),
        class,
        what,
        old,
        new,
    })
}

/// The kind of change between two different values, its class, and both as text.
fn describe_change(old: &Value, new: &Value, class: Drift) -> (ChangeKind, Drift, String, String) {
    let (mut was, mut is) = (full_text(old), full_text(new));
    let class = match (strip_address(old), strip_address(new)) {
        // The same place of the kernel, which lies elsewhere in every boot.
        (Some(a), Some(b)) if a == b => Drift::PerBoot,
        (Some(_), Some(_)) => class.max(Drift::PerKernel),
        // The same value, which this kernel's types call something else.
        _ if was == is => Drift::PerKernel,
        _ => class,
    };
    if was == is && type_of(old) != type_of(new) {
        was = format!("{was} as {}", type_of(old));
        is = format!("{is} as {}", type_of(new));
    }
    (kind_of_change(old, new), class, was, is)
}

/// The part of a value that names a place in the kernel's image, without where the image lies. `None`: it names none.
fn strip_address(value: &Value) -> Option<Value> {
    let nowhere = Address(0);
    match value.clone() {
        Value::Symbol { name, offset, .. } => Some(Value::Symbol {
            name,
            offset,
            address: nowhere,
        }),
        Value::Address {
            type_name,
            symbol: Some(symbol),
            ..
        } => Some(Value::Address {
            value: nowhere,
            type_name,
            symbol: Some(symbol),
        }),
        Value::Stack { value: mut frames } => {
            strip_symbol_addresses(&mut frames, nowhere);
            Some(Value::Stack { value: frames })
        }
        Value::CutStack {
            value: mut frames,
            cut,
        } => {
            strip_symbol_addresses(&mut frames, nowhere);
            Some(Value::CutStack { value: frames, cut })
        }
        _ => None,
    }
}

/// Take away the addresses of frames that have a symbol.
fn strip_symbol_addresses(frames: &mut [Frame], nowhere: Address) {
    let named = frames.iter_mut().filter(|frame| frame.symbol.is_some());
    named.for_each(|frame| frame.address = nowhere);
}

fn type_of(value: &Value) -> String {
    match value {
        Value::Int {
            type_name: Some(name),
            ..
        }
        | Value::Address {
            type_name: Some(name),
            ..
        }
        | Value::Enum {
            type_name: name, ..
        } => format!("`{name}`"),
        other => other.kind().to_owned(),
    }
}

/// The place of each event among those that both captures saw, by the path of its `order` or `return_order`: numbers
/// that are merely shifted, because one more or one less was seen, do not count as changed.
fn event_ranks(leaves: &Leaves<'_>, other: &Leaves<'_>) -> BTreeMap<String, usize> {
    let mut orders: Vec<(&str, i128, &str)> = leaves
        .iter()
        .filter(|(path, _)| is_order(path) && other.contains(path))
        .filter_map(|(path, leaf)| {
            let number = leaf.datum.value()?.as_integer()?;
            Some((path.split('.').next().unwrap_or_default(), number, path))
        })
        .collect();
    orders.sort_unstable();
    let mut last = "";
    let mut rank = 0;
    orders
        .into_iter()
        .map(|(experiment, _, path)| {
            rank = if experiment == last { rank + 1 } else { 0 };
            last = experiment;
            (path.to_owned(), rank)
        })
        .collect()
}

fn is_order(path: &str) -> bool {
    path.ends_with(".order") || path.ends_with(".return_order")
}

fn kind_of_change(old: &Value, new: &Value) -> ChangeKind {
    match (old, new) {
        (Value::Location { value: old }, Value::Location { value: new }) => {
            let inlining = |place: &Location| -> Vec<String> {
                place
                    .inlined_into
                    .iter()
                    .map(|frame| frame.function.clone())
                    .collect()
            };
            if inlining(old) != inlining(new) {
                ChangeKind::Inlined
            } else if old.function == new.function {
                ChangeKind::Moved
            } else {
                ChangeKind::Value
            }
        }
        _ => ChangeKind::Value,
    }
}

/// The value as text, with what its plain text leaves out where two different values may share it.
fn full_text(value: &Value) -> String {
    match value {
        Value::Location { value: place } => {
            let inlined: Vec<&str> = place
                .inlined_into
                .iter()
                .map(|frame| frame.function.as_str())
                .collect();
            let inlined = if inlined.is_empty() {
                String::new()
            } else {
                format!(", inlined into {}", inlined.join(", "))
            };
            format!("{value} in {}{inlined}", place.function)
        }
        Value::Symbol { address, .. } => format!("{value} ({address})"),
        Value::Address {
            symbol: Some(symbol),
            ..
        } => format!("{value} ({symbol})"),
        Value::Enum {
            name: Some(_),
            value: number,
            ..
        }
        | Value::Flags { value: number, .. } => {
            format!("{value} ({number})")
        }
        Value::Stack { value: frames } | Value::CutStack { value: frames, .. } => {
            let frames: Vec<String> = frames
                .iter()
                .map(|frame| match (&frame.symbol, frame.offset) {
                    (Some(symbol), Some(offset)) => format!("{symbol}+{offset:#x}"),
                    (Some(symbol), None) => symbol.clone(),
                    (None, _) => frame.address.to_string(),
                })
                .collect();
            format!("{}{}", frames.join(" < "), value.cut_mark())
        }
        other => other.to_string(),
    }
}

//! Relations between the leaves of every document: a negative control that broke one would test a document that cannot exist.

use crate::document::{Evidence, MachineKind};
use crate::investigation::{Action, Investigation, Probe};
use crate::observation::is_syscall_entry;
use crate::path::split_path;

use super::eval::Lookup;
use super::invariants::HitLeaf;
use super::value::Typed;

/// The order of two leaves of every document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Relation {
    Less,
    AtMost,
    Different,
    /// The second is a multiple of the first.
    Divides,
}

/// The relations between the leaves that one expression reads.
pub(super) struct Relations<'p> {
    pairs: Vec<(&'p str, Relation, &'p str)>,
    sums: Vec<Sum<'p>>,
    /// Places in the order and times of events, with what each is whatever the kernel does.
    gates: Vec<(&'p str, GatePosition)>,
}

/// The place of an event relative to the tracepoint at the entry of the workload's system call, with which all that is watched begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum GatePosition {
    /// The place or the time of that entry itself.
    Is(i128),
    /// The place of any other event.
    Behind,
}

/// Counts of parts, and the count of the whole, which is at least their sum.
#[derive(Debug, PartialEq, Eq)]
struct Sum<'p> {
    parts: Vec<&'p str>,
    whole: &'p str,
}

impl<'p> Relations<'p> {
    /// The relations among these paths.
    pub fn among(paths: &[&'p str], evidence: &Evidence, investigation: &Investigation) -> Self {
        let guest = evidence.machine.kind == MachineKind::Guest;
        let split: Vec<(&'p str, Vec<&'p str>)> = paths
            .iter()
            .map(|path| (*path, split_path(path).collect()))
            .collect();
        let mut pairs = Vec::new();
        for (a, of_a) in &split {
            for (b, of_b) in &split {
                let shared = find_twins(of_a, of_b, investigation);
                let relation = match shared {
                    Some(twins) => relation_of_twins(twins, of_a, of_b),
                    None => relation(of_a, of_b, guest),
                };
                pairs.extend(relation.map(|relation| (*a, relation, *b)));
            }
        }
        let of_gates = split.iter().filter_map(|(path, segments)| {
            let event = HitLeaf::from_segments(segments)?;
            Some((*path, gate_position(event, evidence, investigation)?))
        });
        let gates = of_gates.collect();
        let sums = find_sums(paths);
        Relations { pairs, sums, gates }
    }

    /// True if the values that are bound satisfy all of them.
    pub fn are_satisfied(&self, bindings: &dyn Lookup) -> bool {
        let number = |path: &str| number(bindings.read(path));
        let sums = self.sums.iter().all(|sum| {
            let parts: Option<i128> = sum.parts.iter().map(|part| number(part)).sum();
            let numbers = parts.zip(number(sum.whole));
            numbers.is_none_or(|(parts, whole)| parts <= whole)
        });
        let text = |path: &str| match bindings.read(path) {
            Some(Typed::Text(text)) => Some(text.as_str()),
            _ => None,
        };
        let pairs = self.pairs.iter().all(|(a, relation, b)| {
            if let (Relation::Different, Some(a), Some(b)) = (relation, text(a), text(b)) {
                return a != b;
            }
            let numbers = number(a).zip(number(b));
            numbers.is_none_or(|(a, b)| match relation {
                Relation::Less => a < b,
                Relation::AtMost => a <= b,
                Relation::Different => a != b,
                Relation::Divides if a == 0 => b == 0,
                Relation::Divides => b % a == 0,
            })
        });
        let gates = self.gates.iter().all(|(path, at)| {
            number(path).is_none_or(|number| match at {
                GatePosition::Is(known) => number == *known,
                GatePosition::Behind => number > FIRST,
            })
        });
        sums && pairs && gates
    }
}

fn number(value: Option<&Typed>) -> Option<i128> {
    match value? {
        Typed::Number(number) => Some(number.value),
        Typed::Address(pointer) => Some(pointer.number().ok()?.into()),
        _ => None,
    }
}

/// Two probes of one experiment that can have events in common: each event of one place is a hit of every probe there whose condition
/// holds for it.
fn find_twins<'i>(
    a: &[&str],
    b: &[&str],
    investigation: &'i Investigation,
) -> Option<(&'i Probe, &'i Probe)> {
    let (a, b) = (HitLeaf::from_segments(a)?, HitLeaf::from_segments(b)?);
    if a.experiment != b.experiment || a.probe == b.probe {
        return None;
    }
    let planned = investigation.experiment(a.experiment)?;
    let (one, other) = (planned.probe(a.probe)?, planned.probe(b.probe)?);
    let same_place = one.target == other.target && one.position == other.position;
    same_place.then_some((one, other))
}

/// The relation of leaves of two such probes: the one with a condition has the hits of the one without that meet it.
fn relation_of_twins((a, b): (&Probe, &Probe), of_a: &[&str], of_b: &[&str]) -> Option<Relation> {
    let (of_a, of_b) = (HitLeaf::from_segments(of_a)?, HitLeaf::from_segments(of_b)?);
    let is_part = |part: &Probe, whole: &Probe| {
        part.within.is_some()
            && whole.within.is_none()
            && part.any_task == whole.any_task
            && part.has_same_target_ignoring_within(whole)
    };
    match (of_a.leaf, of_b.leaf) {
        ("hits", "hits") if is_part(a, b) => Some(Relation::AtMost),
        // The nth hit of a part is no earlier than the nth of the whole.
        ("order", "order") if is_part(b, a) && of_a.hit <= of_b.hit => Some(Relation::AtMost),
        _ => None,
    }
}

/// The place in the order of an experiment's first event.
const FIRST: i128 = 1;

/// The place of an event relative to the gate, if a probe watched it.
fn gate_position(
    event: HitLeaf<'_>,
    evidence: &Evidence,
    investigation: &Investigation,
) -> Option<GatePosition> {
    let planned = investigation.experiment(event.experiment)?;
    let seen = evidence.experiments.get(event.experiment)?;
    let is_call = matches!(planned.workload.action, Action::Syscall { .. });
    if !is_call || seen.quality.marked != Some(true) {
        return None;
    }
    let first_of = |probe: &Probe| {
        let is_entry = is_syscall_entry(&probe.target);
        // Of several calls in sequence, a probe of one system call may not see the first.
        let sees_first = planned.workload.call_count() == 1 || probe.syscall.is_none();
        let first = seen.probes.get(&probe.name)?.hits.first()?;
        let is_first = first.order.map(i128::from) == Some(FIRST);
        (is_entry && sees_first && is_first && !probe.any_task).then_some(first)
    };
    // Several probes can be at the gate, and share its event.
    let own = planned.probe(event.probe).and_then(first_of);
    match (own.filter(|_| event.hit == 1), event.leaf) {
        (Some(_), "order") => Some(GatePosition::Is(FIRST)),
        (Some(first), "time_ns") => (first.time_ns == Some(0)).then_some(GatePosition::Is(0)),
        (None, "order" | "return_order") => {
            let is_gate = |probe: &Probe| first_of(probe).is_some();
            planned
                .probes
                .iter()
                .any(is_gate)
                .then_some(GatePosition::Behind)
        }
        _ => None,
    }
}

/// The relation of leaf `a` and leaf `b` in every document.
fn relation(a: &[&str], b: &[&str], guest: bool) -> Option<Relation> {
    use Relation::{AtMost, Less};
    if let (Some(a), Some(b)) = (HitLeaf::from_segments(a), HitLeaf::from_segments(b)) {
        return relation_of_hits(a, b);
    }
    if a.first() == Some(&"boots") {
        return relation_of_boots(a, b);
    }
    match (a, b) {
        (["kaslr", "differing"], ["kaslr", "checked"]) => Some(AtMost),
        ([e, "quality", "attached"], [f, "quality", "planned"])
        | ([e, "objects", "freed" | "excused" | "leaked"], [f, "objects", "allocated"])
            if e == f =>
        {
            Some(AtMost)
        }
        // The book has all chapters.
        ([e, "graph#chapter#coverage"], [f, "graph#book#coverage"]) if e == f => Some(AtMost),
        // Counts of one probe's allocations have keys of their own: `E.P#leaked`.
        ([e, p], [f, q]) if e == f => {
            let (probe, leaf) = p.split_once('#')?;
            (leaf == "leaked" && q.split_once('#')? == (probe, "allocated")).then_some(AtMost)
        }
        ([e, p], [f, "objects", "allocated" | "leaked"]) if e == f => {
            (p.split_once('#')?.1 == *b.last()?).then_some(AtMost)
        }
        // The time of a call without probes is not negative.
        ([e, "cost", "added_ns"], [f, "cost", "probed_ns"]) if e == f => Some(AtMost),
        // A guest's processors are numbered without gaps; of a host, some may be off.
        (_, ["machine", "cpus"]) if guest => {
            (HitLeaf::from_segments(a)?.leaf == "cpu").then_some(Less)
        }
        (_, [e, "quality", "events"]) => {
            let event = HitLeaf::from_segments(a)?;
            let counted = ["order", "return_order", "hits"].contains(&event.leaf);
            (counted && event.experiment == *e).then_some(AtMost)
        }
        _ => None,
    }
}

/// The counts among these leaves that stand for parts of another one of them. Each event is of one probe, and each object
/// is either freed, or excused, or leaked.
fn find_sums<'p>(paths: &[&'p str]) -> Vec<Sum<'p>> {
    let mut found = Vec::new();
    for whole in paths {
        let Some((experiment, rest)) = whole.split_once('.') else {
            continue;
        };
        let is_part = |path: &&&'p str| {
            let part = path
                .strip_prefix(experiment)
                .and_then(|rest| rest.strip_prefix('.'));
            match (part, rest) {
                (Some(part), "quality.events") => {
                    let probe = part.strip_suffix(".hits");
                    probe.is_some_and(|probe| !probe.contains('.'))
                }
                (
                    Some("objects.freed" | "objects.excused" | "objects.leaked"),
                    "objects.allocated",
                ) => true,
                (Some(part), "objects.allocated") => part.ends_with("#allocated"),
                (Some(part), "objects.leaked") => part.ends_with("#leaked"),
                _ => false,
            }
        };
        // Objects by what became of them, and by the probe that saw them, are two ways to divide the same whole.
        let (by_probe, by_end): (Vec<&'p str>, Vec<&'p str>) = paths
            .iter()
            .filter(is_part)
            .copied()
            .partition(|part| part.contains('#'));
        for parts in [by_probe, by_end] {
            if parts.len() > 1 {
                found.push(Sum { parts, whole });
            }
        }
    }
    found
}

/// The sums over boots, and each boot's part in them.
fn relation_of_boots(a: &[&str], b: &[&str]) -> Option<Relation> {
    use Relation::{AtMost, Different, Divides};
    let extremes = ["lowest", "highest"];
    match (a, b) {
        (["boots", "distinct" | "distinct_physical" | "differing"], ["boots", "count"])
        | (["boots", "lowest"], ["boots", "highest"] | ["boots", _, "slide"])
        | (["boots", _, "slide"], ["boots", "highest"]) => Some(AtMost),
        // The reader refuses a boot that comes twice.
        (["boots", one, "boot_id"], ["boots", other, "boot_id"]) if one != other => Some(Different),
        (["boots", "divisor"], ["boots", leaf]) if extremes.contains(leaf) => Some(Divides),
        (["boots", "divisor"], ["boots", _, "slide"]) => Some(Divides),
        _ => None,
    }
}

/// Hits of a probe are numbered as they began, a call begins before it returns, and no two events have one place in the
/// order.
fn relation_of_hits(a: HitLeaf<'_>, b: HitLeaf<'_>) -> Option<Relation> {
    use Relation::{AtMost, Different, Less};
    let ordered = |event: HitLeaf<'_>| ["order", "return_order"].contains(&event.leaf);
    if a.experiment != b.experiment {
        return None;
    }
    if a.probe != b.probe {
        return (ordered(a) && ordered(b)).then_some(Different);
    }
    match (a.leaf, b.leaf) {
        ("order", "return_order") if a.hit <= b.hit => Some(Less),
        ("order", "order") if a.hit < b.hit => Some(Less),
        ("time_ns", "return_time_ns") if a.hit <= b.hit => Some(AtMost),
        // Two hits at the same nanosecond are possible, but that none is proves nothing.
        ("time_ns", "time_ns") if a.hit < b.hit => Some(Less),
        ("duration_ns", "return_time_ns") if a.hit == b.hit => Some(AtMost),
        _ if a.hit < b.hit && ordered(a) && ordered(b) => Some(Different),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Check which leaves are related, and that no others are.
    #[test]
    fn relations_of_leaves() {
        use Relation::{AtMost, Different, Divides, Less};
        for (a, b, wanted) in [
            ("e.p.order", "e.p.return_order", Some(Less)),
            ("e.p.hit1.order", "e.p.hit2.order", Some(Less)),
            ("e.p.hit1.order", "e.p.hit2.return_order", Some(Less)),
            ("e.p.hit2.order", "e.p.hit1.return_order", None),
            (
                "e.p.hit1.return_order",
                "e.p.hit2.return_order",
                Some(Different),
            ),
            ("e.p.order", "e.q.return_order", Some(Different)),
            ("e.p.order", "f.p.return_order", None),
            ("e.p.args.order", "e.p.args.return_order", None),
            ("e.p.time_ns", "e.p.return_time_ns", Some(AtMost)),
            ("e.p.hit1.time_ns", "e.p.hit2.time_ns", Some(Less)),
            ("e.p.order", "e.quality.events", Some(AtMost)),
            ("e.p.order", "f.quality.events", None),
            ("e.objects.leaked", "e.objects.allocated", Some(AtMost)),
            ("e.p.hits", "e.quality.events", Some(AtMost)),
            ("e.p#leaked", "e.p#allocated", Some(AtMost)),
            ("e.p#leaked", "e.q#allocated", None),
            ("e.p#allocated", "e.objects.allocated", Some(AtMost)),
            ("e.p.cpu", "machine.cpus", Some(Less)),
            ("boots.divisor", "boots.highest", Some(Divides)),
            ("boots.boot3.slide", "boots.highest", Some(AtMost)),
            ("boots.distinct", "boots.count", Some(AtMost)),
            ("boots.count", "boots.distinct", None),
            (
                "e.graph#chapter#coverage",
                "e.graph#book#coverage",
                Some(AtMost),
            ),
            ("e.graph#book#coverage", "e.graph#chapter#coverage", None),
        ] {
            let split = |path: &'static str| path.split('.').collect::<Vec<_>>();
            assert_eq!(relation(&split(a), &split(b), true), wanted, "{a} and {b}");
        }
    }

    /// Check that of two probes at one place the one with a condition has part of the other's hits, that they may share events, and that
    /// all probes at the gate share its event.
    #[test]
    fn probes_at_one_place() {
        use Relation::AtMost;
        let investigation = crate::investigation::parse(
            "twins.toml",
            r#"
[[experiment]]
name = "e"
workload = { syscall = "getpid" }
[[experiment.probe]]
function = "f"
[[experiment.probe]]
function = "f"
name = "inside"
within = "outer"
[[experiment.probe]]
function = "g"
"#,
        )
        .unwrap();
        let split = |path: &'static str| path.split('.').collect::<Vec<_>>();
        for (a, b, wanted) in [
            ("e.inside.hits", "e.f.hits", Some(Some(AtMost))),
            ("e.f.hits", "e.inside.hits", Some(None)),
            ("e.f.order", "e.inside.order", Some(Some(AtMost))),
            ("e.f.hit2.order", "e.inside.order", Some(None)),
            ("e.inside.order", "e.f.order", Some(None)),
            ("e.f.order", "e.g.order", None),
            ("e.f.hit1.order", "e.f.hit2.order", None),
        ] {
            let (a, b) = (split(a), split(b));
            let shared = find_twins(&a, &b, &investigation);
            let found = shared.map(|twins| relation_of_twins(twins, &a, &b));
            assert_eq!(found, wanted, "{a:?} and {b:?}");
        }
    }

    /// Check which counts are parts of another one, and that those of another experiment, or one alone, are not.
    #[test]
    fn sums_of_leaves() {
        let sum = |parts: &[&'static str], whole| Sum {
            parts: parts.to_vec(),
            whole,
        };
        for (paths, wanted) in [
            (
                &["e.p.hits", "e.q.hits", "f.p.hits", "e.quality.events"][..],
                vec![sum(&["e.p.hits", "e.q.hits"], "e.quality.events")],
            ),
            (&["e.p.hits", "e.quality.events"], vec![]),
            (
                &["e.p.args.hits", "e.q.args.hits", "e.quality.events"],
                vec![],
            ),
            (
                &["e.objects.freed", "e.objects.leaked", "e.objects.allocated"],
                vec![sum(
                    &["e.objects.freed", "e.objects.leaked"],
                    "e.objects.allocated",
                )],
            ),
            (
                &[
                    "e.p#allocated",
                    "e.q#allocated",
                    "e.objects.allocated",
                    "e.objects.leaked",
                ],
                vec![sum(
                    &["e.p#allocated", "e.q#allocated"],
                    "e.objects.allocated",
                )],
            ),
        ] {
            assert_eq!(find_sums(paths), wanted, "{paths:?}");
        }
    }
}

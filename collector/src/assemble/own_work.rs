//! Events of the collector's own processes, which a probe on every task sees as well.
//!
//! What the kernel does for them is no work for the workload, nor anybody else's that a capture could tell of: it would not have been
//! done without the capture. Left out is only what certainly is theirs: what interrupts do on top of them may be anybody's work, and
//! objects count for whoever allocates and frees them.

use std::collections::{BTreeMap, BTreeSet};

use qed_collector_ebpf::{Event, side};
use qed_evidence::document::{Context, Probe};

use super::observations::RawObservation;
use crate::plan::PlannedProbe;

/// The probes whose hits in the collector's own processes count.
#[derive(Clone, Copy)]
pub(super) enum KeptProbes<'k> {
    All,
    These(&'k BTreeSet<String>),
}

impl KeptProbes<'_> {
    fn contains(self, probe: &str) -> bool {
        match self {
            KeptProbes::All => true,
            KeptProbes::These(names) => names.contains(probe),
        }
    }
}

/// True if a probe counts hits in every task.
pub(super) fn counts_any_task(planned: &PlannedProbe, seen: &RawObservation<'_>) -> bool {
    let wanted = seen.requested.probe(&planned.name);
    wanted.is_some_and(|probe| probe.any_task)
}

/// True if the probes of these names watch every task at one place, and so have each event there in common that their conditions let
/// them have.
pub(super) fn shares_place(seen: &RawObservation<'_>, a: &str, b: &str) -> bool {
    let probes = seen.requested.probe(a).zip(seen.requested.probe(b));
    probes.is_some_and(|(a, b)| {
        a.any_task && b.any_task && a.target == b.target && a.position == b.position
    })
}

/// Of each thread the calls of a probe that are open, the innermost last, each with whether it is left out: its return has to be as
/// well, whatever interrupts it.
type OpenCalls = BTreeMap<u32, Vec<bool>>;

/// What is left out of one experiment.
pub(super) struct OwnWork<'a> {
    /// The processes of the collector.
    processes: BTreeSet<u32>,
    /// The probes for which their events are left out, and what is open of each.
    probes: BTreeMap<&'a str, OpenCalls>,
}

impl<'a> OwnWork<'a> {
    pub(super) fn new(seen: &RawObservation<'a>, kept: KeptProbes<'_>) -> Self {
        let probes = seen.planned.probes.iter();
        Self {
            processes: seen.own.iter().copied().collect(),
            probes: probes
                .filter(|probe| !kept.contains(&probe.name) && counts_any_task(probe, seen))
                .filter(|probe| !probe.frees && !probe.allocates)
                .map(|probe| (probe.name.as_str(), OpenCalls::new()))
                .collect(),
        }
    }

    /// True if an event is no hit of a probe, because the collector's own process did it, in this context.
    pub(super) fn excludes(
        &mut self,
        planned: &PlannedProbe,
        event: &Event,
        context: Option<Context>,
    ) -> bool {
        if event.is_of_workload() || !self.processes.contains(&event.tgid) {
            return false;
        }
        let Some(open) = self.probes.get_mut(planned.name.as_str()) else {
            return false;
        };
        let own = context == Some(Context::Task);
        let open = open.entry(event.tid).or_default();
        match event.side {
            side::RETURN => open.pop().unwrap_or(own),
            _ => {
                open.push(own);
                own
            }
        }
    }
}

/// The probes that keep their hits, and notes about those that lose some: `all` have all of them, `rest` those of other processes.
///
/// A probe that fired in the collector's processes alone keeps these hits: without them it would look as if it had not fired, and
/// silence says that nobody came by. So do all probes at one place with it, `shares_place`: they have its events in common.
pub(super) fn compare(
    all: &BTreeMap<String, Probe>,
    rest: &BTreeMap<String, Probe>,
    shares_place: &dyn Fn(&str, &str) -> bool,
) -> (BTreeSet<String>, Vec<String>) {
    let undecided = |probe: &Probe| probe.within.as_ref().map_or(0, |within| within.undecided);
    let loses = |name: &str| {
        let (all, rest) = (all.get(name)?, rest.get(name)?);
        let own = all.hits.len().saturating_sub(rest.hits.len());
        (own > 0 || undecided(all) != undecided(rest)).then_some((own, rest.hits.is_empty()))
    };
    let names = || all.keys().map(String::as_str);
    // One that loses nothing where another one does keeps everything whatever happens: what allocates or frees.
    let is_fixed = |name: &str| {
        loses(name).is_none() && all.get(name).is_some_and(|probe| !probe.hits.is_empty())
    };
    let silenced = |name: &str| loses(name).is_some_and(|(_, silent)| silent);
    let mut kept = BTreeSet::new();
    let mut notes = Vec::new();
    for name in names() {
        let Some((own, silent)) = loses(name) else {
            continue;
        };
        let keeps = |other: &str| other == name || shares_place(name, other);
        let stays = names().any(|other| keeps(other) && (silenced(other) || is_fixed(other)));
        if stays {
            kept.insert(name.to_owned());
        }
        let hits = if own == 1 { "hit" } else { "hits" };
        match (own, stays, silent) {
            (0, ..) => {}
            (_, true, true) => notes.push(format!(
                "all {own} {hits} of {name} came in processes of the collector itself"
            )),
            (_, true, false) => notes.push(format!(
                "{own} {hits} of {name} came in processes of the collector itself"
            )),
            (_, false, _) => notes.push(format!(
                "{own} {hits} of {name} in processes of the collector itself are left out"
            )),
        }
    }
    (kept, notes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn probes(hits: &[(&str, usize)]) -> BTreeMap<String, Probe> {
        let text = include_bytes!("../../../evidence/testdata/two-experiments.json");
        let evidence = qed_evidence::reader::read(text).unwrap();
        let probe = evidence.experiments["create"].probes["fd_install"].clone();
        hits.iter()
            .map(|(name, count)| {
                let mut probe = probe.clone();
                probe.hits = vec![probe.hits[0].clone(); *count];
                ((*name).to_owned(), probe)
            })
            .collect()
    }

    /// Check that hits of the collector's own are left out and told where there are others, that a probe which has no others keeps
    /// them, so that it does not look silent, and that of one which has none nothing is said.
    #[test]
    fn silence_is_not_made() {
        let all = probes(&[("f", 86), ("g", 1), ("h", 3)]);
        let rest = probes(&[("f", 2), ("g", 0), ("h", 3)]);
        let (kept, notes) = compare(&all, &rest, &|_, _| false);
        assert_eq!(kept, BTreeSet::from(["g".to_owned()]));
        assert_eq!(
            notes,
            [
                "84 hits of f in processes of the collector itself are left out",
                "all 1 hit of g came in processes of the collector itself"
            ]
        );
        let mut unsure = probes(&[("f", 0)]);
        let decided = unsure.clone();
        unsure.get_mut("f").unwrap().within = Some(qed_evidence::instances::Within {
            function: "outer".into(),
            undecided: 1,
            settled: None,
            why: None,
        });
        let (kept, _) = compare(&unsure, &decided, &|_, _| false);
        assert!(kept.contains("f"));
        // Those at one place keep what one of them has to keep: also an allocation, which loses nothing.
        let of = |a: &str, b: &str| [a, b].iter().all(|name| ["f", "g"].contains(name));
        let (kept, notes) = compare(&all, &rest, &of);
        assert_eq!(kept, BTreeSet::from(["f".to_owned(), "g".to_owned()]));
        assert_eq!(
            notes[0],
            "84 hits of f came in processes of the collector itself"
        );
        let of = |a: &str, b: &str| [a, b].iter().all(|name| ["f", "h"].contains(name));
        assert!(compare(&all, &rest, &of).0.contains("f"));
    }
}

//! What a capture misses by chance, and another one may not: events that were lost, and hits that the kernel skipped. Pure.

use std::collections::{BTreeMap, BTreeSet};

use qed_evidence::Evidence;
use qed_evidence::investigation::{Investigation, Probe};

use crate::session::raw::RawExperiment;

/// The experiments of a capture that miss something by chance.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChanceGaps {
    /// Per experiment: true if it may miss the same each time.
    gaps: BTreeMap<String, bool>,
}

impl ChanceGaps {
    /// Find them. `raw`: the runs, in the order of the investigation's experiments.
    pub fn find(investigation: &Investigation, evidence: &Evidence, raw: &[RawExperiment]) -> Self {
        let experiments = investigation.experiments.iter().zip(raw);
        let gaps = experiments.filter_map(|(planned, ran)| {
            let seen = evidence.experiments.get(&planned.name)?;
            let lost = seen.quality.lost > 0;
            // If a probe acts, the kernel does that work inside the probe's program, and may skip probes that it hits there every time.
            let acts = |probe: &Probe| probe.signal.is_some() || probe.deny.is_some();
            let acting = planned.probes.iter().any(acts);
            let skipped = seen.probes.values().any(|probe| probe.skipped > Some(0));
            let unmarked = seen.quality.marked == Some(false)
                && ran.losses.skipped.iter().any(|count| *count > Some(0));
            (lost || skipped || unmarked).then(|| (planned.name.clone(), lost || acting))
        });
        Self {
            gaps: gaps.collect(),
        }
    }

    /// Number of experiments that miss something.
    pub fn count(&self) -> usize {
        self.gaps.len()
    }

    /// The names of the experiments that miss something.
    pub fn names(&self) -> Vec<&str> {
        self.gaps.keys().map(String::as_str).collect()
    }

    /// The experiments that lost events, or whose probes act, and that miss something here and in an `earlier` capture: that is no chance.
    pub fn recurring(&self, earlier: &Self) -> BTreeSet<String> {
        let both = self
            .gaps
            .iter()
            .filter(|(name, may_recur)| **may_recur && earlier.gaps.get(*name) == Some(&true));
        both.map(|(name, _)| name.clone()).collect()
    }

    /// True if nothing is missing in experiments other than these.
    pub fn are_within(&self, names: &BTreeSet<String>) -> bool {
        self.gaps.keys().all(|name| names.contains(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Check that a capture is made again for lost events, for skipped hits and for marks that were skipped, not for marks that are missing
    /// each time; and that what is missing twice is no chance if events were lost, or if a probe acts.
    #[test]
    fn gaps_by_chance() {
        let checkout = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let file = |name: &str| std::fs::read_to_string(checkout.join(name)).unwrap();
        let toml = file("investigations/socket.toml");
        let investigation = qed_evidence::investigation::parse("i.toml", &toml).unwrap();
        let text = file("recorded/guest-debian-6.12.json");
        let whole = qed_evidence::reader::read(text.as_bytes()).unwrap();
        let ran = || RawExperiment::not_run("recorded");
        let mut raw: Vec<RawExperiment> = investigation.experiments.iter().map(|_| ran()).collect();
        let names = |evidence: &Evidence, raw: &[RawExperiment]| {
            let gaps = ChanceGaps::find(&investigation, evidence, raw);
            gaps.names()
                .into_iter()
                .map(str::to_owned)
                .collect::<Vec<_>>()
        };
        assert!(names(&whole, &raw).is_empty());

        let skip = |name: &str, change: &dyn Fn(&mut qed_evidence::document::Experiment)| {
            let mut evidence = whole.clone();
            change(evidence.experiments.get_mut(name).unwrap());
            evidence
        };
        let skip_hits = |experiment: &mut qed_evidence::document::Experiment| {
            experiment.probes.values_mut().next().unwrap().skipped = Some(2);
        };
        assert_eq!(names(&skip("pool", &skip_hits), &raw), ["pool"]);
        let acting = investigation.experiments.iter();
        let mut acting = acting.filter(|one| {
            one.probes
                .iter()
                .any(|p| p.signal.is_some() || p.deny.is_some())
        });
        let acting = &acting.next_back().unwrap().name;
        assert_eq!(names(&skip(acting, &skip_hits), &raw), [acting.as_str()]);
        let lose = skip(acting, &|experiment| experiment.quality.lost = 1);
        assert_eq!(names(&lose, &raw), [acting.as_str()]);

        let unmarked = skip("pool", &|experiment| {
            experiment.quality.marked = Some(false)
        });
        assert!(names(&unmarked, &raw).is_empty());
        let pool = investigation
            .experiments
            .iter()
            .position(|one| one.name == "pool")
            .unwrap();
        raw[pool].losses.skipped = vec![Some(0), Some(1)];
        assert_eq!(names(&unmarked, &raw), ["pool"]);

        let find = |evidence: &Evidence| ChanceGaps::find(&investigation, evidence, &raw);
        let acted = skip(acting, &skip_hits);
        for twice in [&lose, &acted] {
            let recurring = find(twice).recurring(&find(twice));
            assert_eq!(recurring, BTreeSet::from([acting.clone()]));
            assert!(find(twice).are_within(&recurring) && !find(&unmarked).are_within(&recurring));
        }
        assert!(find(&lose).recurring(&find(&unmarked)).is_empty());
        assert!(find(&unmarked).recurring(&find(&unmarked)).is_empty());
        assert_eq!(find(&lose).count(), 1);
        assert!(find(&whole).are_within(&BTreeSet::new()));
    }
}

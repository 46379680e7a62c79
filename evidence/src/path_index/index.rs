//! Every leaf of a document under its path. The tables of [`fields`](crate::document::fields) define which fields are leaves
//! and when they may change; leaves that are computed from several fields are defined here.

use std::borrow::Cow;

use crate::document::fields::leaf_rule;
use crate::document::{CallSite, Cost, Evidence, Experiment, Ledger, Reader, count};

use super::boot_stats;
use super::drift::Drift;
use super::leaves::Leaves;
use super::list::{List, computed};
use crate::document::value::{Bytes, Datum, Value};

/// The words of a leaf that is always one of a few; `None` of all others.
pub fn words(path: &str) -> Option<&'static [&'static str]> {
    leaf_rule(path)?.bounds.words
}

/// List all leaves of `evidence`. A probe that fired once has its values both below its own name and below
/// `hit1`; one that fired more often only below `hit1`, `hit2`, ….
///
/// In a document whose collector did not mark truncated values, those that may be truncated count as such.
pub fn leaves(evidence: &Evidence) -> Leaves<'_> {
    let mut list = List::new(evidence.run.marks_cuts, about(evidence));
    list.below("run", |list| list.fields(&evidence.run));
    list.below("machine", |list| list.fields(&evidence.machine));
    list.below("kernel", |list| list.fields(&evidence.kernel));
    list.below("kaslr", |list| list.fields(&evidence.kaslr));
    if !evidence.boots.is_empty() {
        list.below("boots", |list| list.boots(evidence));
    }
    list.below("commands", |list| list.commands(evidence));
    if let Some(facts) = &evidence.facts {
        list.facts(facts);
    }
    for (name, experiment) in &evidence.experiments {
        list.below(name, |list| list.experiment(experiment));
    }
    list.leaves.listed()
}

/// About how many leaves a document has.
fn about(evidence: &Evidence) -> usize {
    const OTHERS: usize = 128;
    const OF_EXPERIMENT: usize = 32;
    const OF_PROBE: usize = 8;
    const OF_HIT: usize = 15;
    let probes = evidence.experiments.values().flat_map(|experiment| {
        let probes = experiment.probes.values();
        probes.map(|probe| {
            let members = probe.members.entry.len() + probe.members.exit.len();
            let hits = probe
                .hits
                .iter()
                .map(|hit| OF_HIT + hit.args.len() + hit.entry.len() + hit.exit.len());
            let hits: usize = hits.sum();
            let paths = if probe.hits.len() == 1 { 2 } else { 1 };
            OF_PROBE + 3 * members + paths * hits
        })
    });
    let boots = 5 * evidence.boots.len();
    OTHERS + boots + OF_EXPERIMENT * evidence.experiments.len() + probes.sum::<usize>()
}

impl<'a> List<'a> {
    fn boots(&mut self, evidence: &'a Evidence) {
        for (leaf, datum, drift) in boot_stats::sums(evidence) {
            self.push(leaf, Cow::Owned(datum), drift);
        }
        for (index, boot) in evidence.boots.iter().enumerate() {
            self.below(&format!("boot{}", index + 1), |list| list.fields(boot));
        }
    }

    fn commands(&mut self, evidence: &'a Evidence) {
        for (name, command) in &evidence.commands {
            // The builder's files are of this build of the kernel, and the machine has been booted once.
            self.by_reader = match command.by {
                Reader::Machine => Drift::PerBoot,
                Reader::Builder => Drift::PerKernel,
            };
            self.below(name, |list| {
                let run = computed!(CommandRun, "run");
                list.text("run", &command.line(), run);
                list.fields(command);
            });
        }
    }

    fn experiment(&mut self, experiment: &'a Experiment) {
        self.fields(experiment);
        self.below("outcome", |list| list.fields(&experiment.outcome));
        self.below("quality", |list| list.quality(experiment));
        if let Some(call) = &experiment.call {
            self.below("call", |list| list.call(call));
        }
        if let Some(ledger) = &experiment.objects {
            self.below("objects", |list| list.objects(ledger));
        }
        if let Some(cost) = &experiment.cost {
            self.below("cost", |list| list.cost(cost));
        }
        for (name, probe) in &experiment.probes {
            self.below(name, |list| list.probe(probe));
        }
    }

    fn quality(&mut self, experiment: &'a Experiment) {
        let quality = &experiment.quality;
        self.fields(quality);
        let probes = experiment.probes.values();
        let attached = probes.filter(|probe| probe.backend.is_some()).count();
        let drift = computed!(Quality, "attached");
        self.own("attached", count(attached as u64), drift);
        let drift = computed!(Quality, "planned");
        self.own("planned", count(experiment.probes.len() as u64), drift);
        if let Some(one) = quality.descendants {
            let drift = computed!(Quality, "descendants");
            self.own("descendants", count(one.started), drift);
        }
    }

    fn cost(&mut self, cost: &'a Cost) {
        self.fields(cost);
        let added = i128::from(cost.probed_ns) - i128::from(cost.bare_ns);
        if let Some(value) = crate::document::value::Integer::new(added) {
            let type_name = None;
            let drift = computed!(Cost, "added_ns");
            self.own("added_ns", Value::Int { value, type_name }, drift);
        }
    }

    /// The workload's code. Its addresses are of this run's process.
    fn call(&mut self, call: &CallSite) {
        let address = |offset: u64| {
            // Nothing can be counted from a stand-in.
            if call.function.is_pseudonym() && offset != 0 {
                return Datum::withheld("it is computed from an address of a live machine");
            }
            Datum::Value(Value::address(call.function.0.wrapping_add(offset)))
        };
        let place = |list: &mut Self, leaf: &str, offset: u64, drift: Drift| {
            list.push(leaf, Cow::Owned(address(offset)), drift);
        };
        place(self, "function", 0, computed!(CallSite, "function"));
        let whole: Vec<u8> = call
            .code
            .iter()
            .flat_map(|one| one.bytes.0.clone())
            .collect();
        let value = Bytes(whole);
        let drift = computed!(CallSite, "code");
        self.own("code", Value::Bytes { value }, drift);
        if let Some(calling) = call.calling() {
            let drift = computed!(CallSite, "instruction");
            place(self, "instruction", calling.offset, drift);
            let after = calling.offset + calling.bytes.0.len() as u64;
            place(self, "after", after, computed!(CallSite, "after"));
            let drift = computed!(CallSite, "text");
            self.own("text", Value::text(&calling.text), drift);
        }
        for (index, one) in call.code.iter().enumerate() {
            self.below(&format!("insn{}", index + 1), |list| {
                let drift = computed!(Instruction, "address");
                place(list, "address", one.offset, drift);
                let value = one.bytes.clone();
                let drift = computed!(Instruction, "bytes");
                list.own("bytes", Value::Bytes { value }, drift);
                let drift = computed!(Instruction, "text");
                list.own("text", Value::text(&one.text), drift);
            });
        }
    }

    /// The ledger in numbers; its rows are for exhibits.
    fn objects(&mut self, ledger: &'a Ledger) {
        self.fields(ledger);
        let all = &ledger.allocations;
        let freed = all.iter().filter(|a| a.freed.is_some()).count();
        let live = all.iter().filter(|a| a.freed.is_none());
        let excused = live.filter(|a| a.excused.is_some()).count();
        for (leaf, number, drift) in [
            ("allocated", all.len(), computed!(Ledger, "allocated")),
            ("freed", freed, computed!(Ledger, "freed")),
            ("excused", excused, computed!(Ledger, "excused")),
            (
                "leaked",
                all.len() - freed - excused,
                computed!(Ledger, "leaked"),
            ),
        ] {
            self.own(leaf, count(number as u64), drift);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Check that every leaf is found under its path and under no other, that no path comes twice, and that they come in
    /// order.
    #[test]
    fn found_by_path() {
        let evidence = crate::testing::evidence();
        let leaves = leaves(&evidence);
        let paths: Vec<&str> = leaves.paths().collect();
        assert!(paths.len() > 30 && paths.is_sorted_by(|a, b| a < b));
        for (path, leaf) in leaves.iter() {
            if let (Some(words), Some(value)) = (words(path), leaf.datum.value()) {
                assert!(
                    words.contains(&value.to_string().as_str()),
                    "{path}: {value}"
                );
            }
            assert!(std::ptr::eq(leaves.get(path).unwrap(), leaf), "{path}");
            assert!(!leaves.contains(&format!("{path}.")));
            assert!(!leaves.contains(&path[1..]));
        }
        assert_eq!(leaves.data().count(), paths.len());
        let room = about(&evidence);
        assert!((paths.len()..3 * paths.len()).contains(&room), "{room}");
        assert!(leaves.get("").is_none());
        assert!(words("kernel.config.backend").is_none());
    }
}

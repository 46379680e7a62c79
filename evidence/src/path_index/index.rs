//! Every leaf of a document under its path. The tables of [`fields`](crate::document::fields) define which fields are leaves
//! and when they may change; leaves that are computed from several fields are defined here.

use std::borrow::Cow;

use crate::document::fields::leaf_rule;
use crate::document::{CallSite, Cost, Evidence, Experiment, Ledger, Reader, count_value};

use super::boot_stats;
use super::drift::Drift;
use super::leaves::Leaves;
use super::list::{LeafCollector, computed};
use crate::document::value::{Bytes, Datum, Value};

/// The words of a leaf that is always one of a few; `None` of all others.
pub fn leaf_words(path: &str) -> Option<&'static [&'static str]> {
    leaf_rule(path)?.bounds.words
}

/// List all leaves of `evidence`. A probe that fired once has its values both below its own name and below
/// `hit1`; one that fired more often only below `hit1`, `hit2`, ….
///
/// In a document whose collector did not mark truncated values, those that may be truncated count as such.
pub fn leaves(evidence: &Evidence) -> Leaves<'_> {
    let mut list = LeafCollector::new(evidence.run.marks_cuts, estimate_leaf_count(evidence));
    list.with_segment("run", |list| list.list_fields(&evidence.run));
    list.with_segment("machine", |list| list.list_fields(&evidence.machine));
    list.with_segment("kernel", |list| list.list_fields(&evidence.kernel));
    list.with_segment("kaslr", |list| list.list_fields(&evidence.kaslr));
    if !evidence.boots.is_empty() {
        list.with_segment("boots", |list| list.list_boots(evidence));
    }
    list.with_segment("commands", |list| list.list_commands(evidence));
    if let Some(facts) = &evidence.facts {
        list.list_facts(facts);
    }
    for (name, experiment) in &evidence.experiments {
        list.with_segment(name, |list| list.list_experiment(experiment));
    }
    list.leaves.build_index()
}

/// About how many leaves a document has.
fn estimate_leaf_count(evidence: &Evidence) -> usize {
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

impl<'a> LeafCollector<'a> {
    fn list_boots(&mut self, evidence: &'a Evidence) {
        for (leaf, datum, drift) in boot_stats::compute_boot_sums(evidence) {
            self.push(leaf, Cow::Owned(datum), drift);
        }
        for (index, boot) in evidence.boots.iter().enumerate() {
            self.with_segment(&format!("boot{}", index + 1), |list| list.list_fields(boot));
        }
    }

    fn list_commands(&mut self, evidence: &'a Evidence) {
        for (name, command) in &evidence.commands {
            // The builder's files are of this build of the kernel, and the machine has been booted once.
            self.by_reader = match command.by {
                Reader::Machine => Drift::PerBoot,
                Reader::Builder => Drift::PerKernel,
            };
            self.with_segment(name, |list| {
                let run = computed!(CommandRun, "run");
                list.push_text("run", &command.command_line(), run);
                list.list_fields(command);
            });
        }
    }

    fn list_experiment(&mut self, experiment: &'a Experiment) {
        self.list_fields(experiment);
        self.with_segment("outcome", |list| list.list_fields(&experiment.outcome));
        self.with_segment("quality", |list| list.list_quality(experiment));
        if let Some(call) = &experiment.call {
            self.with_segment("call", |list| list.list_call(call));
        }
        if let Some(ledger) = &experiment.objects {
            self.with_segment("objects", |list| list.list_objects(ledger));
        }
        if let Some(cost) = &experiment.cost {
            self.with_segment("cost", |list| list.list_cost(cost));
        }
        for (name, probe) in &experiment.probes {
            self.with_segment(name, |list| list.list_probe(probe));
        }
    }

    fn list_quality(&mut self, experiment: &'a Experiment) {
        let quality = &experiment.quality;
        self.list_fields(quality);
        let probes = experiment.probes.values();
        let attached = probes.filter(|probe| probe.backend.is_some()).count();
        let drift = computed!(Quality, "attached");
        self.push_value("attached", count_value(attached as u64), drift);
        let drift = computed!(Quality, "planned");
        self.push_value(
            "planned",
            count_value(experiment.probes.len() as u64),
            drift,
        );
        if let Some(one) = quality.descendants {
            let drift = computed!(Quality, "descendants");
            self.push_value("descendants", count_value(one.started), drift);
        }
    }

    fn list_cost(&mut self, cost: &'a Cost) {
        self.list_fields(cost);
        let added = i128::from(cost.probed_ns) - i128::from(cost.bare_ns);
        if let Some(value) = crate::document::value::Integer::new(added) {
            let type_name = None;
            let drift = computed!(Cost, "added_ns");
            self.push_value("added_ns", Value::Int { value, type_name }, drift);
        }
    }

    /// The workload's code. Its addresses are of this run's process.
    fn list_call(&mut self, call: &CallSite) {
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
        self.push_value("code", Value::Bytes { value }, drift);
        if let Some(calling) = call.call_instruction() {
            let drift = computed!(CallSite, "instruction");
            place(self, "instruction", calling.offset, drift);
            let after = calling.offset + calling.bytes.0.len() as u64;
            place(self, "after", after, computed!(CallSite, "after"));
            let drift = computed!(CallSite, "text");
            self.push_value("text", Value::text(&calling.text), drift);
        }
        for (index, one) in call.code.iter().enumerate() {
            self.with_segment(&format!("insn{}", index + 1), |list| {
                let drift = computed!(Instruction, "address");
                place(list, "address", one.offset, drift);
                let value = one.bytes.clone();
                let drift = computed!(Instruction, "bytes");
                list.push_value("bytes", Value::Bytes { value }, drift);
                let drift = computed!(Instruction, "text");
                list.push_value("text", Value::text(&one.text), drift);
            });
        }
    }

    /// The ledger in numbers; its rows are for exhibits.
    fn list_objects(&mut self, ledger: &'a Ledger) {
        self.list_fields(ledger);
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
            self.push_value(leaf, count_value(number as u64), drift);
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
            if let (Some(words), Some(value)) = (leaf_words(path), leaf.datum.value()) {
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
        let room = estimate_leaf_count(&evidence);
        assert!((paths.len()..3 * paths.len()).contains(&room), "{room}");
        assert!(leaves.get("").is_none());
        assert!(leaf_words("kernel.config.backend").is_none());
    }
}

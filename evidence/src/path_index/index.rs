//! Every leaf of a document under its path: the one place that says which value has which name.

use std::borrow::Cow;

use crate::document::{CallSite, DISABLED, Evidence, Experiment, RANDOMIZED, Reader, count};
use crate::path::SECTIONS;

use super::boot_stats;
use super::drift::Drift;
use super::leaves::Leaves;
use crate::document::value::{Bytes, Cut, Datum, Value};

/// The modes of lockdown (<https://elixir.bootlin.com/linux/v6.12/source/security/security.c>, `lockdown_reasons`).
const LOCKDOWN: &[&str] = &["none", "integrity", "confidentiality"];

/// The words of a leaf that is always one of a few; `None` of all others.
pub fn words(path: &str) -> Option<&'static [&'static str]> {
    let segments: Vec<&str> = path.split('.').collect();
    match segments[..] {
        ["kaslr", "status"] => Some(&[RANDOMIZED, DISABLED]),
        ["machine", "kind"] => Some(&["host", "guest"]),
        ["kernel", "lockdown"] => Some(LOCKDOWN),
        // An option of the kernel's configuration may have any name.
        [first, _, "backend"] if !SECTIONS.contains(&first) => {
            Some(&["kprobe", "tracepoint", "lsm"])
        }
        _ => None,
    }
}

/// Lists all leaves of `evidence`. A probe that fired once has its values both below its own name and below
/// `hit1`; one that fired more often only below `hit1`, `hit2`, ….
///
/// In a document whose collector did not mark cut values, those that may have been cut are taken for cut.
pub fn leaves(evidence: &Evidence) -> Leaves<'_> {
    let mut list = List {
        leaves: Leaves::default(),
        marked: evidence.run.marks_cuts,
    };
    list.run(evidence);
    list.machine(evidence);
    list.kernel(evidence);
    list.kaslr(evidence);
    list.boots(evidence);
    list.commands(evidence);
    for (name, experiment) in &evidence.experiments {
        list.experiment(name, experiment);
    }
    list.leaves.listed()
}

pub(super) struct List<'a> {
    pub(super) leaves: Leaves<'a>,
    /// Values that were cut are marked.
    marked: bool,
}

impl<'a> List<'a> {
    pub(super) fn own(&mut self, path: &[&str], value: Value, drift: Drift) {
        self.leaves
            .push(path, Cow::Owned(Datum::Value(value)), drift);
    }

    /// Text that redaction has withheld is no value.
    pub(super) fn text(&mut self, path: &[&str], value: &str, drift: Drift) {
        let datum = match crate::document::withheld::withheld(value) {
            Some(_) => Datum::unavailable(value),
            None => Datum::Value(Value::text(value)),
        };
        self.leaves.push(path, Cow::Owned(datum), drift);
    }

    pub(super) fn lend(&mut self, path: &[&str], datum: &'a Datum, drift: Drift) {
        let datum = match datum.value().filter(|_| !self.marked).and_then(unmarked) {
            Some(cut) => Cow::Owned(Datum::Value(cut)),
            None => Cow::Borrowed(datum),
        };
        self.leaves.push(path, datum, drift);
    }

    fn run(&mut self, evidence: &'a Evidence) {
        let run = &evidence.run;
        self.text(&["run.id"], &run.id, Drift::PerRun);
        self.text(&["run.time"], &run.time, Drift::PerRun);
        self.text(&["run.investigation"], &run.investigation, Drift::Invariant);
        self.text(
            &["run.investigation_digest"],
            &run.investigation_digest,
            Drift::Invariant,
        );
        self.text(&["run.collector"], &run.collector, Drift::Invariant);
        self.text(&["run.object_digest"], &run.object_digest, Drift::Invariant);
    }

    fn machine(&mut self, evidence: &'a Evidence) {
        let machine = &evidence.machine;
        let kind = match machine.kind {
            crate::document::MachineKind::Host => "host",
            crate::document::MachineKind::Guest => "guest",
        };
        self.text(&["machine.name"], &machine.name, Drift::Invariant);
        self.text(&["machine.kind"], kind, Drift::Invariant);
        let ephemeral = Value::Bool {
            value: machine.ephemeral,
        };
        self.own(&["machine.ephemeral"], ephemeral, Drift::Invariant);
        self.text(&["machine.boot_id"], &machine.boot_id, Drift::PerBoot);
        self.text(&["machine.cpu_model"], &machine.cpu_model, Drift::PerBoot);
        self.own(
            &["machine.cpus"],
            count(machine.cpus.into()),
            Drift::PerBoot,
        );
        if let Some(accelerator) = &machine.accelerator {
            self.text(&["machine.accelerator"], accelerator, Drift::PerBoot);
        }
    }

    fn kernel(&mut self, evidence: &'a Evidence) {
        let kernel = &evidence.kernel;
        self.text(&["kernel.release"], &kernel.release, Drift::PerKernel);
        self.text(&["kernel.version"], &kernel.version, Drift::PerKernel);
        if let Some(package) = &kernel.package {
            self.text(&["kernel.package"], package, Drift::PerKernel);
        }
        self.lend(&["kernel.build_id"], &kernel.build_id, Drift::PerKernel);
        if let Some(digest) = &kernel.image_digest {
            self.text(&["kernel.image_digest"], digest, Drift::PerKernel);
        }
        self.text(&["kernel.btf_digest"], &kernel.btf_digest, Drift::PerKernel);
        for (name, datum) in &kernel.config {
            self.lend(&["kernel.config", name], datum, Drift::PerKernel);
        }
        self.lend(&["kernel.lockdown"], &kernel.lockdown, Drift::PerBoot);
        self.lend(&["kernel.lsm"], &kernel.lsm, Drift::PerBoot);
        if let Some(line) = &kernel.command_line {
            self.text(&["kernel.command_line"], line, Drift::PerBoot);
        }
        self.lend(&["kernel.debuginfo"], &kernel.debuginfo, Drift::PerBoot);
    }

    fn kaslr(&mut self, evidence: &'a Evidence) {
        let kaslr = &evidence.kaslr;
        self.lend(&["kaslr.status"], &kaslr.status, Drift::Invariant);
        self.lend(&["kaslr.slide"], &kaslr.slide, Drift::PerBoot);
        self.lend(&["kaslr.agree"], &kaslr.agree, Drift::Invariant);
        for (name, datum) in &kaslr.sources {
            self.lend(&["kaslr.sources", name], datum, Drift::PerBoot);
        }
        for (name, places) in &kaslr.symbols {
            let path = |leaf| ["kaslr.symbols", name, leaf];
            self.lend(&path("live"), &places.live, Drift::PerBoot);
            self.lend(&path("static"), &places.static_address, Drift::PerKernel);
            self.lend(&path("slide"), &places.slide, Drift::PerBoot);
        }
        self.lend(&["kaslr.checked"], &kaslr.checked, Drift::PerKernel);
        self.lend(&["kaslr.differing"], &kaslr.differing, Drift::Invariant);
        self.lend(
            &["kaslr.physical_start"],
            &kaslr.physical_start,
            Drift::PerKernel,
        );
        self.lend(
            &["kaslr.physical_align"],
            &kaslr.physical_align,
            Drift::PerKernel,
        );
        let live = &kaslr.live_physical_start;
        self.lend(&["kaslr.live_physical_start"], live, Drift::PerBoot);
    }

    fn boots(&mut self, evidence: &'a Evidence) {
        if evidence.boots.is_empty() {
            return;
        }
        for (leaf, datum, drift) in boot_stats::sums(evidence) {
            self.leaves.push(&["boots", leaf], Cow::Owned(datum), drift);
        }
        for (index, boot) in evidence.boots.iter().enumerate() {
            let number = format!("boot{}", index + 1);
            let path = |leaf| ["boots", number.as_str(), leaf];
            self.text(&path("boot_id"), &boot.boot_id, Drift::PerRun);
            self.text(&path("time"), &boot.time, Drift::PerRun);
            self.lend(&path("slide"), &boot.slide, Drift::PerRun);
            self.lend(&path("text"), &boot.text, Drift::PerRun);
            self.lend(&path("physical"), &boot.physical, Drift::PerRun);
        }
    }

    fn commands(&mut self, evidence: &'a Evidence) {
        for (name, command) in &evidence.commands {
            let path = |leaf| ["commands", name, leaf];
            // The builder's files are of this build of the kernel, and the machine has been booted once.
            let drift = match command.by {
                Reader::Machine => Drift::PerBoot,
                Reader::Builder => Drift::PerKernel,
            };
            self.text(&path("run"), &command.line(), Drift::PerKernel);
            self.lend(&path("exit"), &command.exit, Drift::Invariant);
            self.lend(&path("output"), &command.output, drift);
            for (value, datum) in &command.values {
                self.lend(&["commands", name, "values", value], datum, drift);
            }
        }
    }

    fn experiment(&mut self, name: &str, experiment: &'a Experiment) {
        self.own(
            &[name, "workload"],
            Value::text(&experiment.workload),
            Drift::Invariant,
        );
        let outcome = &experiment.outcome;
        for (leaf, datum, drift) in [
            ("returned", &outcome.returned, Drift::Invariant),
            ("errno", &outcome.errno, Drift::Invariant),
            ("exit", &outcome.exit, Drift::Invariant),
            ("signal", &outcome.signal, Drift::Invariant),
            ("stdout", &outcome.stdout, Drift::PerRun),
        ] {
            self.lend(&[name, "outcome", leaf], datum, drift);
        }
        for (buffer, datum) in &outcome.buffers {
            self.lend(&[name, "outcome.buffers", buffer], datum, Drift::PerRun);
        }
        let quality = &experiment.quality;
        let probes = experiment.probes.values();
        let attached = probes.filter(|probe| probe.backend.is_some()).count();
        for (leaf, value, drift) in [
            ("events", quality.events, Drift::PerKernel),
            ("lost", quality.lost, Drift::Invariant),
            ("missed", quality.missed, Drift::Invariant),
            ("attached", attached as u64, Drift::PerKernel),
            ("planned", experiment.probes.len() as u64, Drift::Invariant),
        ] {
            self.own(&[name, "quality", leaf], count(value), drift);
        }
        if let Some(one) = quality.descendants {
            self.own(
                &[name, "quality", "descendants"],
                count(one.started),
                Drift::Invariant,
            );
        }
        if let Some(attempts) = quality.attempts {
            self.own(
                &[name, "quality", "attempts"],
                count(attempts.into()),
                Drift::PerRun,
            );
        }
        if let Some(call) = &experiment.call {
            self.call(name, call);
        }
        self.objects(name, experiment);
        if let Some(cost) = &experiment.cost {
            let path = |leaf| [name, "cost", leaf];
            self.own(
                &path("bare_ns"),
                Value::Time { ns: cost.bare_ns },
                Drift::PerRun,
            );
            self.own(
                &path("probed_ns"),
                Value::Time { ns: cost.probed_ns },
                Drift::PerRun,
            );
            let added = i128::from(cost.probed_ns) - i128::from(cost.bare_ns);
            if let Some(added) = crate::document::value::Integer::new(added) {
                let value = Value::Int {
                    value: added,
                    type_name: None,
                };
                self.own(&path("added_ns"), value, Drift::PerRun);
            }
            self.own(
                &path("iterations"),
                count(cost.iterations.into()),
                Drift::Invariant,
            );
        }
        for (probe_name, probe) in &experiment.probes {
            self.probe(&format!("{name}.{probe_name}"), probe);
        }
    }

    /// The workload's code. Its addresses are of this run's process.
    fn call(&mut self, name: &str, call: &CallSite) {
        let path = |leaf| [name, "call", leaf];
        let address = |offset: u64| {
            // Nothing can be counted from a stand-in.
            if call.function.is_pseudonym() && offset != 0 {
                return Datum::unavailable(
                    "withheld: it is computed from an address of a live machine",
                );
            }
            Datum::Value(Value::address(call.function.0.wrapping_add(offset)))
        };
        let own = |list: &mut Self, path: &[&str], datum: Datum| {
            list.leaves.push(path, Cow::Owned(datum), Drift::PerRun);
        };
        own(self, &path("function"), address(0));
        let whole: Vec<u8> = call
            .code
            .iter()
            .flat_map(|one| one.bytes.0.clone())
            .collect();
        self.own(
            &path("code"),
            Value::Bytes {
                value: Bytes(whole),
            },
            Drift::Invariant,
        );
        if let Some(calling) = call.calling() {
            let after = calling.offset + calling.bytes.0.len() as u64;
            own(self, &path("instruction"), address(calling.offset));
            own(self, &path("after"), address(after));
            self.own(&path("text"), Value::text(&calling.text), Drift::Invariant);
        }
        for (index, one) in call.code.iter().enumerate() {
            let insn = format!("insn{}", index + 1);
            let path = |leaf| [name, "call", insn.as_str(), leaf];
            own(self, &path("address"), address(one.offset));
            let bytes = Value::Bytes {
                value: one.bytes.clone(),
            };
            self.own(&path("bytes"), bytes, Drift::Invariant);
            self.own(&path("text"), Value::text(&one.text), Drift::Invariant);
        }
    }

    /// The ledger in numbers; its rows are for exhibits.
    fn objects(&mut self, name: &str, experiment: &'a Experiment) {
        let Some(ledger) = &experiment.objects else {
            return;
        };
        let number = |count: usize| crate::document::count(count as u64);
        let all = &ledger.allocations;
        let freed = all.iter().filter(|a| a.freed.is_some()).count();
        let live = |a: &&crate::document::Allocation| a.freed.is_none();
        let excused = all
            .iter()
            .filter(live)
            .filter(|a| a.excused.is_some())
            .count();
        let path = |leaf| [name, "objects", leaf];
        self.own(&path("allocated"), number(all.len()), Drift::PerKernel);
        self.own(&path("freed"), number(freed), Drift::PerKernel);
        self.own(&path("excused"), number(excused), Drift::PerRun);
        self.own(
            &path("leaked"),
            number(all.len() - freed - excused),
            Drift::Invariant,
        );
        self.own(
            &path("waited"),
            Value::Time {
                ns: ledger.waited_ns,
            },
            Drift::PerRun,
        );
    }
}

/// The value as one that was cut, if a collector that marked none of those may have cut it: it kept 24 frames of a stack,
/// the watcher's own ones among them, up to five; 63 bytes of a text, with an ellipsis behind; and 64 KiB of an output.
fn unmarked(value: &Value) -> Option<Value> {
    const FRAMES: std::ops::RangeInclusive<usize> = 19..=24;
    const TEXT: std::ops::RangeInclusive<usize> = 60..=63;
    const NOT_UTF8: usize = 63;
    const OUTPUT: usize = 64 * 1024;
    let cut = Cut::default();
    match value {
        Value::Stack { value } if FRAMES.contains(&value.len()) => Some(Value::CutStack {
            value: value.clone(),
            cut,
        }),
        Value::Bytes { value } if value.0.len() == NOT_UTF8 => Some(Value::CutBytes {
            value: value.clone(),
            cut,
        }),
        Value::Text { value } if value.len() >= OUTPUT => Some(Value::CutText {
            value: value.clone(),
            cut,
        }),
        Value::Text { value } => {
            let kept = value.strip_suffix('…')?;
            TEXT.contains(&kept.len()).then(|| Value::CutText {
                value: kept.to_owned(),
                cut,
            })
        }
        _ => None,
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
        assert!(leaves.get("").is_none());
        assert!(words("kernel.config.backend").is_none());
    }
}

//! Every leaf of a document under its path: the one place that says which value has which name.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::document::{CallSite, Evidence, Experiment, Hit, Probe, Reader, count};
use crate::value::{Bytes, Datum, Integer, Value};

/// When a value may change without anything being wrong.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    schemars::JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Drift {
    /// With every run: times, process ids, heap addresses.
    PerRun,
    /// With every boot: text addresses, the slide.
    PerBoot,
    /// With the kernel build: source lines, offsets, sizes.
    PerKernel,
    /// Never, as long as the investigation stays the same.
    Invariant,
}

/// A value, or the reason why there is none, and when it may change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leaf<'a> {
    /// The value or the reason.
    pub datum: Cow<'a, Datum>,
    /// When it may change.
    pub drift: Drift,
}

/// All leaves of a document by path, in path order.
pub type Leaves<'a> = BTreeMap<String, Leaf<'a>>;

/// Lists all leaves of `evidence`. A probe that fired once has its values both below its own name and below
/// `hit1`; one that fired more often only below `hit1`, `hit2`, ….
pub fn leaves(evidence: &Evidence) -> Leaves<'_> {
    let mut list = List::default();
    list.run(evidence);
    list.machine(evidence);
    list.kernel(evidence);
    list.kaslr(evidence);
    list.boots(evidence);
    list.commands(evidence);
    for (name, experiment) in &evidence.experiments {
        list.experiment(name, experiment);
    }
    // Numbers are put into order in the place of what they stand for, which is large.
    let mut leaves: Vec<Option<(String, Leaf<'_>)>> = list.leaves.into_iter().map(Some).collect();
    let mut order: Vec<usize> = (0..leaves.len()).collect();
    let path = |at: usize| leaves[at].as_ref().map(|(path, _)| path.as_str());
    order.sort_by(|a, b| path(*a).cmp(&path(*b)));
    order
        .into_iter()
        .filter_map(|at| leaves[at].take())
        .collect()
}

#[derive(Default)]
struct List<'a> {
    leaves: Vec<(String, Leaf<'a>)>,
}

impl<'a> List<'a> {
    fn own(&mut self, path: String, value: Value, drift: Drift) {
        let datum = Cow::Owned(Datum::Value(value));
        self.leaves.push((path, Leaf { datum, drift }));
    }

    /// Text that redaction has withheld is no value.
    fn text(&mut self, path: &str, value: &str, drift: Drift) {
        let datum = match crate::redact::withheld(value) {
            Some(_) => Datum::unavailable(value),
            None => Datum::Value(Value::text(value)),
        };
        let datum = Cow::Owned(datum);
        self.leaves.push((path.into(), Leaf { datum, drift }));
    }

    fn lend(&mut self, path: String, datum: &'a Datum, drift: Drift) {
        let datum = Cow::Borrowed(datum);
        self.leaves.push((path, Leaf { datum, drift }));
    }

    fn run(&mut self, evidence: &'a Evidence) {
        let run = &evidence.run;
        self.text("run.id", &run.id, Drift::PerRun);
        self.text("run.time", &run.time, Drift::PerRun);
        self.text("run.investigation", &run.investigation, Drift::Invariant);
        self.text(
            "run.investigation_digest",
            &run.investigation_digest,
            Drift::Invariant,
        );
        self.text("run.collector", &run.collector, Drift::Invariant);
        self.text("run.object_digest", &run.object_digest, Drift::Invariant);
    }

    fn machine(&mut self, evidence: &'a Evidence) {
        let machine = &evidence.machine;
        let kind = match machine.kind {
            crate::document::MachineKind::Host => "host",
            crate::document::MachineKind::Guest => "guest",
        };
        self.text("machine.name", &machine.name, Drift::Invariant);
        self.text("machine.kind", kind, Drift::Invariant);
        let ephemeral = Value::Bool {
            value: machine.ephemeral,
        };
        self.own("machine.ephemeral".into(), ephemeral, Drift::Invariant);
        self.text("machine.boot_id", &machine.boot_id, Drift::PerBoot);
        self.text("machine.cpu_model", &machine.cpu_model, Drift::PerBoot);
        self.own(
            "machine.cpus".into(),
            count(machine.cpus.into()),
            Drift::PerBoot,
        );
        if let Some(accelerator) = &machine.accelerator {
            self.text("machine.accelerator", accelerator, Drift::PerBoot);
        }
    }

    fn kernel(&mut self, evidence: &'a Evidence) {
        let kernel = &evidence.kernel;
        self.text("kernel.release", &kernel.release, Drift::PerKernel);
        self.text("kernel.version", &kernel.version, Drift::PerKernel);
        if let Some(package) = &kernel.package {
            self.text("kernel.package", package, Drift::PerKernel);
        }
        self.lend("kernel.build_id".into(), &kernel.build_id, Drift::PerKernel);
        self.text("kernel.btf_digest", &kernel.btf_digest, Drift::PerKernel);
        for (name, datum) in &kernel.config {
            self.lend(format!("kernel.config.{name}"), datum, Drift::PerKernel);
        }
        self.lend("kernel.lockdown".into(), &kernel.lockdown, Drift::PerBoot);
        self.lend("kernel.lsm".into(), &kernel.lsm, Drift::PerBoot);
        if let Some(line) = &kernel.command_line {
            self.text("kernel.command_line", line, Drift::PerBoot);
        }
        self.lend("kernel.debuginfo".into(), &kernel.debuginfo, Drift::PerBoot);
    }

    fn kaslr(&mut self, evidence: &'a Evidence) {
        let kaslr = &evidence.kaslr;
        self.lend("kaslr.status".into(), &kaslr.status, Drift::Invariant);
        self.lend("kaslr.slide".into(), &kaslr.slide, Drift::PerBoot);
        self.lend("kaslr.agree".into(), &kaslr.agree, Drift::Invariant);
        for (name, datum) in &kaslr.sources {
            self.lend(format!("kaslr.sources.{name}"), datum, Drift::PerBoot);
        }
        for (name, places) in &kaslr.symbols {
            let path = |leaf: &str| format!("kaslr.symbols.{name}.{leaf}");
            self.lend(path("live"), &places.live, Drift::PerBoot);
            self.lend(path("static"), &places.static_address, Drift::PerKernel);
            self.lend(path("slide"), &places.slide, Drift::PerBoot);
        }
        self.lend("kaslr.checked".into(), &kaslr.checked, Drift::PerKernel);
        self.lend("kaslr.differing".into(), &kaslr.differing, Drift::Invariant);
        self.lend(
            "kaslr.physical_start".into(),
            &kaslr.physical_start,
            Drift::PerKernel,
        );
        self.lend(
            "kaslr.physical_align".into(),
            &kaslr.physical_align,
            Drift::PerKernel,
        );
        let live = &kaslr.live_physical_start;
        self.lend("kaslr.live_physical_start".into(), live, Drift::PerBoot);
    }

    fn boots(&mut self, evidence: &'a Evidence) {
        if evidence.boots.is_empty() {
            return;
        }
        for (leaf, datum, drift) in crate::boots::sums(evidence) {
            let datum = Cow::Owned(datum);
            self.leaves
                .push((format!("boots.{leaf}"), Leaf { datum, drift }));
        }
        for (index, boot) in evidence.boots.iter().enumerate() {
            let path = |leaf: &str| format!("boots.boot{}.{leaf}", index + 1);
            self.text(&path("boot_id"), &boot.boot_id, Drift::PerRun);
            self.text(&path("time"), &boot.time, Drift::PerRun);
            self.lend(path("slide"), &boot.slide, Drift::PerRun);
            self.lend(path("text"), &boot.text, Drift::PerRun);
            self.lend(path("physical"), &boot.physical, Drift::PerRun);
        }
    }

    fn commands(&mut self, evidence: &'a Evidence) {
        for (name, command) in &evidence.commands {
            let path = |leaf: &str| format!("commands.{name}.{leaf}");
            // The builder's files are of this build of the kernel, and the machine has been booted once.
            let drift = match command.by {
                Reader::Machine => Drift::PerBoot,
                Reader::Builder => Drift::PerKernel,
            };
            self.text(&path("run"), &command.line(), Drift::PerKernel);
            self.lend(path("exit"), &command.exit, Drift::Invariant);
            self.lend(path("output"), &command.output, drift);
            for (value, datum) in &command.values {
                self.lend(path(&format!("values.{value}")), datum, drift);
            }
        }
    }

    fn experiment(&mut self, name: &str, experiment: &'a Experiment) {
        self.own(
            format!("{name}.workload"),
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
            self.lend(format!("{name}.outcome.{leaf}"), datum, drift);
        }
        for (buffer, datum) in &outcome.buffers {
            self.lend(
                format!("{name}.outcome.buffers.{buffer}"),
                datum,
                Drift::PerRun,
            );
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
            self.own(format!("{name}.quality.{leaf}"), count(value), drift);
        }
        if let Some(call) = &experiment.call {
            self.call(name, call);
        }
        self.objects(name, experiment);
        if let Some(cost) = &experiment.cost {
            let path = |leaf: &str| format!("{name}.cost.{leaf}");
            self.own(
                path("bare_ns"),
                Value::Time { ns: cost.bare_ns },
                Drift::PerRun,
            );
            self.own(
                path("probed_ns"),
                Value::Time { ns: cost.probed_ns },
                Drift::PerRun,
            );
            let added = i128::from(cost.probed_ns) - i128::from(cost.bare_ns);
            if let Some(added) = crate::value::Integer::new(added) {
                let value = Value::Int {
                    value: added,
                    type_name: None,
                };
                self.own(path("added_ns"), value, Drift::PerRun);
            }
            self.own(
                path("iterations"),
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
        let path = |leaf: &str| format!("{name}.call.{leaf}");
        let address = |offset: u64| {
            // Nothing can be counted from a stand-in.
            if call.function.is_pseudonym() && offset != 0 {
                return Datum::unavailable(
                    "withheld: it is computed from an address of a live machine",
                );
            }
            Datum::Value(Value::address(call.function.0.wrapping_add(offset)))
        };
        let own = |list: &mut Self, path: String, datum: Datum| {
            let (datum, drift) = (Cow::Owned(datum), Drift::PerRun);
            list.leaves.push((path, Leaf { datum, drift }));
        };
        own(self, path("function"), address(0));
        let whole: Vec<u8> = call
            .code
            .iter()
            .flat_map(|one| one.bytes.0.clone())
            .collect();
        self.own(
            path("code"),
            Value::Bytes {
                value: Bytes(whole),
            },
            Drift::Invariant,
        );
        if let Some(calling) = call.calling() {
            let after = calling.offset + calling.bytes.0.len() as u64;
            own(self, path("instruction"), address(calling.offset));
            own(self, path("after"), address(after));
            self.own(path("text"), Value::text(&calling.text), Drift::Invariant);
        }
        for (index, one) in call.code.iter().enumerate() {
            let path = |leaf: &str| path(&format!("insn{}.{leaf}", index + 1));
            own(self, path("address"), address(one.offset));
            let bytes = Value::Bytes {
                value: one.bytes.clone(),
            };
            self.own(path("bytes"), bytes, Drift::Invariant);
            self.own(path("text"), Value::text(&one.text), Drift::Invariant);
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
        let path = |leaf: &str| format!("{name}.objects.{leaf}");
        self.own(path("allocated"), number(all.len()), Drift::PerKernel);
        self.own(path("freed"), number(freed), Drift::PerKernel);
        self.own(path("excused"), number(excused), Drift::PerRun);
        self.own(
            path("leaked"),
            number(all.len() - freed - excused),
            Drift::Invariant,
        );
        self.own(
            path("waited"),
            Value::Time {
                ns: ledger.waited_ns,
            },
            Drift::PerRun,
        );
    }

    fn probe(&mut self, path: &str, probe: &'a Probe) {
        if let Some(backend) = probe.backend {
            let backend = match backend {
                crate::document::Backend::Kprobe => "kprobe",
                crate::document::Backend::Tracepoint => "tracepoint",
                crate::document::Backend::Lsm => "lsm",
            };
            self.own(
                format!("{path}.backend"),
                Value::text(backend),
                Drift::PerKernel,
            );
        }
        // What the kernel answered to attaching it.
        if probe.backend.is_some() {
            let name = "OK".to_owned();
            let value = Value::Errno { value: 0, name };
            self.own(format!("{path}.attach_errno"), value, Drift::PerKernel);
        } else if let Some(errno) = &probe.attach_errno {
            self.lend(format!("{path}.attach_errno"), errno, Drift::PerKernel);
        }
        if let Some(address) = &probe.address {
            self.lend(format!("{path}.address"), address, Drift::PerBoot);
        }
        if let Some(definition) = &probe.definition {
            self.lend(format!("{path}.definition"), definition, Drift::PerKernel);
        }
        if let Some(one) = &probe.instruction {
            let offset = Value::Offset {
                value: Integer::from(one.offset),
            };
            self.own(format!("{path}.offset"), offset, Drift::PerKernel);
            let bytes = Value::Bytes {
                value: one.bytes.clone(),
            };
            self.own(format!("{path}.code"), bytes, Drift::PerKernel);
            self.own(
                format!("{path}.instruction"),
                Value::text(&one.text),
                Drift::PerKernel,
            );
        }
        if let Some(listed) = &probe.listed {
            self.lend(format!("{path}.listed"), listed, Drift::PerKernel);
        }
        if probe.unavailable.is_none() {
            let hits = count(probe.hits.len() as u64);
            self.own(format!("{path}.hits"), hits, Drift::Invariant);
        }
        for (side, members) in [
            ("entry", &probe.members.entry),
            ("exit", &probe.members.exit),
        ] {
            for (name, member) in members {
                let at = |leaf: &str| format!("{path}.members.{side}.{name}.{leaf}");
                self.text(&at("structure"), &member.structure, Drift::PerKernel);
                self.text(&at("name"), &member.name, Drift::Invariant);
                let offset = crate::value::Integer::from(member.offset);
                self.own(
                    at("offset"),
                    Value::Offset { value: offset },
                    Drift::PerKernel,
                );
            }
        }
        for (index, hit) in probe.hits.iter().enumerate() {
            self.hit(&format!("{path}.hit{}", index + 1), hit);
            if probe.hits.len() == 1 {
                self.hit(path, hit);
            }
        }
    }

    fn hit(&mut self, path: &str, hit: &'a Hit) {
        let at = |leaf: &str| format!("{path}.{leaf}");
        for (leaf, order) in [("order", hit.order), ("return_order", hit.return_order)] {
            if let Some(order) = order {
                self.own(at(leaf), count(order), Drift::PerKernel);
            }
        }
        for (leaf, time) in [
            ("time_ns", hit.time_ns),
            ("return_time_ns", hit.return_time_ns),
        ] {
            if let Some(ns) = time {
                self.own(at(leaf), Value::Time { ns }, Drift::PerRun);
            }
        }
        if let (Some(entered), Some(returned)) = (hit.time_ns, hit.return_time_ns)
            && let Some(ns) = returned.checked_sub(entered)
        {
            self.own(at("duration_ns"), Value::Time { ns }, Drift::PerRun);
        }
        self.own(
            at("pid"),
            Value::Pid {
                value: hit.task.pid,
            },
            Drift::PerRun,
        );
        self.own(
            at("tid"),
            Value::Pid {
                value: hit.task.tid,
            },
            Drift::PerRun,
        );
        // Of a free that waited for a grace period: whichever task ran on that CPU then.
        self.text(&at("task"), &hit.task.name, Drift::PerRun);
        self.own(at("cpu"), count(hit.cpu.into()), Drift::PerRun);
        for (group, data) in [
            ("args", &hit.args),
            ("entry", &hit.entry),
            ("exit", &hit.exit),
        ] {
            for (name, datum) in data {
                self.lend(format!("{path}.{group}.{name}"), datum, drift_of(datum));
            }
        }
        if let Some(datum) = &hit.return_value {
            self.lend(at("return"), datum, drift_of(datum));
        }
        if let Some(datum) = &hit.caller {
            self.lend(at("caller"), datum, Drift::PerKernel);
        }
        if let Some(datum) = &hit.site {
            self.lend(at("site"), datum, Drift::PerKernel);
        }
        if let Some(datum) = &hit.stack {
            self.lend(at("stack"), datum, Drift::PerKernel);
        }
    }
}

/// Where the kernel's half of the address space begins, with four levels of page tables or with five
/// (<https://elixir.bootlin.com/linux/v6.12/source/Documentation/arch/x86/x86_64/mm.rst#L20>).
const KERNEL_HALF: i128 = 0xff00_0000_0000_0000;

/// The class of a value that was read from memory or registers.
fn drift_of(datum: &Datum) -> Drift {
    match datum.value() {
        Some(Value::Address { value, symbol, .. }) => match (value.0, symbol) {
            (0, _) => Drift::Invariant,
            (_, Some(_)) => Drift::PerBoot,
            (_, None) => Drift::PerRun,
        },
        Some(Value::Symbol { .. } | Value::Location { .. } | Value::Stack { .. }) => {
            Drift::PerKernel
        }
        Some(Value::Offset { .. } | Value::Size { .. }) => Drift::PerKernel,
        Some(Value::Bytes { .. }) => Drift::PerBoot,
        // An address that C calls a number, such as a tracepoint's `call_site`.
        Some(Value::Int { value, .. }) if value.get() >= KERNEL_HALF => Drift::PerBoot,
        Some(Value::Pid { .. } | Value::Time { .. }) => Drift::PerRun,
        _ => Drift::Invariant,
    }
}

//! The leaves of a probe and of its hits.

use std::borrow::Cow;
use std::collections::BTreeMap;

use crate::document::value::{Datum, Integer, Value};
use crate::document::{Hit, Probe, count};

use super::drift::{Drift, drift_of};
use super::index::List;

impl<'a> List<'a> {
    pub(super) fn probe(&mut self, path: &str, probe: &'a Probe) {
        if let Some(address) = &probe.address {
            self.lend(&[path, "address"], address, Drift::PerBoot);
        }
        // What the kernel answered to attaching it.
        if probe.backend.is_some() {
            let name = "OK".to_owned();
            let value = Value::Errno { value: 0, name };
            self.own(&[path, "attach_errno"], value, Drift::PerKernel);
        } else if let Some(errno) = &probe.attach_errno {
            self.lend(&[path, "attach_errno"], errno, Drift::PerKernel);
        }
        if let Some(backend) = probe.backend {
            let backend = match backend {
                crate::document::Backend::Kprobe => "kprobe",
                crate::document::Backend::Tracepoint => "tracepoint",
                crate::document::Backend::Lsm => "lsm",
            };
            self.own(&[path, "backend"], Value::text(backend), Drift::PerKernel);
        }
        if let Some(one) = &probe.instruction {
            let value = one.bytes.clone();
            self.own(&[path, "code"], Value::Bytes { value }, Drift::PerKernel);
        }
        if let Some(definition) = &probe.definition {
            self.lend(&[path, "definition"], definition, Drift::PerKernel);
        }
        for (index, hit) in probe.hits.iter().enumerate() {
            self.hit(&format!("{path}.hit{}", index + 1), hit);
        }
        if probe.unavailable.is_none() {
            let hits = count(probe.hits.len() as u64);
            self.own(&[path, "hits"], hits, Drift::Invariant);
        }
        if let Some(one) = &probe.instruction {
            let text = Value::text(&one.text);
            self.own(&[path, "instruction"], text, Drift::PerKernel);
        }
        if let Some(listed) = &probe.listed {
            self.lend(&[path, "listed"], listed, Drift::PerKernel);
        }
        for (side, members) in [
            ("entry", &probe.members.entry),
            ("exit", &probe.members.exit),
        ] {
            for (name, member) in members {
                let at = |leaf| [path, "members", side, name, leaf];
                self.text(&at("name"), &member.name, Drift::Invariant);
                let value = Integer::from(member.offset);
                self.own(&at("offset"), Value::Offset { value }, Drift::PerKernel);
                self.text(&at("structure"), &member.structure, Drift::PerKernel);
            }
        }
        if let Some(one) = &probe.instruction {
            let value = Integer::from(one.offset);
            self.own(&[path, "offset"], Value::Offset { value }, Drift::PerKernel);
        }
        if let Some(skipped) = probe.skipped {
            self.own(&[path, "skipped"], count(skipped), Drift::PerRun);
        }
        if let [only] = probe.hits.as_slice() {
            self.hit(path, only);
        }
    }

    /// Who called, which is known only where the code before the return address was looked at.
    fn calling(&mut self, path: &[&str], hit: &'a Hit, datum: &'a Option<Datum>) {
        match datum {
            Some(datum) if hit.returns_to.is_some() => self.lend(path, datum, Drift::PerKernel),
            Some(_) => {
                let datum = Datum::unavailable(
                    "this evidence does not say what the code before the return address calls: capture again",
                );
                self.leaves.push(path, Cow::Owned(datum), Drift::PerKernel);
            }
            None => {}
        }
    }

    fn hit(&mut self, path: &str, hit: &'a Hit) {
        let at = |leaf| [path, leaf];
        let group = |list: &mut Self, group: &str, data: &'a BTreeMap<String, Datum>| {
            for (name, datum) in data {
                list.lend(&[path, group, name], datum, drift_of(datum));
            }
        };
        let time = |list: &mut Self, leaf: &str, ns: Option<u64>| {
            if let Some(ns) = ns {
                list.own(&[path, leaf], Value::Time { ns }, Drift::PerRun);
            }
        };
        let order = |list: &mut Self, leaf: &str, order: Option<u64>| {
            if let Some(order) = order {
                list.own(&[path, leaf], count(order), Drift::PerKernel);
            }
        };
        let place = |list: &mut Self, leaf: &str, datum: &'a Option<Datum>, drift: Drift| {
            if let Some(datum) = datum {
                list.lend(&[path, leaf], datum, drift);
            }
        };
        let duration = match (hit.time_ns, hit.return_time_ns) {
            (Some(entered), Some(returned)) => returned.checked_sub(entered),
            _ => None,
        };
        let task = |value| Value::Pid { value };
        group(self, "args", &hit.args);
        self.calling(&at("caller"), hit, &hit.caller);
        if let Some(context) = hit.context {
            self.own(
                &at("context"),
                Value::text(context.word()),
                Drift::PerKernel,
            );
        }
        self.own(&at("cpu"), count(hit.cpu.into()), Drift::PerRun);
        time(self, "duration_ns", duration);
        group(self, "entry", &hit.entry);
        group(self, "exit", &hit.exit);
        place(self, "instance", &hit.instance, Drift::PerKernel);
        order(self, "order", hit.order);
        self.own(&at("pid"), task(hit.task.pid), Drift::PerRun);
        if let Some(datum) = &hit.return_value {
            self.lend(&at("return"), datum, drift_of(datum));
        }
        order(self, "return_order", hit.return_order);
        time(self, "return_time_ns", hit.return_time_ns);
        place(self, "returns_to", &hit.returns_to, Drift::PerKernel);
        self.calling(&at("site"), hit, &hit.site);
        place(self, "stack", &hit.stack, Drift::PerKernel);
        // Of a free that waited for a grace period: whichever task ran on that CPU then.
        self.text(&at("task"), &hit.task.name, Drift::PerRun);
        self.own(&at("tid"), task(hit.task.tid), Drift::PerRun);
        time(self, "time_ns", hit.time_ns);
    }
}

//! The leaves of a probe and of its hits.

use crate::document::value::{Integer, Value};
use crate::document::{Hit, Probe, count};

use super::list::{List, computed};

impl<'a> List<'a> {
    pub(super) fn probe(&mut self, probe: &'a Probe) {
        self.fields(probe);
        // What the kernel answered to attaching it.
        let drift = computed!(Probe, "attach_errno");
        if probe.backend.is_some() {
            let name = "OK".to_owned();
            let value = Value::Errno { value: 0, name };
            self.own("attach_errno", value, drift);
        } else if let Some(errno) = &probe.attach_errno {
            self.lend("attach_errno", errno, drift);
        }
        if let Some(one) = &probe.instruction {
            let value = one.bytes.clone();
            let drift = computed!(Probe, "code");
            self.own("code", Value::Bytes { value }, drift);
            let drift = computed!(Probe, "instruction");
            self.own("instruction", Value::text(&one.text), drift);
            let value = Integer::from(one.offset);
            let drift = computed!(Probe, "offset");
            self.own("offset", Value::Offset { value }, drift);
        }
        if probe.unavailable.is_none() {
            let drift = computed!(Probe, "hits");
            self.own("hits", count(probe.hits.len() as u64), drift);
        }
        self.below("members", |list| {
            for (side, members) in [
                ("entry", &probe.members.entry),
                ("exit", &probe.members.exit),
            ] {
                for (name, member) in members {
                    list.below(side, |list| list.below(name, |list| list.fields(member)));
                }
            }
        });
        for (index, hit) in probe.hits.iter().enumerate() {
            self.below(&format!("hit{}", index + 1), |list| list.hit(hit));
        }
        if let [only] = probe.hits.as_slice() {
            self.hit(only);
        }
    }

    fn hit(&mut self, hit: &'a Hit) {
        self.caller_known = hit.returns_to.is_some();
        self.fields(hit);
        let duration = match (hit.time_ns, hit.return_time_ns) {
            (Some(entered), Some(returned)) => returned.checked_sub(entered),
            _ => None,
        };
        if let Some(ns) = duration {
            let drift = computed!(Hit, "duration_ns");
            self.own("duration_ns", Value::Time { ns }, drift);
        }
    }
}

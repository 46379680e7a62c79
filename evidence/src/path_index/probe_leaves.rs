//! The leaves of a probe and of its hits.

use crate::document::value::{Integer, Value};
use crate::document::{Hit, Probe, count_value};

use super::list::{LeafCollector, computed};

impl<'a> LeafCollector<'a> {
    pub(super) fn list_probe(&mut self, probe: &'a Probe) {
        self.list_fields(probe);
        // What the kernel answered to attaching it.
        let drift = computed!(Probe, "attach_errno");
        if probe.backend.is_some() {
            let name = "OK".to_owned();
            let value = Value::Errno { value: 0, name };
            self.push_value("attach_errno", value, drift);
        } else if let Some(errno) = &probe.attach_errno {
            self.push_borrowed("attach_errno", errno, drift);
        }
        if let Some(one) = &probe.instruction {
            let value = one.bytes.clone();
            let drift = computed!(Probe, "code");
            self.push_value("code", Value::Bytes { value }, drift);
            let drift = computed!(Probe, "instruction");
            self.push_value("instruction", Value::text(&one.text), drift);
            let value = Integer::from(one.offset);
            let drift = computed!(Probe, "offset");
            self.push_value("offset", Value::Offset { value }, drift);
        }
        if probe.unavailable.is_none() {
            let drift = computed!(Probe, "hits");
            self.push_value("hits", count_value(probe.hits.len() as u64), drift);
        }
        self.with_segment("members", |list| {
            for (side, members) in [
                ("entry", &probe.members.entry),
                ("exit", &probe.members.exit),
            ] {
                for (name, member) in members {
                    list.with_segment(side, |list| {
                        list.with_segment(name, |list| list.list_fields(member))
                    });
                }
            }
        });
        for (index, hit) in probe.hits.iter().enumerate() {
            self.with_segment(&format!("hit{}", index + 1), |list| list.list_hit(hit));
        }
        if let [only] = probe.hits.as_slice() {
            self.list_hit(only);
        }
    }

    fn list_hit(&mut self, hit: &'a Hit) {
        self.caller_known = hit.returns_to.is_some();
        self.list_fields(hit);
        let duration = match (hit.time_ns, hit.return_time_ns) {
            (Some(entered), Some(returned)) => returned.checked_sub(entered),
            _ => None,
        };
        if let Some(ns) = duration {
            let drift = computed!(Hit, "duration_ns");
            self.push_value("duration_ns", Value::Time { ns }, drift);
        }
    }
}

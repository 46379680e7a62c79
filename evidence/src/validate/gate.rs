//! The tracepoints of system calls against what the workload's own call was and returned.

use super::finding::{Finding, number};
use crate::document::pointer::escape;
use crate::document::{Experiment, Probe, Target};
use crate::investigation::{Action, Experiment as PlannedExperiment, Probe as PlannedProbe};

/// Check that one of the hits at `sys_exit` has what the workload's call returned, and that all hits of a probe are of one system call.
pub(super) fn check_gate(
    at: &str,
    requested: &PlannedExperiment,
    found: &Experiment,
) -> Option<Finding> {
    let Action::Syscall { name, .. } = &requested.workload.action else {
        return None;
    };
    // Of an experiment that lost events nothing is believed anyway.
    if found.quality.lost > 0 {
        return None;
    }
    let calls = requested.workload.call_count();
    let returned = found.outcome.returned.value();
    let returned = returned.and_then(|value| value.as_integer());
    found.probes.iter().find_map(|(probe_name, probe)| {
        let requested = requested.probe(probe_name)?;
        let Target::Tracepoint(tracepoint) = &probe.target else {
            return None;
        };
        // Of several calls in sequence, a probe without a filter sees all.
        let filtered = calls == 1 || requested.syscall.is_some();
        let own = requested.syscall.as_ref().is_none_or(|other| other == name);
        let at = format!("{at}/probes/{}/hits", escape(probe_name));
        match tracepoint.as_str() {
            "sys_enter" if filtered && is_whole(requested, probe) => {
                check_syscall_number(&at, probe)
            }
            "sys_exit" if own && is_whole(requested, probe) => check_result(&at, probe, returned?),
            _ => None,
        }
    })
}

/// Results that the kernel keeps to itself: ERESTARTSYS, ERESTARTNOINTR, ERESTARTNOHAND and ERESTART_RESTARTBLOCK
/// (<https://elixir.bootlin.com/linux/v6.12/A/ident/ERESTARTSYS>).
pub(super) const RESTARTED: [i128; 4] = [-512, -513, -514, -516];

/// True if the probe saw each call of the workload's task, and no others.
fn is_whole(requested: &PlannedProbe, found: &Probe) -> bool {
    !requested.any_task && requested.within.is_none() && found.skipped == Some(0)
}

fn check_syscall_number(at: &str, probe: &Probe) -> Option<Finding> {
    let number = |hit: &crate::document::Hit| number(hit.args.get("id")?);
    let first = number(probe.hits.first()?)?;
    let mut hits = probe.hits.iter().enumerate();
    let (index, other) = hits.find_map(|(index, hit)| {
        let other = number(hit)?;
        (other != first).then_some((index, other))
    })?;
    let reason =
        format!("the probe takes one system call, which is {first} in its first hit, not {other}");
    Some((format!("{at}/{index}/args/id"), reason))
}

fn check_result(at: &str, probe: &Probe, returned: i128) -> Option<Finding> {
    let results = probe.hits.iter().map(|hit| number(hit.args.get("ret")?));
    // One that is not known may be it.
    let results: Vec<i128> = results.collect::<Option<_>>()?;
    let last = results.last()?;
    // Of a call that a signal interrupted, user space sees another result: EINTR, or that of `restart_syscall`.
    if results.iter().any(|result| RESTARTED.contains(result)) {
        return None;
    }
    (!results.contains(&returned)).then(|| {
        let reason = format!("the call returned {returned}, and this hit says {last}");
        (format!("{at}/{}/args/ret", results.len() - 1), reason)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::Hit;
    use crate::document::value::{Datum, Value};

    /// An experiment of the sample with one more probe, on this tracepoint: of the numbers in its hits.
    fn seen(tracepoint: &str, argument: &str, values: &[i64]) -> Option<Finding> {
        let mut requested = crate::testing::investigation().experiments[0].clone();
        let mut found = crate::testing::evidence().experiments[&requested.name].clone();
        let target = Target::Tracepoint(tracepoint.into());
        let planned = requested.probes.first_mut().unwrap();
        (planned.target, planned.within, planned.any_task) = (target.clone(), None, false);
        let probe = found.probes.get_mut(&planned.name).unwrap();
        let hit = probe.hits.first().unwrap().clone();
        (probe.target, probe.skipped) = (target, Some(0));
        probe.hits = (values.iter())
            .map(|value| Hit {
                args: [(argument.to_owned(), Datum::Value(Value::int(*value)))].into(),
                ..hit.clone()
            })
            .collect();
        found.outcome.returned = Datum::Value(Value::Fd { value: 3 });
        check_gate("/e", &requested, &found)
    }

    /// Check that a document in which no hit at `sys_exit` has what the call returned is refused, whichever of the two was changed.
    #[test]
    fn results_of_calls() {
        assert_eq!(seen("sys_exit", "ret", &[3]), None);
        assert_eq!(seen("sys_exit", "ret", &[-512, 3]), None);
        assert_eq!(seen("sys_exit", "ret", &[]), None);
        assert_eq!(seen("sys_exit", "ret", &[-516]), None);
        let (at, reason) = seen("sys_exit", "ret", &[4]).unwrap();
        assert!(at.ends_with("/hits/0/args/ret"), "{at}");
        assert!(reason.contains("returned 3"), "{reason}");
    }

    /// Check that hits of two system calls in a probe that takes one are refused.
    #[test]
    fn numbers_of_calls() {
        assert_eq!(seen("sys_enter", "id", &[41, 41]), None);
        let (at, _) = seen("sys_enter", "id", &[41, 42]).unwrap();
        assert!(at.ends_with("/hits/1/args/id"), "{at}");
    }
}

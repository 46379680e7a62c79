//! The blind spots of an experiment as a whole: reasons why its silence and its counts may not be those of the whole run. Pure,
//! from the document and the plan.

use crate::document::value::{Datum, Value};
use crate::document::{Context, Experiment, Probe, Target};
use crate::investigation::{Action, Experiment as PlannedExperiment, Probe as PlannedProbe};

/// The reasons why `probe` may have missed hits, whatever it watches.
pub(crate) fn missed_hit_reasons(
    plan: &PlannedExperiment,
    seen: &Experiment,
    probe: &PlannedProbe,
) -> Vec<String> {
    let mut reasons: Vec<String> = early_end_reason(plan, seen).into_iter().collect();
    reasons.extend(unwatched_process_reasons(plan, seen, probe));
    let found = seen.probes.get(&probe.name);
    reasons.extend(found.and_then(|found| skipped_hits_reason(&probe.name, found)));
    reasons.extend(compat_call_reason(plan, seen, probe));
    reasons.extend(deferred_work_reason(seen));
    reasons.extend(unseen_thread_reason(seen));
    reasons
}

/// The reason why a thread of the workload's own process may have gone on unseen: one that the call started and left running, such
/// as a kernel thread that polls for io_uring.
fn unseen_thread_reason(seen: &Experiment) -> Option<String> {
    match seen.quality.threads_running {
        Some(0) => None,
        Some(count) => Some(format!(
            "{count} {} that the call started still ran when the watch ended: `until = \"exit\"` in the experiment watches until \
             the process has ended",
            if count == 1 { "thread" } else { "threads" }
        )),
        None => Some(
            "this evidence does not say whether threads that the call started still ran when the watch ended: capture again"
                .into(),
        ),
    }
}

/// The reason why deferred work of the call may not have been seen: the kernel does it on the task's way back to user space,
/// after `sys_exit`.
pub(crate) fn deferred_work_reason(seen: &Experiment) -> Option<String> {
    match seen.quality.until_user_space {
        Some(true) => None,
        Some(false) => Some(
            "the watch ended at `sys_exit`, and what the kernel did on the task's way back to user space was not seen: \
             `until = \"exit\"` in the experiment watches until the process has ended"
                .into(),
        ),
        None => Some(
            "this evidence does not say whether the kernel was watched until the task was back in user space: capture again"
                .into(),
        ),
    }
}

/// The reasons why hits of `probe` may not be those that are claimed: they may be of other tasks than the workload, or of the
/// workload outside its call.
pub(crate) fn foreign_hit_reasons(seen: &Experiment, probe: &PlannedProbe) -> Vec<String> {
    let mut reasons: Vec<String> = unmarked_reason(seen).into_iter().collect();
    reasons.extend(interrupt_reason(seen, probe));
    reasons
}

/// The reasons why the number of events may not be that of the workload: it may include events of other tasks, or lack some of
/// its own.
pub(crate) fn foreign_event_reasons(seen: &Experiment) -> Vec<String> {
    let mut reasons: Vec<String> = unmarked_reason(seen).into_iter().collect();
    let hits = seen.probes.values().flat_map(|probe| &probe.hits);
    if hits
        .filter_map(|hit| hit.context)
        .any(|context| matches!(context, Context::Softirq | Context::Hardirq))
    {
        reasons.push("some events came while an interrupt ran on top of the task, which may do anybody's work".into());
    }
    reasons.extend(unseen_thread_reason(seen));
    match seen.quality.descendants {
        None => reasons.push("it is not known whether the workload started other processes".into()),
        Some(one) if one.started > one.followed || one.running > 0 => reasons
            .push("not all processes that the workload started were watched to their end".into()),
        Some(_) => {}
    }
    reasons
}

/// The reason why the beginning and the end of the workload are not known, nor therefore which events belong to it.
pub(crate) fn unmarked_reason(seen: &Experiment) -> Option<String> {
    match seen.quality.marked {
        Some(true) => None,
        Some(false) => Some(
            "where the workload begins and ends was not seen, so events from outside of it may count: the notes of the \
             experiment's quality say why"
                .into(),
        ),
        None => Some("it is not recorded whether events from outside of the workload count".into()),
    }
}

/// The reason why the run may have been shorter than the workload.
fn early_end_reason(plan: &PlannedExperiment, seen: &Experiment) -> Option<String> {
    let outcome = &seen.outcome;
    if outcome.exit.value().is_some() {
        return None;
    }
    let name = match (outcome.signal.value(), &outcome.exit) {
        (
            Some(Value::Enum {
                name: Some(name), ..
            }),
            _,
        ) => name,
        (Some(other), _) => {
            return Some(early_end_text(&format!(
                "signal {other} ended the workload"
            )));
        }
        (None, Datum::Missing(reason)) => return Some(early_end_text(&reason.to_string())),
        (None, Datum::Value(_)) => return None,
    };
    let asked = |probe: &PlannedProbe| {
        let raised = probe
            .signal
            .as_ref()
            .is_some_and(|signal| signal.name == *name);
        let attached = seen
            .probes
            .get(&probe.name)
            .is_some_and(|p| p.backend.is_some());
        raised && attached
    };
    (!plan.probes.iter().any(asked)).then(|| {
        early_end_text(&format!(
            "{name} ended the workload, and no probe was to raise it"
        ))
    })
}

fn early_end_text(reason: &str) -> String {
    format!("the run may be shorter than the workload: {reason}")
}

/// The reasons why the probe may not have seen all processes that the workload started.
fn unwatched_process_reasons(
    plan: &PlannedExperiment,
    seen: &Experiment,
    probe: &PlannedProbe,
) -> Vec<String> {
    let Some(one) = seen.quality.descendants else {
        return match probe.any_task {
            true => Vec::new(),
            false => vec!["it is not known whether the workload started other processes".into()],
        };
    };
    let mut reasons = Vec::new();
    let lost = one.started.saturating_sub(one.followed);
    if lost > 0 && !probe.any_task {
        let help = match plan.follow {
            true => "they could not all be followed",
            false => "`follow = true` in the experiment watches them, too",
        };
        reasons.push(format!(
            "{} of the processes that the workload started {} not watched: {help}",
            lost,
            if lost == 1 { "was" } else { "were" }
        ));
    }
    if one.running > 0 {
        reasons.push(format!(
            "{} of the processes that the workload started still ran when the watch ended",
            one.running
        ));
    }
    reasons
}

/// The hits that the kernel skipped of a probe that was attached.
pub(crate) fn skipped_hits_reason(name: &str, probe: &Probe) -> Option<String> {
    if probe.unavailable.is_some() {
        return None;
    }
    match probe.skipped {
        Some(0) => None,
        Some(count) => Some(format!(
            "the kernel skipped {count} {} of `{name}`, because a probe's program ran on that processor: whose they were is \
             not known",
            if count == 1 { "hit" } else { "hits" }
        )),
        None => Some(format!(
            "it is not known how many hits of `{name}` the kernel skipped{}",
            match probe.target {
                // Up to 6.6 no file tells the count, and the place where it stands is read in all kernels alike.
                Target::Function(_) | Target::Address(_) =>
                    " (its counters are read from /proc/kcore)",
                Target::Tracepoint(_) | Target::Lsm(_) => "",
            }
        )),
    }
}

/// True for the tracepoint at the entry of all system calls.
pub(crate) fn is_syscall_entry(target: &Target) -> bool {
    matches!(target, Target::Tracepoint(name) if name == "sys_enter")
}

/// True for the tracepoints at entry and exit of all system calls.
fn is_syscall_tracepoint(target: &Target) -> bool {
    is_syscall_entry(target) || matches!(target, Target::Tracepoint(name) if name == "sys_exit")
}

/// The reason why hits may be of another system call: a 32-bit one, which has its own numbers.
fn compat_call_reason(
    plan: &PlannedExperiment,
    seen: &Experiment,
    probe: &PlannedProbe,
) -> Option<String> {
    let by_number = is_syscall_tracepoint(&probe.target)
        && (probe.syscall.is_some() || matches!(plan.workload.action, Action::Syscall { .. }));
    if !by_number {
        return None;
    }
    match seen.quality.compat_calls {
        Some(0) => None,
        Some(count) => Some(format!(
            "the workload also went through the 32-bit system call gate ({count} times), whose numbers are those of other \
             calls"
        )),
        None => Some("32-bit system calls could not be told from others of the same number".into()),
    }
}

/// Hits in an interrupt on top of the workload's task.
fn interrupt_reason(seen: &Experiment, probe: &PlannedProbe) -> Option<String> {
    if probe.any_task || probe.frees.is_some() {
        return None;
    }
    let hits = &seen.probes.get(&probe.name)?.hits;
    let unknown = hits.iter().any(|hit| hit.context.is_none());
    let others = hits
        .iter()
        .filter(|hit| matches!(hit.context, Some(Context::Softirq | Context::Hardirq)))
        .count();
    match (others, unknown) {
        (0, false) => None,
        // Only a task makes a system call, and the kernel tells of it in that task before it does anything else:
        // https://elixir.bootlin.com/linux/v6.12/A/ident/syscall_trace_enter
        (0, true) if is_syscall_tracepoint(&probe.target) => None,
        (0, true) => Some(format!(
            "it is not known whether hits of `{}` were the task's or an interrupt's on top of it",
            probe.name
        )),
        _ => Some(format!(
            "{others} of the hits of `{}` came while an interrupt ran on top of the task, which may do anybody's work",
            probe.name
        )),
    }
}

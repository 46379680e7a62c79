//! Names of tasks: those of the workload and of kernel threads are published, all others are private.

use crate::document::Experiment;

use super::phrase::PublicTexts;
use super::reason::WithholdReason;
use crate::document::withheld::withheld_reason;

/// Kernel threads whose names say nothing about a machine; what follows the name (a CPU, a queue) is left out.
const KERNEL_THREADS: &[&str] = &[
    "swapper",
    "ksoftirqd",
    "kworker",
    "rcu_preempt",
    "rcu_sched",
    "rcuop",
    "rcuos",
    "rcuog",
    "rcuc",
    "migration",
    "kthreadd",
];

/// The name of a task that freed an object and was another than the workload's.
const ANOTHER: &str = "another task";

/// The name of the collector's program, as the process is called that makes a system call.
const COLLECTOR: &[&str] = &["exe", "qed", "qed-collector"];

/// The largest number of bytes in a task's name (`TASK_COMM_LEN` is 16, with the terminating NUL).
const LONGEST: usize = 15;

/// The process that hit a probe first: the workload's.
pub(super) fn first_pid(experiment: &Experiment) -> Option<i32> {
    let hits = experiment.probes.values().flat_map(|probe| &probe.hits);
    hits.filter_map(|hit| Some((hit.order.or(hit.return_order)?, hit.task.pid)))
        .min()
        .map(|(_, pid)| pid)
}

/// The public name of a task that hit a probe.
pub(super) fn hitting_task_name(
    name: &str,
    own: bool,
    workload: &str,
    known: &PublicTexts<'_>,
) -> String {
    public_task_name(name, own, workload, known).unwrap_or_else(|| WithholdReason::Task.text())
}

/// The public name of a task that freed an object.
pub(super) fn freeing_task_name(
    name: &str,
    own: bool,
    workload: &str,
    known: &PublicTexts<'_>,
) -> String {
    public_task_name(name, own, workload, known).unwrap_or_else(|| ANOTHER.to_owned())
}

/// A workload is called as its program is, until it gives itself another name: that could be anything.
fn public_task_name(
    name: &str,
    own: bool,
    workload: &str,
    known: &PublicTexts<'_>,
) -> Option<String> {
    if withheld_reason(name).is_some() || name == ANOTHER {
        return Some(name.to_owned());
    }
    let program = workload.split(' ').next().unwrap_or_default();
    let program = program.rsplit('/').next().unwrap_or_default();
    let called = program.get(..LONGEST.min(program.len()));
    if own && (COLLECTOR.contains(&name) || called == Some(name) || known.contains_text(name)) {
        return Some(name.to_owned());
    }
    generalize_thread_name(name)
}

/// The name of a kernel thread, without the part that distinguishes it from others of its kind.
pub(super) fn generalize_thread_name(name: &str) -> Option<String> {
    KERNEL_THREADS
        .iter()
        .find(|known| {
            name.strip_prefix(**known)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        })
        .map(|known| (*known).to_owned())
}

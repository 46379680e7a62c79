//! One experiment: its call, its outcome, its quality and its probes.

use super::code::CallSite;
use super::command::ProgramFile;
use super::graph::Graph;
use super::ledger::Ledger;
use super::probe::Probe;
use super::value::Datum;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One run of a workload under one set of probes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Experiment {
    /// The workload, as a C-like call or a command line.
    pub workload: String,
    /// The files of a workload that is a program, in order of role and name. Empty: a call, or not known.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<ProgramFile>,
    /// The reason why it was not run, or not to its end: then none of its values means anything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unavailable: Option<String>,
    /// The machine code that made the system call; `None` for a command.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub call: Option<CallSite>,
    /// Its end.
    pub outcome: Outcome,
    /// The completeness of what was seen.
    pub quality: Quality,
    /// The objects that the workload's task allocated, in order, and their fate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub objects: Option<Ledger>,
    /// The cost of the probes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost: Option<Cost>,
    /// The tree of all functions that the call ran through, in a run of its own. `None`: it was not asked for, or is not published.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub graph: Option<Graph>,
    /// The probes by name.
    #[serde(deserialize_with = "crate::document::de::named_map")]
    pub probes: BTreeMap<String, Probe>,
}

impl Experiment {
    /// The reason why nothing that this experiment says may be believed, if so.
    pub fn broken_reason(&self) -> Option<String> {
        let Quality { events, lost, .. } = self.quality;
        if lost > 0 {
            return Some(format!(
                "lost {lost} of {} events",
                events.saturating_add(lost)
            ));
        }
        if self.unavailable.is_some() {
            return None;
        }
        let attached = self.probes.values().any(|probe| probe.backend.is_some());
        (events == 0 && attached).then(|| match &self.outcome.returned {
            Datum::Value(returned) => {
                format!("saw no event at all, though the workload made its call, which returned {returned}")
            }
            Datum::Missing(_) => format!("saw no event at all{}", self.end_suffix()),
        })
    }

    /// The end of a workload that returned nothing, as a suffix of the text about it; empty if it is not known.
    fn end_suffix(&self) -> String {
        let ended = match (self.outcome.exit.value(), self.outcome.signal.value()) {
            (Some(status), _) => format!("ended with status {status}"),
            (None, Some(signal)) => format!("was ended by {signal}"),
            (None, None) => return String::new(),
        };
        let what = match self.call {
            Some(_) => "process",
            None => "command",
        };
        format!(", though the workload's {what} ran, and {ended}")
    }

    /// The reason why this machine cannot show anything of this experiment, if no probe of it could be attached.
    pub fn unwatched_reason(&self) -> Option<String> {
        if self.probes.values().any(|probe| probe.backend.is_some()) {
            return None;
        }
        let reason = self.probes.iter().find_map(|(name, probe)| {
            Some(format!(" (`{name}`: {})", probe.unavailable.as_ref()?))
        });
        Some(format!(
            "no probe of it could be attached{}",
            reason.unwrap_or_default()
        ))
    }
}

/// The end of the workload. What does not apply is unavailable, with the reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Outcome {
    /// The return value of the system call, of several in sequence the last, as the kernel returns it: an fd, an integer, or
    /// a negative errno.
    pub returned: Datum,
    /// 0 (`OK`), or the positive error number that user space sees.
    pub errno: Datum,
    /// Exit status of the workload's process.
    pub exit: Datum,
    /// The signal that ended it.
    pub signal: Datum,
    /// Its standard output.
    pub stdout: Datum,
    /// Its standard error. `None`: it was not kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stderr: Option<Datum>,
    /// The results of the watched system calls whose result has a name, by that name; encoded like `returned`.
    #[serde(
        default,
        deserialize_with = "crate::document::de::unique_map",
        skip_serializing_if = "BTreeMap::is_empty"
    )]
    pub results: BTreeMap<String, Datum>,
    /// The content that the kernel wrote into the workload's buffers, by their names.
    #[serde(
        default,
        deserialize_with = "crate::document::de::unique_map",
        skip_serializing_if = "BTreeMap::is_empty"
    )]
    pub buffers: BTreeMap<String, Datum>,
}

/// The completeness of what was seen, in counts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Quality {
    /// Events recorded.
    pub events: u64,
    /// Events that happened and could not be recorded.
    pub lost: u64,
    /// Calls whose return went unseen.
    pub missed: u64,
    /// The processes that the workload started. `None`: nothing watched for them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub descendants: Option<Descendants>,
    /// The threads of the workload's own process that its call started and that still ran when the watch ended. `None`: unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub threads_running: Option<u64>,
    /// True if the beginning and end of the workload were observed (entry and exit of its system call, or the execution of a
    /// command), so that nothing else counts. `None`: unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub marked: Option<bool>,
    /// True if watching continued until the task returned to user space or exited, so that deferred work (task work, signals)
    /// counts, which runs after `sys_exit`
    /// (<https://elixir.bootlin.com/linux/v6.1.192/source/kernel/entry/common.c#L176>). Always true for a command. `None`:
    /// unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until_user_space: Option<bool>,
    /// 32-bit system calls of the workload, as far as a probe or marker of system calls came by: their numbers are those
    /// of other calls. `None`: they cannot be told apart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compat_calls: Option<u64>,
    /// The number of runs of the workload on this machine by the capture, up to this one. An earlier one may have left something
    /// behind that this one found: on a host, a call whose tree is wanted is traced first. `None`: not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempts: Option<u32>,
    /// The losses and their places, in words.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

/// The processes that a workload started. Counts, all. Threads are not among them: they are the process's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Descendants {
    /// Their number.
    pub started: u64,
    /// The number of those that the probes watched as they watch the workload.
    pub followed: u64,
    /// The number of those that were still running when the watch ended.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub running: u64,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde asks for it")]
fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// The time that the probes add to one call of the workload.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Cost {
    /// Median duration of the call with no probe attached, in nanoseconds.
    pub bare_ns: u64,
    /// Median duration with all probes at work, in nanoseconds.
    pub probed_ns: u64,
    /// Calls measured on each side.
    pub iterations: u32,
}

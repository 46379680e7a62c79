//! Probes: what each watched, and all its hits.

use super::code::Instruction;
use super::instances::Within;
use super::value::{Address, Datum, Integer, Location, Value};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One probe of one experiment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Probe {
    /// Its target.
    pub target: Target,
    /// True if the experiment counts without it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub optional: bool,
    /// The back-end that attached it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backend: Option<Backend>,
    /// The reason why it is not attached.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unavailable: Option<String>,
    /// The error with which the kernel refused to attach it, where it was the kernel that refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attach_errno: Option<Datum>,
    /// The function's parameters in order, as this kernel's BTF gives them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parameters: Vec<Parameter>,
    /// C type of its result; `None` for `void`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub returns: Option<String>,
    /// The address of the function.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<Datum>,
    /// The first addresses of the copies of the function that it watches: one, or all of its clones.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub watched: Vec<Address>,
    /// The file of the function that is meant, where several files have one of its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// The function that has to be on the stack of a hit, and of how many hits that is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub within: Option<Within>,
    /// The place of its definition in the source.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub definition: Option<Datum>,
    /// The original instruction at the probe's address, for a probe inside a function.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instruction: Option<Instruction>,
    /// The line about it in the kernel's own list of probes while it was attached, without the address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub listed: Option<Datum>,
    /// Reads that this kernel cannot do, by side and name, with the reason: they are in no hit.
    #[serde(default, skip_serializing_if = "Reads::is_empty")]
    pub refused_reads: Reads,
    /// The members that reads take, by side and name of the read. A read that takes none is not in it.
    #[serde(default, skip_serializing_if = "Members::is_empty")]
    pub members: Members,
    /// Widths of the numbers of a hit, by their place in it: `args.NAME`, `return`, `entry.READ`, `exit.READ`. Of a
    /// number without one, a claim takes none for possible that is wider than what was measured.
    #[serde(
        default,
        deserialize_with = "crate::document::de::unique_map",
        skip_serializing_if = "BTreeMap::is_empty"
    )]
    pub widths: BTreeMap<String, Width>,
    /// The parts of a hit that the investigation declares public: `args.NAME`, `return`, `entry.READ`, `exit.READ`. Of
    /// a live machine other plain numbers, texts and bytes are not published.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub public: Vec<String>,
    /// The reads that may return a part of an address, `entry.READ` or `exit.READ`: a cast gives memory another type than the
    /// kernel's, or takes a part of 64 bits. Of a live machine they are never published.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub retyped: Vec<String>,
    /// Hits that the kernel skipped because a probe's program was running on that CPU already, and that may have been the
    /// workload's. `None`: the kernel does not tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub skipped: Option<u64>,
    /// Each time it was hit, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hits: Vec<Hit>,
}

/// The target of a probe.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Target {
    /// A kernel function.
    Function(String),
    /// A tracepoint.
    Tracepoint(String),
    /// A hook of the BPF LSM.
    Lsm(String),
    /// An address, as the investigation names it: `static:__sys_socket`, `live:__sys_socket`, `0xffffffff81000000`.
    Address(String),
}

impl Target {
    /// The function that is watched, by its name or by the address of its symbol; in both cases other copies of it may run
    /// unseen. `None`: the target is not a function, or is a bare address whose function is not known.
    pub fn function(&self) -> Option<&str> {
        match self {
            Target::Function(name) => Some(name),
            Target::Address(place) => place.split_once(':').map(|(_, symbol)| symbol),
            Target::Tracepoint(_) | Target::Lsm(_) => None,
        }
    }
}

/// What it was that left a probe without hits that would say anything. A document has it as words alone, in
/// [`Probe::unavailable`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum UnwatchedCause {
    /// The target, or something that the probe has to do there.
    Target,
    /// The function of `within`.
    Within,
    /// The experiment, which was not run.
    Experiment,
}

impl UnwatchedCause {
    const WITHIN: &str = "`within`: ";
    const NOT_RUN: &str = "not run";

    /// The reason of a probe whose `within` cannot hold.
    pub fn within_reason(reason: &str) -> String {
        format!("{}{reason}", Self::WITHIN)
    }

    /// What a probe's reason is about.
    pub fn from_reason(reason: &str) -> Self {
        if reason.starts_with(Self::WITHIN) {
            UnwatchedCause::Within
        } else if reason.starts_with(Self::NOT_RUN) {
            UnwatchedCause::Experiment
        } else {
            UnwatchedCause::Target
        }
    }
}

impl Probe {
    /// The first addresses of the copies that it sits on; of a probe by address that address.
    pub fn places(&self) -> Vec<Address> {
        match (&self.target, self.watched.as_slice(), &self.address) {
            (Target::Address(_), [], Some(Datum::Value(Value::Address { value, .. })))
                if self.unavailable.is_none() =>
            {
                vec![*value]
            }
            (_, watched, _) => watched.to_vec(),
        }
    }
}

/// The back-end that attached a probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Backend {
    /// kprobe, with a kretprobe where the return is read.
    Kprobe,
    /// Raw tracepoint.
    Tracepoint,
    /// BPF LSM.
    Lsm,
}

impl Backend {
    /// The word that stands in the evidence.
    pub const fn name(self) -> &'static str {
        match self {
            Backend::Kprobe => "kprobe",
            Backend::Tracepoint => "tracepoint",
            Backend::Lsm => "lsm",
        }
    }
}

/// Width of a number as the kernel stores it: of its C type, or of a bit field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Width {
    /// Bits.
    #[schemars(range(min = 1, max = 128))]
    pub bits: u32,
    /// True if it has negative values.
    pub signed: bool,
}

impl Width {
    /// True if a number of this width can be `number`.
    pub fn holds(self, number: i128) -> bool {
        let bits = self.bits.saturating_sub(u32::from(self.signed));
        let end = 1_i128.checked_shl(bits).filter(|end| *end > 0);
        let start = match self.signed {
            true => end.map_or(i128::MIN, |end| -end),
            false => 0,
        };
        number >= start && end.is_none_or(|end| number < end)
    }

    /// The least width that holds `number`.
    pub fn narrowest(number: i128) -> Self {
        let signed = number < 0;
        let magnitude = if signed { !number } else { number };
        let bits = (128 - magnitude.leading_zeros()).max(1 - u32::from(signed));
        Self {
            bits: bits + u32::from(signed),
            signed,
        }
    }
}

/// One parameter of a probed function.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Parameter {
    /// Its name.
    pub name: String,
    /// Its C type.
    #[serde(rename = "type")]
    pub type_name: String,
}

/// Reasons or values by side of the call.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Reads {
    /// At the entry.
    #[serde(
        default,
        deserialize_with = "crate::document::de::unique_map",
        skip_serializing_if = "BTreeMap::is_empty"
    )]
    pub entry: BTreeMap<String, String>,
    /// At the return.
    #[serde(
        default,
        deserialize_with = "crate::document::de::unique_map",
        skip_serializing_if = "BTreeMap::is_empty"
    )]
    pub exit: BTreeMap<String, String>,
}

impl Reads {
    /// True if there is none on either side.
    pub fn is_empty(&self) -> bool {
        self.entry.is_empty() && self.exit.is_empty()
    }
}

/// Members that reads take, by side of the call.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Members {
    /// At the entry.
    #[serde(
        default,
        deserialize_with = "crate::document::de::unique_map",
        skip_serializing_if = "BTreeMap::is_empty"
    )]
    pub entry: BTreeMap<String, Member>,
    /// At the return.
    #[serde(
        default,
        deserialize_with = "crate::document::de::unique_map",
        skip_serializing_if = "BTreeMap::is_empty"
    )]
    pub exit: BTreeMap<String, Member>,
}

impl Members {
    /// True if there is none on either side.
    pub fn is_empty(&self) -> bool {
        self.entry.is_empty() && self.exit.is_empty()
    }
}

/// A member of a structure, as this kernel's BTF places it, seen from the last pointer that the read follows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Member {
    /// The structure: `struct sock`.
    pub structure: String,
    /// The member, with those around it: `__sk_common.skc_family`.
    pub name: String,
    /// Bytes from the start of the structure.
    pub offset: u64,
    /// Its C type, of an integer: `unsigned short`.
    #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
    pub type_name: Option<String>,
    /// Width of a bit field, in bits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bits: Option<u32>,
}

/// One call of a probed function, or one firing of a tracepoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Hit {
    /// Order of the entry among the experiment's events, from 1. `None`: the entry was not seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order: Option<u64>,
    /// Nanoseconds from the experiment's first event to the entry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_ns: Option<u64>,
    /// Order of the return among the experiment's events.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub return_order: Option<u64>,
    /// Nanoseconds from the experiment's first event to the return.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub return_time_ns: Option<u64>,
    /// The task that ran.
    pub task: Task,
    /// The CPU it ran on.
    pub cpu: u32,
    /// The context: the task itself, or an interrupt on top of it. `None`: not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context: Option<Context>,
    /// Arguments by name.
    #[serde(
        default,
        deserialize_with = "crate::document::de::unique_map",
        skip_serializing_if = "BTreeMap::is_empty"
    )]
    pub args: BTreeMap<String, Datum>,
    /// The reads at the entry, by name.
    #[serde(
        default,
        deserialize_with = "crate::document::de::unique_map",
        skip_serializing_if = "BTreeMap::is_empty"
    )]
    pub entry: BTreeMap<String, Datum>,
    /// The reads at the return, by name.
    #[serde(
        default,
        deserialize_with = "crate::document::de::unique_map",
        skip_serializing_if = "BTreeMap::is_empty"
    )]
    pub exit: BTreeMap<String, Datum>,
    /// The return value.
    #[serde(rename = "return", default, skip_serializing_if = "Option::is_none")]
    pub return_value: Option<Datum>,
    /// The copy of the function that was called, if several are watched, by its symbol.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<Datum>,
    /// The address that the call returns to, by its symbol.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub returns_to: Option<Datum>,
    /// The same, where the instruction before that address calls this function: then its function is the caller. Else
    /// why it is not known who called.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub caller: Option<Datum>,
    /// The source line of that call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub site: Option<Datum>,
    /// The kernel stack.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stack: Option<Datum>,
}

impl Hit {
    /// The first address of the copy of the function that was hit, or the address that the probe is on. `None`: it is not
    /// known which of several it was, or the probe is on neither.
    pub fn copy(&self, probe: &Probe) -> Option<Address> {
        match (&self.instance, probe.places().as_slice()) {
            (Some(Datum::Value(Value::Symbol { address, .. })), _) => Some(*address),
            (None, [only]) => Some(*only),
            _ => None,
        }
    }
}

/// On whose behalf a CPU runs kernel code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Context {
    /// The task's, its page faults and other exceptions included.
    Task,
    /// Work that interrupts have deferred, which may belong to any task.
    Softirq,
    /// An interrupt.
    Hardirq,
    /// An action that a probe was told to do, in an interrupt that its program raised for it.
    Act,
}

impl Context {
    /// The word that stands in the evidence.
    pub const fn name(self) -> &'static str {
        match self {
            Context::Task => "task",
            Context::Softirq => "softirq",
            Context::Hardirq => "hardirq",
            Context::Act => "act",
        }
    }
}

/// The task that ran when a probe was hit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Task {
    /// Thread-group id.
    pub pid: i32,
    /// Thread id.
    pub tid: i32,
    /// Its name.
    pub name: String,
}

/// An integer value, for the counts of the document.
pub(crate) fn count_value(value: u64) -> Value {
    Value::Int {
        value: Integer::from(value),
        type_name: None,
    }
}

/// A source location as a value.
pub fn location_value(value: Location) -> Value {
    Value::Location { value }
}

//! The objects that an experiment allocated, and their frees.

use super::value::{Address, Frame};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Allocations paired with their frees.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Ledger {
    /// The wait for the last free, in nanoseconds, after the workload had released its objects.
    pub waited_ns: u64,
    /// The allocations, in order.
    pub allocations: Vec<Allocation>,
}

/// One object that the workload's task allocated.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Allocation {
    /// Its address.
    pub address: Address,
    /// The probe that saw it.
    pub probe: String,
    /// The slab cache, where the tracepoint names one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache: Option<String>,
    /// Its size in bytes, where the tracepoint says it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    /// Order of the allocation among the experiment's events.
    pub order: u64,
    /// Nanoseconds since the experiment began.
    pub time_ns: u64,
    /// The stack of the allocation, the innermost frame first.
    pub stack: Vec<Frame>,
    /// Its free. `None`: still allocated when the wait was over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub freed: Option<Free>,
    /// The reason why it may outlive the call, as the investigation says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub excused: Option<String>,
}

/// The free of an object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Free {
    /// The probe that saw it.
    pub probe: String,
    /// Order among the experiment's events.
    pub order: u64,
    /// Nanoseconds since the experiment began.
    pub time_ns: u64,
    /// True if the workload's own task freed it.
    pub same_task: bool,
    /// Name of the task that ran: `swapper/0`, `ksoftirqd/0`.
    pub task: String,
    /// The stack of the free, the innermost frame first.
    pub stack: Vec<Frame>,
}

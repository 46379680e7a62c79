//! The plan: the meaning of the events to expect, and the probes and reads that are unavailable, with the reasons.
//!
//! It travels with the raw capture from the guest to the host, so everything here can be serialized.

use std::collections::BTreeMap;
use std::ops::Range;

use qed_collector_ebpf::Event;
use qed_evidence::constants::Flag;
use qed_evidence::document::Target;
use qed_evidence::investigation::ReadKind;
use serde::{Deserialize, Serialize};

use super::expr::{DecodedValue, Decoder, LoadedBytes, PathMember, decode};

use crate::reason::Reason;

/// One experiment of the plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedExperiment {
    /// Its name in the investigation.
    pub name: String,
    /// Attached alone and detached again.
    pub isolated: bool,
    /// The reason why its workload cannot be run on this kernel, if so.
    pub refused: Option<Reason>,
    /// Its system calls that are made with fewer arguments than this kernel takes.
    pub few: Vec<FewArguments>,
    /// Its probes, in the investigation's order.
    pub probes: Vec<PlannedProbe>,
}

/// A call with too few arguments.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FewArguments {
    /// Its name.
    pub call: String,
    /// The place of the name in the investigation.
    pub span: Range<usize>,
    /// The number of its arguments.
    pub given: usize,
    /// The names of those that this kernel takes.
    pub taken: Vec<String>,
}

/// One probe of the plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedProbe {
    /// Its name in the investigation.
    pub name: String,
    /// Its target.
    pub target: Target,
    /// Bytes into the function.
    pub offset: u64,
    /// The instruction there, of a probe that is not at the function's entry.
    pub instruction: Option<PlannedInstruction>,
    /// The experiment counts without it.
    pub optional: bool,
    /// The source of its events, or why this kernel cannot be probed there.
    pub source: Result<EventSource, Reason>,
    /// Sources of events of further copies of its function.
    pub others: Vec<EventSource>,
    /// The file that defines its function, if the author said so.
    pub file: Option<String>,
    /// The parameters, in order.
    pub parameters: Vec<PlannedParameter>,
    /// Its result; `None`: nothing, or it is not watched.
    pub returns: Option<PlannedReturn>,
    /// Reads at the entry.
    pub entry: Vec<PlannedRead>,
    /// Reads at the return.
    pub exit: Vec<PlannedRead>,
    /// Reads that this kernel cannot do.
    pub refused: RefusedReads,
    /// Only hits with this function on their stack count.
    pub within: Option<String>,
    /// True if it acts: without it the experiment is another one.
    pub acts: bool,
    /// Hits allocate an object.
    pub allocates: bool,
    /// Hits free an object.
    pub frees: bool,
    /// Keep the stack in the evidence.
    pub stack: bool,
}

impl PlannedProbe {
    /// The sources of its events.
    pub fn sources(&self) -> impl Iterator<Item = &EventSource> {
        self.source.iter().chain(&self.others)
    }
}

/// The instruction that a probe sits on, as it was before the probe came.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedInstruction {
    /// Its encoding.
    pub bytes: Vec<u8>,
    /// In Intel's notation.
    pub text: String,
}

/// Reads that a kernel cannot do, by name, with the reason.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefusedReads {
    /// At the entry.
    pub entry: BTreeMap<String, Reason>,
    /// At the return.
    pub exit: BTreeMap<String, Reason>,
}

/// The source of a probe's events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventSource {
    /// Index of the attachment.
    pub attach: usize,
    /// Index of the use, which events carry.
    pub usage: usize,
    /// Live address of the function; 0 for others.
    pub address: u64,
}

/// One parameter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedParameter {
    /// Its name, or `argN`.
    pub name: String,
    /// Its C type.
    pub type_name: String,
    /// The argument register, or why it cannot be read.
    pub register: Result<usize, Reason>,
    /// The meaning of its bytes.
    pub decode: Option<Decoder>,
    /// The names of the number, if the author said so and its type has none of them.
    pub names: Option<NumberNames>,
    /// What `names` could say for it, where the author said nothing: the tracepoint's own table.
    pub nameable: Option<String>,
}

/// The result of a function.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedReturn {
    /// Its C type.
    pub type_name: String,
    /// The meaning of its bytes, or why they cannot be understood.
    pub decode: Result<Decoder, Reason>,
}

impl PlannedRead {
    /// The bytes of its loads; `None` if the event has no room for one of them.
    pub fn loaded<'e>(&self, event: &'e Event) -> Option<Vec<LoadedBytes<'e>>> {
        loads(&self.slots, event)
    }
}

fn loads<'e>(slots: &[usize], event: &'e Event) -> Option<Vec<LoadedBytes<'e>>> {
    let load = |slot: &usize| Some((event.values.get(*slot)?, *event.results.get(*slot)?));
    slots.iter().map(load).collect()
}

/// The read that gives the number of elements, and the index of the element that is read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedElements {
    /// The path of their number, for people.
    pub path: String,
    /// Its place among the values of an event.
    pub slot: usize,
    /// The meaning of its bytes: an integer.
    pub decode: Decoder,
    /// The element that is read, counted from 0.
    pub index: u64,
}

impl PlannedElements {
    /// The reason why the element is not there, or not known to be, in this event.
    pub fn refusal_reason(&self, event: &Event) -> Option<String> {
        let path = &self.path;
        let unknown = || {
            format!(
                "whether there is such an element is not known: the kernel could not read `{path}`"
            )
        };
        let Some(loads) = loads(&[self.slot], event) else {
            return Some(unknown());
        };
        match decode(&loads, &self.decode) {
            DecodedValue::Int { value, .. } if value > i128::from(self.index) => None,
            DecodedValue::Int { value, .. } => Some(format!(
                "there is no element {} of them, counted from 0: `{path}` is {value}",
                self.index
            )),
            _ => Some(unknown()),
        }
    }
}

/// The names of a plain number that an author declared.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum NumberNames {
    /// A set of constants, by its name.
    Constants(String),
    /// Flags.
    Flags {
        /// The name of their set.
        set: String,
        /// Their names, in the order in which they are looked for.
        #[serde(with = "every_field")]
        flags: Vec<Flag>,
    },
}

/// Flags on their way from a guest. The format there leaves no field out, as that of evidence does.
mod every_field {
    use std::num::NonZeroU64;

    use qed_evidence::constants::Flag;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    type Fields = (String, u64, Option<NonZeroU64>);

    pub fn serialize<S: Serializer>(flags: &[Flag], serializer: S) -> Result<S::Ok, S::Error> {
        let fields = flags.iter();
        let fields = fields.map(|flag| (flag.name.clone(), flag.value, flag.mask));
        fields.collect::<Vec<Fields>>().serialize(serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Flag>, D::Error> {
        let fields = Vec::<Fields>::deserialize(deserializer)?.into_iter();
        let flags = fields.map(|(name, value, mask)| Flag { name, value, mask });
        Ok(flags.collect())
    }
}

/// One read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedRead {
    /// Its name in the investigation.
    pub name: String,
    /// The path, for people.
    pub path: String,
    /// Places of its loads among the values of an event of this side; more than one of one that is longer than a load.
    pub slots: Vec<usize>,
    /// The read that gives the number of elements, if the type does not.
    pub elements: Option<PlannedElements>,
    /// Of an address inside of an object: the address that it has if the pointer to the object is NULL.
    pub inside_null: Option<u64>,
    /// The meaning of its bytes.
    pub decode: Decoder,
    /// The meaning of the number, if the author said so.
    pub kind: Option<ReadKind>,
    /// The names of the number, if the author said so and its type has none of them.
    pub names: Option<NumberNames>,
    /// The member that is read, if it is one.
    pub member: Option<PathMember>,
    /// True if it may be a part of an address, whatever it is called.
    pub retyped: bool,
    /// True for a secret of the kernel, which nothing publishes.
    pub secret: bool,
}

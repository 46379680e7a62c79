//! The plan: the meaning of the events to expect, and the probes and reads that are unavailable, with the reasons.
//!
//! It travels with the raw capture from the guest to the host, so everything here can be serialized.

use std::collections::BTreeMap;
use std::ops::Range;

use qed_collector_ebpf::Event;
use qed_evidence::constants::Flag;
use qed_evidence::document::Target;
use qed_evidence::investigation::ReadKind;
use qed_evidence::value::Cut;
use serde::{Deserialize, Serialize};

use super::expr::{DecodedValue, Decoder, ListKind, LoadedBytes, PathMember, decode};

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

/// The bytes of loads, by their places among the values of an event; `None` if it has no room for one of them.
pub fn loads<'e>(slots: &[usize], event: &'e Event) -> Option<Vec<LoadedBytes<'e>>> {
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

/// The read that gives the length of a text, in bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedLength {
    /// Its place among the values of an event.
    pub slot: usize,
    /// The meaning of its bytes: an integer.
    pub decode: Decoder,
}

impl PlannedLength {
    /// The text of that length in this event: what follows it in memory is not of it.
    pub fn of(&self, text: DecodedValue, event: &Event) -> DecodedValue {
        let broken = |reason: &str| DecodedValue::Broken {
            reason: reason.to_owned(),
        };
        let Some(loads) = loads(&[self.slot], event) else {
            return broken("its length was not read");
        };
        match decode(&loads, &self.decode) {
            DecodedValue::Int { value, .. } => match usize::try_from(value) {
                Ok(length) => shortened(text, length),
                Err(_) => broken("its length is negative"),
            },
            unread @ DecodedValue::Unread { .. } => unread,
            _ => broken("its length is not a number"),
        }
    }
}

/// The first `length` bytes of a text.
fn shortened(text: DecodedValue, length: usize) -> DecodedValue {
    let (bytes, cut, type_name) = match text {
        DecodedValue::Text { text, cut } => (text.into_bytes(), cut, "char *".to_owned()),
        DecodedValue::Bytes {
            bytes,
            cut,
            type_name,
        } => (bytes, cut, type_name),
        other => return other,
    };
    match (bytes.get(..length), cut) {
        (Some(own), _) => match String::from_utf8(own.to_vec()) {
            Ok(text) => DecodedValue::Text { text, cut: None },
            Err(_) => DecodedValue::Bytes {
                bytes: own.to_vec(),
                cut: None,
                type_name,
            },
        },
        (None, None) => DecodedValue::Broken {
            reason: format!(
                "it should have {length} bytes, and a NUL ends it after {}",
                bytes.len()
            ),
        },
        (None, Some(_)) => {
            let cut = Some(Cut {
                whole: Some(length as u64),
            });
            match String::from_utf8(bytes) {
                Ok(text) => DecodedValue::Text { text, cut },
                Err(error) => DecodedValue::Bytes {
                    bytes: error.into_bytes(),
                    cut,
                    type_name,
                },
            }
        }
    }
}

/// A list that a read walks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedList {
    /// The kind of list.
    pub kind: ListKind,
    /// The place of its head's address among the values of an event.
    pub head: usize,
    /// The places of the pointers to its elements, in order, and of the pointer behind the last one that is read.
    pub links: Vec<usize>,
    /// The loads of each element that is read.
    pub elements: Vec<PlannedElement>,
}

/// The loads of one element of a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedElement {
    /// The places of its value among those of an event.
    pub slots: Vec<usize>,
    /// The read that gives the length of a text that no NUL needs to end.
    pub length: Option<PlannedLength>,
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
    /// The read that gives the length of a text that no NUL needs to end.
    pub length: Option<PlannedLength>,
    /// The list whose elements it reads; `slots` and `length` are then those of the first one.
    pub list: Option<PlannedList>,
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
    /// Live address of the function whose return address it reads, which has to be running.
    pub return_slot_of: Option<u64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Check that a text ends where its length says, also in front of bytes that are no text, and that one which was not read so far, or
    /// is shorter than it says, is not taken for whole.
    #[test]
    fn lengths_of_texts() {
        let text = |text: &str, cut| DecodedValue::Text {
            text: text.into(),
            cut,
        };
        let bytes = |bytes: &[u8], cut| DecodedValue::Bytes {
            bytes: bytes.to_vec(),
            cut,
            type_name: "char *".into(),
        };
        let cut = Some(Cut::default());
        assert_eq!(shortened(text("etc/passwd", None), 3), text("etc", None));
        assert_eq!(shortened(text("etc/pass", cut), 3), text("etc", None));
        assert_eq!(shortened(text("etc", None), 3), text("etc", None));
        assert_eq!(shortened(bytes(b"etc\xff", None), 3), text("etc", None));
        assert_eq!(shortened(bytes(b"e\xff/", cut), 2), bytes(b"e\xff", None));
        assert_eq!(shortened(text("ä/b", None), 1), bytes(&[0xc3], None));
        let whole = Some(Cut { whole: Some(9) });
        assert_eq!(shortened(text("etc/pass", cut), 9), text("etc/pass", whole));
        assert_eq!(shortened(bytes(b"e\xff", cut), 9), bytes(b"e\xff", whole));
        let DecodedValue::Broken { reason } = shortened(text("etc", None), 9) else {
            panic!("a text that is too short")
        };
        assert!(
            reason.contains("9 bytes") && reason.contains("after 3"),
            "{reason}"
        );
        let unread = DecodedValue::Unread { errno: 14 };
        assert_eq!(shortened(unread.clone(), 3), unread);
    }
}

//! Conversion of one event to a hit of one probe.

use std::collections::BTreeMap;

use qed_collector_ebpf::{Event, MAX_READ_BYTES, side};
use qed_evidence::document::{Context, Hit, Probe, Target, Task};
use qed_evidence::investigation::{LIST_COUNT, element_name};
use qed_evidence::value::{Address, Cut, Datum, Frame, Integer, Value};

use super::names::Names;
use super::stack::{find_caller, running_frames};
use super::values::{NumberRole, argument_role, decoded_datum};
use crate::plan::expr::{DecodedValue, Decoder, LoadedBytes, decode, decode_fields};
use crate::plan::{PlannedLength, PlannedProbe, PlannedRead, loads};
use crate::symbols::kallsyms::copies::is_copy;

/// The position of the call's number among the arguments of the tracepoint `sys_enter`:
/// <https://elixir.bootlin.com/linux/v6.12/source/include/trace/events/syscalls.h#L18>.
const SYSCALL_NUMBER: usize = 1;

/// One event, for one probe.
pub(super) struct ProbeEvent<'a> {
    pub(super) event: &'a Event,
    pub(super) planned: &'a PlannedProbe,
    pub(super) stack: &'a [Frame],
    pub(super) context: Option<Context>,
    /// The stack may be deeper than that.
    pub(super) cut: bool,
    /// True if it ends where another tool has replaced a return address.
    pub(super) replaced: bool,
    /// True if 32-bit system calls could be told from others.
    pub(super) tells_compat: bool,
    pub(super) order: u64,
    pub(super) time_ns: u64,
    pub(super) names: &'a dyn Names,
}

impl ProbeEvent<'_> {
    /// Add it to the hits of its probe, or as its return to the call that is open in its thread.
    pub(super) fn record(&self, probe: &mut Probe) {
        if self.event.side == side::RETURN {
            let open = probe.hits.iter().rposition(|hit| {
                hit.task.tid == self.event.tid as i32
                    && hit.order.is_some()
                    && hit.return_order.is_none()
            });
            match open {
                Some(index) => self.record_return(&mut probe.hits[index]),
                None => {
                    let mut hit = self.new_hit();
                    self.record_arguments(&mut hit);
                    self.record_return(&mut hit);
                    probe.hits.push(hit);
                }
            }
            return;
        }
        let mut hit = self.new_hit();
        hit.order = Some(self.order);
        hit.time_ns = Some(self.time_ns);
        self.record_arguments(&mut hit);
        hit.entry = self.decode_reads(&self.planned.entry);
        if !matches!(self.planned.target, Target::Function(_)) {
            hit.exit = self.decode_reads(&self.planned.exit);
        }
        if matches!(self.planned.target, Target::Function(_)) {
            let begins = self.event.site.wrapping_sub(self.planned.offset);
            let calling = find_caller(self.stack, self.replaced, begins, self.names);
            hit.returns_to = Some(calling.returns_to);
            hit.caller = Some(calling.caller);
            hit.site = Some(calling.site);
        }
        if self.planned.stack && !self.planned.allocates && !self.planned.frees {
            hit.stack = Some(match (self.stack.to_vec(), self.cut) {
                (value, _) if value.is_empty() => {
                    Datum::unavailable("the kernel gave no stack at this hit")
                }
                (value, false) => Value::Stack { value }.into(),
                (value, true) => Value::CutStack {
                    value,
                    cut: Cut::default(),
                }
                .into(),
            });
        }
        probe.hits.push(hit);
    }

    fn new_hit(&self) -> Hit {
        Hit {
            order: None,
            time_ns: None,
            return_order: None,
            return_time_ns: None,
            task: Task {
                pid: self.event.tgid as i32,
                tid: self.event.tid as i32,
                name: task_name(self.event),
            },
            cpu: self.event.cpu,
            context: self.context,
            args: BTreeMap::new(),
            entry: BTreeMap::new(),
            exit: BTreeMap::new(),
            return_value: None,
            instance: self.instance(),
            returns_to: None,
            caller: None,
            site: None,
            stack: None,
        }
    }

    /// The copy that was hit, of several.
    fn instance(&self) -> Option<Datum> {
        if self.planned.others.is_empty() {
            return None;
        }
        let address = self.event.site;
        Some(match self.names.symbol(address) {
            Some((name, offset)) => Value::Symbol {
                name,
                offset,
                address: Address(address),
            }
            .into(),
            None => Datum::unavailable("the copy's address has no symbol"),
        })
    }

    fn record_arguments(&self, hit: &mut Hit) {
        let known = self.event.side == side::ENTRY || self.event.args_known != 0;
        // `sys_exit` has the result in the place of the number.
        let another_table = self
            .other_table_reason()
            .filter(|_| self.is_at("sys_enter"));
        for parameter in &self.planned.parameters {
            let datum = match (&parameter.register, &parameter.decode, another_table) {
                _ if !known => Datum::unavailable("the call was not seen going in"),
                (Err(reason), ..) => Datum::unavailable(reason.clone()),
                (Ok(SYSCALL_NUMBER), _, Some(reason)) => Datum::unavailable(reason),
                (Ok(_), None, _) => Datum::unavailable("its type is not known"),
                (Ok(register), Some(how), _) => match self.event.args.get(*register) {
                    Some(value) => decoded_datum(
                        decode_register(*value, how),
                        argument_role(&parameter.name, parameter.names.as_ref()),
                        self.names,
                    ),
                    None => Datum::unavailable("only the first six arguments are kept"),
                },
            };
            hit.args.insert(parameter.name.clone(), datum);
        }
    }

    fn is_at(&self, tracepoint: &str) -> bool {
        matches!(&self.planned.target, Target::Tracepoint(name) if name == tracepoint)
    }

    /// At entry and exit of a system call: the reason why its number may be that of another call, and its registers may mean
    /// something else, if so.
    fn other_table_reason(&self) -> Option<&'static str> {
        let at_gate = self.is_at("sys_enter") || self.is_at("sys_exit");
        match (at_gate, self.tells_compat) {
            (true, true) if self.event.is_compat_call() => {
                Some("a 32-bit system call, whose numbers mean other calls")
            }
            (true, false) => Some(
                "32-bit system calls, whose numbers mean other calls, could not be told from others",
            ),
            _ => None,
        }
    }

    fn record_return(&self, hit: &mut Hit) {
        hit.return_order = Some(self.order);
        hit.return_time_ns = Some(self.time_ns);
        hit.exit = self.decode_reads(&self.planned.exit);
        hit.return_value = self
            .planned
            .returns
            .as_ref()
            .map(|returns| match &returns.decode {
                Ok(how) => decoded_datum(
                    decode_register(self.event.return_value, how),
                    NumberRole::Return,
                    self.names,
                ),
                Err(reason) => Datum::unavailable(reason.clone()),
            });
    }

    fn decode_reads(&self, reads: &[PlannedRead]) -> BTreeMap<String, Datum> {
        reads
            .iter()
            .flat_map(|read| self.decode_read(read))
            .collect()
    }

    /// The reason why what a read took from the arguments of a system call means something else than its path says, if so.
    fn path_mismatch_reason(&self, read: &PlannedRead) -> Option<String> {
        let reason = self.other_table_reason()?;
        let mut words = (read.path).split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        let parameters = &self.planned.parameters;
        let takes = words.any(|word| parameters.iter().any(|parameter| parameter.name == word));
        takes.then(|| reason.to_owned())
    }

    /// The reason why the function whose return address is read may have returned, if so: then another call has its place on the stack.
    fn returned_reason(&self, read: &PlannedRead) -> Option<String> {
        let function = read.return_slot_of?;
        let begins = self.event.site.wrapping_sub(self.planned.offset);
        let at_own = matches!(self.planned.target, Target::Function(_))
            && self.event.side == side::ENTRY
            && begins == function;
        if at_own {
            return None;
        }
        let Some((name, _)) = self.names.symbol(function) else {
            return Some("the function has no symbol, so that the stack does not show whether it was still running".into());
        };
        let mut frames = running_frames(self.stack).iter();
        let runs = frames.any(|frame| {
            let symbol = frame.symbol.as_deref();
            symbol.is_some_and(|symbol| is_copy(symbol, &name))
        });
        (!runs).then(|| format!("the stack does not show that `{name}` was still running"))
    }

    /// The value of a read under its name; of a structure each of its values, under both names; of a list its elements and their number.
    fn decode_read(&self, read: &PlannedRead) -> Vec<(String, Datum)> {
        let missing = self
            .path_mismatch_reason(read)
            .or_else(|| self.returned_reason(read));
        let own = (read.slots.as_slice(), read.length.as_ref());
        let Some(list) = &read.list else {
            return self.decode_value(&read.name, read, own, missing);
        };
        let length = list.length(self.event);
        let count = match (&missing, length.count()) {
            (Some(reason), _) => Datum::unavailable(reason),
            (None, Err(reason)) => Datum::unavailable(reason),
            (None, Ok(count)) => Value::Int {
                value: Integer::from(count as u64),
                type_name: None,
            }
            .into(),
        };
        let elements = list.elements.iter().enumerate();
        let elements = elements.flat_map(|(number, element)| {
            let name = format!("{}.{}", read.name, element_name(number));
            let missing = missing.clone();
            let missing = missing.or_else(|| length.refusal_reason(number));
            let own = (element.slots.as_slice(), element.length.as_ref());
            self.decode_value(&name, read, own, missing)
        });
        let count = (format!("{}.{LIST_COUNT}", read.name), count);
        elements.chain([count]).collect()
    }

    /// The value of a read in these places, with its length if it is a text whose length is known; of a structure each of its values.
    /// None of them if there is a reason for that.
    fn decode_value(
        &self,
        name: &str,
        read: &PlannedRead,
        (slots, length): (&[usize], Option<&PlannedLength>),
        missing: Option<String>,
    ) -> Vec<(String, Datum)> {
        let loaded = loads(slots, self.event);
        let missing = missing.or_else(|| match (&loaded, &read.elements) {
            (None, _) => Some("the event has no room for this read".to_owned()),
            (Some(_), Some(elements)) => elements.refusal_reason(self.event),
            (Some(_), None) => None,
        });
        let loaded = loaded.unwrap_or_default();
        let missing = missing.or_else(|| null_offset_reason(read, &loaded));
        let named = |member: &str| format!("{name}.{member}");
        match (&read.decode, missing) {
            (Decoder::Structure { fields, .. }, Some(reason)) => fields
                .iter()
                .map(|field| (named(&field.name), Datum::unavailable(&reason)))
                .collect(),
            (Decoder::Structure { fields, .. }, None) => decode_fields(&loaded, fields)
                .into_iter()
                .map(|(name, value)| {
                    let datum = match value {
                        Ok(value) => decoded_datum(value, NumberRole::Read(None), self.names),
                        Err(reason) => Datum::unavailable(reason.to_string()),
                    };
                    (named(name), datum)
                })
                .collect(),
            (_, Some(reason)) => vec![(name.to_owned(), Datum::unavailable(reason))],
            (how, None) => {
                let role = match &read.names {
                    Some(names) => NumberRole::Named(names),
                    None => NumberRole::Read(read.kind),
                };
                let decoded = decode(&loaded, how);
                let decoded = match length {
                    Some(length) => length.of(decoded, self.event),
                    None => decoded,
                };
                let datum = decoded_datum(decoded, role, self.names);
                vec![(name.to_owned(), datum)]
            }
        }
    }
}

/// The reason why an address is none of an object's: `&NULL->member` is the member's offset.
fn null_offset_reason(read: &PlannedRead, loaded: &[LoadedBytes<'_>]) -> Option<String> {
    let expected = read.inside_null?;
    let [(bytes, 0)] = loaded else {
        return None;
    };
    let address = u64::from_le_bytes(bytes.get(..8)?.try_into().ok()?);
    (address == expected).then(|| "the pointer to the object that it points into is NULL".into())
}

/// A value that was passed in a register, of which only the low bytes may be significant.
fn decode_register(value: u64, how: &Decoder) -> DecodedValue {
    let mut bytes = [0; MAX_READ_BYTES];
    bytes[..8].copy_from_slice(&value.to_le_bytes());
    decode(&[(&bytes, 0)], how)
}

/// The name of the task that ran.
pub(super) fn task_name(event: &Event) -> String {
    let end = event
        .comm
        .iter()
        .position(|b| *b == 0)
        .unwrap_or(event.comm.len());
    String::from_utf8_lossy(&event.comm[..end]).into_owned()
}

//! Facts of a probe in evidence that do not depend on its hits.

use std::collections::BTreeMap;

use qed_evidence::document::{
    Backend, Instruction, Member, Members, Parameter, Probe, Reads, Target, UnwatchedCause, Width,
};
use qed_evidence::instances::Within;
use qed_evidence::investigation::element_name;
use qed_evidence::value::{Address, Bytes, Datum, Value};

use super::observations::RawObservation;
use super::values::errno_value;
use crate::plan::expr::Decoder;
use crate::plan::{EventSource, PlannedParameter, PlannedProbe, PlannedRead};
use crate::reason::Reason;
use crate::session::raw::AttachFailure;

/// A probe before its first hit.
pub(super) fn empty_probe(planned: &PlannedProbe, seen: &RawObservation<'_>) -> Probe {
    let declined = probe_refusal(planned, seen);
    let refusal = unavailable_reason(planned, seen, declined);
    let address = planned
        .source
        .as_ref()
        .ok()
        .map(|s| s.address)
        .filter(|a| *a != 0);
    let is_function = matches!(planned.target, Target::Function(_));
    let sources = planned
        .sources()
        .filter(|_| is_function && refusal.is_none());
    let watched = sources.filter(|source| source_refusal(source, seen).is_none());
    let skipped = match &refusal {
        // The kernel counts no hit for which it did not call the probe at all.
        None if !matches!(planned.target, Target::Tracepoint(_) | Target::Lsm(_))
            && !seen.armed =>
        {
            None
        }
        None => skipped_hits(planned, seen),
        Some(_) => None,
    };
    Probe {
        watched: watched.map(|source| Address(source.address)).collect(),
        file: planned.file.clone(),
        within: planned.within.clone().map(|function| Within {
            function,
            undecided: 0,
            settled: None,
            why: None,
        }),
        target: planned.target.clone(),
        optional: planned.optional,
        backend: refusal.is_none().then_some(match planned.target {
            Target::Function(_) | Target::Address(_) => Backend::Kprobe,
            Target::Tracepoint(_) => Backend::Tracepoint,
            Target::Lsm(_) => Backend::Lsm,
        }),
        unavailable: refusal,
        attach_errno: declined.and_then(|declined| Some(errno_value(declined.errno?).into())),
        parameters: planned.parameters.iter().map(parameter).collect(),
        returns: planned
            .returns
            .as_ref()
            .map(|r| r.type_name.clone())
            .filter(|name| !name.is_empty()),
        address: address.map(|address| {
            Datum::Value(Value::Address {
                value: Address(address),
                type_name: None,
                symbol: None,
            })
        }),
        definition: address
            .filter(|_| is_function)
            .map(|address| definition_datum(address, seen)),
        instruction: planned.instruction.as_ref().map(|one| Instruction {
            offset: planned.offset,
            bytes: Bytes(one.bytes.clone()),
            text: one.text.clone(),
        }),
        listed: kprobe_list_datum(planned, seen),
        refused_reads: Reads {
            entry: reason_texts(&planned.refused.entry),
            exit: reason_texts(&planned.refused.exit),
        },
        members: Members {
            entry: members(&planned.entry),
            exit: members(&planned.exit),
        },
        widths: number_widths(planned),
        public: seen
            .requested
            .probe(&planned.name)
            .map_or_else(Vec::new, |wanted| wanted.public.clone()),
        retyped: retyped_reads(planned),
        skipped,
        hits: Vec::new(),
    }
}

/// The kernel's refusal of an attachment, if it refused it.
fn source_refusal<'s>(
    source: &EventSource,
    seen: &RawObservation<'s>,
) -> Option<&'s AttachFailure> {
    seen.refusals.get(source.attach)?.as_ref()
}

fn reason_texts(refused: &BTreeMap<String, Reason>) -> BTreeMap<String, String> {
    let each = refused.iter();
    each.map(|(name, reason)| (name.clone(), reason.to_string()))
        .collect()
}

/// The refusal of a probe as a whole. Of several copies it is enough that one can be watched: evidence says which were.
fn probe_refusal<'s>(
    planned: &PlannedProbe,
    seen: &RawObservation<'s>,
) -> Option<&'s AttachFailure> {
    let first = planned.source.as_ref().ok()?;
    let all = planned
        .sources()
        .all(|source| source_refusal(source, seen).is_some());
    all.then(|| source_refusal(first, seen))?
}

/// The reason why a probe has no hits that would say anything, if there is one.
fn unavailable_reason(
    planned: &PlannedProbe,
    seen: &RawObservation<'_>,
    declined: Option<&AttachFailure>,
) -> Option<String> {
    let own = match &planned.source {
        Err(reason) => Some(reason.to_string()),
        Ok(_) => declined.map(|declined| declined.reason.clone()),
    };
    own.or_else(|| seen.not_run.map(str::to_owned)).or_else(|| {
        let unknown = seen.names.check_exists(planned.within.as_deref()?).err()?;
        Some(UnwatchedCause::within_reason(&unknown))
    })
}

fn parameter(planned: &PlannedParameter) -> Parameter {
    Parameter {
        name: planned.name.clone(),
        type_name: planned.type_name.clone(),
    }
}

fn definition_datum(address: u64, seen: &RawObservation<'_>) -> Datum {
    match seen.names.definition(address) {
        Ok(value) => Value::Location { value }.into(),
        Err(reason) => Datum::unavailable(reason),
    }
}

/// The entry of a function's probe in the kernel's list of probes; `None` for other probes and for one that is not
/// there.
fn kprobe_list_datum(planned: &PlannedProbe, seen: &RawObservation<'_>) -> Option<Datum> {
    let source = planned.source.as_ref().ok()?;
    if source.address == 0
        || seen
            .refusals
            .get(source.attach)
            .cloned()
            .flatten()
            .is_some()
    {
        return None;
    }
    Some(match seen.listed.get(source.attach)? {
        Ok(text) => Value::text(text).into(),
        Err(reason) => Datum::unavailable(reason.clone()),
    })
}

/// The members that reads take.
fn members(reads: &[PlannedRead]) -> BTreeMap<String, Member> {
    let taken = reads.iter().filter_map(|read| {
        let member = read.member.clone()?;
        let (type_name, bits) = match &read.decode {
            Decoder::Int { type_name, .. } => (Some(type_name), None),
            Decoder::BitField {
                type_name, bits, ..
            } => (Some(type_name), Some(*bits)),
            _ => (None, None),
        };
        let member = Member {
            structure: member.structure,
            name: member.name,
            offset: member.offset,
            type_name: type_name.filter(|name| !name.is_empty()).cloned(),
            bits,
        };
        Some((read.name.clone(), member))
    });
    taken.collect()
}

/// The reads that may be parts of addresses, by their place in a hit.
fn retyped_reads(planned: &PlannedProbe) -> Vec<String> {
    let sides = [("entry", &planned.entry), ("exit", &planned.exit)];
    let reads = sides
        .into_iter()
        .flat_map(|(side, reads)| reads.iter().map(move |read| (side, read)));
    let marked = reads.filter(|(_, read)| read.retyped);
    marked
        .map(|(side, read)| format!("{side}.{}", read.name))
        .collect()
}

/// Widths of the numbers that a probe takes, by their place in a hit.
fn number_widths(planned: &PlannedProbe) -> BTreeMap<String, Width> {
    let mut all = BTreeMap::new();
    for parameter in &planned.parameters {
        if let Some(decode) = &parameter.decode {
            add_number_widths(format!("args.{}", parameter.name), decode, &mut all);
        }
    }
    if let Some(Ok(decode)) = planned.returns.as_ref().map(|returned| &returned.decode) {
        add_number_widths("return".into(), decode, &mut all);
    }
    for (side, reads) in [("entry", &planned.entry), ("exit", &planned.exit)] {
        for read in reads {
            let place = format!("{side}.{}", read.name);
            let Some(list) = &read.list else {
                add_number_widths(place, &read.decode, &mut all);
                continue;
            };
            for number in 0..list.elements.len() {
                let place = format!("{place}.{}", element_name(number));
                add_number_widths(place, &read.decode, &mut all);
            }
        }
    }
    all
}

/// Add the width of a value, or of each value of a structure that is read whole.
fn add_number_widths(place: String, decode: &Decoder, all: &mut BTreeMap<String, Width>) {
    let (bits, signed) = match decode {
        Decoder::Int { size, signed, .. } | Decoder::Enum { size, signed, .. } => {
            (size.saturating_mul(8), *signed)
        }
        Decoder::BitField { bits, signed, .. } => (*bits, *signed),
        Decoder::Structure { fields, .. } => {
            for field in fields {
                if let Ok(decode) = &field.decode {
                    add_number_widths(format!("{place}.{}", field.name), decode, all);
                }
            }
            return;
        }
        // A pointer that is handed over can carry an error.
        Decoder::Pointer { .. } if place == "return" || place.starts_with("args.") => (64, false),
        _ => return,
    };
    all.insert(place, Width { bits, signed });
}

/// Hits of a probe that the kernel skipped, of all copies that it watches; `None`: of one of them it is not known.
fn skipped_hits(planned: &PlannedProbe, seen: &RawObservation<'_>) -> Option<u64> {
    let refused = |source: &&EventSource| matches!(seen.refusals.get(source.attach), Some(Some(_)));
    let mut attached = planned.sources().filter(|s| !refused(s)).peekable();
    attached.peek()?;
    attached.try_fold(0_u64, |sum, source| {
        Some(sum.saturating_add((*seen.skipped.get(source.attach)?)?))
    })
}

//! The ranges of C types, from the tables of a document.

use crate::document::value::Value;
use crate::document::{Evidence, Width};
use crate::path::split_path;

use super::hints::Hints;

/// True if the value of this path, which is `own` here, could have been `number`: that fits into the width that the document
/// states for it. If the width is missing, the narrowest one that holds `own` is assumed, so that missing evidence never makes
/// a claim pass.
pub(super) fn fits(path: &str, own: i128, number: i128, hints: &Hints<'_>) -> bool {
    match width(path, hints.evidence) {
        RecordedWidth::NoRead => true,
        RecordedWidth::Width(width) if width.holds(own) => width.holds(number),
        // An error that is returned as an unsigned number.
        RecordedWidth::Width(width) => fits_bits(number, width.bits),
        RecordedWidth::Missing => Width::narrowest(own).holds(number),
    }
}

/// True if the document does not state the width of the number that was read under this path.
pub(super) fn width_is_missing(path: &str, value: &Value, evidence: &Evidence) -> bool {
    value.as_integer().is_some() && matches!(width(path, evidence), RecordedWidth::Missing)
}

/// The width of a value, as a document states it.
enum RecordedWidth {
    /// The value is not part of a hit that a probe read.
    NoRead,
    Width(Width),
    Missing,
}

fn width(path: &str, evidence: &Evidence) -> RecordedWidth {
    let read = || {
        let (experiment, rest) = path.split_once('.')?;
        let (probe, rest) = rest.split_once('.')?;
        let probe = evidence.experiments.get(experiment)?.probes.get(probe)?;
        let place = match rest.split_once('.') {
            Some((hit, place)) if crate::path::hit_number(hit).is_some() => place,
            _ => rest,
        };
        let section = split_path(place).next()?;
        ["args", "entry", "exit", "return"]
            .contains(&section)
            .then_some((probe, place))
    };
    match read() {
        None => RecordedWidth::NoRead,
        Some((probe, place)) => match probe.widths.get(place) {
            Some(width) => RecordedWidth::Width(*width),
            None => RecordedWidth::Missing,
        },
    }
}

/// True if the number fits into this many bits, with or without a sign.
fn fits_bits(number: i128, bits: u32) -> bool {
    let end = 1_i128.checked_shl(bits).filter(|end| *end > 0);
    end.is_none_or(|end| (-(end / 2)..end).contains(&number))
}

/// True if an enumerator of this type does not fit into 32 bits.
pub(super) fn is_wide_enum(type_name: &str, hints: &Hints<'_>) -> bool {
    let list = hints.names.enums.get(type_name);
    let mut numbers = list.into_iter().flat_map(|list| list.values());
    numbers.any(|number| !(i32::MIN.into()..=u32::MAX.into()).contains(&number.get()))
}

/// True if a value of this C type could be `number`. The document's tables say so. Where they do not (evidence of the
/// first collectors), only what the type's name or the value itself shows to be signed can be negative.
pub(super) fn fits_type(type_name: &str, own: i128, number: i128, hints: &Hints<'_>) -> bool {
    match hints.names.integers.get(type_name) {
        Some(known) => known.holds(number),
        None => number >= 0 || own < 0 || SIGNED.contains(&type_name),
    }
}

/// The collector's spellings of C's signed types.
const SIGNED: &[&str] = &["signed char", "char", "short", "int", "long", "long long"];

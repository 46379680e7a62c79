//! Names of plain numbers that an author declared with `names`: a set of constants or flags, an enumeration of the kernel, or
//! what a tracepoint's format calls them.

use std::cell::OnceCell;
use std::collections::{BTreeMap, HashMap};

use qed_evidence::constants::{Flag, constant_sets, constants_of, flag_set};

use super::TargetKernel;
use super::expr::Decoder;
use super::print_fmt::{FieldNames, field_names, fields_with_names};
use super::types::NumberNames;
use crate::btf::Btf;
use crate::reason::Reason;

/// The names of a number.
pub(super) enum NumberNaming {
    /// Those of an enumeration, which the number has as if it were its type.
    Enumeration(Decoder),
    /// Those of a set.
    Names(NumberNames),
}

/// The names that `set` of an investigation means for the number that `decode` decodes. `flags`: its author says that they are
/// those of bits.
///
/// # Errors
/// The reason why this kernel has no such names, or why the value cannot have them.
pub(super) fn number_names(
    kernel: &TargetKernel<'_, '_>,
    set: &str,
    flags: bool,
    decode: &Decoder,
) -> Result<NumberNaming, Reason> {
    if !matches!(
        decode,
        Decoder::Int { .. } | Decoder::BitField { boolean: false, .. }
    ) {
        return Err(not_plain_reason(set, decode));
    }
    if let Some(known) = flag_set(set) {
        return Ok(flag_names(set, known));
    }
    if constant_sets().any(|known| known == set) {
        return match (flags, set) {
            (false, _) => Ok(NumberNaming::Names(NumberNames::Constants(set.into()))),
            // A set of capabilities has the bit of each one's number.
            (true, "CAP") => Ok(flag_names(set, constants_of(set).map(bit_flag).collect())),
            (true, _) => Err(format!("`{set}` names whole numbers, and no bits").into()),
        };
    }
    if let Some((tracepoint, field)) = set.split_once('.') {
        let names = tracepoint_field_names(kernel, tracepoint, field)?;
        return match names {
            FieldNames::Flags(known) => Ok(flag_names(set, known)),
            FieldNames::Numbers(_) if flags => {
                Err(format!("`{set}` names whole numbers, and no bits").into())
            }
            FieldNames::Numbers(values) => enumeration_naming(set, values, decode),
        };
    }
    let (name, values) = find_enumeration(kernel.btf, set)?;
    if flags {
        // A name without bits is that of nothing.
        let known = values.into_iter().filter(|(_, value)| *value != 0);
        let known = known.map(|(name, value)| Flag {
            name,
            value: value as u64,
            mask: None,
        });
        return Ok(flag_names(&name, known.collect()));
    }
    enumeration_naming(&name, values, decode)
}

/// The reason why a value cannot have names.
fn not_plain_reason(set: &str, decode: &Decoder) -> Reason {
    let other = decode.type_name();
    match decode {
        Decoder::Enum { .. } => {
            format!("`{other}` is an enumeration, whose names are known without `names`").into()
        }
        _ => format!("`{other}` is not a plain number that `names = \"{set}\"` could name").into(),
    }
}

fn flag_names(set: &str, flags: Vec<Flag>) -> NumberNaming {
    NumberNaming::Names(NumberNames::Flags {
        set: set.into(),
        flags,
    })
}

fn bit_flag((number, name): (i64, &str)) -> Flag {
    Flag {
        name: name.into(),
        value: 1_u64.wrapping_shl(number as u32),
        mask: None,
    }
}

/// The decoder of the number with the names of an enumeration.
fn enumeration_naming(
    name: &str,
    values: Vec<(String, i128)>,
    decode: &Decoder,
) -> Result<NumberNaming, Reason> {
    let type_name = name.to_owned();
    Ok(NumberNaming::Enumeration(match *decode {
        Decoder::Int {
            size,
            signed,
            big_endian: false,
            ..
        } => Decoder::Enum {
            type_name,
            size,
            signed,
            values,
        },
        Decoder::BitField {
            bit_offset,
            bits,
            signed,
            ..
        } => Decoder::BitField {
            bit_offset,
            bits,
            signed,
            type_name,
            boolean: false,
            values,
        },
        ref other => return Err(not_plain_reason(name, other)),
    }))
}

/// The names that a tracepoint's format has for a field. `tracepoint` may begin with its group, `kmem:kmalloc`.
fn tracepoint_field_names(
    kernel: &TargetKernel<'_, '_>,
    tracepoint: &str,
    field: &str,
) -> Result<FieldNames, Reason> {
    let (group, event) = match tracepoint.split_once(':') {
        Some((group, event)) => (Some(group), event),
        None => (None, tracepoint),
    };
    let formats = (kernel.formats)(event)?;
    let chosen = formats
        .iter()
        .filter(|(own, _)| group.is_none_or(|group| group == own));
    let table = OnceCell::new();
    let enumerator = |name: &str| -> Option<i128> {
        let table = table.get_or_init(|| enumerators(kernel.btf));
        *table.get(name)?
    };
    let mut found: Vec<FieldNames> = Vec::new();
    for (_, format) in chosen {
        let names = field_names(format, field, &enumerator)
            .map_err(|error| format!("`names`: of the tracepoint `{tracepoint}`: {error}"))?;
        if !found.contains(&names) {
            found.push(names);
        }
    }
    match found.len() {
        0 => Err(format!("`names`: this kernel has no tracepoint `{tracepoint}`").into()),
        1 => Ok(found.remove(0)),
        _ => {
            let groups: Vec<&str> = formats.iter().map(|(group, _)| group.as_str()).collect();
            let groups = groups.join("`, `");
            Err(format!("`names`: the tracepoints `{event}` of the groups `{groups}` differ: write one, as `GROUP:{event}.{field}`").into())
        }
    }
}

/// The fields of a tracepoint whose numbers its format names, each with the set of these names. None where several tracepoints have
/// its name, or the formats cannot be read.
pub(super) fn named_fields(
    kernel: &TargetKernel<'_, '_>,
    tracepoint: &str,
) -> BTreeMap<String, String> {
    match (kernel.formats)(tracepoint).as_deref() {
        Ok([(_, format)]) => fields_with_names(format)
            .map(|field| (field.to_owned(), format!("{tracepoint}.{field}")))
            .collect(),
        _ => BTreeMap::new(),
    }
}

/// The enumerators of a kernel; `None` for one with several numbers.
fn enumerators(btf: &Btf<'_>) -> HashMap<String, Option<i128>> {
    let mut found = HashMap::new();
    // Damaged types have no names that a format could use.
    _ = btf.for_each_enumerator(&mut |name, value| {
        let known = found.entry(name.to_owned()).or_insert(Some(value));
        if *known != Some(value) {
            *known = None;
        }
    });
    found
}

/// The enumeration of the kernel of this name, or that has an enumerator of this name: its name, and its values.
fn find_enumeration(btf: &Btf<'_>, set: &str) -> Result<(String, Vec<(String, i128)>), Reason> {
    let found = btf.enumerations_with(set).map_err(Reason::from_error)?;
    match found.as_slice() {
        [(tag, all)] => {
            let name = if tag.is_empty() { set } else { tag };
            let values = all.iter().map(|(name, value)| ((*name).to_owned(), *value));
            Ok((name.to_owned(), values.collect()))
        }
        [] => {
            let near = btf.nearest_enumerators(set);
            let near = near
                .first()
                .map(|near| format!("; the nearest name is `{near}`"));
            Err(format!(
                "no enumeration of this kernel is called `{set}` or has an enumerator `{set}`{}; names of macros are not in a kernel's types",
                near.unwrap_or_default()
            )
            .into())
        }
        several => {
            let count = several.len();
            Err(format!("{count} enumerations of this kernel have `{set}`, and they differ").into())
        }
    }
}

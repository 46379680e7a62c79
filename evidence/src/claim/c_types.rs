//! The numbers that C types hold, as the tables of a document tell them.

use super::hints::Hints;

/// True if what a function takes or returns, or a member that was read, can be this number: the document says of which C
/// type or of how many bits it is, and its tables what that holds.
pub(super) fn fits(path: &str, number: i128, hints: &Hints<'_>) -> bool {
    declared(path, hints).is_none_or(|(type_name, bits)| {
        let fits_type = hints.names.integers.get(type_name);
        fits_type.is_none_or(|known| known.holds(number)) && bits.is_none_or(|n| in_bits(number, n))
    })
}

/// The C type that the value of this path is declared with, and its width in bits where it is a bit field.
fn declared<'h>(path: &str, hints: &'h Hints<'_>) -> Option<(&'h str, Option<u32>)> {
    let (experiment, rest) = path.split_once('.')?;
    let (probe, rest) = rest.split_once('.')?;
    let experiment = hints.evidence.experiments.get(experiment)?;
    let probe = experiment.probes.get(probe)?;
    let leaf = match rest.split_once('.') {
        Some((hit, leaf)) if crate::path::hit_number(hit).is_some() => leaf,
        _ => rest,
    };
    let Some((section, name)) = leaf.split_once('.') else {
        let returned = probe.returns.as_deref().filter(|_| leaf == "return");
        return returned.map(|type_name| (type_name, None));
    };
    let members = match section {
        "args" => {
            let parameter = probe.parameters.iter().find(|one| one.name == name)?;
            return Some((&parameter.type_name, None));
        }
        "entry" => &probe.members.entry,
        "exit" => &probe.members.exit,
        _ => return None,
    };
    let member = members.get(name)?;
    Some((member.type_name.as_deref()?, member.bits))
}

/// True if so many bits hold the number, with or without a sign.
fn in_bits(number: i128, bits: u32) -> bool {
    let end = 1_i128.checked_shl(bits).filter(|end| *end > 0);
    end.is_none_or(|end| (-(end / 2)..end).contains(&number))
}

/// True if an enumerator of this type does not fit into 32 bits.
pub(super) fn wide(type_name: &str, hints: &Hints<'_>) -> bool {
    let list = hints.names.enums.get(type_name);
    let mut numbers = list.into_iter().flat_map(|list| list.values());
    numbers.any(|number| !(i32::MIN.into()..=u32::MAX.into()).contains(&number.get()))
}

/// True if a value of this C type could be `number`. The document's tables say so. Where they do not (evidence of the
/// first collectors), only what the type's name or the value itself shows to be signed can be negative.
pub(super) fn holds(type_name: &str, own: i128, number: i128, hints: &Hints<'_>) -> bool {
    match hints.names.integers.get(type_name) {
        Some(known) => known.holds(number),
        None => number >= 0 || own < 0 || SIGNED.contains(&type_name),
    }
}

/// The collector's spellings of C's signed types.
const SIGNED: &[&str] = &["signed char", "char", "short", "int", "long", "long long"];

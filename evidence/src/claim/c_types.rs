//! The numbers that C types hold, as the tables of a document tell them.

use super::hints::Hints;

/// True if what a function takes or returns can be this number: the document's tables say what its C type holds.
pub(super) fn fits(path: &str, number: i128, hints: &Hints<'_>) -> bool {
    let of_type = || {
        let (experiment, rest) = path.split_once('.')?;
        let (probe, rest) = rest.split_once('.')?;
        let probe = hints
            .evidence
            .experiments
            .get(experiment)?
            .probes
            .get(probe)?;
        let leaf = match rest.split_once('.') {
            Some((hit, leaf)) if crate::path::hit_number(hit).is_some() => leaf,
            _ => rest,
        };
        let type_name = match leaf.strip_prefix("args.") {
            Some(name) => {
                let parameter = probe.parameters.iter().find(|one| one.name == name)?;
                parameter.type_name.as_str()
            }
            None if leaf == "return" => probe.returns.as_deref()?,
            None => return None,
        };
        hints.names.integers.get(type_name)
    };
    of_type().is_none_or(|known| known.holds(number))
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

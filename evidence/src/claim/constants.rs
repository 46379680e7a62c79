//! Named constants of claims: error numbers, flags of system calls, and enumerators of the types that the
//! evidence shows.

use crate::constants::{
    all_constants, differs_by_architecture, errno_number, find_constant_number,
};
use crate::path_index::resolve::{Catalog, Indexed};

use super::value::{Kind, Number, Typed};

/// The reason why a constant has no value.
pub(super) enum UnknownConstant {
    /// The machine's own tables do not contain it, but those of another machine do.
    Here(String),
    /// Nothing holds it, or it has several values.
    Anywhere(String),
}

/// The value of a constant on `machine`, or on any machine for a first look. Enumerators of other machines' kernels do not
/// count: each kernel numbers them anew.
pub(super) fn constant_value(
    name: &str,
    catalog: &Catalog<'_>,
    machine: Option<&Indexed<'_>>,
) -> Result<Typed, UnknownConstant> {
    if let Some(number) = errno_number(name) {
        let mut names = crate::constants::errno_names_of(number);
        names.retain(|other| other != name);
        names.insert(0, name.into());
        return Ok(Typed::Number(Number {
            value: number.into(),
            unsigned: false,
            kind: Kind::Errno,
            names,
        }));
    }
    let arch = match machine {
        Some(machine) => machine.evidence.kernel.arch.as_deref(),
        // For a first look, any will do.
        None => Some("x86_64"),
    };
    if arch.is_none() && differs_by_architecture(name) {
        return Err(UnknownConstant::Here(format!(
            "`{name}` has another number on each architecture, and the evidence does not say which one this kernel's is"
        )));
    }
    if let Some(number) = find_constant_number(name, arch.unwrap_or("x86_64")) {
        return Ok(Typed::Number(Number {
            value: number.into(),
            unsigned: false,
            kind: Kind::Literal,
            names: Vec::new(),
        }));
    }
    let everywhere = || {
        let machines = catalog.machines.iter();
        machines.flat_map(|machine| enumerators(name, machine))
    };
    let mut found: Vec<(Kind, i128, Vec<String>)> = match machine {
        Some(machine) => enumerators(name, machine).collect(),
        None => everywhere().collect(),
    };
    found.sort_by_key(|(kind, value, _)| (kind.name(), *value));
    found.dedup_by(|a, b| (&a.0, a.1) == (&b.0, b.1));
    match found.as_slice() {
        [] => Err(match everywhere().next() {
            Some((kind, ..)) => UnknownConstant::Here(format!(
                "the tables of this machine's kernel have no `{name}`; those of another one have it in {}",
                describe_place(&kind)
            )),
            None => UnknownConstant::Anywhere(format!("`{name}` is not a known constant")),
        }),
        [(kind, value, names)] => Ok(Typed::Number(Number {
            value: *value,
            unsigned: *value > i128::from(i64::MAX),
            kind: kind.clone(),
            names: names.clone(),
        })),
        several => Err(UnknownConstant::Anywhere(format!(
            "`{name}` is ambiguous: {}",
            several
                .iter()
                .map(|(kind, value, _)| format!("{value} in {}", describe_place(kind)))
                .collect::<Vec<_>>()
                .join(", ")
        ))),
    }
}

/// The place of a constant, for a message: the type of its enumeration.
fn describe_place(kind: &Kind) -> String {
    match kind {
        Kind::Enum(type_name) => type_name.clone(),
        other => other.name(),
    }
}

/// Kinds and numbers of the enumerators and flags of this name, of the types and sets that one machine's values have; and all
/// names of an enumerator's number, this one first.
fn enumerators<'m>(
    name: &'m str,
    machine: &'m Indexed<'_>,
) -> impl Iterator<Item = (Kind, i128, Vec<String>)> + use<'m> {
    let names = &machine.evidence.names;
    let enums = names.enums.iter().filter_map(move |(type_name, list)| {
        let number = list.get(name)?.get();
        let others = names.other_names_of_value(type_name, name, number);
        let all = std::iter::once(name.to_owned()).chain(others).collect();
        Some((Kind::Enum(type_name.clone()), number, all))
    });
    let flags = names.flags.values().filter_map(move |list| {
        let flag = list.iter().find(|flag| flag.name == name)?;
        Some((Kind::Flags, flag.value.into(), Vec::new()))
    });
    enums.chain(flags)
}

/// Every name that could be meant, for suggestions.
pub(super) fn candidate_names<'a>(catalog: &Catalog<'a>) -> Vec<&'a str> {
    let machines: &'a [Indexed<'a>] = catalog.machines;
    let enumerators = machines
        .iter()
        .flat_map(|machine| machine.evidence.names.enums.values())
        .flat_map(|list| list.keys().map(String::as_str));
    let flags = machines
        .iter()
        .flat_map(|machine| machine.evidence.names.flags.values().flatten())
        .map(|flag| flag.name.as_str());
    let mut names: Vec<&'a str> = all_constants().map(|(_, name)| name).collect();
    names.extend(flags);
    crate::constants::errno_names().for_each(|name| names.push(name));
    names.extend(enumerators);
    names
}

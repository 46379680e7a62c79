//! The tables that the names in a capture are checked against: the address range of each symbol, the value of each enumerator.

use std::collections::{BTreeMap, BTreeSet};

use qed_evidence::Evidence;
use qed_evidence::names::{IntegerType, Names as Tables, Symbol};
use qed_evidence::value::{Address, Integer, Value};

use super::names::Names;
use crate::plan::expr::Decoder;
use crate::plan::{NumberNames, PlannedExperiment, PlannedProbe};

/// The tables of all names that the values of `evidence` have.
pub fn name_tables(evidence: &Evidence, plan: &[PlannedExperiment], names: &dyn Names) -> Tables {
    let mut symbols: BTreeMap<Address, Symbol> = BTreeMap::new();
    let mut enums: BTreeMap<String, BTreeMap<String, Integer>> = BTreeMap::new();
    let mut types: BTreeSet<String> = BTreeSet::new();
    let mut sets: BTreeSet<String> = BTreeSet::new();
    let mut named = |address: Address| {
        if let Some(symbol) = names.extent(address.0) {
            symbols.insert(symbol.address, symbol);
        }
    };
    evidence.for_each_value(&mut |value| match value {
        Value::Address {
            value,
            symbol: Some(_),
            ..
        } => named(*value),
        Value::Symbol { address, .. } => named(*address),
        Value::Enum {
            value,
            type_name,
            name: Some(name),
        } => {
            enums
                .entry(type_name.clone())
                .or_default()
                .insert(name.clone(), *value);
        }
        Value::Int {
            type_name: Some(type_name),
            ..
        } if !types.contains(type_name) => _ = types.insert(type_name.clone()),
        Value::Flags { set: Some(set), .. } if !sets.contains(set) => {
            _ = sets.insert(set.clone());
        }
        _ => {}
    });
    evidence.for_each_frame(&mut |frame| {
        if frame.symbol.is_some() {
            named(frame.address);
        }
    });
    types.extend(declared_types(evidence).map(str::to_owned));
    // Also of values that were not there to be read: a claim on them is UNVERIFIED, and its enumerator is a known one.
    for how in plan.iter().flat_map(|e| &e.probes).flat_map(decoders) {
        if let Decoder::Enum { values, .. } = how
            && !values.is_empty()
        {
            enums.entry(how.type_name().to_owned()).or_default();
        }
    }
    for (type_name, list) in &mut enums {
        add_unseen_enumerators(type_name, list, plan);
    }
    let flags = sets.iter().filter_map(|set| {
        let known = plan.iter().flat_map(|e| &e.probes).flat_map(number_names);
        let mut known = known.filter_map(|names| match names {
            NumberNames::Flags { set: own, flags } if own == set => Some(flags.clone()),
            _ => None,
        });
        let flags = known.next()?;
        Some((set.clone(), flags))
    });
    Tables {
        symbols: symbols.into_values().collect(),
        enums,
        integers: integer_types(&types, plan),
        flags: flags.collect(),
    }
}

/// The C types that values are declared with, also those whose values are of a kind of their own.
fn declared_types(evidence: &Evidence) -> impl Iterator<Item = &str> {
    let experiments = evidence.experiments.values();
    let probes = experiments.flat_map(|experiment| experiment.probes.values());
    probes.flat_map(|probe| {
        let parameters = probe.parameters.iter().map(|one| one.type_name.as_str());
        let members = probe
            .members
            .entry
            .values()
            .chain(probe.members.exit.values());
        let members = members.filter_map(|member| member.type_name.as_deref());
        parameters.chain(probe.returns.as_deref()).chain(members)
    })
}

/// The names that the author declared for a probe's values.
fn number_names(probe: &PlannedProbe) -> impl Iterator<Item = &NumberNames> {
    let reads = probe.entry.iter().chain(&probe.exit);
    let parameters = probe.parameters.iter().filter_map(|p| p.names.as_ref());
    reads
        .filter_map(|read| read.names.as_ref())
        .chain(parameters)
}

/// The decoders of a probe's values.
fn decoders(probe: &PlannedProbe) -> impl Iterator<Item = &Decoder> {
    let reads = probe.entry.iter().chain(&probe.exit);
    let parameters = probe.parameters.iter().filter_map(|p| p.decode.as_ref());
    let returned = probe.returns.iter().filter_map(|r| r.decode.as_ref().ok());
    reads
        .map(|read| &read.decode)
        .chain(parameters)
        .chain(returned)
        .flat_map(Decoder::value_decoders)
}

/// Sizes and signs of the C types of these names. A type that is seen with two sizes or signs is left out.
fn integer_types(
    types: &BTreeSet<String>,
    plan: &[PlannedExperiment],
) -> BTreeMap<String, IntegerType> {
    let mut found: BTreeMap<String, Option<IntegerType>> = BTreeMap::new();
    for how in plan.iter().flat_map(|e| &e.probes).flat_map(decoders) {
        let Decoder::Int {
            size,
            signed,
            type_name,
            ..
        } = how
        else {
            continue;
        };
        let Some(size) = u8::try_from(*size)
            .ok()
            .filter(|_| types.contains(type_name))
        else {
            continue;
        };
        let one = IntegerType {
            size,
            signed: *signed,
        };
        let known = found.entry(type_name.clone()).or_insert(Some(one));
        if *known != Some(one) {
            *known = None;
        }
    }
    found
        .into_iter()
        .filter_map(|(name, one)| Some((name, one?)))
        .collect()
}

/// Add the enumerators that were not seen: claims can name them too.
fn add_unseen_enumerators(
    type_name: &str,
    list: &mut BTreeMap<String, Integer>,
    plan: &[PlannedExperiment],
) {
    for how in plan.iter().flat_map(|e| &e.probes).flat_map(decoders) {
        if how.type_name() != type_name {
            continue;
        }
        let (Decoder::Enum { values, .. } | Decoder::BitField { values, .. }) = how else {
            continue;
        };
        for (name, value) in values {
            if let Some(value) = Integer::new(*value) {
                // What was seen stands.
                list.entry(name.clone()).or_insert(value);
            }
        }
    }
}

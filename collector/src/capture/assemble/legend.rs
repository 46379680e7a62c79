//! The tables that the names in a capture are checked against: what each symbol spans, what each enumerator is.

use std::collections::BTreeMap;

use qed_evidence::Evidence;
use qed_evidence::names::{Names as Tables, Symbol};
use qed_evidence::value::{Address, Integer, Value};

use super::Names;
use crate::plan::expr::Decode;
use crate::plan::{PlannedExperiment, PlannedProbe};

/// The tables of all names that the values of `evidence` have.
pub fn names(evidence: &Evidence, plan: &[PlannedExperiment], names: &dyn Names) -> Tables {
    let mut symbols: BTreeMap<Address, Symbol> = BTreeMap::new();
    let mut enums: BTreeMap<String, BTreeMap<String, Integer>> = BTreeMap::new();
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
        _ => {}
    });
    evidence.for_each_frame(&mut |frame| {
        if frame.symbol.is_some() {
            named(frame.address);
        }
    });
    for (type_name, list) in &mut enums {
        complete(type_name, list, plan);
    }
    Tables {
        symbols: symbols.into_values().collect(),
        enums,
    }
}

/// Adds the enumerators that were not seen: claims can name them too.
fn complete(type_name: &str, list: &mut BTreeMap<String, Integer>, plan: &[PlannedExperiment]) {
    let of_probe = |probe: &PlannedProbe| -> Vec<Decode> {
        let reads = probe.entry.iter().chain(&probe.exit);
        let parameters = probe.parameters.iter().filter_map(|p| p.decode.clone());
        let returned = probe.returns.iter().filter_map(|r| r.decode.clone().ok());
        reads
            .map(|read| read.decode.clone())
            .chain(parameters)
            .chain(returned)
            .collect()
    };
    for how in plan.iter().flat_map(|e| &e.probes).flat_map(of_probe) {
        if how.type_name() != type_name {
            continue;
        }
        let (Decode::Enum { values, .. } | Decode::BitField { values, .. }) = how else {
            continue;
        };
        for (name, value) in values {
            if let Some(value) = Integer::new(value) {
                // What was seen stands.
                list.entry(name).or_insert(value);
            }
        }
    }
}

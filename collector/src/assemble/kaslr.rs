//! The KASLR section of the evidence.

use std::collections::BTreeMap;

use qed_evidence::document::{DISABLED, Kaslr, RANDOMIZED, SymbolPlaces};
use qed_evidence::value::{Address, Datum, Integer, Value};

use super::context::Context;
use crate::kaslr::{FixedPlace, KaslrReport, KaslrStatus};
use crate::session::raw::MachineFacts;

fn offset_datum(value: u64) -> Datum {
    Value::Offset {
        value: Integer::from(value),
    }
    .into()
}

fn address_datum(address: u64) -> Datum {
    Value::Address {
        value: Address(address),
        type_name: None,
        symbol: None,
    }
    .into()
}

fn number_datum(value: u64) -> Datum {
    Value::Int {
        value: Integer::from(value),
        type_name: None,
    }
    .into()
}

/// The names of sources as paths can hold them.
fn path_name(source: &str) -> String {
    source.replace('-', "_")
}

/// Live and static address of each symbol that was asked for, or why they are not known.
fn symbol_places(context: &Context<'_>, unknown: Option<&str>) -> BTreeMap<String, SymbolPlaces> {
    let missing = |why: &str| SymbolPlaces {
        live: Datum::unavailable(why),
        static_address: Datum::unavailable(why),
        slide: Datum::unavailable(why),
    };
    let mut symbols = BTreeMap::new();
    for symbol in &context.kaslr.symbols {
        let fixed = |value: fn(&FixedPlace) -> Datum| match &symbol.fixed {
            Ok(fixed) => value(fixed),
            Err(why) => Datum::unavailable(why.clone()),
        };
        let places = SymbolPlaces {
            live: address_datum(symbol.live),
            static_address: fixed(|fixed| address_datum(fixed.address)),
            slide: fixed(|fixed| offset_datum(fixed.slide)),
        };
        symbols.insert(symbol.name.clone(), places);
    }
    for (name, why) in &context.kaslr.missing_symbols {
        symbols.entry(name.clone()).or_insert_with(|| missing(why));
    }
    for name in &context.investigation.symbols {
        let why = unknown.unwrap_or("no source has it");
        symbols.entry(name.clone()).or_insert_with(|| missing(why));
    }
    symbols
}

/// The number that an option of the kernel's configuration has, or why it is not known.
fn configured_offset(context: &Context<'_>, option: &str) -> Datum {
    match &context.config {
        Ok(config) => match config.number(option) {
            Ok(Some(value)) => offset_datum(value),
            Ok(None) => Datum::unavailable(format!(
                "{option} is not set in this kernel's configuration"
            )),
            Err(error) => Datum::unavailable(error.to_string()),
        },
        Err(reason) => Datum::unavailable(reason.clone()),
    }
}

/// True if independent sources agree. A missing source is not a disagreement, and if a source disagrees, there is no slide at
/// all: so this is never `false`.
fn sources_agree(report: &KaslrReport) -> Datum {
    if report.agree {
        return Value::Bool { value: true }.into();
    }
    let without = report
        .sources
        .iter()
        .filter_map(|source| Some(format!("{}: {}", source.name, source.slide.as_ref().err()?)));
    let without: Vec<String> = without.collect();
    Datum::unavailable(format!(
        "no two independent sources say what the slide is; {}",
        without.join("; ")
    ))
}

/// The judgement on the slide, as values.
pub fn assemble_kaslr(facts: &MachineFacts, context: &Context<'_>) -> Kaslr {
    let report = context.kaslr;
    let unknown = match &report.status {
        KaslrStatus::Unknown { why } | KaslrStatus::Error { why } => Some(why.clone()),
        KaslrStatus::Randomized { .. } | KaslrStatus::Disabled { .. } => None,
    };
    let known = |datum: Datum| match &unknown {
        Some(why) => Datum::unavailable(why.clone()),
        None => datum,
    };
    let comparison = report
        .sources
        .iter()
        .find_map(|source| source.comparison.as_ref());
    let compared = |count: Option<u64>| match count {
        Some(count) => number_datum(count),
        None => Datum::unavailable("no static symbol table of the same build was at hand"),
    };
    Kaslr {
        status: match &report.status {
            KaslrStatus::Randomized { .. } => Value::text(RANDOMIZED).into(),
            KaslrStatus::Disabled { .. } => Value::text(DISABLED).into(),
            KaslrStatus::Unknown { why } => Datum::unavailable(why),
            KaslrStatus::Error { why } => {
                Datum::unavailable(format!("the sources contradict each other: {why}"))
            }
        },
        slide: match report.slide {
            Some(slide) => known(offset_datum(slide)),
            None => Datum::unavailable(
                unknown
                    .clone()
                    .unwrap_or_else(|| "no source gave a slide".into()),
            ),
        },
        agree: known(sources_agree(report)),
        sources: report
            .sources
            .iter()
            .map(|source| {
                let datum = match &source.slide {
                    Ok(slide) => offset_datum(*slide),
                    Err(reason) => Datum::unavailable(reason.to_string()),
                };
                (path_name(&source.name), datum)
            })
            .collect(),
        symbols: symbol_places(context, unknown.as_deref()),
        checked: compared(comparison.map(|c| c.checked)),
        differing: compared(comparison.map(|c| c.differing)),
        physical_start: configured_offset(context, "CONFIG_PHYSICAL_START"),
        physical_align: configured_offset(context, "CONFIG_PHYSICAL_ALIGN"),
        live_physical_start: match &facts.physical_text {
            Ok(address) => offset_datum(*address),
            Err(reason) => Datum::unavailable(reason.clone()),
        },
        // From files that this module does not open.
        readings: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kaslr::{KaslrSourceError, SourceGroup, SourceReport};

    /// Check that one source alone neither agrees nor disagrees, with the reasons of those that are missing.
    #[test]
    fn one_source() {
        let source = |name: &str, group, slide| SourceReport {
            name: name.into(),
            group,
            slide,
            comparison: None,
        };
        let missing = KaslrSourceError::Unavailable("no /proc/kcore".into());
        let mut report = KaslrReport {
            status: KaslrStatus::Randomized { slide: 0x20_0000 },
            slide: Some(0x20_0000),
            symbols: Vec::new(),
            missing_symbols: Vec::new(),
            sources: vec![
                source("kallsyms-vmlinux", SourceGroup::Measured, Ok(0x20_0000)),
                source("vmcoreinfo", SourceGroup::Stated, Err(missing)),
            ],
            agree: false,
            checks: Vec::new(),
        };
        let why = "no two independent sources say what the slide is; vmcoreinfo: unavailable: no /proc/kcore";
        assert_eq!(sources_agree(&report), Datum::unavailable(why));
        report.agree = true;
        assert_eq!(sources_agree(&report), Value::Bool { value: true }.into());
    }
}

//! Arbitrary text as an investigation: never a panic, every complaint has its place, and every name that is accepted can
//! stand in a path.
#![no_main]

use libfuzzer_sys::fuzz_target;
use qed_evidence::Path;
use qed_evidence::investigation::{Investigation, parse};
use qed_evidence::resolve::Catalog;
use qed_fuzz::{abort_on_panic, assert_renderable, restore_panic_hook};

fuzz_target!(init: restore_panic_hook(), |text: &str| abort_on_panic(|| match parse("fuzz.toml", text) {
    Ok(investigation) => assert_names(&investigation),
    Err(errors) => assert_renderable(&errors),
}));

fn assert_names(investigation: &Investigation) {
    let catalog = Catalog {
        investigation,
        machines: &[],
    };
    for experiment in &investigation.experiments {
        for probe in &experiment.probes {
            let below = |leaf: &str| format!("{}.{}.{leaf}", experiment.name, probe.name);
            let reads = (probe
                .entry
                .iter()
                .map(|read| below(&format!("entry.{}", read.name))))
            .chain(
                probe
                    .exit
                    .iter()
                    .map(|read| below(&format!("exit.{}", read.name))),
            );
            for text in reads.chain([below("return"), below("hits")]) {
                let path: Path = text.parse().unwrap_or_else(|error| panic!("{error}"));
                catalog
                    .check(&path)
                    .unwrap_or_else(|error| panic!("{error}"));
            }
        }
    }
}

//! Arbitrary text as a path: what the grammar takes is written as it was read, and leads to a value, to a reason why there
//! is none, or to a complaint.
#![no_main]

use libfuzzer_sys::fuzz_target;
use qed_evidence::resolve::{Catalog, Indexed, Resolved};
use qed_evidence::{Path, path};
use qed_fuzz::{INVESTIGATION, SAMPLE, abort_on_panic, parse_claim, restore_panic_hook};

fuzz_target!(init: restore_panic_hook(), |text: &str| abort_on_panic(|| fuzz_path(text)));

fn fuzz_path(text: &str) {
    let path: Path = match text.parse() {
        Ok(path) => path,
        Err(error) => {
            assert!(!error.to_string().is_empty());
            return;
        }
    };
    assert_eq!(path.to_string(), text);
    assert!(path::is_name(path.first()) && path.segments().all(path::is_identifier));
    assert_eq!(path.segments().collect::<Vec<_>>().join("."), text);

    let machines = [Indexed::new(&SAMPLE)];
    let catalog = Catalog {
        investigation: &INVESTIGATION,
        machines: &machines,
    };
    let planned = catalog.check(&path);
    match catalog.resolve(&machines[0], &path) {
        Ok(Resolved::Value(value, _)) => {
            assert!(planned.is_ok());
            let listed = machines[0]
                .leaves
                .get(text)
                .and_then(|leaf| leaf.datum.value());
            assert_eq!(listed, Some(value.as_ref()));
        }
        Ok(Resolved::Missing(missing)) => {
            assert!(planned.is_ok() && !missing.reason().is_empty());
        }
        Ok(Resolved::Broken(reason)) => assert!(planned.is_ok() && !reason.is_empty()),
        Err(error) => {
            assert!(!error.message.is_empty() && error.segment <= path.segments().count());
            // What is suggested instead is itself a path.
            if let Some(near) = error.nearest {
                assert!(near.parse::<Path>().is_ok(), "{near}");
            }
        }
    }
    // Whatever can be read can be claimed, but for words that CEL keeps for itself.
    if let Ok(claim) = parse_claim(&format!("{text} == 1"), None) {
        assert_eq!(
            claim
                .reads()
                .map(|read| read.path.as_str())
                .collect::<Vec<_>>(),
            [text]
        );
    }
}

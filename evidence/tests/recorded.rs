//! The evidence that this repository holds is of the schema that it publishes.

use std::path::Path;

/// Check that each recorded file is valid against the present schema.
#[test]
fn is_of_the_schema() {
    let schema = serde_json::to_value(schemars::schema_for!(qed_evidence::Evidence)).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../recorded");
    let mut count = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        // The record of a sweep is not evidence.
        if path.extension().is_some_and(|e| e == "json") && !path.ends_with("sweep.json") {
            let document = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
            let wrong: Vec<String> = validator
                .iter_errors(&document)
                .map(|error| format!("{}: {error}", error.instance_path()))
                .collect();
            assert!(wrong.is_empty(), "{}: {wrong:?}", path.display());
            count += 1;
        }
    }
    assert!(count > 0, "nothing is recorded: run `make record`");
}

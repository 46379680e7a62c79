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

/// Check that the trees of the flagship's calls take at most 60 bytes for each function that ran, as a capture writes them, and print how
/// many they take.
#[test]
fn trees_are_small() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../recorded");
    let mut machines = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if !name.starts_with("guest-") {
            continue;
        }
        let mut evidence = qed_evidence::reader::read(&std::fs::read(&path).unwrap()).unwrap();
        let length = |evidence: &qed_evidence::Evidence| {
            qed_evidence::reader::write(evidence).unwrap().len() as u64
        };
        let with = length(&evidence);
        let mut calls = 0;
        for experiment in evidence.experiments.values_mut() {
            calls += experiment.graph.take().map_or(0, |graph| graph.runs);
        }
        let trees = with - length(&evidence);
        assert!(calls > 500, "{name}: {calls} calls");
        println!("{name}: {:.1} bytes per call", trees as f64 / calls as f64);
        assert!(
            trees <= 60 * calls,
            "{name}: {trees} bytes for {calls} calls"
        );
        machines += 1;
    }
    assert!(machines > 0, "nothing is recorded: run `make record`");
}

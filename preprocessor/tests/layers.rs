//! The layers of this crate.

use std::collections::BTreeSet;
use std::path::Path;

/// The modules of the crate, the highest layer first. A module names only modules of its own layer and of those that follow.
const LAYERS: &[&str] = &[
    "cli",
    "lsp",
    "publish",
    "mdbook",
    "render",
    "lint",
    "exhibits",
    "claims",
    "evidence",
    "templates",
    "markdown",
    "config",
    "util",
];

/// The modules that read the raw evidence of a live machine, each with what it asks for.
const RAW: &[(&str, &str)] = &[
    ("claims/verdicts.rs", ".for_judging("),
    ("cli/publish.rs", ".for_searching("),
    ("cli/redact.rs", ".for_searching("),
];

/// Check that no other module reads the raw evidence of a live machine.
#[test]
fn readers_of_raw_evidence() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let (mut found, mut folders) = (BTreeSet::new(), vec![src.clone()]);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let code = std::fs::read_to_string(&path).unwrap();
            let file = path.strip_prefix(&src).unwrap().display().to_string();
            let asked = [".for_judging(", ".for_searching("].into_iter();
            found.extend(
                asked
                    .filter(|asks| code.contains(asks))
                    .map(|asks| (file.clone(), asks)),
            );
        }
    }
    let wanted = RAW.iter().map(|(file, asks)| ((*file).to_owned(), *asks));
    assert_eq!(found, wanted.collect());
}

/// Check that no module names one of a higher layer, and that none depend on each other in a cycle.
#[test]
fn dependencies_point_down() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let problems = qed_layers::check(&src, LAYERS).unwrap();
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

/// Check that nothing here names what only some systems have: `qed_programs::platform` does so for all.
#[test]
fn portable() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let found = qed_layers::forbidden_names(&src, &["std::os", "libc", "nix"], &[]).unwrap();
    assert!(found.is_empty(), "{}", found.join("\n"));
}

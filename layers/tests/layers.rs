//! The layers of this crate, and of the fuzz targets, which are a workspace of their own.

use std::path::Path;

/// The modules of this crate, the highest layer first.
const LAYERS: &[&str] = &["test_modules", "graph", "names", "sources", "notes"];

/// The programs in `fuzz/src` with their modules. Those of `packages` are the collector's.
const FUZZ: &[(&str, &[&str])] = &[
    ("claim", &[]),
    ("evidence", &[]),
    ("fill", &["filled"]),
    ("investigation", &[]),
    ("lib", &[]),
    (
        "packages",
        &["kernel_layout", "archive", "source", "version", "arch"],
    ),
    ("path", &[]),
];

/// Check that no module of this crate names one of a higher layer, and that none depend on each other in a cycle.
#[test]
fn dependencies_point_down() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let problems = qed_layers::check(&src, LAYERS).unwrap();
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

/// Check the same of each fuzz target, and that none is left out.
#[test]
fn fuzz_targets() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/src");
    for (target, layers) in FUZZ {
        let problems =
            qed_layers::check_program(&src.join(format!("{target}.rs")), layers).unwrap();
        assert!(problems.is_empty(), "{target}:\n{}", problems.join("\n"));
    }
    for entry in std::fs::read_dir(&src).unwrap() {
        let path = entry.unwrap().path();
        let Some(name) = path.file_stem().and_then(|name| name.to_str()) else {
            continue;
        };
        let known = FUZZ
            .iter()
            .any(|(target, layers)| *target == name || layers.contains(&name));
        assert!(known, "{} is no target of the list", path.display());
    }
}

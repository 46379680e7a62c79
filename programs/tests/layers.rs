//! The layers of this crate.

use std::path::Path;

/// The modules of the crate, the highest layer first.
const LAYERS: &[&str] = &[
    "workload",
    "parts",
    "digest_cache",
    "loader",
    "source",
    "file",
    "atomic",
    "platform",
    "error",
];

/// Check that no module names one of a higher layer, and that none depend on each other in a cycle.
#[test]
fn dependencies_point_down() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let problems = qed_layers::check(&src, LAYERS).unwrap();
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

/// Check that nothing but `platform` names what only some systems have.
#[test]
fn portable() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let found =
        qed_layers::forbidden_names(&src, &["std::os", "libc", "nix"], &["platform"]).unwrap();
    assert!(found.is_empty(), "{}", found.join("\n"));
}

//! The layers of this crate.

use std::path::Path;

/// Modules at the top of the crate, the highest first.
const LAYERS: &[&str] = &[
    "claim",
    "diff",
    "redact",
    "secrets",
    "observation",
    "path_index",
    "freshness",
    "schema",
    "validate",
    "sweep",
    "lock",
    "investigation",
    "document",
    "path",
    "diagnostic",
    "constants",
    "build_id",
];

/// Check that modules only use those of layers below, and that no two modules depend on each other.
#[test]
fn modules_depend_downwards() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let problems = qed_layers::check(&src, LAYERS).unwrap();
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

/// Check that nothing here names what only some systems have.
#[test]
fn portable() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let found = qed_layers::forbidden_names(&src, &["std::os", "libc", "nix"], &[]).unwrap();
    assert!(found.is_empty(), "{}", found.join("\n"));
}

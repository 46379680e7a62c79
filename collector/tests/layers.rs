//! The layers of the collector, of its build script, of the first process of its tests' guests and of its eBPF programs. `docs/architecture.md` says what each is for.

use std::path::Path;

/// The layers of the collector, the highest first. A module names items of lower layers, or of its own.
const COLLECTOR: &[&str] = &[
    "cli", "guest", "assemble", "session", "plan", "probe", "workload", "graph", "kaslr",
    "symbols", "btf", "arch", "reason", "random",
];

/// The files of the eBPF programs, in the same order.
const PROGRAMS: &[&str] = &["life", "hit", "report", "read", "registers", "maps"];

/// The modules of the first process of the tests' guests.
const TEST_GUEST: &[&str] = &["oracle", "ordinary", "trace", "job"];

/// The modules of the build script.
const BUILD: &[&str] = &["compile", "toolchain", "own_sources", "sources"];

/// Check that the modules of the build script do so, too.
#[test]
fn build_script() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("build.rs");
    let problems = qed_layers::check_program(&root, BUILD).unwrap();
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

/// Check that modules of the collector and of its eBPF programs depend on each other only downwards, and never in a cycle.
#[test]
fn downwards_only() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for (folder, layers) in [
        ("src", COLLECTOR),
        ("../collector-ebpf/src/programs", PROGRAMS),
        ("test-guest", TEST_GUEST),
    ] {
        let problems = qed_layers::check(&root.join(folder), layers);
        let problems = problems.unwrap_or_else(|error| panic!("{folder}: {error}"));
        assert!(problems.is_empty(), "{folder}:\n{}", problems.join("\n"));
    }
}

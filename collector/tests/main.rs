//! The integration tests of this crate, in one program: to link one for each file took most of the time of a build.

mod answers;
mod arm64;
mod bad_input;
mod binutils;
mod capture;
mod copies;
mod cut;
mod discover;
mod downloads;
mod ebpf_build;
mod facts;
mod graph;
mod guest_boot;
mod instances;
#[path = "../test-guest/job.rs"]
#[allow(dead_code)] // what the guest's side needs alone
mod job;
mod kernels;
mod layers;
mod lists;
mod messages;
mod modules;
mod number_names;
mod observed;
mod oracle;
mod ordinary;
mod pahole;
mod per_cpu;
mod reader_commands;
mod reads;
mod restricted_kernels;
mod support;
mod sweep;
mod tracepoints;
mod warm;
mod way_back;
mod workload;
mod workloads;

/// Check that each file of tests is part of this program: one that is not listed above would not run.
#[test]
fn all_files_are_listed() {
    let tests = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let unlisted = qed_layers::unlisted_tests(&tests, &[]).unwrap();
    assert_eq!(unlisted, [""; 0], "list these in tests/main.rs");
}

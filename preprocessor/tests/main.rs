//! The integration tests of this crate, in one program: to link one for each file took most of the time of a build.

mod addresses;
mod bad_claims;
mod between;
mod bisect;
mod browser;
mod build;
mod cache;
mod capture;
mod cases;
mod chapter_html;
mod claims_page;
mod commands;
mod common;
mod coverage;
mod diff;
mod exhibits;
mod forged;
#[path = "common/forger.rs"]
mod forger;
mod forgery;
mod graph_exhibit;
mod grounds;
mod guest_path;
mod guide;
mod handover;
mod hostile;
mod identity;
mod layers;
mod layout_exhibit;
mod leaks;
mod lints;
mod live_output;
mod lost_event;
mod lsp;
mod mutants;
mod new_book;
mod packages;
mod publish;
mod recorded;
mod renderers;
mod reports;
mod serve;
mod since;
mod sites;
mod slides;
mod stale;
mod stale_table;
mod sweep_parts;

/// Check that each file of tests is part of this program: one that is not listed above would not run.
#[test]
fn all_files_are_listed() {
    let tests = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let unlisted = qed_layers::unlisted_tests(&tests, &["memory"]).unwrap();
    assert_eq!(unlisted, [""; 0], "list these in tests/main.rs");
}

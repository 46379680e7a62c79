//! The integration tests of this crate, in one program: to link one for each file took most of the time of a build.

mod always_true;
mod citations;
mod investigations;
mod layers;
mod monotony;
mod recorded;
mod removal;
mod statements;
mod words;

/// Check that each file of tests is part of this program: one that is not listed above would not run.
#[test]
fn all_files_are_listed() {
    let tests = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let unlisted = qed_layers::unlisted_tests(&tests, &[]).unwrap();
    assert_eq!(unlisted, [""; 0], "list these in tests/main.rs");
}

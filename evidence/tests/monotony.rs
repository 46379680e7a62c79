//! Less information never makes a claim pass: removals from recorded evidence of the flagship, and from smaller one.

use crate::removal;

use std::path::{Path, PathBuf};

use removal::{REMOVALS, Removal, Subject, attack};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Check that from the flagship's recorded evidence of Linux 6.1 nothing can be removed that makes a claim pass. One test for each kernel,
/// so that they run side by side: together they take longest of all.
#[test]
fn less_information_about_linux_6_1() {
    attack_flagship("guest-debian-6.1.json");
}

/// Check the same of Linux 6.12.
#[test]
fn less_information_about_linux_6_12() {
    attack_flagship("guest-debian-6.12.json");
}

/// Check the same of Linux 7.3.
#[test]
fn less_information_about_linux_7_3() {
    attack_flagship("guest-debian-7.3.json");
}

fn attack_flagship(name: &str) {
    let subject = Subject {
        evidence: &root().join("recorded").join(name),
        investigation: &root().join("investigations/socket.toml"),
        chapters: Some(&root().join("book")),
        spared: &[],
    };
    let trials = 36 * REMOVALS.len();
    let tried = attack(&subject, trials, 0x5eed_0011);
    println!("{name}: {tried:?}");
    assert!(tried.judged > trials / 5, "{name}: {tried:?}");
    // Every event is counted.
    tried.assert_each(3, &[Removal::Hit, Removal::Hits]);
}

/// Check the same, more often, for evidence of two experiments that was written by hand.
#[test]
fn less_information_about_two_experiments() {
    let folder = root().join("evidence/testdata");
    let subject = Subject {
        evidence: &folder.join("two-experiments.json"),
        investigation: &folder.join("two-experiments.toml"),
        chapters: None,
        // Its investigation has another digest, so that nothing holds the rows of its ledger to the hits.
        spared: &["/objects/"],
    };
    let trials = 270 * REMOVALS.len();
    let tried = attack(&subject, trials, 0x5eed_0012);
    println!("{tried:?}");
    assert!(tried.judged > trials / 5, "{tried:?}");
    // Every event is counted.
    tried.assert_each(20, &[Removal::Hit, Removal::Hits]);
}

//! Less information never makes a claim pass: removals from recorded evidence of the flagship, and from smaller one.

use crate::removal;

use std::path::{Path, PathBuf};

use removal::{REMOVALS, Removal, Subject, attack};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Check that from the flagship's recorded evidence nothing can be removed that makes a claim pass.
#[test]
fn less_information_about_the_flagship() {
    for name in [
        "guest-debian-6.1.json",
        "guest-debian-6.12.json",
        "guest-debian-7.3.json",
    ] {
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

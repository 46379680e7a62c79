//! Built pages in a real browser: `browser/tests/values.test.mjs` looks at the sites that are built here.

use crate::common;

use std::path::Path;
use std::process::Command;

use common::{Book, HOSTILE, PLACES, evidence, good, stderr, stdout};

/// Build the page of all places with a value, and put the site into `folder`.
fn site(message: &str, folder: &Path) {
    let output = "[output.html.print]\nenable = true\n";
    let book = Book::new(&[("one.md", PLACES)], "", output);
    for (machine, slide) in [("guest:test-1", 0x1e00_0000), ("guest:test-2", 0x0a20_0000)] {
        book.evidence(&evidence(machine, slide, message));
    }
    let output = book.mdbook(&["build", "--dest-dir", &folder.display().to_string()]);
    assert!(output.status.success(), "{}", stderr(&output));
    std::fs::write(folder.join("said.txt"), message).unwrap();
}

/// Check in Chromium that hostile values stay where they stand, and that every value says where it comes from: with
/// the keyboard, without JavaScript, in every theme, and never in copied text or the search index.
#[test]
fn values_in_a_browser() {
    let sites = tempfile::tempdir().unwrap();
    site("harmless", &sites.path().join("harmless"));
    for (number, message) in HOSTILE.iter().enumerate() {
        site(message, &sites.path().join(number.to_string()));
    }
    let browser = Path::new(env!("CARGO_MANIFEST_DIR")).join("../browser");
    assert!(
        browser.join("node_modules/playwright-core").exists(),
        "this test needs Chromium, node and what browser/package.json names: run `make test-tools`"
    );
    let output = Command::new("node")
        .args(["--test", "--test-reporter=spec", "tests/values.test.mjs"])
        .current_dir(&browser)
        .env("QED_FIXTURE", sites.path())
        .output()
        .expect("node runs: `make test-tools` installs it");
    good(&output);
    // A run that skipped everything would be no proof.
    assert!(stdout(&output).contains("skipped 0"), "{}", stdout(&output));
}

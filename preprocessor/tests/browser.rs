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

/// Build a page of recorded addresses, with claims of each kind, on evidence that is out of date, and put the site into `folder`.
fn marks(folder: &Path) {
    let chapter = "# Marks\n\nThe pipe is at {{qed pipe.alloc_pipe_info.return}}.\n\n\
        | object | address |\n|---|---|\n| file | {{qed pipe.fd_install.hit1.args.file}} |\n\n\
        ```qed-exhibit trace experiment=\"pipe\" form=\"records\"\n```\n\n\
        ```qed-exhibit trace experiment=\"pipe\"\n```\n\n\
        ```qed-exhibit calltree experiment=\"pipe\"\n```\n\n\
        ```qed-exhibit thread\npipe.alloc_pipe_info.return\n```\n\n\
        ```qed-exhibit table\npipe.alloc_pipe_info.return\npipe.fd_install.hit1.args.file\n```\n\n\
        ```qed-exhibit linkage title=\"One pipe\"\nfile: pipe.fd_install.hit1.args.file\n\
        pipe: pipe.alloc_pipe_info.return\nfile -> pipe: pipe.fd_install.hit1.entry.pipe\n```\n\n\
        ```qed-claim one_pipe\npipe.fd_install.hit1.entry.pipe == pipe.fd_install.hit2.entry.pipe\n```\n\n\
        ```qed-claim two_pipes\npipe.fd_install.hit1.entry.pipe != pipe.fd_install.hit2.entry.pipe\n```\n";
    let book = Book::new(&[("one.md", chapter)], "", "");
    let command = env!("CARGO_BIN_EXE_mdbook-qed");
    book.write(
        "book.toml",
        &format!(
            "[book]\ntitle = \"T\"\n[preprocessor.qed]\ncommand = \"{command}\"\nafter = [\"links\"]\n\
             investigation = \"pipe.toml\"\nmachines = [\"guest:debian-6.12\"]\non-fail = \"warn\"\nmax-age = \"2d\"\n"
        ),
    );
    book.write("pipe.toml", include_str!("../../investigations/pipe.toml"));
    book.write(
        ".qed/evidence/guest-debian-6.12.json",
        include_str!("evidence/pipe-guest-debian-6.12.json"),
    );
    let output = book.mdbook(&["build", "--dest-dir", &folder.display().to_string()]);
    assert!(output.status.success(), "{}", stderr(&output));
}

/// Check in Chromium that hostile values stay where they stand, and that every value says where it comes from: with
/// the keyboard, without JavaScript, in every theme, and never in copied text or the search index; that a page of addresses
/// breaks none of them, and that a false claim, an outdated pass and a value can be told in every theme.
#[test]
fn values_in_a_browser() {
    let sites = tempfile::tempdir().unwrap();
    site("harmless", &sites.path().join("harmless"));
    for (number, message) in HOSTILE.iter().enumerate() {
        site(message, &sites.path().join(number.to_string()));
    }
    let recorded = tempfile::tempdir().unwrap();
    marks(&recorded.path().join("marks"));
    let browser = Path::new(env!("CARGO_MANIFEST_DIR")).join("../browser");
    assert!(
        browser.join("node_modules/playwright-core").exists(),
        "this test needs Chromium, node and what browser/package.json names: run `make test-tools`"
    );
    let output = Command::new("node")
        .args(["--test", "--test-reporter=spec", "tests/values.test.mjs"])
        .current_dir(&browser)
        .env("QED_FIXTURE", sites.path())
        .env("QED_MARKS", recorded.path().join("marks"))
        .output()
        .expect("node runs: `make test-tools` installs it");
    good(&output);
    // A run that skipped everything would be no proof.
    assert!(stdout(&output).contains("skipped 0"), "{}", stdout(&output));
}

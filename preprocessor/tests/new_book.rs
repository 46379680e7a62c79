//! `init`, as a newcomer meets it: a new book builds at once, captured in a real guest.

mod common;

use std::path::Path;
use std::process::{Command, Output};

use common::{Book, mdbook, stderr, stdout};

/// Runs a program with our programs first in `PATH`.
fn run(program: &Path, arguments: &[&str], folder: &Path) -> Output {
    let ours = Path::new(env!("CARGO_BIN_EXE_mdbook-qed"))
        .parent()
        .unwrap();
    assert!(
        ours.join("qed-collector").exists(),
        "this test captures: build the collector first, `make build`"
    );
    let path = std::env::var("PATH").unwrap();
    Command::new(program)
        .args(arguments)
        .current_dir(folder)
        .env("PATH", format!("{}:{path}", ours.display()))
        .output()
        .unwrap()
}

/// Check that after `init`, and nothing else, `mdbook build` captures in a guest and builds a book whose claim passes,
/// that `check` and `verify` agree, and that a second build captures nothing.
#[test]
fn builds_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let qed = Path::new(env!("CARGO_BIN_EXE_mdbook-qed"));
    let output = run(qed, &["init", "new"], folder.path());
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(
        stdout(&output).contains("created  book/first.md"),
        "{}",
        stdout(&output)
    );

    let output = run(&mdbook(), &["build", "new"], folder.path());
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(
        stderr(&output).contains("capturing on guest:debian-6.1"),
        "{}",
        stderr(&output)
    );
    let page = std::fs::read_to_string(folder.path().join("new/site/first.html")).unwrap();
    assert!(
        page.contains("✔ PASS") && page.contains("do_pipe2"),
        "{page}"
    );
    assert!(page.contains("theme/live-"), "its style sheet: {page}");

    for arguments in [
        &["check", "new"][..],
        &["verify", "new/site", "--evidence", "new/.qed/evidence"],
    ] {
        let output = run(qed, arguments, folder.path());
        assert!(
            output.status.success(),
            "{}{}",
            stdout(&output),
            stderr(&output)
        );
    }
    let output = run(&mdbook(), &["build", "new"], folder.path());
    assert!(
        !stderr(&output).contains("capturing"),
        "{}",
        stderr(&output)
    );
}

/// Check that a book that is there keeps its files, gets what it lacks, is told what was done, and is the same after
/// a second time; and that broken settings are left alone.
#[test]
fn adds_to_a_book() {
    let book = Book::new(&[], "", "");
    book.write(
        "old/book.toml",
        "[book]\ntitle = \"Mine\"\n[build]\nbuild-dir = \"public\"",
    );
    book.write("old/src/SUMMARY.md", "# Summary\n\n- [a](a.md)\n");
    book.write("old/src/a.md", "# A\n");
    book.write("old/.gitignore", "public\n");
    let output = book.qed(&["init", "old"]);
    assert!(output.status.success(), "{}", stderr(&output));
    insta::assert_snapshot!(stdout(&output));
    insta::assert_snapshot!("settings", book.read("old/book.toml"));
    let workflow = book.read("old/.github/workflows/book.yml");
    assert!(
        workflow.contains("mdbook@0.5.4 mdbook-qed@0.1.0") && workflow.contains("verify public "),
        "{workflow}"
    );
    assert_eq!(book.read("old/.gitignore"), "public\n");
    assert!(
        !book.path("old/book").exists(),
        "its chapters are elsewhere"
    );
    let settings = book.read("old/book.toml");
    let again = book.qed(&["init", "old"]);
    assert!(
        again.status.success() && !stdout(&again).contains("created"),
        "{}",
        stdout(&again)
    );
    assert_eq!(book.read("old/book.toml"), settings);
    // It uses no value yet, so it builds without evidence.
    let output = book.mdbook(&["build", "old"]);
    assert!(
        !stderr(&output).contains("capturing"),
        "{}",
        stderr(&output)
    );

    book.write("broken/book.toml", "[book\n");
    let output = book.qed(&["init", "broken"]);
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(
        std::fs::read_dir(book.path("broken")).unwrap().count(),
        1,
        "nothing was made"
    );
}

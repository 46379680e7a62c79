//! Capturing while the book is built, with a stand-in for the collector that writes prepared evidence.

use crate::common;

use std::process::Output;

use common::{Book, evidence, mdbook, stderr};

/// A book that captures, and the folder of its collector. `status` is what the collector ends with.
fn book(output: &str, status: u8) -> Book {
    let book = Book::new(
        &[("one.md", "# One\n\n{{qed kaslr.slide}}\n")],
        "capture = \"if-stale\"",
        output,
    );
    std::fs::remove_dir_all(book.path(".qed")).unwrap();
    for (machine, slide) in [("guest:test-1", 0x1e00_0000), ("guest:test-2", 0x0a20_0000)] {
        let name = mdbook_qed::config::evidence_file_name(machine);
        let text = qed_evidence::reader::write(&evidence(machine, slide, "")).unwrap();
        book.write(&format!("prepared/{name}"), &text);
    }
    common::executable(
        &book.path("bin/qed-collector"),
        &format!(
            "#!/bin/sh\necho noise\necho \"$@\" >> calls\n[ {status} = 0 ] || {{ echo \"error: this disk is full\" >&2; exit {status}; }}\n\
             mkdir -p .qed/evidence\nwhile [ $# -gt 1 ]; do shift; done\ncp prepared/$(basename $1) $1\n"
        ),
    );
    book
}

fn build(book: &Book) -> Output {
    let path = std::env::var("PATH").unwrap();
    std::process::Command::new(mdbook())
        .arg("build")
        .current_dir(book.dir.path())
        .env("PATH", format!("{}:{path}", book.path("bin").display()))
        .output()
        .unwrap()
}

/// Check that two renderers and a second build share one capture for each machine, and that a changed investigation
/// is captured again.
#[test]
fn captures_once() {
    let book = book("[output.html]\n[output.markdown]", 0);
    let output = build(&book);
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(book.read("book/html/one.html").contains("0x1e000000"));
    assert_eq!(
        book.read("calls"),
        "capture --investigation test.toml --on guest:test-1 -o .qed/evidence/guest-test-1.json\n\
         capture --investigation test.toml --on guest:test-2 -o .qed/evidence/guest-test-2.json\n"
    );
    assert!(build(&book).status.success());
    assert_eq!(book.read("calls").lines().count(), 2);
    // A comment changes nothing that is run.
    let investigation = book.read("test.toml");
    book.write("test.toml", &format!("{investigation}\n# A comment.\n"));
    assert!(build(&book).status.success());
    assert_eq!(book.read("calls").lines().count(), 2);
    let changed = format!("{investigation}\n[guest]\nsetup = [\"true\"]\n");
    book.write("test.toml", &changed);
    build(&book);
    assert_eq!(book.read("calls").lines().count(), 4);
}

/// Check that evidence of resumed guests is captured again by a build, from booted ones, unless the book allows it; and that a book
/// which allows it has its guests resumed.
#[test]
fn resumed_guests() {
    let book = book("", 0);
    let resumed = |name: &str| {
        let file = format!(".qed/evidence/{name}");
        let mut evidence: serde_json::Value =
            serde_json::from_str(&book.read(&format!("prepared/{name}"))).unwrap();
        evidence["machine"]["resumed"] = "2026-01-02T03:00:00Z".into();
        book.write(&file, &evidence.to_string());
    };
    let names = ["guest-test-1.json", "guest-test-2.json"];
    let toml = book.read("book.toml");
    let set = |guests: &str| {
        let with = toml.replace("capture = ", &format!("guests = \"{guests}\"\ncapture = "));
        assert_ne!(with, toml);
        book.write("book.toml", &with);
    };
    names.iter().copied().for_each(resumed);
    set("warm");
    assert!(build(&book).status.success());
    assert!(!book.path("calls").exists());
    std::fs::remove_file(book.path(".qed/evidence/guest-test-2.json")).unwrap();
    assert!(build(&book).status.success());
    assert_eq!(
        book.read("calls"),
        "capture --guests warm --investigation test.toml --on guest:test-2 -o .qed/evidence/guest-test-2.json\n"
    );
    for guests in ["auto", "cold"] {
        set(guests);
        names.iter().copied().for_each(resumed);
        std::fs::remove_file(book.path("calls")).unwrap();
        let output = build(&book);
        assert!(output.status.success(), "{}", stderr(&output));
        let calls = book.read("calls");
        assert_eq!(calls.lines().count(), 2, "{calls}");
        assert!(!calls.contains("--guests"), "{calls}");
    }
}

/// Check that two builds at once capture once.
#[test]
fn two_builds_at_once() {
    let book = book("", 0);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| build(&book));
        }
    });
    assert_eq!(book.read("calls").lines().count(), 2);
}

/// Check that a capture that fails is told, not tried again and again, and falls back to recorded evidence.
#[test]
fn failed_capture_falls_back() {
    let book = book("", 3);
    let output = build(&book);
    assert!(!output.status.success());
    let printed = stderr(&output);
    assert!(
        printed.contains("ended with exit status: 3: error: this disk is full"),
        "{printed}"
    );
    let text = qed_evidence::reader::write(&evidence("guest:test-1", 0x1e00_0000, "")).unwrap();
    book.write("recorded/guest-test-1.json", &text);
    let output = build(&book);
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(
        stderr(&output).contains(
            "was not tried again: qed-collector ended with exit status: 3: error: this disk is full"
        ),
        "{}",
        stderr(&output)
    );
    assert!(book.read("book/one.html").contains("Recorded evidence"));
    assert_eq!(book.read("calls").lines().count(), 2);
    // `check` captures nothing, and knows of it as well.
    let check = || {
        let path = std::env::var("PATH").unwrap();
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_mdbook-qed"))
            .arg("check")
            .current_dir(book.dir.path())
            .env("PATH", format!("{}:{path}", book.path("bin").display()))
            .output();
        stderr(&output.unwrap())
    };
    let told = check();
    assert!(
        told.contains("the capture on guest:test-2 failed before")
            && told.contains("this disk is full"),
        "{told}"
    );
    assert_eq!(book.read("calls").lines().count(), 2);
    for machine in ["guest:test-1", "guest:test-2"] {
        book.evidence(&evidence(machine, 0x1e00_0000, ""));
    }
    let told = check();
    assert!(!told.contains("failed before"), "{told}");
}

/// Check that a capture that failed in a resumed guest is tried again where the book boots its guests.
#[test]
fn boots_after_a_resumed_failure() {
    let book = book("", 3);
    let toml = book.read("book.toml");
    let set = |guests: &str| {
        let with = toml.replace("capture = ", &format!("guests = \"{guests}\"\ncapture = "));
        book.write("book.toml", &with);
        build(&book);
        book.read("calls").lines().count()
    };
    assert_eq!((set("warm"), set("warm")), (2, 2));
    assert_eq!((set("cold"), set("cold"), set("auto")), (4, 4, 4));
}

/// Check that a capture that failed is tried again once a file was changed that it runs, or that it prepares a guest with.
#[test]
fn changed_files_are_tried_again() {
    let book = book("", 3);
    let investigation = book.read("test.toml");
    let setup = format!("[guest]\nsetup = [\"./prepare.sh\"]\n{investigation}");
    book.write("test.toml", &setup);
    common::executable(&book.path("prepare.sh"), "#!/bin/sh\nexit 1\n");
    let calls = || book.read("calls").lines().count();
    assert!(!build(&book).status.success());
    let once = calls();
    let output = build(&book);
    assert!(
        stderr(&output).contains("was not tried again"),
        "{}",
        stderr(&output)
    );
    assert_eq!(calls(), once);
    common::executable(&book.path("prepare.sh"), "#!/bin/sh\nexit 0\n");
    let output = build(&book);
    assert!(
        !stderr(&output).contains("was not tried again"),
        "{}",
        stderr(&output)
    );
    assert_eq!(calls(), 2 * once);
}

/// Check that out-of-date evidence does not hide input that the collector refuses, that the collector is asked again once the input may
/// be right, and that recorded evidence that is up to date is enough.
#[test]
fn bad_input_fails_the_build() {
    let book = book("", 2);
    for machine in ["guest:test-1", "guest:test-2"] {
        let text = qed_evidence::reader::write(&evidence(machine, 0x1e00_0000, "")).unwrap();
        let file = machine.replace(':', "-");
        book.write(&format!("recorded/{file}.json"), &text);
    }
    let output = build(&book);
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(stderr(&output).contains("ended with exit status: 2"));
    book.write("calls", "");
    let investigation = book.read("test.toml");
    let changed = format!("{investigation}\n[guest]\nsetup = [\"true\"]\n");
    book.write("test.toml", &changed);
    let output = build(&book);
    assert!(!output.status.success());
    let told = stderr(&output);
    assert!(
        told.contains(
            "the capture on guest:test-1 failed: qed-collector ended with exit status: 2"
        ),
        "{told}"
    );
    // The file that was missing is there now.
    let script = book.read("bin/qed-collector").replace("[ 2 = 0 ]", "true");
    common::executable(&book.path("bin/qed-collector"), &script);
    let output = build(&book);
    assert!(!stderr(&output).contains("not tried again"));
    assert_eq!(book.read("calls").lines().count(), 4);
}

/// Check that evidence of a capture that was incomplete is shown, with a warning that has the collector's reason, and is not captured
/// again.
#[test]
fn incomplete_capture_is_shown() {
    let book = book("", 0);
    let script = book.read("bin/qed-collector");
    let failing = format!("{script}echo 'error: a program is not there' >&2\nexit 2\n");
    common::executable(&book.path("bin/qed-collector"), &failing);
    let output = build(&book);
    let printed = stderr(&output);
    assert!(output.status.success(), "{printed}");
    assert!(
        printed.contains(
            "the capture on guest:test-1 is incomplete: qed-collector ended with exit status: 2: error: a program is not there"
        ) && !printed.contains("failed"),
        "{printed}"
    );
    assert!(book.read("book/one.html").contains("0x1e000000"));
    let again = build(&book);
    assert!(!stderr(&again).contains("incomplete"), "{}", stderr(&again));
    assert_eq!(book.read("calls").lines().count(), 2);
}

/// Check that a book whose owner did not ask for it runs nothing.
#[test]
fn never_is_the_default() {
    let book = book("", 0);
    book.write(
        "book.toml",
        &book.read("book.toml").replace("capture = \"if-stale\"", ""),
    );
    assert!(!build(&book).status.success());
    assert!(!book.path("calls").exists());
}

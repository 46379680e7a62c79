//! `bisect` on made-up evidence, with a stand-in for the collector that writes prepared evidence.

use crate::common;

use std::process::Output;

use common::{Book, evidence, stderr, stdout};

const CLAIMS: &str = "# One\n\n```qed-claim always\ncreate.outcome.errno == 0\n```\n\n\
    ```qed-claim old_text\ncreate.outcome.stdout == 'old'\n```\n\n\
    ```qed-claim until_seven holds=\"..6.12\"\ncreate.outcome.stdout == 'old'\n```\n";

/// Releases that are served, and what the workload prints there; nothing: its capture fails. The claim turned between 7.0.9 and
/// 7.0.12.
const SERVED: [(&str, Option<&str>); 9] = [
    ("6.12.118", Some("old")),
    ("7.0.4", Some("old")),
    ("7.0.7", Some("old")),
    ("7.0.9", Some("old")),
    ("7.0.10", None),
    ("7.0.12", Some("new")),
    ("7.0.13", Some("new")),
    ("7.1.3", Some("new")),
    ("7.1.13", Some("new")),
];

fn prepared(machine: &str, version: &str, printed: &str) -> String {
    let mut one = evidence(machine, 0x100_0000, printed);
    one.kernel.release = format!("{version}+deb13-cloud-amd64");
    one.kernel.package = Some(format!("linux-binary-{version} {version}-1"));
    qed_evidence::reader::write(&one).unwrap()
}

/// A book with a sweep of 6.12 and 7.1, and the folder of its collector.
fn book() -> Book {
    let book = Book::new(&[("one.md", CLAIMS)], "on-fail = \"warn\"", "");
    for (series, version, printed) in [("6.12", "6.12.118", "old"), ("7.1", "7.1.13", "new")] {
        let text = prepared(&format!("guest:debian-{series}"), version, printed);
        book.write(&format!(".qed/evidence/sweep/{series}.json"), &text);
    }
    let mut rows = Vec::new();
    for (version, printed) in SERVED {
        let machine = format!("guest:debian-{version}");
        if let Some(printed) = printed {
            let name = mdbook_qed::config::evidence_file_name(&machine);
            book.write(
                &format!("prepared/{name}"),
                &prepared(&machine, version, printed),
            );
        }
        rows.push(serde_json::json!({
            "machine": machine,
            "release": format!("{version}+deb13-cloud-amd64"),
            "package": format!("linux-binary-{version} {version}-1"),
            "cached_image_bytes": 0,
        }));
    }
    book.write("served.json", &serde_json::to_string(&rows).unwrap());
    common::executable(
        &book.path("bin/qed-collector"),
        "#!/bin/sh\nif [ $1 = kernels ]; then exec cat served.json; fi\necho \"$@\" >> calls\n\
         mkdir -p .qed/evidence/bisect\nwhile [ $# -gt 1 ]; do shift; done\ncp prepared/$(basename $1) $1 || exit 3\n",
    );
    book
}

fn bisect(book: &Book, arguments: &[&str]) -> Output {
    let path = std::env::var("PATH").unwrap();
    std::process::Command::new(env!("CARGO_BIN_EXE_mdbook-qed"))
        .arg("bisect")
        .args(arguments)
        .current_dir(book.dir.path())
        .env("PATH", format!("{}:{path}", book.path("bin").display()))
        .output()
        .unwrap()
}

/// Check that a turn is narrowed down to two releases with as few captures as it takes, that a release which cannot be captured is
/// told, and that a second search captures nothing again.
#[test]
fn narrows_down() {
    let book = book();
    let output = bisect(&book, &["old_text"]);
    let message = common::good(&output);
    for part in [
        "turned between 7.0.9 and 7.0.12: true on guest:debian-7.0.9, false on guest:debian-7.0.12",
        "  create.outcome.stdout  old                      new\n",
        "no answer from guest:debian-7.0.10: its capture ended with exit status: 3",
        "not served, so not asked: 7.0.11",
    ] {
        assert!(message.contains(part), "{part}: {message}");
    }
    let calls = book.read("calls");
    assert!(calls.lines().count() <= 4, "{calls}");
    assert!(
        calls.lines().all(|call| call.starts_with(
            "capture --boots 0 --debuginfo none --investigation test.toml --on guest:debian-7.0."
        )),
        "{calls}"
    );
    let failed = |calls: &str| calls.lines().filter(|call| call.contains("7.0.10")).count();
    common::good(&bisect(&book, &["old_text"]));
    let again = book.read("calls");
    // Only the one that failed is tried again.
    assert_eq!(
        again.lines().count(),
        calls.lines().count() + failed(&calls)
    );

    let json = bisect(&book, &["old_text", "--format", "json"]);
    let json: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    let turn = &json["turns"][0];
    assert_eq!(turn["before"]["machine"], "guest:debian-7.0.9");
    assert_eq!(turn["after"]["release"], "7.0.12+deb13-cloud-amd64");
    assert_eq!(turn["operands"][0]["after"], "new");
    assert_eq!(turn["not_had"][0]["machine"], "guest:debian-7.0.10");
}

/// Check that a claim which says when it holds is narrowed down like any other, though no kernel that is asked is inside of its
/// interval.
#[test]
fn says_when_it_holds() {
    let book = book();
    let message = common::good(&bisect(&book, &["until_seven"]));
    assert!(
        message.contains("turned between 7.0.9 and 7.0.12: true on guest:debian-7.0.9, false on guest:debian-7.0.12"),
        "{message}"
    );
}

/// Check that evidence of an earlier search that is out of date is captured anew.
#[test]
fn stale_evidence() {
    let book = book();
    common::good(&bisect(&book, &["old_text"]));
    let calls = book.read("calls").lines().count();
    let file = ".qed/evidence/bisect/guest-debian-7.0.9.json";
    let text = book.read(file);
    let digest = &text[text.find("\"investigation_digest\"").unwrap()..][25..45];
    book.write(file, &text.replace(digest, &"0".repeat(20)));
    common::good(&bisect(&book, &["old_text"]));
    assert!(book.read("calls").lines().count() > calls);
    assert_eq!(book.read(file), text);
}

/// Check that a claim without a turn needs no capture, and that a misspelt claim, a missing sweep and a missing collector are
/// errors with a remedy.
#[test]
fn nothing_to_do_and_bad_input() {
    let book = book();
    let message = common::good(&bisect(&book, &["always"]));
    assert!(
        message.contains("there is no turn to narrow down"),
        "{message}"
    );
    let misspelt = bisect(&book, &["old_test"]);
    assert_eq!(misspelt.status.code(), Some(2), "{}", stdout(&misspelt));
    assert!(stderr(&misspelt).contains("did you mean `old_text`?"));
    let missing = bisect(&book, &["old_text", "--from", "nowhere"]);
    assert_eq!(missing.status.code(), Some(2));
    assert!(stderr(&missing).contains("qed-collector sweep"));
    assert!(!book.path("calls").exists());

    book.write("served.json", "[1");
    let nonsense = bisect(&book, &["old_text"]);
    assert_eq!(nonsense.status.code(), Some(3));
    assert!(
        stderr(&nonsense).contains("list of kernels"),
        "{}",
        stderr(&nonsense)
    );
    std::fs::remove_file(book.path("served.json")).unwrap();
    let failed = bisect(&book, &["old_text"]);
    assert_eq!(failed.status.code(), Some(3));
    assert!(
        stderr(&failed).contains("qed-collector ended with"),
        "{}",
        stderr(&failed)
    );
}

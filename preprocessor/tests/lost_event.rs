//! An experiment that lost an event says nothing any more, and everybody who reads of it is told so.

use crate::common;

use common::{Book, evidence, stderr};
use qed_evidence::value::{Datum, Value};

const CHAPTER: &str = "# One\n\nfd {{qed create.outcome.returned}}\n\n\
    ```qed-claim good\ncreate.outcome.returned == 3\n```\n\n\
    ```qed-claim quiet\nnever(create.inner)\n```\n\nverdict {{qed claims.good}}\n";

/// A book of which these machines lost an event.
fn book(lost: &[&str], settings: &str) -> Book {
    let book = Book::new(&[("one.md", CHAPTER)], settings, "");
    for machine in lost {
        let mut evidence = evidence(machine, 0x1e00_0000, "said\n");
        let experiment = evidence.experiments.get_mut("create").unwrap();
        experiment.quality.lost = 1;
        book.evidence(&evidence);
    }
    book
}

/// Check that the page of an unsound experiment shows ERROR and why, and none of its values.
#[test]
fn the_page_says_why() {
    let book = book(&["guest:test-1", "guest:test-2"], "on-fail = \"warn\"");
    book.build();
    let html = book.read("book/one.html");
    let why = "experiment `create` lost 1 of 5 events";
    let claim = &html[html.find("id=\"claim-good\"").unwrap()..];
    let claim = &claim[..claim.find("id=\"claim-quiet\"").unwrap()];
    assert!(claim.contains("‼ ERROR"), "{claim}");
    let marked_up = "experiment <code>create</code> lost 1 of 5 events";
    assert!(claim.contains(marked_up), "{claim}");
    assert!(!claim.contains("✔") && !claim.contains("PASS"), "{claim}");
    let prose = &html[html.find("fd <").unwrap()..html.find("id=\"claim-good\"").unwrap()];
    assert!(prose.contains("ERROR") && prose.contains(why), "{prose}");
    assert!(!prose.contains(">3<"), "{prose}");
    let after = &html[html.find("verdict <").unwrap()..];
    assert!(
        after[..after.find("</p>").unwrap()].contains("ERROR"),
        "{after}"
    );
}

/// Check that the build fails where the book does not say otherwise, with the claim, the machine and the reason.
#[test]
fn the_build_fails() {
    let book = book(&["guest:test-1", "guest:test-2"], "");
    let output = book.mdbook(&["build"]);
    assert!(!output.status.success());
    let printed = stderr(&output);
    for wanted in [
        "claim `good` is ERROR on guest:test-1",
        "claim `quiet` is ERROR on guest:test-1",
        "lost 1 of 5 events",
        "src/one.md:6:1",
    ] {
        assert!(printed.contains(wanted), "{wanted}: {printed}");
    }
    assert!(!book.path("book/one.html").exists());
    assert_eq!(book.qed(&["check"]).status.code(), Some(1));
}

/// Check that an experiment that saw no event is told by each build and each check with what its workload did and what was attached,
/// and that nobody is sent to capture again for events that were not lost.
#[test]
fn no_event_at_all() {
    let book = Book::new(
        &[("one.md", "# One\n\n{{qed create.outcome.exit}}\n")],
        "",
        "",
    );
    for machine in ["guest:test-1", "guest:test-2"] {
        let mut silent = evidence(machine, 0x1e00_0000, "");
        let experiment = silent.experiments.get_mut("create").unwrap();
        experiment.quality.events = 0;
        experiment.outcome.returned = Datum::Value(Value::Errno {
            value: -2,
            name: "ENOENT".into(),
        });
        experiment.outcome.errno = Datum::Value(Value::Errno {
            value: 2,
            name: "ENOENT".into(),
        });
        for probe in experiment.probes.values_mut() {
            probe.hits.clear();
        }
        book.evidence(&silent);
    }
    for _ in 0..2 {
        for output in [book.mdbook(&["build"]), book.qed(&["check"])] {
            let told = stderr(&output);
            for part in [
                "guest:test-1, guest:test-2: experiment `create`: saw no event at all",
                "ENOENT",
                "Attached: `inner`, `outer`",
                "test.toml:3:",
                "no event was lost, so another capture alone changes nothing",
            ] {
                assert!(told.contains(part), "{part}: {told}");
            }
            assert!(!told.contains("capture again"), "{told}");
        }
    }
}

/// Check that where one machine lost an event, the page shows another one, and still says what the first came to.
#[test]
fn another_machine_is_shown() {
    let book = book(&["guest:test-1"], "on-fail = \"warn\"");
    book.build();
    let html = book.read("book/one.html");
    let claim = &html[html.find("id=\"claim-good\"").unwrap()..];
    let claim = &claim[..claim.find("id=\"claim-quiet\"").unwrap()];
    assert!(claim.contains("✔ PASS"), "{claim}");
    assert!(
        claim.contains("guest:test-2") && claim.contains("‼ ERROR"),
        "{claim}"
    );
    assert!(claim.contains("lost 1 of 5 events"), "{claim}");
    // Still an error of the build, if the book is strict.
    let strict = book_of_one();
    assert_eq!(strict.qed(&["check"]).status.code(), Some(1));
}

fn book_of_one() -> Book {
    book(&["guest:test-1"], "")
}

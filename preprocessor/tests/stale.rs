//! Evidence that no longer fits: each way in which it can be stale, doctored into fresh evidence, in the real book.

mod common;

use common::{Book, evidence, stderr};
use jiff::{Timestamp, ToSpan};
use mdbook_qed::store::Here;
use qed_evidence::Evidence;
use qed_evidence::value::{Datum, Value};

const CHAPTER: &str = "# One\n\nIt got {{qed create.outcome.returned}}, `{{qed create.outcome.errno}}`.\n\n\
    ```qed-claim good\ncreate.outcome.returned == 3\n```\n";

/// Evidence of this very machine, kernel and boot, captured just now.
fn fresh() -> Evidence {
    let here = Here::look();
    let mut host = evidence("host", 0x1e00_0000, "");
    host.run.time = here.time.to_string();
    host.machine.boot_id = here.boot_id.expect("Linux tells its boot's id");
    host.kernel.release = here.release.expect("Linux tells its release");
    host.kernel.build_id = Datum::Value(Value::text(
        here.build_id.expect("Linux tells its build id"),
    ));
    host
}

fn book(more: &str, evidence: &Evidence) -> Book {
    let book = Book::new(
        &[("one.md", CHAPTER)],
        // What is withheld has a banner of its own, which is looked at elsewhere.
        &format!("max-age = \"2d\"\naddresses = \"raw\"\n{more}"),
        "",
    );
    let settings = book.read("book.toml");
    let machines = "machines = [\"guest:test-1\", \"guest:test-2\"]";
    assert!(settings.contains(machines));
    book.write(
        "book.toml",
        &settings.replace(machines, "machines = [\"host\"]"),
    );
    book.evidence(evidence);
    book
}

/// Builds the book from `evidence`: the page, and the notices on it.
fn built(evidence: &Evidence) -> (String, Vec<String>) {
    let book = book("", evidence);
    book.build();
    let page = book.read("book/one.html");
    let notices = page
        .split("<div class=\"qed-notice\">")
        .skip(1)
        .map(|rest| rest.split("</div>").next().unwrap_or_default().to_owned())
        .collect();
    (page, notices)
}

/// Check that evidence of this boot shows no banner, and nothing that says otherwise.
#[test]
fn fresh_evidence() {
    let (page, notices) = built(&fresh());
    assert_eq!(notices, [] as [&str; 0]);
    assert!(
        !page.contains("out of date") && !page.contains("class=\"qed qed-stale"),
        "{page}"
    );
    let strict = book("on-stale = \"error\"", &fresh());
    strict.build();
}

/// Check that each way of being stale is named, alone, in the banner, beside the values and beside the claim, and that
/// it stops a build that does not want it.
#[test]
fn each_reason() {
    type Doctor = fn(&mut Evidence);
    let cases: [(Doctor, &str); 7] = [
        (
            |e| e.machine.boot_id = "00000000-0000-4000-8000-000000000000".into(),
            "the host was booted since the capture.",
        ),
        (
            |e| e.kernel.release = "0.0.1-other".into(),
            "the machine has another kernel now (0.0.1-other then, ",
        ),
        (
            |e| e.kernel.build_id = Datum::Value(Value::text("ff".repeat(20))),
            "the machine has another kernel now (ffffffff",
        ),
        (
            |e| e.run.investigation_digest = "11".repeat(32),
            "the investigation was changed since the capture.",
        ),
        (
            |e| e.run.collector = "0.0.0".into(),
            "another collector made it (0.0.0, now ",
        ),
        (
            |e| e.run.time = (Timestamp::now() - 73.hours()).to_string(),
            "it is 3 days old, more than 2 days.",
        ),
        (
            |e| e.run.time = (Timestamp::now() + 3.hours()).to_string(),
            "in the future.",
        ),
    ];
    for (doctor, words) in cases {
        let mut stale = fresh();
        doctor(&mut stale);
        let (page, notices) = built(&stale);
        let [notice] = &notices[..] else {
            panic!("{words}: {notices:?}");
        };
        assert!(
            notice.contains("Out of date") && notice.contains(words),
            "{words}: {notice}"
        );
        assert_eq!(notice.matches(';').count(), 0, "another reason: {notice}");
        assert_eq!(
            page.matches("class=\"qed qed-stale\"").count(),
            2,
            "{words}: {page}"
        );
        assert!(
            page.contains("· out of date</span>"),
            "beside the claim: {page}"
        );

        let strict = book("on-stale = \"error\"", &stale);
        let output = strict.mdbook(&["build"]);
        assert!(!output.status.success(), "{words}");
        let said = stderr(&output);
        assert!(
            said.contains("the evidence of host is out of date: ")
                && said.contains(words.trim_end_matches('.')),
            "{said}"
        );
        assert!(
            said.contains("capture again: qed-collector capture"),
            "{said}"
        );
        assert_eq!(strict.qed(&["check"]).status.code(), Some(2), "{words}");
    }
}

/// Check that a guest is not asked for its boot and its kernel, which are over, and a recorded host neither.
#[test]
fn other_machines_have_other_kernels() {
    let mut guest = evidence("guest:test-1", 0x1e00_0000, "");
    guest.run.time = Timestamp::now().to_string();
    let plain = Book::new(
        &[("one.md", CHAPTER)],
        "on-stale = \"error\"\nmax-age = \"2d\"",
        "",
    );
    plain.evidence(&guest);
    let mut second = evidence("guest:test-2", 0x0a20_0000, "");
    second.run.time = guest.run.time.clone();
    plain.evidence(&second);
    plain.build();
    let mut host = fresh();
    host.machine.boot_id = "00000000-0000-4000-8000-000000000000".into();
    host.kernel.release = "0.0.1-other".into();
    let recorded = book("on-stale = \"error\"", &host);
    std::fs::rename(recorded.path(".qed/evidence"), recorded.path("recorded")).unwrap();
    recorded.build();
    assert!(recorded.read("book/one.html").contains("Recorded evidence"));
}

/// Check that a renderer of plain text says it as well.
#[test]
fn text_says_it() {
    let mut stale = fresh();
    stale.run.collector = "0.0.0".into();
    let book = book("", &stale);
    let settings = book.read("book.toml");
    book.write(
        "book.toml",
        &format!("{settings}\n[output.html]\n[output.markdown]\n"),
    );
    book.build();
    let text = book.read("book/markdown/one.md");
    assert!(
        text.contains("Out of date") && text.contains("It got 3†,"),
        "{text}"
    );
}

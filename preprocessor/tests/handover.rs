//! The handover from one machine to another: redacted evidence with its verdicts, taken over whole or not at all.

use crate::common;

use common::{Book, evidence, stderr, stdout};

const CHAPTER: &str = "# One\n\n{{qed create.outer.return machine=\"host\"}}\n\n\
    ```qed-claim fd\ncreate.outcome.returned == 3\n```\n\n\
    ```qed-claim place machine=\"host\"\nmask(create.outer.return, 0xfu) == 0u || create.outer.hits == 7\n```\n";

/// The lower half of the pointer that the host must not tell.
const SECRET: &str = "881112233";

/// A book with evidence of a live machine and of two guests.
fn book() -> Book {
    let book = Book::new(&[("one.md", CHAPTER)], "", "");
    let settings = book.read("book.toml");
    book.write(
        "book.toml",
        &settings.replace("machines = [", "machines = [\"host\", "),
    );
    book.evidence(&evidence("host", 0x1122_3340, ""));
    book
}

/// A machine that captured, with what each of its rows handed over.
fn rows() -> Book {
    let book = book();
    for machine in ["host", "guest:test-1", "guest:test-2"] {
        let folder = format!("in/row-{}", machine.replace(':', "-"));
        let output = book.qed(&["redact", &folder, "--machine", machine]);
        assert!(output.status.success(), "{}", stderr(&output));
    }
    book
}

/// Check that a row hands over the evidence of its own machine alone, with nothing in it that must not be known, and
/// that the book elsewhere comes to the same verdicts.
#[test]
fn hands_over() {
    let here = rows();
    let names: Vec<String> = mdbook_qed::util::files::read(&here.path("in"))
        .unwrap()
        .into_iter()
        .map(|file| {
            let text = String::from_utf8(file.bytes).unwrap();
            assert!(!text.contains(SECRET), "{}", file.name);
            file.name
        })
        .collect();
    assert_eq!(
        names,
        [
            "row-guest-test-1/guest-test-1.json",
            "row-guest-test-1/guest-test-1.verdicts",
            "row-guest-test-2/guest-test-2.json",
            "row-guest-test-2/guest-test-2.verdicts",
            "row-host/host.json",
            "row-host/host.verdicts",
        ]
    );
    let verdicts = common::verdicts(&here);
    assert!(verdicts.contains("6 PASS"), "{verdicts}");
    let before = here.read(".qed/evidence/host.json");
    let output = here.qed(&["merge", "in"]);
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(before.contains(SECRET) && !here.read(".qed/evidence/host.json").contains(SECRET));
    assert_eq!(common::verdicts(&here), verdicts);
    here.build();
    assert!(here.qed(&["publish", "book"]).status.success());
    assert!(here.qed(&["verify", "book"]).status.success());

    for (machine, message) in [
        ("guest:test-3", "no machine `guest:test-3`"),
        ("hots", "did you mean `host`"),
    ] {
        let output = here.qed(&["redact", "out", "--machine", machine]);
        assert_eq!(output.status.code(), Some(2));
        assert!(stderr(&output).contains(message), "{}", stderr(&output));
    }
}

/// Check that a claim that is false where it was captured stops the row: nothing is written.
#[test]
fn a_false_claim_stops_the_row() {
    let book = book();
    book.write(
        "src/one.md",
        &CHAPTER.replace("== 0u || create.outer.hits == 7", "== 1u"),
    );
    for command in [&["check"][..], &["redact", "out"]] {
        assert_eq!(book.qed(command).status.code(), Some(1), "{command:?}");
    }
    assert!(!book.path("out").exists());
}

/// Check that nothing is taken over that is not what `redact` wrote, each with its reason, and that the evidence that was
/// there stays.
#[test]
fn refuses() {
    let book = rows();
    let own = book.read(".qed/evidence/host.json");
    let refused = |message: &str| {
        let output = book.qed(&["merge", "in"]);
        let reported = stderr(&output);
        assert_eq!(output.status.code(), Some(2), "{message}");
        assert!(reported.contains(message), "{message}: {reported}");
        assert!(!reported.contains(SECRET), "{reported}");
        assert_eq!(book.read(".qed/evidence/host.json"), own);
    };
    let host = "in/row-host/host.json";
    let redacted = book.read(host);
    book.write(host, &own);
    refused("is the raw evidence of a machine whose addresses must not be known");
    book.write(host, &redacted.replace("\"value\": 3\n", "\"value\": 4\n"));
    refused("host.verdicts is refused: the evidence was changed since they were reached on it");
    book.write(host, &redacted.replace("\"schema\": 1", "\"schema\": 8"));
    refused("row-host/host.json is refused");
    book.write(host, &redacted);
    let verdicts = book.read("in/row-host/host.verdicts");
    std::fs::remove_file(book.path("in/row-host/host.verdicts")).unwrap();
    refused("host.json came without its verdicts");
    book.write("in/row-host/host.verdicts", &verdicts);
    book.write("in/row-9/host.json", &redacted);
    book.write("in/row-9/host.verdicts", &verdicts);
    refused("are of `host`");
    std::fs::remove_dir_all(book.path("in/row-9")).unwrap();
    book.write("in/row-host/index.html", "<script>");
    refused("row-host/index.html belongs to no evidence");
    std::fs::remove_file(book.path("in/row-host/index.html")).unwrap();
    book.write("in/row-host/other.json", &redacted);
    refused("row-host/other.json is of `host`");
    std::fs::remove_file(book.path("in/row-host/other.json")).unwrap();
    let investigation = book.read("test.toml");
    let changed = format!("{investigation}\n[guest]\nsetup = [\"true\"]\n");
    book.write("test.toml", &changed);
    refused("is of another investigation than this book's");
    book.write("test.toml", &investigation);
    std::fs::rename(book.path("in"), book.path("elsewhere")).unwrap();
    std::fs::create_dir(book.path("in")).unwrap();
    refused("there is no evidence");
}

/// Check that a message about raw evidence that cannot be read does not tell what is in it.
#[test]
fn messages_tell_nothing() {
    let book = book();
    let whole = book.read(".qed/evidence/host.json");
    let pointer = "0xffff888111223340";
    assert!(whole.contains(pointer));
    for bad in [
        "0xffff8881112233401",
        "0xffff88811122334",
        "FFFF888111223340",
        "ffff888111223340",
        "18446612686678307648",
    ] {
        book.write(".qed/evidence/host.json", &whole.replace(pointer, bad));
        for command in [
            &["check"][..],
            &["paths"],
            &["explain", "fd"],
            &[
                "diff",
                ".qed/evidence/host.json",
                ".qed/evidence/guest-test-1.json",
            ],
            &["verify", "src", "--evidence", ".qed/evidence"],
            &["redact", "out"],
        ] {
            let output = book.qed(command);
            assert_eq!(output.status.code(), Some(2), "{bad}: {command:?}");
            let message = (stdout(&output) + &stderr(&output)).to_lowercase();
            assert!(message.contains("host.json"), "{message}");
            assert!(
                !message.contains("8881112233"),
                "{bad}: {command:?}: {message}"
            );
        }
    }
}

/// Check that a machine of the book that was not captured leaves a gap with its reason where it is named, in a value, a
/// claim and an exhibit, and no error: a row captures one machine and judges what it can.
#[test]
fn absent_machine() {
    let book = book();
    book.write(
        "src/one.md",
        &(CHAPTER.to_owned()
            + "\n```qed-exhibit table machine=\"host\"\ncreate.outcome.returned\n```\n\n```qed-exhibit calltree experiment=\"create\" machine=\"host\"\n```\n"),
    );
    std::fs::remove_file(book.path(".qed/evidence/host.json")).unwrap();
    assert!(book.qed(&["check"]).status.success());
    book.build();
    let page = book.read("book/one.html");
    let gap = "<p>UNVERIFIED on host: there is no evidence of <code>host</code> yet</p>";
    assert_eq!(page.matches(gap).count(), 2, "{page}");
    let output = book.qed(&["redact", "out", "--machine", "host"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("there is no evidence of `host` yet"));
}

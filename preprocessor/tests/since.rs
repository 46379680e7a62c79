//! `since` on made-up evidence of a sweep.

use crate::common;

use common::{Book, evidence, stderr, stdout};

const CLAIMS: &str = "# One\n\n```qed-claim always\ncreate.outcome.errno == 0\n```\n\n\
    ```qed-claim old_text holds=\"..7.0\"\ncreate.outcome.stdout == 'old'\n```\n\n\
    ```qed-claim new_text\ncreate.outcome.stdout == 'new'\n```\n";

/// A book with the evidence of four kernels beside it, not in their order.
fn swept() -> Book {
    let book = Book::new(&[("one.md", CLAIMS)], "on-fail = \"warn\"", "");
    for (series, release, printed) in [
        ("7.1", "7.1.2+deb14-amd64", "new"),
        ("6.12", "6.12.118+deb13-amd64", "old"),
        ("7.0", "7.0.13+deb13-amd64", "old"),
        ("7.2", "7.2.1+deb14-amd64", "new"),
    ] {
        let name = format!("guest:test-{series}");
        let mut one = evidence(&name, 0x100_0000, printed);
        one.kernel.release = release.into();
        let text = qed_evidence::reader::write(&one).unwrap();
        book.write(&format!(".qed/evidence/sweep/{series}.json"), &text);
    }
    book
}

/// Check that a claim that turned is told with the kernels on both sides and its operands there, oldest first.
#[test]
fn one_claim() {
    let book = swept();
    let output = book.qed(&["since", "old_text"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    insta::assert_snapshot!("one_claim", stdout(&output));
}

/// Check that all claims are told in a table, and those that turned below it.
#[test]
fn all_claims() {
    let book = swept();
    let output = book.qed(&["since"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    insta::assert_snapshot!("all_claims", stdout(&output));
    let json = book.qed(&["since", "--format", "json"]);
    let json: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(json["kernels"].as_array().unwrap().len(), 4);
    assert_eq!(json["claims"][1]["turns"][0]["after"], "7.1.2+deb14-amd64");
}

/// Check that a misspelt claim, a missing sweep and one that is out of date are errors with a remedy.
#[test]
fn bad_input() {
    let book = swept();
    let misspelt = book.qed(&["since", "old_test"]);
    assert_eq!(misspelt.status.code(), Some(2));
    assert!(stderr(&misspelt).contains("did you mean `old_text`?"));
    let misspelt = book.qed(&["since", "old_test", "--record"]);
    assert_eq!(misspelt.status.code(), Some(2));
    assert!(!book.path("recorded/sweep.json").exists(), "recorded");

    let mut other = evidence("guest:test-9.9", 0x100_0000, "new");
    other.kernel.release = "9.9.1".into();
    other.run.investigation_digest = "00".repeat(32);
    let text = qed_evidence::reader::write(&other).unwrap();
    book.write(".qed/evidence/sweep/9.9.json", &text);
    let stale = book.qed(&["since"]);
    assert_eq!(stale.status.code(), Some(2), "{}", stdout(&stale));
    assert!(stderr(&stale).contains("of guest:test-9.9 is out of date"));

    book.write(".qed/evidence/sweep/9.9.json", "{");
    let broken = book.qed(&["since"]);
    assert_eq!(broken.status.code(), Some(2));
    assert!(stderr(&broken).contains("9.9.json` is refused"));

    let missing = book.qed(&["since", "--from", "nowhere"]);
    assert_eq!(missing.status.code(), Some(2));
    assert!(stderr(&missing).contains("qed-collector sweep"));
}

/// A book with a timeline, and the record of the sweep.
fn recorded() -> Book {
    let book = swept();
    book.write(
        "src/one.md",
        &format!("{CLAIMS}\n```qed-exhibit timeline\n```\n\n```qed-exhibit timeline only=\"turned\"\nold_text\nalways\n```\n"),
    );
    let output = book.qed(&["since", "--record"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    book
}

/// Check that the exhibit shows every claim on every kernel with both sides of each turn, that a site with it verifies, and that a
/// record that was changed in the site is found.
#[test]
fn timeline() {
    let book = recorded();
    let output = book.mdbook(&["build"]);
    assert!(output.status.success(), "{}", stderr(&output));
    let page = std::fs::read_to_string(book.path("book/one.html")).unwrap();
    for part in [
        "3 claims on 4 kernels, 6.12 to 7.2; 2 of them turned.",
        "1 claims on 4 kernels, 6.12 to 7.2; 1 of them turned.",
        "true up to 7.0; false from 7.1 on",
        ">7.0.13+deb13-amd64<",
    ] {
        assert!(page.contains(part), "{part}: {page}");
    }
    let published = book.qed(&["publish", "book"]);
    assert!(published.status.success(), "{}", stdout(&published));
    let verified = book.qed(&["verify", "book"]);
    assert!(verified.status.success(), "{}", stdout(&verified));
    let file = book.path("book/qed/sweep.json");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.replace("\"old\"", "\"odd\"")).unwrap();
    let verified = book.qed(&["verify", "book"]);
    assert_eq!(verified.status.code(), Some(1));
    assert!(
        stdout(&verified).contains("one.html"),
        "{}",
        stdout(&verified)
    );
}

/// Check that a claim that was changed since the sweep is shown without an answer, and that a record of another investigation, a
/// damaged one and a missing one are errors with a remedy.
#[test]
fn stale_records() {
    let book = recorded();
    let chapter = std::fs::read_to_string(book.path("src/one.md")).unwrap();
    book.write(
        "src/one.md",
        &chapter.replace("errno == 0", "errno == 0 || create.outcome.errno == 1"),
    );
    let output = book.mdbook(&["build"]);
    assert!(output.status.success(), "{}", stderr(&output));
    let page = std::fs::read_to_string(book.path("book/one.html")).unwrap();
    assert!(page.contains("changed since the sweep"));

    let text = std::fs::read_to_string(book.path("recorded/sweep.json")).unwrap();
    let digest = &text[text.find("\"investigation\"").unwrap()..][18..28];
    for (record, message) in [
        (
            Some(text.replace(digest, "0123456789")),
            "of another investigation",
        ),
        (Some("{".to_owned()), "is refused"),
        (None, "there is no record of a sweep"),
    ] {
        match &record {
            Some(record) => book.write("recorded/sweep.json", record),
            None => std::fs::remove_file(book.path("recorded/sweep.json")).unwrap(),
        }
        let output = book.mdbook(&["build"]);
        assert!(!output.status.success());
        let said = stderr(&output);
        assert!(said.contains(message), "{said}");
        assert!(said.contains("mdbook-qed since --record"), "{said}");
    }
}

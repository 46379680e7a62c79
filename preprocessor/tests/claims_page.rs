//! The page of all claims: where its links lead in the built site.

use crate::common;

use common::{Book, evidence, stdout};

/// Check that each cell of each claim leads to where the claim stands, from any folder, for a README too, in the page
/// and in the print page.
#[test]
fn links_resolve() {
    let claim =
        |id: &str| format!("# {id}\n\n```qed-claim {id}\ncreate.outcome.returned == 3\n```\n");
    let book = Book::new(
        &[
            ("README.md", &claim("first")),
            ("deep/README.md", &claim("second")),
            ("deep/er/third.md", &claim("third")),
            ("all/claims.md", "# Claims\n\n```qed-exhibit claims\n```\n"),
        ],
        "",
        "[output.html.print]\nenable = true",
    );
    book.build();
    for (page, folder) in [("all/claims.html", "all/"), ("print.html", "")] {
        let html = book.read(&format!("book/{page}"));
        let mut seen = Vec::new();
        for rest in html.split("<a href=\"").skip(1) {
            let href = rest.split('"').next().unwrap_or_default();
            let Some((file, id)) = href.split_once('#').filter(|(_, id)| id.contains("claim-"))
            else {
                continue;
            };
            let target = if file.is_empty() {
                html.clone()
            } else {
                book.read(&format!("book/{folder}{file}"))
            };
            assert_eq!(
                target.matches(&format!("id=\"{id}\"")).count(),
                1,
                "{page}: {href}"
            );
            seen.push(href.to_owned());
        }
        // The name and one cell for each of two machines, of three claims.
        assert_eq!(seen.len(), 9, "{page}: {seen:?}");
        assert!(
            seen.iter()
                .all(|href| seen.iter().filter(|other| *other == href).count() == 3)
        );
    }
    let verified = book.qed(&["verify", "book", "--evidence", ".qed/evidence"]);
    assert!(
        !stdout(&verified).contains("claim-"),
        "{}",
        stdout(&verified)
    );
}

/// Check that a FAIL is marked as such, and a PASS on evidence that is out of date otherwise than a fresh one, wherever a verdict
/// stands: in the table of claims, in steps, beside the claim and in the verdict on the chapter.
#[test]
fn verdicts_look_different() {
    let chapter = "# One\n\n```qed-claim good machine=\"guest:test-1\"\ncreate.outcome.returned == 3\n```\n\n\
        ```qed-claim bad\ncreate.outcome.returned == 4\n```\n\n\
        ```qed-exhibit claims\n```\n\n```qed-exhibit steps machine=\"guest:test-1\"\nIt works: ; good\nIt fails: ; good, bad\n```\n\n\
        ```qed-exhibit derivation\n```\n";
    let book = Book::new(
        &[("one.md", chapter)],
        "on-fail = \"warn\"",
        "[output.html]\n[output.markdown]",
    );
    book.build();
    let page = book.read("book/html/one.html");
    let count = |page: &str, part: &str| page.matches(part).count();
    // Two machines in the table, one beside the claim, two in the step and its proof.
    assert_eq!(
        count(&page, "class=\"qed-badge qed-fail\">✘ FAIL"),
        5,
        "{page}"
    );
    assert_eq!(count(&page, "<li class=\"qed-fail\">"), 1, "{page}");
    assert_eq!(count(&page, "qed-old\""), 0, "{page}");
    assert!(!book.read("book/markdown/one.md").contains('†'));

    let mut old = evidence("guest:test-1", 0x1e00_0000, "said\n");
    old.run.investigation_digest = "11".repeat(32);
    book.evidence(&old);
    book.build();
    let page = book.read("book/html/one.html");
    assert!(
        page.contains("class=\"qed-claim qed-pass qed-old\""),
        "{page}"
    );
    // One machine in the table, one step, its proof and that of the other step.
    assert_eq!(
        count(&page, "class=\"qed-badge qed-pass qed-old\">✔ PASS"),
        4,
        "{page}"
    );
    assert_eq!(count(&page, "<li class=\"qed-pass qed-old\">"), 1, "{page}");
    assert_eq!(
        count(&page, "class=\"qed-badge qed-pass\">✔ PASS"),
        2,
        "{page}"
    );
    assert!(page.contains("qed-derivation qed-fail qed-old"), "{page}");
    let text = book.read("book/markdown/one.md");
    assert!(text.contains("✔ PASS†"), "{text}");
}

//! End to end: the real mdBook, this preprocessor, and a small book of made-up evidence.

use crate::common;

use common::{Book, evidence, stderr};

/// Check that values, claims and exhibits reach the page, with their provenance, and not the search index.
#[test]
fn builds_a_book() {
    let book = Book::new(
        &[(
            "one.md",
            "# One\n\nfd {{qed create.outcome.returned}}, slide {{qed kaslr.slide as=\"mib\"}}, `{{qed create.outer.return}}`\n\n\
             ```c\nx = {{qed create.inner.return}};\n```\n\n\
             ```qed-claim good\ncreate.outcome.returned == 3\n```\n\nverdict {{qed claims.good}}\n\n\
             ```qed-exhibit calltree experiment=\"create\"\n```\n\nshown \\{{qed x.y}}\n",
        )],
        "",
        "",
    );
    book.build();
    let html = book.read("book/one.html");
    assert!(html.contains(">3</span>, slide "), "{html}");
    assert!(html.contains(">480 MiB</span>"), "{html}");
    assert!(
        html.contains("<code>0xffff88811e000000</code></span>"),
        "{html}"
    );
    assert!(html.contains("x = -5;"), "{html}");
    assert!(html.contains("shown {{qed x.y}}"), "{html}");
    assert!(
        html.contains("id=\"claim-good\"") && html.contains("✔ PASS"),
        "{html}"
    );
    assert!(html.contains("<b>outer</b>"), "{html}");
    let index = std::fs::read_dir(book.path("book"))
        .unwrap()
        .map(|e| e.unwrap().path())
        .find(|p| {
            p.file_name()
                .unwrap()
                .to_string_lossy()
                .starts_with("searchindex")
        })
        .unwrap();
    let index = std::fs::read_to_string(index).unwrap();
    assert!(index.contains("480"), "the value can be searched");
    assert!(
        !index.contains("aria-description") && !index.contains("struct thing"),
        "provenance cannot"
    );
}

/// Check that an unknown path stops the build with file, line, column and the nearest name, all problems at once.
#[test]
fn reports_all_problems() {
    let book = Book::new(
        &[
            ("one.md", "# One\n\n{{qed create.outcom.returned}}\n"),
            ("two.md", "# Two\n\n{{#include ../part.txt}}\n"),
        ],
        "",
        "",
    );
    book.write(
        "part.txt",
        "text\n  and {{qed create.outer.exit.stat}} {{qed kaslr.slide as=mib}}\n",
    );
    let output = book.mdbook(&["build"]);
    assert!(!output.status.success());
    let printed = stderr(&output);
    let ours = &printed[printed.find("error: ").unwrap()..];
    let ours =
        &ours[..ours.find("mdbook-qed: ").unwrap() + "mdbook-qed: 3 errors, 2 warnings".len()];
    insta::assert_snapshot!(ours);
    assert!(!book.path("book/one.html").exists());
}

/// Check that a false claim stops the build and says what was measured.
#[test]
fn false_claim_stops_the_build() {
    let chapter = "# One\n\n```qed-claim bad\ncreate.outcome.returned == 4\n```\n";
    let book = Book::new(&[("one.md", chapter)], "", "");
    let output = book.mdbook(&["build"]);
    assert!(!output.status.success());
    let printed = stderr(&output);
    assert!(
        printed.contains("claim `bad` is FAIL on guest:test-1"),
        "{printed}"
    );
    assert!(printed.contains("src/one.md:4:1"), "{printed}");
    assert!(printed.contains("create.outcome.returned = 3"), "{printed}");
    let book = Book::new(&[("one.md", chapter)], "on-fail = \"warn\"", "");
    book.build();
    assert!(book.read("book/one.html").contains("✘ FAIL"));
}

/// Check that recorded evidence stands in for what was not captured, and that the page says so.
#[test]
fn recorded_evidence_is_announced() {
    let book = Book::new(&[("one.md", "# One\n\n{{qed kaslr.slide}}\n")], "", "");
    std::fs::remove_dir_all(book.path(".qed")).unwrap();
    let output = book.mdbook(&["build"]);
    assert!(
        stderr(&output)
            .contains("qed-collector capture --investigation test.toml --on guest:test-1"),
        "{}",
        stderr(&output)
    );
    let text = qed_evidence::reader::write(&evidence("guest:test-2", 0x0a20_0000, "")).unwrap();
    book.write("recorded/guest-test-2.json", &text);
    book.build();
    let html = book.read("book/one.html");
    assert!(
        html.contains("Recorded evidence: the values of guest:test-2"),
        "{html}"
    );
    assert!(html.contains("0xa200000"), "{html}");
}

/// Check that a book's own template is used, that a bad one stops the build at its line, and that a file which is
/// no template is named.
#[test]
fn own_templates() {
    let chapter = "# One\n\n```qed-exhibit table\na: create.outcome.returned\n```\n";
    let book = Book::new(&[("one.md", chapter)], "", "");
    book.write(
        "theme/qed/table.hbs",
        "<ol>\n{{#each rows}}\n<li>{{label}}\n<b>{{text}}</b></li>\n{{/each}}\n</ol>\n",
    );
    book.build();
    let html = book.read("book/one.html");
    assert!(html.contains("<li>a<b>3</b></li>"), "{html}");
    for (name, text, printed) in [
        ("table", "<p>\n{{rowz}}</p>\n", "theme/qed/table.hbs:2:"),
        ("page", "<p>{{notices</p>", "theme/qed/page.hbs:1:"),
        ("tabel", "", "did you mean `table.hbs`?"),
    ] {
        book.write(&format!("theme/qed/{name}.hbs"), text);
        let output = book.mdbook(&["build"]);
        assert!(!output.status.success(), "{name}");
        assert!(stderr(&output).contains(printed), "{}", stderr(&output));
        assert!(!stderr(&output).contains("panicked"), "{}", stderr(&output));
        std::fs::remove_file(book.path(&format!("theme/qed/{name}.hbs"))).unwrap();
    }
    book.write(
        "theme/qed/value.hbs",
        "<mark data-qed=\"{{path}}\" data-qed-on=\"{{machine}}\">{{text}}</mark>",
    );
    book.write(
        "src/one.md",
        "# One\n\n{{qed create.outcome.returned}} `x {{qed create.outcome.returned}}`\n",
    );
    book.build();
    let html = book.read("book/one.html");
    assert!(
        html.contains("returned\" data-qed-on=\"guest:test-1\">3</mark> <mark"),
        "{html}"
    );
    assert!(html.contains("><code>x 3</code></mark>"), "{html}");
    // Another theme folder is another place for templates.
    let book = Book::new(
        &[("one.md", chapter)],
        "",
        "[output.html]\ntheme = \"looks\"",
    );
    book.write("looks/qed/table.hbs", "<b>mine</b>\n");
    book.build();
    assert!(book.read("book/one.html").contains("<b>mine</b>"));
}

/// Check that a value is found again by `verify` wherever it may stand alone: in a link, a comment, an attribute, a
/// formula, and where emphasis leaves no room for markup.
#[test]
fn verified_wherever_it_stands() {
    for place in [
        "[a](http://b/{{qed create.outcome.stdout}})",
        "<a href=\"x?{{qed create.outcome.stdout}}\">a</a>",
        "<!-- {{qed create.outcome.stdout}} -->",
        "<b title='{{qed create.outcome.stdout}}'>a</b>",
        "a \\\\( {{qed create.outcome.stdout}} \\\\) b",
        "the **{{qed create.outcome.stdout}}**th",
        "a <svg><text>{{qed create.outcome.stdout}}</text></svg>",
        "![{{qed create.outcome.stdout}}](a.png)",
        "```text\n{{qed create.outcome.stdout}}\n```",
    ] {
        let text = format!("# One\n\n{place}\n");
        let book = Book::new(
            &[("one.md", &text)],
            "",
            "[output.html]\nmathjax-support = true",
        );
        for machine in ["guest:test-1", "guest:test-2"] {
            book.evidence(&evidence(machine, 0x20_0000, "f.c: 12_3 & {{qed x}}"));
        }
        book.build();
        let page = book.read("book/one.html");
        assert!(page.contains("class=\"qed-row\" data-qed="), "{page}");
        let output = book.qed(&["verify", "book", "--evidence", ".qed/evidence"]);
        assert!(
            output.status.success(),
            "{place}: {}",
            common::stdout(&output)
        );
    }
}

/// Check that a build says what its claims came to, once, and warns of what is almost a placeholder.
#[test]
fn summary_and_misspelt_placeholders() {
    let book = Book::new(
        &[(
            "one.md",
            "# One\n\n{{ qed kaslr.slide }} {{QED kaslr.slide}} {{qed: kaslr.slide}} \\{{ qed shown }}\n\n\
             ```qed-claim good\ncreate.outcome.returned == 3\n```\n",
        )],
        "",
        "[output.html]\n[output.markdown]\n",
    );
    let output = book.mdbook(&["build"]);
    let printed = stderr(&output);
    assert!(output.status.success(), "{printed}");
    assert_eq!(
        printed.matches("1 claim on 2 machines: 2 PASS").count(),
        1,
        "{printed}"
    );
    assert_eq!(
        printed
            .matches("this is not a placeholder, and is published as it is")
            .count(),
        3,
        "{printed}"
    );
}

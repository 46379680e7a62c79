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

/// Check that a claim which names a machine of the book without evidence is UNVERIFIED there, as values and exhibits are, wherever its
/// verdict stands, and not what another machine says of it; and that the site says the same to who verifies it.
#[test]
fn absent_machine_of_a_claim() {
    let claim = |id: &str, options: &str| {
        format!("```qed-claim {id} {options}\ncreate.outcome.returned == 3\n```\n\n")
    };
    let named = "machine=\"guest:test-2\"";
    let pinned = claim("pinned", named);
    let chapter = format!(
        "# One\n\n{pinned}{}Of it: {{{{qed claims.pinned}}}} {{{{qed claims.pinned {named}}}}} {{{{qed claims.free {named}}}}} \
         {{{{qed create.outcome.returned {named}}}}}\n\n```qed-exhibit claims\n```\n\n```qed-exhibit steps\nIt works: ; pinned\n```\n\n\
         ```qed-exhibit derivation\n```\n",
        claim("free", "")
    );
    let book = Book::new(&[("one.md", &chapter)], "", "");
    std::fs::remove_file(book.path(".qed/evidence/guest-test-2.json")).unwrap();
    let why = "there is no evidence of `guest:test-2` yet";

    let table = common::good(&book.qed(&["check"]));
    let row = table.lines().find(|line| line.starts_with("pinned"));
    assert!(
        row.is_some_and(|row| row.contains("PASS ") && row.contains("UNVERIFIED *")),
        "{table}"
    );
    assert!(table.contains("2 PASS, 1 UNVERIFIED"), "{table}");
    let document: serde_json::Value =
        serde_json::from_str(&common::good(&book.qed(&["check", "--format", "json"]))).unwrap();
    let verdicts = document["claims"][0]["verdicts"].as_array().unwrap();
    let shown: Vec<&serde_json::Value> = verdicts
        .iter()
        .filter(|verdict| verdict["shown"] == true)
        .collect();
    assert_eq!(shown.len(), 1, "{verdicts:?}");
    assert_eq!(shown[0]["verdict"], "UNVERIFIED");
    assert_eq!(shown[0]["machine"], "guest:test-2");
    let explained = common::good(&book.qed(&["explain", "pinned"]));
    assert!(
        explained.contains("? UNVERIFIED on guest:test-2, shown in the chapter")
            && explained.contains(why),
        "{explained}"
    );

    book.build();
    let page = book.read("book/one.html");
    let block = &page[page.find("id=\"claim-pinned\"").unwrap()..];
    let (block, rest) = block.split_once("</div>").unwrap();
    assert!(
        block.contains("? UNVERIFIED</span> <b>pinned</b>")
            && block.contains("guest:test-2")
            && block.contains("there is no evidence of")
            && block.contains("✔ PASS</span> on guest:test-1"),
        "{block}"
    );
    let prose = &rest[rest.find("Of it: ").unwrap()..];
    let prose = &prose[..prose.find("</p>").unwrap()];
    assert_eq!(prose.matches(">UNVERIFIED").count(), 4, "{prose}");
    assert!(!prose.contains("PASS"), "{prose}");
    assert!(page.contains("1 PASS, 1 UNVERIFIED"), "{page}");
    assert!(page.contains("1 of 2 claims passed, 1 could not be shown"));
    common::good(&book.qed(&["publish", "book"]));
    common::good(&book.qed(&["verify", "book"]));
    // A verdict there that says more is found.
    let forged = page.replacen(
        "? UNVERIFIED</span> <b>pinned",
        "✔ PASS</span> <b>pinned",
        1,
    );
    assert_ne!(forged, page);
    book.write("book/one.html", &forged);
    let output = book.qed(&["verify", "book"]);
    assert!(
        stdout(&output).contains("claim `pinned` is shown as PASS"),
        "{}",
        stdout(&output)
    );

    // The author asks for an error.
    let demanded = chapter.replace(
        &pinned,
        &claim("pinned", &format!("{named} unverified=\"error\"")),
    );
    book.write("src/one.md", &demanded);
    let output = book.qed(&["check"]);
    assert!(!output.status.success());
    let told = format!("claim `pinned` is UNVERIFIED: {why}");
    assert!(
        common::stderr(&output).contains(&told),
        "{}",
        common::stderr(&output)
    );
    // A claim that nobody makes stays a mistake.
    book.write(
        "src/one.md",
        &chapter.replace("claims.free ", "claims.fre "),
    );
    let output = book.qed(&["check"]);
    assert!(common::stderr(&output).contains("no chapter makes a claim `fre`"));
}

/// Check that machines of two architectures stand in two groups on the pages of claims and of machines, in the book's order, also where
/// evidence is from before it said its architecture; and that a book of one architecture has no groups.
#[test]
fn architectures_stand_apart() {
    let chapter = "# One\n\n```qed-claim good\ncreate.outcome.returned == 3\n```\n\n```qed-claim where\n\
        kernel.arch == 'aarch64'\n```\n\n```qed-exhibit claims\n```\n\n```qed-exhibit machines\n```\n";
    let book = Book::new(
        &[("one.md", chapter)],
        "on-fail = \"warn\"",
        "[output.html]\n[output.markdown]",
    );
    let toml = book.read("book.toml").replace(
        "\"guest:test-2\"",
        "\"guest:test-2\", \"guest:test-3\", \"guest:test-4\"",
    );
    book.write("book.toml", &toml);
    book.build();
    let page = book.read("book/html/one.html");
    assert!(!page.contains(" scope=\"colgroup\""), "{page}");
    assert!(!page.contains(" data-arch=\""), "{page}");
    assert!(!page.contains("<p class=\"qed-group\""), "{page}");

    let of = |machine: &str, arch: Option<&str>| {
        let mut evidence = evidence(machine, 0x1e00_0000, "said\n");
        evidence.kernel.arch = arch.map(str::to_owned);
        book.evidence(&evidence);
    };
    of("guest:test-1", None);
    of("guest:test-2", Some("aarch64"));
    of("guest:test-3", Some("x86_64"));
    book.build();
    let page = book.read("book/html/one.html");
    let head = "<tr><td></td><th colspan=\"2\" scope=\"colgroup\">x86-64</th><th colspan=\"1\" scope=\"colgroup\">arm64</th><td></td></tr>\n\
        <tr><th>claim</th><th>guest:test-1</th><th>guest:test-3</th><th>guest:test-2</th><th>reason</th></tr>";
    assert!(page.contains(head), "{page}");
    // The verdicts stand in the columns of their machines: only the last one's kernel is for arm64.
    let text = book.read("book/markdown/one.md");
    assert!(
        text.contains(
            "where (one.md)  [x86-64] guest:test-1: ? UNVERIFIED  guest:test-3: ✘ FAIL  [arm64] guest:test-2: ✔ PASS"
        ),
        "{text}"
    );
    let cells: Vec<&str> = page.split("data-label=\"guest:test-").skip(1).collect();
    let cell = |number: usize, start: &str, word: &str| {
        assert!(cells[number].starts_with(start), "{}", cells[number]);
        let (cell, _) = cells[number].split_once("</td>").unwrap();
        assert!(cell.contains(word), "{cell}");
    };
    cell(3, "1\" data-arch=\"x86-64\">", "UNVERIFIED");
    cell(4, "3\">", "FAIL");
    cell(5, "2\" data-arch=\"arm64\">", "PASS");
    let places = [
        "<p class=\"qed-group\">x86-64</p>",
        "<th colspan=\"2\">guest:test-1</th>",
        "<th colspan=\"2\">guest:test-3</th>",
        "<p class=\"qed-group\">arm64</p>",
        "<th colspan=\"2\">guest:test-2</th>",
        "<p class=\"qed-group\">no evidence</p>",
        "<th colspan=\"2\">guest:test-4</th>",
    ]
    .map(|part| page.find(part).unwrap_or_else(|| panic!("{part}: {page}")));
    assert!(places.is_sorted(), "{places:?}");
}

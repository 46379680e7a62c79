//! Mistakes in claims and in evidence: a message with the place and the remedy, and
//! all of a book in one run.

use crate::common;

use common::{Book, evidence, executable, stderr, stdout};

/// A chapter of claims, each with its expression.
fn chapter(claims: &[(&str, &str)]) -> String {
    let blocks = claims
        .iter()
        .map(|(info, expression)| format!("```qed-claim {info}\n{expression}\n```\n\n"));
    format!("# Claims\n\n{}", blocks.collect::<String>())
}

/// The messages of a run, without the colours and the frame of the terminal.
fn check_book(book: &Book) -> (Option<i32>, String) {
    let output = book.qed(&["check"]);
    (output.status.code(), stderr(&output))
}

/// Check that every malformed claim of every chapter is told in one run, each at its place and with what to do.
#[test]
fn malformed_claims() {
    let deep = format!("{}kaslr.agree{}", "(".repeat(60), ")".repeat(60));
    let long = vec!["create.outcome.returned == 3"; 200].join(" && ");
    let book = Book::new(
        &[
            (
                "forms.md",
                &chapter(&[
                    ("", "create.outcome.returned == 3"),
                    ("Upper", "create.outcome.returned == 3"),
                    ("two words", "create.outcome.returned == 3"),
                    ("option colour=\"red\"", "create.outcome.returned == 3"),
                    ("unquoted when=true", "create.outcome.returned == 3"),
                    ("nothing", ""),
                    ("unclosed", "create.outcome.returned == 'x"),
                    ("too_early", "create.outcome.returned =="),
                    ("single_equals", "create.outcome.returned = 3"),
                    ("bits", "create.outer.return & 7u == 0u"),
                    ("number", "create.outcome.returned == 99999999999999999999"),
                    ("keyword", "loop.x == 1"),
                    ("deep", &deep),
                    ("long", &long),
                    ("blind", "1 + 1 == 2"),
                    (
                        "bad_when when=\"create.outcome.returned ==\"",
                        "create.outcome.returned == 3",
                    ),
                ]),
            ),
            (
                "meaning.md",
                &chapter(&[
                    ("good", "create.outcome.returned == 3"),
                    ("good", "create.outcome.errno == 0"),
                    ("unknown_path", "create.outcom.returned == 3"),
                    ("unknown_function", "alligned(create.outer.return, 8)"),
                    ("unknown_constant", "create.outcome.errno == EMFIEL"),
                    (
                        "unknown_machine machine=\"guest:none\"",
                        "create.outcome.errno == 0",
                    ),
                    ("arguments", "aligned(create.outer.return)"),
                    ("refused", "has(create.outcome.returned)"),
                    ("floating", "create.outcome.returned == 3.0"),
                    ("kinds", "create.outer.return != create.outcome.returned"),
                    ("not_boolean", "create.outcome.returned + 1"),
                    ("division", "create.outcome.returned / 0 == 1"),
                    (
                        "overflow",
                        "create.outcome.returned * 9223372036854775807 > 0",
                    ),
                    ("idle", "create.outcome.returned == create.outcome.returned"),
                ]),
            ),
        ],
        "",
        "",
    );
    let (status, printed) = check_book(&book);
    assert_eq!(status, Some(1), "{printed}");
    insta::assert_snapshot!(printed);
}

/// Check that claims which a preprocessor ahead of this one escaped for HTML get the advice to change the order, at their place; and that
/// the book builds once this one runs first.
#[test]
fn escaped_by_another_preprocessor() {
    let python = std::process::Command::new("python3")
        .arg("--version")
        .output();
    if python.is_err() {
        common::note_skipped("the other preprocessor is written in Python, which is not here");
        return;
    }
    let claims = chapter(&[
        (
            "both",
            "create.outcome.returned < 9 && create.outcome.errno == 0",
        ),
        ("text", "create.outcome.stdout == \"said\\n\""),
        (
            "condition when=\"create.outcome.returned > 2\"",
            "create.outcome.errno == 0",
        ),
    ]);
    let book = Book::new(&[("one.md", &claims)], "", "");
    let escape = executable(
        &book.path("bin/escape"),
        "#!/bin/sh\nif [ \"$1\" = supports ]; then exit 0; fi\nexec python3 -c '\nimport html, json, sys\n\
         context, book = json.load(sys.stdin)\n\
         for item in book.get(\"items\", book.get(\"sections\")):\n    lines = item[\"Chapter\"][\"content\"].split(\"\\n\")\n    \
         lines = [line if line.startswith(\"```\") else html.escape(line) for line in lines]\n    \
         item[\"Chapter\"][\"content\"] = \"\\n\".join(lines)\nprint(json.dumps(book))\n'\n",
    );
    let toml = book.read("book.toml");
    let ordered = |order: &str| {
        let ours = toml.replace(
            "after = [\"links\"]",
            &format!("after = [\"links\"]\n{order}"),
        );
        let other = format!(
            "[preprocessor.escape]\ncommand = \"{}\"\n",
            escape.display()
        );
        book.write("book.toml", &format!("{ours}{other}"));
    };
    ordered("");
    let output = book.mdbook(&["build"]);
    assert!(!output.status.success());
    let printed = stderr(&output);
    for reported in [
        "write `<` instead of `&lt;`",
        "write `\"` instead of `&quot;`",
        "`before = [\"ITS-NAME\"]` under [preprocessor.qed] in book.toml",
        "one.md:4",
        "one.md:8",
    ] {
        assert!(printed.contains(reported), "{reported}: {printed}");
    }
    assert!(!printed.contains("token recognition"), "{printed}");
    ordered("before = [\"escape\"]");
    book.build();
}

/// Check that a chapter that is not UTF-8 is named.
#[test]
fn chapter_that_is_no_text() {
    let book = Book::new(&[("one.md", "")], "", "");
    std::fs::write(book.path("src/one.md"), b"# One\n\n\xff\xfe\n").unwrap();
    let (status, printed) = check_book(&book);
    assert_eq!(status, Some(2), "{printed}");
    assert!(
        printed.contains("one.md") && printed.to_lowercase().contains("utf-8"),
        "{printed}"
    );
}

/// Check that evidence which cannot be believed is refused with its file, the place in it, the reason and what to do,
/// for all machines at once; and that nothing is judged.
#[test]
fn refused_evidence() {
    let text = qed_evidence::reader::write(&evidence("guest:test-1", 1, "said\n")).unwrap();
    let changed = |from: &str, to: &str| {
        assert!(text.contains(from), "{from}");
        text.replacen(from, to, 1).into_bytes()
    };
    let cases: Vec<(&str, Vec<u8>, &str)> = vec![
        (
            "cut short",
            text.as_bytes()[..text.len() / 2].to_vec(),
            "EOF",
        ),
        ("not UTF-8", b"{\"schema\": \"\xff\"}".to_vec(), "not UTF-8"),
        ("not JSON", b"hello".to_vec(), "expected"),
        ("empty", Vec::new(), "EOF"),
        (
            "nested",
            "[".repeat(200_000).into_bytes(),
            "invalid type: sequence",
        ),
        (
            "nested deeply",
            changed(
                "\"machine\":",
                &format!("\"machine\": {{\"name\": {}", "[".repeat(200_000)),
            ),
            "/machine/name",
        ),
        (
            "other version",
            changed("\"schema\": 1", "\"schema\": 99"),
            "schema version 99",
        ),
        (
            "negative fd",
            changed("\"value\": 3", "\"value\": -3"),
            "cannot be -3",
        ),
        (
            "unknown field",
            changed("\"cpus\": 1", "\"cpus\": 1, \"user\": \"me\""),
            "/machine/user",
        ),
        (
            "contradiction",
            changed("\"name\": \"SS_ON\"", "\"name\": \"SS_OFF\""),
            "`SS_OFF` of state is 0 in this document, not 1",
        ),
    ];
    let book = Book::new(
        &[(
            "one.md",
            "# One\n\n```qed-claim good\ncreate.outcome.returned == 3\n```\n",
        )],
        "",
        "",
    );
    for (what, bytes, reason) in cases {
        let file = book.path(".qed/evidence/guest-test-1.json");
        std::fs::write(&file, bytes).unwrap();
        let output = book.qed(&["check"]);
        let printed = stderr(&output);
        assert_eq!(output.status.code(), Some(2), "{what}: {printed}");
        assert!(printed.contains(reason), "{what}: {printed}");
        assert!(
            printed.contains(".qed/evidence/guest-test-1.json"),
            "{what}: {printed}"
        );
        assert!(
            printed.contains("capture again: qed-collector"),
            "{what}: {printed}"
        );
        assert!(
            !stdout(&output).contains("PASS"),
            "{what}: {}",
            stdout(&output)
        );
        assert!(!book.mdbook(&["build"]).status.success(), "{what}");
    }
}

//! The things that mdBook does around a build: several renderers, `mdbook test`, a failed build, a missing page, two at once.

use crate::common;

use common::{Book, executable, mdbook, stderr};

const CHAPTER: &str = "# One\n\nfd {{qed create.outcome.returned}}, `{{qed create.outer.return}}`\n\n\
    | a |\n|---|\n| {{qed create.outcome.stdout}} |\n\n\
    ```qed-claim good\ncreate.outcome.returned == 3\n```\n\n```qed-exhibit table\ncreate.outcome.returned\n```\n";

/// Check that a renderer that nobody knows gets plain Markdown: values without markup, claims and exhibits as text,
/// and where it all comes from.
#[test]
fn any_renderer_gets_text() {
    let book = Book::new(&[("one.md", CHAPTER)], "", "");
    let program = executable(&book.path("bin/tiny"), "#!/bin/sh\ncat > context.json\n");
    let settings = book.read("book.toml");
    book.write(
        "book.toml",
        &format!(
            "{settings}\n[output.html]\n[output.tiny]\ncommand = \"{}\"\n",
            program.display()
        ),
    );
    book.build();
    let context: serde_json::Value =
        serde_json::from_str(&book.read("book/tiny/context.json")).unwrap();
    let text = context["book"]["items"][0]["Chapter"]["content"]
        .as_str()
        .unwrap();
    assert!(text.contains("fd 3, `0xffff88811e000000`\n"), "{text}");
    assert!(text.contains("| said |"), "{text}");
    assert!(
        text.contains("> Measured on guest:test\\-1")
            || text.contains("> Measured on guest:test-1"),
        "{text}"
    );
    assert!(text.contains("claim good: ✔ PASS"), "{text}");
    assert!(!text.contains('<') && !text.contains("qed"), "{text}");
    assert!(book.read("book/html/one.html").contains(">3</span>"));
}

/// Check that `mdbook test` compiles and runs examples with the measured values in them.
#[test]
fn examples_are_tested_with_the_values() {
    let example = |expected: u32| {
        format!(
            "# One\n\n```rust\nassert_eq!({{{{qed create.outcome.returned}}}}, {expected});\n```\n"
        )
    };
    let book = Book::new(&[("one.md", &example(3))], "", "");
    let output = book.mdbook(&["test"]);
    assert!(output.status.success(), "{}", stderr(&output));
    book.write("src/one.md", &example(4));
    let output = book.mdbook(&["test"]);
    assert!(!output.status.success());
}

/// Check that a build that fails, by a false claim or an unknown path, says so, ends with an error and leaves the
/// site as it was.
#[test]
fn a_failed_build_keeps_the_old_site() {
    let book = Book::new(&[("one.md", CHAPTER)], "", "");
    book.build();
    let before = book.read("book/one.html");
    for (from, to, printed) in [
        (
            "returned == 3",
            "returned == 4",
            "claim `good` is FAIL on guest:test-1",
        ),
        (
            "{{qed create.outcome.returned}}",
            "{{qed create.outcome.nonsense}}",
            "unknown path",
        ),
    ] {
        book.write("src/one.md", &CHAPTER.replace(from, to));
        let output = book.mdbook(&["build"]);
        assert_eq!(output.status.code(), Some(101), "{}", stderr(&output));
        assert!(stderr(&output).contains(printed), "{}", stderr(&output));
        assert_eq!(book.read("book/one.html"), before);
    }
}

/// Check that what mdBook shows to no preprocessor, the names of chapters and the page for missing pages, may hold
/// no placeholder: it would be published as it is.
#[test]
fn find_unreachable() {
    let book = Book::new(&[("one.md", CHAPTER)], "", "");
    book.write("src/404.md", "# Nothing here\n\n{{qed kaslr.slide}}\n");
    let summary = book.read("src/SUMMARY.md");
    book.write(
        "src/SUMMARY.md",
        &summary.replace("[one]", "[one {{qed kaslr.slide}}]"),
    );
    let output = book.mdbook(&["build"]);
    assert!(!output.status.success());
    let printed = stderr(&output);
    assert!(
        printed.contains("src/404.md:3:1") && printed.contains("src/SUMMARY.md:3:8"),
        "{printed}"
    );
    book.write("src/404.md", "# Nothing here\n");
    book.write("src/SUMMARY.md", &summary);
    book.build();
    assert!(book.read("book/404.html").contains("Nothing here"));
}

/// Check that two builds of one book at the same time both come out right.
#[test]
fn two_at_once() {
    let book = Book::new(&[("one.md", CHAPTER)], "", "");
    book.build();
    let expected = book.read("book/one.html");
    std::thread::scope(|scope| {
        for number in 0..2 {
            let folder = book.path(&format!("site-{number}"));
            let root = book.dir.path();
            scope.spawn(move || {
                let mut build = std::process::Command::new(mdbook());
                let build = build.arg("build").arg(root).arg("--dest-dir").arg(&folder);
                let output = build.output().unwrap();
                assert!(output.status.success(), "{}", stderr(&output));
            });
        }
    });
    for number in 0..2 {
        assert_eq!(book.read(&format!("site-{number}/one.html")), expected);
    }
}

/// Check that a book with several outputs says each warning once per build, and again in the next build; and that an
/// error is said as ever.
#[test]
fn warnings_once_per_build() {
    let chapter = format!("{CHAPTER}\nThe socket is at 0xffff888100001000.\n");
    let book = Book::new(
        &[("one.md", &chapter)],
        "",
        "[output.html]\n[output.markdown]\n",
    );
    let warned = |printed: &str| printed.matches("src/one.md:17:18").count();
    for _ in 0..2 {
        let output = book.mdbook(&["build"]);
        let printed = stderr(&output);
        assert!(output.status.success(), "{printed}");
        assert_eq!(warned(&printed), 1, "{printed}");
        assert_eq!(
            printed.matches("mdbook-qed: 0 errors").count(),
            1,
            "{printed}"
        );
    }
    // `mdbook test` is a run of its own.
    let printed = stderr(&book.mdbook(&["test"]));
    assert_eq!(warned(&printed), 1, "{printed}");

    book.write("src/one.md", &chapter.replace("== 3", "== 4"));
    let printed = stderr(&book.mdbook(&["build"]));
    assert!(printed.contains("claim `good` is FAIL"), "{printed}");
    assert_eq!(warned(&printed), 1, "{printed}");

    // Where nothing can be remembered, nothing is lost.
    book.write("src/one.md", &chapter);
    std::fs::remove_dir_all(book.path(".qed/state")).unwrap();
    book.write(".qed/state", "");
    let printed = stderr(&book.mdbook(&["build"]));
    assert_eq!(warned(&printed), 2, "{printed}");
}

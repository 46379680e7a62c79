//! Sites of every shape are published and verified: in folders, of several renderers and languages, with what a checkout has
//! beside them; and one that is not what its book makes is not published.

use crate::common;

use std::path::Path;
use std::process::Command;

use common::{Book, evidence, good, stderr, stdout};

const CHAPTER: &str = "# One\n\nfd {{qed create.outcome.returned}}\n\n```qed-claim good\ncreate.outcome.returned == 3\n```\n";

/// A book of two chapters; `output` goes to the end of book.toml.
fn book(output: &str) -> Book {
    Book::new(
        &[("one.md", CHAPTER), ("deep/two.md", "# Two\n\ntext\n")],
        "",
        output,
    )
}

#[track_caller]
fn wrong(book: &Book, site: &str, line: &str) {
    let output = book.qed(&["verify", site]);
    let printed = stdout(&output);
    assert_eq!(output.status.code(), Some(1), "{printed}");
    assert!(
        printed.lines().any(|l| l.starts_with(line)),
        "no `{line}` in {printed}"
    );
}

/// Change a file of a site.
fn edit(book: &Book, file: &str, from: &str, to: &str) {
    let text = book.read(file);
    assert!(text.contains(from), "{file} has no `{from}`");
    book.write(file, &text.replacen(from, to, 1));
}

/// Check that the pages are found in the folder of their renderer, whether the whole output is published or that folder
/// alone, and that what other renderers wrote is named as not covered.
#[test]
fn several_renderers() {
    for site in ["book", "book/html"] {
        let book = book("[output.html]\n[output.markdown]\n");
        book.build();
        let printed = good(&book.qed(&["publish", site]));
        assert_eq!(
            printed.contains("markdown/one.md"),
            site == "book",
            "{printed}"
        );
        let printed = good(&book.qed(&["verify", site]));
        assert!(printed.contains(" 0 in what was filled in"), "{printed}");
        edit(
            &book,
            "book/html/one.html",
            "returned == 3</pre>",
            "returned != 3</pre>",
        );
        let prefix = if site == "book" { "html/" } else { "" };
        wrong(&book, site, &format!("{prefix}one.html:"));
    }
}

/// Check that a book in a folder of a larger site is verified there, that the pages around it may say anything but what looks
/// measured, and that what a checkout of the site has beside it is left alone.
#[test]
fn in_a_folder() {
    let book = book("[output.html]\nsite-url = \"/docs/\"\ncname = \"example.org\"\n");
    good(&book.mdbook(&["build", "--dest-dir", "public/docs"]));
    book.write("public/index.html", "<p class=\"x\">Welcome</p>");
    good(&book.qed(&["publish", "public"]));
    book.write("public/.git/HEAD", "ref: refs/heads/pages\n");
    let printed = good(&book.qed(&["verify", "public"]));
    assert!(
        printed.contains("1 file in .git") && printed.contains("index.html"),
        "{printed}"
    );
    // The domain comes with the branch that is served; anything else in its file does not.
    book.write("public/CNAME", "example.org\n");
    let printed = good(&book.qed(&["verify", "public"]));
    assert!(
        printed.contains("CNAME says that the site is example.org"),
        "{printed}"
    );
    book.write("public/CNAME", "example.org\n<p>PASS</p>\n");
    wrong(&book, "public", "CNAME: the manifest has no such file");
    std::fs::remove_file(book.path("public/CNAME")).unwrap();
    edit(&book, "public/docs/one.html", ">3</span>", ">4</span>");
    wrong(&book, "public", "docs/one.html:");
    edit(&book, "public/docs/one.html", ">4</span>", ">3</span>");
    book.write("public/index.html", "<p class='qed-badge'>PASS</p>");
    wrong(
        &book,
        "public",
        "index.html:1: the block `qed-badge` stands in a page that no chapter",
    );
}

/// Check that sites of several languages in folders of one are verified each by itself, and that a translation of the same
/// book shows what its chapters show.
#[test]
fn languages() {
    let book = book("");
    for language in ["en", "de"] {
        let folder = format!("public/{language}");
        good(&book.mdbook(&["build", "--dest-dir", &folder]));
        good(&book.qed(&["publish", &folder]));
    }
    let printed = good(&book.qed(&["verify", "public"]));
    assert!(
        printed.contains("en/") && printed.contains("de/"),
        "{printed}"
    );
    edit(&book, "public/de/one.html", ">3</span>", ">4</span>");
    wrong(&book, "public", "de/one.html:");

    let translated = self::book("");
    translated.build();
    let page = translated
        .read("book/one.html")
        .replace("fd ", "Dateideskriptor ");
    translated.write("book/de/one.html", &page);
    good(&translated.qed(&["publish", "book"]));
    let printed = good(&translated.qed(&["verify", "book"]));
    assert!(printed.contains("1 page of a translation"), "{printed}");
    edit(
        &translated,
        "book/de/one.html",
        "returned == 3</pre>",
        "returned != 3</pre>",
    );
    wrong(&translated, "book", "de/one.html:");
}

/// Check that a site in a folder of another site verifies by itself and together with the one around it, each sealed, the inner one
/// first; and that a change in either is found.
#[test]
fn site_inside_a_site() {
    let book = book("");
    book.build();
    good(&book.mdbook(&["build", "--dest-dir", "book/de"]));
    for site in ["book/de", "book"] {
        good(&book.qed(&["publish", site]));
    }
    let verified = || {
        good(&book.qed(&["verify", "book/de"]));
        let printed = good(&book.qed(&["verify", "book"]));
        assert!(printed.contains("de/"), "{printed}");
    };
    verified();
    edit(&book, "book/de/one.html", ">3</span>", ">4</span>");
    wrong(&book, "book/de", "one.html:");
    wrong(&book, "book", "de/one.html:");
    edit(&book, "book/de/one.html", ">4</span>", ">3</span>");
    verified();
    edit(&book, "book/one.html", ">3</span>", ">4</span>");
    wrong(&book, "book", "one.html:");
    good(&book.qed(&["verify", "book/de"]));
}

/// Check that the site of another book can lie in a folder of a site: it is published first, the outer site seals it as well, and `verify`
/// looks at both. A page does not escape by a manifest that is put beside it.
#[test]
fn site_of_another_book_inside() {
    let book = book("");
    let inner = Book::new(
        &[("one.md", "# One\n\nother {{qed create.outcome.stdout}}\n")],
        "",
        "",
    );
    let de = book.path("book/de");
    book.build();
    good(&inner.mdbook(&["build", "--dest-dir", de.to_str().unwrap()]));
    // Nothing says yet that it is not a part of this book.
    let output = book.qed(&["publish", "book"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        stdout(&output).contains("de/ looks like the site of another book: publish that first"),
        "{}",
        stdout(&output)
    );
    good(&inner.qed(&["publish", de.to_str().unwrap()]));
    let printed = good(&book.qed(&["publish", "book"]));
    assert!(printed.contains("de/ is a site of its own"), "{printed}");
    good(&book.qed(&["verify", "book/de"]));
    good(&book.qed(&["verify", "book"]));
    edit(&book, "book/de/one.html", ">said", ">sayd");
    wrong(&book, "book", "de/one.html:");
    edit(&book, "book/de/one.html", ">sayd", ">said");
    edit(&book, "book/one.html", ">3</span>", ">4</span>");
    wrong(&book, "book", "one.html:");
    edit(&book, "book/one.html", ">4</span>", ">3</span>");
    good(&book.qed(&["verify", "book"]));
    book.write(
        "book/deep/qed/manifest.json",
        &book.read("book/de/qed/manifest.json"),
    );
    let output = book.qed(&["verify", "book"]);
    assert!(!output.status.success(), "{}", stdout(&output));
}

/// Check that a book that shows nothing is published, although recorded evidence lies beside it.
#[test]
fn no_value_and_recorded_evidence() {
    let book = Book::new(&[("one.md", "# One\n\ntext\n")], "", "");
    std::fs::rename(book.path(".qed/evidence"), book.path("recorded")).unwrap();
    book.build();
    assert!(!book.read("book/one.html").contains("qed-page"));
    good(&book.qed(&["publish", "book"]));
    // A page without a value says that the others rest on it.
    book.write("src/SUMMARY.md", "- [One](one.md)\n- [Two](two.md)\n");
    book.write("src/two.md", CHAPTER);
    book.build();
    assert!(book.read("book/one.html").contains("Recorded evidence"));
    good(&book.qed(&["publish", "book"]));
    good(&book.qed(&["verify", "book"]));
}

/// Check that a book whose chapters lie in its own folder is neither built nor checked as good where mdBook would copy the raw evidence
/// of a live machine into the site; of guests it is a warning.
#[test]
fn evidence_among_the_chapters() {
    let book = book("");
    let toml = book.read("book.toml");
    let toml = toml.replace("title = \"T\"", "title = \"T\"\nsrc = \".\"");
    for file in ["SUMMARY.md", "one.md", "deep/two.md"] {
        book.write(file, &book.read(&format!("src/{file}")));
    }
    std::fs::remove_dir_all(book.path("src")).unwrap();
    book.write("book.toml", &toml);
    let reported = "(`src = \".\"`) holds `.qed`, and mdBook copies all of it into the site, raw evidence included";
    let output = book.qed(&["check"]);
    assert!(stderr(&output).contains(reported), "{}", stderr(&output));
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));

    book.evidence(&evidence("host", 0x0a20_0000, ""));
    book.write("book.toml", &toml.replace("[\"guest:test-1\"", "[\"host\""));
    let output = book.qed(&["check"]);
    assert!(stderr(&output).contains(reported), "{}", stderr(&output));
    assert_eq!(output.status.code(), Some(2), "{}", stdout(&output));
    let output = book.mdbook(&["build"]);
    assert!(stderr(&output).contains(reported), "{}", stderr(&output));
    assert!(!output.status.success());
    assert!(!book.path("book/one.html").exists());
    assert!(!book.path("book/.qed").exists());
}

/// Check that a book that is read-only once its site is there is published all the same, with a warning that the history of its
/// captures could not be kept.
#[test]
fn read_only_book() {
    let book = book("");
    book.build();
    // It cannot be written through a link to nowhere, not even by root, whom no mode keeps out.
    std::os::unix::fs::symlink("nowhere/ignore", book.path(".qed/.gitignore")).unwrap();
    let output = book.qed(&["publish", "book"]);
    let printed = good(&output);
    assert!(printed.contains("sealed with 1 claim"), "{printed}");
    let reported = stderr(&output);
    for part in [
        "warning: .qed/history.json cannot be written: ",
        "the site is sealed",
        "copy `qed/history.json` of the site",
    ] {
        assert!(reported.contains(part), "{part}: {reported}");
    }
    assert!(!book.path(".qed/history.json").exists());
    good(&book.qed(&["verify", "book"]));
}

/// Check that a site that its book no longer makes is not published: a chapter, the evidence or a page was changed after the
/// build.
#[test]
fn publishes_what_was_built() {
    let book = book("");
    book.build();
    book.write(
        "src/one.md",
        &CHAPTER.replace("fd {{", "the fd {{qed create.inner.return}} {{"),
    );
    let output = book.qed(&["publish", "book"]);
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    let printed = stdout(&output);
    assert!(
        printed.contains("one.html:") && printed.contains("build it again, then publish"),
        "{printed}"
    );
    assert!(!book.path("book/qed/manifest.json").exists());
    book.build();
    good(&book.qed(&["publish", "book"]));
    std::fs::remove_file(book.path("book/one.html")).unwrap();
    let output = book.qed(&["publish", "book"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(
        stderr(&output).contains("build the book first"),
        "{}",
        stderr(&output)
    );
}

/// Check that a claim that no page shows is refused: in a footnote without a reference by `check` and the build, inside of
/// something hidden by `publish`.
#[test]
fn claims_that_nobody_sees() {
    let claim = "```qed-claim unseen\n    create.outcome.returned == 3\n    ```\n";
    let note = format!("# One\n\ntext\n\n[^lost]:\n\n    {claim}");
    let book = Book::new(&[("one.md", &note)], "", "");
    for output in [book.qed(&["check"]), book.mdbook(&["build"])] {
        assert!(!output.status.success());
        let printed = stderr(&output);
        assert!(
            printed.contains("no page shows this claim") && printed.contains("one.md:7"),
            "{printed}"
        );
    }
    book.write("src/one.md", &note.replace("text", "text[^lost]"));
    book.build();
    good(&book.qed(&["publish", "book"]));
    good(&book.qed(&["verify", "book"]));
    for hidden in [
        "<div hidden>",
        "<div style=\"display: none\">",
        "<template>",
    ] {
        let end = if hidden == "<template>" {
            "</template>"
        } else {
            "</div>"
        };
        let claim = claim.replace("\n    ", "\n");
        book.write(
            "src/one.md",
            &format!("# One\n\n{hidden}\n\n{claim}\n{end}\n\ntext\n"),
        );
        for output in [
            book.qed(&["check"]),
            book.mdbook(&["build"]),
            book.qed(&["publish", "book"]),
        ] {
            assert!(!output.status.success(), "{hidden}");
            let printed = stderr(&output);
            assert!(
                printed.contains("a claim may not stand inside of") && printed.contains("one.md:5"),
                "{printed}"
            );
        }
    }
}

/// Check that `publish` finds the book of a site from outside of the book's folder, that the book of the current folder comes first, and
/// that `--book` is named where there is none.
#[test]
fn from_elsewhere() {
    let book = book("");
    book.build();
    let publish = |folder: &Path, arguments: &[&str]| {
        Command::new(env!("CARGO_BIN_EXE_mdbook-qed"))
            .arg("publish")
            .args(arguments)
            .current_dir(folder)
            .output()
            .unwrap()
    };
    let root = book.dir.path();
    let (above, name) = (
        root.parent().unwrap(),
        root.file_name().unwrap().to_str().unwrap(),
    );
    let printed = good(&publish(above, &[&format!("{name}/book")]));
    assert!(
        printed.contains(&format!("the book is that in {name}\n")),
        "{printed}"
    );
    good(&publish(&root.join("src"), &["../book"]));
    good(&book.qed(&["verify", "book"]));

    // Somewhere else.
    let outside = tempfile::tempdir().unwrap();
    let moved = outside.path().join("site");
    std::fs::rename(book.path("book"), &moved).unwrap();
    let output = publish(outside.path(), &["site"]);
    assert_eq!(output.status.code(), Some(2));
    let message = stderr(&output);
    assert!(
        message.contains("there is no book here, and none above site")
            && message.contains("--book"),
        "{message}"
    );
    good(&publish(
        outside.path(),
        &["site", "--book", root.to_str().unwrap()],
    ));
    for folder in [root, &root.join("src")] {
        let printed = good(&publish(folder, &[moved.to_str().unwrap()]));
        assert!(!printed.contains("the book is that in"), "{printed}");
    }
}

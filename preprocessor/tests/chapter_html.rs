//! HTML that an author writes into chapters by hand: nothing that looks measured goes out, nothing hides a claim, and a word
//! in the manifest makes `verify` look no less closely.

use crate::common;
use crate::forger;

use common::{Book, good, stderr, stdout};
use forger::{correct_manifest, restore, site, wrong};
use mdbook_qed::publish::manifest::{self, Level, Manifest};

const CLAIM: &str = "```qed-claim good\ncreate.outcome.returned == 3\n```\n";

fn book(text: &str, settings: &str) -> Book {
    Book::new(
        &[
            (
                "one.md",
                &format!("# One\n\nfd {{{{qed create.outcome.returned}}}}\n\n{text}"),
            ),
            ("two.md", "# Two\n\ntext with `code` and [a link](one.md)\n"),
        ],
        settings,
        "[output.html.print]\nenable = true\n",
    )
}

/// Check that `check` refuses a typed PASS and a hidden claim with their place, and that `publish` refuses a site that was built
/// without looking.
#[test]
fn refused_everywhere() {
    for (text, printed) in [
        (
            format!(
                "{CLAIM}\n<div class=\"&#113;ed-claim qed-pass\" id=\"claim-zz\">✔ PASS</div>\n"
            ),
            "would make this look like something that was measured",
        ),
        (
            format!("<div style=\"dis\\70lay:none\">\n\n{CLAIM}\n</div>\n"),
            "a claim may not stand inside of `<div style=",
        ),
    ] {
        let book = book(&text, "");
        for command in [&["check"] as &[&str], &["publish", "book"]] {
            let output = book.qed(command);
            let reported = stderr(&output) + &stdout(&output);
            assert_eq!(output.status.code(), Some(2), "{command:?}: {reported}");
            assert!(
                reported.contains(printed) && reported.contains("one.md:"),
                "{reported}"
            );
        }
        assert!(!book.mdbook(&["build"]).status.success());
    }
}

/// Check that a style sheet in a chapter is a warning in `check` and an error in `publish`, that a book can say that it wants
/// it, and that `verify` then names it; a site that hides that word is refused.
#[test]
fn active_html() {
    let style = format!("{CLAIM}\n<style>.qed-badge {{ color: red }}</style>\n");
    let plain = book(&style, "");
    let output = plain.qed(&["check"]);
    assert!(
        stderr(&output).contains("`<style>` can change"),
        "{}",
        stderr(&output)
    );
    assert_eq!(output.status.code(), Some(0));
    plain.build();
    let output = plain.qed(&["publish", "book"]);
    assert_eq!(output.status.code(), Some(2), "{}", stdout(&output));
    assert!(
        stderr(&output).contains("error: `<style>` can change"),
        "{}",
        stderr(&output)
    );

    let requested = book(&style, "active-html = true\n");
    assert!(!stderr(&requested.qed(&["check"])).contains("<style>"));
    requested.build();
    good(&requested.qed(&["publish", "book"]));
    let printed = good(&requested.qed(&["verify", "book"]));
    assert!(printed.contains("not covered, because the book allows it (`active-html`): qed/source/chapters/one.md:9: `<style>`"), "{printed}");
    let record = requested.read("book/qed/source/book.json");
    let hidden = record.replace("\"active_html\": true,", "");
    assert_ne!(record, hidden);
    requested.write("book/qed/source/book.json", &hidden);
    correct_manifest(&requested);
    assert!(wrong(&requested, &[]).contains("`<style>` can change"));
}

/// Say in the manifest that a page was the same at this level only; nothing: at none.
fn at_level(book: &Book, name: &str, level: Option<Level>) {
    let text = book.read("book/qed/manifest.json");
    let mut manifest: Manifest = serde_json::from_str(&text).unwrap();
    match level {
        Some(level) => manifest.made.insert(name.into(), level),
        None => manifest.made.remove(name),
    };
    let text = manifest::to_json(&manifest).unwrap();
    std::fs::write(book.path("book/qed/manifest.json"), text).unwrap();
}

/// Check that a weaker level in the manifest, or none, lets no change of a page by, and that no page of the template can be left
/// out together with its entry.
#[test]
fn weaker_levels() {
    let book = book(CLAIM, "");
    book.build();
    good(&book.qed(&["publish", "book"]));
    let before = site(&book);
    for level in [Some(Level::Fragments), Some(Level::Content), None] {
        for (page, from, to) in [
            ("one.html", "<p>fd ", "<p>no fd "),
            ("two.html", "<code>code</code>", "<code>codes</code>"),
            (
                "two.html",
                "href=\"one.html\">a link",
                "href=\"evil.html\">a link",
            ),
            ("one.html", "<head>", "<head><base href=\"https://evil/\">"),
            (
                "two.html",
                "</main>",
                "</main><script>document.title = 1</script>",
            ),
            ("one.html", "<title>", "<title>PASS "),
            ("print.html", "<p>fd ", "<p>no fd "),
        ] {
            let text = book.read(&format!("book/{page}"));
            assert!(text.contains(from), "{page}: {from}");
            book.write(&format!("book/{page}"), &text.replacen(from, to, 1));
            at_level(&book, page, level);
            correct_manifest(&book);
            let printed = wrong(&book, &[]);
            assert!(
                printed
                    .lines()
                    .any(|line| line.starts_with(&format!("{page}:"))),
                "{page} {to} {level:?}: {printed}"
            );
            restore(&book, &before);
        }
    }
    for page in ["index.html", "print.html", "404.html", "two.html"] {
        std::fs::remove_file(book.path("book").join(page)).unwrap();
        at_level(&book, page, None);
        correct_manifest(&book);
        let printed = wrong(&book, &[]);
        assert!(
            printed.contains(&format!("{page}: it is missing")),
            "{page}: {printed}"
        );
        restore(&book, &before);
    }
    good(&book.qed(&["verify", "book"]));
}

/// Check that a line of thousands of placeholders without an end is told once, soon, and that a pipe in the place of evidence is
/// refused instead of waited for.
#[test]
fn ends_soon() {
    let book = book(&format!("{CLAIM}\n{}\n", "{{qed ".repeat(20_000)), "");
    let begun = std::time::Instant::now();
    let output = book.qed(&["check"]);
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(stderr(&output).matches("has no end in its line").count(), 1);
    assert!(begun.elapsed().as_secs() < 20, "{:?}", begun.elapsed());

    let file = book.path(".qed/evidence/guest-test-1.json");
    std::fs::remove_file(&file).unwrap();
    if !std::process::Command::new("mkfifo")
        .arg(&file)
        .status()
        .is_ok_and(|s| s.success())
    {
        common::note_skipped("there is no mkfifo here");
        return;
    }
    let output = book.qed(&["check"]);
    assert!(
        stderr(&output).contains("not a regular file"),
        "{}",
        stderr(&output)
    );
}

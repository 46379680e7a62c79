//! A forger who changes a page, or what is published beside it, and makes the manifest fit: `verify` makes everything again
//! and names each change with its place.

use crate::common;
use crate::forger;

use std::collections::BTreeMap;

use common::{Book, evidence, executable, good};
use forger::{Forger, correct_manifest, named, restore, site, wrong};
use qed_evidence::Evidence;

const ONE: &str = "# One\n\nThe call gave {{qed create.outcome.returned}} and `{{qed create.outer.return}}`.[^n]\n\n\
    [^n]: a note with {{qed kaslr.slide}}\n\n\
    | a | b |\n|---|---|\n| {{qed create.outer.exit.state}} | x |\n\n\
    ```text\nfd = {{qed create.outcome.returned}}\n```\n\n\
    ```qed-claim good\ncreate.outcome.returned == 3\n```\n\n\
    ```qed-exhibit calltree experiment=\"create\"\n```\n\n```qed-exhibit linkage title=\"A thing\"\nthing: create.outer.return\n```\n";

const TWO: &str = "# Two\n\n{{qed claims.good}}, {{qed claims.other}}\n\n\
    ```qed-claim other when=\"create.outer.hits == 1\"\ncreate.inner.return == -5\n```\n";

const ALL: &str = "# All\n\n```qed-exhibit claims\n```\n\n```qed-exhibit machines\n```\n\n\
    ```qed-exhibit history\n```\n\n```qed-exhibit evidence machine=\"guest:test-1\"\n```\n";

/// A book that shows something of everything, on a captured and a recorded machine, built and published.
fn book() -> Book {
    let book = Book::new(
        &[
            ("one.md", ONE),
            ("two.md", TWO),
            ("all.md", ALL),
            ("deep/plain.md", "# Plain\n\ntext\n"),
        ],
        "",
        "[output.html.print]\nenable = true\n",
    );
    let recorded = "recorded/guest-test-2.json";
    std::fs::create_dir_all(book.path("recorded")).unwrap();
    std::fs::rename(
        book.path(".qed/evidence/guest-test-2.json"),
        book.path(recorded),
    )
    .unwrap();
    book.build();
    good(&book.qed(&["publish", "book"]));
    good(&book.qed(&["verify", "book"]));
    book
}

/// Check that every change of what a page shows is named, whatever the manifest says: expressions, verdicts, values,
/// pictures, style, notices, lists, texts around values, titles.
#[test]
fn pages() {
    let book = book();
    let before = site(&book);
    let mut forger = Forger::new(&book);
    let value = "dir=\"ltr\" data-qed=\"create.outcome.returned\" data-qed-on=\"guest:test-1\"";
    for (file, from, to, line) in [
        (
            "one.html",
            "returned == 3</pre>",
            "returned != 3</pre>",
            "claim `good`",
        ),
        ("one.html", "✔ PASS", "✘ FAIL", "claim `good`"),
        (
            "one.html",
            "qed-claim qed-pass",
            "qed-claim qed-fail",
            "claim `good`",
        ),
        (
            "one.html",
            "id=\"claim-good\"",
            "id=\"claim-good2\"",
            "claim `good2`",
        ),
        (
            "one.html",
            "id=\"claim-good\"",
            "hidden id=\"claim-good\"",
            "claim `good`",
        ),
        ("one.html", ">3</span>", ">3</span>00", "found `"),
        (
            "one.html",
            ">3</span>",
            ">3, or 4</span>",
            "the value `create.outcome.returned`",
        ),
        (
            "one.html",
            ">3</span>",
            ">3<b>0</b></span>",
            "the value `create.outcome.returned`",
        ),
        (
            "one.html",
            ">3</span>",
            ">UNVERIFIED (nobody looked)</span>",
            "the value `create.outcome.returned`",
        ),
        ("one.html", value, "", "the block `qed`"),
        (
            "one.html",
            value,
            "dir=\"ltr\" data-qed=\"create.outcome.exit\" data-qed-on=\"guest:test-1\"",
            "the value `create.outcome.exit`",
        ),
        ("one.html", "0x1e000000", "0x1e200000", ""),
        ("one.html", "fd = 3", "fd = 4", ""),
        ("one.html", "data-qed-text=\"3\"", "data-qed-text=\"4\"", ""),
        (
            "one.html",
            "aria-description=\"create.outcome.returned",
            "aria-description=\"create.outcome.exit",
            "the value `create.outcome.returned`",
        ),
        ("one.html", ".qed-", ".not-qed-", "the notice at the top"),
        ("one.html", " y=\"", " y=\"1", "the block `qed-exhibit`"),
        ("one.html", " x=\"", " x=\"1", "the block `qed-exhibit`"),
        ("one.html", "<h1", "<p>All is well.</p><h1", ""),
        (
            "one.html",
            "<title>one - T",
            "<title>proven - T",
            "around the chapter",
        ),
        (
            "all.html",
            "<div class=\"qed-notice\">Recorded evidence",
            "<div class=\"qed-notice\">Evidence",
            "the notice at the top",
        ),
        (
            "two.html",
            "when <code>",
            "whenever <code>",
            "claim `other`",
        ),
        (
            "two.html",
            ">PASS</span>",
            ">FAIL</span>",
            "the value `claims.good`",
        ),
        (
            "all.html",
            "href=\"one.html#claim-good\"",
            "href=\"two.html#claim-other\"",
            "the block `qed-exhibit`",
        ),
        ("all.html", "0 lost", "1 lost", "the block `qed-exhibit`"),
        (
            "all.html",
            "2 captures",
            "3 captures",
            "the block `qed-exhibit`",
        ),
        (
            "all.html",
            "gzip;base64,",
            "gzip;base64,AA",
            "the block `qed-exhibit`",
        ),
        (
            "print.html",
            "returned == 3</pre>",
            "returned != 3</pre>",
            "claim `good`",
        ),
        (
            "index.html",
            ">3</span>",
            ">4</span>",
            "the value `create.outcome.returned`",
        ),
        (
            "deep/plain.html",
            "<p>text",
            "<p>text <i class=\"qed-badge\">✔ PASS</i>",
            "the block `qed-badge`",
        ),
        ("deep/plain.html", "text</p>", "no text</p>", ""),
        ("toc.html", "</strong> two<", "</strong> proven<", ""),
    ] {
        forger.forge(file, from, to, line);
    }
    // Another path with its own value: what is shown is true, and is not what the chapter says.
    let page = book.read("book/one.html");
    let at = page.find(value).unwrap();
    let start = page[..at].rfind("<span").unwrap();
    let end = at + page[at..].find("</span>").unwrap();
    let shown = &page[start..end];
    let other = shown
        .strip_suffix(">3")
        .unwrap()
        .replace("outcome.returned", "outcome.exit")
        + ">0";
    for all in ["one.html", "print.html"] {
        let line = "the value `create.outcome.exit`";
        forger.forge_with(all, shown, &other, &|l| {
            l.starts_with(&format!("{all}:")) && l.contains(line) && !l.contains("` shows `")
        });
    }
    // Two claims in each other's place.
    let claim = |page: &str| {
        let page = book.read(page);
        let start = page.find("<div class=\"qed-claim").unwrap();
        let list = start + page[start..].find("</ul>").unwrap();
        let end = list + page[list..].find("</div>").unwrap() + "</div>".len();
        page[start..end].to_owned()
    };
    let (one, two) = (book.read("book/one.html"), book.read("book/two.html"));
    let (good, other) = (claim("book/one.html"), claim("book/two.html"));
    book.write("book/one.html", &one.replace(&good, &other));
    book.write("book/two.html", &two.replace(&other, &good));
    correct_manifest(&book);
    let printed = wrong(&book, &[]);
    for line in [
        "one.html:",
        "two.html:",
        "claim `good` of one.md is on no page",
        "claim `other` of two.md is on no page",
    ] {
        assert!(printed.contains(line), "{line}: {printed}");
    }
    restore(&book, &before);
    // The notice, whole.
    let all = book.read("book/all.html");
    let start = all.find("<div class=\"qed-notice\">").unwrap();
    let end = start + all[start..].find("</div>").unwrap() + "</div>".len();
    forger.forge("all.html", &all[start..end], "", "the notice at the top");
    // A page more, also where nobody looks for one.
    for (file, line) in [
        (
            "more.html",
            "stands in a page that no chapter of the book makes",
        ),
        (
            "qed/more.html",
            "qed/more.html: no such file belongs into a site",
        ),
    ] {
        book.write(&format!("book/{file}"), &one);
        correct_manifest(&book);
        assert!(wrong(&book, &[]).contains(line), "{file}");
        restore(&book, &before);
    }
    let search = named(&before, "searchindex-", ".js");
    forger.forge(&search, "The call gave", "The call never gave", "");
    let sheet = named(&before, "css/general-", ".css");
    forger.forge(
        &sheet,
        "html {",
        "html { color: red;",
        "is not what mdBook writes",
    );
    good_again(&book);
}

/// Check that the site is whole after all edits: else they would have proven nothing.
#[track_caller]
fn good_again(book: &Book) {
    let printed = good(&book.qed(&["verify", "book"]));
    assert!(
        printed.contains("made again from the published chapters and evidence"),
        "{printed}"
    );
}

/// Check that what is published beside the pages is held against them: claims, verdicts, history, investigation, chapters,
/// templates, states, and the manifest itself.
#[test]
fn beside_the_pages() {
    let book = book();
    let before = site(&book);
    let mut forger = Forger::new(&book);
    for (file, from, to, line) in [
        (
            "qed/claims.json",
            "returned == 3",
            "returned >= 0",
            "claim `good` is `create.outcome.returned >= 0`",
        ),
        (
            "qed/claims.json",
            "\"two.md\"",
            "\"one.md\"",
            "claim `other`",
        ),
        (
            "qed/verdicts.json",
            "\"supported\": \"PASS\"",
            "\"supported\": \"PASS\",\n      \"reason\": \"x\"",
            "the verdict on `good` on guest:test-1",
        ),
        ("qed/history.json", "0.0.1-test", "0.0.2-test", ""),
        (
            "qed/investigation.toml",
            "optional = true",
            "optional = true\nstack = true",
            "it is not the investigation that the evidence of guest:test-1 is of",
        ),
        (
            "qed/source/book.json",
            "\"recorded\": true",
            "\"recorded\": false",
            "",
        ),
        (
            "qed/source/book.json",
            "\"stale\": []",
            "\"stale\": [\"x\"]",
            "",
        ),
        (
            "qed/source/book.json",
            "\"title\": \"T\"",
            "\"title\": \"U\"",
            "",
        ),
        (
            "qed/source/book.json",
            "\"version\": 1",
            "\"version\": 1,\n  \"more\": 2",
            "unknown field",
        ),
        (
            ".nojekyll",
            "This",
            "PASS. This",
            "it is not what mdBook writes",
        ),
    ] {
        forger.forge_with(file, from, to, &|l| match line {
            "" => l.contains(".html:"),
            line => l.contains(line),
        });
    }
    // The pages no longer follow from a changed chapter; where they were made to, the book itself tells.
    forged_source(&book, &before);
    // As the manifest was: only what it says itself.
    let manifest = book.read("book/qed/manifest.json");
    for (from, to, line) in [
        (
            "\"parts\": {",
            "\"parts\": {\n    \"host\": {\n      \"run\": \"0\"\n    },",
            "it has parts of host",
        ),
        (
            "\"files\": {",
            "\"more\": 1,\n  \"files\": {",
            "unknown field",
        ),
        (
            "\"files\": {",
            "\"files\": {\n    \"index.html\": \"0\",",
            "holds more than this program reads",
        ),
        (
            "\"made\": {",
            "\"made\": {\n    \"gone.html\": \"whole\",",
            "gone.html: it was made again when it was published",
        ),
    ] {
        book.write("book/qed/manifest.json", &manifest.replacen(from, to, 1));
        let printed = wrong(&book, &[]);
        assert!(printed.contains(line), "{to}: {printed}");
    }
    book.write("book/qed/manifest.json", &manifest);
    std::fs::remove_dir_all(book.path("book/qed/source")).unwrap();
    correct_manifest(&book);
    assert!(wrong(&book, &[]).contains("qed/source/book.json: it is missing"));
    std::fs::create_dir_all(book.path("book/qed/source/chapters/deep")).unwrap();
    restore(&book, &before);
    good_again(&book);
}

fn forged_source(book: &Book, before: &BTreeMap<String, Vec<u8>>) {
    let file = "book/qed/source/chapters/one.md";
    let text = book
        .read(file)
        .replace("The call gave", "The call surely gave");
    book.write(file, &text);
    correct_manifest(book);
    assert!(wrong(book, &[]).contains("one.html:"));
    restore(book, before);
    let printed = good(&book.qed(&["verify", "book", "--book", "."]));
    assert!(
        printed.contains("the published sources are those of the book in ."),
        "{printed}"
    );
    let own = book.read("src/one.md");
    book.write("src/one.md", &own.replace("== 3", "!= 4"));
    let printed = wrong(book, &["--book", "."]);
    assert!(
        printed
            .contains("qed/source/chapters/one.md: it is not what the book has, from line 16 on"),
        "{printed}"
    );
    book.write("src/one.md", &own);
    let settings = book.read("book.toml");
    for (key, other, printed) in [
        (
            "active-html",
            "true",
            "qed/source/book.json: `active-html`: not what the book has",
        ),
        (
            "on-stale",
            "\"error\"",
            "qed/source/book.json: `on-stale`: not what the book has",
        ),
        (
            "addresses",
            "\"pseudonym\"",
            "qed/manifest.json: `addresses`: not what the book has",
        ),
    ] {
        let key_of_ours = format!("[preprocessor.qed]\n{key} = {other}\n");
        book.write(
            "book.toml",
            &settings.replace("[preprocessor.qed]\n", &key_of_ours),
        );
        let found = wrong(book, &["--book", "."]);
        assert!(found.contains(printed), "{found}");
    }
    book.write("book.toml", &settings);
}

/// Check that verdicts that rest on withheld values are made again with what was sealed beside them, and that the page of a
/// live machine cannot say otherwise.
#[test]
fn redacted() {
    let mut host: Evidence = evidence("host", 0x1e00_0000, "said\n");
    host.machine.boot_id = "11111111-0000-4000-8000-000000000000".into();
    let book = Book::new(
        &[(
            "one.md",
            "# One\n\n{{qed create.outer.return}} {{qed kaslr.slide}}\n\n```qed-claim low machine=\"host\"\nmask(create.outer.return, 0xfu) == 0u\n```\n\n\
             ```qed-claim plain machine=\"host\"\ncreate.outcome.returned == 3\n```\n\n```qed-exhibit evidence machine=\"host\"\n```\n",
        )],
        "",
        "",
    );
    let settings = book.read("book.toml");
    book.write(
        "book.toml",
        &settings.replace("machines = [", "machines = [\"host\", "),
    );
    book.evidence(&host);
    book.build();
    good(&book.qed(&["publish", "book"]));
    let printed = good(&book.qed(&["verify", "book"]));
    assert!(
        printed.contains("trusted, because values are withheld: 1 verdict"),
        "{printed}"
    );
    let before = site(&book);
    let mut forger = Forger::new(&book);
    assert!(
        book.read("book/one.html")
            .contains("does not suffice to repeat it")
    );
    for (file, from, to, line) in [
        ("one.html", "does not suffice", "suffices", "claim `low`"),
        ("one.html", "WITHHELD", "WITHHELD!", ""),
        (
            "one.html",
            "control: with another value of",
            "control: with no other value of",
            "claim `",
        ),
    ] {
        forger.forge(file, from, to, line);
    }
    let path = "book/qed/verdicts.json";
    let text = book.read(path);
    let low = text.find("\"low\"").unwrap();
    let low = low + text[low..].find("\"host\"").unwrap();
    let (head, tail) = text.split_at(low);
    book.write(
        path,
        &format!(
            "{head}{}",
            tail.replacen("\"verdict\": \"PASS\"", "\"verdict\": \"FAIL\"", 1)
        ),
    );
    correct_manifest(&book);
    assert!(wrong(&book, &[]).contains("one.html:"));
    restore(&book, &before);
    good_again(&book);
}

/// Check that a site with another theme, style sheets of its own, and preprocessors before and after this one verifies, and
/// that what was filled in is still compared there.
#[test]
fn foreign_book() {
    let python = std::process::Command::new("python3")
        .arg("--version")
        .output();
    if python.is_err() {
        common::note_skipped("the other preprocessors are written in Python, which is not here");
        return;
    }
    let chapter = format!("{ONE}\nBEFORE and AFTER: 1 < 2.[^two]\n\n[^two]: second\n");
    let book = Book::new(
        &[("one.md", &chapter), ("two.md", TWO)],
        "",
        "[output.html.print]\nenable = true\n",
    );
    let script = |name: &str, from: &str, to: &str| {
        let text = format!(
            "#!/bin/sh\nif [ \"$1\" = supports ]; then exit 0; fi\npython3 -c 'import json,sys\n_, book = json.load(sys.stdin)\n\
             print(json.dumps(book).replace(\"{from}\", \"{to}\"))'\n"
        );
        executable(&book.path(&format!("bin/{name}")), &text)
            .display()
            .to_string()
    };
    let (first, last) = (
        script("first", "BEFORE", "before"),
        script("last", "AFTER", "<b>after</b>"),
    );
    let settings = book
        .read("book.toml")
        .replace("after = [\"links\"]", "after = [\"links\", \"first\"]");
    book.write(
        "book.toml",
        &format!(
            "{settings}\n[output.html]\nadditional-css = [\"own.css\"]\nsmart-punctuation = false\n\
             [preprocessor.first]\ncommand = \"{first}\"\n[preprocessor.last]\ncommand = \"{last}\"\nafter = [\"qed\"]\n"
        ),
    );
    book.write("own.css", "p { color: black }\n");
    book.build();
    let page = book.read("book/one.html");
    assert!(page.contains("before and <b>after</b>"), "{page}");
    let publish = good(&book.qed(&["publish", "book"]));
    assert!(publish.contains("0 in what was filled in"), "{publish}");
    good(&book.qed(&["verify", "book", "--book", "."]));
    let mut forger = Forger::new(&book);
    forger.forge(
        "one.html",
        ">3</span>",
        ">4</span>",
        "the value `create.outcome.returned`",
    );
    forger.forge("one.html", "before and", "behind and", "");

    // A theme of the book's own is not published: the chapter is compared, not what stands around it.
    let theme = "<html><head><title>{{ title }}</title></head><body><div id=\"x\">{{{ content }}}</div></body></html>";
    book.write("theme/index.hbs", theme);
    book.write("theme/qed/table.hbs", "<table class=\"mine\"></table>");
    book.build();
    good(&book.qed(&["publish", "book"]));
    let printed = good(&book.qed(&["verify", "book"]));
    assert!(printed.contains("in the chapter"), "{printed}");
    let mut forger = Forger::new(&book);
    forger.forge(
        "one.html",
        "returned == 3</pre>",
        "returned != 3</pre>",
        "claim `good`",
    );
    forger.forge("one.html", "before and", "behind and", "");
    forger.forge(
        "one.html",
        "</body>",
        "<i class=\"qed-badge\">PASS</i></body>",
        "stands beside the chapter",
    );
}

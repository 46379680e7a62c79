//! Every slide can be published: a number that a chapter quotes on purpose is not a leak, whichever slide a live machine has, and
//! the same number in any other place is one.

use crate::common;

use common::{Book, evidence, stderr, stdout};
use mdbook_qed::lint;
use mdbook_qed::markdown::chapter::Chapter;
use mdbook_qed::markdown::dialect::Markdown;
use qed_evidence::Evidence;
use qed_evidence::secrets::{Searcher, Secret, slides};
use std::collections::BTreeSet;

/// The chapter of a book's first edition.
const QUOTED: &str = "<!-- qed:literal the first edition's statement -->\n**Old**: `0x11a00000` bytes are 282 MiB.\n\n";

/// The address of `outer` in the image of the host at that slide, as an old log has it.
const LOGGED: &str =
    "<!-- qed:literal an old log -->\n```text\n[    0.0] at ffffffff92a022f0\n```\n\n";

/// A live machine at this slide. What its workload printed names it.
fn host(slide: u64) -> Evidence {
    evidence("host", slide, "zebra7 of zacharias\n")
}

/// A book of these chapters with a live machine at this slide, built.
fn built(chapters: &[(&str, &str)], slide: u64) -> Book {
    built_on(chapters, &[&host(slide)])
}

/// A book of these chapters with evidence of a live machine and of a guest, built.
fn built_on(chapters: &[(&str, &str)], captured: &[&Evidence]) -> Book {
    let book = Book::new(chapters, "", "");
    let settings = book.read("book.toml");
    book.write(
        "book.toml",
        &settings.replace("\"guest:test-2\"", "\"host\""),
    );
    captured.iter().for_each(|one| book.evidence(one));
    book.build();
    book
}

const PUBLISH: &[&str] = &["publish", "book"];
const VERIFY: &[&str] = &["verify", "book", "--evidence", ".qed/evidence"];

/// The output of a command that ends with `status`.
fn run_and_show(book: &Book, arguments: &[&str], status: i32, why: &str) -> String {
    let output = book.qed(arguments);
    let reported = stdout(&output) + &stderr(&output);
    assert_eq!(
        output.status.code(),
        Some(status),
        "{why}: {arguments:?}: {reported}"
    );
    assert_eq!(
        reported.contains("LEAK of"),
        status == 1,
        "{why}: {reported}"
    );
    reported
}

fn chapter(more: &str) -> String {
    format!("# One\n\n```qed-claim a\ncreate.outcome.returned == 3\n```\n\n{QUOTED}{LOGGED}{more}")
}

/// Check that what is quoted keeps no slide from being published, that what the commands print does not depend on it, and
/// that the owner is told where the search leaves something to the author's word.
#[test]
fn quoted_on_purpose() {
    let mut all = BTreeSet::new();
    for slide in [
        0x11a0_0000,
        0x17a0_0000,
        0x0100_0000,
        0x0020_0000,
        0x3fe0_0000,
    ] {
        let book = built(&[("one.md", &chapter("")), ("two.md", "# Two\n")], slide);
        let why = format!("{slide:#x}");
        let reported =
            run_and_show(&book, PUBLISH, 0, &why) + &run_and_show(&book, VERIFY, 0, &why);
        let note = "one.md:8, one.md:11";
        assert!(reported.contains(note), "{reported}");
        let reported: Vec<&str> = reported
            .lines()
            .filter(|line| !line.contains("sha256"))
            .collect();
        all.insert(reported.join("\n"));
    }
    assert_eq!(all.len(), 1, "{all:?}");
}

/// Check that the same numbers are found wherever else they stand, and other secrets in a marked block, too.
#[test]
fn written_elsewhere() {
    const SLIDE: u64 = 0x11a0_0000;
    for (why, more, other) in [
        (
            "once more in the chapter",
            "It is 0x11a00000 now.\n",
            "# Two\n",
        ),
        ("in another chapter", "", "# Two\n\nIt is `11a00000` now.\n"),
        ("in another unit", "", "# Two\n\nIt is 282 MiB now.\n"),
        (
            "an address in the image",
            "At 0xffffffff92a022f0.\n",
            "# Two\n",
        ),
        (
            "behind a mark of another chapter",
            "",
            "# Two\n\n<!-- qed:no-claim 11a00000 -->\nHere.\n",
        ),
        (
            "an object's address in a marked block",
            "<!-- qed:literal an old log -->\nAt ffff888111a00000.\n",
            "# Two\n",
        ),
        (
            "a workload's output in a marked block",
            "<!-- qed:literal an old log -->\nzebra7 of zacharias\n",
            "# Two\n",
        ),
    ] {
        let book = built(&[("one.md", &chapter(more)), ("two.md", other)], SLIDE);
        run_and_show(&book, PUBLISH, 1, why);
    }
    let (one, two) = (chapter(""), "# Two\n");
    let book = built(&[("one.md", &one), ("two.md", two)], SLIDE);
    run_and_show(&book, PUBLISH, 0, "as it is");
    let page = book.read("book/one.html");
    for (file, text) in [
        ("book/note.txt", "0x11a00000".to_owned()),
        (
            "book/two.html",
            book.read("book/two.html") + "<!-- 0x11a00000 -->",
        ),
        ("book/one.html", page.clone() + "<!-- 0x11a00000 -->"),
        (
            "book/one.html",
            page + "<b title=\"fff&#102;ffff92a022f0\">x</b>",
        ),
    ] {
        let before = std::fs::read(book.path(file)).ok();
        book.write(file, &text);
        run_and_show(&book, VERIFY, 1, file);
        match before {
            Some(bytes) => std::fs::write(book.path(file), bytes).unwrap(),
            None => std::fs::remove_file(book.path(file)).unwrap(),
        }
    }
}

/// Check that this project's own book types no number that could be a slide outside of the blocks that say so.
#[test]
fn the_flagship_types_none() {
    let all = slides().map(|slide| (Secret::slide(slide), format!("{slide:#x}")));
    let searcher = Searcher::new(&all.collect(), &BTreeSet::new());
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../book");
    let (mut chapters, mut quoted) = (0, 0);
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|end| end != "md") {
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap();
        let name = path.file_name().unwrap().to_str().unwrap();
        let mut bytes = text.clone().into_bytes();
        let blocks = lint::literal_blocks(&Chapter::parse(name, &text, Markdown::default()));
        chapters += 1;
        quoted += searcher.find_all(&bytes).len();
        for block in blocks {
            bytes[block].fill(b' ');
        }
        assert_eq!(searcher.find_all(&bytes), [], "{name}");
    }
    assert!(chapters > 5 && quoted > 1, "{chapters}, {quoted}");
}

/// Check that a quoted address excuses nothing else that stands in the same leaf of the evidence.
#[test]
fn in_one_output() {
    const OUTPUT: &str =
        "outer is at ffffffff92a022f0\nzebra7 of zacharias\nand ffffffff92a033f0\n";
    let chapter = chapter("");
    let chapters = [("one.md", chapter.as_str())];
    let host = evidence("host", 0x11a0_0000, OUTPUT);
    let book = built_on(&chapters, &[&host]);
    run_and_show(&book, PUBLISH, 0, "as it is");
    let page = book.read("book/one.html");
    for added in ["zebra7 of zacharias", "ffffffff92a033f0"] {
        book.write("book/one.html", &format!("{page}<!-- {added} -->"));
        run_and_show(&book, VERIFY, 1, added);
    }
    book.write("book/one.html", &page);
    run_and_show(&book, VERIFY, 0, "as it was");
}

/// Check that an address in the image that a guest spells by chance, whole or its lower half, keeps no site from being published.
#[test]
fn spelled_by_a_guest() {
    const SLIDE: u64 = 0x11a0_0000;
    let chapter = chapter("");
    for spelled in ["ffffffff92a022f0", "92a022f0"] {
        let guest = evidence("guest:test-1", 0x1e00_0000, &format!("LOAD 0x{spelled}\n"));
        let book = built_on(&[("one.md", &chapter)], &[&host(SLIDE), &guest]);
        run_and_show(&book, PUBLISH, 0, spelled);
    }
    let book = built(
        &[("one.md", &chapter), ("two.md", "At 0x92a022f0.\n")],
        SLIDE,
    );
    run_and_show(&book, PUBLISH, 1, "where no guest spells it");
}

/// Check that a claim is not a quotation, whatever mark stands before it: its verdict says whether the number is right.
#[test]
fn in_a_claim() {
    let claim = "<!-- qed:literal an old number -->\n```qed-claim b\nkaslr.slide == 0x11a00000 || kaslr.slide == 0x1e000000\n```\n";
    let chapter = chapter(claim);
    let book = built(&[("one.md", &chapter)], 0x11a0_0000);
    run_and_show(&book, PUBLISH, 1, "a claim");
}

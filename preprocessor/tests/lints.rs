//! Lints, end to end: what is told, where, and when it stops a build.

use crate::common;

use common::{Book, stderr};

const CLAIM: &str = "```qed-claim good\ncreate.outcome.returned == 3\n```\n\n\
    ```qed-exhibit calltree experiment=\"create\"\n```\n\n{{qed create.outer.exit.state}} {{qed create.absent.hits}}\n";

/// The messages of `check` about a book of this one chapter, without its last line.
fn check_chapter(chapter: &str, more: &str) -> (Option<i32>, String) {
    let book = Book::new(&[("one.md", &format!("{chapter}\n\n{CLAIM}"))], more, "");
    let output = book.qed(&["check"]);
    let text = stderr(&output);
    let end = text.find("mdbook-qed: ").unwrap_or(text.len());
    (output.status.code(), text[..end].trim().to_owned())
}

/// Check that a chapter that types nothing is told nothing, however many numbers it holds.
#[test]
fn silence() {
    let chapter = "# One\n\nEMFILE is 24. A page has 0x1000 bytes, the image 0x40000000 at most.\n\n\
        The kernel's half begins at 0xffff888000000000 ([page_64_types.h](https://elixir.bootlin.com/linux/v6.12.1/source/a.h#L1)).\n\n\
        <https://e.org/commit/0123456789abcdef0123/0xffff8881004bb000>\n\n\
        <!-- qed:literal the first edition's mistake -->\n```text\nfd 3 at 0xffff8881004bb000\n```\n\n\
        <!-- a comment: fd 3 -->\n";
    assert_eq!(check_chapter(chapter, ""), (Some(0), String::new()));
}

/// Check that values typed in prose, tables, code and HTML are found, each with its place, what measured it and what
/// to do, once for each block.
#[test]
fn typed_literals() {
    let chapter = "# At 0xffff8881004bb000\n\nThe socket is at **0xffff88811e000000**, its descriptor is `4`.\n\n\
        | fd | 5 |\n|----|---|\n| a | fd 6 |\n\n> - ```text\n>   socket(AF_INET, SOCK_STREAM, 0) = 3\n>   ```\n\n\
        <p title=\"fd 9\">net/socket.c:1535</p>\n";
    let (status, text) = check_chapter(chapter, "");
    assert_eq!(status, Some(0), "{text}");
    insta::assert_snapshot!(text);
}

/// Check that a denied lint is an error of `check` and of the build, and that a mark makes both good.
#[test]
fn deny() {
    let chapter = "# One\n\nIt got fd 3.\n";
    let deny = "deny = [\"typed-literal\"]";
    let (status, text) = check_chapter(chapter, deny);
    assert_eq!(status, Some(2), "{text}");
    assert!(text.starts_with("error: `3` is typed by hand"), "{text}");
    let book = Book::new(&[("one.md", &format!("{chapter}\n{CLAIM}"))], deny, "");
    let output = book.mdbook(&["build"]);
    assert!(!output.status.success());
    assert!(
        stderr(&output).contains("src/one.md:3:11"),
        "{}",
        stderr(&output)
    );
    // Nothing else in the book is live: a denied lint looks all the same.
    let plain = Book::new(&[("one.md", chapter)], deny, "");
    assert!(!plain.mdbook(&["build"]).status.success());
    book.write(
        "src/one.md",
        &format!("# One\n\n<!-- qed:literal what a reader would see -->\nIt got fd 3.\n\n{CLAIM}"),
    );
    book.build();
}

/// Check that a mark without a reason, of an unknown name, or in the middle of a sentence is an error, and that one that excuses
/// nothing is told.
#[test]
fn marks() {
    let (status, text) = check_chapter(
        "# One\n\n<!-- qed:literal -->\nfd 3\n\n<!-- qed:literl a reason -->\n\nx <!-- qed:literal r --> y\n\n<!-- qed:literal idle -->\nnothing\n",
        "",
    );
    assert_eq!(status, Some(2), "{text}");
    insta::assert_snapshot!(text);
}

/// Check that chapters without a claim are told: those that show something one by one, the others in one go, and none
/// that says why.
#[test]
fn chapters_without_claim() {
    let book = Book::new(
        &[
            ("one.md", &format!("# One\n\n{CLAIM}")),
            ("shows.md", "# Shows\n\n{{qed kaslr.slide}}\n"),
            ("plain.md", "Plain\n=====\n\ntext\n"),
            ("other.md", "# Other\n\ntext\n"),
            (
                "excused.md",
                "# Excused\n\n<!-- qed:no-claim a list of words -->\n\ntext\n",
            ),
            (
                "idle.md",
                "# Idle\n\n<!-- qed:no-claim why -->\n\n```qed-exhibit claims\n```\n",
            ),
            ("empty.md", ""),
        ],
        "",
        "",
    );
    let output = book.qed(&["check"]);
    assert!(output.status.success(), "{}", stderr(&output));
    insta::assert_snapshot!(stderr(&output));
}

/// Check that claims that nobody judges are told: in HTML, in a comment, in a file that is not a chapter; but not in a
/// file that a chapter includes.
#[test]
fn unshown_claims() {
    let fence = |id: &str| format!("```qed-claim {id}\nkaslr.slide == 1\n```\n");
    let chapter = format!(
        "# One\n\n<div>\n{}</div>\n\n<!--\n{}-->\n\n{{{{#include part.md}}}}\n\n````md\n{}````\n\n{CLAIM}",
        fence("inside"),
        fence("commented"),
        fence("example"),
    );
    let book = Book::new(&[("one.md", &chapter)], "", "");
    book.write(
        "src/part.md",
        "```qed-claim part\ncreate.outcome.returned == 3\n```\n",
    );
    book.write(
        "src/deep/draft.md",
        &format!("# Draft\n\n{}", fence("draft")),
    );
    let output = book.qed(&["check"]);
    assert!(output.status.success(), "{}", stderr(&output));
    insta::assert_snapshot!(stderr(&output));
    let text = book
        .read("book.toml")
        .replace("machines =", "deny = [\"unshown-claim\"]\nmachines =");
    book.write("book.toml", &text);
    assert_eq!(book.qed(&["check"]).status.code(), Some(2));
    assert!(!book.mdbook(&["build"]).status.success());
}

/// Check that a claim that applies on no machine is told, and that a block whose name is almost `qed-claim` is: both would
/// never be judged, and nobody would notice.
#[test]
fn claims_that_never_apply() {
    let chapter = "# One\n\n```qed-claim newer when=\"kernel_at_least('6.6')\"\ncreate.outcome.returned == 4\n```\n\n\
        ```qed-clam lost\ncreate.outcome.returned == 4\n```\n\n~~~ Qed-Claim big\ncreate.outcome.returned == 4\n~~~\n\n\
        ```qed-tool\nnot ours\n```\n\n````md\n```qed-clam example\n```\n````\n";
    let (status, text) = check_chapter(chapter, "");
    assert_eq!(status, Some(0), "{text}");
    for wanted in [
        "claim `newer` is never judged: its condition is false on every machine",
        "`qed-clam` is neither a claim nor an exhibit",
        "did you mean `qed-claim`?",
        "`Qed-Claim` is neither",
        "`qed-tool` is neither",
        "src/one.md:7:4",
    ] {
        assert!(text.contains(wanted), "{wanted}: {text}");
    }
    assert_eq!(text.matches("warning").count(), 4, "{text}");
    let (status, _) = check_chapter(chapter, "deny = [\"unshown-claim\"]");
    assert_eq!(status, Some(2));
}

/// Check that a claim under another name than `qed-claim` is told, also where the chapter holds nothing else of QED, and that code of
/// other languages is not.
#[test]
fn blocks_under_other_names() {
    let chapter = "# One\n\n```qed_claim a\n1 == 2\n```\n\n```qed claim b\n1 == 2\n```\n\n```claim c\n1 == 2\n```\n\n\
        ~~~ Exhibit claims\n~~~\n\n```qedclaim d\n```\n\n```c\nqed claim\n```\n\n```claims\n```\n\n```qed-claimed by\n```\n\n\
        It is {qed kernel.release}.\n";
    let book = Book::new(&[("one.md", CLAIM), ("two.md", chapter)], "", "");
    let told = stderr(&book.qed(&["check"]));
    for name in [
        "qed_claim",
        "qed claim",
        "claim",
        "Exhibit",
        "qedclaim",
        "qed-claimed",
    ] {
        let line = format!("`{name}` is neither a claim nor an exhibit");
        assert_eq!(told.matches(&line).count(), 1, "{name}: {told}");
    }
    assert_eq!(told.matches("is neither a claim").count(), 6, "{told}");
    assert_eq!(
        told.matches("did you mean `qed-claim`?").count(),
        5,
        "{told}"
    );
    assert_eq!(
        told.matches("did you mean `qed-exhibit`?").count(),
        1,
        "{told}"
    );
    assert!(told.contains("src/two.md:31:7"), "{told}");
    assert!(
        told.contains("this is not a placeholder, and is published as it is"),
        "{told}"
    );
}

/// Check that the copies of chapters in a site that was published among the chapters are not taken for chapters.
#[test]
fn published_site_among_the_chapters() {
    let book = Book::new(&[("one.md", CLAIM)], "", "");
    let toml = book
        .read("book.toml")
        .replace("title = \"T\"", "title = \"T\"\nsrc = \".\"");
    for file in ["SUMMARY.md", "one.md"] {
        book.write(file, &book.read(&format!("src/{file}")));
    }
    std::fs::remove_dir_all(book.path("src")).unwrap();
    book.write("book.toml", &toml);
    let never = "this claim is never judged";
    book.write("book/qed/source/chapters/one.md", CLAIM);
    assert!(stderr(&book.qed(&["check"])).contains(never));
    book.write("book/qed/manifest.json", "{}");
    let told = stderr(&book.qed(&["check"]));
    assert!(!told.contains(never), "{told}");
}

/// Check that evidence that nothing uses is told where the investigation asks for it, and that an exhibit uses what it
/// shows.
#[test]
fn unused_evidence() {
    let claim = "# One\n\n```qed-claim good\ncreate.outcome.returned == 3\n```\n";
    let book = Book::new(&[("one.md", claim)], "", "");
    let output = book.qed(&["check"]);
    assert!(output.status.success(), "{}", stderr(&output));
    insta::assert_snapshot!(stderr(&output));
    book.write(
        "src/one.md",
        &format!("{claim}\n```qed-exhibit calltree experiment=\"create\"\n```\n"),
    );
    let printed = stderr(&book.qed(&["check"]));
    assert!(
        printed.contains("never uses 1 read of") && printed.contains("create.outer.exit.state:"),
        "{printed}"
    );
    // A chapter that cannot be read uses nobody knows what.
    book.write(
        "src/one.md",
        &format!("{claim}\n{{{{qed create.nonsense}}}}\n"),
    );
    assert!(!stderr(&book.qed(&["check"])).contains("never uses"));
}

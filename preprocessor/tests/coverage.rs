//! The exhibit `coverage`, the lint `untold` and claims on coverage: what the text tells of the functions that a call ran through.

use crate::common;

use crate::forger::Forger;
use common::{Book, INVESTIGATION, evidence, good, stderr, stdout};
use qed_evidence::Evidence;
use qed_evidence::document::Graph;

/// `outer { inner { leaf } tick } last` and, on the second machine, `other` in the place of `last`.
fn with(machine: &str, last: &str) -> Evidence {
    let functions = ["outer", "inner", "leaf", "tick", last];
    let calls = ["0 0 80", "1 1 30", "2 2 4", "1 3 10 i", "0 4 20"];
    let mut evidence = evidence(machine, 0x1e00_0000, "said\n");
    evidence.experiments.get_mut("create").unwrap().graph = Some(Graph {
        functions: functions.map(String::from).to_vec(),
        calls: calls.map(String::from).to_vec(),
        runs: 5,
        before_exit: 4,
        returned: Some(3),
        ..Graph::default()
    });
    evidence
}

fn book_of(chapters: &[(&str, &str)], settings: &str) -> Book {
    rendered(chapters, settings, "[output.html]\n[output.markdown]")
}

fn rendered(chapters: &[(&str, &str)], settings: &str, output: &str) -> Book {
    let book = Book::new(chapters, settings, output);
    let traced = INVESTIGATION.replacen("name = \"create\"", "name = \"create\"\ngraph = true", 1);
    book.write("test.toml", &traced);
    book.evidence(&with("guest:test-1", "last"));
    book.evidence(&with("guest:test-2", "other"));
    book
}

fn exhibit(options: &str, body: &str) -> String {
    format!("\n\n```qed-exhibit coverage experiment=\"create\" {options}\n{body}```\n\nend\n")
}

/// A claim, without which `check` has nothing to do.
const CLAIM: &str = "\n```qed-claim good\ncreate.outcome.returned == 3\n```\n";

/// The output of `check` for a book of this one chapter and a claim, and its exit status.
fn check_chapter(chapter: &str, settings: &str) -> (Option<i32>, String) {
    let chapter = format!("{chapter}{CLAIM}");
    let checked = book_of(&[("one.md", &chapter)], settings).qed(&["check"]);
    (checked.status.code(), stderr(&checked))
}

/// Check that what ran on the way back to user space is left out as a whole, whichever functions that are.
#[test]
fn after_exit() {
    let body = "below inner\nfold outer: a\nafter-exit: it is the same for all\n";
    let text = format!("# One\n\n`inner()` runs.{}", exhibit("untold=\"0\"", body));
    let book = book_of(&[("one.md", &text)], "");
    book.build();
    let page = book.read("book/html/one.html");
    assert!(
        page.contains("it is the same for all: <code>last</code>"),
        "{page}"
    );
    let without = text.replace("after-exit: it is the same for all\n", "");
    let (status, message) = check_chapter(&without, "deny = [\"untold\"]");
    assert_ne!(status, Some(0), "{message}");
    assert!(
        message.contains("1 of 4 functions that ran on guest:test-2"),
        "{message}"
    );
}

/// Check that each function is told in one way, with its reason, on each machine, and that no script is needed.
#[test]
fn on_a_page() {
    let body = "below inner\nfold last, other: it tells nothing of `sockets` <b>\n";
    let text = format!("# One\n\n`inner()` runs.{}", exhibit("", body));
    let book = book_of(&[("one.md", &text)], "");
    book.build();
    let page = book.read("book/html/one.html");
    let (_, html) = page.split_once("qed-exhibit qed-coverage").unwrap();
    let html = html.split_once("<p>end</p>").unwrap().0.replace('\n', "");
    for part in [
        "Of 4 functions that ran, the chapter names 1, tells 1 with what calls them, leaves out 1 for a reason, and tells 1 \
         nowhere: 75 % are told or left out for a reason.",
        "<summary>told nowhere: 1</summary><p><code>outer</code>",
        "inner and what it calls: <code>leaf</code>",
        "it tells nothing of `sockets` &lt;b&gt;: <code>last</code>",
        "<th scope=\"row\">guest:test-2</th><td>1</td><td>1</td><td>1</td><td>1</td><td>4</td>",
    ] {
        assert!(html.contains(part), "{part}: {html}");
    }
    assert!(
        !html.contains("tick") && !html.contains("<script"),
        "{html}"
    );
    let text = book.read("book/markdown/one.md");
    assert!(text.contains("told nowhere: outer"), "{text}");
}

/// Check that the book tells what one of its chapters tells, and that the lines of all exhibits count for it.
#[test]
fn scopes() {
    let one = format!(
        "# One\n\n`outer`{}{CLAIM}",
        exhibit("untold=\"100%\"", "fold leaf: small\n")
    );
    let two = format!(
        "# Two\n\n`inner` `last` `other`{}",
        exhibit("scope=\"book\"", "")
    );
    let book = book_of(&[("one.md", &one), ("two.md", &two)], "deny = [\"untold\"]");
    good(&book.qed(&["check"]));
    book.build();
    let page = book.read("book/html/two.html");
    assert!(
        page.contains("the book names 3, tells 0 with what calls them, leaves out 1"),
        "{page}"
    );
    let page = book.read("book/html/one.html");
    assert!(
        page.contains("the chapter names 1, tells 0 with what calls them, leaves out 1"),
        "{page}"
    );
}

/// Check that a published site with coverage verifies, and that neither a number nor a text that tells more goes unnoticed.
#[test]
fn published() {
    let claim = "\n\n```qed-claim told\ncoverage(create.graph, 'chapter') == 50 && coverage(create.graph, 'book') >= 75\n```\n";
    let one = format!("# One\n\n`outer` `inner`{}{claim}", exhibit("", ""));
    let book = rendered(
        &[("one.md", &one), ("two.md", "# Two\n\n`leaf`\n")],
        "",
        "[output.html]",
    );
    book.build();
    good(&book.qed(&["publish", "book"]));
    let verified = good(&book.qed(&["verify", "book"]));
    assert!(verified.contains(" 0 wrong"), "{verified}");
    let mut forger = Forger::new(&book);
    let chapter = "qed/source/chapters/one.md";
    forger.forge("one.html", "names 2", "names 3", "the block `qed-exhibit`");
    for (file, from, to) in [
        (chapter, "`outer` `inner`", "`outer` `inner` `last`"),
        ("qed/source/chapters/two.md", "`leaf`", "leaf"),
        ("qed/claims.json", "'chapter') == 50", "'chapter') == 51"),
    ] {
        forger.forge_with(file, from, to, &|line| {
            line.starts_with("claim `told` on guest:test-1: ") && line.ends_with("it makes it FAIL")
        });
    }
}

/// Check that the lint tells what is told nowhere on each machine, keeps to the limit, and stops a build that denies it.
#[test]
fn untold() {
    let chapter = |options| format!("# One\n\n`outer` `inner` `last`{}", exhibit(options, ""));
    let (status, text) = check_chapter(&chapter(""), "");
    assert_eq!(status, Some(0), "{text}");
    for part in [
        "warning: 1 of 4 functions that ran on guest:test-1 are not mentioned; at most 0 are allowed",
        "warning: 2 of 4 functions that ran on guest:test-2 are not mentioned; at most 0 are allowed",
        "leaf, other",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let deny = "deny = [\"untold\"]";
    let (status, text) = check_chapter(&chapter("untold=\"1\""), deny);
    assert_eq!(status, Some(2), "{text}");
    assert!(
        !text.contains("guest:test-1 are") && text.contains("guest:test-2 are"),
        "{text}"
    );
    let (status, text) = check_chapter(&chapter("untold=\"50%\""), deny);
    assert_eq!(status, Some(0), "{text}");
    assert!(!text.contains("not mentioned"), "{text}");
}

/// Check that a claim reads what its chapter and the book tell, and fails once the text tells less.
#[test]
fn claims() {
    let claim = "\n\n```qed-claim told\ncoverage(create.graph, 'chapter') == 50 && coverage(create.graph, 'book') == 75\n```\n";
    let one = |names: &str| format!("# One\n\n{names}{claim}");
    let two = "# Two\n\n`leaf`\n\n{{qed claims.told}}\n";
    let book = |names: &str| book_of(&[("one.md", &one(names)), ("two.md", two)], "");
    good(&book("`outer` `inner` tick").qed(&["check"]));
    for less in ["`outer` inner", "`outer`\n\n```c\ninner();\n```\n"] {
        let checked = book(less).qed(&["check"]);
        assert_eq!(
            checked.status.code(),
            Some(1),
            "{less}: {}",
            stderr(&checked)
        );
    }
    // A claim about a function names it.
    let named = "`outer`\n\n```qed-claim runs\nran(create.graph, 'inner')\n```\n";
    good(&book(named).qed(&["check"]));
}

/// Check that names and lines that no reader sees tell nothing: in notes that mdBook leaves out, in hidden elements and in images.
#[test]
fn unseen_text() {
    let claim = "```qed-claim told\ncoverage(create.graph, 'chapter') == 0\n```\n\nend\n";
    let names = "`outer` `inner` `leaf` `last` `other`";
    for unseen in [
        format!("[^unused]: {names}\n"),
        format!("<div hidden>\n\n{names}\n\n</div>\n"),
        format!("a <span style=\"display:none\">{names}</span> b\n"),
        format!("![{names}](a.png)\n"),
        format!("### Names {names} {{.hidden}}\n"),
        "[^unused]: a\n\n    ```qed-exhibit table\n    create.outer.hits\n    create.inner.hits\n    ```\n".to_owned(),
        "[^unused]: a\n\n    ```qed-exhibit coverage experiment=\"create\"\n    fold outer, inner, leaf, last, other: small\n    ```\n"
            .to_owned(),
    ] {
        let chapter = format!("# One\n\n{claim}\n{unseen}");
        let checked = book_of(&[("one.md", &chapter)], "").qed(&["check"]);
        assert!(checked.status.success(), "{unseen}: {}", stdout(&checked));
    }
    // What is shown, counts.
    let chapter = format!("# One[^used]\n\n{claim}\n[^used]: {names}\n");
    let checked = book_of(&[("one.md", &chapter)], "").qed(&["check"]);
    assert!(stdout(&checked).contains("FAIL"), "{}", stdout(&checked));
}

/// Check that lines that cannot be meant are errors at their place, and that one about nothing that ran is a warning.
#[test]
fn mistakes() {
    for (options, body, wanted) in [
        ("", "below\n", "this says nothing of a function"),
        ("", "below outer: why\n", "`below` needs no reason"),
        ("", "fold outer\n", "`fold` needs a reason"),
        ("", "fold outer:  \n", "`fold` needs a reason"),
        ("", "fold a b: c\n", "`fold` needs names of functions"),
        (
            "",
            "hide outer: c\n",
            "neither `below`, `fold` nor `after-exit`",
        ),
        ("", "after-exit\n", "takes no names, only a reason"),
        ("", "after-exit outer: c\n", "takes no names, only a reason"),
        ("", "after-exit: \n", "`after-exit` needs a reason"),
        ("", "below inner\n", "the chapter does not name `inner`"),
        ("scope=\"page\"", "", "`scope` is \"chapter\" or \"book\""),
        ("untold=\"some\"", "", "`some` is not a limit"),
    ] {
        let (status, text) =
            check_chapter(&format!("# One\n\n`outer`{}", exhibit(options, body)), "");
        assert_eq!(status, Some(2), "{body}: {text}");
        assert!(text.contains(wanted), "{body}: {text}");
    }
    let (status, text) = check_chapter(&format!("# One\n{}", exhibit("", "fold laest: c\n")), "");
    assert_eq!(status, Some(0), "{text}");
    assert!(
        text.contains("`laest` ran on no machine of this book")
            && text.contains("did you mean `last`?"),
        "{text}"
    );
}

/// Check that without a tree there is no coverage: the exhibit says why, the claim is UNVERIFIED, and the lint is silent.
#[test]
fn no_tree() {
    let claim = "\n\n```qed-claim told\ncoverage(create.graph, 'book') >= 1\n```\n";
    let text = format!("# One\n\n`outer`{}{claim}{CLAIM}", exhibit("", ""));
    let book = book_of(&[("one.md", &text)], "deny = [\"untold\"]");
    for machine in ["guest:test-1", "guest:test-2"] {
        let mut evidence = with(machine, "last");
        evidence.experiments.get_mut("create").unwrap().graph = Some(Graph {
            unavailable: Some("no tracer".into()),
            ..Graph::default()
        });
        book.evidence(&evidence);
    }
    let checked = book.qed(&["check"]);
    good(&checked);
    let printed = stdout(&checked);
    let row = printed.lines().find(|line| line.starts_with("told "));
    assert!(
        row.is_some_and(|row| row.contains("UNVERIFIED") && !row.contains("PASS")),
        "{printed}"
    );
    book.build();
    let page = book.read("book/html/one.html");
    assert!(
        page.contains("UNVERIFIED on guest:test-1: no tracer"),
        "{page}"
    );
}

//! The exhibit `graph`: the tree of a call on a page, folded, with its times, and of a live machine not at all.

use crate::common;

use common::{Book, INVESTIGATION, evidence, good, stderr, stdout};
use qed_evidence::Evidence;
use qed_evidence::document::{Graph, MachineKind};

/// outer { inner { leaf leaf } tick { tock } far_below } back
fn graph() -> Graph {
    let functions = [
        "outer",
        "inner",
        "leaf",
        "tick",
        "tock",
        "far_below",
        "back",
    ];
    let calls = [
        "0 0 80000",
        "1 1 30000",
        "2 2 4000",
        "2 2 6000",
        "1 3 10000 i",
        "2 4 5000 i",
        "1 5 -",
        "0 6 20000",
    ];
    Graph {
        functions: functions.map(String::from).to_vec(),
        calls: calls.map(String::from).to_vec(),
        runs: calls.len() as u64,
        before_exit: 7,
        returned: Some(3),
        ..Graph::default()
    }
}

fn with(machine: &str, graph: Graph) -> Evidence {
    let mut evidence = evidence(machine, 0x1e00_0000, "said\n");
    evidence.experiments.get_mut("create").unwrap().graph = Some(graph);
    evidence
}

/// A book of one chapter whose experiment has a graph on both machines.
fn book(chapter: &str) -> Book {
    let book = Book::new(
        &[("one.md", chapter)],
        "",
        "[output.html]\n[output.markdown]",
    );
    book.write(
        "test.toml",
        &INVESTIGATION.replacen("name = \"create\"", "name = \"create\"\ngraph = true", 1),
    );
    for machine in ["guest:test-1", "guest:test-2"] {
        book.evidence(&with(machine, graph()));
    }
    book
}

fn exhibit(options: &str) -> String {
    format!("# One\n\n```qed-exhibit graph {options}\n```\n\nend\n")
}

/// The exhibit as HTML.
fn html(book: &Book) -> String {
    let page = book.read("book/html/one.html");
    let (_, behind) = page
        .split_once("<div class=\"qed-exhibit qed-graph")
        .unwrap_or_else(|| panic!("{page}"));
    behind.split_once("<p>end</p>").unwrap().0.to_owned()
}

/// Check that the tree folds without a script, that bars are as wide as the time, that interrupts are told apart and that equal
/// leaves behind each other are counted.
#[test]
fn on_a_page() {
    let book = book(&exhibit("experiment=\"create\" levels=\"1\""));
    book.build();
    let html = html(&book);
    assert_eq!(
        html.matches("<details").count(),
        html.matches("</details>").count()
    );
    assert_eq!(html.matches("<details").count(), 3, "{html}");
    assert_eq!(html.matches("<details open").count(), 0, "{html}");
    assert!(!html.contains("<script"), "{html}");
    for part in [
        "6 calls of 5 functions, 100.000 µs with tracing",
        "<b>outer</b> · 4 calls",
        "--from:0.00%;--width:80.00%",
        "--from:30.00%;--width:10.00%",
        "--from:80.00%;--width:20.00%",
        "leaf ×2",
        "<em>interrupt: </em>tick",
        "did not return",
        "On the way back to user space:",
    ] {
        assert!(html.contains(part), "{part}: {html}");
    }
    let text = book.read("book/markdown/one.md");
    assert!(
        text.contains("outer · 4 calls") && text.contains("back"),
        "{text}"
    );
    assert!(!text.contains("inner"), "folded: {text}");
}

/// Check that a part of the tree is shown whole, with a time of its own.
#[test]
fn below_a_function() {
    let book = book(&exhibit("experiment=\"create\" below=\"inner\""));
    book.build();
    let html = html(&book);
    assert!(
        html.contains("inner in socket") && html.contains("3 calls of 2 functions, 30.000 µs"),
        "{html}"
    );
    assert!(
        !html.contains("outer") && !html.contains("tick") && !html.contains("user space:"),
        "{html}"
    );
}

/// Check that a tree that is not there, was lost, or does not hold the function is told as such, and what cannot be meant is an error.
#[test]
fn gaps_and_mistakes() {
    let lost = Graph {
        unavailable: Some("the tracer lost 3 records".into()),
        lost: true,
        ..Graph::default()
    };
    let removed = book(&exhibit("experiment=\"create\" below=\"outr\""));
    removed.build();
    let page = removed.read("book/html/one.html");
    assert!(
        page.contains("UNVERIFIED")
            && page.contains("<code>outr</code> is not in the tree of <code>create</code>; did you mean <code>outer</code>?")
    );
    for machine in ["guest:test-1", "guest:test-2"] {
        removed.evidence(&with(machine, lost.clone()));
    }
    removed.write("src/one.md", &exhibit("experiment=\"create\""));
    removed.build();
    let page = removed.read("book/html/one.html");
    assert!(
        page.contains("UNVERIFIED") && page.contains("the tracer lost 3 records"),
        "{page}"
    );

    for (options, problem) in [
        (
            "experiment=\"create\" levels=\"0\"",
            "`0` is not a number of levels",
        ),
        (
            "experiment=\"creat\"",
            "no experiment `creat` in the investigation",
        ),
        ("", "the exhibit needs an experiment"),
    ] {
        removed.write("src/one.md", &exhibit(options));
        let checked = removed.mdbook(&["build"]);
        assert!(
            !checked.status.success() && stderr(&checked).contains(problem),
            "{options}: {}",
            stderr(&checked)
        );
    }
    removed.write("test.toml", INVESTIGATION);
    removed.write("src/one.md", &exhibit("experiment=\"create\""));
    let checked = removed.mdbook(&["build"]);
    let output = stderr(&checked);
    assert!(
        !checked.status.success()
            && output.contains("records no tree of its call")
            && output.contains("graph = true"),
        "{output}"
    );
}

/// Check that nothing of the tree of a live machine is on a page or handed over, that another machine's stands in its place and says so,
/// and that a machine that the author asks for is not replaced.
#[test]
fn live_machine() {
    let mut host = with("host", graph());
    let traced = host
        .experiments
        .get_mut("create")
        .unwrap()
        .graph
        .as_mut()
        .unwrap();
    traced.functions[5] = "secret_driver_irq".into();
    host.machine.kind = MachineKind::Host;
    host.machine.ephemeral = false;
    let book = book(&format!(
        "{}\n```qed-exhibit graph experiment=\"create\" machine=\"host\"\n```\n",
        exhibit("experiment=\"create\"")
    ));
    let settings = book.read("book.toml");
    book.write(
        "book.toml",
        &settings.replace("machines = [", "machines = [\"host\", "),
    );
    book.evidence(&host);
    book.build();
    let page = book.read("book/html/one.html");
    let shown = html(&book);
    assert!(
        shown.contains("guest:test-1")
            && shown
                .contains("There is none of host: the tree of a call on this machine is withheld"),
        "{shown}"
    );
    assert!(
        page.contains("UNVERIFIED on host: the tree of a call on this machine is withheld"),
        "{page}"
    );
    let handed = book.qed(&["redact", "out"]);
    good(&handed);
    let files = mdbook_qed::util::files::read(&book.path("out")).unwrap();
    assert!(!files.is_empty());
    let mut all: Vec<String> = files
        .iter()
        .map(|file| String::from_utf8_lossy(&file.bytes).into_owned())
        .collect();
    all.extend([page, stdout(&handed), stderr(&handed)]);
    for text in all {
        assert!(!text.contains("secret_driver_irq"), "{text}");
    }
}

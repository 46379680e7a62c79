//! The exhibit `layout`: a structure with its holes, and what moved on another machine.

use crate::common;

use common::{Book, INVESTIGATION, evidence, stderr};
use qed_evidence::document::Facts;
use serde_json::json;

/// `struct socket`, whose `sk` stands at this offset.
fn facts(at: u64) -> Facts {
    serde_json::from_value(json!({ "types": {
        "socket": {
            "exists": { "kind": "bool", "value": true }, "kind": { "kind": "text", "value": "struct" },
            "size": { "kind": "int", "value": 32 }, "count": 2,
            "members": {
                "state": { "order": 0, "offset": 0, "size": 4, "type": "socket_state" },
                "sk": { "order": 1, "offset": at, "size": 8, "type": "struct sock *" },
            },
        },
        "sokket": { "exists": { "kind": "bool", "value": false }, "count": 0 },
    } }))
    .unwrap()
}

fn exhibit(options: &str) -> String {
    format!("# One\n\n```qed-exhibit layout {options}\n```\n")
}

fn book(options: &str) -> Book {
    let book = Book::new(
        &[("one.md", &exhibit(options))],
        "",
        "[output.html]\n[output.markdown]",
    );
    book.write(
        "test.toml",
        &format!("[facts]\ntypes = [\"socket\", \"sokket\"]\n{INVESTIGATION}"),
    );
    for (machine, at) in [("guest:test-1", 8), ("guest:test-2", 24)] {
        let mut evidence = evidence(machine, 0x1e00_0000, "said\n");
        evidence.facts = Some(facts(at));
        book.evidence(&evidence);
    }
    book
}

/// Check that holes are shown, and what is elsewhere on the other machine.
#[test]
fn beside_another_machine() {
    let book = book("type=\"socket\" machine=\"guest:test-1\" beside=\"guest:test-2\"");
    book.build();
    let text = book.read("book/markdown/one.md");
    for part in [
        "struct socket",
        "4        4  hole",
        "8        8  sk: struct sock *  [guest:test-2: at 24]",
        "16       16  hole",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(book.read("book/html/one.html").contains("<td>at 24</td>"));
}

/// Check that a type that a machine does not have, or of which nothing was captured, is a gap, and that a type that nothing plans is an
/// error.
#[test]
fn gaps_and_mistakes() {
    let book = book("type=\"sokket\"");
    book.build();
    let page = book.read("book/html/one.html");
    assert!(
        page.contains("UNVERIFIED") && page.contains("this kernel has no type <code>sokket</code>"),
        "{page}"
    );
    book.write("src/one.md", &exhibit("type=\"socket\""));
    for machine in ["guest:test-1", "guest:test-2"] {
        book.evidence(&evidence(machine, 0x1e00_0000, "said\n"));
    }
    book.build();
    let page = book.read("book/html/one.html");
    assert!(
        page.contains("UNVERIFIED") && page.contains("does not hold the type <code>socket</code>"),
        "{page}"
    );
    for (options, problem) in [
        ("type=\"socet\"", "did you mean `socket`?"),
        ("", "the exhibit needs a type"),
        ("type=\"socket\" beside=\"guest:tset-2\"", "guest:test-2"),
    ] {
        book.write("src/one.md", &exhibit(options));
        let built = book.mdbook(&["build"]);
        assert!(
            !built.status.success() && stderr(&built).contains(problem),
            "{options}: {}",
            stderr(&built)
        );
    }
}

//! `diff` on evidence of real kernels, captured as `evidence/socket.toml` says.

use crate::common;

use common::{Book, stderr, stdout};

const INVESTIGATION: &str = include_str!("evidence/socket.toml");
const OLD: &str = include_str!("evidence/debian-6.1-a.json");
const AGAIN: &str = include_str!("evidence/debian-6.1-b.json");
const NEW: &str = include_str!("evidence/debian-6.12.json");

const CLAIMS: &str = "# One\n\n```qed-claim always\ncreate.outcome.returned == create.fd_install.args.fd\n```\n\n\
    ```qed-claim old_line\nline(create.sock_alloc.definition) > 620\n```\n\n\
    ```qed-claim protocol_hook\nbefore(create.update_socket_protocol, create.sock_alloc)\n```\n";

/// The evidence files in a folder, beside a book that makes claims about them.
fn folder() -> Book {
    let book = Book::new(&[("one.md", CLAIMS)], "on-fail = \"warn\"", "");
    book.write("test.toml", INVESTIGATION);
    book.write("old.json", OLD);
    book.write("again.json", AGAIN);
    book.write("new.json", NEW);
    book
}

/// Run `diff` in a folder that holds no book.
fn bare(book: &Book, arguments: &[&str]) -> std::process::Output {
    std::fs::rename(book.path("book.toml"), book.path("hidden.toml")).unwrap();
    let output = book.qed(arguments);
    std::fs::rename(book.path("hidden.toml"), book.path("book.toml")).unwrap();
    output
}

/// Check that two captures of one guest show no drift, whatever their addresses and times, and that what was folded
/// away can be seen without becoming drift.
#[test]
fn two_captures_of_one_guest() {
    let book = folder();
    let output = book.qed(&["diff", "old.json", "again.json"]);
    assert_eq!(output.status.code(), Some(0), "{}", stdout(&output));
    let text = stdout(&output);
    assert!(
        text.contains("No drift.\nFolded away, as expected: "),
        "{text}"
    );
    assert!(text.ends_with("3 claims judged on both.\n"), "{text}");
    let all = book.qed(&["diff", "old.json", "again.json", "--all"]);
    assert_eq!(all.status.code(), Some(0));
    for path in [
        "per boot:",
        "per run:",
        "kaslr.slide: changed",
        "create.sock_alloc.return: changed",
    ] {
        assert!(stdout(&all).contains(path), "{path}: {}", stdout(&all));
    }
    let same = bare(&book, &["diff", "old.json", "old.json"]);
    assert_eq!(same.status.code(), Some(0));
    assert!(
        stdout(&same).ends_with("\nNo drift.\n"),
        "{}",
        stdout(&same)
    );
}

/// Check that another kernel shows what moved, what was inlined, what came, and which claims turned, in every format.
#[test]
fn another_kernel() {
    let book = folder();
    let output = book.qed(&["diff", "old.json", "new.json"]);
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    insta::assert_snapshot!("text", stdout(&output));
    let markdown = book.qed(&["diff", "old.json", "new.json", "--format", "markdown"]);
    assert_eq!(markdown.status.code(), Some(1));
    insta::assert_snapshot!("markdown", stdout(&markdown));
    let json = book.qed(&["diff", "old.json", "new.json", "--format", "json"]);
    assert_eq!(json.status.code(), Some(1));
    let json: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!((&json["drift"], &json["claims"]), (&true.into(), &3.into()));
    assert_eq!(json["old"]["machine"], "guest:debian-6.1");
    let all = json["changes"].as_array().unwrap();
    let change = |path: &str| {
        let found = all.iter().find(|change| change["path"] == path);
        let text = |key: &str| {
            found
                .and_then(|c| c[key].as_str())
                .unwrap_or("none")
                .to_owned()
        };
        (text("what"), text("class"))
    };
    let is = |what: &str, class: &str| (what.to_owned(), class.to_owned());
    assert_eq!(
        change("create.update_socket_protocol"),
        is("appeared", "per-kernel")
    );
    assert_eq!(
        change("create.sock_alloc.definition"),
        is("moved", "per-kernel")
    );
    assert_eq!(change("claims.old_line"), is("verdict", "invariant"));
    assert_eq!(change("claims.protocol_hook"), is("verdict", "per-kernel"));
    assert_eq!(change("claims.always"), is("none", "none"));
}

/// Check that the other way round a probe vanished.
#[test]
fn vanished() {
    let book = folder();
    let output = bare(&book, &["diff", "new.json", "old.json"]);
    assert_eq!(output.status.code(), Some(1));
    let text = stdout(&output);
    assert!(
        text.contains(
            "  create.update_socket_protocol: vanished\n    - attached\n    + unavailable: "
        ),
        "{text}"
    );
    assert!(!text.contains("claims"), "{text}");
}

/// Check that a book that was named must be readable, and that one that merely lies there need not be.
#[test]
fn books() {
    let book = folder();
    let named = bare(&book, &["diff", "old.json", "again.json", "--book", "src"]);
    assert_eq!(named.status.code(), Some(2), "{}", stderr(&named));
    book.write("test.toml", "nonsense");
    let found = book.qed(&["diff", "old.json", "again.json"]);
    assert_eq!(found.status.code(), Some(0), "{}", stderr(&found));
    assert!(
        stderr(&found).contains("its claims were not judged"),
        "{}",
        stderr(&found)
    );
    assert_eq!(
        book.qed(&["diff", "old.json", "again.json", "--book", "."])
            .status
            .code(),
        Some(2)
    );
}

/// Check that input that is not evidence is told with its file and the reason, both files in one go.
#[test]
fn bad_input() {
    let book = folder();
    book.write("broken.json", &OLD[..OLD.len() / 2]);
    let output = book.qed(&["diff", "broken.json", "missing.json"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stdout(&output).is_empty());
    let printed = stderr(&output);
    assert!(
        printed.contains("broken.json was refused") && printed.contains("missing.json was refused"),
        "{printed}"
    );
}

/// Check that a comparison of two architectures says so before what differs, in each form, and one of evidence from before that was said
/// with new evidence of x86-64 does not.
#[test]
fn two_architectures() {
    let book = folder();
    let with_arch = |name: &str, arch: &str| {
        // The release names the architecture, and stands in several places.
        let text = match arch {
            "aarch64" => AGAIN.replace("amd64", "arm64"),
            _ => AGAIN.to_owned(),
        };
        let mut evidence = qed_evidence::reader::read(text.as_bytes()).unwrap();
        evidence.kernel.arch = Some(arch.to_owned());
        book.write(name, &qed_evidence::reader::write(&evidence).unwrap());
    };
    with_arch("arm.json", "aarch64");
    with_arch("x86.json", "x86_64");
    let note = "These kernels are for two architectures, x86-64 and arm64: ";
    for form in ["text", "markdown"] {
        let output = bare(&book, &["diff", "old.json", "arm.json", "--format", form]);
        assert_eq!(output.status.code(), Some(1), "{}", stdout(&output));
        let text = stdout(&output);
        let (before, after) = text.split_once(note).unwrap_or_else(|| panic!("{text}"));
        assert_eq!(before.trim_end().lines().count(), 2, "{text}");
        assert!(after.contains("kernel.arch"), "{text}");
        let same = bare(&book, &["diff", "old.json", "x86.json", "--format", form]);
        assert_eq!(same.status.code(), Some(0), "{}", stdout(&same));
        assert!(
            !stdout(&same).contains("architectures"),
            "{}",
            stdout(&same)
        );
    }
    let json = bare(&book, &["diff", "old.json", "arm.json", "--format", "json"]);
    let json: serde_json::Value = serde_json::from_str(&stdout(&json)).unwrap();
    assert_eq!(
        (&json["old"]["arch"], &json["new"]["arch"]),
        (&"x86_64".into(), &"aarch64".into())
    );
}

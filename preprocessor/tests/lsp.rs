//! The language server, with a scripted editor: what an author sees while writing.

use crate::common;

#[path = "common/editor.rs"]
mod editor;

use std::path::{Path, PathBuf};

use common::{Book, evidence, note_skipped};
use editor::Editor;
use serde_json::{Value, json};

const CHAPTER: &str = "# One 😀\n\nThe call gave {{qed create.outer.return}}.\n\n\
    ```qed-claim good when=\"kaslr.slide != 0x7\"\ncreate.outcome.returned == 3 && fired(create.outer) == 1\n```\n\n\
    ```qed-exhibit table\nstate: create.outer.exit.state\n```\n";

fn book() -> (Book, PathBuf) {
    let book = Book::new(&[("one.md", CHAPTER)], "", "");
    let root = book.dir.path().canonicalize().unwrap();
    let file = root.join("src/one.md");
    (book, file)
}

fn is_error(diagnostic: &Value) -> bool {
    diagnostic["severity"] == 1
}

fn no_errors(shown: &[Value]) -> bool {
    !shown.iter().any(is_error)
}

/// Check the session of an author: type a placeholder, accept what is offered, break a claim, see it, mend it; nothing is saved.
#[test]
fn a_session() {
    let (book, file) = book();
    let mut editor = Editor::start(Some(book.dir.path()));
    let text = editor.open(&file);
    editor.wait("one.md", no_errors);

    let typed = text.replace("😀\n", "😀\n\n😀 {{qed create.\n");
    editor.set(&file, &typed);
    let offered = editor.complete(&file, "😀 {{qed create.");
    let labels: Vec<&str> = offered
        .iter()
        .map(|one| one["label"].as_str().unwrap())
        .collect();
    for label in ["absent", "inner", "outcome", "outer", "quality"] {
        assert!(labels.contains(&label), "{labels:?}");
    }
    editor.wait_for("one.md", "the placeholder has no end in its line");
    let accept = |editor: &mut Editor, behind: &str, label: &str| {
        let offered = editor.complete(&file, behind);
        let one = offered.iter().find(|one| one["label"] == label);
        let one = one.unwrap_or_else(|| panic!("{label} is not offered: {offered:?}"));
        let text = editor.edited(&file, &[one["textEdit"].clone()]);
        editor.set(&file, &text);
        one["detail"].as_str().unwrap_or_default().to_owned()
    };
    accept(&mut editor, "😀 {{qed create.", "outcome");
    let dotted = typed.replace("{{qed create.\n", "{{qed create.outcome.\n");
    editor.set(&file, &dotted);
    let detail = accept(&mut editor, "😀 {{qed create.outcome.", "returned");
    assert!(detail.starts_with('3'), "{detail}");
    let closed = dotted.replace(
        "{{qed create.outcome.\n",
        "{{qed create.outcome.returned}}\n",
    );
    editor.set(&file, &closed);
    editor.wait("one.md", no_errors);

    let broken = closed.replace(
        "```\n\n```qed-exhibit",
        "```\n\n```qed-claim bad\ncreate.outcome.returned == 4\n```\n\n```qed-exhibit",
    );
    editor.set(&file, &broken);
    let shown = editor.wait_for("one.md", "claim `bad` is FAIL on guest:test-1");
    let failed: Vec<&Value> = shown
        .iter()
        .filter(|one| one["code"] == "claim-fail")
        .collect();
    let line = broken
        .lines()
        .position(|line| line == "create.outcome.returned == 4")
        .unwrap();
    assert_eq!(
        failed[0]["range"]["start"],
        json!({ "line": line, "character": 0 })
    );
    assert!(
        failed[0]["message"]
            .as_str()
            .unwrap()
            .contains("create.outcome.returned = 3")
    );

    editor.set(&file, &broken.replace("== 4", "== 3"));
    editor.wait("one.md", no_errors);
    assert!(editor.hover(&file, "```qed-claim ba").contains("PASS"));
    assert_eq!(book.read("src/one.md"), CHAPTER);
    assert_eq!(editor.end(), Some(0));
}

/// Check what is offered in claims, exhibits and options, and that nothing is offered in prose.
#[test]
fn completion() {
    let (book, file) = book();
    let mut editor = Editor::start(Some(book.dir.path()));
    editor.open(&file);
    editor.wait("one.md", no_errors);
    let mut offered = |typed: &str| {
        editor.set(&file, &format!("# One\n\n{typed}\n"));
        editor.labels(&file, typed)
    };
    let has = |labels: &[String], all: &[&str]| {
        for one in all {
            assert!(labels.iter().any(|label| label == one), "{one}: {labels:?}");
        }
    };
    has(
        &offered("```qed-claim a\nfired(create.outer) == 1 && nev"),
        &["never", "create", "kaslr"],
    );
    has(
        &offered("```qed-claim a\nnever(create."),
        &["absent", "inner"],
    );
    has(&offered("```qed-claim a\ncreate.outer.exit."), &["state"]);
    has(
        &offered("```qed-claim a w"),
        &["when", "holds", "machine", "unverified"],
    );
    has(
        &offered("```qed-claim a when=\"create.outcome."),
        &["returned", "errno"],
    );
    has(
        &offered("```qed-claim a machine=\"guest:"),
        &["guest:test-1", "guest:test-2"],
    );
    has(&offered("```qed-exhibit "), &["table", "graph", "layout"]);
    has(
        &offered("```qed-exhibit graph b"),
        &["below", "levels", "experiment"],
    );
    has(&offered("```qed-exhibit graph experiment=\""), &["create"]);
    has(
        &offered("```qed-exhibit table\nlabel: create.outer."),
        &["exit", "return", "args"],
    );
    has(
        &offered("{{qed create.outer.return a"),
        &["as", "width", "align", "machine"],
    );
    has(
        &offered("{{qed create.outer.return as=\""),
        &["hex", "symbol"],
    );
    has(&offered("{{qed claims."), &["good"]);
    has(&offered("```qed-"), &["qed-claim", "qed-exhibit"]);
    // Of a probe that fired once, the number of the hit says nothing.
    let below = offered("{{qed create.outer.");
    assert!(!below.iter().any(|label| label == "hit1"), "{below:?}");
    has(&offered("{{qed create.outer.hit1."), &["return"]);
    for nothing in [
        "In prose: create.",
        "```c\ncreate.",
        "```qed-claim a\ncreate.outcome.stdout != 'create.",
    ] {
        assert_eq!(offered(nothing), [""; 0], "{nothing}");
    }
    assert_eq!(editor.end(), Some(0));
}

/// Check that hover tells value, type and provenance on each machine, and what functions, probes and experiments are.
#[test]
fn hover() {
    let (book, file) = book();
    let mut editor = Editor::start(Some(book.dir.path()));
    editor.open(&file);
    editor.wait("one.md", no_errors);
    let value = editor.hover(&file, "{{qed create.outer.ret");
    for words in [
        "guest:test-1 \\*",
        "guest:test-2",
        "0xffff88811e000000",
        "struct thing",
        "Linux 0.0.1-test",
        "2026-01-02",
    ] {
        assert!(
            value
                .replace("\\_", "_")
                .replace("\\-", "-")
                .contains(words),
            "{words}: {value}"
        );
    }
    assert!(
        editor
            .hover(&file, "&& fir")
            .contains("how often a probe fired")
    );
    assert!(
        editor
            .hover(&file, "&& fired(create.ou")
            .contains("function outer")
    );
    assert!(
        editor
            .hover(&file, "state: create.outer.exit.st")
            .contains("SS_ON")
    );
    assert_eq!(editor.hover(&file, "# On"), "");
    let toml = file.parent().unwrap().parent().unwrap().join("test.toml");
    editor.open(&toml);
    let probe = editor.hover(&toml, "function = \"abs");
    assert!(probe.contains("not watched: no such function"), "{probe}");
    assert!(
        editor.hover(&toml, "name = \"cre").contains("socket("),
        "{probe}"
    );
    assert_eq!(editor.end(), Some(0));
}

/// Check that of a live machine hover, completion and diagnostics show what a page shows, and no address.
#[test]
fn redaction() {
    let (book, file) = book();
    let settings = book.read("book.toml").replace(
        "\"guest:test-1\", \"guest:test-2\"",
        "\"host\", \"guest:test-2\"",
    );
    book.write("book.toml", &settings);
    book.evidence(&evidence("host", 0x1e00_0000, "said\n"));
    let secret = "88811e000000";
    let mut editor = Editor::start(Some(book.dir.path()));
    editor.open(&file);
    editor.wait("one.md", no_errors);
    let value = editor.hover(&file, "{{qed create.outer.ret");
    assert!(
        value.contains("`pointer#") && value.contains("88810a200000"),
        "{value}"
    );
    let broken = CHAPTER.replace(
        "create.outcome.returned == 3 &&",
        "create.outer.return == address(1) &&",
    );
    editor.set(&file, &format!("{broken}\n{{{{qed create.outer."));
    let offered = editor.complete(&file, "\n{{qed create.outer.");
    let shown = editor.wait_for("one.md", "claim `good` is FAIL on host");
    let explained = editor.hover(&file, "```qed-claim go");
    assert!(explained.contains("FAIL"), "{explained}");
    for text in [
        value,
        explained,
        json!(offered).to_string(),
        json!(shown).to_string(),
    ] {
        assert!(!text.contains(secret), "{text}");
    }
    assert_eq!(editor.end(), Some(0));
}

/// The file and line of each place of an answer.
fn places(answer: &Value) -> Vec<(String, u64)> {
    let name = |one: &Value| {
        one["uri"]
            .as_str()
            .unwrap()
            .rsplit('/')
            .next()
            .unwrap()
            .to_owned()
    };
    let line = |one: &Value| one["range"]["start"]["line"].as_u64().unwrap();
    answer
        .as_array()
        .unwrap()
        .iter()
        .map(|one| (name(one), line(one)))
        .collect()
}

/// Check the ways between chapters and investigation: to a claim, a probe, an experiment, and back to where they are used.
#[test]
fn definitions() {
    let (book, file) = book();
    book.write(
        "src/one.md",
        &CHAPTER.replace("gave ", "gave {{qed claims.good}}, "),
    );
    let toml = file.parent().unwrap().parent().unwrap().join("test.toml");
    let mut editor = Editor::start(Some(book.dir.path()));
    editor.open(&file);
    editor.open(&toml);
    let mut go = |file: &Path, words: &str| {
        let at = editor.behind(file, words);
        places(&editor.ask("textDocument/definition", at))
    };
    let line =
        |text: &str, words: &str| text[..text.find(words).unwrap()].matches('\n').count() as u64;
    let investigation = common::INVESTIGATION;
    assert_eq!(go(&file, "{{qed claims.go"), [("one.md".into(), 4)]);
    assert_eq!(
        go(&file, "{{qed create.ou"),
        [("test.toml".into(), line(investigation, "\"outer\""))]
    );
    assert_eq!(
        go(&file, "fired(cre"),
        [("test.toml".into(), line(investigation, "\"create\""))]
    );
    assert_eq!(go(&file, "# On"), []);
    let used = go(&toml, "function = \"ou");
    assert_eq!(
        used,
        [
            ("one.md".into(), 2),
            ("one.md".into(), 5),
            ("one.md".into(), 9)
        ]
    );
    let at = editor.behind(&file, "{{qed create.ou");
    let mut at = at.clone();
    at["context"] = json!({ "includeDeclaration": true });
    assert_eq!(
        editor
            .ask("textDocument/references", at)
            .as_array()
            .unwrap()
            .len(),
        4
    );
    assert_eq!(editor.end(), Some(0));
}

/// Check that a probe is renamed in all chapters, those that are not open among them, and in the investigation; and that the result
/// is a book whose only fault is that its evidence knows the old name.
#[test]
fn rename() {
    let other = "# Two\n\n{{qed create.outer.exit.state}}\n";
    let book = Book::new(&[("one.md", CHAPTER), ("two.md", other)], "", "");
    let root = book.dir.path().canonicalize().unwrap();
    let (file, two, toml) = (
        root.join("src/one.md"),
        root.join("src/two.md"),
        root.join("test.toml"),
    );
    let mut editor = Editor::start(Some(book.dir.path()));
    editor.open(&file);
    let mut at = editor.behind(&file, "{{qed create.ou");
    let prepared = editor.ask("textDocument/prepareRename", at.clone());
    assert_eq!(prepared["placeholder"], "outer");
    at["newName"] = json!("inner");
    let refused = editor.response("textDocument/rename", at.clone());
    assert!(
        refused["error"]["message"]
            .as_str()
            .unwrap()
            .contains("`inner` is already defined"),
        "{refused}"
    );
    at["newName"] = json!("made");
    let edit = editor.ask("textDocument/rename", at);
    editor.open(&two);
    editor.open(&toml);
    let renamed = |file: &Path| {
        let edits = edit["changes"][editor::uri(file)]
            .as_array()
            .unwrap()
            .clone();
        editor.edited(file, &edits)
    };
    let (new_one, new_two, new_toml) = (renamed(&file), renamed(&two), renamed(&toml));
    assert_eq!(new_one, CHAPTER.replace("create.outer", "create.made"));
    assert_eq!(new_two, other.replace("outer", "made"));
    assert_eq!(
        new_toml,
        common::INVESTIGATION.replace(
            "function = \"outer\"",
            "name = \"made\"\nfunction = \"outer\""
        )
    );
    book.write("src/one.md", &new_one);
    book.write("src/two.md", &new_two);
    book.write("test.toml", &new_toml);
    let printed = common::stderr(&book.qed(&["check"]));
    assert!(
        !printed.contains("unknown") && !printed.contains("error: no "),
        "{printed}"
    );
    let nothing = editor.behind(&file, "# On");
    let refused = editor.response("textDocument/prepareRename", nothing);
    assert!(
        refused["error"]["message"]
            .as_str()
            .unwrap()
            .contains("no probe is named here"),
        "{refused}"
    );
    assert_eq!(editor.end(), Some(0));
}

/// Check that an investigation which cannot be read while one types gets its diagnostics, that the book is answered about as before,
/// and that another one is taken in once it can be read.
#[test]
fn half_an_investigation() {
    let (book, file) = book();
    let toml = file.parent().unwrap().parent().unwrap().join("test.toml");
    let mut editor = Editor::start(Some(book.dir.path()));
    editor.open(&file);
    let text = editor.open(&toml);
    editor.wait("one.md", no_errors);
    editor.set(&toml, &text.replace("name = \"create\"", "name = \"crea"));
    editor.wait_for("test.toml", "the investigation cannot be read");
    assert!(
        editor
            .hover(&file, "{{qed create.outer.ret")
            .contains("guest:test-1")
    );
    let more = format!(
        "{text}\n[[experiment.probe]]\nfunction = \"sock_alloc\"\nreads = [{{ at = \"exit\", name = \"mine\", path = \"return->state\" }}]\n"
    );
    editor.set(&toml, &more);
    editor.wait("test.toml", no_errors);
    editor.set(
        &file,
        &CHAPTER.replace("gave ", "gave {{qed create.sock_alloc.exit. "),
    );
    assert_eq!(
        editor.labels(&file, "{{qed create.sock_alloc.exit."),
        ["mine"]
    );
    editor.close(&toml);
    assert_eq!(editor.end(), Some(0));
}

/// Check that evidence which comes while the editor is open is noticed, and that a book without any says so and still knows what
/// is planned.
#[test]
fn evidence_comes_later() {
    let (book, file) = book();
    std::fs::remove_dir_all(book.path(".qed")).unwrap();
    let mut editor = Editor::start(Some(book.dir.path()));
    editor.open(&file);
    editor.wait_for(
        "book.toml",
        "there is no evidence of any machine of this book",
    );
    assert!(
        editor
            .hover(&file, "{{qed create.outer.ret")
            .contains("There is no evidence")
    );
    editor.set(
        &file,
        &CHAPTER.replace("gave ", "gave {{qed create.outer. "),
    );
    assert_eq!(editor.labels(&file, "gave {{qed create.outer."), ["exit"]);
    editor.set(&file, CHAPTER);
    book.evidence(&evidence("guest:test-1", 0x1e00_0000, "said\n"));
    editor.wait("book.toml", no_errors);
    assert!(
        editor
            .hover(&file, "{{qed create.outer.ret")
            .contains("0xffff88811e000000")
    );
    assert_eq!(editor.end(), Some(0));
}

/// Check that a folder without a book, a book that cannot be loaded, and a document from elsewhere cost no session.
#[test]
fn no_book() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().canonicalize().unwrap();
    let stray = root.join("stray.md");
    std::fs::write(&stray, "{{qed create.").unwrap();
    let mut editor = Editor::start(Some(&root));
    editor.open(&stray);
    assert_eq!(editor.hover(&stray, "{{qed cre"), "");
    // The first document of a book leads to it.
    let (book, file) = book();
    let settings = book.read("book.toml");
    book.write("book.toml", "[book");
    editor.open(&file);
    editor.wait_for("book.toml", "the book cannot be loaded");
    book.write("book.toml", &settings);
    editor.wait("book.toml", no_errors);
    assert!(
        editor
            .hover(&file, "{{qed create.outer.ret")
            .contains("guest:test-1")
    );
    assert_eq!(editor.hover(&stray, "{{qed cre"), "");
    assert_eq!(editor.end(), Some(0));
}

/// Check that requests which make no sense get an error each, positions that are nowhere an answer, and that half a message, or an
/// editor that vanishes, ends the server with a word and not with a panic.
#[test]
fn hostile_editor() {
    let (book, file) = book();
    let mut editor = Editor::start(Some(book.dir.path()));
    editor.open(&file);
    for (method, params, code) in [
        ("textDocument/hover", json!({ "textDocument": 7 }), -32602),
        ("textDocument/rename", json!(null), -32602),
        ("textDocument/nonsense", json!({}), -32601),
    ] {
        let response = editor.response(method, params);
        assert_eq!(response["error"]["code"], code, "{response}");
    }
    editor.tell("textDocument/didChange", json!({ "textDocument": 7 }));
    editor.tell("textDocument/didChange", json!({ "textDocument": { "uri": "file:///never/opened.md", "version": 1 }, "contentChanges": [] }));
    editor.tell("textDocument/didOpen", json!({ "textDocument": { "uri": "untitled:1", "languageId": "markdown", "version": 1, "text": "{{qed " } }));
    for (line, character) in [
        (0, 99_999),
        (99_999, 0),
        (4_294_967_295_u32, 4_294_967_295_u32),
        (0, 7),
    ] {
        let at = json!({ "textDocument": { "uri": editor::uri(&file) }, "position": { "line": line, "character": character } });
        for method in [
            "textDocument/hover",
            "textDocument/completion",
            "textDocument/definition",
        ] {
            editor.ask(method, at.clone());
        }
    }
    // Parts of a document, although nobody asked for parts; some of them nowhere.
    let part = |start: u32, end: u32, text: &str| json!({ "range": { "start": { "line": start, "character": 2 }, "end": { "line": end, "character": 1 } }, "text": text });
    let about = json!({ "uri": editor::uri(&file), "version": 9 });
    let changes = json!([
        part(0, 3, "😀"),
        part(9, 2, "x"),
        part(99, 999, "{{qed create.")
    ]);
    editor.tell(
        "textDocument/didChange",
        json!({ "textDocument": about, "contentChanges": changes }),
    );
    editor.wait_for("one.md", "the placeholder has no end in its line");
    // A frame without a message is answered, and the next one is read.
    for (body, code) in [("{]", -32700), ("{\"jsonrpc\":\"2.0\"}", -32600)] {
        editor.send_raw(format!("Content-Length: {}\r\n\r\n{body}", body.len()).as_bytes());
        let answer = editor.next_error();
        assert_eq!(answer["error"]["code"], code, "{answer}");
        assert!(answer["id"].is_null(), "{answer}");
    }
    editor.ask("textDocument/hover", editor.behind(&file, "# "));
    editor.send_raw(b"Content-Length: 99999\r\n\r\n{\"jsonrpc\":");
    let (status, printed) = editor.vanish();
    assert_eq!(status, Some(2), "{printed}");
    assert!(
        printed.contains("a message from the editor cannot be read")
            && !printed.contains("panicked"),
        "{printed}"
    );

    let (status, printed) = Editor::start(Some(book.dir.path())).vanish();
    assert_eq!(status, Some(2), "{printed}");
    assert!(
        printed.contains("went away without saying `shutdown`"),
        "{printed}"
    );
}

/// Check with a real editor, neovim, that diagnostics, completion and hover arrive where its users see them.
#[test]
fn neovim() {
    let found = std::process::Command::new("nvim").arg("--version").output();
    if !found.is_ok_and(|output| output.status.success()) {
        return note_skipped("there is no nvim here: `make test-tools` installs it");
    }
    let (book, file) = book();
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let script = tests.join("lsp/session.lua");
    let guide = std::fs::read_to_string(tests.join("../../guide/src/editor.md")).unwrap();
    let settings = guide.split("```lua\n").nth(1).unwrap();
    book.write("settings.lua", settings.split("```").next().unwrap());
    let program = Path::new(env!("CARGO_BIN_EXE_mdbook-qed"));
    let folders = std::env::var_os("PATH").unwrap_or_default();
    let ours = std::iter::once(program.parent().unwrap().to_owned());
    let folders = std::env::join_paths(ours.chain(std::env::split_paths(&folders))).unwrap();
    let output = std::process::Command::new("nvim")
        .args(["--headless", "--clean", "-n", "-u", "NONE"])
        .arg(&file)
        .arg("-c")
        .arg(format!("luafile {}", script.display()))
        .current_dir("/")
        .env("PATH", folders)
        .env("QED_SETTINGS", book.path("settings.lua"))
        .env("HOME", book.dir.path())
        .output()
        .unwrap();
    let printed = common::stdout(&output) + &common::stderr(&output);
    assert!(
        output.status.success() && printed.contains("all seen"),
        "{printed}"
    );
    assert_eq!(book.read("src/one.md"), CHAPTER);
}

/// Check that the settings which the guide shows name the command that there is.
#[test]
fn settings_of_the_guide() {
    let guide = Path::new(env!("CARGO_MANIFEST_DIR")).join("../guide/src/editor.md");
    let guide = std::fs::read_to_string(guide).unwrap();
    let block = |language: &str| {
        let rest = guide.split(&format!("```{language}\n")).nth(1).unwrap();
        rest.split("```").next().unwrap().to_owned()
    };
    let code: Value = serde_json::from_str(&block("json")).unwrap();
    assert_eq!(code["glspc.server.command"], "mdbook-qed");
    assert_eq!(code["glspc.server.commandArguments"], json!(["lsp"]));
    let helix: toml::Table = block("toml").parse().unwrap();
    let server = helix["language-server"]["mdbook-qed"].as_table().unwrap();
    assert_eq!(server["command"].as_str(), Some("mdbook-qed"));
    assert_eq!(server["args"].as_array().unwrap().len(), 1);
    assert!(block("elisp").contains("(\"mdbook-qed\" \"lsp\")"));
}

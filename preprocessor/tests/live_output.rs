//! Output of workloads on the live machine that this test runs on: what tells of it is on no page and in no file that is published.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::common;

use common::{Book, good, note_skipped, stderr};

/// `uname`, as a program that prints the machine's name and as a call that gets it in a buffer.
const INVESTIGATION: &str = r#"
[[experiment]]
name = "who"
workload = { command = ["uname", "-n"] }
until = "exit"
[[experiment.probe]]
tracepoint = "sys_enter"
name = "in"
syscall = "write"

[[experiment]]
name = "names"
workload = { syscall = "uname", args = [{ buffer = "u", ints = 98 }] }
[[experiment.probe]]
tracepoint = "sys_enter"
name = "in"
"#;

/// The name of the machine while it is captured.
const NAME: &str = "zebra7.castle.example";

const CHAPTER: &str = "# C\n\n{{qed who.outcome.stdout}} {{qed names.outcome.buffers.u}}\n\n\
    ```qed-claim printed\nwho.outcome.stdout != ''\n```\n\n\
    ```qed-claim ended\nwho.outcome.exit == 0\n```\n\n\
    ```qed-exhibit evidence\n```\n";

fn collector() -> PathBuf {
    Path::new(env!("CARGO_BIN_EXE_mdbook-qed")).with_file_name("qed-collector")
}

/// The name as text, as hexadecimal digits, and as the numbers that it is in a buffer of 32-bit integers.
fn spellings(name: &str) -> Vec<String> {
    let hex: String = name.bytes().map(|byte| format!("{byte:02x}")).collect();
    let words = name.as_bytes().chunks_exact(4);
    let numbers = words.map(|word| u32::from_le_bytes([word[0], word[1], word[2], word[3]]));
    let numbers = numbers.flat_map(|number| [number.to_string(), format!("{number:#x}")]);
    [name.to_owned(), hex].into_iter().chain(numbers).collect()
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    paths
        .flat_map(|path| match path.is_dir() {
            true => files(&path),
            false => vec![path],
        })
        .collect()
}

/// Check that the name of the machine, printed by a program and written into a buffer by a call, is judged there, and is in no file of
/// the built and published book, however it is spelled.
#[test]
fn of_this_machine() {
    if !collector().exists() {
        return note_skipped("there is no qed-collector beside mdbook-qed; `make build` builds it");
    }
    let book = Book::new(&[("c.md", CHAPTER)], "", "[output.html]\n");
    let toml = book.read("book.toml").replace(
        "machines = [\"guest:test-1\", \"guest:test-2\"]",
        "machines = [\"host\"]",
    );
    book.write("book.toml", &toml);
    book.write("test.toml", INVESTIGATION);
    std::fs::remove_dir_all(book.path(".qed/evidence")).unwrap();
    // Under a name that nothing else has.
    let captured = Command::new("unshare")
        .args(["--uts", "sh", "-c"])
        .arg("echo \"$0\" > /proc/sys/kernel/hostname && exec \"$@\"")
        .arg(NAME)
        .arg(collector())
        .args(["capture", "--book", "book.toml"])
        .current_dir(book.dir.path())
        .output();
    let Ok(captured) = captured else {
        return note_skipped("there is no unshare, which comes with util-linux");
    };
    if !captured.status.success() {
        let why = stderr(&captured);
        return note_skipped(&format!(
            "this machine cannot be renamed or captured: {why}"
        ));
    }
    // Where it lies for the author alone, the name is there: the search finds it.
    let raw = std::fs::read_to_string(book.path(".qed/evidence/host.json")).unwrap();
    assert!(raw.contains(NAME));
    book.build();
    good(&book.qed(&["publish", "book"]));
    good(&book.qed(&["verify", "book", "--evidence", ".qed/evidence"]));
    good(&book.qed(&["redact", "outgoing", "--machine", "host"]));
    let page = book.read("book/c.html");
    assert!(
        page.contains("✔ PASS") && page.contains("withheld"),
        "{page}"
    );
    let published = files(&book.path("book"));
    let handed_over = files(&book.path("outgoing"));
    assert!(published.len() > 20 && !handed_over.is_empty());
    for file in published.iter().chain(&handed_over) {
        let bytes = std::fs::read(file).unwrap();
        let text = String::from_utf8_lossy(&bytes);
        for spelling in spellings(NAME) {
            assert!(!text.contains(&spelling), "{}: {spelling}", file.display());
        }
    }
}

//! The memory that hostile evidence may cost. In a program of its own: the largest of its children is measured.

mod common;

use common::{Book, evidence, stderr};
use nix::sys::resource::{UsageWho, getrusage};

/// The most memory that any child of this process ever held, in MiB.
fn peak() -> i64 {
    getrusage(UsageWho::RUSAGE_CHILDREN).unwrap().max_rss() / 1024
}

/// Check that evidence of 100 MB is refused at once, with the size that is allowed and in little memory; and that the
/// largest that is read, full of the smallest values, stays bearable.
#[test]
fn large_evidence() {
    let chapter = "# One\n\n```qed-claim good\ncreate.outcome.returned == 3\n```\n";
    let book = Book::new(&[("one.md", chapter)], "", "");
    let path = book.path(".qed/evidence/guest-test-1.json");

    std::fs::write(&path, vec![b' '; 100 << 20]).unwrap();
    let output = book.qed(&["check"]);
    let printed = stderr(&output);
    assert_eq!(output.status.code(), Some(2), "{printed}");
    assert!(
        printed.contains("more than the 16777216 that are read"),
        "{printed}"
    );
    assert!(
        printed.contains("guest-test-1.json") && printed.contains("capture again"),
        "{printed}"
    );
    let refused = peak();

    let text = qed_evidence::reader::write(&evidence("guest:test-1", 1, "")).unwrap();
    let (head, tail) = text
        .split_once("\"boots\"")
        .map_or_else(
            || {
                text.split_once("\"experiments\"")
                    .map(|(h, t)| (h.to_owned(), format!("\"experiments\"{t}")))
            },
            |(h, t)| Some((h.to_owned(), format!("\"boots\"{t}"))),
        )
        .unwrap();
    let boot = r#"{"boot_id":"","time":"","slide":{"unavailable":""},"text":{"unavailable":""},"physical":{"unavailable":""}},"#;
    let count = (qed_evidence::reader::MAX_BYTES - text.len() - 64) / boot.len();
    let boots = boot.repeat(count);
    let boots = boots.trim_end_matches(',');
    std::fs::write(&path, format!("{head}\"boots\": [{boots}], {tail}")).unwrap();
    let output = book.qed(&["check"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let read = peak();
    println!(
        "peak memory: 100 MB refused in {refused} MiB; 16 MB of {count} boots read in {read} MiB"
    );
    assert!(refused < 128, "{refused} MiB");
    assert!(read < 1024, "{read} MiB");
}

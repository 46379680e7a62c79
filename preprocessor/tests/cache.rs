//! The cache between builds never shows: the same pages with and without it, and never those of other evidence.

use crate::common;

use std::path::PathBuf;

use common::{Book, evidence, stderr};
use qed_evidence::Evidence;
use qed_evidence::value::Value;

const CHAPTER: &str = "# One\n\n```qed-exhibit evidence\n```\n\n```qed-claim good\ncreate.outcome.returned == 3\n```\n";

/// Evidence of a machine that calls its processor by this word: of a live machine, too, that is public.
fn calling(machine: &str, word: &str) -> Evidence {
    let mut evidence = evidence(machine, 0x1e00_0000, "");
    evidence.machine.cpu_model = word.into();
    evidence
}

/// Built once, with the evidence of a machine.
fn built(machine: &str) -> Book {
    let book = Book::new(&[("one.md", CHAPTER)], "", "");
    let settings = book.read("book.toml");
    book.write("book.toml", &settings.replace("guest:test-1", machine));
    std::fs::remove_dir_all(book.path(".qed")).unwrap();
    book.evidence(&calling(machine, "said"));
    book.build();
    book
}

/// All that is kept, in order.
fn cached_files(book: &Book) -> Vec<PathBuf> {
    let entries =
        std::fs::read_dir(book.path(mdbook_qed::evidence::locations::CACHE_FOLDER)).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> = paths.filter(|p| !p.ends_with(".gitignore")).collect();
    files.sort();
    files
}

/// Check that a build from what is kept gives the same page, and so does one after it was damaged, emptied or deleted;
/// and that what is wrong is replaced.
#[test]
fn same_pages() {
    for (machine, count) in [("guest:test-1", 1), ("host", 2)] {
        let book = built(machine);
        let page = book.read("book/one.html");
        assert!(page.contains("said"), "{page}");
        let files = cached_files(&book);
        assert_eq!(files.len(), count, "{machine}: {files:?}");
        let whole: Vec<Vec<u8>> = files.iter().map(|f| std::fs::read(f).unwrap()).collect();
        book.build();
        assert_eq!(book.read("book/one.html"), page);
        for damage in [b"nonsense".as_slice(), b"", &[0; 4096]] {
            for file in &files {
                std::fs::write(file, damage).unwrap();
            }
            book.build();
            assert_eq!(book.read("book/one.html"), page);
            assert_eq!(cached_files(&book), files);
            for (file, whole) in files.iter().zip(&whole) {
                assert_eq!(&std::fs::read(file).unwrap(), whole);
            }
        }
        std::fs::remove_dir_all(book.path(mdbook_qed::evidence::locations::CACHE_FOLDER)).unwrap();
        book.build();
        assert_eq!(book.read("book/one.html"), page);
    }
}

/// Check that other evidence is shown and judged at once: nothing of the earlier one is left.
#[test]
fn never_stale() {
    for machine in ["guest:test-1", "host"] {
        let book = built(machine);
        assert!(!book.read("book/one.html").contains("anotherword"));
        book.evidence(&calling(machine, "anotherword"));
        book.build();
        assert!(book.read("book/one.html").contains("anotherword"));
        let mut other = calling(machine, "said");
        let create = other.experiments.get_mut("create").unwrap();
        create.outcome.returned = Value::Fd { value: 4 }.into();
        book.evidence(&other);
        let output = book.mdbook(&["build"]);
        assert!(!output.status.success());
        assert!(
            stderr(&output).contains("claim `good` is FAIL"),
            "{}",
            stderr(&output)
        );
    }
}

/// Check that commands which only look leave nothing behind.
#[test]
fn looking_keeps_nothing() {
    let book = built("host");
    std::fs::remove_dir_all(book.path(mdbook_qed::evidence::locations::CACHE_FOLDER)).unwrap();
    let output = book.qed(&["check"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert!(
        !book
            .path(mdbook_qed::evidence::locations::CACHE_FOLDER)
            .exists()
    );
}

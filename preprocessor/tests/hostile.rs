//! Evidence that is out to break the page cannot.

use crate::common;

use common::{Book, HOSTILE, PLACES, evidence, stdout};

/// Check that no hostile value adds an element, ends a code block, splits a table or hides what follows.
#[test]
fn stays_where_it_stands() {
    let harmless = tags_with("harmless");
    for message in HOSTILE {
        assert_eq!(tags_with(message), harmless, "{message:?}");
    }
}

/// The elements of the page, in order, and whether text still follows; for a value.
fn tags_with(message: &str) -> Vec<String> {
    let book = Book::new(&[("one.md", PLACES)], "", "");
    for (machine, slide) in [("guest:test-1", 0x1e00_0000), ("guest:test-2", 0x0a20_0000)] {
        book.evidence(&evidence(machine, slide, message));
    }
    book.build();
    let html = book.read("book/one.html");
    let main = &html[html.find("<main>").unwrap()..html.find("</main>").unwrap()];
    assert!(main.contains("id=\"end\""), "{main}");
    assert!(
        !main
            .chars()
            .any(|c| matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')),
        "{main}"
    );
    let verified = book.qed(&["verify", "book", "--evidence", ".qed/evidence"]);
    assert!(
        verified.status.success(),
        "{message:?}: {}",
        stdout(&verified)
    );
    let mut tags = Vec::new();
    for piece in main.split('<').skip(1) {
        let name: String = piece
            .chars()
            .take_while(|c| c.is_ascii_alphanumeric() || *c == '/' || *c == '!')
            .collect();
        let handler = piece.split('>').next().unwrap().contains(" onmouseover=\"");
        assert!(!handler, "{piece}");
        tags.push(name);
    }
    tags
}

//! Evidence that is out to break the page cannot.

mod common;

use common::{Book, evidence, stdout};

const PLACES: &str = "# Hostile\n\nprose {{qed create.outcome.stdout}} end\n\n- {{qed create.outcome.stdout}}\n\n> {{qed create.outcome.stdout}}\n\n\
    code `a {{qed create.outcome.stdout}} b` end\n\n| a | b |\n|---|---|\n| {{qed create.outcome.stdout}} | `{{qed create.outcome.stdout}}` |\n\n\
    ```text\n{{qed create.outcome.stdout}}\nx {{qed create.outcome.stdout}} y\n```\n\n    {{qed create.outcome.stdout}}\n\n\
    [link](https://example.org/{{qed create.outcome.stdout}}) [{{qed create.outcome.stdout}}](x \"{{qed create.outcome.stdout}}\") ![{{qed create.outcome.stdout}}](y.png)\n\n\
    <b title=\"{{qed create.outcome.stdout}}\" data-x='{{qed create.outcome.stdout}}'>t</b> <a href=\"{{qed create.outcome.stdout}}\">u</a>\n\n\
    <div>\n{{qed create.outcome.stdout}}\n<svg><text>{{qed create.outcome.stdout}}</text></svg>\n<!-- {{qed create.outcome.stdout}} -->\n</div>\n\n\
    ```qed-exhibit table\ncreate.outcome.stdout\n```\n\n```qed-claim c\ncreate.outcome.stdout != \"x\"\n```\n\n# End\n";

/// Check that no hostile value adds an element, ends a code block, splits a table or hides what follows.
#[test]
fn stays_where_it_stands() {
    let harmless = tags_with("harmless");
    for said in [
        "<script>alert(1)</script>",
        "</span></p></div><img src=x onerror=alert(1)>",
        "\" onmouseover=\"alert(1)",
        "' onmouseover='alert(1)",
        "javascript:alert(1)",
        "a|b|c",
        "`x` ``y`` ```",
        "```\n\n# heading\n\n<b>x</b>\n",
        "~~~\nx",
        "line\n\nline\n- list\n1. one\n",
        "\u{202e}\u{2066}right to left\u{200f}",
        "{{qed kaslr.slide}} \\{{qed x}}",
        "{{#include /etc/passwd}}",
        "--> <!-- x",
        "]](( ]: x \\",
        "&lt;b&gt; &#60;b&#62;",
        "\u{0}\u{1b}[31m\u{7f}",
        "*a* _b_ ~~c~~ **d**",
        "+ 1. # > = - :",
    ] {
        assert_eq!(tags_with(said), harmless, "{said:?}");
    }
}

/// The elements of the page, in order, and whether text still follows; for a value.
fn tags_with(said: &str) -> Vec<String> {
    let book = Book::new(&[("one.md", PLACES)], "", "");
    for (machine, slide) in [("guest:test-1", 0x1e00_0000), ("guest:test-2", 0x0a20_0000)] {
        book.evidence(&evidence(machine, slide, said));
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
    // A value that holds `{{qed ` cannot be told from one that was not filled, except by the places it stands in.
    if !said.contains("{{qed ") {
        assert!(verified.status.success(), "{said:?}: {}", stdout(&verified));
    }
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

//! A book that does not use this preprocessor is the same with and without it, byte for byte.

use crate::common;

use std::collections::BTreeMap;
use std::path::Path;

use common::{Book, stderr};

/// Every file below a folder with its content.
fn files(root: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut out = BTreeMap::new();
    let mut queue = vec![root.to_owned()];
    while let Some(folder) = queue.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                queue.push(path);
            } else {
                let name = path.strip_prefix(root).unwrap().display().to_string();
                out.insert(name, std::fs::read(&path).unwrap());
            }
        }
    }
    out
}

/// Chapters that are hard to leave alone.
const HARD: &[(&str, &str)] = &[
    (
        "README.md",
        "# Start\n\nA {{closure}} and ${{ secrets.X }} and {{ qed x }} and {{qed}} and {{qedx y}}.\n\n\\{{#include x}} \\* \\\\ \\_\n",
    ),
    (
        "crlf.md",
        "# CRLF\r\n\r\n- a\r\n- b\r\n\r\n```text\r\n{{closure#0}}\r\n```\r\n\r\n| a | b |\r\n|---|---|\r\n| `x\\|y` | \"q\" -- ... |\r\n",
    ),
    (
        "deep/nested.md",
        "# Nested\n\n{{#include a.txt}}\n\n{{#include a.txt:2}}\n\n```rust\n# fn main() {\n{{#include b.rs:here}}\n# }\n```\n",
    ),
    (
        "html.md",
        "Setext\n======\n\n<div class=\"{{x}}\">\n\n*text*\n\n</div>\n\n<!-- {{ qed }} -->\n\n<script>let a = {{}};</script>\n\n[^1]: note\n\ntext[^1] \u{202e}rtl\u{202c} \u{0}nul\n",
    ),
    (
        "info.md",
        "# Info\n\n```qed\nx\n```\n\n```my-qed-thing\n```\n\n> [!NOTE]\n> ~~~\n> {{\n> ~~~\n\n    indented {{qed}}\n",
    ),
    (
        "other.md",
        "# Other tools\n\n{{%session outline}}\n\n{{#title Another title}}\n\n<!-- cmdrun echo {{qed}} -->\n\n```rust,editable\nfn main() { writeln!(out, \"{name} {{\").unwrap(); }\n```\n\n{{#playground deep/b.rs editable}}\n\n```rust\n{{#rustdoc_include deep/b.rs:here}}\n```\n\n\\\\( {{x}}_{{y}} \\\\) $$ {{ }} $$ \\{{#include no}} `{{ site.url }}` {% raw %}{{ qed }}{% endraw %}\n",
    ),
    (
        "block.md",
        "A line\\\nbroken  \nhard\n\n* a\n\n  1) b\n\n     > c\n***\n_a_*b*__c__~~d~~ a*b*c\n\nterm\n: definition\n\n- [ ] task\n- [x] done\n\n<svg><text>{{a}}</text></svg> <a name=x>\n\n[ref]: <u v> 'w'\n[ref] [a](<b c> (d)) ![](e) <f@g.hi> &copy; &#x41; \u{feff}\u{200b}\n\t\ttabs\t\n\u{c}feed\n",
    ),
    ("bom.md", "\u{feff}# With a byte order mark\n\ntext\n"),
    ("empty.md", ""),
    ("no-newline.md", "# No newline at the end"),
];

fn hard() -> Book {
    let book = Book::new(HARD, "", "[output.html]\nsmart-punctuation = true\n");
    book.write("src/deep/a.txt", "one\n{{#include ../c.txt}}\nthree\n");
    book.write("src/c.txt", "two {{closure}}\n");
    book.write(
        "src/deep/b.rs",
        "// ANCHOR: here\nlet x = format!(\"{{}}\");\n// ANCHOR_END: here\n",
    );
    let summary = book.read("src/SUMMARY.md");
    book.write(
        "src/SUMMARY.md",
        &format!("{summary}- [Draft]()\n    - [Below a draft](below.md)\n"),
    );
    book.write("src/below.md", "# Below\n\n{{#title T}}\n");
    book
}

/// The built site, with this preprocessor or without it.
fn site(book: &Book, with: bool) -> BTreeMap<String, Vec<u8>> {
    let settings = book.read("book.toml");
    if !with {
        let start = settings.find("[preprocessor.qed]").unwrap();
        let end = settings.find("[output.html]").unwrap();
        book.write(
            "book.toml",
            &format!("{}{}", &settings[..start], &settings[end..]),
        );
    }
    let output = book.mdbook(&["build"]);
    assert!(output.status.success(), "{}", stderr(&output));
    let site = files(&book.path("book"));
    book.write("book.toml", &settings);
    std::fs::remove_dir_all(book.path("book")).unwrap();
    site
}

/// Check that hard cases come out the same with and without this preprocessor, with no evidence at hand, too.
#[test]
fn hard_cases_are_untouched() {
    let book = hard();
    let without = site(&book, false);
    assert!(without.len() > 30);
    assert_eq!(without, site(&book, true));
    std::fs::remove_dir_all(book.path(".qed")).unwrap();
    std::fs::remove_file(book.path("test.toml")).unwrap();
    assert_eq!(without, site(&book, true));
}

/// Check that in a book that does use it, the chapters that do not are untouched.
#[test]
fn other_chapters_are_untouched() {
    let book = hard();
    let without = site(&book, false);
    book.write("src/below.md", "# Below\n\n{{qed kaslr.slide}}\n");
    let with = site(&book, true);
    for (name, content) in &without {
        let page =
            name.ends_with(".html") && !["below.html", "print.html"].contains(&name.as_str());
        if page && !name.starts_with("toc") {
            // The pages name the search index by its digest, which has changed.
            let clean = |content: &[u8]| {
                let text = String::from_utf8_lossy(content).into_owned();
                let at = text.find("searchindex-").unwrap();
                format!(
                    "{}{}",
                    &text[..at],
                    &text[at + "searchindex-12345678".len()..]
                )
            };
            assert_eq!(clean(content), clean(&with[name]), "{name}");
        }
    }
}

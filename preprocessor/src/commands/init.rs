//! `init`: a new live book.

use std::path::Path;

use qed_evidence::diagnostic::Diagnostic;

use super::{BAD_INPUT, GOOD, print, refuse};

/// The files of a new book: path and text. What is there already stays as it is.
const FILES: &[(&str, &str)] = &[
    ("book.toml", include_str!("../../templates/init/book.toml")),
    (".gitignore", include_str!("../../templates/init/gitignore")),
    (
        "book/SUMMARY.md",
        include_str!("../../templates/init/SUMMARY.md"),
    ),
    (
        "book/first.md",
        include_str!("../../templates/init/first.md"),
    ),
    (
        "investigations/first.toml",
        include_str!("../../templates/init/first.toml"),
    ),
    (
        ".github/workflows/book.yml",
        include_str!("../../templates/init/book.yml"),
    ),
];

/// Runs the command.
pub fn run(dir: &Path) -> u8 {
    let existing = dir.join("book.toml").exists();
    let mut problems = Vec::new();
    for (name, text) in FILES {
        let path = dir.join(name);
        if path.exists() {
            print(&format!("kept     {name}\n"));
            continue;
        }
        // A book that is there has its own chapters.
        if existing && name.starts_with("book/") {
            continue;
        }
        let made = path
            .parent()
            .map_or(Ok(()), std::fs::create_dir_all)
            .and_then(|()| std::fs::write(&path, text));
        match made {
            Ok(()) => print(&format!("created  {name}\n")),
            Err(error) => problems.push(Diagnostic::error_without_place(format!(
                "{} cannot be written: {error}",
                path.display()
            ))),
        }
    }
    if !problems.is_empty() {
        return refuse(&problems);
    }
    if existing && !has_table(dir) {
        print("\nAdd this to book.toml:\n\n");
        let template = FILES[0].1;
        let table = template
            .find("[preprocessor.qed]")
            .map_or(template, |at| &template[at..]);
        print(table);
        return BAD_INPUT;
    }
    print(
        "\nNext: capture what the book shows, then build it.\n  \
         qed-collector capture --investigation investigations/first.toml --on guest:debian-6.1 \
         -o .qed/evidence/guest-debian-6.1.json\n  mdbook build\n",
    );
    GOOD
}

fn has_table(dir: &Path) -> bool {
    std::fs::read_to_string(dir.join("book.toml"))
        .is_ok_and(|text| text.contains("[preprocessor.qed]"))
}

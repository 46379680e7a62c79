//! `init`: a new live book.

use std::path::Path;

use qed_evidence::diagnostic::Diagnostic;

use super::{GOOD, print, refuse};

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
        let template = FILES[0].1;
        let table = &template[template.find("[preprocessor.qed]").unwrap_or(0)..];
        let path = dir.join("book.toml");
        let added = std::fs::OpenOptions::new()
            .append(true)
            .open(&path)
            .and_then(|mut file| {
                std::io::Write::write_all(&mut file, format!("\n{table}").as_bytes())
            });
        if let Err(error) = added {
            let message = format!("{} cannot be added to: {error}", path.display());
            return refuse(&[Diagnostic::error_without_place(message)]);
        }
        print("added    [preprocessor.qed] to book.toml\n");
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

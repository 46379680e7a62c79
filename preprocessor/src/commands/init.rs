//! `init`: a new live book, or what an existing one lacks.

use std::path::Path;

use qed_evidence::diagnostic::Diagnostic;

use super::{GOOD, print, refuse};

/// A file of a new book.
struct File {
    path: &'static str,
    text: &'static str,
    /// A book that is there has its own of these.
    new_only: bool,
}

const SETTINGS: &str = include_str!("../../templates/init/book.toml");

const FILES: &[File] = &[
    File {
        path: "book.toml",
        text: SETTINGS,
        new_only: true,
    },
    File {
        path: ".gitignore",
        text: include_str!("../../templates/init/gitignore"),
        new_only: true,
    },
    File {
        path: "book/SUMMARY.md",
        text: include_str!("../../templates/init/SUMMARY.md"),
        new_only: true,
    },
    File {
        path: "book/first.md",
        text: include_str!("../../templates/init/first.md"),
        new_only: true,
    },
    // The style sheet is in the pages: a book that is there lacks none.
    File {
        path: "theme/live.css",
        text: include_str!("../../templates/init/live.css"),
        new_only: true,
    },
    File {
        path: "investigations/first.toml",
        text: include_str!("../../templates/init/first.toml"),
        new_only: false,
    },
    File {
        path: ".github/workflows/book.yml",
        text: include_str!("../../templates/init/book.yml"),
        new_only: false,
    },
];

/// The settings of a book as far as they matter here.
struct Existing {
    text: String,
    build_dir: String,
    has_table: bool,
    watches: bool,
}

/// Reads the settings of the book in `dir`, if there is one.
fn existing(dir: &Path) -> Result<Option<Existing>, String> {
    let path = dir.join("book.toml");
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(format!("{} cannot be read: {error}", path.display())),
    };
    let table: toml::Table = text
        .parse()
        .map_err(|error| format!("{} cannot be read: {error}", path.display()))?;
    let build = table.get("build").and_then(toml::Value::as_table);
    let build_dir = build
        .and_then(|build| build.get("build-dir")?.as_str())
        .unwrap_or("book");
    Ok(Some(Existing {
        build_dir: build_dir.to_owned(),
        has_table: table
            .get("preprocessor")
            .is_some_and(|all| all.get("qed").is_some()),
        watches: build.is_some_and(|build| build.contains_key("extra-watch-dirs")),
        text,
    }))
}

/// What is added to the settings of a book that is there.
fn addition(existing: &Existing) -> String {
    let table = &SETTINGS[SETTINGS.find("[preprocessor.qed]").unwrap_or(0)..];
    let gap = if existing.text.ends_with('\n') {
        "\n"
    } else {
        "\n\n"
    };
    format!("{gap}{table}")
}

/// Runs the command.
pub fn run(dir: &Path) -> u8 {
    let existing = match existing(dir) {
        Ok(existing) => existing,
        Err(message) => {
            return refuse(&[Diagnostic::error_without_place(message)
                .help("mend it, or name another folder; nothing was changed")]);
        }
    };
    let site = existing
        .as_ref()
        .map_or("site", |book| book.build_dir.as_str());
    let fill = |text: &str| {
        text.replace("MDBOOK_VERSION", mdbook_preprocessor::MDBOOK_VERSION)
            .replace("QED_VERSION", env!("CARGO_PKG_VERSION"))
            .replace("SITE", site)
    };
    for file in FILES {
        let path = dir.join(file.path);
        if path.exists() {
            print(&format!("kept     {}\n", file.path));
            continue;
        }
        if existing.is_some() && file.new_only {
            continue;
        }
        let made = path
            .parent()
            .map_or(Ok(()), std::fs::create_dir_all)
            .and_then(|()| std::fs::write(&path, fill(file.text)));
        if let Err(error) = made {
            let message = format!("{} cannot be written: {error}", path.display());
            return refuse(&[Diagnostic::error_without_place(message)]);
        }
        print(&format!("created  {}\n", file.path));
    }
    if let Some(book) = existing.as_ref().filter(|book| !book.has_table) {
        let path = dir.join("book.toml");
        let added = std::fs::OpenOptions::new()
            .append(true)
            .open(&path)
            .and_then(|mut file| std::io::Write::write_all(&mut file, addition(book).as_bytes()));
        if let Err(error) = added {
            let message = format!("{} cannot be added to: {error}", path.display());
            return refuse(&[Diagnostic::error_without_place(message)]);
        }
        print(&format!(
            "added    to book.toml:\n{}",
            indented(&addition(book))
        ));
        if !book.watches {
            print(
                "\nFor `mdbook serve` to show a new capture, add to [build] in book.toml:\n    \
                 extra-watch-dirs = [\".qed/evidence\", \"investigations\"]\n",
            );
        }
    }
    print(&next(existing.is_some(), dir));
    GOOD
}

fn indented(text: &str) -> String {
    text.lines()
        .filter(|line| !line.is_empty())
        .map(|line| format!("    {line}\n"))
        .collect()
}

/// What to do now.
fn next(existing: bool, dir: &Path) -> String {
    let chapter = if existing {
        "write a value into a chapter, {{qed first.outcome.returned}}, and "
    } else {
        ""
    };
    let dir = dir.display();
    format!(
        "\nNext: {chapter}build the book. The first build captures in a small guest machine (QEMU, no root).\n  \
         mdbook build {dir}\n  mdbook-qed paths --book {dir}\n"
    )
}

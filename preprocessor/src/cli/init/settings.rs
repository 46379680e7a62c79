//! The settings of a book, new or there already.

use std::path::{Path, PathBuf};

use qed_evidence::diagnostic::Diagnostic;

use super::guest_arch::GuestArch;

/// The settings of a new book; `{{capture}}` stands for one of [`CAPTURE`], and `{{machine}}` for its guest.
const SETTINGS: &str = include_str!("../../../templates/init/book.toml");
/// The setting `capture` with its comment: of a book that captures, and of one that shows what was recorded.
const CAPTURE: [&str; 2] = [
    "# Building the book captures what is missing or out of date. \"never\": only `qed-collector capture` does.\n\
     capture = \"if-stale\"",
    "# \"if-stale\": building the book captures what is missing or out of date.\ncapture = \"never\"",
];

/// The settings of a book as far as they matter here.
pub(super) struct ExistingSettings {
    text: String,
    pub(super) build_dir: String,
    pub(super) has_table: bool,
    pub(super) has_investigation: bool,
    pub(super) watches: bool,
}

impl ExistingSettings {
    /// From the text of its settings.
    fn read(text: String) -> Result<Self, toml::de::Error> {
        let table: toml::Table = text.parse()?;
        let build = table.get("build").and_then(toml::Value::as_table);
        let build_dir = build
            .and_then(|build| build.get("build-dir")?.as_str())
            .unwrap_or("book");
        let ours = table.get("preprocessor").and_then(|all| all.get("qed"));
        Ok(ExistingSettings {
            build_dir: build_dir.to_owned(),
            has_table: ours.is_some(),
            has_investigation: ours.is_some_and(|ours| ours.get("investigation").is_some()),
            watches: build.is_some_and(|build| build.contains_key("extra-watch-dirs")),
            text,
        })
    }
}

/// Settings of a book that cannot be continued.
#[derive(Debug, thiserror::Error)]
pub(super) enum BookTomlError {
    #[error("{} cannot be read: {error}", .path.display())]
    Unreadable {
        path: PathBuf,
        error: std::io::Error,
    },
    #[error("{} cannot be understood: {error}", .path.display())]
    Form {
        path: PathBuf,
        error: toml::de::Error,
    },
    #[error("a table [preprocessor.qed] cannot be added to {}: {error}", .path.display())]
    NoRoom {
        path: PathBuf,
        error: toml::de::Error,
    },
}

/// Read the settings of the book in `dir`, if there is one. mdBook needs no settings where chapters are in `src`.
pub(super) fn read_existing_settings(
    dir: &Path,
) -> Result<Option<ExistingSettings>, BookTomlError> {
    let path = dir.join("book.toml");
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            if !dir.join("src/SUMMARY.md").exists() {
                return Ok(None);
            }
            String::new()
        }
        Err(error) => return Err(BookTomlError::Unreadable { path, error }),
    };
    let book = match ExistingSettings::read(text) {
        Ok(book) => book,
        Err(error) => return Err(BookTomlError::Form { path, error }),
    };
    if !book.has_table {
        let settings = added_settings(&book, false, GuestArch::default());
        let both = format!("{}{settings}", book.text);
        if let Err(error) = both.parse::<toml::Table>() {
            return Err(BookTomlError::NoRoom { path, error });
        }
    }
    Ok(Some(book))
}

/// The settings that are added to those of an existing book.
pub(super) fn added_settings(
    existing: &ExistingSettings,
    recorded: bool,
    arch: GuestArch,
) -> String {
    let settings = new_settings(recorded, arch);
    let table = &settings[settings.find("[preprocessor.qed]").unwrap_or(0)..];
    let gap = match existing.text.as_str() {
        "" => "",
        text if text.ends_with('\n') => "\n",
        _ => "\n\n",
    };
    format!("{gap}{table}")
}

/// The settings of a new book, of one that shows what was recorded if `recorded`.
pub(super) fn new_settings(recorded: bool, arch: GuestArch) -> String {
    SETTINGS
        .replace("{{capture}}", CAPTURE[usize::from(recorded)])
        .replace("{{machine}}", arch.guest())
}

/// Why the architecture that was asked for cannot be that of the book in `dir`.
pub(super) fn arch_problem(
    dir: &Path,
    existing: Option<&ExistingSettings>,
    arch: Option<GuestArch>,
    recorded: bool,
) -> Option<Diagnostic> {
    let arch = arch?;
    let (message, help) = if recorded && arch != GuestArch::default() {
        (
            format!("what is recorded is of a guest for {}, and not for {arch}", GuestArch::default()),
            "leave out --arch, or --recorded: then the book's guest is captured; nothing was changed".to_owned(),
        )
    } else if existing.is_some_and(|book| book.has_table) {
        (
            format!(
                "the book in {} names its machines itself, and --arch is for a new book",
                dir.display()
            ),
            format!(
                "leave out --arch, and add {} to `machines` in its book.toml; nothing was changed",
                arch.guest()
            ),
        )
    } else {
        return None;
    };
    Some(Diagnostic::error_without_place(message).help(help))
}

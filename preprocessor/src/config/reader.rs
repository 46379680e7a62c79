//! Reading the table `[preprocessor.qed]`, and what it names: kernel images and the lock file.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use qed_evidence::diagnostic::{Diagnostic, SourceText, nearest};
use qed_evidence::lock::{FILE as LOCK_FILE, Lock, LockError};
use qed_evidence::machine::{self, MachineRequest, evidence_file_name};
use thiserror::Error;

use super::Config;

/// mdBook's keys in a preprocessor's table
/// (<https://rust-lang.github.io/mdBook/format/configuration/preprocessors.html>).
pub(super) const MDBOOK_KEYS: &[&str] = &[
    "command",
    "before",
    "after",
    "renderers",
    "renderer",
    "optional",
];

/// Read the table of the book in the current folder; see [`read_from_root`].
pub fn read(table: &serde_json::Value, book_toml: Option<&str>) -> Result<Config, Diagnostic> {
    read_from_root(Path::new(""), table, book_toml)
}

/// Read the table, with mdBook's own keys left out. `root` is the book's folder, from which images of kernels are named;
/// `book_toml` is the file's text, to point into it.
pub fn read_from_root(
    root: &Path,
    table: &serde_json::Value,
    book_toml: Option<&str>,
) -> Result<Config, Diagnostic> {
    let mut table = table.clone();
    if let Some(map) = table.as_object_mut() {
        map.retain(|key, _| !MDBOOK_KEYS.contains(&key.as_str()));
    } else if table.is_null() {
        table = serde_json::Value::Object(Default::default());
    }
    let parsed: Result<Config, _> = serde_json::from_value(table);
    let problem = match parsed {
        Ok(mut config) => match resolve_machine_names(&mut config, root) {
            Ok(()) => {
                config.lock = read_lock_file(root)
                    .map_err(|error| Diagnostic::error_without_place(error.to_string()))?;
                return Ok(config);
            }
            Err(problem) => problem.to_string(),
        },
        Err(error) => error.to_string(),
    };
    let message = format!("the table [preprocessor.qed] cannot be read: {problem}");
    let place = book_toml.map(|text| {
        let source = Arc::new(SourceText {
            name: "book.toml".into(),
            text: text.into(),
        });
        (source, guess_place(text, &problem))
    });
    let diagnostic = match place {
        Some((source, span)) => Diagnostic::error(&source, span, message),
        None => Diagnostic::error_without_place(message),
    };
    // serde quotes the wrong key or value first, then all valid ones.
    let mut words = problem.split('`').skip(1).step_by(2);
    let wrong = words.next().filter(|_| problem.starts_with("unknown "));
    Err(match wrong.and_then(|wrong| nearest(wrong, words)) {
        Some(near) => diagnostic.help(format!("did you mean `{near}`?")),
        None => diagnostic,
    })
}

/// A lock file that cannot be used.
#[derive(Debug, Error)]
enum LockFileError {
    #[error(transparent)]
    Refused(#[from] LockError),
    #[error(
        "{LOCK_FILE} cannot be read: {0}; make it readable, or delete it to be pinned to no kernel"
    )]
    Unreadable(std::io::Error),
}

/// Machines of a book that cannot be named.
#[derive(Debug, Error)]
enum MachinesError {
    #[error("`machines` is empty; name at least one, such as \"host\"")]
    None,
    #[error(
        "the kernel image `{}` of a machine cannot be read: {error}; mend the path, or write \
         {{ guest = \"PATH\", name = \"WORD\" }}, which needs no image to show what was captured",
        .path.display()
    )]
    Image {
        path: PathBuf,
        error: std::io::Error,
    },
    #[error("`debuginfo` names `{name}`, and the machines are {known}")]
    DebugInfo { name: String, known: String },
    #[error("machine `{name}` is named twice{help}")]
    Twice { name: String, help: &'static str },
    #[error("machines `{one}` and `{other}` would share the file {file}{help}")]
    SameFile {
        one: String,
        other: String,
        file: String,
        help: &'static str,
    },
}

/// Read the lock file of the book in `root`, if there is one.
fn read_lock_file(root: &Path) -> Result<Option<Lock>, LockFileError> {
    match crate::util::files::read_text(&root.join(LOCK_FILE)) {
        Ok(text) => Ok(Some(Lock::parse(&text)?)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(LockFileError::Unreadable(error)),
    }
}

/// Find out how the machines are called. No two may share a name, or the file of their evidence.
fn resolve_machine_names(config: &mut Config, root: &Path) -> Result<(), MachinesError> {
    if config.requests.is_empty() {
        return Err(MachinesError::None);
    }
    for request in &config.requests {
        let (name, image) = match request {
            MachineRequest::Named(name) => (name.clone(), None),
            MachineRequest::Image { path, word } => {
                let name = match word {
                    Some(word) => machine::guest_name(word),
                    None => {
                        let bytes =
                            crate::util::files::read_file(&root.join(path)).map_err(|error| {
                                MachinesError::Image {
                                    path: path.clone(),
                                    error,
                                }
                            })?;
                        machine::name_of_image(path, &bytes)
                    }
                };
                (name, Some(path))
            }
        };
        let file = evidence_file_name(&name);
        if let Some(same) = config
            .machines
            .iter()
            .find(|m| evidence_file_name(m) == file)
        {
            let help = image.map_or(
                "",
                |_| "; give one of them another name: { guest = \"PATH\", name = \"WORD\" }",
            );
            return Err(match *same == name {
                true => MachinesError::Twice { name, help },
                false => MachinesError::SameFile {
                    one: same.clone(),
                    other: name,
                    file,
                    help,
                },
            });
        }
        config
            .images
            .extend(image.map(|path| (name.clone(), path.clone())));
        config.machines.push(name);
    }
    let mut sources = config.debuginfo.keys();
    match sources.find(|name| !config.machines.contains(name)) {
        Some(name) => Err(MachinesError::DebugInfo {
            name: name.clone(),
            known: config.machines.join(", "),
        }),
        None => Ok(()),
    }
}

/// The place of the first name that a message quotes, inside the table; else of the table.
fn guess_place(text: &str, problem: &str) -> std::ops::Range<usize> {
    let table = text.find("[preprocessor.qed]").unwrap_or(0);
    let quoted = problem.split('`').nth(1).filter(|name| !name.is_empty());
    match quoted.and_then(|name| Some((name, find_outside_comments(&text[table..], name)?))) {
        Some((name, at)) => table + at..table + at + name.len(),
        None => table..(table + "[preprocessor.qed]".len()).min(text.len()),
    }
}

/// The place of `name` as a word, outside of comments.
fn find_outside_comments(text: &str, name: &str) -> Option<usize> {
    let part_of_a_word = |c: char| c.is_alphanumeric() || c == '_' || c == '-';
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        let at = (!line.trim_start().starts_with('#')).then(|| {
            let mut places = line.match_indices(name).map(|(at, _)| at);
            places.find(|at| {
                !line[..*at].ends_with(part_of_a_word)
                    && !line[at + name.len()..].starts_with(part_of_a_word)
            })
        });
        if let Some(at) = at.flatten() {
            return Some(start + at);
        }
        start += line.len();
    }
    None
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::config::{CaptureMode, OnFail};

    /// Check the defaults, mdBook's own keys, and that anything unknown is refused at its place.
    #[test]
    fn strict() {
        let config = read(&json!({"command": "x", "after": ["links"]}), None).unwrap();
        assert_eq!(
            (config.capture, config.on_fail),
            (CaptureMode::Never, OnFail::Error)
        );
        assert_eq!(config.machines, ["host"]);
        let text = "[book]\n[preprocessor.qed]\nmachine = []\n";
        let error = read(&json!({"machine": []}), Some(text)).unwrap_err();
        assert_eq!(error.line_column(), Some((3, 1)));
        let text = "[preprocessor.qed]\n# captur is meant\ncaptures = 1\ncaptur = \"never\"\n";
        let error = read(&json!({"captur": "never"}), Some(text)).unwrap_err();
        assert_eq!(error.line_column(), Some((4, 1)));
        assert_eq!(error.help.as_deref(), Some("did you mean `capture`?"));
        let error = read(&json!({"capture": "if-stal"}), None).unwrap_err();
        assert_eq!(error.help.as_deref(), Some("did you mean `if-stale`?"));
        for bad in [
            json!({"machines": []}),
            json!({"machines": ["guest"]}),
            json!({"machines": ["host", "host"]}),
            json!({"debuginfo": {"guest:debian-6.1": "none"}}),
            json!({"debuginfo": "none"}),
            json!({"max-age": "7"}),
            json!({"max-age": "-7d"}),
            json!({"capture": "always"}),
            json!({"deny": ["no-such-lint"]}),
        ] {
            assert!(read(&bad, None).is_err(), "{bad}");
        }
        let config = read(&json!({"max-age": "7d", "deny": ["typed-literal"]}), None).unwrap();
        assert_eq!(config.max_age.unwrap().seconds, 604_800);
    }

    /// Check that a guest that boots an image is called by its own word, or by the file's name and the image's digest,
    /// and never by a folder; and that two machines never share a name.
    #[test]
    fn images() {
        let root = tempfile::tempdir().unwrap();
        for (folder, content) in [("x+y", "one"), ("x-y", "two"), ("copy", "one")] {
            std::fs::create_dir(root.path().join(folder)).unwrap();
            std::fs::write(root.path().join(folder).join("vmlinuz"), content).unwrap();
        }
        let read = |machines: serde_json::Value| {
            read_from_root(root.path(), &json!({ "machines": machines }), None)
                .map_err(|e| e.message)
        };
        let config = read(json!([
            "host",
            "guest:x+y/vmlinuz",
            "guest:x-y/vmlinuz",
            { "guest": "copy/vmlinuz", "name": "mine" },
        ]))
        .unwrap();
        assert_eq!(
            config.machines,
            [
                "host",
                "guest:vmlinuz-7692c3ad",
                "guest:vmlinuz-3fc4ccfe",
                "guest:mine"
            ]
        );
        assert_eq!(
            config.collector_argument("guest:mine"),
            "guest:mine=copy/vmlinuz"
        );
        assert_eq!(config.collector_argument("host"), "host");
        for (machines, wrong) in [
            (
                json!(["guest:x+y/vmlinuz", "guest:copy/vmlinuz"]),
                "named twice",
            ),
            (json!(["guest:gone/vmlinuz"]), "cannot be read"),
            (
                json!([{ "guest": "gone", "name": "a" }, "guest:a"]),
                "named twice",
            ),
        ] {
            let message = read(machines).unwrap_err();
            assert!(message.contains(wrong), "{message}");
        }
        // What was captured can be shown where the image is not.
        assert_eq!(
            read(json!([{ "guest": "gone", "name": "a" }]))
                .unwrap()
                .machines,
            ["guest:a"]
        );
    }
}

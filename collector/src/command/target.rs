//! The machines that can be named: `host`, `guest:debian-6.1`, `guest:PATH`.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::Deserialize;

use super::Failure;
use crate::guest::Source;

/// A machine to capture on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// This machine.
    Host,
    /// A throwaway guest, with its whole name.
    Guest(String, Source),
}

impl Target {
    /// Its name, as `book.toml` has it.
    pub fn name(&self) -> &str {
        match self {
            Target::Host => "host",
            Target::Guest(name, _) => name,
        }
    }
}

impl FromStr for Target {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        if name == "host" {
            return Ok(Target::Host);
        }
        let Some(source) = name.strip_prefix("guest:") else {
            return Err(format!(
                "`{name}` is no machine: say host, guest:debian-6.1, guest:debian-6.12 or guest:PATH-TO-VMLINUZ"
            ));
        };
        let source = Source::parse(source).map_err(|error| error.to_string())?;
        Ok(Target::Guest(name.to_owned(), source))
    }
}

/// What `book.toml` says about captures.
#[derive(Debug)]
pub struct Book {
    /// The investigation file.
    pub investigation: PathBuf,
    /// The machines, in order of preference.
    pub machines: Vec<Target>,
    /// Where the evidence goes.
    pub evidence: PathBuf,
}

/// Reads the parts of `book.toml` that matter to a capture. All else in it is mdBook's or the preprocessor's.
pub fn book(path: &Path) -> Result<Book, Failure> {
    #[derive(Deserialize)]
    struct File {
        preprocessor: Option<Preprocessor>,
    }
    #[derive(Deserialize)]
    struct Preprocessor {
        qed: Option<Qed>,
    }
    #[derive(Deserialize)]
    struct Qed {
        investigation: Option<PathBuf>,
        machines: Option<Vec<String>>,
    }
    let path = if path.is_dir() {
        path.join("book.toml")
    } else {
        path.to_owned()
    };
    let shown = path.display();
    let text = std::fs::read_to_string(&path).map_err(|error| {
        Failure::input(format!(
            "failed to read {shown}: {error}; name the book with --book FOLDER"
        ))
    })?;
    let file: File = toml::from_str(&text)
        .map_err(|error| Failure::input(format!("failed to understand {shown}: {error}")))?;
    let qed = file.preprocessor.and_then(|p| p.qed).ok_or_else(|| {
        Failure::input(format!(
            "{shown} has no [preprocessor.qed] section: run `mdbook-qed init` there"
        ))
    })?;
    let root = path.parent().unwrap_or(Path::new("")).to_owned();
    let investigation = qed.investigation.ok_or_else(|| {
        Failure::input(format!(
            "{shown}: [preprocessor.qed] names no `investigation`"
        ))
    })?;
    let machines = qed
        .machines
        .unwrap_or_else(|| vec!["host".into()])
        .iter()
        .map(|name| {
            name.parse()
                .map_err(|error| Failure::input(format!("{shown}: machines: {error}")))
        })
        .collect::<Result<Vec<_>, _>>()?;
    Ok(Book {
        investigation: root.join(investigation),
        machines,
        evidence: root.join(".qed/evidence"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Check that the machines' names are understood, and that anything else says what can be written.
    #[test]
    fn names() {
        assert_eq!("host".parse(), Ok(Target::Host));
        assert_eq!(
            "guest:debian-6.1".parse::<Target>().unwrap().name(),
            "guest:debian-6.1"
        );
        assert!(
            "gast"
                .parse::<Target>()
                .unwrap_err()
                .contains("guest:debian-6.1")
        );
        assert!("guest:fedora".parse::<Target>().is_err());
    }
}

//! The table `[preprocessor.qed]` of `book.toml`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use qed_evidence::Evidence;
use qed_evidence::diagnostic::Diagnostic;
use qed_evidence::lock::{Lock, Pin};
pub use qed_evidence::machine::evidence_file_name;
use qed_evidence::machine::{HOST, MachineRequest};
use serde::{Deserialize, Serialize};

use crate::util::parallel::Parallelism;
pub use max_age::{MaxAge, MaxAgeError};

#[cfg(feature = "commands")]
mod machine_schema;
mod max_age;
pub mod reader;
#[cfg(feature = "commands")]
pub mod schema;

/// Settings of one book.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(feature = "commands", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Config {
    /// The investigation, relative to the book's root.
    pub investigation: Option<PathBuf>,
    /// Machines as they are asked for, in order of preference.
    #[serde(default = "only_host", rename = "machines")]
    #[cfg_attr(feature = "commands", schemars(with = "Vec<machine_schema::Machine>"))]
    requests: Vec<MachineRequest>,
    /// The names of these machines.
    #[serde(skip)]
    pub machines: Vec<String>,
    /// The kernel images of those that have one, relative to the book's root.
    #[serde(skip)]
    images: BTreeMap<String, PathBuf>,
    /// The lock file, if there is one.
    #[serde(skip)]
    pub lock: Option<Lock>,
    /// The use of processors. A command's choice: no key of the table.
    #[serde(skip)]
    pub parallelism: Parallelism,
    /// The use of the collector while the book is built.
    #[serde(default)]
    pub capture: CaptureMode,
    /// How guests start for captures: booted, or resumed where an earlier boot was saved.
    #[serde(default)]
    pub guests: Guests,
    /// True under `mdbook serve`. No key of the table.
    #[serde(skip)]
    pub serves: bool,
    /// The effect of a claim that is false or broken.
    #[serde(default = "error")]
    pub on_fail: OnFail,
    /// The effect of a claim or value that no machine could show.
    #[serde(default)]
    pub on_unverified: OnMissing,
    /// The effect of evidence that is out of date.
    #[serde(default)]
    pub on_stale: OnMissing,
    /// The source of source lines by the name of the machine: `auto`, `none`, or a vmlinux, relative to the book's root.
    #[serde(default)]
    pub debuginfo: BTreeMap<String, String>,
    /// Evidence older than this is stale.
    #[serde(default)]
    #[cfg_attr(feature = "commands", schemars(with = "Option<String>", extend("pattern" = "^[0-9]+[smhdw]$")))]
    pub max_age: Option<MaxAge>,
    /// Lints that become errors.
    #[serde(default)]
    pub deny: Vec<Lint>,
    /// The treatment of a host's pointers.
    #[serde(default)]
    pub addresses: Addresses,
    /// Chapters may have scripts, style sheets and the like, which nothing checks.
    #[serde(default)]
    pub active_html: bool,
}

/// The use of the collector while a book is built.
#[cfg_attr(feature = "commands", derive(schemars::JsonSchema))]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CaptureMode {
    /// Building runs nothing.
    #[default]
    Never,
    /// If evidence is missing or stale.
    IfStale,
}

/// How guests start.
#[cfg_attr(feature = "commands", derive(schemars::JsonSchema))]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Guests {
    /// Resumed under `mdbook serve`, booted for everything else.
    #[default]
    Auto,
    /// Always booted.
    Cold,
    /// Resumed where an earlier boot was saved.
    Warm,
}

/// The effect of a false claim.
#[cfg_attr(feature = "commands", derive(schemars::JsonSchema))]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnFail {
    /// The build fails.
    Error,
    /// The build continues with a warning.
    Warn,
}

/// The effect of a gap.
#[cfg_attr(feature = "commands", derive(schemars::JsonSchema))]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnMissing {
    /// Shown to the reader.
    #[default]
    Show,
    /// The build fails.
    Error,
}

/// Something that is worth a warning.
#[cfg_attr(feature = "commands", derive(schemars::JsonSchema))]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Lint {
    /// Evidence that nothing uses.
    UnusedEvidence,
    /// A value typed by hand, or a mark that excuses none.
    TypedLiteral,
    /// A claim in a place where it is not judged.
    UnshownClaim,
    /// A chapter that proves nothing.
    ChapterWithoutClaim,
    /// A value wider than its `width`.
    TooWide,
    /// A name that neither a capture nor the glossary introduced, in a chapter with a derivation check.
    UndefinedName,
    /// More functions of a call that the text does not mention than its exhibit `coverage` allows.
    Untold,
}

impl Lint {
    /// Its name, as `deny` has it.
    pub fn name(self) -> &'static str {
        match self {
            Lint::UnusedEvidence => "unused-evidence",
            Lint::TypedLiteral => "typed-literal",
            Lint::UnshownClaim => "unshown-claim",
            Lint::ChapterWithoutClaim => "chapter-without-claim",
            Lint::TooWide => "too-wide",
            Lint::UndefinedName => "undefined-name",
            Lint::Untold => "untold",
        }
    }
}

/// The treatment of pointers.
#[cfg_attr(feature = "commands", derive(schemars::JsonSchema))]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "commands", derive(clap::ValueEnum))]
#[serde(rename_all = "kebab-case")]
pub enum Addresses {
    /// Raw for machines that are gone, pseudonyms for a host.
    #[default]
    Auto,
    /// As they are, by the owner's decision.
    Raw,
    /// Pseudonyms on every machine.
    Pseudonym,
}

impl Config {
    /// True if guests have to be booted for their evidence, and what was captured in a resumed one is out of date.
    pub fn boots_guests(&self) -> bool {
        match self.guests {
            Guests::Auto => !self.serves,
            Guests::Cold => true,
            Guests::Warm => false,
        }
    }

    /// Make a complaint of a lint an error if the book denies the lint, else a warning.
    pub fn apply_severity(&self, lint: Lint, complaint: Diagnostic) -> Diagnostic {
        let complaint = complaint.rule(lint.name());
        if self.deny.contains(&lint) {
            complaint
        } else {
            complaint.warning()
        }
    }

    /// Settings that complain of nothing and run nothing: for looking at what was built before.
    pub fn lenient() -> Self {
        Config {
            investigation: None,
            requests: Vec::new(),
            machines: Vec::new(),
            images: BTreeMap::new(),
            lock: None,
            parallelism: Parallelism::default(),
            capture: CaptureMode::Never,
            guests: Guests::Warm,
            serves: false,
            on_fail: OnFail::Warn,
            on_unverified: OnMissing::Show,
            on_stale: OnMissing::Show,
            debuginfo: BTreeMap::new(),
            max_age: None,
            deny: Vec::new(),
            addresses: Addresses::Auto,
            active_html: false,
        }
    }
}

impl Addresses {
    /// True if the addresses of the machine that this is evidence of must not be known.
    pub fn hides_addresses(self, evidence: &Evidence) -> bool {
        match self {
            Addresses::Auto => !evidence.machine.ephemeral,
            Addresses::Raw => false,
            Addresses::Pseudonym => true,
        }
    }
}

fn only_host() -> Vec<MachineRequest> {
    vec![MachineRequest::Named(HOST.into())]
}

fn error() -> OnFail {
    OnFail::Error
}

impl Config {
    /// The kernel image of a machine, relative to the book's root, if it is named by one.
    pub fn image(&self, machine: &str) -> Option<&std::path::Path> {
        self.images.get(machine).map(PathBuf::as_path)
    }

    /// The kernel that a machine is pinned to.
    pub fn pin(&self, machine: &str) -> Option<&Pin> {
        self.lock.as_ref()?.get(machine)
    }

    /// The collector's argument for a machine: its name, and the image that it boots, if that is the book's.
    pub fn collector_argument(&self, machine: &str) -> String {
        match self.images.get(machine) {
            Some(path) => {
                let path = path.display().to_string();
                // Without a slash it could be taken for a name.
                let here = if path.contains('/') { "" } else { "./" };
                format!("{machine}={here}{path}")
            }
            None => machine.to_owned(),
        }
    }
}

/// The folders of a book.
#[derive(Clone, Debug)]
pub struct BookPaths {
    /// Its root.
    pub root: PathBuf,
    /// The folder of its chapters, relative to the root.
    pub src: PathBuf,
    /// The folder of its theme, relative to the root.
    pub theme: PathBuf,
}

/// The text of a file of a book, by its path relative to the book's root; nothing if it cannot be read.
pub type ReadText<'a> = dyn Fn(&Path) -> Option<String> + 'a;

impl BookPaths {
    /// Read the book's files from disk.
    pub fn reader(&self) -> impl Fn(&Path) -> Option<String> + '_ {
        |path| crate::util::files::read_text(&self.root.join(path)).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// Check that a book which says nothing resumes guests under `serve` only, and that its word counts everywhere.
    #[test]
    fn guests() {
        let boots = |guests: Option<&str>, serves| {
            let mut config: Config = match guests {
                None => serde_json::from_value(json!({})).unwrap(),
                Some(word) => serde_json::from_value(json!({ "guests": word })).unwrap(),
            };
            config.serves = serves;
            config.boots_guests()
        };
        for (word, build, serve) in [
            (None, true, false),
            (Some("auto"), true, false),
            (Some("cold"), true, true),
            (Some("warm"), false, false),
        ] {
            assert_eq!(
                (boots(word, false), boots(word, true)),
                (build, serve),
                "{word:?}"
            );
        }
    }

    /// Check that each lint is called in reports what `deny` calls it.
    #[test]
    fn names_of_lints() {
        for name in [
            "unused-evidence",
            "typed-literal",
            "unshown-claim",
            "chapter-without-claim",
            "too-wide",
            "undefined-name",
        ] {
            let lint: Lint = serde_json::from_value(json!(name)).unwrap();
            assert_eq!(lint.name(), name);
        }
    }
}

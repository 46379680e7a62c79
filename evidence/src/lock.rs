//! The lock file of a book, `qed.lock` beside `book.toml`: the exact kernel of each guest that the book names. No I/O.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::document::machine::{MachineError, check_name};

/// The name of the file.
pub const FILE: &str = "qed.lock";

/// The version of the format.
const VERSION: u32 = 1;

/// The comment above the table, for readers of the file.
const HEAD: &str =
    "# The kernels of this book's guests. `qed-collector kernels update` moves them on.\n";

/// The kernels that a book is pinned to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lock {
    pins: BTreeMap<String, Pin>,
}

/// The kernel of one guest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pin {
    /// A distribution's kernel.
    Packages(Box<Packages>),
    /// A kernel image of the book's owner.
    Image {
        /// SHA-256 of the file, hex.
        sha256: String,
    },
}

/// The packages of a distribution's kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packages {
    /// The output of `uname -r`.
    pub release: String,
    /// The package with the kernel image.
    pub image: LockedPackage,
    /// The package with the configuration, where that is another one.
    pub config: Option<LockedPackage>,
    /// The package with the modules, where that is another one and the investigation asks for modules.
    pub modules: Option<LockedPackage>,
    /// The package with the debug information, where one was served.
    pub debug_info: Option<LockedPackage>,
}

/// One package.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LockedPackage {
    /// Its name.
    pub package: String,
    /// Its version.
    pub version: String,
    /// Size of the `.deb` in bytes.
    pub size: u64,
    /// SHA-256 of the `.deb`, hex.
    pub sha256: String,
}

impl Packages {
    /// Name and version of the package with the image, as evidence has it.
    pub fn package(&self) -> String {
        format!("{} {}", self.image.package, self.image.version)
    }
}

impl fmt::Display for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Pin::Packages(packages) => f.write_str(&packages.package()),
            Pin::Image { sha256 } => write!(f, "the image with SHA-256 {sha256}"),
        }
    }
}

/// The file as it is written.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    version: u32,
    #[serde(default, rename = "machine")]
    machines: Vec<Row>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Row {
    name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sha256: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    release: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    image: Option<LockedPackage>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    config: Option<LockedPackage>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    modules: Option<LockedPackage>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    debug_info: Option<LockedPackage>,
}

/// A lock file that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{FILE} cannot be read: {0}; take the version of it that was committed, or delete it and run `qed-collector kernels update`"
)]
pub struct LockError(#[from] LockProblem);

/// The problem with a lock file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LockProblem {
    /// Not TOML, or not of this form.
    #[error(transparent)]
    Form(#[from] toml::de::Error),
    /// A file of another version.
    #[error("its version is {0}, and this program knows {VERSION} only")]
    Version(u32),
    /// A machine that two rows name.
    #[error("it pins {0} twice")]
    Twice(String),
    /// A row is of no machine.
    #[error("a machine's name: {0}")]
    Machine(#[from] MachineError),
    /// The row of this machine has a malformed digest.
    #[error("{0}: a `sha256` has 64 hexadecimal digits")]
    Digest(String),
    /// A row has an invalid word.
    #[error("{machine}: `{word}` is not a {what}")]
    Word {
        /// The machine.
        machine: String,
        /// The word.
        word: String,
        /// The meaning of the word.
        what: &'static str,
    },
    /// The row of this machine pins nothing, or two things.
    #[error("{0} needs either `release` and `image`, or `sha256`")]
    Incomplete(String),
}

impl Lock {
    /// Read the text of the file.
    ///
    /// # Errors
    /// [`LockError`] if the text is not a lock file.
    pub fn parse(text: &str) -> Result<Self, LockError> {
        let file: File = toml::from_str(text).map_err(LockProblem::Form)?;
        if file.version != VERSION {
            return Err(LockProblem::Version(file.version).into());
        }
        let mut lock = Self::default();
        for row in file.machines {
            let (name, pin) = parse_row(row)?;
            if lock.pins.insert(name.clone(), pin).is_some() {
                return Err(LockProblem::Twice(name).into());
            }
        }
        Ok(lock)
    }

    /// The text of the file.
    pub fn text(&self) -> String {
        let machines = self
            .pins
            .iter()
            .map(|(name, pin)| format_row(name, pin))
            .collect();
        let file = File {
            version: VERSION,
            machines,
        };
        // Nothing in these types can fail to be written as TOML.
        format!("{HEAD}\n{}", toml::to_string(&file).unwrap_or_default())
    }

    /// The kernel that a machine is pinned to.
    pub fn get(&self, machine: &str) -> Option<&Pin> {
        self.pins.get(machine)
    }

    /// All kernels that machines are pinned to.
    pub fn pins(&self) -> impl Iterator<Item = &Pin> {
        self.pins.values()
    }

    /// Pin a machine.
    pub fn set(&mut self, machine: &str, pin: Pin) {
        self.pins.insert(machine.to_owned(), pin);
    }

    /// Let go of all machines but those that are named.
    pub fn retain_machines(&mut self, machines: &[&str]) {
        self.pins
            .retain(|name, _| machines.contains(&name.as_str()));
    }

    /// The differences between two locks, a line for each machine.
    pub fn describe_changes(&self, new: &Self) -> Vec<String> {
        let names: std::collections::BTreeSet<&String> =
            self.pins.keys().chain(new.pins.keys()).collect();
        names
            .into_iter()
            .filter_map(|name| match (self.get(name), new.get(name)) {
                (None, Some(new)) => Some(format!("{name}: {new} (new)")),
                (Some(old), None) => Some(format!("{name}: no longer pinned (was {old})")),
                (Some(old), Some(new)) if old.to_string() != new.to_string() => {
                    Some(format!("{name}: {old} -> {new}"))
                }
                (Some(old), Some(new)) if old != new => {
                    Some(format!("{name}: {new}, with other packages beside it"))
                }
                _ => None,
            })
            .collect()
    }
}

/// A row of the file, checked: names and versions become arguments of programs and names of files.
fn parse_row(row: Row) -> Result<(String, Pin), LockProblem> {
    let name = row.name;
    check_name(&name)?;
    let digest = |text: &str| {
        let good = text.len() == 64 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        good.then_some(())
            .ok_or_else(|| LockProblem::Digest(name.clone()))
    };
    let check = |text: &str, others: &str, what: &'static str| {
        let wrong = || LockProblem::Word {
            machine: name.clone(),
            word: text.to_owned(),
            what,
        };
        is_word(text, others).then_some(()).ok_or_else(wrong)
    };
    let pin = match (row.sha256, row.release, row.image) {
        (Some(sha256), None, None)
            if [&row.config, &row.modules, &row.debug_info]
                .iter()
                .all(|part| part.is_none()) =>
        {
            digest(&sha256)?;
            Pin::Image { sha256 }
        }
        (None, Some(release), Some(image)) => {
            check(&release, "+-._~", "release of a kernel")?;
            let others = [&row.config, &row.modules, &row.debug_info];
            for part in std::iter::once(&image).chain(others.into_iter().flatten()) {
                digest(&part.sha256)?;
                // https://www.debian.org/doc/debian-policy/ch-controlfields.html#source, #version
                check(&part.package, "+-.", "package")?;
                check(&part.version, "+-.~:", "version")?;
            }
            Pin::Packages(Box::new(Packages {
                release,
                image,
                config: row.config,
                modules: row.modules,
                debug_info: row.debug_info,
            }))
        }
        _ => {
            return Err(LockProblem::Incomplete(name));
        }
    };
    Ok((name, pin))
}

/// True if a word begins with a letter or digit and has nothing but these and `others` in it.
fn is_word(text: &str, others: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.len() <= 200
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || others.contains(c))
}

fn format_row(name: &str, pin: &Pin) -> Row {
    let name = name.to_owned();
    match pin.clone() {
        Pin::Image { sha256 } => Row {
            name,
            sha256: Some(sha256),
            release: None,
            image: None,
            config: None,
            modules: None,
            debug_info: None,
        },
        Pin::Packages(packages) => Row {
            name,
            sha256: None,
            release: Some(packages.release),
            image: Some(packages.image),
            config: packages.config,
            modules: packages.modules,
            debug_info: packages.debug_info,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn part(package: &str, version: &str) -> LockedPackage {
        LockedPackage {
            package: package.into(),
            version: version.into(),
            size: 34_000_000,
            sha256: "ab".repeat(32),
        }
    }

    fn packages(version: &str, debug: bool) -> Pin {
        Pin::Packages(Box::new(Packages {
            release: "7.3.4+deb13-cloud-amd64".into(),
            image: part("linux-binary-7.3.4+deb13-cloud-amd64", version),
            config: Some(part("linux-base-7.3.4+deb13-cloud-amd64", version)),
            modules: debug.then(|| part("linux-modules-7.3.4+deb13-cloud-amd64", version)),
            debug_info: debug.then(|| part("linux-image-7.3.4+deb13-cloud-amd64-dbg", version)),
        }))
    }

    /// Check the file as it is written, and that it is read as what was written.
    #[test]
    fn text() {
        let mut lock = Lock::default();
        lock.set("guest:debian-7.3", packages("7.3.4-1~bpo13+1", false));
        lock.set(
            "guest:mine",
            Pin::Image {
                sha256: "0".repeat(64),
            },
        );
        let text = lock.text();
        assert!(
            text.starts_with("# The kernels of this book's guests."),
            "{text}"
        );
        assert!(
            text.contains("\n[[machine]]\nname = \"guest:debian-7.3\"\nrelease = \"7.3.4+deb13-cloud-amd64\"\n"),
            "{text}"
        );
        assert!(text.contains("version = \"7.3.4-1~bpo13+1\"\n"), "{text}");
        assert_eq!(Lock::parse(&text), Ok(lock));
        assert_eq!(
            Lock::parse(&Lock::default().text()),
            Ok(Lock::default()),
            "an empty one"
        );
    }

    /// Check that what moved is told, and nothing else.
    #[test]
    fn moves() {
        let of = |pins: &[(&str, Pin)]| {
            let mut lock = Lock::default();
            for (name, pin) in pins {
                lock.set(name, pin.clone());
            }
            lock
        };
        let old = of(&[
            ("guest:debian-7.3", packages("7.3.4-1", true)),
            ("guest:debian-7.2", packages("7.2.1-1", true)),
            ("guest:debian-7.1", packages("7.1.1-1", false)),
            ("guest:debian-7.0", packages("7.0.1-1", false)),
        ]);
        let new = of(&[
            ("guest:debian-7.3", packages("7.3.5-1", true)),
            ("guest:debian-7.2", packages("7.2.1-1", true)),
            ("guest:debian-7.1", packages("7.1.1-1", true)),
            ("guest:debian-newest", packages("7.3.5-1", true)),
        ]);
        let package = "linux-binary-7.3.4+deb13-cloud-amd64";
        assert_eq!(
            old.describe_changes(&new),
            [
                format!("guest:debian-7.0: no longer pinned (was {package} 7.0.1-1)"),
                format!("guest:debian-7.1: {package} 7.1.1-1, with other packages beside it"),
                format!("guest:debian-7.3: {package} 7.3.4-1 -> {package} 7.3.5-1"),
                format!("guest:debian-newest: {package} 7.3.5-1 (new)"),
            ]
        );
        assert!(old.describe_changes(&old).is_empty());
    }

    /// Check that each part of the file is looked at before it is believed: what it says is passed to programs.
    #[test]
    fn refused() {
        let mut lock = Lock::default();
        lock.set("guest:debian-7.3", packages("7.3.4-1", true));
        let text = lock.text();
        let zeros = "0".repeat(64);
        let image = format!("[[machine]]\nname = \"guest:x\"\nsha256 = \"{zeros}\"\n");
        for (bad, word) in [
            (text.replace("version = 1\n", ""), "version"),
            (
                text.replace("version = 1\n", "version = 2\n"),
                "knows 1 only",
            ),
            (
                text.replace("\"linux-binary", "\"-oDir=linux-binary"),
                "is not a package",
            ),
            (
                text.replace("\"linux-modules", "\"-oDir=linux-modules"),
                "is not a package",
            ),
            (
                text.replace("\"7.3.4-1\"", "\"7.3.4 -y\""),
                "is not a version",
            ),
            (
                text.replace("\"7.3.4+deb13-cloud-amd64\"", "\"../../x\""),
                "is not a release",
            ),
            (text.replacen("abab", "xbab", 1), "64 hexadecimal digits"),
            (
                text.replace("guest:debian-7.3", "debian"),
                "a machine's name",
            ),
            (text.replace("release = ", "releases = "), "unknown field"),
            (format!("version = 1\n{image}{image}"), "twice"),
            (
                format!("version = 1\n{image}release = \"1\"\n"),
                "needs either",
            ),
            (
                "version = 1\n[[machine]]\nname = \"guest:x\"\n".into(),
                "needs either",
            ),
            ("machine = 1".into(), "cannot be read"),
        ] {
            let error = Lock::parse(&bad).unwrap_err().to_string();
            assert!(error.contains(word), "{word}: {error}");
        }
    }

    proptest! {
        /// Check that any text is read or refused, and that what is read is written as what reads the same.
        #[test]
        fn any_text(text in "(version = 1\n)?(\\[\\[machine\\]\\]\nname = \"guest:[a-z.]{0,3}\"\n(sha256 = \"[0-9a-g]{64}\"\n)?){0,3}[ -~\n]{0,20}") {
            if let Ok(lock) = Lock::parse(&text) {
                prop_assert_eq!(Lock::parse(&lock.text()), Ok(lock));
            }
        }
    }
}

//! The machines that can be asked for: `host`, `guest:debian-6.1`, `guest:PATH`, `guest:WORD=PATH`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use qed_evidence::lock::Lock;
use qed_evidence::machine::{self, HOST, MachineError, MachineRequest};
use serde::Deserialize;

use super::failure::Failure;
use super::guests::Guests;
use super::kernel_files::DebugInfo;
use crate::guest::KernelSource;
use crate::guest::source::SourceError;

/// A machine that cannot be captured on.
#[derive(Debug, thiserror::Error)]
pub enum TargetError {
    /// The text is not a machine.
    #[error(transparent)]
    Request(#[from] MachineError),
    /// The text names no kernel.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// A kernel image cannot be read.
    #[error("the kernel image {} cannot be read: {error}; name one that you may read", .path.display())]
    Image {
        /// Its path.
        path: PathBuf,
        /// The cause.
        error: std::io::Error,
    },
}

/// A machine to capture on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TargetMachine {
    /// This machine.
    Host,
    /// A throwaway guest, with its whole name.
    Guest(String, KernelSource),
}

impl TargetMachine {
    /// Its name, as `book.toml` has it.
    pub fn name(&self) -> &str {
        match self {
            TargetMachine::Host => "host",
            TargetMachine::Guest(name, _) => name,
        }
    }
}

impl FromStr for TargetMachine {
    type Err = TargetError;

    fn from_str(text: &str) -> Result<Self, TargetError> {
        let request = MachineRequest::parse(text)?;
        TargetMachine::from_request(&request, Path::new(""))
    }
}

impl TargetMachine {
    /// The requested machine. Paths of kernel images are relative to `folder`; an image without a name is read, because it is
    /// named by its digest.
    fn from_request(request: &MachineRequest, folder: &Path) -> Result<Self, TargetError> {
        match request {
            MachineRequest::Named(name) if name == HOST => Ok(TargetMachine::Host),
            MachineRequest::Named(name) => {
                let word = name.split_once(':').map_or("", |(_, word)| word);
                let source = KernelSource::parse(word)?;
                Ok(TargetMachine::Guest(name.clone(), source))
            }
            MachineRequest::Image { path, word } => {
                let path = folder.join(path);
                let name = match word {
                    Some(word) => machine::guest_name(word),
                    None => {
                        let image = std::fs::read(&path).map_err(|error| TargetError::Image {
                            path: path.clone(),
                            error,
                        })?;
                        machine::name_of_image(&path, &image)
                    }
                };
                Ok(TargetMachine::Guest(name, KernelSource::Path(path)))
            }
        }
    }
}

/// Checks that no two machines share a name, or the file of their evidence.
///
/// # Errors
/// When two do.
pub fn check_distinct(targets: &[TargetMachine]) -> Result<(), Failure> {
    for (index, target) in targets.iter().enumerate() {
        let file = machine::evidence_file_name(target.name());
        let same = |other: &&TargetMachine| machine::evidence_file_name(other.name()) == file;
        if let Some(other) = targets[..index].iter().find(same) {
            return Err(Failure::input(format!(
                "the machines `{}` and `{}` would share the file {file}: name a machine once, and give each kernel image \
                 a word of its own (guest:WORD=PATH)",
                other.name(),
                target.name()
            )));
        }
    }
    Ok(())
}

/// The settings of `book.toml` about captures.
#[derive(Debug)]
pub struct Book {
    /// The investigation file.
    pub investigation: PathBuf,
    /// The machines, in order of preference.
    pub machines: Vec<TargetMachine>,
    /// The folder of the evidence.
    pub evidence: PathBuf,
    /// Its folder.
    pub root: PathBuf,
    /// The kernels that its guests are pinned to, if it has a lock file.
    pub lock: Option<Lock>,
    /// How its guests start.
    pub guests: Guests,
    /// The source of debug information for source lines, by the name of the machine.
    pub debuginfo: BTreeMap<String, DebugInfo>,
}

/// The book in this folder, or the nearest one above it.
///
/// # Errors
/// When there is none.
pub fn find_nearest_book() -> Result<PathBuf, Failure> {
    let here = std::env::current_dir()
        .map_err(|error| Failure::input(format!("failed to find this folder: {error}")))?;
    let mut path = PathBuf::new();
    for folder in here.ancestors() {
        if folder.join("book.toml").is_file() {
            return Ok(path.join("book.toml"));
        }
        path.push("..");
    }
    Err(Failure::input(
        "neither this folder nor one above it holds a book.toml: name the investigation with --investigation FILE, or the book with \
         --book FOLDER",
    ))
}

/// The book in this folder, or the nearest one above it; `None` if there is none, or it is no book of captures.
///
/// # Errors
/// When it cannot be understood.
pub fn find_book_around() -> Result<Option<Book>, Failure> {
    #[derive(Deserialize)]
    struct File {
        preprocessor: Option<Preprocessor>,
    }
    #[derive(Deserialize)]
    struct Preprocessor {
        qed: Option<toml::Value>,
    }
    let Ok(path) = find_nearest_book() else {
        return Ok(None);
    };
    // What cannot be read or parsed is told by the reader of books.
    let text = std::fs::read_to_string(&path).ok();
    let file: Option<File> = text.and_then(|text| toml::from_str(&text).ok());
    match file.map(|file| file.preprocessor.and_then(|p| p.qed)) {
        Some(None) => Ok(None),
        _ => read_book(&path).map(Some),
    }
}

/// Read the parts of `book.toml` that matter to a capture. All else in it is mdBook's or the preprocessor's.
pub fn read_book(path: &Path) -> Result<Book, Failure> {
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
        machines: Option<Vec<MachineRequest>>,
        #[serde(default)]
        debuginfo: BTreeMap<String, String>,
        #[serde(default)]
        guests: Guests,
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
        .unwrap_or_else(|| vec![MachineRequest::Named(HOST.into())])
        .iter()
        .map(|request| {
            TargetMachine::from_request(request, &root)
                .map_err(|error| Failure::input(format!("{shown}: machines: {error}")))
        })
        .collect::<Result<Vec<_>, _>>()?;
    let debuginfo = parse_debuginfo(qed.debuginfo, &machines, &root)
        .map_err(|problem| Failure::input(format!("{shown}: {problem}")))?;
    Ok(Book {
        debuginfo,
        guests: qed.guests,
        investigation: root.join(investigation),
        machines,
        evidence: root.join(".qed/evidence"),
        lock: super::lock::read_lock_beside(&root)?,
        root,
    })
}

/// The sources of debug information that a book names for `machines`; paths of files are relative to `root`.
fn parse_debuginfo(
    requested: BTreeMap<String, String>,
    machines: &[TargetMachine],
    root: &Path,
) -> Result<BTreeMap<String, DebugInfo>, DebugInfoError> {
    let mut found = BTreeMap::new();
    for (name, source) in requested {
        if !machines.iter().any(|machine| machine.name() == name) {
            let known = machines.iter().map(TargetMachine::name);
            return Err(DebugInfoError {
                known: known.collect::<Vec<_>>().join(", "),
                name,
            });
        }
        let Ok(source) = source.parse::<DebugInfo>();
        let source = match source {
            DebugInfo::Path(path) => DebugInfo::Path(root.join(path)),
            other => other,
        };
        found.insert(name, source);
    }
    Ok(found)
}

/// Source lines of a machine that the book does not have.
#[derive(Debug, thiserror::Error)]
#[error("`debuginfo` names `{name}`, and the machines are {known}")]
struct DebugInfoError {
    name: String,
    known: String,
}

#[cfg(test)]
mod tests {
    use super::super::kernel_files::DebugInfoChoice;
    use super::*;

    /// Check that source lines are chosen by machine, with files beside the book, that the command line goes first, and that a
    /// machine which the book does not have is refused.
    #[test]
    fn debuginfo_by_machine() {
        let folder = tempfile::tempdir().unwrap();
        let toml = |debuginfo: &str| {
            let text = format!(
                "[preprocessor.qed]\ninvestigation = \"i.toml\"\nmachines = [\"host\", \"guest:debian-6.1\"]\n\
                 debuginfo = {{ {debuginfo} }}\n"
            );
            std::fs::write(folder.path().join("book.toml"), text).unwrap();
            read_book(folder.path())
        };
        let chosen = toml("\"guest:debian-6.1\" = \"none\", host = \"vmlinux\"").unwrap();
        let vmlinux = DebugInfo::Path(folder.path().join("vmlinux"));
        let choice = DebugInfoChoice::new(None, chosen.debuginfo.clone());
        assert_eq!(*choice.for_machine("host"), vmlinux);
        assert_eq!(*choice.for_machine("guest:debian-6.1"), DebugInfo::None);
        let choice = DebugInfoChoice::new(Some(DebugInfo::Auto), chosen.debuginfo);
        assert_eq!(*choice.for_machine("host"), DebugInfo::Auto);
        let message = toml("\"guest:debian-6.12\" = \"none\"")
            .unwrap_err()
            .message;
        assert!(
            message
                .contains("names `guest:debian-6.12`, and the machines are host, guest:debian-6.1"),
            "{message}"
        );
    }

    /// Check that the machines' names are understood, and that anything else says what can be written.
    #[test]
    fn names() {
        let parsed = |text: &str| text.parse::<TargetMachine>().unwrap();
        assert_eq!(parsed("host"), TargetMachine::Host);
        assert_eq!(parsed("guest:debian-6.1").name(), "guest:debian-6.1");
        assert!(
            "gast"
                .parse::<TargetMachine>()
                .unwrap_err()
                .to_string()
                .contains("guest:debian-6.1")
        );
        assert!("guest:fedora".parse::<TargetMachine>().is_err());
        assert_eq!(
            parsed("guest:mine=/x/y"),
            TargetMachine::Guest("guest:mine".into(), KernelSource::Path("/x/y".into()))
        );
    }

    /// Check that paths of a book's images are relative to its folder, that their names reveal no folder, and that one image
    /// cannot be two machines.
    #[test]
    fn images() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["a", "b"] {
            std::fs::create_dir(folder.path().join(name)).unwrap();
            std::fs::write(folder.path().join(name).join("vmlinuz"), "one").unwrap();
        }
        std::fs::write(
            folder.path().join("book.toml"),
            "[preprocessor.qed]\ninvestigation = \"i.toml\"\nmachines = [\"guest:a/vmlinuz\", { guest = \"b/vmlinuz\", name = \"mine\" }]\n",
        )
        .unwrap();
        let machines = read_book(folder.path()).unwrap().machines;
        let names: Vec<&str> = machines.iter().map(TargetMachine::name).collect();
        assert_eq!(names, ["guest:vmlinuz-7692c3ad", "guest:mine"]);
        let TargetMachine::Guest(_, KernelSource::Path(path)) = &machines[1] else {
            panic!("{machines:?}")
        };
        assert_eq!(*path, folder.path().join("b/vmlinuz"));
        assert!(check_distinct(&machines).is_ok());
        let twice = [machines[0].clone(), machines[0].clone()];
        assert!(
            check_distinct(&twice)
                .unwrap_err()
                .message
                .contains("share the file")
        );
    }
}

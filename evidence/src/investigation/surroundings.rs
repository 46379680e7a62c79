//! The surroundings of a workload: files, programs, environment, folder and input.

use std::collections::BTreeMap;
use std::ops::Range;

/// The surroundings of a workload. Paths that do not begin with `/` begin at the investigation's folder.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Surroundings {
    /// Files that a guest is given before anything runs.
    pub files: Vec<GivenFile>,
    /// Programs that it runs besides the one of its command line.
    pub programs: Vec<SpannedName>,
    /// Variables of its environment.
    pub env: BTreeMap<String, String>,
    /// The folder in which it starts.
    pub cwd: Option<String>,
    /// Its standard input.
    pub stdin: Option<Stdin>,
}

/// A word of an investigation, and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpannedName {
    /// The word.
    pub name: String,
    /// Its place in the file.
    pub span: Range<usize>,
}

/// A file or a folder that a guest is given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GivenFile {
    /// Its path on the machine that captures.
    pub from: String,
    /// Its path in the guest, a whole one.
    pub to: String,
    /// Its permissions; `None`: 0755 if it is executable, else 0644.
    pub mode: Option<u32>,
    /// Its place in the file.
    pub span: Range<usize>,
}

/// The standard input of a workload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stdin {
    /// This text.
    Text(String),
    /// A file.
    File(SpannedName),
}

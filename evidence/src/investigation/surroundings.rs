//! What a workload finds around it: files, programs, environment, folder and input.

use std::collections::BTreeMap;
use std::ops::Range;

/// What a workload finds around it. Paths that do not begin with `/` begin at the investigation's folder.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Surroundings {
    /// Files that a guest is given before anything runs.
    pub files: Vec<GivenFile>,
    /// Programs that it runs besides the one of its command line.
    pub programs: Vec<Named>,
    /// Variables of its environment.
    pub env: BTreeMap<String, String>,
    /// The folder in which it starts.
    pub cwd: Option<String>,
    /// What it reads from descriptor 0.
    pub stdin: Option<Stdin>,
}

/// A word of an investigation, and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    /// The word.
    pub name: String,
    /// Where it stands in the file.
    pub span: Range<usize>,
}

/// A file or a folder that a guest is given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GivenFile {
    /// Where it is on the machine that captures.
    pub from: String,
    /// Where it is put in the guest: a whole path.
    pub to: String,
    /// Its permissions; `None`: 0755 if it is executable, else 0644.
    pub mode: Option<u32>,
    /// Where it stands in the file.
    pub span: Range<usize>,
}

/// What a workload reads from descriptor 0.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stdin {
    /// This text.
    Text(String),
    /// A file.
    File(Named),
}

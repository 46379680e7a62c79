//! The state that evidence is compared with, and the outcome of a comparison.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;

use crate::document::{FileRole, ProgramFile};
use crate::lock::Pin;

/// The present state. What is not known is not compared.
#[derive(Clone, Debug)]
pub struct CurrentState {
    /// Boot id of the machine that the evidence is of; of a host only, a guest's boot is always over.
    pub boot_id: Option<String>,
    /// `uname -r` of the kernel that the machine has.
    pub release: Option<String>,
    /// GNU build id of the kernel that the machine has, hex.
    pub build_id: Option<String>,
    /// SHA-256 of the investigation file, hex.
    pub investigation_digest: Option<String>,
    /// Version of the collector.
    pub collector: Option<String>,
    /// SHA-256 of the collector's eBPF object, hex.
    pub object_digest: DigestNow,
    /// SHA-256 of the image that the guest would boot, hex. `None`: it is not named by a file.
    pub image_digest: Option<DigestNow>,
    /// The kernel that the book's lock file pins the machine to.
    pub pin: Option<Pin>,
    /// The local files of the programs that are run.
    pub programs: BTreeMap<ProgramRunner, ProgramNow>,
    /// The time.
    pub time: Timestamp,
    /// The greatest age of evidence.
    pub max_age: Option<Duration>,
    /// True if guests have to be booted, not resumed.
    pub boots: bool,
}

/// The digest of a local file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DigestNow {
    /// SHA-256, hex.
    Known(String),
    /// The reason why it is not known.
    Unknown(String),
}

impl<E: fmt::Display> From<Result<String, E>> for DigestNow {
    fn from(digest: Result<String, E>) -> Self {
        match digest {
            Ok(digest) => Self::Known(digest),
            Err(error) => Self::Unknown(error.to_string()),
        }
    }
}

/// The files of one command or workload, as they are here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProgramNow {
    /// All of them.
    Here(Vec<ProgramFile>),
    /// Those of the author; why the rest, which belongs to the system, is not the one that it was captured with.
    Own(Vec<ProgramFile>, String),
    /// The reason why they are unavailable.
    Unknown(String),
}

/// The outcome of a comparison.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Comparison {
    /// All ways in which it is stale; none if it is fresh as far as it was compared.
    pub stale: Vec<StaleReason>,
    /// The things that could not be compared, and why: phrases.
    pub not_compared: Vec<String>,
}

/// One way in which evidence is stale.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, thiserror::Error)]
#[serde(tag = "stale", rename_all = "snake_case")]
pub enum StaleReason {
    /// The host was booted again: its addresses and its slide are others now.
    #[error("the host was booted since the capture")]
    Boot {
        /// Boot id of the capture.
        was: String,
        /// Boot id now.
        now: String,
    },
    /// The machine has another kernel.
    #[error("the machine has another kernel now ({was} then, {now} now)")]
    Kernel {
        /// Release or build id of the capture.
        was: String,
        /// The same now.
        now: String,
    },
    /// The investigation was changed.
    #[error("the investigation was changed since the capture")]
    Investigation,
    /// Another collector made it.
    #[error("another collector made it ({was}, now {now})")]
    Collector {
        /// Version or object digest of the capture.
        was: String,
        /// The same now.
        now: String,
    },
    /// The guest would boot another kernel image.
    #[error("another kernel image stands behind the guest now")]
    Image {
        /// SHA-256 of the image that was booted, hex.
        was: String,
        /// The same now.
        now: String,
    },
    /// The book is pinned to another kernel.
    #[error("the book is pinned to another kernel ({was} then, {now} now)")]
    Pinned {
        /// Package and version, or image digest, of the capture.
        was: String,
        /// The same of the lock file.
        now: String,
    },
    /// A file of what was run is another one now.
    #[error("the {} `{file}` of {of} was changed since the capture", role.name())]
    Program {
        /// The command or workload that ran it.
        of: ProgramRunner,
        /// The role of the file for the program.
        role: FileRole,
        /// Its name.
        file: String,
    },
    /// A file is none of the program any more, or a new one is.
    #[error("{of} consists of other files now ({} `{file}`)", role.name())]
    Files {
        /// The command or workload that ran it.
        of: ProgramRunner,
        /// The role of the file for the program.
        role: FileRole,
        /// Its name.
        file: String,
    },
    /// Older than allowed.
    #[error("it is {} old, more than {}", format_duration(*age_s), format_duration(*max_s))]
    Age {
        /// Age in seconds.
        age_s: u64,
        /// The allowed age in seconds.
        max_s: u64,
    },
    /// The guest was resumed, and what is here asks for a boot.
    #[error("its guest was resumed from the boot of {booted}, and not booted for it")]
    Resumed {
        /// The time of that boot.
        booted: String,
    },
    /// Its time cannot be right.
    #[error("its time `{time}` {problem}")]
    Time {
        /// The time in the evidence.
        time: String,
        /// The problem.
        problem: String,
    },
}

/// The command or workload that runs a program.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ProgramRunner {
    /// The command of this name.
    Command(String),
    /// The workload of the experiment of this name.
    Workload(String),
}

impl fmt::Display for ProgramRunner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ProgramRunner::Command(name) => write!(f, "command `{name}`"),
            ProgramRunner::Workload(name) => write!(f, "the workload of `{name}`"),
        }
    }
}

/// A duration in words, in the largest unit of which it has at least two.
fn format_duration(seconds: u64) -> String {
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7_200 => format!("{} minutes", seconds / 60),
        7_200..172_800 => format!("{} hours", seconds / 3_600),
        _ => format!("{} days", seconds / 86_400),
    }
}

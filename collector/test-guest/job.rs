//! Jobs that only tests give to a guest, and their answers.

use anyhow::Context as _;
use serde::{Deserialize, Serialize};

/// The place of the job in the initramfs.
pub const JOB: &str = "/qed/test-job.json";
/// The place of the program that is tested in the initramfs.
pub const PROGRAM: &str = "/qed/qed-collector";

/// A job of a test.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TestJob {
    /// Run an investigation, and look at one of its experiments with the kernel's own means too.
    Oracle {
        /// Its name, for messages.
        name: String,
        /// Its text.
        text: String,
        /// The experiment.
        experiment: String,
        /// The pointers to follow in memory.
        chains: Vec<Chain>,
    },
    /// Trace the workload of each experiment, and give the tracer's own text of the same buffer, too: [`Traced`].
    Graph {
        /// Name of the investigation, for messages.
        name: String,
        /// Its text.
        text: String,
    },
    /// Run the program that is tested as an ordinary user.
    Ordinary(Runs),
    /// Say what tells one guest from another: [`Moment`].
    Moment,
    /// End the first process, so that the kernel panics, if this is the boot with that id; else the same.
    CrashIn {
        /// `/proc/sys/kernel/random/boot_id`.
        boot_id: String,
    },
}

impl TestJob {
    /// The file that brings the job into the guest.
    pub fn file(&self) -> anyhow::Result<(String, Vec<u8>)> {
        let text = serde_json::to_vec(self).context("failed to write the guest's job")?;
        Ok((JOB.to_owned(), text))
    }
}

/// Pointers to follow through `/proc/kcore`, while the workload's objects are still open.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Chain {
    /// A function of the experiment.
    pub function: String,
    /// The argument that holds the first pointer, from 0.
    pub argument: usize,
    /// Structure and member, one after the other.
    pub steps: Vec<(String, String)>,
}

/// The kernel's own view of an experiment.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct View {
    /// Events that the kernel refused as invalid, by the function they are of, in the order in which they were defined.
    pub refused: Vec<String>,
    /// Text of the `trace` file.
    pub trace: String,
    /// Per chain: the pointer at its start, and the pointer after each step.
    pub chains: Vec<Vec<u64>>,
}

/// The answer to [`TestJob::Graph`].
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Traced {
    /// `/proc/kallsyms`.
    pub kallsyms: String,
    /// The kernel's BTF.
    #[serde(with = "serde_bytes")]
    pub btf: Vec<u8>,
    /// Per experiment: the records, as postcard has them, and tracefs's `trace` of the same.
    pub traces: Vec<(Vec<u8>, String)>,
}

/// What a guest knows of itself and of its time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Moment {
    /// Its wall clock, in nanoseconds since 1970.
    pub time_ns: u128,
    /// `/proc/sys/kernel/random/boot_id`.
    pub boot_id: String,
    /// The line of `/proc/kallsyms` for `_text`.
    pub text: String,
    /// Bytes of `/dev/urandom`.
    pub random: [u8; 16],
    /// `/proc/sys/kernel/random/uuid`.
    pub uuid: String,
    /// `AT_RANDOM` of a new process, from which its stack canary is made.
    pub process_random: Vec<u8>,
    /// Addresses of a new process: its memory map, without names.
    pub process_map: String,
    /// A pointer of the kernel as `%p` prints it: that of the first clock in `/proc/timer_list`.
    pub hashed_pointer: String,
    /// Permissions and text of `/qed/file`.
    pub file: Option<(u32, String)>,
    /// The folder of jobs and the names in it, with the second in which each was changed last.
    pub job_folder: Vec<(String, i64)>,
}

/// Runs of the program, and their user.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Runs {
    /// The user and group that run it. Nobody needs to know them.
    pub user: u32,
    /// Files that are written first, such as `/proc/sys/kernel/perf_event_paranoid`, and what goes into them.
    pub settings: Vec<(String, String)>,
    /// Files that are put into the working folder: name and text.
    pub files: Vec<(String, String)>,
    /// One run of the program each, with the capabilities that its file has for it (`CAP_BPF`).
    pub capabilities: Vec<Vec<String>>,
    /// The arguments.
    pub args: Vec<String>,
    /// A file in the working folder that is brought back after each run.
    pub result: String,
}

/// The end of one run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Ran {
    /// Its exit status; `None` where a signal ended it.
    pub status: Option<i32>,
    /// Its standard output.
    pub stdout: String,
    /// Its standard error.
    pub stderr: String,
    /// The file that was asked for, if it is there.
    pub result: Option<Vec<u8>>,
}

/// The investigation and the arguments of a capture, for [`Runs`]: on the machine that the guest is for its own users.
#[must_use]
pub fn capture(investigation: &str, capabilities: &[&[&str]]) -> Runs {
    let file = "investigation.toml".to_owned();
    Runs {
        user: 1000,
        settings: Vec::new(),
        files: vec![(file.clone(), investigation.to_owned())],
        capabilities: capabilities
            .iter()
            .map(|set| set.iter().map(ToString::to_string).collect())
            .collect(),
        args: [
            "capture",
            "--on",
            "host",
            "--debuginfo",
            "none",
            "--investigation",
            &file,
            "-o",
            "evidence.json",
        ]
        .map(str::to_owned)
        .to_vec(),
        result: "evidence.json".into(),
    }
}

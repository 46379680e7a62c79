//! Investigations: which experiments to run, and what to watch in each.

mod command;
mod parse;
mod place;

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

pub(crate) use command::stands_in;
pub use command::{ARTEFACTS, Command, OUTPUT_OF_COMMAND, Wanted, WantedKind, artefact};
pub use parse::parse;
pub use place::Place;

use crate::diagnostic::Source;

/// The most bytes that a read of text or of an array can be asked to bring back: what fits beside other reads of the same
/// probe.
pub const MAX_READ: u32 = 1024;
/// The longest output that can be asked to be kept, in bytes.
pub const MAX_OUTPUT: u32 = 1 << 20;
/// What is kept of a workload's output if nothing is said, in bytes.
pub const OUTPUT_OF_WORKLOAD: u32 = 64 << 10;

/// A parsed and checked investigation.
#[derive(Clone, Debug)]
pub struct Investigation {
    /// The file it came from, for diagnostics.
    pub source: Arc<Source>,
    /// SHA-256 of the file, hex.
    pub digest: String,
    /// Kernel symbols whose live and static addresses go into the evidence.
    pub symbols: Vec<String>,
    /// Kernel configuration options that go into the evidence: `randomize_base` for `CONFIG_RANDOMIZE_BASE`.
    pub config: Vec<String>,
    /// How many boots of each guest to note the slide of, besides the one that is captured.
    pub boots: u32,
    /// Ordinary programs to run, in this order.
    pub commands: Vec<Command>,
    /// The experiments in the order in which they run.
    pub experiments: Vec<Experiment>,
}

impl Investigation {
    /// The command of this name.
    pub fn command(&self, name: &str) -> Option<&Command> {
        self.commands.iter().find(|command| command.name == name)
    }

    /// The experiment of this name.
    pub fn experiment(&self, name: &str) -> Option<&Experiment> {
        self.experiments
            .iter()
            .find(|experiment| experiment.name == name)
    }
}

/// One run of a workload under one set of probes.
#[derive(Clone, Debug)]
pub struct Experiment {
    /// First segment of its paths.
    pub name: String,
    /// Where the name stands in the file.
    pub span: Range<usize>,
    /// What to run.
    pub workload: Workload,
    /// Attached alone, before all others, and detached again: for experiments that compare a probed kernel
    /// with an unprobed one.
    pub isolated: bool,
    /// Measure what the probes cost.
    pub cost: bool,
    /// How often to make the call before the probes look, so that caches and tables are warm.
    pub warm_up: u32,
    /// How long to wait at most for the kernel to replace breakpoints by jumps, in milliseconds; 0: do not wait. It
    /// does so some time after a probe has been attached in the middle of a function.
    pub settle_ms: u64,
    /// How long the workload may take, in milliseconds.
    pub timeout_ms: u64,
    /// How long to wait at most, after the workload has let go, for what it allocated to be freed, in milliseconds.
    /// Only probes with `frees` wait. A call that succeeds keeps what it made, and a free that comes late cannot be told
    /// from one that never comes: such an experiment waits this long, unless it says `until = "exit"`, where the end of
    /// the process gives everything back.
    pub grace_ms: u64,
    /// What is kept of the workload's output, in bytes; the rest is cut off.
    pub max_output: u32,
    /// Watch until the process has ended, not only until the system call has returned; with `follow`, until those that
    /// it started have ended, too.
    pub until_exit: bool,
    /// The processes that the workload starts, and those that they start, belong to it.
    pub follow: bool,
    /// Allocations that may outlive the call.
    pub excuses: Vec<Excuse>,
    /// What to watch.
    pub probes: Vec<Probe>,
}

impl Experiment {
    /// The probe of this name.
    pub fn probe(&self, name: &str) -> Option<&Probe> {
        self.probes.iter().find(|probe| probe.name == name)
    }

    /// The workload as a reader would write it: a C-like call, or a command line.
    pub fn workload_text(&self) -> String {
        let (name, args) = match &self.workload.action {
            Action::Command(command) => return command.join(" "),
            Action::Syscall { name, args, .. } => (name, args),
        };
        let args: Vec<String> = args
            .iter()
            .map(|arg| match arg {
                Argument::Int(value) => value.to_string(),
                Argument::Constant { text, .. } => text.clone(),
                Argument::Text(text) => format!("{text:?}"),
                Argument::Buffer { name, .. } => name.clone(),
            })
            .collect();
        let threads = match self.workload.threads {
            0 | 1 => String::new(),
            threads => format!(" in {threads} threads"),
        };
        format!("{name}({}){threads}", args.join(", "))
    }
}

/// What an experiment runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Workload {
    /// A system call or a command.
    pub action: Action,
    /// Soft resource limits to set before it: `nofile` and its value.
    pub limits: Vec<(String, u64)>,
    /// Run it without any capability.
    pub drop_capabilities: bool,
    /// Make the system call in so many threads at once.
    pub threads: u32,
}

/// A system call or a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// One system call.
    Syscall {
        /// Its name, `socket`.
        name: String,
        /// Where the name stands in the file.
        span: Range<usize>,
        /// At most six.
        args: Vec<Argument>,
        /// What a non-negative return value is.
        returns: Returns,
    },
    /// A program and its arguments.
    Command(Vec<String>),
}

/// What a system call returns when it succeeds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Returns {
    /// A number.
    Int,
    /// A file descriptor.
    Fd,
}

/// One argument of a system call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Argument {
    /// A number.
    Int(i64),
    /// Named constants joined by `|`: `O_CLOEXEC|O_NONBLOCK`.
    Constant {
        /// The text.
        text: String,
        /// Where it stands in the file.
        span: Range<usize>,
    },
    /// The address of a NUL-terminated string.
    Text(String),
    /// The address of a zeroed buffer, which is read back afterwards.
    Buffer {
        /// Name in the evidence.
        name: String,
        /// Bytes.
        size: usize,
        /// How to show it.
        elements: BufferElements,
    },
}

/// What a read-back buffer holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BufferElements {
    /// Bytes.
    Bytes,
    /// 32-bit integers, as one text `3, 4`.
    Ints,
}

/// Why an allocation may outlive the call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Excuse {
    /// A function on the allocation's stack.
    pub within: String,
    /// Why it is no leak.
    pub reason: String,
}

impl Excuse {
    /// As a ledger tells it.
    pub fn text(&self) -> String {
        format!("{}: {}", self.within, self.reason)
    }
}

/// One thing to watch.
#[derive(Clone, Debug, PartialEq)]
pub struct Probe {
    /// Second segment of its paths.
    pub name: String,
    /// Where the probe's name or target stands in the file.
    pub span: Range<usize>,
    /// Function, tracepoint, LSM hook or address.
    pub target: crate::document::Target,
    /// Where in the function.
    pub position: Position,
    /// The file that defines the function, where functions of several files have its name: `fs/pipe.c`.
    pub file: Option<String>,
    /// Watch the copies of the function that the compiler made of it as well.
    pub clones: bool,
    /// The experiment counts without it.
    pub optional: bool,
    /// Watch the return too (functions only).
    pub watch_return: bool,
    /// Report only hits that have this function on their stack.
    pub within: Option<String>,
    /// Tracepoints `sys_enter` and `sys_exit`: report only this system call.
    pub syscall: Option<String>,
    /// Report hits in any task, not only the workload's.
    pub any_task: bool,
    /// Keep the kernel stack.
    pub stack: bool,
    /// Raise a signal.
    pub signal: Option<Signal>,
    /// Refuse, with this positive errno (LSM hooks only).
    pub deny: Option<u32>,
    /// The hit allocates the object that this argument (or `return`) points to.
    pub allocates: Option<String>,
    /// The hit frees the object that this argument points to.
    pub frees: Option<String>,
    /// Arguments that are named constants, by name, and the set that they are of: `family`, `AF`.
    pub names: BTreeMap<String, String>,
    /// What of a hit on a live machine may be published though nothing says what it means: `args.NAME`, `return`,
    /// `entry.READ`, `exit.READ`.
    pub public: Vec<String>,
    /// Reads at the entry.
    pub entry: Vec<Read>,
    /// Reads at the return.
    pub exit: Vec<Read>,
}

impl Probe {
    /// Whether both look at the same thing: where one fires, the other would have been seen.
    pub fn watches_the_same(&self, other: &Probe) -> bool {
        self.target == other.target
            && self.position == other.position
            && self.file == other.file
            && self.clones == other.clones
            && self.within == other.within
            && self.syscall == other.syscall
    }
}

/// Where in a function a probe sits.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Position {
    /// At its first instruction.
    #[default]
    Entry,
    /// So many bytes into it.
    Offset(u64),
    /// At the instruction of this number; the first is 1.
    Instruction(u32),
    /// At the instruction that calls this function.
    BeforeCall(String),
    /// At the instruction behind it, where that call returns to.
    AfterCall(String),
    /// At the first instruction behind the bytes at its entry that the function tracer uses: where the function goes on
    /// when the probes at its entry are done.
    Body,
}

/// A signal to raise at a probe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signal {
    /// `SIGKILL`.
    pub name: String,
    /// Raise it when the function returns, not when it is entered.
    pub at_exit: bool,
}

/// A named field path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Read {
    /// Last segment of its path.
    pub name: String,
    /// The C-like expression.
    pub expression: String,
    /// Where the expression stands in the file, without its quotes. Empty if it holds escapes.
    pub span: Range<usize>,
    /// Show an integer as: its own type (`None`), `fd`, `size`, `flags`, `errno`.
    pub kind: Option<ReadKind>,
    /// The set of constants that an integer is of: [`constant_sets`](crate::constants::constant_sets).
    pub names: Option<String>,
    /// The most bytes of text, or of an array, to bring back; `None`: what one load brings.
    pub max: Option<u32>,
    /// A path whose value says how many elements the array has in which the expression takes one: for arrays that the
    /// kernel's types give no length.
    pub elements: Option<String>,
}

/// What an integer that was read means, where its C type does not tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReadKind {
    /// File descriptor.
    Fd,
    /// Amount in bytes.
    Size,
    /// Distance in bytes.
    Offset,
    /// Bits.
    Flags,
    /// Error number.
    Errno,
    /// Process id.
    Pid,
    /// Address in memory, where C calls it a number (`regs->sp`).
    Address,
}

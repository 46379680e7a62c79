//! Investigations as they are run: experiments, workloads and their limits.

use super::argument::{
    Argument, BufferElements, EarlierCall, FilledStructure, Returns, named_call_text,
};
use super::command::PlannedCommand;
use super::probe::Probe;
use super::surroundings::{SpannedName, Stdin, Surroundings};
use crate::diagnostic::SourceText;
use std::ops::Range;
use std::sync::Arc;

/// The longest output that can be asked to be kept, in bytes.
pub const MAX_OUTPUT: u32 = 1 << 20;

/// The part of a workload's output that is stored by default, in bytes.
pub const OUTPUT_OF_WORKLOAD: u32 = 64 << 10;

/// A parsed and checked investigation.
#[derive(Clone, Debug)]
pub struct Investigation {
    /// The file it came from, for diagnostics.
    pub source: Arc<SourceText>,
    /// SHA-256 of what the file says, hex; comments and layout do not count.
    pub digest: String,
    /// Kernel symbols whose live and static addresses go into the evidence.
    pub symbols: Vec<String>,
    /// Kernel configuration options that go into the evidence: `randomize_base` for `CONFIG_RANDOMIZE_BASE`.
    pub config: Vec<String>,
    /// Facts of a kernel's build that go into the evidence.
    pub facts: FactNames,
    /// The number of boots of each guest whose slide is recorded, besides the captured one.
    pub boots: u32,
    /// Command lines that prepare a guest, in this order. They are never run on a host.
    pub setup: Vec<Setup>,
    /// Programs that these run by themselves.
    pub setup_programs: Vec<SpannedName>,
    /// Ordinary programs to run, in this order.
    pub commands: Vec<PlannedCommand>,
    /// The experiments in the order in which they run.
    pub experiments: Vec<Experiment>,
}

impl Investigation {
    /// The command of this name.
    pub fn command(&self, name: &str) -> Option<&PlannedCommand> {
        self.commands.iter().find(|command| command.name == name)
    }

    /// The modules of all experiments, each once.
    pub fn modules(&self) -> impl Iterator<Item = &str> {
        let mut known = std::collections::BTreeSet::new();
        let all = self.experiments.iter().flat_map(|e| &e.modules);
        all.map(String::as_str)
            .filter(move |name| known.insert(*name))
    }

    /// The experiment of this name.
    pub fn experiment(&self, name: &str) -> Option<&Experiment> {
        self.experiments
            .iter()
            .find(|experiment| experiment.name == name)
    }
}

/// The names of facts of a kernel's build: `[facts]`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FactNames {
    /// Structures, unions, enumerations and typedefs, without these words.
    pub types: Vec<String>,
    /// Functions.
    pub functions: Vec<String>,
    /// Tracepoints.
    pub tracepoints: Vec<String>,
    /// System calls.
    pub syscalls: Vec<String>,
    /// Options of the configuration, in lower case without `CONFIG_`.
    pub config: Vec<String>,
    /// Paths of facts that no machine of the book is meant to have, without `.exists`: `types.socket.members.wq`. Any other
    /// name that no machine has counts as misspelt.
    pub absent: Vec<String>,
}

impl FactNames {
    /// True if none is named.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The names that a section holds.
    pub(crate) fn section(&self, section: &str) -> &[String] {
        match section {
            "types" => &self.types,
            "functions" => &self.functions,
            "tracepoints" => &self.tracepoints,
            "syscalls" => &self.syscalls,
            _ => &self.config,
        }
    }
}

/// A command line that prepares a guest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setup {
    /// A program and its arguments.
    pub words: Vec<String>,
    /// Its place in the file.
    pub span: Range<usize>,
}

impl Setup {
    /// The line as its author wrote it: that of `sh`, or the words.
    pub fn text(&self) -> String {
        match self.words.as_slice() {
            [sh, c, line] if sh == "sh" && c == "-c" => line.clone(),
            words => words.join(" "),
        }
    }
}

/// One run of a workload under one set of probes.
#[derive(Clone, Debug)]
pub struct Experiment {
    /// First segment of its paths.
    pub name: String,
    /// The place of the name in the file.
    pub span: Range<usize>,
    /// The experiment that it inherits from.
    pub inherits: Option<String>,
    /// The workload.
    pub workload: Workload,
    /// Modules of the kernel that have to be there, as `lsmod` names them. Those of all experiments are loaded before the first.
    pub modules: Vec<String>,
    /// Attached alone, before all others, and detached again: for experiments that compare a probed kernel
    /// with an unprobed one.
    pub isolated: bool,
    /// Measure what the probes cost.
    pub cost: bool,
    /// Run the workload once more, before anything is probed, and record all functions that its call runs through, by the kernel's
    /// function-graph tracer. Only of system calls in one thread.
    pub graph: bool,
    /// Functions besides the probed ones of which a claim may say that they did not run, or how often: their copies are looked up.
    pub graph_functions: Vec<String>,
    /// The number of calls before the probes look, so that caches and tables are warm.
    pub warm_up: u32,
    /// The longest wait for the kernel to replace breakpoints by jumps, in milliseconds; 0: do not wait. It
    /// does so some time after a probe has been attached in the middle of a function.
    pub settle_ms: u64,
    /// The time limit of the workload, in milliseconds.
    pub timeout_ms: u64,
    /// How long to wait for frees after the workload ends, in milliseconds. Only probes with `frees` wait. A late free looks
    /// like none: an experiment whose call succeeds and keeps its objects waits this long, unless it has `until = "exit"`,
    /// where the end of the process frees everything.
    pub grace_ms: u64,
    /// The part of the workload's output that is kept, in bytes; the rest is cut off.
    pub max_output: u32,
    /// Watch until the process has ended, not only until the system call has returned; with `follow`, until those that
    /// it started have ended, too.
    pub until_exit: bool,
    /// The processes that the workload starts, and those that they start, belong to it.
    pub follow: bool,
    /// Allocations that may outlive the call.
    pub excuses: Vec<LeakExemption>,
    /// The probes.
    pub probes: Vec<Probe>,
}

impl Experiment {
    /// The probe of this name.
    pub fn probe(&self, name: &str) -> Option<&Probe> {
        self.probes.iter().find(|probe| probe.name == name)
    }

    /// The workload as a reader would write it: a C-like call, or a command line.
    pub fn workload_text(&self) -> String {
        let (name, args, result) = match &self.workload.action {
            Action::Command(command) => return command.join(" "),
            Action::Syscall {
                name, args, result, ..
            } => (name, args, result),
        };
        let threads = match self.workload.threads {
            0 | 1 => String::new(),
            threads => format!(" in {threads} threads"),
        };
        let before: Vec<String> = self.workload.before.iter().map(EarlierCall::text).collect();
        let before = match before.is_empty() {
            true => String::new(),
            false => format!(", after {}", before.join(", ")),
        };
        let sequence = self.workload.sequence.iter().map(EarlierCall::text);
        let last = named_call_text(result.as_ref(), name, args);
        let calls: Vec<String> = sequence.chain([last]).collect();
        format!("{}{threads}{before}", calls.join("; "))
    }
}

/// The workload of an experiment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Workload {
    /// A system call or a command.
    pub action: Action,
    /// System calls that its process makes before all that is watched, in this order. No probe sees them.
    pub before: Vec<EarlierCall>,
    /// System calls that are watched together with the one of `action`, and made before it, in this order.
    pub sequence: Vec<EarlierCall>,
    /// Soft resource limits to set before it: `nofile` and its value.
    pub limits: Vec<(String, u64)>,
    /// Run it without any capability.
    pub drop_capabilities: bool,
    /// The number of threads that make the system call at once.
    pub threads: u32,
    /// Its surroundings.
    pub around: Surroundings,
}

impl Workload {
    /// The programs that it runs, with where each is named: that of its command line first.
    pub fn programs(&self, of: &Range<usize>) -> Vec<SpannedName> {
        let command = match &self.action {
            Action::Command(words) => words.first(),
            Action::Syscall { .. } => None,
        };
        let first = command.map(|name| SpannedName {
            name: name.clone(),
            span: of.clone(),
        });
        first
            .into_iter()
            .chain(self.around.programs.iter().cloned())
            .collect()
    }

    /// Visit all arguments of its system calls, those inside of structures included.
    pub fn each_argument<'a>(&'a self, visit: &mut dyn FnMut(&'a Argument)) {
        for argument in self.plain_arguments() {
            argument.for_each(visit);
        }
    }

    /// The arguments of its system calls themselves, without what structures hold.
    pub fn plain_arguments(&self) -> impl Iterator<Item = &Argument> {
        let last = match &self.action {
            Action::Syscall { args, .. } => args.as_slice(),
            Action::Command(_) => &[],
        };
        self.earlier_calls().flat_map(|call| &call.args).chain(last)
    }

    /// The arguments of its only watched system call as C has them; `None`: it is a command, or makes several.
    pub fn argument_texts(&self) -> Option<Vec<String>> {
        match &self.action {
            Action::Syscall { args, .. } if self.sequence.is_empty() => {
                Some(args.iter().map(Argument::text).collect())
            }
            _ => None,
        }
    }

    /// The system calls before the last one, in the order in which they are made, watched or not.
    pub fn earlier_calls(&self) -> impl Iterator<Item = &EarlierCall> {
        self.before.iter().chain(&self.sequence)
    }

    /// The number of watched system calls, one after the other: 0 of a command.
    pub fn call_count(&self) -> usize {
        match self.action {
            Action::Syscall { .. } => self.sequence.len() + 1,
            Action::Command(_) => 0,
        }
    }

    /// The watched system calls whose results have a name, with their places in the sequence and the meaning of their results.
    pub fn named_results(&self) -> impl Iterator<Item = (usize, &str, Returns)> {
        let last = match &self.action {
            Action::Syscall {
                result, returns, ..
            } => Some((result, *returns)),
            Action::Command(_) => None,
        };
        let sequence = self
            .sequence
            .iter()
            .map(|call| (&call.result, call.returns));
        let all = sequence.chain(last).enumerate();
        all.filter_map(|(nth, (result, returns))| Some((nth, result.as_deref()?, returns)))
    }

    /// Names and forms of the buffers that are read back after the call, those inside of structures included.
    pub fn buffers(&self) -> Vec<(&str, BufferElements)> {
        let mut found = Vec::new();
        self.each_argument(&mut |argument| match argument {
            Argument::Buffer { name, elements, .. } => found.push((name.as_str(), *elements)),
            Argument::Structure(FilledStructure {
                buffer: Some(name), ..
            }) => found.push((name.as_str(), BufferElements::Bytes)),
            _ => {}
        });
        found
    }

    /// True if files of the machine that captures belong to it.
    pub fn has_files(&self) -> bool {
        matches!(self.action, Action::Command(_))
            || !self.around.files.is_empty()
            || matches!(self.around.stdin, Some(Stdin::File(_)))
    }
}

/// A system call or a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// A system call: the only one that is watched, or the last.
    Syscall {
        /// Its name, `socket`.
        name: String,
        /// The place of the name in the file.
        span: Range<usize>,
        /// At most six.
        args: Vec<Argument>,
        /// The name of its result in the evidence, if it is one of several.
        result: Option<String>,
        /// The meaning of a non-negative return value.
        returns: Returns,
    },
    /// A program and its arguments.
    Command(Vec<String>),
}

/// The reason why an allocation may outlive the call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeakExemption {
    /// A function on the allocation's stack.
    pub within: String,
    /// The reason why it is not a leak.
    pub reason: String,
    /// The place of the function in the file.
    pub span: Range<usize>,
}

impl LeakExemption {
    /// The text in a ledger.
    pub fn text(&self) -> String {
        format!("{}: {}", self.within, self.reason)
    }

    /// The note that this excuse may never hold, because of what is known of its function.
    pub fn doubt_text(&self, doubt: &str) -> String {
        format!("{}{doubt}", self.doubt_prefix())
    }

    /// The doubt in a note of [`Self::doubt_text`].
    pub fn doubt_in<'n>(&self, note: &'n str) -> Option<&'n str> {
        note.strip_prefix(&self.doubt_prefix())
    }

    fn doubt_prefix(&self) -> String {
        format!("the excuse within `{}` may never hold: ", self.within)
    }
}

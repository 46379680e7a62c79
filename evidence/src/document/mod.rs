//! The evidence document: everything that one capture saw on one machine.

mod de;
pub mod instances;
pub mod machine;
pub mod names;
pub mod pointer;
pub mod value;
mod value_de;
pub mod visit;
pub mod withheld;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use instances::{Instances, Within};
use names::Names;
use value::{Address, Bytes, Datum, Frame, Integer, Location, Value};

/// The schema version that this crate reads and writes.
pub const SCHEMA_VERSION: u32 = 1;

/// One capture on one machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Evidence {
    /// Version of this document's form: [`SCHEMA_VERSION`].
    pub schema: u32,
    /// The capture itself.
    pub run: Run,
    /// The machine that was watched.
    pub machine: Machine,
    /// The kernel that ran there.
    pub kernel: Kernel,
    /// Where that kernel was in memory.
    pub kaslr: Kaslr,
    /// Further boots of the same guest, if they were asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub boots: Vec<Boot>,
    /// Ordinary programs that were run, by name.
    #[serde(
        default,
        deserialize_with = "crate::document::de::named_map",
        skip_serializing_if = "BTreeMap::is_empty"
    )]
    pub commands: BTreeMap<String, Command>,
    /// The copies that the kernel has of each probed function, by its name.
    #[serde(
        default,
        deserialize_with = "crate::document::de::unique_map",
        skip_serializing_if = "BTreeMap::is_empty"
    )]
    pub instances: BTreeMap<String, Instances>,
    /// What the names beside addresses and numbers stand for.
    pub names: Names,
    /// The experiments by name.
    #[serde(deserialize_with = "crate::document::de::named_map")]
    pub experiments: BTreeMap<String, Experiment>,
}

/// The capture: what identifies it and what it was made with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Run {
    /// Random, 32 hex digits.
    pub id: String,
    /// When it started, UTC, RFC 3339.
    pub time: String,
    /// The investigation's file name, without its folder.
    pub investigation: String,
    /// SHA-256 of the investigation file, hex.
    pub investigation_digest: String,
    /// Version of the collector.
    pub collector: String,
    /// SHA-256 of the eBPF object, hex.
    pub object_digest: String,
    /// Whether values of which only the beginning was kept are marked as [cut](crate::document::value::Cut). Older collectors did
    /// not mark them: what may have been cut there [counts as cut](crate::path_index::leaves).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub marks_cuts: bool,
}

/// The machine. Never its name, its users or its addresses in a network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Machine {
    /// As `book.toml` names it: `host`, `guest:debian-6.1`.
    pub name: String,
    /// Host or guest.
    pub kind: MachineKind,
    /// Whether the machine, and with it every address, is gone when the capture ends.
    pub ephemeral: bool,
    /// `/proc/sys/kernel/random/boot_id`.
    pub boot_id: String,
    /// Model name of the first CPU.
    pub cpu_model: String,
    /// How many CPUs were online.
    pub cpus: u32,
    /// How a guest was run (`kvm`, `tcg`), and why not faster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accelerator: Option<String>,
}

/// Where an experiment ran.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum MachineKind {
    /// The machine that builds the book.
    Host,
    /// A throwaway virtual machine.
    Guest,
}

/// The kernel that was watched.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Kernel {
    /// `uname -r`.
    pub release: String,
    /// `uname -v`.
    pub version: String,
    /// The distribution's package and its version, of a guest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub package: Option<String>,
    /// GNU build id, hex.
    pub build_id: Datum,
    /// SHA-256 of the image that a guest booted, hex; `None`: not known, or a host's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image_digest: Option<String>,
    /// SHA-256 of the BTF that types and offsets came from, hex.
    pub btf_digest: String,
    /// Configuration options that matter here: `y`, `m`, a value, or `n` for one that is listed as not set. One that the
    /// configuration does not list has no value.
    #[serde(deserialize_with = "crate::document::de::unique_map")]
    pub config: BTreeMap<String, Datum>,
    /// The lockdown mode in force.
    pub lockdown: Datum,
    /// The Linux security modules that are active, in order, joined by commas.
    pub lsm: Datum,
    /// The command line, of a guest (a host's may name its owner's disks).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command_line: Option<String>,
    /// Whether a `vmlinux` of the same build id gave source lines, and if not, why.
    pub debuginfo: Datum,
}

/// What `kaslr.status` says of a kernel that was moved.
pub const RANDOMIZED: &str = "randomized";
/// What it says of one that stands at its static address.
pub const DISABLED: &str = "disabled";

/// Where the kernel image is, against where it was linked to be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Kaslr {
    /// `randomized`, `disabled`, or unavailable with the reason.
    pub status: Datum,
    /// Live minus static address, in bytes. Only if all sources agree.
    pub slide: Datum,
    /// Whether two or more independent sources gave a slide and all of them the same.
    pub agree: Datum,
    /// What each source says the slide is.
    #[serde(deserialize_with = "crate::document::de::unique_map")]
    pub sources: BTreeMap<String, Datum>,
    /// Live and static address of some symbols.
    #[serde(deserialize_with = "crate::document::de::unique_map")]
    pub symbols: BTreeMap<String, SymbolPlaces>,
    /// How many symbols of the core image were compared.
    pub checked: Datum,
    /// How many of those do not have the common slide.
    pub differing: Datum,
    /// `CONFIG_PHYSICAL_START`, bytes.
    pub physical_start: Datum,
    /// `CONFIG_PHYSICAL_ALIGN`, bytes.
    pub physical_align: Datum,
    /// Where the kernel's code really begins in physical memory.
    pub live_physical_start: Datum,
    /// The lines of files that these values came from.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub readings: Vec<Reading>,
}

/// A line of a file, as it stood there when it was read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Reading {
    /// Who read it.
    pub by: Reader,
    /// The file. Of one on the building machine only the last part of its path.
    pub file: String,
    /// What was looked for in it: a symbol, an option.
    pub key: String,
    /// The number of the line, from 1. `None`: the file is no text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<u64>,
    /// The line; of a file that is no text, the entry's address and name, or its text. Else why there is none.
    pub text: Datum,
}

/// Who read a file or ran a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Reader {
    /// The captured machine, while it ran.
    Machine,
    /// The machine that made the evidence, afterwards.
    Builder,
}

/// One run of an ordinary program.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {
    /// Where it ran.
    pub by: Reader,
    /// The program and its arguments, as they were run. Files of the building machine are in the folder that it ran in.
    pub argv: Vec<String>,
    /// The files of the program, in order of role and name. Empty: not known.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<ProgramFile>,
    /// Its exit status, or why there is none: it could not be started, or did not end in time.
    pub exit: Datum,
    /// What it printed on standard output, or why that is not kept.
    pub output: Datum,
    /// What the investigation looks for in its output, by name.
    #[serde(
        default,
        deserialize_with = "crate::document::de::named_map",
        skip_serializing_if = "BTreeMap::is_empty"
    )]
    pub values: BTreeMap<String, Datum>,
}

impl Command {
    /// As it is typed into a shell.
    pub fn line(&self) -> String {
        let words: Vec<String> = self.argv.iter().map(|word| shell_word(word)).collect();
        words.join(" ")
    }
}

/// A file of a program that was run: what it was, without the folder that it was in.
#[derive(
    Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(deny_unknown_fields)]
pub struct ProgramFile {
    /// What it is to the program.
    pub role: FileRole,
    /// Its name, without its folder.
    pub name: String,
    /// SHA-256 of its bytes, hex.
    pub sha256: String,
}

/// What a file is to a program.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum FileRole {
    /// The program itself.
    Program,
    /// The program itself, where an interpreter runs it.
    Script,
    /// The program of a script's first line.
    Interpreter,
    /// A library that the loader loads for it.
    Library,
    /// A file among its arguments.
    Argument,
}

impl FileRole {
    /// In words.
    pub fn word(self) -> &'static str {
        match self {
            FileRole::Program => "program",
            FileRole::Script => "script",
            FileRole::Interpreter => "interpreter",
            FileRole::Library => "library",
            FileRole::Argument => "argument",
        }
    }
}

/// A word as a shell takes it: in quotes where it has to be.
fn shell_word(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:,+@%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

/// One symbol's two addresses.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SymbolPlaces {
    /// In the running kernel.
    pub live: Datum,
    /// In the file it was loaded from.
    #[serde(rename = "static")]
    pub static_address: Datum,
    /// Their difference.
    pub slide: Datum,
}

/// One boot of a guest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Boot {
    /// `/proc/sys/kernel/random/boot_id`.
    pub boot_id: String,
    /// When it was booted, UTC, RFC 3339. Boots are kept when the same kernel is captured again.
    pub time: String,
    /// The slide of that boot, in bytes, as the kernel itself states it.
    pub slide: Datum,
    /// The live address of `_text`.
    pub text: Datum,
    /// Where the kernel's code begins in physical memory, in bytes.
    pub physical: Datum,
}

/// One run of a workload under one set of probes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Experiment {
    /// What was run, as a C-like call or a command line.
    pub workload: String,
    /// The files of a workload that is a program, in order of role and name. Empty: a call, or not known.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<ProgramFile>,
    /// Why it was not run, or not to its end: then none of its values means anything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unavailable: Option<String>,
    /// The machine code that made the system call; `None` for a command.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub call: Option<CallSite>,
    /// How it ended.
    pub outcome: Outcome,
    /// Whether everything that happened was seen.
    pub quality: Quality,
    /// What the workload's task allocated, in order, and what became of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub objects: Option<Ledger>,
    /// What the probes cost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost: Option<Cost>,
    /// The probes by name.
    #[serde(deserialize_with = "crate::document::de::named_map")]
    pub probes: BTreeMap<String, Probe>,
}

impl Experiment {
    /// Why nothing that this experiment says may be believed, if so.
    pub fn broken(&self) -> Option<String> {
        let Quality { events, lost, .. } = self.quality;
        if lost > 0 {
            return Some(format!(
                "lost {lost} of {} events",
                events.saturating_add(lost)
            ));
        }
        if self.unavailable.is_some() {
            return None;
        }
        let attached = self.probes.values().any(|probe| probe.backend.is_some());
        (events == 0 && attached).then(|| match &self.outcome.returned {
            Datum::Value(returned) => {
                format!("saw no event at all, though the workload made its call, which returned {returned}")
            }
            Datum::Unavailable(_) => "saw no event at all".into(),
        })
    }

    /// Why this machine cannot show anything of this experiment, if no probe of it could be attached.
    pub fn unwatched(&self) -> Option<String> {
        if self.probes.values().any(|probe| probe.backend.is_some()) {
            return None;
        }
        let reason = self.probes.iter().find_map(|(name, probe)| {
            Some(format!(" (`{name}`: {})", probe.unavailable.as_ref()?))
        });
        Some(format!(
            "no probe of it could be attached{}",
            reason.unwrap_or_default()
        ))
    }
}

/// The workload's own code around its system call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CallSite {
    /// Where the code begins in the workload's memory.
    pub function: Address,
    /// Where the instruction is that makes the call.
    pub instruction: Address,
    /// Its instructions, in order and without gaps.
    pub code: Vec<Instruction>,
}

impl CallSite {
    /// The instruction that makes the call.
    pub fn calling(&self) -> Option<&Instruction> {
        // Of stand-ins only equality is known.
        let known = !self.instruction.is_pseudonym() && !self.function.is_pseudonym();
        let offset = known.then(|| self.instruction.0.checked_sub(self.function.0))??;
        self.code.iter().find(|one| one.offset == offset)
    }
}

/// One machine instruction.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Instruction {
    /// Bytes from the start of its function.
    pub offset: u64,
    /// Its encoding.
    pub bytes: Bytes,
    /// In Intel's notation.
    pub text: String,
}

/// How the workload ended. What does not apply is unavailable, with the reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Outcome {
    /// What the system call returned, as the kernel returns it: an fd, an integer, or a negative errno.
    pub returned: Datum,
    /// 0 (`OK`), or the positive error number that user space sees.
    pub errno: Datum,
    /// Exit status of the workload's process.
    pub exit: Datum,
    /// The signal that ended it.
    pub signal: Datum,
    /// What it printed.
    pub stdout: Datum,
    /// What the kernel wrote into the workload's buffers, by their names.
    #[serde(
        default,
        deserialize_with = "crate::document::de::unique_map",
        skip_serializing_if = "BTreeMap::is_empty"
    )]
    pub buffers: BTreeMap<String, Datum>,
}

/// Whether everything that happened was seen. Counts, all.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Quality {
    /// Events recorded.
    pub events: u64,
    /// Events that happened and could not be recorded.
    pub lost: u64,
    /// Calls whose return went unseen.
    pub missed: u64,
    /// The processes that the workload started. `None`: nothing watched for them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub descendants: Option<Descendants>,
    /// Whether it was seen where the workload begins and ends (its system call going in and coming out, or a command
    /// being executed), so that nothing else counts. `None`: not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub marked: Option<bool>,
    /// 32-bit system calls of the workload, as far as a probe or marker of system calls came by: their numbers are those
    /// of other calls. `None`: they cannot be told apart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compat_calls: Option<u64>,
    /// What was lost or missed and where, in words.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

/// The processes that a workload started. Counts, all. Threads are not among them: they are the process's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Descendants {
    /// How many there were.
    pub started: u64,
    /// How many of them the probes watched as they watch the workload.
    pub followed: u64,
    /// How many of those were still running when the watch ended.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub running: u64,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde asks for it")]
fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// Allocations paired with their frees.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Ledger {
    /// How long was waited for the last free, in nanoseconds, after the workload had let go.
    pub waited_ns: u64,
    /// The allocations, in order.
    pub allocations: Vec<Allocation>,
}

/// One object that the workload's task allocated.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Allocation {
    /// Its address.
    pub address: Address,
    /// The probe that saw it.
    pub probe: String,
    /// The slab cache, where the tracepoint names one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache: Option<String>,
    /// Its size in bytes, where the tracepoint says it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    /// Order of the allocation among the experiment's events.
    pub order: u64,
    /// Nanoseconds since the experiment began.
    pub time_ns: u64,
    /// Who asked for it, the innermost frame first.
    pub stack: Vec<Frame>,
    /// What became of it. `None`: still allocated when the wait was over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub freed: Option<Free>,
    /// Why it may outlive the call, as the investigation says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub excused: Option<String>,
}

/// The free of an object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Free {
    /// The probe that saw it.
    pub probe: String,
    /// Order among the experiment's events.
    pub order: u64,
    /// Nanoseconds since the experiment began.
    pub time_ns: u64,
    /// Whether the workload's own task freed it.
    pub same_task: bool,
    /// Name of the task that ran: `swapper/0`, `ksoftirqd/0`.
    pub task: String,
    /// Who freed it, the innermost frame first.
    pub stack: Vec<Frame>,
}

/// What the probes add to one call of the workload.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Cost {
    /// Median duration of the call with no probe attached, in nanoseconds.
    pub bare_ns: u64,
    /// Median duration with all probes at work, in nanoseconds.
    pub probed_ns: u64,
    /// Calls measured on each side.
    pub iterations: u32,
}

/// One probe of one experiment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Probe {
    /// What it watches.
    pub target: Target,
    /// Whether the experiment counts without it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub optional: bool,
    /// What answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backend: Option<Backend>,
    /// Why nothing answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unavailable: Option<String>,
    /// The error with which the kernel refused to attach it, where it was the kernel that refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attach_errno: Option<Datum>,
    /// The function's parameters in order, as this kernel's BTF gives them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parameters: Vec<Parameter>,
    /// C type of what it returns; `None` for `void`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub returns: Option<String>,
    /// Where the function is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<Datum>,
    /// Where the copies of the function begin that it watches: one, or all of its clones.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub watched: Vec<Address>,
    /// The file of the function that is meant, where several files have one of its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// The function that has to be on the stack of a hit, and of how many hits that is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub within: Option<Within>,
    /// Where it is defined in the source.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub definition: Option<Datum>,
    /// The instruction that the probe sits on, of a probe inside of a function: what stood there before the probe came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instruction: Option<Instruction>,
    /// What the kernel's own list of probes said about it while it was attached, without the address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub listed: Option<Datum>,
    /// Reads that this kernel cannot do, by side and name, with the reason: they are in no hit.
    #[serde(default, skip_serializing_if = "Reads::is_empty")]
    pub refused_reads: Reads,
    /// The members that reads take, by side and name of the read. A read that takes none is not in it.
    #[serde(default, skip_serializing_if = "Members::is_empty")]
    pub members: Members,
    /// What of a hit the investigation declares public: `args.NAME`, `return`, `entry.READ`, `exit.READ`. Of a live
    /// machine other plain numbers, texts and bytes are not published.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub public: Vec<String>,
    /// Hits that the kernel skipped, of any task: because another probe's program ran on that CPU, or this very one.
    /// Hits that the kernel skipped, of any task, and that may have been the workload's: because another probe's program
    /// ran on that CPU, or this very one.
    /// `None`: the kernel does not tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub skipped: Option<u64>,
    /// Each time it was hit, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hits: Vec<Hit>,
}

/// What a probe watches.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Target {
    /// A kernel function.
    Function(String),
    /// A tracepoint.
    Tracepoint(String),
    /// A hook of the BPF LSM.
    Lsm(String),
    /// An address, as the investigation names it: `static:__sys_socket`, `live:__sys_socket`, `0xffffffff81000000`.
    Address(String),
}

/// How a probe was attached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Backend {
    /// kprobe, with a kretprobe where the return is read.
    Kprobe,
    /// Raw tracepoint.
    Tracepoint,
    /// BPF LSM.
    Lsm,
}

/// One parameter of a probed function.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Parameter {
    /// Its name.
    pub name: String,
    /// Its C type.
    #[serde(rename = "type")]
    pub type_name: String,
}

/// Reasons or values by side of the call.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Reads {
    /// At the entry.
    #[serde(
        default,
        deserialize_with = "crate::document::de::unique_map",
        skip_serializing_if = "BTreeMap::is_empty"
    )]
    pub entry: BTreeMap<String, String>,
    /// At the return.
    #[serde(
        default,
        deserialize_with = "crate::document::de::unique_map",
        skip_serializing_if = "BTreeMap::is_empty"
    )]
    pub exit: BTreeMap<String, String>,
}

impl Reads {
    /// Whether there is none on either side.
    pub fn is_empty(&self) -> bool {
        self.entry.is_empty() && self.exit.is_empty()
    }
}

/// Members that reads take, by side of the call.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Members {
    /// At the entry.
    #[serde(
        default,
        deserialize_with = "crate::document::de::unique_map",
        skip_serializing_if = "BTreeMap::is_empty"
    )]
    pub entry: BTreeMap<String, Member>,
    /// At the return.
    #[serde(
        default,
        deserialize_with = "crate::document::de::unique_map",
        skip_serializing_if = "BTreeMap::is_empty"
    )]
    pub exit: BTreeMap<String, Member>,
}

impl Members {
    /// Whether there is none on either side.
    pub fn is_empty(&self) -> bool {
        self.entry.is_empty() && self.exit.is_empty()
    }
}

/// A member of a structure, as this kernel's BTF places it, seen from the last pointer that the read follows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Member {
    /// The structure: `struct sock`.
    pub structure: String,
    /// The member, with those around it: `__sk_common.skc_family`.
    pub name: String,
    /// Bytes from the start of the structure.
    pub offset: u64,
}

/// One call of a probed function, or one firing of a tracepoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Hit {
    /// Order of the entry among the experiment's events, from 1. `None`: the entry was not seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order: Option<u64>,
    /// Nanoseconds from the experiment's first event to the entry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_ns: Option<u64>,
    /// Order of the return among the experiment's events.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub return_order: Option<u64>,
    /// Nanoseconds from the experiment's first event to the return.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub return_time_ns: Option<u64>,
    /// The task that ran.
    pub task: Task,
    /// The CPU it ran on.
    pub cpu: u32,
    /// Whether the task itself ran, or an interrupt on top of it. `None`: not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context: Option<Context>,
    /// Arguments by name.
    #[serde(
        default,
        deserialize_with = "crate::document::de::unique_map",
        skip_serializing_if = "BTreeMap::is_empty"
    )]
    pub args: BTreeMap<String, Datum>,
    /// What was read at the entry, by name.
    #[serde(
        default,
        deserialize_with = "crate::document::de::unique_map",
        skip_serializing_if = "BTreeMap::is_empty"
    )]
    pub entry: BTreeMap<String, Datum>,
    /// What was read at the return, by name.
    #[serde(
        default,
        deserialize_with = "crate::document::de::unique_map",
        skip_serializing_if = "BTreeMap::is_empty"
    )]
    pub exit: BTreeMap<String, Datum>,
    /// The return value.
    #[serde(rename = "return", default, skip_serializing_if = "Option::is_none")]
    pub return_value: Option<Datum>,
    /// Which of several watched copies of the function it was, by its symbol.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<Datum>,
    /// The address that the call returns to, by its symbol.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub returns_to: Option<Datum>,
    /// The same, where the instruction before that address calls this function: then its function is the caller. Else
    /// why it is not known who called.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub caller: Option<Datum>,
    /// The source line of that call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub site: Option<Datum>,
    /// The kernel stack.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stack: Option<Datum>,
}

impl Hit {
    /// Where the copy of the function begins that was hit. `None`: it is not known which of several it was, or the
    /// probe is not on a function.
    pub fn copy(&self, probe: &Probe) -> Option<Address> {
        match (&self.instance, probe.watched.as_slice()) {
            (Some(Datum::Value(Value::Symbol { address, .. })), _) => Some(*address),
            (None, [only]) => Some(*only),
            _ => None,
        }
    }
}

/// On whose behalf a CPU runs kernel code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Context {
    /// The task's, its page faults and other exceptions included.
    Task,
    /// Work that interrupts have put off, which may be anybody's.
    Softirq,
    /// An interrupt.
    Hardirq,
    /// What a probe was told to do, in an interrupt that its program raised for it.
    Act,
}

impl Context {
    /// The word that stands in the evidence.
    pub fn word(self) -> &'static str {
        match self {
            Context::Task => "task",
            Context::Softirq => "softirq",
            Context::Hardirq => "hardirq",
            Context::Act => "act",
        }
    }
}

/// The task that ran when a probe was hit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Task {
    /// Thread-group id.
    pub pid: i32,
    /// Thread id.
    pub tid: i32,
    /// Its name.
    pub name: String,
}

/// An integer value, for the counts of the document.
pub(crate) fn count(value: u64) -> Value {
    Value::Int {
        value: Integer::from(value),
        type_name: None,
    }
}

/// A source location as a value.
pub fn location(value: Location) -> Value {
    Value::Location { value }
}

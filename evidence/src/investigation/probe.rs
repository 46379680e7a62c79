//! Probes of an experiment, and their reads.

use std::collections::BTreeMap;
use std::ops::Range;

use crate::document::Target;

/// The most bytes that a read of text or of an array can be asked to bring back: what fits beside other reads of the same
/// probe.
pub const MAX_READ: u32 = 1024;

/// The beginning of the reason why a probe or a read of another architecture is none on a kernel. It is what the author asked for, and
/// no mistake.
pub const OTHER_ARCH: &str = "the investigation asks for it";

/// The reason why what is asked for on `wanted` alone is not on a kernel of `arch`; `None`: it is.
#[must_use]
pub fn other_arch_reason(wanted: Option<&str>, arch: &str) -> Option<String> {
    let wanted = wanted.filter(|wanted| *wanted != arch)?;
    Some(format!(
        "{OTHER_ARCH} on {wanted} alone, and this kernel is for {arch}"
    ))
}

/// One probe: a target to watch, and what to read there.
#[derive(Clone, Debug, PartialEq)]
pub struct Probe {
    /// Second segment of its paths.
    pub name: String,
    /// The place of the probe's name or target in the file.
    pub span: Range<usize>,
    /// Function, tracepoint, LSM hook or address.
    pub target: crate::document::Target,
    /// The place in the function.
    pub position: Position,
    /// The file that defines the function, where functions of several files have its name: `fs/pipe.c`.
    pub file: Option<String>,
    /// Watch the copies of the function that the compiler made of it as well.
    pub clones: bool,
    /// The experiment counts without it.
    pub optional: bool,
    /// The only architecture of kernels on which it is one: one of [`ARCHITECTURES`](crate::document::ARCHITECTURES).
    pub arch: Option<String>,
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
    /// The parts of a hit on a live machine that may be published though nothing says what they mean: `args.NAME`,
    /// `return`, `entry.READ`, `exit.READ`.
    pub public: Vec<String>,
    /// Reads at the entry.
    pub entry: Vec<Read>,
    /// Reads at the return.
    pub exit: Vec<Read>,
    /// The places of its keys in the file.
    pub places: KeyPlaces,
}

/// The places of a probe's keys in the file, for messages: those of `within`, and of the arguments in `public` and `names`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct KeyPlaces {
    /// That of the function of `within`.
    pub within: Option<Range<usize>>,
    /// Those of the parts in `public`, as [`Probe::public`] has them.
    pub public: BTreeMap<String, Range<usize>>,
    /// Those of the arguments in `names`.
    pub arguments: BTreeMap<String, Range<usize>>,
    /// Those of the sets of constants in `names`, by argument.
    pub sets: BTreeMap<String, Range<usize>>,
}

impl Probe {
    /// One of the places of its keys; that of the probe if it is not known.
    pub fn place_of<'p>(
        &'p self,
        place: impl FnOnce(&'p KeyPlaces) -> Option<&'p Range<usize>>,
    ) -> Range<usize> {
        place(&self.places).unwrap_or(&self.span).clone()
    }

    /// The place of a read of this probe in the file; that of the probe if the read's is not known.
    pub fn span_of(&self, read: &Read) -> Range<usize> {
        match read.span.is_empty() {
            true => self.span.clone(),
            false => read.span.clone(),
        }
    }

    /// True if both watch the same target: when one fires, a hit of the other would have been seen.
    pub fn has_same_target(&self, other: &Probe) -> bool {
        self.within == other.within && self.has_same_target_ignoring_within(other)
    }

    /// True of a probe on an allocator of objects of many types: that an object of one of them was seen freed shows nothing of another's.
    pub(crate) fn allocates_many_types(&self) -> bool {
        const ALLOCATORS: [&str; 7] = [
            "kmem_cache_alloc",
            "__kmem_cache_alloc",
            "kmalloc",
            "__kmalloc",
            "krealloc",
            "kvmalloc",
            "__kvmalloc",
        ];
        match &self.target {
            Target::Function(function) => ALLOCATORS.iter().any(|name| function.starts_with(name)),
            Target::Tracepoint(_) | Target::Lsm(_) | Target::Address(_) => true,
        }
    }

    /// True if both watch the same target, whatever their `within`.
    pub(crate) fn has_same_target_ignoring_within(&self, other: &Probe) -> bool {
        self.target == other.target
            && self.position == other.position
            && self.file == other.file
            && self.clones == other.clones
            && self.syscall == other.syscall
    }
}

/// The place of a probe in its function.
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
    /// At the instruction after it, to which that call returns.
    AfterCall(String),
    /// At the first instruction after the bytes at its entry that the function tracer uses: there the function continues after
    /// the probes at its entry.
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
    /// The place of the expression in the file, without its quotes. Empty if it holds escapes.
    pub span: Range<usize>,
    /// Expressions to read in its place where a kernel does not have what it reads, the first that it has.
    pub otherwise: Vec<OtherPath>,
    /// The only architecture of kernels on which it is read: one of [`ARCHITECTURES`](crate::document::ARCHITECTURES).
    pub arch: Option<String>,
    /// The meaning of a number; `None`: that of its own type.
    pub kind: Option<ReadKind>,
    /// The set of constants that an integer is of: [`constant_sets`](crate::constants::constant_sets),
    /// [`flag_sets`](crate::constants::flag_sets), an enumeration of the kernel, by its name or that of one of its enumerators, or
    /// `TRACEPOINT.FIELD`, whose format names the numbers.
    pub names: Option<String>,
    /// The most bytes of text, or of an array, to bring back; `None`: what one load brings, [`ONE_LOAD`].
    pub max: Option<u32>,
    /// A path whose value says how many elements the array has in which the expression takes one: for arrays that the
    /// kernel's types give no length.
    pub elements: Option<String>,
    /// The members that count of unions in a structure that is read whole, with the names around them: `u.child`.
    pub choose: Vec<String>,
    /// The most elements of a list to read, 1 to [`MAX_LIST`]; `None`: the expression walks no list.
    pub limit: Option<u32>,
}

/// A path of a read, in the place of the first one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OtherPath {
    /// The C-like expression.
    pub expression: String,
    /// Its place, as that of the first.
    pub span: Range<usize>,
}

impl Read {
    /// The paths that can be read, with their places, in the order in which they are tried.
    pub fn paths(&self) -> impl Iterator<Item = (&str, &Range<usize>)> {
        let others = self.otherwise.iter();
        let others = others.map(|other| (other.expression.as_str(), &other.span));
        std::iter::once((self.expression.as_str(), &self.span)).chain(others)
    }

    /// The names of the values of a list, below that of the read; none of any other read.
    pub fn list_values(&self) -> impl Iterator<Item = String> + use<> {
        let elements = 0..self.limit.unwrap_or_default() as usize;
        let count = self.limit.map(|_| LIST_COUNT.to_owned());
        count.into_iter().chain(elements.map(element_name))
    }

    /// The paths as text: which of them was read is the kernel's choice.
    pub fn text(&self) -> String {
        let all: Vec<&str> = self.paths().map(|(path, _)| path).collect();
        all.join(", or ")
    }
}

/// The most bytes that one load brings.
pub const ONE_LOAD: u32 = 64;

/// The most elements of a list: one side of a probe has room for 24 loads, and such a list takes one for its head, one for each
/// element and what follows the last, and one for the value of each.
pub const MAX_LIST: u32 = 11;

/// The name of the value that says how many elements a list has.
pub const LIST_COUNT: &str = "count";

/// The name of an element of a list, which is counted from 0.
pub fn element_name(index: usize) -> String {
    format!("e{index}")
}

/// The meaning of an integer that was read, where its C type does not tell.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    serde::Serialize,
    serde::Deserialize,
    schemars::JsonSchema,
)]
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
    /// IP address: 32 bits of version 4 in network byte order, or the bytes of either version.
    Ip,
    /// Nanoseconds, or a `struct timespec64` and others of seconds and a part of a second.
    Time,
    /// Text: of a pointer to characters of any sign, of an array of them, or of a `struct qstr`, to its length.
    Text,
}

impl ReadKind {
    /// The kind of value that a number of this meaning becomes, as [`Value::kind`](crate::document::value::Value::kind) names it.
    pub(crate) fn value_kind(self) -> &'static str {
        match self {
            ReadKind::Fd => "fd",
            ReadKind::Size => "size",
            ReadKind::Offset => "offset",
            ReadKind::Flags => "flags",
            ReadKind::Errno => "errno",
            ReadKind::Pid => "pid",
            ReadKind::Address => "address",
            ReadKind::Time => "time",
            ReadKind::Ip | ReadKind::Text => "text",
        }
    }
}

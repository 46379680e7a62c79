//! A compiled read path, the context of its compilation, and the errors of a path.

use super::decode::Decoder;
use super::list_kind::ListKind;
use crate::btf::{Btf, BtfError, Parameter, TypeId};
use crate::reason::Reason;
use qed_collector_ebpf::ReadSpec;
use serde::{Deserialize, Serialize};
use std::ops::Range;

/// A read path, compiled for the eBPF programs, and the decoding of its result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CompiledPath {
    /// The instructions for the eBPF program.
    pub spec: ReadSpec,
    /// The meaning of its bytes.
    pub decode: Decoder,
    /// Further loads, if the value is longer than one load.
    pub more: Vec<ReadSpec>,
    /// The member that is read, if it is one.
    pub member: Option<PathMember>,
    /// The element that is taken of something whose number of elements the types do not say. It is there only if that
    /// number is greater.
    pub elements: Option<Element>,
    /// The list whose elements it reads: `spec` and `more` start at the read at position 0, in the place of the one that brings back the
    /// pointer to an element.
    pub list: Option<CompiledList>,
    /// True if it may be a part of an address, whatever it is called: a cast gave memory another type than the kernel's, or took a
    /// part of 64 bits.
    pub retyped: bool,
    /// True for a secret of the kernel, such as a stack canary.
    pub secret: bool,
}

/// An element of an array of unknown length.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Element {
    /// Its place, counted from 0.
    pub index: u64,
    /// The kernel's types themselves say that the length is unknown, and not that it is only a pointer.
    pub flexible: bool,
    /// Its place in the path, in bytes.
    pub span: Range<usize>,
}

/// The reads that walk a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CompiledList {
    /// The kind of list.
    pub kind: ListKind,
    /// The address of the head.
    pub head: ReadSpec,
    /// The pointer to the first element, from the read of the head.
    pub first: ReadSpec,
    /// The pointer to the next element, from the read of that to the one before.
    pub next: ReadSpec,
    /// Its place in the path, in bytes.
    pub span: Range<usize>,
}

/// Demands on a read beside its path.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReadOptions<'o> {
    /// The most bytes of text, or of an array.
    pub max: Option<u32>,
    /// The number of elements is known from elsewhere.
    pub elements: bool,
    /// A structure is read with all its members.
    pub whole: bool,
    /// Members of unions that count, with the names around them, where a structure is read whole.
    pub choose: &'o [String],
    /// It is said how many elements of a list are read.
    pub limit: bool,
}

/// A member of a structure, seen from the last pointer that a path follows: of `sock->sk->__sk_common.skc_family`
/// it is `__sk_common.skc_family` of `struct sock`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PathMember {
    /// The structure or union, as C writes it.
    pub structure: String,
    /// The member, with those around it.
    pub name: String,
    /// Bytes from the start of the structure.
    pub offset: u64,
}

/// The meaning of `return` where the path is evaluated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReturnMeaning {
    /// Nothing has returned yet: an entry, or a tracepoint other than a system call's exit.
    NotYet,
    /// A function returned a value of this type ([`TypeId::VOID`]: nothing).
    Function(TypeId),
    /// A function returned, and the type of its result is not known.
    Unknown,
    /// A system call returned (a `long`).
    SystemCall,
}

/// Everything that a path can refer to.
#[derive(Clone, Copy)]
pub struct Scope<'s, 'a> {
    /// The kernel's types.
    pub btf: &'s Btf<'a>,
    /// Parameters of the probed function or tracepoint.
    pub parameters: &'s [Parameter<'a>],
    /// The meaning of `return` here.
    pub returned: ReturnMeaning,
    /// The kernel's code.
    pub code: Code<'s>,
}

/// What a path can refer to of the kernel's code.
#[derive(Clone, Copy)]
pub struct Code<'s> {
    /// Live addresses of kernel symbols; `None` for a symbol that does not exist or whose address is hidden.
    pub symbols: &'s dyn Fn(&str) -> Option<u64>,
    /// The place at which the function at a live address keeps its return address, or why that is not known here.
    pub return_slot: &'s dyn Fn(u64) -> Result<ReturnSlot, Reason>,
    /// Values of per-CPU symbols, in bytes from the start of what each CPU has a copy of and as the kernel has them; `None` for one
    /// that does not exist or is hidden.
    pub per_cpu: &'s dyn Fn(&str) -> Option<PerCpuSymbol>,
    /// Number of CPUs that the machine can have, which are numbered from 0; `None` if it is not known.
    pub cpus: Option<u32>,
}

/// A per-CPU symbol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PerCpuSymbol {
    /// Its value: what the offset of a CPU is added to.
    pub value: u64,
    /// Bytes from the start of the kernel's per-CPU variables.
    pub offset: u64,
}

impl Code<'static> {
    /// Of which nothing is known.
    pub const UNKNOWN: Self = Self {
        symbols: &|_| None,
        return_slot: &|_| Err(Reason::from("the kernel's code is not known here")),
        per_cpu: &|_| None,
        cpus: None,
    };
}

/// The place of the return address of a function that has not returned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReturnSlot {
    /// So many bytes from the stack pointer that the function had at its entry.
    Stack(i64),
    /// In a register, which is so many bytes into the `struct pt_regs` of the hit.
    Register(u32),
}

/// A path that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}{}", suggestion(.nearest))]
pub struct ExprError {
    /// The place in the path, in bytes.
    pub span: Range<usize>,
    /// The kind of mistake.
    pub class: ErrorClass,
    /// The mistake, in words.
    pub reason: String,
    /// Existing names like the unknown one, the nearest first.
    pub nearest: Vec<String>,
}

/// The meaning of an [`ExprError`] for the investigation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorClass {
    /// The path is not of the language: the investigation is wrong on every kernel.
    Syntax,
    /// A name does not exist in this kernel, or here; it may in another.
    Unknown,
    /// The path makes no sense for these types, or asks for something that cannot be read.
    Type,
    /// Too many pointers, too many bytes, too far away.
    Limit,
    /// The address of a symbol is not known.
    Symbol,
    /// The BTF is damaged.
    Btf,
}

fn suggestion(nearest: &[String]) -> String {
    match nearest {
        [] => String::new(),
        [one] => format!("; did you mean `{one}`?"),
        many => format!("; did you mean one of `{}`?", many.join("`, `")),
    }
}

impl ExprError {
    pub(super) fn new(class: ErrorClass, span: &Range<usize>, reason: impl Into<String>) -> Self {
        Self {
            span: span.clone(),
            class,
            reason: reason.into(),
            nearest: Vec::new(),
        }
    }

    pub(super) fn with_nearest(mut self, nearest: Vec<String>) -> Self {
        self.nearest = nearest;
        self
    }

    pub(super) fn from_btf(span: &Range<usize>, error: &BtfError) -> Self {
        Self::new(ErrorClass::Btf, span, error.to_string())
    }
}

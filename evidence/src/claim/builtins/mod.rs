//! The functions of claims: the single table of their names, parameters and meanings.

mod compute;

use super::value::{Failure, Typed};

pub(super) use compute::{NOTHING_ALLOCATED, on_stack};

/// The kind of an argument of a function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ArgumentKind {
    /// Any expression.
    Value,
    /// The name of an event, `EXPERIMENT.PROBE` or `EXPERIMENT.PROBE.hitN`.
    Event,
    /// The name of a probe, `EXPERIMENT.PROBE`.
    Probe,
    /// The name of an experiment, or of one of its probes that watches allocations.
    Ledger,
    /// The tree of an experiment's call, `EXPERIMENT.graph`.
    Graph,
    /// A text that is written out, `'6.6'`.
    Literal,
    /// The text whose mentions count, `'chapter'` or `'book'`.
    Scope,
}

/// The values that a function reads besides the values that are handed to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reads {
    Nothing,
    /// These leaves below each of its events.
    Leaves(&'static [&'static str]),
    /// The number of the probe's hits.
    Hits,
    /// The number of the probe's hits, which is zero: needs proof that it would have been seen.
    Absence,
    /// The fate of allocations.
    Ledger,
    /// The number of runs of a function in a tree.
    Runs,
    /// The same, which has to be all of them.
    AllRuns,
    /// The function that called another one in a tree.
    Parent,
    /// The share of a tree's functions that a text tells.
    Coverage,
    /// `kernel.release`.
    Release,
}

/// The computation of a function. It gets the values of what it reads, then those of its `Value` arguments.
pub(super) type Compute = fn(&[Typed]) -> Result<Typed, Failure>;

/// A function that claims can call.
#[derive(Clone, Debug)]
pub struct Function {
    /// Its name.
    pub name: &'static str,
    /// Its name.
    pub usage: &'static str,
    /// Its meaning.
    pub help: &'static str,
    /// Its arguments.
    pub arguments: &'static [ArgumentKind],
    pub(super) reads: Reads,
    pub(super) compute: Compute,
}

impl PartialEq for Function {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

use ArgumentKind::{Event, Graph, Ledger, Literal, Probe, Scope, Value};

/// Builds one entry of [`FUNCTIONS`].
macro_rules! function {
    ($name:literal, [$($argument:expr),*], $reads:expr, $compute:path, $usage:literal, $help:literal) => {
        Function {
            name: $name,
            usage: $usage,
            help: $help,
            arguments: &[$($argument),*],
            reads: $reads,
            compute: $compute,
        }
    };
}

/// All functions.
///
/// For truncated values ([`Cut`](crate::document::value::Cut)) a function answers only if every continuation would give the
/// same answer; otherwise the result is undecided.
///
/// | call | meaning |
/// | --- | --- |
/// | `aligned(a, n)` | the address or number `a` is a multiple of `n`, a power of two |
/// | `mask(a, m)` | the bits of `a` that are set in `m` |
/// | `delta(a, b)` | `a - b` of two addresses, signed, in bytes |
/// | `int(x)` | the bare number of an fd, size, offset, enumerator, …, for comparisons across kinds |
/// | `address(x)` | a plain number as an address, for registers that hold one |
/// | `errno(x)` | the positive error number of what a call returned; 0 is 0 |
/// | `name(x)` | the name of an enumerator or error number |
/// | `symbol(a)` | `symbol+0xoffset` of an address in the kernel image |
/// | `symbol_name(a)` | the symbol of an address in the kernel image, without offset |
/// | `file(l)`, `line(l)`, `function_name(l)` | file, line and function of a place in the source |
/// | `on_stack(s, 'f')` | function `f` is on the stack `s`, as a frame or inlined into one |
/// | `calls(s, 'f', 'g')` | on the stack `s`, `g` was called by `f`, directly or through others |
/// | `contains(t, u)`, `starts_with(t, u)`, `ends_with(t, u)` | text `t` contains, starts with, ends with text `u` |
/// | `byte(b, n)` | byte `n` of bytes, counted from 0 |
/// | `length(x)` | bytes in a text or bytes value; frames of a stack |
/// | `version(t)` | a kernel version, ordered number by number: 6.12 is above 6.6; what stands behind the numbers has no order |
/// | `kernel_at_least('6.6')` | `version(kernel.release) >= version('6.6')` |
/// | `fired(E.P)` | how often a probe fired |
/// | `never(E.P)` | a probe did not fire, though it would have been seen: it was attached to every copy of its function that could run, nothing was lost, and it fired in another experiment on the same machine |
/// | `before(E.P, E.Q)` | this hit of `P` began before this hit of `Q`; it says nothing of copies of their functions that were not watched |
/// | `returns_before(E.P, E.Q)` | this hit of `P` returned before this hit of `Q` did |
/// | `inside(E.P, E.Q)` | this hit of `P` began after this hit of `Q` did, and returned before it did |
/// | `ran(E.graph, 'f')` | function `f` ran in the call's own task, in the tree of the call |
/// | `never_ran(E.graph, 'f')` | function `f` did not run in the tree of the call, where the tracer would have seen each copy of it, nor in the run that the probes watched |
/// | `calls_of(E.graph, 'f')` | how often `f` ran in the tree of the call; the tracer has to see each copy of it, and a probe as many runs |
/// | `parent(E.graph, 'f')` | the symbol of the nearest function above `f` in the tree, the same wherever `f` ran; functions that the tracer does not see, and exceptions, may lie between |
/// | `coverage(E.graph, 'chapter')`, `coverage(E.graph, 'book')` | percentage, rounded down, of the functions in the tree of the call that the text tells: it names them, says `below` or `fold` of them, or of what called them, in an exhibit `coverage` |
/// | `freed(E)`, `freed(E.P)` | every object that the probes of the experiment with `allocates` saw (that its probe `P` saw) was freed, or is excused by the investigation; there was one |
pub const FUNCTIONS: &[Function] = {
    use compute as c;
    &[
        function!(
            "aligned",
            [Value, Value],
            Reads::Nothing,
            c::aligned,
            "aligned(a, n)",
            "the address or number `a` is a multiple of `n`, a power of two"
        ),
        function!(
            "mask",
            [Value, Value],
            Reads::Nothing,
            c::mask,
            "mask(a, m)",
            "the bits of `a` that are set in `m`"
        ),
        function!(
            "delta",
            [Value, Value],
            Reads::Nothing,
            c::delta,
            "delta(a, b)",
            "`a - b` of two addresses, signed, in bytes"
        ),
        function!(
            "int",
            [Value],
            Reads::Nothing,
            c::int,
            "int(x)",
            "the bare number of an fd, size, offset, enumerator, …, for comparisons across kinds"
        ),
        function!(
            "address",
            [Value],
            Reads::Nothing,
            c::address_of,
            "address(x)",
            "a plain number as an address, for registers that hold one"
        ),
        function!(
            "errno",
            [Value],
            Reads::Nothing,
            c::errno,
            "errno(x)",
            "the positive error number of what a call returned; 0 is 0"
        ),
        function!(
            "name",
            [Value],
            Reads::Nothing,
            c::name,
            "name(x)",
            "the name of an enumerator or error number"
        ),
        function!(
            "symbol",
            [Value],
            Reads::Nothing,
            c::symbol,
            "symbol(a)",
            "`symbol+0xoffset` of an address in the kernel image"
        ),
        function!(
            "symbol_name",
            [Value],
            Reads::Nothing,
            c::symbol_name,
            "symbol_name(a)",
            "the symbol of an address in the kernel image, without offset"
        ),
        function!(
            "file",
            [Value],
            Reads::Nothing,
            c::file,
            "file(l)",
            "the file of a place in the source"
        ),
        function!(
            "line",
            [Value],
            Reads::Nothing,
            c::line,
            "line(l)",
            "the line of a place in the source"
        ),
        function!(
            "function_name",
            [Value],
            Reads::Nothing,
            c::function_name,
            "function_name(l)",
            "the function of a place in the source"
        ),
        function!(
            "on_stack",
            [Value, Literal],
            Reads::Nothing,
            c::on_stack,
            "on_stack(s, 'f')",
            "function `f` is on the stack `s`, as a frame or inlined into one"
        ),
        function!(
            "calls",
            [Value, Literal, Literal],
            Reads::Nothing,
            c::calls,
            "calls(s, 'f', 'g')",
            "on the stack `s`, `g` was called by `f`, directly or through others"
        ),
        function!(
            "contains",
            [Value, Value],
            Reads::Nothing,
            c::contains,
            "contains(t, u)",
            "text `t` contains text `u`"
        ),
        function!(
            "starts_with",
            [Value, Value],
            Reads::Nothing,
            c::starts_with,
            "starts_with(t, u)",
            "text `t` starts with text `u`"
        ),
        function!(
            "ends_with",
            [Value, Value],
            Reads::Nothing,
            c::ends_with,
            "ends_with(t, u)",
            "text `t` ends with text `u`"
        ),
        function!(
            "length",
            [Value],
            Reads::Nothing,
            c::length,
            "length(x)",
            "bytes in a text or bytes value; frames of a stack"
        ),
        function!(
            "byte",
            [Value, Value],
            Reads::Nothing,
            c::byte,
            "byte(b, n)",
            "byte `n` of bytes, counted from 0"
        ),
        function!(
            "version",
            [Value],
            Reads::Nothing,
            c::version,
            "version(t)",
            "a kernel version, ordered number by number: 6.12 is above 6.6; what stands behind the numbers has no order"
        ),
        function!(
            "kernel_at_least",
            [Literal],
            Reads::Release,
            c::kernel_at_least,
            "kernel_at_least('6.6')",
            "`version(kernel.release) >= version('6.6')`"
        ),
        function!(
            "fired",
            [Probe],
            Reads::Hits,
            c::fired,
            "fired(E.P)",
            "how often a probe fired"
        ),
        function!(
            "never",
            [Probe],
            Reads::Absence,
            c::never,
            "never(E.P)",
            "a probe did not fire, though it would have been seen: it was attached to every copy of its function that could run, nothing was lost, and it fired in another experiment on the same machine"
        ),
        function!(
            "before",
            [Event, Event],
            Reads::Leaves(&["order"]),
            c::before,
            "before(E.P, E.Q)",
            "this hit of `P` began before this hit of `Q`; it says nothing of copies of their functions that were not watched"
        ),
        function!(
            "returns_before",
            [Event, Event],
            Reads::Leaves(&["return_order"]),
            c::before,
            "returns_before(E.P, E.Q)",
            "this hit of `P` returned before this hit of `Q` did"
        ),
        function!(
            "inside",
            [Event, Event],
            Reads::Leaves(&["order", "return_order"]),
            c::inside,
            "inside(E.P, E.Q)",
            "this hit of `P` began after this hit of `Q` did, and returned before it did"
        ),
        function!(
            "ran",
            [Graph, Literal],
            Reads::Runs,
            c::ran,
            "ran(E.graph, 'f')",
            "function `f` ran in the call's own task, in the tree of the call"
        ),
        function!(
            "never_ran",
            [Graph, Literal],
            Reads::AllRuns,
            c::never_ran,
            "never_ran(E.graph, 'f')",
            "function `f` did not run in the tree of the call, where the tracer would have seen each copy of it, nor in the run that the probes watched"
        ),
        function!(
            "calls_of",
            [Graph, Literal],
            Reads::AllRuns,
            c::calls_of,
            "calls_of(E.graph, 'f')",
            "how often `f` ran in the tree of the call; the tracer has to see each copy of it, and a probe as many runs"
        ),
        function!(
            "parent",
            [Graph, Literal],
            Reads::Parent,
            c::parent,
            "parent(E.graph, 'f')",
            "the symbol of the nearest function above `f` in the tree, the same wherever `f` ran; functions that the tracer \
             does not see, and exceptions, may lie between"
        ),
        function!(
            "coverage",
            [Graph, Scope],
            Reads::Coverage,
            c::coverage,
            "coverage(E.graph, 'chapter') or coverage(E.graph, 'book')",
            "percentage, rounded down, of the functions in the tree of the call that the text tells: it names them, or its exhibits \
             `coverage` say `below` or `fold` of them or of what called them"
        ),
        function!(
            "freed",
            [Ledger],
            Reads::Ledger,
            c::freed,
            "freed(E) or freed(E.P)",
            "every object that the probes of the experiment with `allocates` saw (that its probe `P` saw) was freed, or is excused by the investigation; there was one"
        ),
    ]
};

/// The function of this name.
pub(super) fn find(name: &str) -> Option<&'static Function> {
    FUNCTIONS.iter().find(|function| function.name == name)
}

/// `version` of a text that the claim itself holds, which says no more than versions do.
const WRITTEN_VERSION: Function = Function {
    compute: compute::written_version,
    ..*VERSION
};

const VERSION: &Function = {
    let mut at = 0;
    loop {
        if let b"version" = FUNCTIONS[at].name.as_bytes() {
            break &FUNCTIONS[at];
        }
        at += 1;
    }
};

/// The function for a call of `function` whose arguments read no evidence.
pub(super) fn without_reads(function: &'static Function) -> &'static Function {
    match function.name == WRITTEN_VERSION.name {
        true => &WRITTEN_VERSION,
        false => function,
    }
}

/// All functions as text, for `--help` and the like: one line each, the call and its meaning.
pub fn help() -> String {
    let width = FUNCTIONS
        .iter()
        .map(|function| function.usage.len())
        .max()
        .unwrap_or_default();
    FUNCTIONS
        .iter()
        .map(|function| format!("{:width$}  {}\n", function.usage, function.help))
        .collect()
}

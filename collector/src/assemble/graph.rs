//! The functions of a traced call by their names, with the places of their definitions.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use qed_evidence::document::{Graph, GraphCall};
use qed_evidence::instances::Instances;
use serde::Serialize;

use super::arguments::{ArgumentValue, TracedParameter, parameters};
use super::names::Names;
use crate::btf::Btf;
use crate::graph::{Frame, GraphError, TracedCall, find_matching, mark_preemption, read_calls};
use crate::reason::Reason;
use crate::session::raw::TracedGraph;
use crate::symbols::Kallsyms;
use crate::symbols::lines::{InlinedCallee, LineResolver};

/// Maximum offset of the tracer's call in a function, in bytes (after `endbr64` and no-ops).
const TRACER_CALL: u64 = 32;

/// The beginning of the name of a function without a symbol.
const NO_SYMBOL: &str = "[no symbol";

/// A function that ran.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TracedFunction {
    /// Its symbol.
    pub name: String,
    /// Its live address; `None` where no symbol is known for it.
    #[serde(skip)]
    pub address: Option<u64>,
    /// The module that it is of; `None`: the kernel itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub module: Option<String>,
    /// The file that defines it, relative to the kernel's source, and the line, where debug information is at hand.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<(String, u32)>,
    /// Its parameters, where the tracer recorded arguments and the kernel's types describe the function.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parameters: Option<Vec<TracedParameter>>,
    /// The calls that were inlined into it, callers before what they call, where debug information is at hand. They are part of its
    /// code; the tracer does not see whether they ran.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub inlined: Option<Vec<InlinedCallee>>,
}

impl TracedFunction {
    /// The arguments of one run of it, in the order of its parameters; `None` among them is one that the registers do not hold.
    pub fn arguments(&self, run: &Frame) -> Option<Vec<Option<ArgumentValue>>> {
        let parameters = self.parameters.as_ref()?.iter();
        let value = |parameter: &TracedParameter| parameter.value(&run.registers);
        (!run.registers.is_empty()).then(|| parameters.map(value).collect())
    }
}

/// The debug information of the kernel that was traced.
pub struct DebugInfo<'a> {
    /// Its lines.
    pub lines: &'a mut LineResolver,
    /// The distance of live addresses from static ones.
    pub slide: u64,
    /// Look up inlined calls, too.
    pub inlined: bool,
}

/// The functions of a call, each once, and which of them each frame is a run of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallFunctions {
    /// In the order in which they ran first.
    pub table: Vec<TracedFunction>,
    /// Per frame, its place in the table.
    pub of_frame: Vec<usize>,
}

/// Name the functions of `call`, and say of each what its types and debug information say, where these are at hand.
pub fn name_functions(
    call: &TracedCall,
    kallsyms: &Kallsyms,
    btf: Option<&Btf<'_>>,
    mut debug_info: Option<DebugInfo<'_>>,
) -> CallFunctions {
    let mut known: HashMap<u64, usize> = HashMap::new();
    let mut table: Vec<TracedFunction> = Vec::new();
    let mut of_frame = Vec::with_capacity(call.frames.len());
    for frame in &call.frames {
        let at = *known.entry(frame.address).or_insert_with(|| {
            let btf = btf.filter(|_| !frame.registers.is_empty());
            let function = name_function(frame.address, kallsyms, btf, debug_info.as_mut());
            table.push(function.unwrap_or_else(|| unnamed_function(table.len())));
            table.len() - 1
        });
        of_frame.push(at);
    }
    CallFunctions { table, of_frame }
}

/// Mark what the scheduler ran against the task's will as an interrupt's.
///
/// # Errors
/// As [`mark_preemption`].
pub fn mark_interrupts(call: &mut TracedCall, kallsyms: &Kallsyms) -> Result<(), GraphError> {
    mark_preemption(call, &|address| {
        let symbol = kallsyms.resolve(address).ok();
        let near = symbol.filter(|symbol| symbol.offset <= TRACER_CALL);
        near.map(|symbol| symbol.name.to_owned())
    })
}

fn name_function(
    address: u64,
    kallsyms: &Kallsyms,
    btf: Option<&Btf<'_>>,
    debug_info: Option<&mut DebugInfo<'_>>,
) -> Option<TracedFunction> {
    let resolved = kallsyms.resolve(address).ok();
    let symbol = resolved.filter(|symbol| symbol.offset <= TRACER_CALL)?;
    let start = address - symbol.offset;
    // Types and debug information of modules are elsewhere.
    let is_kernels = symbol.module.is_none();
    let (mut source, mut inlined) = (None, None);
    if let Some(debug_info) = debug_info.filter(|_| is_kernels)
        && let Some(fixed) = start.checked_sub(debug_info.slide)
    {
        let lines = &mut *debug_info.lines;
        let definition = lines.definition_at(fixed).ok().flatten();
        source = definition.map(|definition| (definition.file, definition.line));
        if debug_info.inlined {
            inlined = lines.inlined_at(fixed).ok().flatten();
        }
    }
    let btf = btf.filter(|_| is_kernels);
    Some(TracedFunction {
        name: symbol.name.to_owned(),
        address: Some(start),
        module: symbol.module.map(str::to_owned),
        source,
        parameters: btf.and_then(|btf| parameters(symbol.name, btf)),
        inlined,
    })
}

/// A function without a symbol: told apart from others by a number, and not by its address, which may be a secret.
fn unnamed_function(number: usize) -> TracedFunction {
    TracedFunction {
        name: format!("{NO_SYMBOL} {number}]"),
        address: None,
        module: None,
        source: None,
        parameters: None,
        inlined: None,
    }
}

/// No tree, for a reason. `lost` is true if it is because the tracer lost something.
pub(super) fn unavailable_graph(reason: String, lost: bool) -> Graph {
    Graph {
        unavailable: Some(reason),
        lost,
        ..Graph::default()
    }
}

/// The tree of a call as evidence has it. `traceable` are the symbols of which the tracer sees every function.
pub(super) fn assemble_graph(
    traced: &Result<TracedGraph, Reason>,
    names: &dyn Names,
    traceable: Vec<String>,
) -> Graph {
    let traced = match traced {
        Ok(traced) => traced,
        Err(reason) => return unavailable_graph(reason.to_string(), false),
    };
    let all = read_calls(&traced.graph);
    let call = all.and_then(|all| find_matching(all, traced.number, &traced.args));
    let call = call.and_then(|mut call| {
        mark_preemption(&mut call, &|address| function_at(address, names))?;
        Ok(call)
    });
    match call {
        Ok(call) if call.frames.is_empty() => {
            unavailable_graph("the tracer saw no function of the call".into(), false)
        }
        Ok(call) => build_graph(&call, names, traceable),
        // A missing call is not a lost record.
        Err(error @ (GraphError::NoCall { .. } | GraphError::Preempted)) => {
            unavailable_graph(error.to_string(), false)
        }
        Err(error) => unavailable_graph(error.to_string(), true),
    }
}

/// The symbol of the function that calls the tracer at this address.
fn function_at(address: u64, names: &dyn Names) -> Option<String> {
    let symbol = names.symbol(address);
    let near = symbol.filter(|(_, offset)| *offset <= TRACER_CALL);
    near.map(|(name, _)| name)
}

fn build_graph(call: &TracedCall, names: &dyn Names, traceable: Vec<String>) -> Graph {
    let mut known: HashMap<String, usize> = HashMap::new();
    let mut functions = Vec::new();
    let mut runs = Vec::with_capacity(call.frames.len());
    for frame in &call.frames {
        let name = function_at(frame.address, names)
            .unwrap_or_else(|| format!("{NO_SYMBOL} {:#x}", frame.address));
        let function = *known.entry(name.clone()).or_insert_with(|| {
            let number = functions.len();
            functions.push(match name.starts_with(NO_SYMBOL) {
                true => unnamed_function(number).name,
                false => name,
            });
            number
        });
        let run = GraphCall {
            depth: frame.depth,
            function,
            duration_ns: frame.duration_ns,
            interrupt: frame.interrupt,
        };
        runs.push(run.to_string());
    }
    Graph {
        functions,
        runs: runs.len() as u64,
        calls: runs,
        before_exit: call.before_exit as u64,
        returned: call.returned,
        traceable,
        ..Graph::default()
    }
}

/// The symbols of the copies and holders in `instances` of which the tracer sees every function: `list` is tracefs's
/// `available_filter_functions`, which has a line for each, and `kallsyms` the text of all symbols.
pub(super) fn traceable_symbols(
    list: &str,
    kallsyms: &str,
    instances: &BTreeMap<String, Instances>,
) -> Vec<String> {
    let copies = instances.values().flat_map(|one| &one.copies);
    let holders = instances
        .values()
        .flat_map(|one| one.inlined.iter().flatten());
    let wanted: BTreeSet<&str> = copies
        .flat_map(|copy| copy.names())
        .chain(holders.map(|copy| copy.holder.as_str()))
        .collect();
    let mut lines: HashMap<&str, usize> = HashMap::new();
    for name in list
        .lines()
        .filter_map(|line| line.split_whitespace().next())
    {
        if let Some(name) = wanted.get(name) {
            *lines.entry(name).or_default() += 1;
        }
    }
    let mut symbols: HashMap<&str, usize> = HashMap::new();
    for line in kallsyms.lines() {
        let mut words = line.split_whitespace().skip(1);
        if let (Some("t" | "T" | "w" | "W"), Some(name)) = (words.next(), words.next())
            && let Some(name) = wanted.get(name)
        {
            *symbols.entry(name).or_default() += 1;
        }
    }
    let all_seen = |name: &&&str| {
        lines
            .get(*name)
            .is_some_and(|seen| symbols.get(*name) == Some(seen))
    };
    wanted
        .iter()
        .filter(all_seen)
        .map(|name| (*name).to_owned())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use qed_evidence::instances::{InlinedCopy, OwnCopy};
    use qed_evidence::value::Address;

    /// Check that a name of which the tracer lacks one of several functions, or all, is not taken for one that it sees.
    #[test]
    fn traceable_names() {
        let own = |symbol: &str| OwnCopy {
            symbol: symbol.into(),
            address: Address(1),
            file: None,
            aliases: vec![format!("{symbol}_alias")],
        };
        let inlined = InlinedCopy {
            holder: "holder".into(),
            address: None,
            file: None,
            site: None,
        };
        let instances = Instances {
            copies: ["one", "two", "hidden"].map(own).to_vec(),
            inlined: Some(vec![inlined]),
            count: 4,
            leaves_by_jump: None,
            never_returns: None,
            unknown: None,
        };
        let instances = BTreeMap::from([("f".to_owned(), instances)]);
        let list = "one\ntwo\nholder [mod]\nother\n";
        let kallsyms =
            "1 T one\n2 t two\n3 t two\n4 t holder\t[mod]\n5 t hidden\n6 d one\n1 T one_alias\n";
        assert_eq!(
            traceable_symbols(list, kallsyms, &instances),
            ["holder", "one"]
        );
    }
}

//! Claims about functions in the tree of a call: that one ran, how often, and by which function it was called. Runs that were
//! seen are facts; that there were no others needs proof that the tracer sees every copy of the function.

use crate::diagnostic::nearest;
use crate::document::value::Value;
use crate::document::{Graph, MachineKind, count_value, is_nameless};
use crate::instances::Instances;
use crate::path_index::resolve::{Catalog, Indexed};

use super::coverage::Mentions;
use super::read_result::ReadResult;

/// The part of a key between an experiment and a function: `EXPERIMENT.graph#FUNCTION#LEAF`.
pub(super) const GRAPH: &str = ".graph#";

/// The leaf below the name of a text, in the place of a function's name, that holds how much of the tree the text tells.
pub(super) const COVERAGE: &str = "coverage";

/// The leaf below a function's name that counts its runs.
pub(super) const RUNS: &str = "runs";

/// The complaint about the tree of an experiment that nothing plans, and advice.
pub(super) fn find_unplanned_graph(
    experiment: &str,
    catalog: &Catalog<'_>,
) -> Option<(String, Option<String>)> {
    let all = &catalog.investigation.experiments;
    let Some(planned) = catalog.investigation.experiment(experiment) else {
        let near = nearest(experiment, all.iter().map(|one| one.name.as_str()));
        let near = near.map(|near| format!("did you mean `{near}.graph`?"));
        return Some((format!("there is no experiment `{experiment}`"), near));
    };
    (!planned.graph).then(|| {
        (
            format!("experiment `{experiment}` records no tree of its call"),
            Some("write `graph = true` in the experiment, and capture again".into()),
        )
    })
}

/// The value of a key.
pub(super) fn find(
    experiment: &str,
    rest: &str,
    mentions: Option<&Mentions>,
    machine: &Indexed<'_>,
) -> ReadResult {
    let Some((function, leaf)) = rest.split_once('#') else {
        return ReadResult::Broken(format!("`{rest}` is not a name below `graph`"));
    };
    let missing = |reason: String| ReadResult::Missing(vec![reason]);
    let Some(seen) = machine.evidence.experiments.get(experiment) else {
        return missing(format!(
            "the evidence does not hold experiment `{experiment}`"
        ));
    };
    // The tree is of another run, but of the same experiment, so nothing of it is trusted then.
    if let Some(reason) = seen.broken_reason() {
        return ReadResult::Broken(format!("experiment `{experiment}` {reason}"));
    }
    let Some(graph) = &seen.graph else {
        return missing(match machine.evidence.machine.kind {
            MachineKind::Guest => {
                format!("the evidence does not hold the tree of `{experiment}`: capture it again")
            }
            MachineKind::Host => format!(
                "the tree of `{experiment}` is withheld, as that of each live machine, or was not captured"
            ),
        });
    };
    match &graph.unavailable {
        Some(reason) if graph.lost => return ReadResult::Broken(reason.clone()),
        Some(reason) => return missing(reason.clone()),
        None => {}
    }
    if graph.returned.is_none() && seen.outcome.returned.value().is_some() {
        return missing(
            "this evidence does not say what the call returned under the tracer, nor therefore whether it took the same way: \
             capture again"
                .into(),
        );
    }
    let runs = graph.count(function);
    match leaf {
        COVERAGE => match mentions {
            Some(mentions) => ReadResult::Value(count_value(mentions.cover(graph).percent())),
            None => missing(format!("what the {function} tells is not known here")),
        },
        RUNS if runs > 0 => ReadResult::Value(count_value(runs as u64)),
        RUNS | "all#runs" => {
            let reasons =
                unseen_run_reasons(graph, function, machine.evidence.instances.get(function));
            match reasons.is_empty() {
                true => ReadResult::Value(count_value(runs as u64)),
                false => ReadResult::Missing(reasons),
            }
        }
        _ if graph.has_interrupt_run(function) => missing(interrupt_reason(function)),
        _ => match graph.parents(function)[..] {
            [Some(parent)] if is_nameless(parent) => missing(format!(
                "the function above `{function}` in the tree has no symbol"
            )),
            [Some(parent)] => ReadResult::Value(Value::text(parent)),
            [None] => missing(format!(
                "nothing that the tracer sees has called `{function}`"
            )),
            [] => missing(format!("`{function}` is not in the tree")),
            [..] => missing(format!("several functions have called `{function}`")),
        },
    }
}

/// The reasons why a function may have run more often than the tree shows.
fn unseen_run_reasons(graph: &Graph, function: &str, instances: Option<&Instances>) -> Vec<String> {
    let Some(instances) = instances else {
        return vec![format!(
            "the evidence does not list the copies of `{function}`, of which the tracer may not see each: name it in \
             `graph-functions` of the experiment, or probe it, and capture again"
        )];
    };
    let traced = |symbol: &str| graph.traceable.iter().any(|one| one == symbol);
    let mut reasons = Vec::new();
    if graph.has_interrupt_run(function) {
        reasons.push(interrupt_reason(function));
    }
    if graph.has_nameless() {
        reasons.push("a function without a symbol ran, and may have been it".into());
    }
    if instances.copies.is_empty() && instances.inlined.as_ref().is_none_or(Vec::is_empty) {
        reasons.push(format!(
            "this kernel has no function `{function}` that is known"
        ));
    }
    for copy in &instances.copies {
        let symbol = &copy.symbol;
        if !copy.names().any(traced) {
            reasons.push(format!("the tracer does not see `{symbol}`"));
        } else if let Some(other) = copy
            .names()
            .find(|name| *name != function && graph.count(name) > 0)
        {
            reasons.push(format!("its copy `{other}` ran"));
        }
    }
    match &instances.inlined {
        None => reasons.push(format!(
            "it is not known where `{function}` is inlined: {}",
            instances
                .unknown
                .as_deref()
                .unwrap_or("the evidence does not say")
        )),
        Some(inlined) => {
            for copy in inlined {
                let holder = &copy.holder;
                if !traced(holder) {
                    reasons.push(format!(
                        "it is inlined into `{holder}`, which the tracer does not see"
                    ));
                } else if is_in_graph(graph, holder) {
                    reasons.push(format!("it is inlined into `{holder}`, which ran"));
                }
            }
        }
    }
    reasons.dedup();
    reasons
}

/// The reason why nothing is said about a function that an interrupt ran: a softirq may have done the work of the call, as it does for
/// packets that a task sends to its own machine.
fn interrupt_reason(function: &str) -> String {
    format!("`{function}` ran in an interrupt on top of the call, and it is not known for whom")
}

/// True if a function is in the tree, also by an interrupt.
fn is_in_graph(graph: &Graph, symbol: &str) -> bool {
    graph.functions.iter().any(|one| one == symbol)
}

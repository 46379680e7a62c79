//! Reasons why the tree of a call proves nothing about the run that the probes watched, or about who did not call a function.

use std::ops::Range;

use crate::claim::ast::{Binary, Node, NodeKind, Unary};
use crate::claim::builtins::{Function, Reads};
use crate::claim::graph::GRAPH;
use crate::document::Experiment;
use crate::investigation::Experiment as PlannedExperiment;
use crate::observation::copies::unwatched_copy_reasons;
use crate::path_index::resolve::{Catalog, Indexed};
use crate::validate::traced_run;

/// The reason why the number of a function's runs in a tree may not be that of the run that the probes watched. That it ran in the tree
/// is what was seen. `key`: `EXPERIMENT.graph#FUNCTION#LEAF`, which `reader` reads.
pub(super) fn unwatched_run_reason(
    reader: &Function,
    key: &str,
    catalog: &Catalog<'_>,
    machine: &Indexed<'_>,
) -> Option<String> {
    let (name, rest) = key.split_once(GRAPH)?;
    let (function, _) = rest.split_once('#')?;
    let requested = catalog.investigation.experiment(name)?;
    let seen = machine.evidence.experiments.get(name)?;
    // Without a tree the value is missing, which says so.
    let graph = seen
        .graph
        .as_ref()
        .filter(|graph| graph.unavailable.is_none())?;
    if matches!(reader.reads, Reads::Runs) && graph.count(function) > 0 {
        return None;
    }
    let instances = &machine.evidence.instances;
    traced_run::unwatched_run_reason(requested, seen, graph, instances, function)
        .or_else(|| inlined_run_reason(requested, seen, machine, function))
}

/// The reason why a function may have run, inlined into another one, in the run that the probes watched: no probe on that one shows
/// that it did not run there. In the tree it is known which functions ran, and those of the two runs may differ.
fn inlined_run_reason(
    requested: &PlannedExperiment,
    seen: &Experiment,
    machine: &Indexed<'_>,
    function: &str,
) -> Option<String> {
    let probes = requested.probes.iter().filter_map(|planned| {
        let probe = seen.probes.get(&planned.name)?;
        (probe.target.function() == Some(function)).then_some((probe, planned))
    });
    let gaps = probes
        .map(|probe| unwatched_copy_reasons(machine.evidence, (seen, requested), probe, function));
    let fewest = gaps.min_by_key(Vec::len)?;
    let first = fewest.into_iter().next()?;
    Some(format!(
        "the tree is that of another run of the call, and in the run that the probes watched {first}"
    ))
}

/// The first part of a claim that depends on a function not being the caller of another one. A tree shows who called, under one of the
/// names of its address; functions that were inlined in between, and other names, it does not show. `holds`: the whole claim is true.
pub(in crate::claim) fn find_denied_caller(
    root: &Node,
    holds: bool,
) -> Option<(Range<usize>, String)> {
    let denied = denied_caller(root, Some(holds))?;
    let reason = "`parent` proves which function called, and not which one did not: it may have been called by a function that is \
                  inlined there, and a function can have several names";
    Some((denied.range.clone(), reason.into()))
}

/// The first call of `parent` whose value could make the expression true by being another name than one that is written.
/// `wanted`: the truth of the node that helps; `None`: either.
fn denied_caller(node: &Node, wanted: Option<bool>) -> Option<&Node> {
    match &node.kind {
        NodeKind::Literal(_) | NodeKind::Path(_) | NodeKind::Constant(_) => None,
        NodeKind::Unary(Unary::Not, operand) => denied_caller(operand, wanted.map(|truth| !truth)),
        NodeKind::Unary(Unary::Negate, operand) => denied_caller(operand, None),
        NodeKind::Binary(Binary::And | Binary::Or, operands) => {
            operands.iter().find_map(|one| denied_caller(one, wanted))
        }
        NodeKind::Binary(Binary::Equal, operands) if wanted == Some(true) => operands
            .iter()
            .filter(|one| !is_parent(one))
            .find_map(|one| denied_caller(one, None)),
        NodeKind::Binary(Binary::NotEqual, operands) if wanted == Some(false) => operands
            .iter()
            .filter(|one| !is_parent(one))
            .find_map(|one| denied_caller(one, None)),
        NodeKind::Binary(_, operands) => operands.iter().find_map(|one| denied_caller(one, None)),
        NodeKind::Conditional(parts) => parts.iter().find_map(|one| denied_caller(one, None)),
        NodeKind::Call(..) if is_parent(node) => Some(node),
        NodeKind::Call(_, args) => args.iter().find_map(|one| denied_caller(one, None)),
    }
}

/// True of a call of `parent`.
fn is_parent(node: &Node) -> bool {
    matches!(&node.kind, NodeKind::Call(function, _) if matches!(function.reads, Reads::Parent))
}

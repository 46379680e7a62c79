//! Reasons why the tree of a call proves nothing about the run that the probes watched, or about who did not call a function.

use std::ops::Range;

use crate::claim::ast::{Binary, Node, NodeKind, Unary};
use crate::claim::builtins::{Function, Reads};
use crate::claim::graph::GRAPH;
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
    traced_run::unwatched_run_reason(
        requested,
        seen,
        graph,
        &machine.evidence.instances,
        function,
    )
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

//! The paths that an expression reads.

use std::ops::Range;

use crate::claim::ast::{Node, NodeKind, call_reads};
use crate::claim::builtins::Reads;

/// One value of the evidence that an expression reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadPath {
    /// The leaf, `create.sock_alloc.return`; for the ledger of one probe, `create.alloc#leaked`.
    pub path: String,
    /// The place of the path, or of the call that reads it, in the expression.
    pub range: Range<usize>,
    /// True if a function reads it (`never`, `before`, …) and it is not written out.
    pub by_function: bool,
}

/// The reads of the tree. Names of probes and experiments that are arguments of functions do not count.
pub(in crate::claim) fn collect_reads(root: &Node) -> Vec<ReadPath> {
    let mut reads = Vec::new();
    collect_node_reads(root, &mut reads);
    reads
}

fn collect_node_reads(node: &Node, reads: &mut Vec<ReadPath>) {
    let mut add = |path: String, by_function| {
        reads.push(ReadPath {
            path,
            range: node.range.clone(),
            by_function,
        });
    };
    match &node.kind {
        NodeKind::Literal(_) | NodeKind::Constant(_) => {}
        NodeKind::Path(path) => add(path.as_str().into(), false),
        NodeKind::Unary(_, operand) => collect_node_reads(operand, reads),
        NodeKind::Binary(_, operands) => operands
            .iter()
            .for_each(|node| collect_node_reads(node, reads)),
        NodeKind::Conditional(parts) => parts
            .iter()
            .for_each(|node| collect_node_reads(node, reads)),
        NodeKind::Call(function, args) => {
            for key in call_reads(function, args) {
                add(key, true);
            }
            if matches!(function.reads, Reads::Nothing | Reads::Release) {
                args.iter().for_each(|node| collect_node_reads(node, reads));
            }
        }
    }
}

//! Names of symbols that a claim denies of an address. One address can have several names, and the table of a document has one
//! of each: that an address is not called so can be said only of a name whose own places the evidence tells.

use super::comparisons::{Comparison, comparisons};
use super::possible::{Relation, Words, placed};
use crate::claim::ast::{Binary, Node, NodeKind, Unary};
use crate::claim::obstacle::Obstacle;
use crate::path_index::resolve::Indexed;

/// The first name in an expression that is denied of an address, and whose places this machine's evidence does not tell.
pub(super) fn unplaced(root: &Node, machine: &Indexed<'_>) -> Option<Obstacle> {
    let mut found = None;
    visit(root, false, &mut |node| {
        if found.is_none() {
            let mut all = comparisons(node).into_iter();
            found = all.find_map(|comparison| first(&comparison, machine));
        }
    });
    found
}

/// Calls `denied` on each comparison that has to be false, or whose sides have to be different, for `node` to be true. `not`:
/// the node itself has to be false.
fn visit<'n>(node: &'n Node, not: bool, denied: &mut dyn FnMut(&'n Node)) {
    match &node.kind {
        NodeKind::Unary(Unary::Not, operand) => visit(operand, !not, denied),
        NodeKind::Binary(Binary::And | Binary::Or, sides) => {
            sides.iter().for_each(|side| visit(side, not, denied));
        }
        NodeKind::Binary(operator @ (Binary::Equal | Binary::NotEqual), sides) => {
            if (*operator == Binary::NotEqual) != not {
                denied(node);
            }
            // Of a side that is a comparison itself it is not told which way it counts.
            sides.iter().for_each(|side| both(side, denied));
        }
        NodeKind::Conditional(parts) => {
            let [condition, yes, no] = parts.as_ref();
            both(condition, denied);
            visit(yes, not, denied);
            visit(no, not, denied);
        }
        NodeKind::Call(..) if not => denied(node),
        _ => {}
    }
}

fn both<'n>(node: &'n Node, denied: &mut dyn FnMut(&'n Node)) {
    visit(node, false, denied);
    visit(node, true, denied);
}

fn first(comparison: &Comparison<'_>, machine: &Indexed<'_>) -> Option<Obstacle> {
    let of_symbols = |words: &Words<'_>| matches!(words, Words::Symbol | Words::SymbolWithOffset);
    if !comparison.with.iter().any(of_symbols) {
        return None;
    }
    let mut written = comparison.written.iter();
    let strange = written.find(|written| {
        let whole = written.relation != Relation::Holds && !written.text.is_empty();
        whole && !placed(written.text, written.relation, machine)
    })?;
    Some(Obstacle {
        message: format!(
            "this machine's evidence does not tell where `{}` is, so it is not known whether the address has this name, too",
            strange.text
        ),
        range: strange.range.clone(),
        help: None,
    })
}

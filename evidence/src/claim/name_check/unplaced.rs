//! Symbols that a claim says an address does not have. One address can have several names, and the table of a document has one
//! name of each address: that an address does not have a name can only be claimed if the evidence has the addresses of that
//! name.

use super::comparisons::{TextComparison, comparisons};
use super::possible::{Relation, has_known_place};
use crate::claim::ast::{Binary, Node, NodeKind, Unary};
use crate::claim::obstacle::Obstacle;
use crate::path_index::resolve::Indexed;

/// The first name in an expression that an address is said not to have, and whose own addresses this machine's evidence does
/// not contain.
pub(super) fn find_unplaced_name(root: &Node, machine: &Indexed<'_>) -> Option<Obstacle> {
    let mut found = None;
    visit(root, RequiredTruth::True, &mut |node| {
        if found.is_none() {
            let mut all = comparisons(node).into_iter();
            found = all.find_map(|comparison| find_obstacle(&comparison, machine));
        }
    });
    found
}

/// The value that a part of an expression needs for the whole to be true.
#[derive(Clone, Copy, PartialEq, Eq)]
enum RequiredTruth {
    True,
    False,
    /// Undetermined: the part is compared with something, or chooses between others.
    Either,
}

impl RequiredTruth {
    fn negate(self) -> Self {
        match self {
            Self::True => Self::False,
            Self::False => Self::True,
            Self::Either => Self::Either,
        }
    }
}

/// Call `denied` on each comparison that has to be false, or whose sides have to be different, for `node` to be as `needed`.
/// Each node is visited once: an expression of 160 levels is allowed.
fn visit<'n>(node: &'n Node, needed: RequiredTruth, denied: &mut dyn FnMut(&'n Node)) {
    match &node.kind {
        NodeKind::Unary(Unary::Not, operand) => visit(operand, needed.negate(), denied),
        NodeKind::Binary(Binary::And | Binary::Or, sides) => {
            sides.iter().for_each(|side| visit(side, needed, denied));
        }
        NodeKind::Binary(operator @ (Binary::Equal | Binary::NotEqual), sides) => {
            let differ = match operator {
                Binary::NotEqual => RequiredTruth::True,
                _ => RequiredTruth::False,
            };
            if needed == differ || needed == RequiredTruth::Either {
                denied(node);
            }
            sides
                .iter()
                .for_each(|side| visit(side, RequiredTruth::Either, denied));
        }
        NodeKind::Conditional(parts) => {
            let [condition, yes, no] = parts.as_ref();
            visit(condition, RequiredTruth::Either, denied);
            visit(yes, needed, denied);
            visit(no, needed, denied);
        }
        NodeKind::Call(..) if needed != RequiredTruth::True => denied(node),
        _ => {}
    }
}

fn find_obstacle(comparison: &TextComparison<'_>, machine: &Indexed<'_>) -> Option<Obstacle> {
    if !comparison.is_with_symbols() {
        return None;
    }
    let mut written = comparison.written.iter();
    let foreign = written.find(|written| {
        let whole = written.relation != Relation::Holds && !written.text.is_empty();
        whole && !has_known_place(written.text, written.relation, machine)
    })?;
    Some(Obstacle {
        message: format!(
            "this machine's evidence does not tell where `{}` is, so it is not known whether the address has this name, too",
            foreign.text
        ),
        range: foreign.range.clone(),
        help: None,
    })
}

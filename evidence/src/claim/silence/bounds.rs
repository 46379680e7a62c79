//! The bounds that an expression sets for each count of hits: exactly the counted number, or a minimum.

use std::ops::Range;

use crate::claim::ast::{Binary, Literal, Node, NodeKind, Unary};
use crate::claim::builtins::Reads;
use crate::path::SECTIONS;

/// The values of one count in an expression for which the expression is true.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Demand {
    /// One more or one less could make it false.
    Exact,
    /// A demand that would still be met by a larger count.
    AtLeast(i128),
}

/// The counts of hits in an expression: the probe's name, the place of the count, and the demand on it.
pub(super) fn find_counts(root: &Node) -> Vec<(String, Range<usize>, Demand)> {
    let mut counts = Vec::new();
    visit(root, true, &mut counts);
    counts
}

/// `true_helps`: the whole expression cannot become false by this node becoming true.
fn visit(node: &Node, true_helps: bool, counts: &mut Vec<(String, Range<usize>, Demand)>) {
    if let Some(name) = counted_probe(node) {
        counts.push((name, node.range.clone(), Demand::Exact));
        return;
    }
    match &node.kind {
        NodeKind::Literal(_) | NodeKind::Path(_) | NodeKind::Constant(_) => {}
        NodeKind::Unary(Unary::Not | Unary::Negate, operand) => visit(operand, false, counts),
        NodeKind::Binary(Binary::And | Binary::Or, operands) => {
            for operand in operands.iter() {
                visit(operand, true_helps, counts);
            }
        }
        NodeKind::Binary(operator, operands) => match lower_bound(*operator, operands) {
            Some((counted, least)) if true_helps => {
                if let Some(name) = counted_probe(counted) {
                    counts.push((name, counted.range.clone(), Demand::AtLeast(least)));
                }
            }
            _ => operands
                .iter()
                .for_each(|operand| visit(operand, false, counts)),
        },
        NodeKind::Conditional(parts) => parts.iter().for_each(|part| visit(part, false, counts)),
        NodeKind::Call(_, args) => args.iter().for_each(|arg| visit(arg, false, counts)),
    }
}

/// The probe whose hits a node counts.
fn counted_probe(node: &Node) -> Option<String> {
    match &node.kind {
        NodeKind::Call(function, args) if function.reads == Reads::Hits => {
            args.iter().find_map(|arg| match &arg.kind {
                NodeKind::Path(path) => Some(path.as_str().to_owned()),
                _ => None,
            })
        }
        NodeKind::Path(path) => {
            let name = path.as_str().strip_suffix(".hits")?;
            let (experiment, probe) = name.split_once('.')?;
            let of_probe = !SECTIONS.contains(&experiment) && !probe.contains('.');
            of_probe.then(|| name.to_owned())
        }
        _ => None,
    }
}

/// The count in a comparison that is true for every larger count as well, and the smallest count for which it is true.
fn lower_bound(operator: Binary, operands: &[Node; 2]) -> Option<(&Node, i128)> {
    let [left, right] = operands;
    let (counted, number, operator) = match (number(left), number(right)) {
        (None, Some(number)) => (left, number, operator),
        (Some(number), None) => (right, number, operator.swap_operands()),
        _ => return None,
    };
    counted_probe(counted)?;
    let least = match operator {
        Binary::Greater => number + 1,
        Binary::GreaterEqual => number,
        // A count is not negative.
        Binary::NotEqual if number == 0 => 1,
        _ => return None,
    };
    Some((counted, least))
}

fn number(node: &Node) -> Option<i128> {
    match &node.kind {
        NodeKind::Literal(Literal::Int(number)) => Some((*number).into()),
        NodeKind::Literal(Literal::Uint(number)) => Some((*number).into()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::claim::Expression;

    /// Check that only comparisons which more hits cannot make false ask for a lower bound, wherever they stand.
    #[test]
    fn demands() {
        for (text, wanted) in [
            ("fired(e.p) > 0", vec![Demand::AtLeast(1)]),
            ("fired(e.p) >= 2", vec![Demand::AtLeast(2)]),
            ("e.p.hits != 0", vec![Demand::AtLeast(1)]),
            ("0 < e.p.hits", vec![Demand::AtLeast(1)]),
            ("fired(e.p) == 1", vec![Demand::Exact]),
            ("fired(e.p) != 1", vec![Demand::Exact]),
            ("fired(e.p) < 3", vec![Demand::Exact]),
            ("3 > fired(e.p)", vec![Demand::Exact]),
            ("!(fired(e.p) > 0)", vec![Demand::Exact]),
            ("fired(e.p) + 1 > 1", vec![Demand::Exact]),
            ("fired(e.p) > fired(e.q)", vec![Demand::Exact; 2]),
            ("(fired(e.p) > 0) == true", vec![Demand::Exact]),
            ("(fired(e.p) > 0 ? 1 : 2) == 1", vec![Demand::Exact]),
            (
                "fired(e.p) > 0 && (e.q.hits >= 2 || fired(e.p) == 1)",
                vec![Demand::AtLeast(1), Demand::AtLeast(2), Demand::Exact],
            ),
            ("e.p.hit1.order > 0 && e.quality.events > 0", vec![]),
        ] {
            let parsed = Expression::parse(text, crate::testing::place(text));
            let parsed = parsed.unwrap_or_else(|errors| panic!("{text}: {}", errors[0]));
            let found: Vec<Demand> = find_counts(&parsed.root)
                .into_iter()
                .map(|one| one.2)
                .collect();
            assert_eq!(found, wanted, "{text}");
        }
    }
}

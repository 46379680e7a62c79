//! The parts of an expression that its truth depends on: the operands of `&&`, `||`, `!` and `?:`. Each operand must be able to
//! change the result; otherwise it is vacuous.

use super::ast::{Binary, Literal, Node, NodeKind, Unary};

/// A part and what it is now.
#[derive(Clone, Copy, Debug)]
pub(super) struct ExpressionPart<'n> {
    pub node: &'n Node,
    /// Its kind, and its contribution: a part of a negation is false.
    pub truth: bool,
}

/// The parts below `root` that make it what it is, without itself. `value` says whether a node is true or false; `None` of one
/// that is neither.
pub(super) fn parts<'n>(
    root: &'n Node,
    value: &dyn Fn(&Node) -> Option<bool>,
) -> Vec<ExpressionPart<'n>> {
    let mut parts = Vec::new();
    if let Some(truth) = value(root) {
        collect_parts(root, truth, value, &mut parts);
        // The outermost one, of whatever kind, is the whole.
        let mut seen = vec![root.range.clone()];
        parts.retain(|part| {
            let new = !seen.contains(&part.node.range);
            seen.push(part.node.range.clone());
            new
        });
    }
    parts
}

/// The conjuncts of a negated claim (the operands of the conjunction that `root` negates) with their present values; each must
/// be able to matter.
pub(super) fn negated_conjuncts<'n>(
    root: &'n Node,
    value: &dyn Fn(&Node) -> Option<bool>,
) -> Vec<ExpressionPart<'n>> {
    match &root.kind {
        NodeKind::Unary(Unary::Not, operand) => negated_conjuncts(operand, value),
        NodeKind::Binary(Binary::And, sides) => sides
            .iter()
            .flat_map(|side| negated_conjuncts(side, value))
            .collect(),
        _ => value(root)
            .map(|truth| ExpressionPart { node: root, truth })
            .into_iter()
            .chain(parts(root, value))
            .collect(),
    }
}

/// The parts of a node of which it is known that it is `truth`.
fn collect_parts<'n>(
    node: &'n Node,
    truth: bool,
    value: &dyn Fn(&Node) -> Option<bool>,
    parts: &mut Vec<ExpressionPart<'n>>,
) {
    let part = ExpressionPart { node, truth };
    match &node.kind {
        NodeKind::Unary(Unary::Not, operand) => collect_parts(operand, !truth, value, parts),
        // All sides of a true `&&` and of a false `||` count.
        NodeKind::Binary(operator @ (Binary::And | Binary::Or), sides)
            if (*operator == Binary::And) == truth =>
        {
            for side in sides.iter() {
                collect_parts(side, truth, value, parts);
            }
        }
        // Else the whole does, and each side that makes it so.
        NodeKind::Binary(Binary::And | Binary::Or, sides) => {
            parts.push(part);
            for side in sides.iter().filter(|side| value(side) == Some(truth)) {
                collect_parts(side, truth, value, parts);
            }
        }
        NodeKind::Binary(Binary::Equal | Binary::NotEqual, sides) => {
            parts.push(part);
            for side in sides.iter().filter(|side| is_logical(side)) {
                if let Some(truth) = value(side) {
                    collect_parts(side, truth, value, parts);
                }
            }
        }
        NodeKind::Conditional(branches) => {
            let [condition, yes, no] = branches.as_ref();
            parts.push(part);
            if let Some(taken) = value(condition) {
                parts.push(ExpressionPart {
                    node: condition,
                    truth: taken,
                });
                collect_parts(condition, taken, value, parts);
                // Which of them it is can be all that it says: `c ? x == 1 : true`.
                let branch = if taken { yes } else { no };
                if !matches!(branch.kind, NodeKind::Literal(Literal::Bool(_))) {
                    collect_parts(branch, truth, value, parts);
                }
            }
        }
        _ => parts.push(part),
    }
}

/// True if this side of a comparison is itself made of parts.
pub(super) fn is_logical(node: &Node) -> bool {
    use Binary::{Add, Divide, Multiply, Remainder, Subtract};
    match &node.kind {
        NodeKind::Unary(Unary::Not, _) => true,
        NodeKind::Binary(operator, _) => {
            !matches!(operator, Add | Subtract | Multiply | Divide | Remainder)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::claim::Expression;
    use crate::testing::place;

    /// Check that each part that counts is found once, and none that does not. Here a part is true if it reads `t.…`.
    #[test]
    fn what_counts() {
        fn truth(text: &str, node: &Node) -> Option<bool> {
            Some(match &node.kind {
                NodeKind::Unary(_, operand) => !truth(text, operand)?,
                NodeKind::Binary(Binary::And, sides) => {
                    truth(text, &sides[0])? && truth(text, &sides[1])?
                }
                NodeKind::Binary(Binary::Or, sides) => {
                    truth(text, &sides[0])? || truth(text, &sides[1])?
                }
                NodeKind::Conditional(all) if truth(text, &all[0])? => truth(text, &all[1])?,
                NodeKind::Conditional(all) => truth(text, &all[2])?,
                NodeKind::Literal(Literal::Bool(value)) => *value,
                _ => text[node.range.clone()].starts_with("t."),
            })
        }
        for (text, wanted) in [
            ("t.a", ""),
            ("t.a && t.b", "t.a | t.b"),
            ("t.a && (t.b || f.c)", "t.a | t.b || f.c | t.b"),
            ("!(f.a || f.b) && t.c", "f.a | f.b | t.c"),
            ("!(f.a && t.b) && t.c", "f.a && t.b | f.a | t.c"),
            ("t.a || true", "t.a | true"),
            ("t.a ? t.b : t.c", "t.a | t.b"),
            ("f.a ? f.b : true", "f.a"),
            ("f.a && t.b", "f.a"),
        ] {
            let expression = Expression::parse(text, place(text)).unwrap();
            let found = parts(&expression.root, &|node| truth(text, node));
            let found: Vec<&str> = found.iter().map(|p| &text[p.node.range.clone()]).collect();
            assert_eq!(found.join(" | "), wanted, "{text}");
        }
    }
}

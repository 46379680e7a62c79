//! The truth of an expression by the values of its operands as a table shows them: enough to notice that a recorded verdict does not
//! follow from the values beside it. What the shown form does not decide is not known.

use super::ast::{Binary, Literal, Node, NodeKind, Unary};
use super::definition::Claim;
use super::parse::Expression;

impl Claim {
    /// The truth of the expression if its operands have these values: `value` gives that of an operand as it is written, in the form in
    /// which [`Value`](crate::Value) is displayed. `None`: these do not decide it. Only numbers, addresses and truth values do.
    pub fn truth_of_shown<'v>(&self, value: &dyn Fn(&str) -> Option<&'v str>) -> Option<bool> {
        let shown = ShownValues {
            expression: &self.expression,
            value,
        };
        shown.truth(&self.expression.root)
    }
}

struct ShownValues<'e, 'v> {
    expression: &'e Expression,
    value: &'e dyn Fn(&str) -> Option<&'v str>,
}

impl ShownValues<'_, '_> {
    fn truth(&self, node: &Node) -> Option<bool> {
        match &node.kind {
            NodeKind::Literal(Literal::Bool(value)) => Some(*value),
            NodeKind::Path(_) | NodeKind::Call(..) => match self.operand(node)? {
                "true" => Some(true),
                "false" => Some(false),
                _ => None,
            },
            NodeKind::Unary(Unary::Not, inner) => self.truth(inner).map(|truth| !truth),
            NodeKind::Binary(Binary::And, parts) => match parts.each_ref().map(|p| self.truth(p)) {
                [Some(false), _] | [_, Some(false)] => Some(false),
                [a, b] => Some(a? && b?),
            },
            NodeKind::Binary(Binary::Or, parts) => match parts.each_ref().map(|p| self.truth(p)) {
                [Some(true), _] | [_, Some(true)] => Some(true),
                [a, b] => Some(a? || b?),
            },
            NodeKind::Binary(operator, parts) => {
                let are_numbers = parts.iter().any(is_number);
                let [a, b] = parts.each_ref().map(|part| self.number(part));
                let (a, b) = (a?, b?);
                if may_be_one_error(a, b) {
                    return None;
                }
                match operator {
                    Binary::Equal => Some(a == b),
                    Binary::NotEqual => Some(a != b),
                    // Texts of digits have another order.
                    _ if !are_numbers => None,
                    Binary::Less => Some(a < b),
                    Binary::LessEqual => Some(a <= b),
                    Binary::Greater => Some(a > b),
                    Binary::GreaterEqual => Some(a >= b),
                    _ => None,
                }
            }
            NodeKind::Conditional(parts) => {
                let [condition, yes, no] = &**parts;
                match self.truth(condition)? {
                    true => self.truth(yes),
                    false => self.truth(no),
                }
            }
            _ => None,
        }
    }

    fn number(&self, node: &Node) -> Option<i128> {
        match &node.kind {
            NodeKind::Literal(Literal::Int(value)) => Some((*value).into()),
            NodeKind::Literal(Literal::Uint(value)) => Some((*value).into()),
            NodeKind::Path(_) | NodeKind::Call(..) => number(self.operand(node)?),
            NodeKind::Unary(Unary::Negate, inner) => self.number(inner)?.checked_neg(),
            NodeKind::Binary(operator, parts) => {
                let [a, b] = parts.each_ref().map(|part| self.number(part));
                match operator {
                    Binary::Add => a?.checked_add(b?),
                    Binary::Subtract => a?.checked_sub(b?),
                    Binary::Multiply => a?.checked_mul(b?),
                    _ => None,
                }
            }
            _ => None,
        }
    }

    fn operand(&self, node: &Node) -> Option<&str> {
        (self.value)(self.expression.text().get(node.range.clone())?)
    }
}

/// True if this part of an expression is a number, whatever its operands are.
fn is_number(node: &Node) -> bool {
    match &node.kind {
        NodeKind::Literal(Literal::Int(_) | Literal::Uint(_)) | NodeKind::Call(..) => true,
        NodeKind::Unary(Unary::Negate, _) => true,
        NodeKind::Binary(operator, _) => {
            matches!(operator, Binary::Add | Binary::Subtract | Binary::Multiply)
        }
        _ => false,
    }
}

/// True if one number is negative and the other may be the same error in the place of a pointer or of an unsigned number: one of the last
/// 4095 of 64 or of 32 bits.
fn may_be_one_error(a: i128, b: i128) -> bool {
    let is_error = |number: i128| {
        [u128::from(u64::MAX), u128::from(u32::MAX)]
            .into_iter()
            .any(|last| u128::try_from(number).is_ok_and(|n| n <= last && last - n < MAX_ERRNO))
    };
    (a < 0 && is_error(b)) || (b < 0 && is_error(a))
}

/// The highest error number.
const MAX_ERRNO: u128 = crate::document::fields::MAX_ERRNO as u128;

/// A number as it is displayed: decimal, or hexadecimal behind `0x`. A text of digits that a number would not be displayed as is none.
fn number(shown: &str) -> Option<i128> {
    let (negative, digits) = match shown.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, shown),
    };
    let is_canonical = digits == "0" || !digits.starts_with('0');
    let magnitude = match digits.strip_prefix("0x") {
        Some(hex) if hex.bytes().all(|byte| byte.is_ascii_hexdigit()) => {
            i128::from_str_radix(hex, 16).ok()?
        }
        None if is_canonical && digits.bytes().all(|byte| byte.is_ascii_digit()) => {
            digits.parse().ok()?
        }
        _ => return None,
    };
    Some(if negative { -magnitude } else { magnitude })
}

#[cfg(test)]
mod tests {
    use super::number;
    use crate::testing::claim;

    /// Check that what numbers and truth values decide is known, and nothing else.
    #[test]
    fn what_is_decided() {
        let values = [
            ("e.p.return", "0xffff888004aa1ac0"),
            ("e.q.return", "0xffff888004aa1a80"),
            ("e.p.hits", "2"),
            ("fired(e.p)", "2"),
            ("never(e.q)", "false"),
            ("before(e.p, e.q)", "true"),
            ("e.outcome.errno", "EMFILE"),
            ("delta(e.p.return, e.q.return)", "64"),
            ("e.p.args.a", "0xfffffffffffffff4"),
            ("e.p.args.b", "4294967284"),
            ("e.p.args.text", "9"),
            ("e.p.args.other", "10"),
        ];
        let value = |text: &str| values.iter().find(|(known, _)| *known == text).map(|v| v.1);
        for (text, expected) in [
            ("e.p.return == e.q.return", Some(false)),
            ("e.p.return != e.q.return", Some(true)),
            (
                "e.p.return == e.q.return && e.outcome.errno == EMFILE",
                Some(false),
            ),
            (
                "e.p.return == e.q.return || e.outcome.errno == EMFILE",
                None,
            ),
            (
                "e.p.return != e.q.return || e.outcome.errno == EMFILE",
                Some(true),
            ),
            ("!(e.p.hits == 2)", Some(false)),
            (
                "fired(e.p) > 1 && !never(e.q) && before(e.p, e.q)",
                Some(true),
            ),
            ("delta(e.p.return, e.q.return) == 60 + 4", Some(true)),
            ("delta(e.p.return, e.q.return) < -1", Some(false)),
            ("e.outcome.errno == EMFILE", None),
            ("e.p.args.a == -12", None),
            ("e.p.args.b == -12", None),
            ("e.p.args.a == e.p.args.b", Some(false)),
            ("e.p.args.other < e.p.args.text", None),
            ("e.p.args.other == e.p.args.text", Some(false)),
            ("e.p.hits == e.q.hits", None),
            ("e.p.hits == 2 ? never(e.q) : before(e.p, e.q)", Some(false)),
        ] {
            let claim = claim(text).unwrap_or_else(|errors| panic!("{text}: {}", errors[0]));
            assert_eq!(claim.truth_of_shown(&value), expected, "{text}");
        }
    }

    /// Check that texts are numbers only in the form in which numbers are displayed.
    #[test]
    fn numbers() {
        for (text, expected) in [
            ("0", Some(0)),
            ("-5", Some(-5)),
            ("0x1f", Some(31)),
            ("-0x10", Some(-16)),
            ("0xffffffffffffffff", Some(0xffff_ffff_ffff_ffff)),
            ("007", None),
            ("+1", None),
            ("0x", None),
            ("", None),
            ("-", None),
            ("12 ns", None),
            ("90 90", None),
            ("1.5", None),
        ] {
            assert_eq!(number(text), expected, "{text}");
        }
    }
}

//! Hints for mutants: other values that a claim and its evidence suggest.

use crate::document::Evidence;
use crate::document::names::Names;
use crate::document::value::Value;
use crate::path_index::resolve::Indexed;

use super::ast::{Literal, Node, NodeKind};
use super::parse::Expression;
use super::value::Typed;

/// Other values that the surroundings suggest: the literals of the claim and the other values of the evidence.
pub(super) struct Hints<'m> {
    pub evidence: &'m Evidence,
    pub names: &'m Names,
    pub numbers: Vec<i128>,
    pub addresses: Vec<u64>,
    pub texts: Vec<String>,
    pub bytes: Vec<Vec<u8>>,
}

/// The number of other pointers of the same evidence that are tried beside those that the claim reads.
pub(super) const OTHER_POINTERS: usize = 4;

/// The number of symbols of the same evidence that are tried beside those that the claim names.
pub(super) const OTHER_SYMBOLS: usize = 4;

impl<'m> Hints<'m> {
    /// The hints for one claim on one machine.
    pub fn new<'v>(
        expression: &Expression,
        constants: impl Iterator<Item = &'v Typed>,
        values: impl Iterator<Item = &'v Value>,
        machine: &'m Indexed<'_>,
    ) -> Self {
        let mut hints = Hints {
            evidence: machine.evidence,
            names: &machine.evidence.names,
            numbers: Vec::new(),
            addresses: Vec::new(),
            texts: Vec::new(),
            bytes: Vec::new(),
        };
        expression.root.walk(&mut |node: &Node| match &node.kind {
            NodeKind::Literal(Literal::Int(value)) => hints.number((*value).into()),
            NodeKind::Literal(Literal::Uint(value)) => {
                hints.number((*value).into());
                hints.addresses.push(*value);
            }
            NodeKind::Literal(Literal::Text(text)) => hints.texts.push(text.clone()),
            NodeKind::Literal(Literal::Bytes(bytes)) => hints.bytes.push(bytes.clone()),
            _ => {}
        });
        for constant in constants {
            if let Typed::Number(number) = constant {
                hints.number(number.value);
            }
        }
        for value in values {
            match value {
                Value::Address { value, .. } => hints.addresses.push(value.0),
                Value::Symbol { address, .. } => hints.addresses.push(address.0),
                Value::Text { value } | Value::CutText { value, .. } => {
                    hints.texts.push(value.clone());
                }
                Value::Bytes { value } | Value::CutBytes { value, .. } => {
                    hints.bytes.push(value.0.clone());
                }
                // And beside it: two events never have one place in the order.
                other => {
                    let number = other.as_integer();
                    hints
                        .numbers
                        .extend(number.into_iter().flat_map(|n| [n, n - 1, n + 1]));
                }
            }
        }
        let others = machine
            .leaves
            .data()
            .filter_map(|datum| match datum.value() {
                Some(Value::Address { value, .. }) if value.0 != 0 => Some(value.0),
                _ => None,
            });
        for other in others {
            if hints.addresses.len() > OTHER_POINTERS {
                break;
            }
            if !hints.addresses.contains(&other) {
                hints.addresses.push(other);
            }
        }
        hints
    }

    fn number(&mut self, value: i128) {
        self.numbers.extend([value, -value, value - 1, value + 1]);
    }
}

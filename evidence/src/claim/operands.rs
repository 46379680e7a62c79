//! Operands: the parts of a claim whose values come from the evidence, as a page shows them.

use std::collections::BTreeSet;
use std::ops::Range;

use crate::document::value::Value;

use super::ast::{Node, NodeKind, call_reads};
use super::bind::Inputs;
use super::eval::evaluate;
use super::parse::Expression;
use super::value::{Failure, Typed};
use super::verdict::Operand;

/// Every part of the expression that comes from the evidence, with what was found.
pub(super) fn operands(expression: &Expression, gathered: &Inputs<'_>) -> Vec<Operand> {
    let bindings = gathered.bindings();
    let mut operands: Vec<Operand> = Vec::new();
    let mut calls: Vec<Range<usize>> = Vec::new();
    expression.root.walk(&mut |node: &Node| {
        if calls
            .iter()
            .any(|call| call.start <= node.range.start && node.range.end <= call.end)
        {
            return; // The name of a probe inside of a call that was listed.
        }
        let (value, missing) = match &node.kind {
            NodeKind::Path(path) => (gathered.values.get(path.as_str()).cloned(), Vec::new()),
            NodeKind::Call(function, args) if !call_reads(function, args).is_empty() => {
                calls.push(node.range.clone());
                let outcome = evaluate(node, &bindings);
                match outcome {
                    Ok(typed) => (to_display_value(&typed), Vec::new()),
                    Err(located) => (None, vec![describe_failure(located.failure)]),
                }
            }
            _ => return,
        };
        let mut reasons: Vec<String> = gathered
            .missing
            .iter()
            .map(|(_, obstacle)| obstacle)
            .chain(&gathered.broken)
            .filter(|obstacle| obstacle.range == node.range)
            .map(|obstacle| obstacle.message.clone())
            .collect();
        if reasons.is_empty() && value.is_none() {
            reasons = missing;
            // The same path was reported at its first occurrence.
            if let NodeKind::Path(path) = &node.kind {
                let first = gathered
                    .missing
                    .iter()
                    .find(|(read, _)| read.path == path.as_str());
                reasons.extend(first.map(|(_, obstacle)| obstacle.message.clone()));
            }
        }
        let mut reported = BTreeSet::new();
        reasons.retain(|reason| reported.insert(reason.clone()));
        let missing = (!reasons.is_empty()).then(|| reasons.join("; "));
        operands.push(Operand {
            range: node.range.clone(),
            text: expression.text()[node.range.clone()].to_owned(),
            value: if missing.is_some() { None } else { value },
            missing,
        });
    });
    operands
}

fn describe_failure(failure: Failure) -> String {
    match failure {
        Failure::Kinds { message, .. } | Failure::Value(message) | Failure::Missing(message) => {
            message
        }
    }
}

/// The result of a call as a value of the evidence, for display.
fn to_display_value(typed: &Typed) -> Option<Value> {
    match typed {
        Typed::Bool(value) => Some(Value::Bool { value: *value }),
        Typed::Number(number) => Some(Value::Int {
            value: crate::document::value::Integer::new(number.value)?,
            type_name: None,
        }),
        Typed::Text(text) => Some(Value::text(text)),
        _ => None,
    }
}

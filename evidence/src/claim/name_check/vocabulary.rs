//! Comparisons of two leaves that never hold the same words: a kernel's list of security modules and its lockdown mode differ
//! on every machine, so a claim that they differ proves nothing.

use crate::claim::ast::{Binary, Node, NodeKind, Unary};
use crate::claim::obstacle::Obstacle;
use crate::document::value::Value;
use crate::path::{SECTIONS, hit_number, split_path};
use crate::path_index::resolve::Indexed;

/// The first comparison of two texts of different vocabularies.
pub(super) fn find_vocabulary_mismatch(root: &Node, machine: &Indexed<'_>) -> Option<Obstacle> {
    let mut found = None;
    root.walk(&mut |node| {
        if found.is_none() {
            found = compared_operands(node)
                .and_then(|sides| compare_vocabularies(node, sides, machine));
        }
    });
    found
}

/// The operands of a comparison that is trivially true for unrelated texts, or trivially false (`==`).
fn compared_operands(node: &Node) -> Option<[&Node; 2]> {
    match &node.kind {
        NodeKind::Binary(Binary::Equal | Binary::NotEqual, sides) => {
            let [a, b] = sides.as_ref();
            Some([a, b])
        }
        NodeKind::Unary(Unary::Not, operand) => match &operand.kind {
            NodeKind::Call(function, args)
                if ["contains", "starts_with", "ends_with"].contains(&function.name) =>
            {
                let [a, b] = args.as_slice() else { return None };
                Some([a, b])
            }
            _ => None,
        },
        _ => None,
    }
}

fn compare_vocabularies(node: &Node, sides: [&Node; 2], machine: &Indexed<'_>) -> Option<Obstacle> {
    let [a, b] = sides.map(|side| vocabulary(side, machine));
    let (a, b) = (a?, b?);
    (a != b).then(|| Obstacle {
        message: format!(
            "one is {a} and the other {b}, which never hold the same words: that they differ proves nothing"
        ),
        range: node.range.clone(),
        help: Some("compare each with a word of its own".into()),
    })
}

/// The vocabulary of the texts that come out of a node; `None`: they can be any.
fn vocabulary(node: &Node, machine: &Indexed<'_>) -> Option<String> {
    match &node.kind {
        NodeKind::Path(path) => leaf_vocabulary(path.as_str(), machine),
        NodeKind::Call(function, args) => match function.name {
            "file" => Some("a file of the source".into()),
            "function_name" | "symbol_name" | "parent" => {
                Some("the name of a function or variable".into())
            }
            "symbol" => Some("a symbol with an offset".into()),
            "name" => name_vocabulary(args.first()?, machine),
            _ => None,
        },
        _ => None,
    }
}

/// The vocabulary of a named number.
fn name_vocabulary(node: &Node, machine: &Indexed<'_>) -> Option<String> {
    let NodeKind::Path(path) = &node.kind else {
        return None;
    };
    match machine.leaves.get(path.as_str())?.datum.value()? {
        Value::Enum { type_name, .. } => Some(format!("the name of an enumerator of {type_name}")),
        Value::Errno { .. } => Some("the name of an error".into()),
        _ => None,
    }
}

/// The vocabulary of a leaf that holds text. What is read from memory and what programs print can be anything.
fn leaf_vocabulary(path: &str, machine: &Indexed<'_>) -> Option<String> {
    let value = machine.leaves.get(path)?.datum.value()?;
    if !matches!(value, Value::Text { .. } | Value::CutText { .. }) {
        return None;
    }
    let segments: Vec<&str> = split_path(path).collect();
    match segments[..] {
        ["kernel", "config", _] => Some("the value of an option of the configuration".into()),
        ["commands", ..] => None,
        [section, .., leaf] if SECTIONS.contains(&section) => Some(format!("`{section}.{leaf}`")),
        [_, leaf @ "workload"] | [_, "call", .., leaf] => Some(format!("the `{leaf}`")),
        [_, _, leaf] if leaf != "stdout" && leaf != "stderr" => Some(format!("the `{leaf}`")),
        [_, _, hit, leaf] if hit_number(hit).is_some() => Some(format!("the `{leaf}`")),
        _ => None,
    }
}

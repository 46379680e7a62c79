//! Reasons why a function that is not on a stack may still have been called: it was left by a tail call to one that is.

use crate::claim::ast::{Literal, Node, NodeKind};
use crate::claim::builtins::{Function, on_stack};
use crate::claim::name_check::{UnresolvedName, find_unresolved_name};
use crate::claim::value::Typed;
use crate::path_index::resolve::{Catalog, Indexed};

/// The functions of claims that say who is on a stack.
const OF_STACKS: &[&str] = &["on_stack", "calls"];

/// The reason why it does not follow from a stack that a function was not under way. Who is on it, is.
pub(super) fn absence_on_stack_reason(
    node: &Node,
    (function, args): (&Function, &[Node]),
    catalog: &Catalog<'_>,
    machine: &Indexed<'_>,
) -> Option<String> {
    if !OF_STACKS.contains(&function.name) {
        return None;
    }
    let typed = |node: &Node| match &node.kind {
        NodeKind::Path(path) => {
            let value = machine.leaves.get(path.as_str())?.datum.value()?;
            Some(Typed::from_leaf(
                path.as_str(),
                value,
                &machine.evidence.names,
            ))
        }
        NodeKind::Literal(Literal::Text(text)) => Some(Typed::Text(text.clone())),
        _ => None,
    };
    // What is not written out is not known here.
    let values: Option<Vec<Typed>> = args.iter().map(typed).collect();
    let absent = match values.as_deref().map(function.compute) {
        Some(Ok(Typed::Bool(found))) => !found,
        Some(_) => false,
        None => true,
    };
    let there = |name: &str| {
        let stack = values.as_ref().and_then(|values| values.first());
        let requested = stack.map(|stack| [stack.clone(), Typed::Text(name.into())]);
        requested.is_some_and(|requested| matches!(on_stack(&requested), Ok(Typed::Bool(true))))
    };
    let names = args.iter().filter_map(|arg| match &arg.kind {
        NodeKind::Literal(Literal::Text(text)) => Some(text.as_str()),
        _ => None,
    });
    let absent_names: Vec<&str> = names.filter(|name| !there(name)).collect();
    if let Some(reason) = absent
        .then(|| other_name_reason(&absent_names, &there, machine))
        .flatten()
    {
        return Some(reason);
    }
    let names = absent_names.into_iter();
    let mut may_jump = names.filter(|name| {
        let instances = machine.evidence.instances.get(*name);
        instances.is_none_or(|instances| instances.leaves_by_jump != Some(false))
    });
    let name = may_jump.next().filter(|_| absent)?;
    // That a misspelt name is nowhere is another matter.
    if matches!(
        find_unresolved_name(node, catalog, machine),
        Some(UnresolvedName::Unknown(_))
    ) {
        return None;
    }
    let known = machine.evidence.instances.contains_key(name);
    Some(format!(
        "`{name}` may have been left by a jump to a function that then stood on the stack in its place{}",
        if known {
            ""
        } else {
            ": a probe on it would tell whether it has such a jump"
        }
    ))
}

/// The reason why a function that is not on a stack may be there under another name of its address.
fn other_name_reason(
    absent: &[&str],
    there: &dyn Fn(&str) -> bool,
    machine: &Indexed<'_>,
) -> Option<String> {
    absent.iter().find_map(|name| {
        let copies = &machine.evidence.instances.get(*name)?.copies;
        let mut others = copies.iter().flat_map(|copy| copy.names());
        let other = others.find(|other| other != name && there(other))?;
        Some(format!(
            "`{name}` is another name of `{other}`, which is on the stack"
        ))
    })
}

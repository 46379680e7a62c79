//! Names that a claim says are absent from a build. Every misspelt name is absent, too, so a name that no machine of the book
//! has proves nothing, unless the investigation declares it.

use crate::claim::ast::{Node, NodeKind};
use crate::claim::obstacle::Obstacle;
use crate::diagnostic::nearest;
use crate::document::value::Value;
use crate::path::{FACTS, Path, split_path};
use crate::path_index::resolve::{Catalog, Indexed, Resolved};

/// The first name in an expression that this machine does not have, and that no machine is known to have.
pub(super) fn find_absent_name(
    root: &Node,
    catalog: &Catalog<'_>,
    machine: &Indexed<'_>,
) -> Option<Obstacle> {
    let mut found = None;
    root.walk(&mut |node| {
        if found.is_none()
            && let NodeKind::Path(path) = &node.kind
        {
            found = find_obstacle(node, path, catalog, machine);
        }
    });
    found
}

fn find_obstacle(
    node: &Node,
    path: &Path,
    catalog: &Catalog<'_>,
    machine: &Indexed<'_>,
) -> Option<Obstacle> {
    let fact = path.as_str().strip_suffix(".exists")?;
    let segments: Vec<&str> = split_path(fact).collect();
    if !FACTS.contains(&segments[0]) || exists(path, catalog, machine) != Some(false) {
        return None;
    }
    let facts = &catalog.investigation.facts;
    let mut machines = catalog.machines.iter();
    if facts.absent.iter().any(|one| one == fact)
        || machines.any(|other| exists(path, catalog, other) == Some(true))
    {
        return None;
    }
    let near = nearest(
        segments.last()?,
        catalog.fact_names(&segments).iter().map(String::as_str),
    )
    .map_or(String::new(), |near| format!("; did you mean `{near}`?"));
    Some(Obstacle {
        message: format!(
            "no machine of this book has it, so it may be misspelt, and that it does not exist proves nothing{near} If it is meant, \
             write \"{fact}\" into `absent` of `[facts]`"
        ),
        range: node.range.clone(),
        help: None,
    })
}

fn exists(path: &Path, catalog: &Catalog<'_>, machine: &Indexed<'_>) -> Option<bool> {
    match catalog.resolve(machine, path) {
        Ok(Resolved::Value(value, _)) => match *value {
            Value::Bool { value } => Some(value),
            _ => None,
        },
        _ => None,
    }
}

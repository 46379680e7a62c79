//! Checks of the names of values that a read returned.

use std::collections::BTreeSet;

use super::finding::Finding;
use crate::document::pointer::escape;
use crate::path::is_identifier;

/// Find a name that is a value and has values below it, or that no path can write.
pub(super) fn check_value_names<'a>(
    at: impl Fn() -> String,
    mut names: impl Iterator<Item = &'a String> + Clone,
) -> Option<Finding> {
    let known: BTreeSet<&str> = names.clone().map(String::as_str).collect();
    names.find_map(|name| {
        let at = || format!("{}/{}", at(), escape(name));
        if !name.split('.').all(is_identifier) {
            return Some((at(), "no path can write this name".into()));
        }
        let ends = name.match_indices('.').map(|(end, _)| &name[..end]);
        let outer = ends.into_iter().find(|outer| known.contains(outer))?;
        let reason = format!("`{outer}` is a value, and has nothing below it");
        Some((at(), reason))
    })
}

//! Lists of the paths that an author can write.

use std::collections::BTreeSet;

use qed_evidence::path::hit_number;

/// True if a path without the number of its hit says the same, and the number was not asked for: of a probe that fired once.
pub fn is_redundant_hit_path(name: &str, prefix: &str, names: &BTreeSet<&str>) -> bool {
    let is_number = |part: &&str| hit_number(part).is_some();
    if prefix.split('.').any(|part| is_number(&part)) {
        return false;
    }
    let plain: Vec<&str> = name.split('.').filter(|part| !is_number(part)).collect();
    let plain = plain.join(".");
    plain != name && names.contains(plain.as_str())
}

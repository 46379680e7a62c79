//! Dependencies between the modules of a crate, read from its sources: which module names an item of which other one.
//!
//! A file is a module, and `a.rs` or `a/mod.rs` is the module `a`. Paths in `use` items, in expressions and types, in the
//! arguments of macros and in attributes (`#[serde(with = "…")]`) count; a `mod` item does not. A path through a
//! re-export counts as one to the module that defines the item. What is compiled for tests alone is left out, and so is
//! the `main.rs` beside a library, which stands above all modules of it. Of a program without a library it is the root.
//!
//! Beside that it has what the tests of all crates share: how a test says that it was skipped.

#![cfg_attr(not(test), warn(clippy::too_many_lines))]

mod graph;
mod names;
mod notes;
mod sources;
mod test_modules;

use std::path::Path;

pub use graph::Graph;
pub use notes::{note, note_skipped};
pub use sources::ReadError;
pub use test_modules::unlisted_tests;

/// The problems of the crate whose sources are in the folder `src`, one line each: modules of a top layer that is not in
/// `layers`, dependencies on a layer that is not below, and cycles. `layers` names the modules at the top of the
/// crate, the highest first.
///
/// # Errors
/// A file that cannot be read or is not Rust.
pub fn check(src: &Path, layers: &[&str]) -> Result<Vec<String>, ReadError> {
    Ok(problems(&Graph::read(src)?, layers))
}

/// The same of a program whose root is the file `root`, and not `main.rs`: a build script, or one of several programs in a folder.
///
/// # Errors
/// A file that cannot be read or is not Rust.
pub fn check_program(root: &Path, layers: &[&str]) -> Result<Vec<String>, ReadError> {
    Ok(problems(&Graph::read_program(root)?, layers))
}

/// The paths outside of tests that begin with one of `forbidden` (such as `std::os::unix`), or lead to one through an import of what is
/// above it, one line each. The modules `allowed` may name them.
///
/// # Errors
/// A file that cannot be read or is not Rust.
pub fn forbidden_names(
    src: &Path,
    forbidden: &[&str],
    allowed: &[&str],
) -> Result<Vec<String>, ReadError> {
    let mut found = Vec::new();
    for (module, file) in sources::read(src)? {
        let module = module.join("::");
        if allowed.contains(&module.as_str()) {
            continue;
        }
        for path in names::collect(&file).paths {
            let path = path.join("::");
            let below = |path: &str, prefix: &str| {
                let rest = path.strip_prefix(prefix);
                rest.is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
            };
            let leads =
                |name: &&str| below(&path, name) || path.contains("::") && below(name, &path);
            if forbidden.iter().any(leads) {
                found.push(format!("`{module}` names `{path}`"));
            }
        }
    }
    Ok(found)
}

fn problems(graph: &Graph, layers: &[&str]) -> Vec<String> {
    let mut problems = graph.unlisted_modules(layers);
    problems.extend(graph.upward_dependencies(layers));
    problems.extend(graph.cycles().iter().map(|cycle| {
        let count = cycle.len();
        format!(
            "these {count} modules depend on each other: {}",
            cycle.join(", ")
        )
    }));
    problems
}

#[cfg(test)]
mod tests;

//! Loading of an investigation, before any kernel is examined or booted.

use std::path::Path;

use qed_evidence::diagnostic::Diagnostic;
use qed_evidence::investigation::{Investigation, parse};

use super::failure::Failure;
use super::output::render;
use crate::plan::find_wrong_paths;
use crate::session::workload_spec::find_unknown_names;

/// Read and check an investigation file.
pub fn read_investigation(path: &Path) -> Result<Investigation, Failure> {
    let text = std::fs::read_to_string(path).map_err(|error| {
        Failure::input(format!(
            "failed to read the investigation {}: {error}; name one with --investigation",
            path.display()
        ))
    })?;
    let bad = |problems: Vec<Diagnostic>| Failure::input(render(&problems));
    let investigation = parse(&path.display().to_string(), &text).map_err(bad)?;
    // All mistakes that do not depend on the kernel, in one message and before a kernel is examined or booted.
    let mut problems = find_unknown_names(&investigation);
    problems.extend(find_wrong_paths(&investigation));
    if problems.is_empty() {
        return Ok(investigation);
    }
    qed_evidence::diagnostic::sort(&mut problems);
    Err(bad(problems))
}

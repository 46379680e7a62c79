//! The check of a claim's names against what is planned and captured.

use std::ops::Range;

use crate::diagnostic::{Diagnostic, nearest};
use crate::path::Path;
use crate::path_index::resolve::Catalog;

use super::constants;
use super::definition::Claim;
use super::graph::{self, GRAPH};
use super::parse::Expression;

impl Claim {
    /// Check every name against what is planned and captured, without evaluating anything.
    pub fn check(&self, catalog: &Catalog<'_>) -> Vec<Diagnostic> {
        self.when
            .iter()
            .chain([&self.expression])
            .flat_map(|expression| check_names(expression, catalog))
            .collect()
    }
}

/// Complaints about names that are not planned and unknown constants.
fn check_names(expression: &Expression, catalog: &Catalog<'_>) -> Vec<Diagnostic> {
    let mut diagnostics: Vec<Diagnostic> = Vec::new();
    let mut seen: Vec<(String, &Range<usize>)> = Vec::new();
    for read in expression.reads() {
        if let Some((experiment, _)) = read.path.split_once(GRAPH) {
            if let Some((message, near)) = graph::find_unplanned_graph(experiment, catalog) {
                let mut diagnostic = expression.place().error(&read.range, message);
                if let Some(near) = near {
                    diagnostic = diagnostic.help(near);
                }
                diagnostics.push(diagnostic);
            }
            continue;
        }
        let text = read
            .path
            .split_once('#')
            .map_or(read.path.clone(), |(probe, _)| format!("{probe}.hits"));
        let outcome = text
            .parse::<Path>()
            .map_err(|error| (error.to_string(), None))
            .and_then(|path| {
                catalog
                    .check(&path)
                    .map_err(|error| (error.message, error.nearest))
            });
        let Err((message, near)) = outcome else {
            continue;
        };
        if seen
            .iter()
            .any(|(m, range)| *m == message && **range == read.range)
        {
            continue;
        }
        let mut diagnostic = expression.place().error(&read.range, message.clone());
        if let Some(near) = near {
            let near = if read.by_function {
                strip_leaf(&near)
            } else {
                &near
            };
            diagnostic = diagnostic.help(format!("did you mean `{near}`?"));
        }
        diagnostics.push(diagnostic);
        seen.push((message, &read.range));
    }
    for (name, range) in expression.constants() {
        if let Err(
            constants::UnknownConstant::Here(message)
            | constants::UnknownConstant::Anywhere(message),
        ) = constants::constant_value(name, catalog, None)
        {
            let help = match nearest(name, constants::candidate_names(catalog)) {
                Some(near) => format!("did you mean `{near}`?"),
                None => "constants are error numbers, flags of system calls, and enumerators of types that a machine showed; \
                         an enumerator's name can be compared as text: `name(…) == '…'`"
                    .into(),
            };
            diagnostics.push(expression.place().error(&range, message).help(help));
        }
    }
    diagnostics
}

/// The probe or experiment that a function was asked about, from the leaf that it reads there.
fn strip_leaf(path: &str) -> &str {
    path.strip_suffix(".objects.allocated")
        .or_else(|| path.strip_suffix(".objects.leaked"))
        .or_else(|| path.rsplit_once('.').map(|(name, _)| name))
        .unwrap_or(path)
}

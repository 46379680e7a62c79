//! Deduplication of warnings within one build of a book with several outputs.
//!
//! mdBook runs a preprocessor once for each renderer, one after the other in one process, and most warnings do not depend on
//! the renderer. The runs of one build have the same parent process; a second run for the same renderer begins the next build
//! (`mdbook serve`). If this cannot be determined, everything is printed: a repeated warning is better than none.

use std::collections::BTreeSet;
use std::path::Path;

use qed_evidence::diagnostic::{Diagnostic, Severity};
use qed_programs::platform::parent_process;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::util::state;

/// The file that stores the printed warnings; in a folder that mdBook does not watch.
const WARNINGS: &str = ".qed/state/warnings.json";

/// The warnings printed so far in one build.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct PrintedWarnings {
    /// The process that runs the renderers, and when it began: numbers of processes come again.
    parent: String,
    /// All renderers of the book.
    outputs: BTreeSet<String>,
    /// Those that have had their turn.
    renderers: BTreeSet<String>,
    /// Digests of the warnings.
    warnings: BTreeSet<String>,
}

impl PrintedWarnings {
    /// Split off the warnings that are printed when `renderer` has its turn, and remember them. `before` is what the
    /// last run left.
    fn split_off_printed(
        before: Option<PrintedWarnings>,
        parent: &str,
        outputs: &[String],
        renderer: &str,
        problems: Vec<Diagnostic>,
    ) -> (Vec<Diagnostic>, PrintedWarnings) {
        let outputs: BTreeSet<String> = outputs.iter().cloned().collect();
        let mut printed = before
            .filter(|printed| {
                printed.parent == parent
                    && printed.outputs == outputs
                    && !printed.renderers.contains(renderer)
            })
            .unwrap_or(PrintedWarnings {
                parent: parent.into(),
                outputs,
                ..PrintedWarnings::default()
            });
        printed.renderers.insert(renderer.into());
        let mut left = problems;
        left.retain(|problem| {
            problem.severity == Severity::Error || printed.warnings.insert(digest(problem))
        });
        (left, printed)
    }
}

fn digest(problem: &Diagnostic) -> String {
    hex::encode(Sha256::digest(problem.render(false).as_bytes()))
}

/// The problems without the warnings that another renderer of the same build has printed. Errors are always printed.
pub fn drop_printed(
    root: &Path,
    outputs: &[String],
    renderer: &str,
    problems: Vec<Diagnostic>,
) -> Vec<Diagnostic> {
    let several = outputs.len() > 1 && outputs.iter().any(|output| output == renderer);
    let Some(parent) = parent_process().filter(|_| several) else {
        return problems;
    };
    let file = root.join(WARNINGS);
    let before = std::fs::read(&file)
        .ok()
        .and_then(|bytes| serde_json::from_slice(&bytes).ok());
    let (left, printed) =
        PrintedWarnings::split_off_printed(before, &parent, outputs, renderer, problems);
    // A run without warnings is stored, too: otherwise the next build could not be distinguished from this one. If storing
    // fails, warnings are printed again.
    if let Ok(text) = serde_json::to_vec(&printed) {
        let _ = state::write(&file, &[&text]);
    }
    left
}

#[cfg(test)]
mod tests {
    use super::*;

    fn warning(text: &str) -> Diagnostic {
        Diagnostic::error_without_place(text).warning()
    }

    /// Run one build after the other; what each run says.
    fn runs(runs: &[(&str, &str, &[&str])]) -> Vec<Vec<String>> {
        let outputs = ["a".to_owned(), "b".to_owned()];
        let mut before = None;
        let printed = runs.iter().map(|(parent, renderer, texts)| {
            let problems = texts.iter().map(|text| warning(text)).collect();
            let (left, printed) = PrintedWarnings::split_off_printed(
                before.take(),
                parent,
                &outputs,
                renderer,
                problems,
            );
            before = Some(printed);
            left.into_iter().map(|problem| problem.message).collect()
        });
        printed.collect()
    }

    /// Check that a warning is printed once in a build, by whichever renderer has it first; and again in the next build, of
    /// the same process and of another one.
    #[test]
    fn once_per_build() {
        let printed = runs(&[
            ("1", "a", &["x", "y"]),
            ("1", "b", &["x", "z"]),
            ("1", "a", &["x"]),
            ("1", "b", &["x"]),
            ("2", "b", &["x"]),
            ("2", "a", &["x"]),
            ("1", "a", &["x"]),
        ]);
        let expected: [&[&str]; 7] = [&["x", "y"], &["z"], &["x"], &[], &["x"], &[], &["x"]];
        assert_eq!(printed, expected);
    }

    /// Check that an error is printed by every renderer, and that other outputs begin anew.
    #[test]
    fn never_lost() {
        let outputs = ["a".to_owned(), "b".to_owned()];
        let problems = || vec![warning("w"), Diagnostic::error_without_place("e")];
        let (_, printed) = PrintedWarnings::split_off_printed(None, "1", &outputs, "a", problems());
        let (left, _) = PrintedWarnings::split_off_printed(
            Some(printed.clone()),
            "1",
            &outputs,
            "b",
            problems(),
        );
        assert_eq!(left, [Diagnostic::error_without_place("e")]);
        let more = ["a".to_owned(), "b".to_owned(), "c".to_owned()];
        let (left, _) =
            PrintedWarnings::split_off_printed(Some(printed), "1", &more, "b", problems());
        assert_eq!(left, problems());
    }
}

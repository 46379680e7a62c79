//! Read paths that are wrong on every kernel: they are reported before any kernel is examined, together with the other mistakes
//! of an investigation.

use std::ops::Range;

use qed_evidence::diagnostic::Diagnostic;
use qed_evidence::investigation::Investigation;

use super::expr::{ExprError, check};

/// The reads of an investigation that are not paths, each with its place; sorted, each once although experiments
/// inherit from each other.
pub fn find_wrong_paths(investigation: &Investigation) -> Vec<Diagnostic> {
    let experiments = investigation.experiments.iter();
    let probes = experiments.flat_map(|experiment| &experiment.probes);
    let reads = probes.flat_map(|probe| probe.entry.iter().chain(&probe.exit));
    let mut problems: Vec<Diagnostic> = reads
        .flat_map(|read| {
            let wrong = read.paths().filter_map(|(path, span)| {
                let error = check(path).err()?;
                Some(wrong_path_error(
                    investigation,
                    &read.name,
                    (path, span),
                    &error,
                ))
            });
            wrong.collect::<Vec<_>>()
        })
        .collect();
    qed_evidence::diagnostic::sort(&mut problems);
    problems.dedup();
    problems
}

/// Say where in the investigation `read` is wrong.
pub(super) fn wrong_path_error(
    investigation: &Investigation,
    read: &str,
    (path, span): (&str, &Range<usize>),
    error: &ExprError,
) -> Diagnostic {
    let start = span.start;
    // An escape in the TOML text would shift the offsets after it.
    let span = if span.len() == path.len() {
        start + error.span.start..start + error.span.end
    } else {
        span.clone()
    };
    let mut problem = Diagnostic::error(
        &investigation.source,
        span,
        format!("read `{read}` is not a path: {}", error.reason),
    );
    problem.help = error
        .nearest
        .first()
        .map(|near| format!("did you mean `{near}`?"));
    problem
}

#[cfg(test)]
mod tests {
    use super::*;
    use qed_evidence::investigation::parse;

    /// Check that each wrong path is told once, at its own characters, and that a parameter which only one
    /// kernel has, or which is called like a built-in, is left to the kernel.
    #[test]
    fn all_at_once() {
        let text = "[[experiment]]\nname = \"a\"\nworkload = { syscall = \"socket\", args = [] }\n\n\
            [[experiment.probe]]\nfunction = \"f\"\nreads = [\n\
            { at = \"entry\", name = \"one\", path = \"x->\" },\n\
            { at = \"entry\", name = \"two\", path = \"(int)tetx(f)\" },\n\
            { at = \"entry\", name = \"good\", path = \"text->x[1]\" },\n\
            { at = \"entry\", name = \"fine\", path = \"container_of(nowhere, struct none, x)->text\" },\n]\n\n\
            [[experiment]]\nname = \"b\"\ninherit = \"a\"\n";
        let investigation = parse("i.toml", text).unwrap();
        let reported: Vec<_> = find_wrong_paths(&investigation)
            .iter()
            .map(|p| (p.line_column().unwrap(), p.help.clone()))
            .collect();
        assert_eq!(
            reported,
            [
                ((8, 42), None),
                ((9, 44), Some("did you mean `text`?".to_owned()))
            ]
        );
    }
}

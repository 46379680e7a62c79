//! Reports of problems: in colour on a terminal, without it in a log.

use std::io::{IsTerminal, Write};

use qed_evidence::diagnostic::{Diagnostic, Severity, allows_color};

/// Print diagnostics to standard error, and how many there are. A closed standard error is ignored.
pub fn print_diagnostics(problems: &[Diagnostic]) {
    if problems.is_empty() {
        return;
    }
    let color = allows_color(std::io::stderr().is_terminal(), |name| {
        std::env::var_os(name)
    });
    let mut out = String::new();
    for problem in problems {
        out.push_str(&problem.render(color));
        out.push_str("\n\n");
    }
    let count = |severity| problems.iter().filter(|p| p.severity == severity).count();
    let errors = count(Severity::Error);
    out.push_str(&format!(
        "mdbook-qed: {}, {}\n",
        pluralize(errors, "error"),
        pluralize(count(Severity::Warning), "warning")
    ));
    let _ = std::io::stderr().write_all(out.as_bytes());
}

/// A number of things: `1 claim`, `2 claims`.
pub fn pluralize(number: usize, thing: &str) -> String {
    format!("{number} {thing}{}", if number == 1 { "" } else { "s" })
}

/// True if any of them is an error.
pub fn has_errors(problems: &[Diagnostic]) -> bool {
    problems.iter().any(|p| p.severity == Severity::Error)
}

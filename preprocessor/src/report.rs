//! Saying what is wrong: to a person on a terminal in colour, to a log without.

use std::io::{IsTerminal, Write};

use qed_evidence::diagnostic::{Diagnostic, Severity};

/// Whether messages may be coloured (<https://no-color.org>).
fn color() -> bool {
    std::io::stderr().is_terminal()
        && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty())
        && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
}

/// Prints diagnostics to standard error, and how many there are. A closed standard error is no reason to stop.
pub fn print(problems: &[Diagnostic]) {
    if problems.is_empty() {
        return;
    }
    let color = color();
    let mut out = String::new();
    for problem in problems {
        out.push_str(&problem.render(color));
        out.push_str("\n\n");
    }
    let count = |severity| problems.iter().filter(|p| p.severity == severity).count();
    let plural = |n: usize, word: &str| format!("{n} {word}{}", if n == 1 { "" } else { "s" });
    let errors = count(Severity::Error);
    out.push_str(&format!(
        "mdbook-qed: {}, {}\n",
        plural(errors, "error"),
        plural(count(Severity::Warning), "warning")
    ));
    let _ = std::io::stderr().write_all(out.as_bytes());
}

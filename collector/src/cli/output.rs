//! Standard output, and diagnostics for standard error.

use std::io::{IsTerminal as _, Write as _};

use qed_evidence::diagnostic::{Diagnostic, allows_color};

use super::failure::Failure;

/// The form of an answer: for a terminal, or for programs.
// Without docs on the variants, which would make the help of each command long.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
#[allow(missing_docs)]
pub enum Format {
    Text,
    Json,
}

/// Diagnostics as text, in colour on a terminal.
pub fn render(problems: &[Diagnostic]) -> String {
    let color = allows_color(std::io::stderr().is_terminal(), |name| {
        std::env::var_os(name)
    });
    problems
        .iter()
        .map(|problem| problem.render(color))
        .collect::<Vec<_>>()
        .join("\n\n")
}

/// An answer as JSON.
pub fn json(answer: &impl serde::Serialize) -> Result<String, Failure> {
    let text = serde_json::to_string_pretty(answer);
    let text = text.map_err(|error| Failure::machine(format!("failed to write JSON: {error}")))?;
    Ok(text + "\n")
}

/// Write to standard output. A reader that stops early (`plan | head`) is not a failure.
pub fn print(text: &str) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(Failure::machine(
            format!("failed to write to standard output: {error}"),
        )),
        _ => Ok(()),
    }
}
